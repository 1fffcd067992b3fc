//! What moves bytes, as drivers.
//!
//! * [`cpu`]: a CPU that copies, as a NetDMA provider;
//! * [`pdma`]: SiFive's platform DMA engine, as a system DMA controller.
#![cfg_attr(not(loom), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cpu;
pub mod pdma;
