//! The 8237A DMA controller, and the pair of them in an AT: ports, registers, bits.
//!
//! Offsets are I/O port numbers, and every access is one byte wide. A name on the left is the data sheet's own;
//! where it says "write transfer" the *memory* is written, that is, data comes from the device.

mod bits;

pub use bits::{ChannelBit, Command, Mode, Service, Status, Transfer};

/// Channels of the pair, the one that links the two controllers included.
pub const CHANNELS: u8 = 8;

/// The channel through which controller 1 asks controller 2 for the bus. No device can use it.
pub const CASCADE_CHANNEL: u8 = 4;

/// The channels a device can use, in the order in which they are served while both controllers have fixed priority.
pub const SYSTEM_PRIORITY: [u8; 7] = [0, 1, 2, 3, 5, 6, 7];

/// Units (bytes, on channels 5 to 7 words) one set-up moves at the most.
pub const MAX_UNITS: u32 = 0x1_0000;

/// The first address that the 8 bits of a page register cannot reach.
pub const REACH: u64 = 1 << 24;

/// The first address that page and high page register together cannot reach.
pub const HIGH_REACH: u64 = 1 << 32;

/// Port of the first page register. There are sixteen; the ones without a channel are memory of one byte each.
pub const PAGE_BASE: u16 = 0x80;

/// Port of the first high page register, where a machine has them.
pub const HIGH_PAGE_BASE: u16 = 0x480;

/// Ports from a page register to the high page register of the same channel.
pub const HIGH_PAGE_DISTANCE: u16 = HIGH_PAGE_BASE - PAGE_BASE;

/// Page register of each channel; that of the cascade channel is used by memory refresh.
pub const PAGE_PORTS: [u16; CHANNELS as usize] = [0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a];

/// One of the two controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Controller {
    /// Channels 0 to 3: addresses and counts are in bytes, a page has 64 KiB.
    First,
    /// Channels 4 to 7: addresses and counts are in 16-bit words, a page has 128 KiB.
    Second,
}

impl Controller {
    /// Whose channel this is. Of a number above 7 only the low three bits count.
    pub const fn of(channel: u8) -> Self {
        if channel & 4 == 0 {
            Self::First
        } else {
            Self::Second
        }
    }

    /// Port of the controller's first register.
    pub const fn base(self) -> u16 {
        match self {
            Self::First => 0x00,
            Self::Second => 0xc0,
        }
    }

    /// Ports from one register to the next.
    pub const fn stride(self) -> u16 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }

    /// Port of the register with this number (see [`register`]).
    pub const fn port(self, register: u8) -> u16 {
        self.base() + (register & 0xf) as u16 * self.stride()
    }

    /// How far an address or count of one is to be shifted left to be in bytes.
    pub const fn unit_shift(self) -> u32 {
        self.stride() as u32 - 1
    }

    /// Bytes of one unit.
    pub const fn unit(self) -> u64 {
        1 << self.unit_shift()
    }

    /// Bytes of a page: an address never leaves its page, and a transfer must fit into one.
    pub const fn page_size(self) -> u64 {
        0x1_0000 << self.unit_shift()
    }

    /// The bits of a page register that become part of the address: controller 2 ignores the lowest.
    pub const fn page_mask(self) -> u8 {
        !(self.stride() as u8 - 1)
    }
}

/// Port of a channel's address register. Two accesses, low byte first.
pub const fn address_port(channel: u8) -> u16 {
    Controller::of(channel).port(register::address(channel))
}

/// Port of a channel's count register: units minus one. Two accesses, low byte first.
pub const fn count_port(channel: u8) -> u16 {
    Controller::of(channel).port(register::count(channel))
}

/// Port of a channel's page register. Of a number above 7 only the low three bits count.
pub const fn page_port(channel: u8) -> u16 {
    PAGE_PORTS[(channel & 7) as usize]
}

/// Port of a channel's high page register, where a machine has them.
pub const fn high_page_port(channel: u8) -> u16 {
    page_port(channel) + HIGH_PAGE_DISTANCE
}

/// Numbers of a controller's registers.
pub mod register {
    /// Read: what happened and who asks ([`Status`](super::Status)). Reading clears the low half.
    pub const STATUS: u8 = 0x8;
    /// Write: how the controller works ([`Command`](super::Command)).
    pub const COMMAND: u8 = 0x8;
    /// Write: a request by software ([`ChannelBit`](super::ChannelBit)).
    pub const REQUEST: u8 = 0x9;
    /// Write: one channel's mask ([`ChannelBit`](super::ChannelBit)).
    pub const SINGLE_MASK: u8 = 0xa;
    /// Write: one channel's mode ([`Mode`](super::Mode)).
    pub const MODE: u8 = 0xb;
    /// Write, any value: the next access to an address or count is to its low byte.
    pub const CLEAR_FLIP_FLOP: u8 = 0xc;
    /// Read: the last byte that a memory-to-memory transfer moved.
    pub const TEMPORARY: u8 = 0xd;
    /// Write, any value: the same as a reset of the hardware.
    pub const MASTER_CLEAR: u8 = 0xd;
    /// Write, any value: no channel is masked.
    pub const CLEAR_ALL_MASKS: u8 = 0xe;
    /// Write: the four masks, one bit each.
    pub const ALL_MASKS: u8 = 0xf;

    /// The address register of a channel of its controller.
    pub const fn address(channel: u8) -> u8 {
        (channel & 3) * 2
    }

    /// The count register of a channel of its controller.
    pub const fn count(channel: u8) -> u8 {
        (channel & 3) * 2 + 1
    }
}

/// A row of the register map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The register's number.
    pub register: u8,
    /// What reading it gives, or `None` where the data sheet calls a read illegal.
    pub read: Option<&'static str>,
    /// What writing it sets.
    pub write: &'static str,
}

const fn row(register: u8, read: Option<&'static str>, write: &'static str) -> Row {
    Row {
        register,
        read,
        write,
    }
}

/// A controller's registers, in order of their numbers.
pub const REGISTERS: [Row; 16] = [
    row(
        0x0,
        Some("channel 0 current address"),
        "channel 0 base and current address",
    ),
    row(
        0x1,
        Some("channel 0 current count"),
        "channel 0 base and current count",
    ),
    row(
        0x2,
        Some("channel 1 current address"),
        "channel 1 base and current address",
    ),
    row(
        0x3,
        Some("channel 1 current count"),
        "channel 1 base and current count",
    ),
    row(
        0x4,
        Some("channel 2 current address"),
        "channel 2 base and current address",
    ),
    row(
        0x5,
        Some("channel 2 current count"),
        "channel 2 base and current count",
    ),
    row(
        0x6,
        Some("channel 3 current address"),
        "channel 3 base and current address",
    ),
    row(
        0x7,
        Some("channel 3 current count"),
        "channel 3 base and current count",
    ),
    row(0x8, Some("status"), "command"),
    row(0x9, None, "request"),
    row(0xa, None, "single mask bit"),
    row(0xb, None, "mode"),
    row(0xc, None, "clear byte pointer flip-flop"),
    row(0xd, Some("temporary"), "master clear"),
    row(0xe, None, "clear mask"),
    row(0xf, None, "all mask bits"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// AT technical reference, I/O address map; 8237A, "Software Command Codes".
    #[test]
    fn ports_are_those_of_the_at() {
        assert_eq!(
            core::array::from_fn(|n| address_port(n as u8)),
            [0, 2, 4, 6, 0xc0, 0xc4, 0xc8, 0xcc]
        );
        assert_eq!(
            core::array::from_fn(|n| count_port(n as u8)),
            [1, 3, 5, 7, 0xc2, 0xc6, 0xca, 0xce]
        );
        assert_eq!((page_port(2), high_page_port(2)), (0x81, 0x481));
        assert_eq!(Controller::First.port(register::MODE), 0x0b);
        assert_eq!(Controller::Second.port(register::MODE), 0xd6);
        assert_eq!(Controller::Second.port(register::ALL_MASKS), 0xde);
        assert_eq!(
            (Controller::First.page_mask(), Controller::Second.page_mask()),
            (0xff, 0xfe)
        );
    }

    /// 8237A, "Definition of Register Codes": what can only be written.
    #[test]
    fn the_table_stands_in_order() {
        for (number, row) in REGISTERS.iter().enumerate() {
            assert_eq!(usize::from(row.register), number);
        }
        let illegal = REGISTERS
            .iter()
            .filter(|row| row.read.is_none())
            .map(|row| row.register);
        assert!(illegal.eq([0x9, 0xa, 0xb, 0xc, 0xe, 0xf]));
    }
}
