//! What pretends to be hardware.
//!
//! A model knows its own registers and moves bytes through [`DmaMemory`]; it knows no contract, no driver and no
//! machine. Whoever owns a model gives it time by calling [`Model::step`] and carries the levels of its lines to an
//! interrupt controller: the dry dock does both where a schedule says so, a real machine does it on a thread, and
//! an emulator does it from its own loop.
//!
//! * [`i8237`]: the two 8237A of an AT, with their page registers;
//! * [`pdma`]: SiFive's platform DMA engine;
//! * [`snapshot`]: state as bytes, saved and restored;
//! * [`vectors`]: conformance vectors, and what runs them against any implementation.
//!
//! Each model has a cargo feature of its name. An emulator that wants one and nothing else takes this crate with
//! `default-features = false, features = ["i8237"]`, owns the model by value and calls its own methods; the trait
//! [`Model`] is for those who own devices of many kinds.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(feature = "i8237")]
pub mod i8237;
#[cfg(feature = "pdma")]
pub mod pdma;
pub mod snapshot;
#[cfg(feature = "vectors")]
pub mod vectors;

pub use snapshot::{Snapshot, SnapshotError};

use longshore_hardware::{AccessError, DmaMemory, Width};

/// What a model did with the time it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It did something and may have more to do.
    Worked,
    /// It has nothing to do until a register is written.
    Idle,
}

/// A device.
pub trait Model: Send {
    /// Software reads a register.
    fn read(&mut self, offset: u64, width: Width) -> Result<u64, AccessError>;

    /// Software writes a register.
    fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), AccessError>;

    /// Does one small step of work: one access to memory at the most.
    fn step(&mut self, memory: &dyn DmaMemory) -> Step;

    /// Which of its interrupt outputs the device asserts, one bit each from the lowest on.
    fn lines(&self) -> u32;
}
