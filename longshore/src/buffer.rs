//! Bytes of the machine's memory that somebody owns.

use crate::hardware::{BusRange, DmaMemory, Lease, MemoryError};
use crate::host::Memory;
use std::fmt;
use std::sync::Arc;

/// Where buffers begin: on a cache line, so that no two buffers share one.
const ALIGNMENT: u64 = 64;

/// Bytes of the machine's memory, with one owner.
///
/// An engine works on them while nobody owns them here: they go into a submission by value and come back with its
/// outcome. So what is being copied cannot be read or changed by mistake. There is never a Rust reference to the bytes;
/// they are copied in and out.
///
/// ```
/// use longshore::{DmaChannel, InlineCpu};
///
/// let channel = DmaChannel::open(InlineCpu)?;
/// let mut buffer = channel.buffer(16)?;
/// buffer.write(4, b"in place")?;
/// let (head, tail) = buffer.split_at(12).expect("it is longer than that");
/// assert_eq!(&head.to_vec()[4..], b"in place");
/// assert_eq!(tail.len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Buffer {
    lease: Arc<Lease<Memory>>,
    range: BusRange,
}

/// Why a buffer was not made, read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferError {
    /// The machine's memory has no hole that is large enough.
    NoRoom,
    /// The bytes do not all lie in the buffer.
    OutOfBounds,
}

impl Buffer {
    /// Reserves bytes. They hold whatever they held before.
    pub(crate) fn new(memory: &Memory, len: usize) -> Result<Self, BufferError> {
        let lease = Lease::new(memory.clone(), len as u64, ALIGNMENT).map_err(|_| BufferError::NoRoom)?;
        Ok(Self {
            range: lease.range(),
            lease: Arc::new(lease),
        })
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        // Bytes that exist are countable.
        self.range.len() as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Where a device finds the bytes.
    pub fn bus_range(&self) -> BusRange {
        self.range
    }

    /// Copies bytes out, from `offset` on.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), BufferError> {
        let part = self.part(offset, into.len())?;
        self.lease.memory().read(part.start(), into).map_err(outside)
    }

    /// Copies bytes in, from `offset` on.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), BufferError> {
        let part = self.part(offset, bytes.len())?;
        self.lease.memory().write(part.start(), bytes).map_err(outside)
    }

    /// Copies all of it out.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        let read = self.lease.memory().read(self.range.start(), &mut bytes);
        debug_assert_eq!(read, Ok(()), "leased bytes can be read");
        bytes
    }

    /// Cuts the buffer in two; the first part has `at` bytes. The memory is free again when both are gone. A buffer that
    /// is shorter comes back as it is.
    pub fn split_at(self, at: usize) -> Result<(Self, Self), Self> {
        let at = at as u64;
        let head = self.range.slice(0, at);
        let tail = self
            .range
            .len()
            .checked_sub(at)
            .and_then(|len| self.range.slice(at, len));
        match (head, tail) {
            (Some(head), Some(tail)) => {
                let other = Self {
                    lease: self.lease.clone(),
                    range: tail,
                };
                Ok((Self { range: head, ..self }, other))
            }
            _ => Err(self),
        }
    }

    /// Whether the bytes belong to this memory.
    #[inline]
    pub(crate) fn is_in(&self, memory: &Memory) -> bool {
        self.lease.memory().is(memory)
    }

    fn part(&self, offset: usize, len: usize) -> Result<BusRange, BufferError> {
        self.range
            .slice(offset as u64, len as u64)
            .ok_or(BufferError::OutOfBounds)
    }
}

fn outside(_: MemoryError) -> BufferError {
    BufferError::OutOfBounds
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({:?})", self.range)
    }
}

impl fmt::Display for BufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => {
                "the machine's memory has no room left: drop buffers, or open the channel with more memory"
            }
            Self::OutOfBounds => "these bytes do not lie in the buffer: mind its length",
        })
    }
}

impl std::error::Error for BufferError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Machine as _;
    use crate::host::{Config, Host};

    fn memory() -> Memory {
        Host::new(Config::default()).unwrap().machine().memory()
    }

    #[test]
    fn a_buffer_is_reached_inside_and_nowhere_else() {
        let mut buffer = Buffer::new(&memory(), 8).unwrap();
        assert_eq!(buffer.write(0, b"12345678"), Ok(()));
        assert_eq!(buffer.write(7, b"xy"), Err(BufferError::OutOfBounds));
        assert_eq!(
            buffer.read(usize::MAX, &mut [0; 2]),
            Err(BufferError::OutOfBounds)
        );
        let mut last = [0; 3];
        assert_eq!(buffer.read(5, &mut last), Ok(()));
        assert_eq!(&last, b"678");
        assert_eq!(buffer.to_vec(), b"12345678");
    }

    #[test]
    fn parts_share_nothing_but_the_lease() {
        let memory = memory();
        let (mut head, tail) = Buffer::new(&memory, 10).unwrap().split_at(4).unwrap();
        assert_eq!((head.len(), tail.len()), (4, 6));
        assert!(!head.bus_range().overlaps(tail.bus_range()));
        assert_eq!(head.write(0, b"12345"), Err(BufferError::OutOfBounds));
        let tail = tail.split_at(7).unwrap_err();
        let place = head.bus_range().start();
        drop(head);
        assert_ne!(
            Buffer::new(&memory, 1).unwrap().bus_range().start(),
            place,
            "the tail still holds it"
        );
        drop(tail);
        assert_eq!(Buffer::new(&memory, 1).unwrap().bus_range().start(), place);
    }

    #[test]
    fn memory_that_runs_out_says_so() {
        let refused = Buffer::new(&memory(), usize::MAX >> 1).map(|buffer| buffer.len());
        assert_eq!(refused, Err(BufferError::NoRoom));
    }
}
