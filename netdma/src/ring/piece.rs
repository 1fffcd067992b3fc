//! What one descriptor of a ring does.

use longshore_hardware::netdma::{ControlFlags, Descriptor};
use longshore_hardware::{BusAddress, BusRange};

/// The page of a page break, whatever pages the CPU has (NETDMA-067).
pub(super) const PAGE: u64 = 4096;

/// One descriptor, as the ring remembers it: the one in memory belongs to the engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) size: u32,
    pub(super) control: ControlFlags,
    pub(super) source: BusAddress,
    pub(super) destination: BusAddress,
    /// Where each side goes on behind its page, if it breaks.
    pub(super) next_source: BusAddress,
    pub(super) next_destination: BusAddress,
}

impl Piece {
    /// Moves nothing. An engine that does not know the flag copies these bytes onto themselves (NETDMA-056).
    pub(super) fn null(scratch: BusRange, control: ControlFlags) -> Self {
        Self {
            // The scratch bytes are few.
            size: scratch.len() as u32,
            control: control | ControlFlags::NULL_TRANSFER,
            source: scratch.start(),
            destination: scratch.start(),
            next_source: BusAddress::NULL,
            next_destination: BusAddress::NULL,
        }
    }

    /// The same place, with nothing to move any more.
    pub(super) fn emptied(self, scratch: BusRange) -> Self {
        let kept = ControlFlags::INTERRUPT_ON_COMPLETION
            | ControlFlags::STATUS_UPDATE_ON_COMPLETION
            | ControlFlags::SERIALIZE_TRANSFER;
        Self::null(scratch, self.control & kept)
    }

    /// How many of the user's bytes it moves.
    pub(super) fn bytes(&self) -> u64 {
        if self.control.contains(ControlFlags::NULL_TRANSFER) {
            0
        } else {
            u64::from(self.size)
        }
    }

    /// The user's bytes that it touches.
    pub(super) fn buffers(&self) -> impl Iterator<Item = BusRange> {
        let len = self.bytes();
        let source_breaks = self.control.contains(ControlFlags::SOURCE_PAGE_BREAK);
        let destination_breaks = self.control.contains(ControlFlags::DESTINATION_PAGE_BREAK);
        let source = side(self.source, self.next_source, len, source_breaks);
        let destination = side(self.destination, self.next_destination, len, destination_breaks);
        source
            .into_iter()
            .chain(destination)
            .filter(|range| !range.is_empty())
    }

    /// The descriptor, going on at `next`.
    pub(super) fn descriptor(&self, next: BusAddress) -> Descriptor {
        Descriptor {
            transfer_size: self.size,
            control: self.control,
            source: self.source,
            destination: self.destination,
            next,
            next_source: self.next_source,
            next_destination: self.next_destination,
            user_context: [0; 2],
        }
    }
}

/// How many bytes are left in the page of this address.
pub(super) const fn left_in_page(address: BusAddress) -> u64 {
    PAGE - address.raw() % PAGE
}

fn side(first: BusAddress, second: BusAddress, len: u64, breaks: bool) -> [BusRange; 2] {
    let range = |start, len| BusRange::new(start, len).unwrap_or(BusRange::EMPTY);
    let before = if breaks { len.min(left_in_page(first)) } else { len };
    [range(first, before), range(second, len - before)]
}
