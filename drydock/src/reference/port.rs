//! The far end of a channel: the device that the controller serves.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A device that a channel serves, as whoever checks the channel sees it.
pub trait FarEnd: Send + Sync {
    /// A transfer is to begin: the device forgets what it had to give and what it was given.
    fn begin(&self);

    /// Gives the device bytes for memory.
    fn supply(&self, bytes: &[u8]);

    /// What the device was given so far. Behind that there may be zeros.
    fn taken(&self) -> Vec<u8>;

    /// How many bytes went either way so far, if the device can tell.
    fn moved(&self) -> Option<u64>;

    /// The device takes no more than so many bytes in all, and then keeps its channel waiting. One that cannot, takes
    /// them all.
    fn take_at_most(&self, bytes: u64) {
        let _ = bytes;
    }

    /// The device reports an error instead of the nth byte, counted over both ways. One that has no way to tell of an
    /// error goes on.
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
    /// Bytes moved either way since a transfer was to begin.
    moved: u64,
    error_at: Option<u64>,
    /// How many more bytes the device takes.
    room: Option<u64>,
}

/// A device on a request line of the reference controller. Its clones are the same port.
#[derive(Clone, Debug, Default)]
pub struct Port(Arc<Mutex<Contents>>);

impl FarEnd for Port {
    fn begin(&self) {
        let mut contents = self.contents();
        contents.supply.clear();
        contents.taken.clear();
        contents.moved = 0;
        contents.room = None;
    }

    fn take_at_most(&self, bytes: u64) {
        self.contents().room = Some(bytes);
    }

    fn supply(&self, bytes: &[u8]) {
        self.supply(bytes);
    }

    fn taken(&self) -> Vec<u8> {
        self.taken()
    }

    fn moved(&self) -> Option<u64> {
        Some(self.moved())
    }

    fn fail_at(&self, byte: u64) {
        self.fail_at(byte);
    }
}

impl Port {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the device bytes for memory. A channel that starves goes on when one of its registers is next touched.
    pub fn supply(&self, bytes: &[u8]) {
        self.contents().supply.extend(bytes);
    }

    /// What the device was given so far.
    pub fn taken(&self) -> Vec<u8> {
        self.contents().taken.clone()
    }

    /// How many bytes went either way so far.
    pub fn moved(&self) -> u64 {
        self.contents().moved
    }

    /// The device reports an error instead of the nth byte, counted over both ways from when a transfer was to begin.
    pub fn fail_at(&self, byte: u64) {
        self.contents().error_at = Some(byte);
    }

    /// How many of the next `wanted` bytes go without an error; none if there is one at once.
    pub(crate) fn before_error(&self, wanted: usize) -> usize {
        let contents = self.contents();
        match contents.error_at {
            Some(at) => wanted.min(usize::try_from(at.saturating_sub(contents.moved)).unwrap_or(wanted)),
            None => wanted,
        }
    }

    /// Whether the device has something to give, or room that it was told of.
    pub(crate) fn asks(&self) -> bool {
        let contents = self.contents();
        !contents.supply.is_empty() || contents.room.is_some_and(|room| room > 0)
    }

    /// How many of the next `wanted` bytes the device takes.
    pub(crate) fn room(&self, wanted: usize) -> usize {
        let room = self.contents().room;
        room.map_or(wanted, |room| wanted.min(usize::try_from(room).unwrap_or(wanted)))
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
        contents.room = contents.room.map(|room| room.saturating_sub(bytes.len() as u64));
        contents.moved += bytes.len() as u64;
    }
}
