//! One descriptor on its way: what it asks for, and how far it is done.

use super::config::MAXIMUM_TRANSFER_SIZE;
use longshore_core::completion::Cause;
use longshore_core::scatter::SegmentList;
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

/// A descriptor that was read and found sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// Where the descriptor stands.
    pub(super) address: BusAddress,
    /// The link as it was when the descriptor was read.
    pub(super) link: BusAddress,
    /// Which run of the channel it belongs to.
    pub(super) run: u32,
    /// The target of a context change.
    pub(super) context: Option<u32>,
    control: ControlFlags,
    to: SegmentList<2>,
    from: SegmentList<2>,
    len: u64,
    backwards: bool,
    moved: u64,
}

impl Transfer {
    /// Checks what was read at `address`. Reserved flags are ignored (NETDMA-062).
    pub(super) fn new(
        address: BusAddress,
        run: u32,
        descriptor: &Descriptor,
        version: Version,
    ) -> Result<Self, Cause> {
        let mut transfer = Self {
            address,
            link: descriptor.next,
            run,
            context: None,
            control: descriptor.control,
            to: SegmentList::new(),
            from: SegmentList::new(),
            len: 0,
            backwards: false,
            moved: 0,
        };
        // The type comes first: it decides what bit 0 means (NETDMA-061).
        match descriptor.control.op_type() {
            ControlFlags::OP_TYPE_STANDARD_DMA => transfer.plan(descriptor, version)?,
            ControlFlags::OP_TYPE_CONTEXT_CHANGE if version.counted() => {
                transfer.context = Some(descriptor.transfer_size);
            }
            _ => return Err(Cause::PROGRAM),
        }
        Ok(transfer)
    }

    fn plan(&mut self, descriptor: &Descriptor, version: Version) -> Result<(), Cause> {
        if descriptor.control.contains(ControlFlags::NULL_TRANSFER) {
            return Ok(()); // nothing else is examined (AMB-15)
        }
        if descriptor.transfer_size > MAXIMUM_TRANSFER_SIZE {
            return Err(Cause::PROGRAM);
        }
        self.len = u64::from(descriptor.transfer_size);
        let broken = |flag| version.counted() && descriptor.control.contains(flag);
        let source_break = broken(ControlFlags::SOURCE_PAGE_BREAK).then_some(descriptor.next_source);
        let destination_break =
            broken(ControlFlags::DESTINATION_PAGE_BREAK).then_some(descriptor.next_destination);
        self.from = segments(descriptor.source, self.len, source_break)?;
        self.to = segments(descriptor.destination, self.len, destination_break)?;
        // Pieces must add up to one memmove (NETDMA-057).
        let first = |list: &SegmentList<2>| list.as_segments().iter().next().unwrap_or(BusRange::EMPTY);
        let (to, from) = (first(&self.to), first(&self.from));
        let whole = source_break.is_none() && destination_break.is_none();
        self.backwards = whole && to.overlaps(from) && to.start() > from.start();
        Ok(())
    }

    /// The next bytes to copy, at most `limit`, or `None` when all is done.
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
        let to = self.to.as_segments().part(offset, len).next()?;
        let from = self.from.as_segments().part(offset, len).next()?;
        Some(Piece {
            to: to.start(),
            from: from.start(),
            len: to.len().min(from.len()),
        })
    }

    /// That many bytes more are done.
    pub(super) fn advance(&mut self, len: u64) {
        self.moved += len;
    }

    /// Whether the completion word is to be written when it is done.
    pub(super) fn wants_word(&self) -> bool {
        self.control.contains(ControlFlags::STATUS_UPDATE_ON_COMPLETION)
    }

    /// Whether an interrupt is to be raised when it is done. In a context change bit 0 means something else.
    pub(super) fn wants_interrupt(&self) -> bool {
        self.context.is_none() && self.control.contains(ControlFlags::INTERRUPT_ON_COMPLETION)
    }
}

/// The bytes of one side: one run, or two where a page break is asked for (NETDMA-066).
fn segments(start: BusAddress, len: u64, second_page: Option<BusAddress>) -> Result<SegmentList<2>, Cause> {
    let range = |start, len| BusRange::new(start, len).ok_or(Cause::BUS);
    let mut list = SegmentList::new();
    let room = PAGE - start.raw() % PAGE;
    let first = match second_page {
        Some(_) => len.min(room),
        None => len,
    };
    list.push(range(start, first)?).map_err(|_| Cause::PROGRAM)?;
    if let Some(second) = second_page
        && len > first
    {
        if !second.is_aligned(PAGE) || len - first > PAGE {
            return Err(Cause::PROGRAM);
        }
        list.push(range(second, len - first)?)
            .map_err(|_| Cause::PROGRAM)?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn at(raw: u64) -> BusAddress {
        BusAddress::new(raw)
    }

    fn transfer(descriptor: &Descriptor, version: Version) -> Result<Transfer, Cause> {
        Transfer::new(at(0x40), 1, descriptor, version)
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
        assert_eq!((change.context, change.wants_interrupt()), (Some(4), false));
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
