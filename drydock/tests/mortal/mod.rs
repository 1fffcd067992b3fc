//! Registers that break.
#![allow(dead_code)] // Each test program uses its own part of this.

use longshore_drydock::machine::Device;
use longshore_hardware::{AccessError, Registers, Width};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How a device answers that is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Accesses fail.
    Gone,
    /// Reads give all ones, and writes go nowhere.
    Ones,
    /// The PDMA's control register says that the channel runs, whatever is done.
    Runs,
}

/// Registers that break after so many accesses.
#[derive(Clone)]
pub(crate) struct Mortal {
    inner: Device,
    accesses: Arc<AtomicU32>,
    after: u32,
    how: Broken,
}

impl Mortal {
    pub(crate) fn new(inner: Device, after: u32, how: Broken) -> Self {
        let accesses = Arc::default();
        Self {
            inner,
            accesses,
            after,
            how,
        }
    }

    /// How many accesses there were.
    pub(crate) fn accesses(&self) -> u32 {
        self.accesses.load(Ordering::Relaxed)
    }

    /// From now on it is broken.
    pub(crate) fn break_now(&self) {
        self.accesses.fetch_max(self.after, Ordering::Relaxed);
    }

    fn is_broken(&self) -> bool {
        self.accesses.fetch_add(1, Ordering::Relaxed) >= self.after
    }
}

impl Registers for Mortal {
    fn read(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        match self.how {
            _ if !self.is_broken() => self.inner.read(offset, width),
            Broken::Gone => Err(AccessError::Gone),
            Broken::Ones => Ok(u64::MAX >> (64 - 8 * width.bytes())),
            Broken::Runs if offset.is_multiple_of(0x1000) => Ok(3),
            Broken::Runs => self.inner.read(offset, width),
        }
    }

    fn write(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        match self.how {
            _ if !self.is_broken() => self.inner.write(offset, width, value),
            Broken::Gone => Err(AccessError::Gone),
            Broken::Ones => Ok(()),
            Broken::Runs => self.inner.write(offset, width, value),
        }
    }
}
