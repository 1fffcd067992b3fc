//! Memory that a CPU and a device share.

use crate::address::{BusAddress, BusRange};
use core::fmt;

/// Why an access to shared memory failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// Some byte of the access lies outside the arena, or the access would wrap.
    OutOfRange,
    /// A 64-bit access to an address that is not a multiple of eight.
    Misaligned,
    /// The bus answered with an error.
    BusError,
    /// There is not enough free memory of the asked kind.
    Exhausted,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfRange => "the access reaches outside the machine's memory",
            Self::Misaligned => "a 64-bit access needs an address that is a multiple of eight",
            Self::BusError => "the bus reported an error",
            Self::Exhausted => "no free memory of this size, alignment and reach is left",
        })
    }
}

impl core::error::Error for MemoryError {}

/// One arena of memory that the CPU and devices share. A bus address is an offset in it.
///
/// # Who may touch a buffer, and when
///
/// From the moment a buffer is handed to a device until its contract gives it back, the device may change any
/// byte at any time. So no method here ever hands out a reference: bytes are copied in and out, and the 64-bit
/// accesses are single atomic ones, with release order on the store and acquire order on the load. A reader that
/// sees a stored completion word therefore also sees every byte that was written before it; a compiler fence
/// alone would not promise that across CPUs.
///
/// Every access is checked against the arena and may fail. An access that fails changes nothing, except that a
/// bus error in the middle of `write` or `copy` may have moved the bytes before it.
pub trait DmaMemory: Send + Sync {
    /// Copies bytes out of the arena.
    fn read(&self, from: BusAddress, into: &mut [u8]) -> Result<(), MemoryError>;

    /// Copies bytes into the arena.
    fn write(&self, to: BusAddress, bytes: &[u8]) -> Result<(), MemoryError>;

    /// Copies within the arena. Where the two ranges overlap the result is as if the source had been read first.
    fn copy(&self, to: BusAddress, from: BusAddress, len: u64) -> Result<(), MemoryError>;

    /// Reads 64 bits in one atomic access, with acquire order.
    fn load_u64(&self, at: BusAddress) -> Result<u64, MemoryError>;

    /// Writes 64 bits in one atomic access, with release order.
    fn store_u64(&self, at: BusAddress, value: u64) -> Result<(), MemoryError>;

    /// Reserves `len` bytes aligned to `align` (a power of two) that end at or below `below`.
    ///
    /// Most callers want [`Lease::new`], which gives the bytes back by itself.
    fn allocate(&self, len: u64, align: u64, below: BusAddress) -> Result<BusAddress, MemoryError>;

    /// Gives back what `allocate` reserved. A range that is not reserved as a whole is left alone.
    fn free(&self, range: BusRange);
}

/// Reserved bytes of an arena, given back when dropped.
pub struct Lease<M: DmaMemory> {
    memory: M,
    range: BusRange,
}

impl<M: DmaMemory> Lease<M> {
    /// Reserves `len` bytes aligned to `align` anywhere in the arena.
    pub fn new(memory: M, len: u64, align: u64) -> Result<Self, MemoryError> {
        Self::below(memory, len, align, BusAddress::new(u64::MAX))
    }

    /// Reserves `len` bytes aligned to `align` that end at or below `below`, for a device with a short reach.
    pub fn below(memory: M, len: u64, align: u64, below: BusAddress) -> Result<Self, MemoryError> {
        let start = memory.allocate(len, align, below)?;
        let range = BusRange::new(start, len).ok_or(MemoryError::OutOfRange)?;
        Ok(Self { memory, range })
    }

    /// Which bytes these are.
    pub fn range(&self) -> BusRange {
        self.range
    }

    /// The first byte's address.
    pub fn address(&self) -> BusAddress {
        self.range.start()
    }

    /// How many bytes.
    pub fn len(&self) -> u64 {
        self.range.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The memory the bytes belong to.
    pub fn memory(&self) -> &M {
        &self.memory
    }
}

impl<M: DmaMemory> AsRef<[BusRange]> for Lease<M> {
    fn as_ref(&self) -> &[BusRange] {
        core::slice::from_ref(&self.range)
    }
}

impl<M: DmaMemory> fmt::Debug for Lease<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({:?})", self.range)
    }
}

impl<M: DmaMemory> Drop for Lease<M> {
    fn drop(&mut self) {
        self.memory.free(self.range);
    }
}
