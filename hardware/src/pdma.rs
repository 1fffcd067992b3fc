//! The platform DMA engine (PDMA) of SiFive's FU540: four channels that copy memory, with two interrupts each.
//!
//! Registers take accesses of four bytes, and 64-bit ones also of eight.

use crate::registers::Width;
use bitflags::bitflags;

/// How many channels there are.
pub const CHANNELS: u32 = 4;

/// How far apart the channels' registers are.
pub const CHANNEL_STRIDE: u64 = 0x1000;

/// How many interrupt outputs there are: two for each channel.
pub const LINES: u32 = 2 * CHANNELS;

/// The log2 of the largest transaction, in bytes.
pub const MOST_SIZE: u32 = 6;

/// A channel's register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Register {
    /// Commands and status ([`Control`]).
    Control,
    /// How the next transfer goes ([`Config`]).
    NextConfig,
    /// How many bytes the next transfer has.
    NextBytes,
    /// Where the next transfer writes.
    NextDestination,
    /// Where the next transfer reads.
    NextSource,
    /// How this transfer goes.
    ExecConfig,
    /// How many bytes this transfer has left.
    ExecBytes,
    /// Where this transfer writes next.
    ExecDestination,
    /// Where this transfer reads next.
    ExecSource,
}

/// A row of the register map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The register.
    pub register: Register,
    /// Where it is, from its channel's first.
    pub offset: u64,
    /// How wide it is.
    pub width: Width,
    /// Whether software can change it.
    pub writable: bool,
}

const fn row(register: Register, offset: u64, width: Width, writable: bool) -> Row {
    Row {
        register,
        offset,
        width,
        writable,
    }
}

/// A channel's registers, in order of their offsets.
pub const REGISTERS: [Row; 9] = [
    row(Register::Control, 0x000, Width::Long, true),
    row(Register::NextConfig, 0x004, Width::Long, true),
    row(Register::NextBytes, 0x008, Width::Quad, true),
    row(Register::NextDestination, 0x010, Width::Quad, true),
    row(Register::NextSource, 0x018, Width::Quad, true),
    row(Register::ExecConfig, 0x104, Width::Long, false),
    row(Register::ExecBytes, 0x108, Width::Quad, false),
    row(Register::ExecDestination, 0x110, Width::Quad, false),
    row(Register::ExecSource, 0x118, Width::Quad, false),
];

impl Register {
    /// The register's row of the map.
    pub const fn row(self) -> Row {
        REGISTERS[self as usize]
    }

    /// Where a channel has this register.
    pub const fn of(self, channel: u32) -> u64 {
        channel as u64 * CHANNEL_STRIDE + self.row().offset
    }
}

/// The interrupt output that says that a channel is done.
pub const fn done_line(channel: u32) -> u32 {
    channel * 2
}

/// The interrupt output that says that a channel failed.
pub const fn error_line(channel: u32) -> u32 {
    channel * 2 + 1
}

bitflags! {
    /// The control register.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Control: u32 {
        /// The channel is somebody's. Setting it clears the channel's `Next` registers; it can be cleared only while
        /// the channel does not run.
        const CLAIM = 1 << 0;
        /// The channel runs. Setting it starts what the `Next` registers say, if the channel was claimed before.
        const RUN = 1 << 1;
        /// Being done interrupts.
        const DONE_INTERRUPT = 1 << 14;
        /// An error interrupts.
        const ERROR_INTERRUPT = 1 << 15;
        /// A transfer has come to its end. Stays until software writes a zero.
        const DONE = 1 << 30;
        /// A transfer has failed. Stays until software writes a zero.
        const ERROR = 1 << 31;
    }
}

impl Control {
    /// What stays latched until software takes it back.
    pub const LATCHED: Self = Self::DONE.union(Self::ERROR);

    /// Both interrupts.
    pub const INTERRUPTS: Self = Self::DONE_INTERRUPT.union(Self::ERROR_INTERRUPT);
}

/// The configuration of a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Config(u32);

impl Config {
    /// Start over at the end.
    pub const REPEAT: u32 = 1 << 2;
    /// One read and one write in flight at the most.
    pub const ORDER: u32 = 1 << 3;

    /// What a channel has right after it was claimed: the largest transactions.
    pub const CLAIMED: Self = Self::new(MOST_SIZE);

    /// A transfer once, in reads and writes of two to the power of `size` bytes.
    pub const fn new(size: u32) -> Self {
        Self((size & 0xf) << 24 | (size & 0xf) << 28)
    }

    /// The configuration with these bits.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The same, in order.
    #[must_use]
    pub const fn ordered(self) -> Self {
        Self(self.0 | Self::ORDER)
    }

    /// The same, over and over.
    #[must_use]
    pub const fn repeated(self) -> Self {
        Self(self.0 | Self::REPEAT)
    }

    /// The bits.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Whether it starts over at the end.
    pub const fn is_repeated(self) -> bool {
        self.0 & Self::REPEAT != 0
    }

    /// The log2 of a write's bytes.
    pub const fn write_size(self) -> u32 {
        self.0 >> 24 & 0xf
    }

    /// The log2 of a read's bytes.
    pub const fn read_size(self) -> u32 {
        self.0 >> 28
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FU540-C000 manual, chapter 12: memory map, control and configuration bits.
    #[test]
    fn the_map_is_the_manual_s() {
        for (number, row) in REGISTERS.iter().enumerate() {
            assert_eq!(row.register as usize, number);
            assert_eq!(row.register.row(), *row);
            assert_eq!(row.offset % row.width.bytes(), 0);
            assert_eq!(row.writable, row.offset < 0x100);
        }
        assert_eq!(Register::NextDestination.of(0), 0x10);
        assert_eq!(Register::ExecSource.of(3), 0x3118);
        assert_eq!((done_line(3), error_line(3)), (6, LINES - 1));
        assert_eq!((Control::CLAIM | Control::RUN).bits(), 3);
        assert_eq!(Control::INTERRUPTS.bits(), 0xc000);
        assert_eq!(Control::LATCHED.bits(), 0xc000_0000);
        assert_eq!(Config::CLAIMED.raw(), 0x6600_0000);
    }

    #[test]
    fn a_configuration_reads_back() {
        let config = Config::new(3).ordered().repeated();
        assert_eq!(config.raw(), 0x3300_000c);
        assert!(config.is_repeated());
        assert_eq!((config.read_size(), config.write_size()), (3, 3));
        let mixed = Config::from_raw(0x5200_0000);
        assert_eq!((mixed.read_size(), mixed.write_size()), (5, 2));
        assert!(!mixed.is_repeated());
    }
}
