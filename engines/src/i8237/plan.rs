//! From a transfer to what the registers hold, or why they cannot.

use super::ports::{Block, controller};
use longshore_hardware::BusRange;
use longshore_hardware::i8237::{Controller, HIGH_REACH, REACH};
use longshore_wdm::{DmaWidth, Program, ProgramError};

/// The first address out of reach.
const fn reach(high_pages: bool) -> u64 {
    if high_pages { HIGH_REACH } else { REACH }
}

/// The one width of device port that a channel serves.
pub(super) const fn width(channel: u8) -> DmaWidth {
    match controller(channel) {
        Controller::First => DmaWidth::BITS_8,
        Controller::Second => DmaWidth::BITS_16,
    }
}

/// The memory of a transfer: one fragment, in whole units, of a device with the right port.
pub(super) fn memory(channel: u8, program: &Program<'_>) -> Result<BusRange, ProgramError> {
    let mut segments = program.segments.iter();
    let (Some(memory), None) = (segments.next(), segments.next()) else {
        return Err(ProgramError::TooManyFragments);
    };
    let unit = controller(channel).unit();
    let whole = memory.start().is_aligned(unit) && memory.len() % unit == 0;
    if memory.is_empty() || !whole || program.width != width(channel) {
        return Err(ProgramError::Unsupported);
    }
    Ok(memory)
}

/// The block of registers for a range that [`memory`] has let pass.
///
/// What is out of reach, or would wrap around inside its page, is refused and never cut off (PAIN-19).
pub(super) fn block(channel: u8, memory: BusRange, high_pages: bool) -> Result<Block, ProgramError> {
    let which = controller(channel);
    let start = memory.start().raw();
    let room = which.page_size() - start % which.page_size();
    if memory.end().raw() > reach(high_pages) || memory.len() > room {
        return Err(ProgramError::Unreachable);
    }
    let units = memory.len() >> which.unit_shift();
    Ok(Block {
        address: (start >> which.unit_shift() & 0xffff) as u16,
        count: (units.saturating_sub(1) & 0xffff) as u16,
        page: (start >> 16 & 0xff) as u8 & which.page_mask(),
        high_page: (start >> 24 & 0xff) as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_hardware::BusAddress;

    fn of(channel: u8, start: u64, len: u64) -> Result<(u8, u16, u16), ProgramError> {
        let range = BusRange::new(BusAddress::new(start), len).unwrap();
        block(channel, range, false).map(|block| (block.page, block.address, block.count))
    }

    /// Proves: PAIN-19.
    #[test]
    fn blocks_are_those_of_the_at() {
        // A sector, and a track of a disk at the end of a page.
        assert_eq!(of(2, 0x2_fe00, 512), Ok((0x02, 0xfe00, 0x01ff)));
        assert_eq!(of(2, 0x0, 0x1_0000), Ok((0x00, 0x0000, 0xffff)));
        // Words: the page's lowest bit is the address's highest.
        assert_eq!(of(5, 0x2_0000, 4), Ok((0x02, 0x0000, 0x0001)));
        assert_eq!(of(5, 0x3_0000, 4), Ok((0x02, 0x8000, 0x0001)));
        assert_eq!(of(7, 0x2_0000, 0x2_0000), Ok((0x02, 0x0000, 0xffff)));
        assert_eq!(of(6, 0xff_fffe, 2), Ok((0xfe, 0xffff, 0x0000)));
        assert_eq!(of(0, 0xff_ffff, 1), Ok((0xff, 0xffff, 0x0000)));
    }

    /// Proves: PAIN-19.
    #[test]
    fn what_wraps_or_is_out_of_reach_is_refused() {
        let refused = Err(ProgramError::Unreachable);
        assert_eq!(of(0, 0xffff, 2), refused);
        assert_eq!(of(0, 0, 0x1_0001), refused);
        assert_eq!(of(5, 0x1_fffe, 4), refused);
        assert_eq!(of(5, 0, 0x2_0002), refused);
        assert_eq!(of(0, 0x100_0000, 1), refused);
        assert_eq!(of(0, 0xff_ffff, 2), refused);
        let high = BusRange::new(BusAddress::new(0x1234_5678), 8).unwrap();
        let held = Block {
            address: 0x5678,
            count: 7,
            page: 0x34,
            high_page: 0x12,
        };
        assert_eq!(block(1, high, true), Ok(held));
        assert_eq!(block(1, high, false), Err(ProgramError::Unreachable));
        let beyond = BusRange::new(BusAddress::new(1 << 32), 1).unwrap();
        assert_eq!(block(1, beyond, true), Err(ProgramError::Unreachable));
    }
}
