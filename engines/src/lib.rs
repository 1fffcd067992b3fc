//! What moves bytes, as drivers.
//!
//! * [`cpu`]: a CPU that copies, as a NetDMA provider.
#![cfg_attr(not(loom), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cpu;
