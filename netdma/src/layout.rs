//! Where the parts of a ring of descriptors stand.

use longshore_hardware::netdma::{DESCRIPTOR_SIZE, offset};
use longshore_hardware::{BusAddress, BusRange};

/// A ring of descriptors in memory. Places are counted from zero and never wrap; entries do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    ring: BusRange,
    entries: u64,
}

impl Layout {
    /// The ring that fills these bytes.
    pub(crate) const fn new(ring: BusRange) -> Self {
        Self {
            ring,
            entries: ring.len() / DESCRIPTOR_SIZE,
        }
    }

    /// How many descriptors fit.
    pub(crate) const fn entries(self) -> u64 {
        self.entries
    }

    /// The entry of this place.
    pub(crate) const fn entry(self, place: u64) -> usize {
        (place % self.entries) as usize
    }

    /// The descriptor of this place.
    pub(crate) fn descriptor(self, place: u64) -> BusRange {
        self.part(place, 0, DESCRIPTOR_SIZE)
    }

    /// The link of the descriptor of this place.
    pub(crate) fn link(self, place: u64) -> BusRange {
        self.part(place, offset::NEXT, 8)
    }

    /// What stands before the link.
    pub(crate) fn before_link(self, place: u64) -> BusRange {
        self.part(place, 0, offset::NEXT)
    }

    /// What stands behind the link.
    pub(crate) fn behind_link(self, place: u64) -> BusRange {
        let start = offset::NEXT + 8;
        self.part(place, start, DESCRIPTOR_SIZE - start)
    }

    fn part(self, place: u64, from: u64, len: u64) -> BusRange {
        let entry = (place % self.entries) * DESCRIPTOR_SIZE;
        // An entry of the ring lies in the ring.
        self.ring.slice(entry + from, len).unwrap_or(BusRange::EMPTY)
    }

    /// The first place at or behind `tail` whose descriptor stands at `address`, or `None` if no descriptor of
    /// the ring stands there. The address comes from a device.
    pub(crate) fn place_of(self, address: BusAddress, tail: u64) -> Option<u64> {
        let distance = address.checked_offset_from(self.ring.start())?;
        let entry = distance / DESCRIPTOR_SIZE;
        if distance % DESCRIPTOR_SIZE != 0 || entry >= self.entries {
            return None;
        }
        let tail_entry = tail % self.entries;
        Some(tail + (entry + self.entries - tail_entry) % self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_from_outside_has_no_place() {
        let layout = Layout::new(BusRange::new(BusAddress::new(0x1000), 4 * 64).unwrap());
        let place = |raw, tail| layout.place_of(BusAddress::new(raw), tail);
        assert_eq!(place(0x1000, 4), Some(4));
        assert_eq!(place(0x1040, 6), Some(9));
        assert_eq!(place(0x10c0, 6), Some(7));
        for raw in [0, 0xfc0, 0x1100, 0x1001, u64::MAX] {
            assert_eq!(place(raw, 6), None, "{raw:#x}");
        }
        assert_eq!(layout.descriptor(5).start(), BusAddress::new(0x1040));
        assert_eq!(layout.link(5).start(), BusAddress::new(0x1058));
        assert_eq!(layout.behind_link(5).end(), layout.descriptor(5).end());
    }
}
