//! Windows' three DMA contracts, executable: system DMA with completion routines (WDM), miniport DMA (NDIS) and
//! descriptor-chain engines with completion words, interrupts and abort (NetDMA).
//!
//! One idea runs through all of it: every accepted transfer has exactly one truthful outcome, recorded once, after
//! its data, announced exactly as its contract asks; and memory comes back only when the hardware is quiet.
//!
//! This crate is the door. Here is [`DmaChannel`], which moves memory; its [`guide`] tells when to use what. [`system_dma`] is
//! the guide for drivers, controllers and emulators, [`miniport`] the one for NDIS. What stands behind it, bottom to top:
//! * [`hardware`]: bus addresses, the three hardware traits, and the layouts that drivers and models share;
//! * [`core`]: status, levels, scatter/gather, the machine trait and the completion cell;
//! * [`wdm`], [`ndis`], [`netdma`]: the contracts;
//! * [`engines`]: what moves bytes; [`models`]: what pretends to be hardware;
//! * [`host`]: a real Linux machine; [`drydock`]: a deterministic one, with faults, oracles and suites.

pub use longshore_core as core;
pub use longshore_drydock as drydock;
pub use longshore_engines as engines;
pub use longshore_hardware as hardware;
pub use longshore_host as host;
pub use longshore_models as models;
pub use longshore_ndis as ndis;
pub use longshore_netdma as netdma;
pub use longshore_wdm as wdm;

mod bell;
mod buffer;
mod channel;
mod cpu;
pub mod engine;
mod job;
mod mail;
mod operation;
mod options;
mod outcome;
mod scope;
mod state;

pub use buffer::{Buffer, BufferError};
pub use channel::DmaChannel;
pub use cpu::{InlineCpu, WorkerCpu, WorkerPort};
pub use engine::Engine;
pub use job::{Buffers, Job, Lists, Pair};
pub use operation::Operation;
pub use options::{OpenError, Options};
pub use outcome::{Completion, Finished, Outcome, Reason, Refused, Unanswered};
pub use scope::{Scope, ScopeError, Scoped};

#[doc = include_str!("../../docs/channel.md")]
pub mod guide {}

#[doc = include_str!("../../docs/system-dma.md")]
pub mod system_dma {}

#[doc = include_str!("../../docs/miniport.md")]
pub mod miniport {}

/// The examples of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
