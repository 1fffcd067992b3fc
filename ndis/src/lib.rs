//! The NDIS contract for a miniport's system DMA channel, on top of WDM.
//!
//! A [`Miniport`] initialises and registers a [`DmaChannel`]. Each transfer is set up, which gives a [`SetUp`] that has the
//! buffer, and completed, which gives a [`Completed`] with status, residual and the buffer. The calls as C knows them, by
//! their arguments, stand beside it. The guide, with the traps, is the module `miniport` of the crate `longshore`.
//!
//! What it is not: scatter/gather and shared memory of NDIS 6, and anything of NDIS but DMA.
//!
//! Bottom to top:
//! * [`status`]: the numbers of the contract;
//! * [`state`] and [`life`]: the total tables of one channel and of a miniport;
//! * [`description`]: what a miniport says about its NIC and its channel;
//! * [`miniport`]: a miniport initialises, runs and halts;
//! * [`channel`]: registering a channel, one transfer, the counter, deregistering;
//! * [`setup`]: a transfer that is set up, as a value that is completed once, or by its arguments.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod channel;
pub mod description;
pub mod life;
pub mod miniport;
pub mod setup;
pub mod state;
pub mod status;

pub use channel::{DeregisterRefused, Direction, DmaChannel, NotCompleted, WhyNotSetUp};
pub use description::{Assigned, Attributes, DmaDescription, RegisterError, Registration};
pub use miniport::{Miniport, NotInitialized};
pub use setup::{Completed, Owned, SetUp, SetUpRefused, StillRuns};
pub use status::NdisStatus;
