//! One descriptor on its way: what it asks for, and how far it is done.

use super::config::MAXIMUM_TRANSFER_SIZE;
use longshore_core::Rule;
use longshore_core::completion::Cause;
use longshore_hardware::netdma::{ControlFlags, Descriptor};
use longshore_hardware::{BusAddress, BusRange};
use longshore_netdma::Version;

/// The page of the page-break flags, whatever a CPU's page is (NETDMA-067).
const PAGE: u64 = 4096;

/// One step of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) to: BusAddress,
    pub(super) from: BusAddress,
    pub(super) len: u64,
}

/// The bytes of one side: one run, or two where a page break is asked for (NETDMA-066).
#[derive(Clone, Copy, Debug)]
struct Side {
    first: BusRange,
    second: BusRange,
}

impl Side {
    fn new(start: BusAddress, len: u64, second_page: Option<BusAddress>) -> Result<Self, Cause> {
        let range = |start, len| BusRange::new(start, len).ok_or(Cause::BUS);
        let room = PAGE - start.raw() % PAGE;
        let (first, second) = match second_page {
            Some(second) if len > room => (range(start, room)?, range(second, len - room)?),
            _ => (range(start, len)?, BusRange::EMPTY),
        };
        if !second.is_empty() && (!second.start().is_aligned(PAGE) || second.len() > PAGE) {
            return Err(Cause::PROGRAM);
        }
        Ok(Self { first, second })
    }

    /// Where the byte at `offset` stands, and how many stand in a run from there on.
    #[inline]
    fn at(&self, offset: u64) -> (BusAddress, u64) {
        let (range, offset) = if offset < self.first.len() {
            (self.first, offset)
        } else {
            (self.second, offset - self.first.len())
        };
        // Inside a range, which does not wrap.
        let start = BusAddress::new(range.start().raw().wrapping_add(offset));
        (start, range.len().saturating_sub(offset))
    }

    #[inline]
    fn overlaps(&self, range: BusRange) -> bool {
        self.first.overlaps(range) || self.second.overlaps(range)
    }

    /// Whether the two have bytes in common and are not the same.
    #[inline]
    fn shares(&self, other: &Self) -> bool {
        let same = self.first == other.first && self.second == other.second;
        !same && (self.overlaps(other.first) || self.overlaps(other.second))
    }
}

/// What still counts of a descriptor when its data is moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Where the descriptor stands.
    pub(super) address: BusAddress,
    /// The link as it was when the descriptor was read.
    pub(super) link: BusAddress,
    /// The target of a context change.
    pub(super) context: Option<u32>,
    control: ControlFlags,
}

impl Head {
    /// That of a descriptor at `address`.
    #[inline]
    pub(super) fn new(address: BusAddress, descriptor: &Descriptor) -> Self {
        Self {
            address,
            link: descriptor.next,
            context: None,
            control: descriptor.control,
        }
    }

    /// Whether the completion word is to be written when it is done.
    #[inline]
    pub(super) fn wants_word(&self) -> bool {
        self.control.contains(ControlFlags::STATUS_UPDATE_ON_COMPLETION)
    }

    /// Whether an interrupt is to be raised when it is done. In a context change bit 0 means something else.
    #[inline]
    pub(super) fn wants_interrupt(&self) -> bool {
        self.context.is_none() && self.control.contains(ControlFlags::INTERRUPT_ON_COMPLETION)
    }
}

/// The only piece of a copy of the commonest kind: a short one with nothing odd about it. All others go as a
/// [`Transfer`].
#[inline]
pub(super) fn only_piece(descriptor: &Descriptor, limit: u64, word: BusRange) -> Option<Piece> {
    const ODD: ControlFlags = ControlFlags::NULL_TRANSFER
        .union(ControlFlags::SOURCE_PAGE_BREAK)
        .union(ControlFlags::DESTINATION_PAGE_BREAK);
    let len = u64::from(descriptor.transfer_size);
    let odd = descriptor.control.intersects(ODD) || descriptor.control.op_type() != 0;
    if odd || len == 0 || len > limit || len > u64::from(MAXIMUM_TRANSFER_SIZE) {
        return None;
    }
    let to = BusRange::new(descriptor.destination, len)?;
    let from = BusRange::new(descriptor.source, len)?;
    (!to.overlaps(from) && !to.overlaps(word)).then_some(Piece {
        to: to.start(),
        from: from.start(),
        len,
    })
}

/// A descriptor that was read and found sound, and how far it is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    pub(super) head: Head,
    /// What its writer did wrong, though it can be done.
    pub(super) misuse: Option<Rule>,
    to: Side,
    from: Side,
    len: u64,
    backwards: bool,
    moved: u64,
}

impl Transfer {
    /// Checks what was read at `address`. Reserved flags are ignored (NETDMA-062). Nothing may be written over `word`,
    /// where the channel's completion word stands.
    pub(super) fn new(
        address: BusAddress,
        descriptor: &Descriptor,
        version: Version,
        word: BusRange,
    ) -> Result<Self, Cause> {
        let nothing = Side {
            first: BusRange::EMPTY,
            second: BusRange::EMPTY,
        };
        let mut transfer = Self {
            head: Head::new(address, descriptor),
            misuse: None,
            to: nothing,
            from: nothing,
            len: 0,
            backwards: false,
            moved: 0,
        };
        // The type comes first: it decides what bit 0 means (NETDMA-061).
        match descriptor.control.op_type() {
            ControlFlags::OP_TYPE_STANDARD_DMA if transfer.is_null() => {
                // Nothing of it counts, but its writer should know (NETDMA-056, AMB-15).
                let sound = transfer.plan(descriptor, version, word).is_ok();
                transfer.misuse = (!sound).then_some(Rule("NETDMA-056"));
                transfer.len = 0;
            }
            ControlFlags::OP_TYPE_STANDARD_DMA => transfer.plan(descriptor, version, word)?,
            ControlFlags::OP_TYPE_CONTEXT_CHANGE if version.counted() => {
                transfer.head.context = Some(descriptor.transfer_size);
            }
            _ => return Err(Cause::PROGRAM),
        }
        Ok(transfer)
    }

    fn is_null(&self) -> bool {
        self.head.control.contains(ControlFlags::NULL_TRANSFER)
    }

    #[inline]
    fn plan(&mut self, descriptor: &Descriptor, version: Version, word: BusRange) -> Result<(), Cause> {
        if descriptor.transfer_size > MAXIMUM_TRANSFER_SIZE {
            return Err(Cause::PROGRAM);
        }
        self.len = u64::from(descriptor.transfer_size);
        let broken = |flag| version.counted() && descriptor.control.contains(flag);
        let source_break = broken(ControlFlags::SOURCE_PAGE_BREAK).then_some(descriptor.next_source);
        let destination_break =
            broken(ControlFlags::DESTINATION_PAGE_BREAK).then_some(descriptor.next_destination);
        self.from = Side::new(descriptor.source, self.len, source_break)?;
        self.to = Side::new(descriptor.destination, self.len, destination_break)?;
        if self.to.overlaps(word) {
            return Err(Cause::PROGRAM);
        }
        if self.to.shares(&self.from) {
            self.misuse = Some(Rule("NETDMA-057"));
            // It is done all the same, and pieces must add up to one memmove.
            let (to, from) = (self.to.first, self.from.first);
            let whole = source_break.is_none() && destination_break.is_none();
            self.backwards = whole && to.start() > from.start();
        }
        Ok(())
    }

    /// The next bytes to copy, at most `limit`, or `None` when all is done.
    #[inline]
    pub(super) fn next_piece(&self, limit: u64) -> Option<Piece> {
        let len = limit.max(1).min(self.len - self.moved);
        if len == 0 {
            return None;
        }
        let offset = if self.backwards {
            self.len - self.moved - len
        } else {
            self.moved
        };
        let (to, to_room) = self.to.at(offset);
        let (from, from_room) = self.from.at(offset);
        Some(Piece {
            to,
            from,
            len: len.min(to_room).min(from_room),
        })
    }

    /// That many bytes more are done. True if all are.
    #[inline]
    pub(super) fn advance(&mut self, len: u64) -> bool {
        self.moved += len;
        self.moved >= self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn at(raw: u64) -> BusAddress {
        BusAddress::new(raw)
    }

    fn transfer(descriptor: &Descriptor, version: Version) -> Result<Transfer, Cause> {
        Transfer::new(at(0x40), descriptor, version, BusRange::EMPTY)
    }

    fn pieces(mut transfer: Transfer, limit: u64) -> Vec<(u64, u64, u64)> {
        let mut all = Vec::new();
        while let Some(piece) = transfer.next_piece(limit) {
            all.push((piece.to.raw(), piece.from.raw(), piece.len));
            transfer.advance(piece.len);
        }
        all
    }

    #[test]
    fn an_overlapping_copy_upwards_goes_backwards() {
        let up = transfer(&Descriptor::copy(at(0x104), at(0x100), 10), Version::V1_0).unwrap();
        assert_eq!(
            pieces(up, 4),
            [(0x10a, 0x106, 4), (0x106, 0x102, 4), (0x104, 0x100, 2)]
        );
        let down = transfer(&Descriptor::copy(at(0x100), at(0x104), 10), Version::V1_0).unwrap();
        assert_eq!(
            pieces(down, 4),
            [(0x100, 0x104, 4), (0x104, 0x108, 4), (0x108, 0x10c, 2)]
        );
    }

    /// Proves: NETDMA-055, NETDMA-085, AMB-15.
    #[test]
    fn zero_bytes_and_null_transfers_move_nothing() {
        let zero = transfer(&Descriptor::copy(at(0x104), at(0x100), 0), Version::V1_0).unwrap();
        assert!(pieces(zero, 4).is_empty());
        let mut null = Descriptor::copy(at(u64::MAX), at(u64::MAX), u32::MAX);
        null.control = ControlFlags::NULL_TRANSFER | ControlFlags::SOURCE_PAGE_BREAK;
        assert!(pieces(transfer(&null, Version::V2_0).unwrap(), 4).is_empty());
    }

    /// Proves: NETDMA-055, NETDMA-061, NETDMA-062.
    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut descriptor = Descriptor::copy(at(0x100), at(0x200), MAXIMUM_TRANSFER_SIZE + 1);
        assert_eq!(transfer(&descriptor, Version::V1_0).unwrap_err(), Cause::PROGRAM);
        descriptor.transfer_size = 4;
        descriptor.control = ControlFlags::from_bits_retain(0x0100_0000);
        assert_eq!(transfer(&descriptor, Version::V2_0).unwrap_err(), Cause::PROGRAM);
        descriptor.control = ControlFlags::from_bits_retain(0xff00_0001);
        assert_eq!(transfer(&descriptor, Version::V1_1).unwrap_err(), Cause::PROGRAM);
        let change = transfer(&descriptor, Version::V2_0).unwrap();
        assert_eq!(
            (change.head.context, change.head.wants_interrupt()),
            (Some(4), false)
        );
        let wraps = Descriptor::copy(at(u64::MAX), at(0x200), 4);
        assert_eq!(transfer(&wraps, Version::V1_0).unwrap_err(), Cause::BUS);
        let ones = Descriptor::parse(&[0xff; 64]);
        assert!(transfer(&ones, Version::V1_0).is_err());
    }

    /// Proves: NETDMA-066, NETDMA-067.
    #[test]
    fn page_breaks_split_each_side_where_its_page_ends() {
        let mut descriptor = Descriptor::copy(at(0x2f00), at(0x1f80), 0x200);
        descriptor.control = ControlFlags::SOURCE_PAGE_BREAK | ControlFlags::DESTINATION_PAGE_BREAK;
        descriptor.next_source = at(0x8000);
        descriptor.next_destination = at(0x9000);
        let both = transfer(&descriptor, Version::V2_0).unwrap();
        assert_eq!(
            pieces(both, 0x1000),
            [
                (0x2f00, 0x1f80, 0x80),
                (0x2f80, 0x8000, 0x80),
                (0x9000, 0x8080, 0x100)
            ]
        );
        descriptor.next_source = at(0x8010);
        assert_eq!(transfer(&descriptor, Version::V2_0).unwrap_err(), Cause::PROGRAM);
        descriptor.next_source = at(0x8000);
        descriptor.transfer_size = 0x2000;
        assert_eq!(transfer(&descriptor, Version::V2_0).unwrap_err(), Cause::PROGRAM);
    }
}
