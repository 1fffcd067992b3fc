//! A device on a request line of the 8237A.

use longshore_models::i8237::{Cycle, Requester};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Default)]
struct Contents {
    /// What it has to give.
    supply: VecDeque<u8>,
    /// What it was given.
    taken: Vec<u8>,
    /// How many bytes it still takes.
    room: usize,
    /// It pulls EOP when it has moved this many bytes.
    end_after: Option<usize>,
    moved: usize,
    acknowledged: u32,
}

/// A handle to the device. It requests while it has something to give or room to take. Its clones are the same device.
#[derive(Clone)]
pub(crate) struct Peripheral {
    channel: u8,
    contents: Arc<Mutex<Contents>>,
}

impl Peripheral {
    pub(crate) fn new(channel: u8) -> Self {
        Self {
            channel,
            contents: Arc::default(),
        }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    /// Bytes of one transfer of its channel.
    fn unit(&self) -> usize {
        if self.channel < 4 { 1 } else { 2 }
    }

    pub(crate) fn supply(&self, bytes: &[u8]) {
        self.contents().supply.extend(bytes);
    }

    pub(crate) fn make_room(&self, bytes: usize) {
        self.contents().room += bytes;
    }

    pub(crate) fn end_after(&self, bytes: usize) {
        self.contents().end_after = Some(bytes);
    }

    pub(crate) fn taken(&self) -> Vec<u8> {
        self.contents().taken.clone()
    }

    /// How often it had the bus for itself.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.contents().acknowledged
    }

    /// As it was in the beginning.
    pub(crate) fn clear(&self) {
        *self.contents() = Contents::default();
    }
}

impl Requester for Peripheral {
    fn dreq(&mut self, _: u8) -> bool {
        let contents = self.contents();
        !contents.supply.is_empty() || contents.room > 0
    }

    fn give(&mut self, _: Cycle) -> u16 {
        let unit = self.unit();
        let mut contents = self.contents();
        let mut word = [0xff; 2];
        for byte in &mut word[..unit] {
            *byte = contents.supply.pop_front().unwrap_or(0xff);
        }
        contents.moved += unit;
        u16::from_le_bytes(word)
    }

    fn take(&mut self, _: Cycle, data: u16) {
        let unit = self.unit();
        let mut contents = self.contents();
        contents.taken.extend_from_slice(&data.to_le_bytes()[..unit]);
        contents.room = contents.room.saturating_sub(unit);
        contents.moved += unit;
    }

    fn acknowledge(&mut self, _: Cycle) {
        self.contents().acknowledged += 1;
    }

    fn pulls_eop(&mut self, _: u8) -> bool {
        let contents = self.contents();
        contents.end_after.is_some_and(|end| contents.moved == end)
    }
}
