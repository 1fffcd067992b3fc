//! One channel: its address, its count, its mode.

use super::quirks::{DOWNWARD_BLOCK, Quirks};
use longshore_hardware::i8237::{Mode, Transfer};

/// A channel's registers. Address and count are in the controller's units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) base_address: u16,
    pub(crate) base_count: u16,
    pub(crate) address: u16,
    pub(crate) count: u16,
    pub(crate) mode: Mode,
}

/// Which of a channel's two registers an access is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Address,
    Count,
}

impl Channel {
    /// The byte that software reads: of the current value, never of the base.
    pub(crate) fn read(&self, half: Half, high: bool) -> u8 {
        let value = match half {
            Half::Address => self.address,
            Half::Count => self.count,
        };
        value.to_le_bytes()[usize::from(high)]
    }

    /// Software writes a byte: base and current together.
    pub(crate) fn write(&mut self, half: Half, high: bool, value: u8, quirks: Quirks) {
        let (base, current) = match half {
            Half::Address => (&mut self.base_address, &mut self.address),
            Half::Count => (&mut self.base_count, &mut self.count),
        };
        set_byte(base, high, value);
        if !quirks.contains(Quirks::LOAD_ON_HIGH_BYTE) {
            set_byte(current, high, value);
        } else if high {
            self.reload();
        }
    }

    /// Begins again with the base values.
    pub(crate) fn reload(&mut self) {
        self.address = self.base_address;
        self.count = self.base_count;
    }

    /// Whether the next transfer is the last one of the block.
    pub(crate) fn is_terminal(&self) -> bool {
        self.count == 0
    }

    /// Counts one transfer and moves on in memory, unless the address is held.
    pub(crate) fn advance(&mut self, hold: bool) {
        self.count = self.count.wrapping_sub(1);
        if !hold {
            self.address = self.step_from(self.address, 1);
        }
    }

    /// The address in units, seen from the start of the page, of the next transfer. It leaves 0 to 0xffff only under
    /// a quirk.
    pub(crate) fn place(&self, transfer: Transfer, quirks: Quirks) -> Place {
        let moved = self.base_count.wrapping_sub(self.count);
        if quirks.contains(Quirks::DOWNWARD_BLOCKS) && self.mode.is_decrement() {
            let start = self.step_back(moved);
            return Place {
                start,
                offset: self.downward(u32::from(moved), transfer),
            };
        }
        if !quirks.contains(Quirks::CARRY) {
            return Place {
                start: self.address,
                offset: 0,
            };
        }
        let sign = if self.mode.is_decrement() { -1 } else { 1 };
        Place {
            start: self.step_back(moved),
            offset: sign * i32::from(moved),
        }
    }

    /// Where the block began, in units.
    fn step_back(&self, moved: u16) -> u16 {
        self.step_from(self.address, moved.wrapping_neg())
    }

    fn step_from(&self, address: u16, units: u16) -> u16 {
        if self.mode.is_decrement() {
            address.wrapping_sub(units)
        } else {
            address.wrapping_add(units)
        }
    }

    /// How far from the block's start QEMU finds unit number `moved` of a block that goes down.
    fn downward(&self, moved: u32, transfer: Transfer) -> i32 {
        let first = moved - moved % DOWNWARD_BLOCK;
        let len = (u32::from(self.base_count) + 1)
            .saturating_sub(first)
            .clamp(1, DOWNWARD_BLOCK);
        let within = moved - first;
        let turned = transfer == Transfer::Read && within < len / 2;
        let index = if turned { len - 1 - within } else { within };
        index as i32 - (first + len) as i32
    }
}

/// Where a unit lies: so many units from a start inside the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: u16,
    pub(crate) offset: i32,
}

fn set_byte(value: &mut u16, high: bool, byte: u8) {
    let mut bytes = value.to_le_bytes();
    bytes[usize::from(high)] = byte;
    *value = u16::from_le_bytes(bytes);
}
