//! What moves bytes, as drivers.
//!
//! * [`cpu`]: a CPU that copies, as a NetDMA provider;
//! * [`i8237`]: the two 8237A of an AT, as a system DMA controller;
//! * [`pdma`]: SiFive's platform DMA engine, as a system DMA controller.
#![cfg_attr(not(loom), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cpu;
pub mod i8237;
pub mod pdma;
