//! The NDIS contract for a miniport's system DMA channel, on top of WDM.
//!
//! Bottom to top:
//! * [`status`]: the numbers of the contract;
//! * [`state`]: the total table of one channel;
//! * [`channel`]: registering a channel, setting it up, reading its counter;
//! * [`setup`]: a transfer that is set up, as a value that is completed once.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod channel;
pub mod setup;
pub mod state;
pub mod status;

pub use channel::{
    Assigned, DeregisterRefused, Direction, DmaChannel, DmaDescription, RegisterError, SetUpRefused,
    WhyNotSetUp, register_dma_channel,
};
pub use setup::{Completed, SetUp};
pub use status::NdisStatus;
