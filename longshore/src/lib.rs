//! Windows' three DMA contracts, executable: system DMA with completion routines (WDM), miniport DMA (NDIS) and
//! descriptor-chain engines with completion words, interrupts and abort (NetDMA).
//!
//! One idea runs through all of it: every accepted transfer has exactly one truthful outcome, recorded once, after
//! its data, announced exactly as its contract asks; and memory comes back only when the hardware is quiet.
//!
//! This crate is the door. What stands behind it, bottom to top:
//! * [`hardware`]: bus addresses, the three hardware traits, and the layouts that drivers and models share;
//! * [`core`]: status, levels, scatter/gather, the machine trait and the completion cell;
//! * [`wdm`], [`ndis`], [`netdma`]: the contracts;
//! * [`engines`]: what moves bytes;
//! * [`host`]: a real Linux machine; [`drydock`]: a deterministic one, with faults, oracles and suites.

pub use longshore_core as core;
pub use longshore_drydock as drydock;
pub use longshore_engines as engines;
pub use longshore_hardware as hardware;
pub use longshore_host as host;
pub use longshore_ndis as ndis;
pub use longshore_netdma as netdma;
pub use longshore_wdm as wdm;

/// The examples of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
