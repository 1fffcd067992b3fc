//! Where the descriptors of a berth and their data stand, and how the data is told apart.

use longshore_hardware::netdma::{DESCRIPTOR_ALIGNMENT, DESCRIPTOR_SIZE, Descriptor};
use longshore_hardware::{BusAddress, BusRange};

/// Bytes that each descriptor moves, unless a scenario says otherwise.
pub(super) const SIZE: u32 = 64;

/// Descriptors in a berth.
pub(super) const SLOTS: usize = 24;

/// The bytes of a chain, slot by slot: a descriptor, a source, and a destination between guard bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    descriptors: BusAddress,
    data: BusAddress,
}

impl Slots {
    /// How many bytes the descriptors take, and on what boundary.
    pub(super) const DESCRIPTORS: (u64, u64) = (DESCRIPTOR_SIZE * SLOTS as u64, DESCRIPTOR_ALIGNMENT);

    /// How many bytes sources, destinations and guards take, and on what boundary.
    pub(super) const DATA: (u64, u64) = (SIZE as u64 * (3 * SLOTS as u64 + 1), SIZE as u64);

    /// The slots in these two blocks of memory.
    pub(super) const fn new(descriptors: BusAddress, data: BusAddress) -> Self {
        Self { descriptors, data }
    }

    fn part(base: BusAddress, index: usize, len: u64) -> BusRange {
        let start = base.checked_add(index as u64 * len).unwrap_or(base);
        BusRange::new(start, len).unwrap_or(BusRange::EMPTY)
    }

    /// The descriptor of a slot.
    pub(super) fn descriptor(self, slot: usize) -> BusRange {
        Self::part(self.descriptors, slot % SLOTS, DESCRIPTOR_SIZE)
    }

    /// What a slot's descriptor reads.
    pub(super) fn source(self, slot: usize) -> BusRange {
        Self::part(self.data, slot % SLOTS, u64::from(SIZE))
    }

    /// What a slot's descriptor writes. Before and behind it lie as many guard bytes, which stay with software.
    pub(super) fn destination(self, slot: usize) -> BusRange {
        Self::part(self.data, SLOTS + 1 + 2 * (slot % SLOTS), u64::from(SIZE))
    }

    /// The guard bytes before a slot's destination; those of slot `SLOTS` stand behind the last one.
    pub(super) fn guard(self, slot: usize) -> BusRange {
        Self::part(self.data, SLOTS + 2 * slot, u64::from(SIZE))
    }

    /// The descriptor that copies a slot's source to its destination, and links to the slot behind it if it is to.
    pub(super) fn content(self, slot: usize, linked: bool) -> Descriptor {
        let (source, destination) = (self.source(slot), self.destination(slot));
        let mut content = Descriptor::copy(destination.start(), source.start(), SIZE);
        content.user_context = [slot as u64, !0];
        if linked {
            content.next = self.descriptor(slot + 1).start();
        }
        content
    }
}

/// What a source holds. Every byte depends on its address, and none is zero, which is what destinations hold.
pub(super) fn pattern(range: BusRange) -> Vec<u8> {
    let byte = |at: u64| (at.wrapping_mul(7) + 1 + (at >> 8)).to_le_bytes()[0] | 1;
    (range.start().raw()..range.end().raw()).map(byte).collect()
}
