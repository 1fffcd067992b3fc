//! The far end of a channel: the device that the controller serves.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A device that a channel serves, as whoever checks the channel sees it.
pub trait FarEnd: Send + Sync {
    /// Gives the device bytes for memory.
    fn supply(&self, bytes: &[u8]);

    /// What the device was given so far.
    fn taken(&self) -> Vec<u8>;

    /// How many bytes went either way so far.
    fn moved(&self) -> u64;

    /// The device reports an error instead of the nth byte, counted over both ways from when it was made. One that
    /// has no way to tell of an error goes on.
    fn fail_at(&self, byte: u64) {
        let _ = byte;
    }
}

#[derive(Debug, Default)]
struct Contents {
    /// What the device has to give.
    supply: VecDeque<u8>,
    /// What the device was given.
    taken: Vec<u8>,
    /// Bytes moved either way since the port was made.
    moved: u64,
    error_at: Option<u64>,
}

/// A device on a request line of the reference controller. Its clones are the same port.
#[derive(Clone, Debug, Default)]
pub struct Port(Arc<Mutex<Contents>>);

impl FarEnd for Port {
    /// A channel that starves goes on when one of its registers is next touched.
    fn supply(&self, bytes: &[u8]) {
        self.contents().supply.extend(bytes);
    }

    fn taken(&self) -> Vec<u8> {
        self.contents().taken.clone()
    }

    fn moved(&self) -> u64 {
        self.contents().moved
    }

    fn fail_at(&self, byte: u64) {
        self.contents().error_at = Some(byte);
    }
}

impl Port {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of the next `wanted` bytes go without an error; none if there is one at once.
    pub(crate) fn before_error(&self, wanted: usize) -> usize {
        let contents = self.contents();
        match contents.error_at {
            Some(at) => wanted.min(usize::try_from(at.saturating_sub(contents.moved)).unwrap_or(wanted)),
            None => wanted,
        }
    }

    pub(crate) fn has_supply(&self) -> bool {
        !self.contents().supply.is_empty()
    }

    /// The next bytes for memory, without taking them yet: the bus may fail.
    pub(crate) fn peek(&self, wanted: usize) -> Vec<u8> {
        self.contents().supply.iter().take(wanted).copied().collect()
    }

    /// Those bytes are in memory now.
    pub(crate) fn consume(&self, count: usize) {
        let mut contents = self.contents();
        let count = count.min(contents.supply.len());
        contents.supply.drain(..count);
        contents.moved += count as u64;
    }

    /// Bytes from memory.
    pub(crate) fn accept(&self, bytes: &[u8]) {
        let mut contents = self.contents();
        contents.taken.extend_from_slice(bytes);
        contents.moved += bytes.len() as u64;
    }
}
