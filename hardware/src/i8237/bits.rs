//! The bits of the registers that both controllers have.

use bitflags::bitflags;

bitflags! {
    /// The command register.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Command: u8 {
        /// Channels 0 and 1 work together and copy memory to memory.
        const MEMORY_TO_MEMORY = 0x01;
        /// A memory-to-memory transfer reads the same byte each time.
        const CHANNEL_0_ADDRESS_HOLD = 0x02;
        /// The controller serves nobody.
        const DISABLE = 0x04;
        /// Shorter cycles.
        const COMPRESSED_TIMING = 0x08;
        /// Who was served last has the lowest priority, instead of channel 0 having the highest.
        const ROTATING_PRIORITY = 0x10;
        /// Longer write strobes.
        const EXTENDED_WRITE = 0x20;
        /// A low level on DREQ is a request.
        const DREQ_ACTIVE_LOW = 0x40;
        /// A high level on DACK is an acknowledge.
        const DACK_ACTIVE_HIGH = 0x80;
    }
}

/// Which way a channel moves data, as mode bits 3 and 2 say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// Addresses and counts, but moves nothing.
    Verify,
    /// Device to memory.
    Write,
    /// Memory to device.
    Read,
    /// The fourth value, which means nothing.
    Illegal,
}

/// How long a channel keeps the bus, as mode bits 7 and 6 say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// As long as the device requests.
    Demand,
    /// One unit.
    Single,
    /// To the end of the block, whether the device goes on requesting or not.
    Block,
    /// Somebody else moves data: the channel only passes request and acknowledge on.
    Cascade,
}

/// What is written to the mode register: one channel's mode, and which channel that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mode(u8);

impl Mode {
    /// Begin again with the base address and count when the block is done.
    pub const AUTOINITIALIZE: u8 = 0x10;
    /// Go down in memory.
    pub const DECREMENT: u8 = 0x20;

    /// The mode with these bits.
    pub const fn from_raw(raw: u8) -> Self {
        Self(raw)
    }

    /// A mode that goes up in memory and stops at the end of the block.
    pub const fn new(channel: u8, transfer: Transfer, service: Service) -> Self {
        Self(channel & 3 | (transfer as u8) << 2 | (service as u8) << 6)
    }

    /// The same mode, beginning again at the end of the block.
    #[must_use]
    pub const fn autoinitialize(self) -> Self {
        Self(self.0 | Self::AUTOINITIALIZE)
    }

    /// The same mode, going down in memory.
    #[must_use]
    pub const fn decrement(self) -> Self {
        Self(self.0 | Self::DECREMENT)
    }

    /// The bits.
    pub const fn raw(self) -> u8 {
        self.0
    }

    /// Which channel of its controller is meant.
    pub const fn channel(self) -> u8 {
        self.0 & 3
    }

    /// Which way it moves data.
    pub const fn transfer(self) -> Transfer {
        match self.0 >> 2 & 3 {
            0 => Transfer::Verify,
            1 => Transfer::Write,
            2 => Transfer::Read,
            _ => Transfer::Illegal,
        }
    }

    /// How long it keeps the bus.
    pub const fn service(self) -> Service {
        match self.0 >> 6 {
            0 => Service::Demand,
            1 => Service::Single,
            2 => Service::Block,
            _ => Service::Cascade,
        }
    }

    /// Whether it begins again at the end of the block.
    pub const fn is_autoinitialize(self) -> bool {
        self.0 & Self::AUTOINITIALIZE != 0
    }

    /// Whether it goes down in memory.
    pub const fn is_decrement(self) -> bool {
        self.0 & Self::DECREMENT != 0
    }
}

/// What is written to the request and to the single mask register: a channel's bit, set or cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelBit(u8);

impl ChannelBit {
    /// The value with these bits.
    pub const fn from_raw(raw: u8) -> Self {
        Self(raw)
    }

    /// Sets the channel's bit: requests, or masks.
    pub const fn set(channel: u8) -> Self {
        Self(channel & 3 | 4)
    }

    /// Clears the channel's bit.
    pub const fn clear(channel: u8) -> Self {
        Self(channel & 3)
    }

    /// The bits.
    pub const fn raw(self) -> u8 {
        self.0
    }

    /// Which channel of its controller is meant.
    pub const fn channel(self) -> u8 {
        self.0 & 3
    }

    /// Whether the bit is set.
    pub const fn is_set(self) -> bool {
        self.0 & 4 != 0
    }
}

/// What the status register says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(u8);

impl Status {
    /// The status with these bits.
    pub const fn from_raw(raw: u8) -> Self {
        Self(raw)
    }

    /// The bits.
    pub const fn raw(self) -> u8 {
        self.0
    }

    /// Whether the channel came to the end of a block since the status was last read.
    pub const fn is_done(self, channel: u8) -> bool {
        self.0 & 1 << (channel & 3) != 0
    }

    /// Whether the channel is requested now, masked or not.
    pub const fn is_requested(self, channel: u8) -> bool {
        self.0 & 0x10 << (channel & 3) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 8237A, "Mode Register": the bytes that every driver writes.
    #[test]
    fn modes_have_the_data_sheet_s_bits() {
        assert_eq!(Mode::new(2, Transfer::Write, Service::Single).raw(), 0x46);
        assert_eq!(Mode::new(2, Transfer::Read, Service::Single).raw(), 0x4a);
        assert_eq!(
            Mode::new(5, Transfer::Read, Service::Single)
                .autoinitialize()
                .raw(),
            0x59
        );
        assert_eq!(
            Mode::new(3, Transfer::Verify, Service::Block).decrement().raw(),
            0xa3
        );
        assert_eq!(Mode::new(4, Transfer::Verify, Service::Cascade).raw(), 0xc0);
        for raw in 0..=u8::MAX {
            let mode = Mode::from_raw(raw);
            let mut again = Mode::new(mode.channel(), mode.transfer(), mode.service());
            if mode.is_autoinitialize() {
                again = again.autoinitialize();
            }
            if mode.is_decrement() {
                again = again.decrement();
            }
            assert_eq!(again, mode);
        }
    }
}
