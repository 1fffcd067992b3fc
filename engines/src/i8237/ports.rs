//! The ports of the pair: each access in the order the hardware asks for.

use longshore_hardware::i8237::{
    CASCADE_CHANNEL, ChannelBit, Controller, Mode, Service, Status, Transfer, address_port, count_port,
    high_page_port, page_port, register,
};
use longshore_hardware::{AccessError, Registers, Width};

/// How often a count is read before it is said to be unreadable. Two readings in a row differ in their high byte
/// once in 256 transfers, so this is more than ever happens.
const PATIENCE: u32 = 16;

/// A block as the registers hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// In units.
    pub(super) address: u16,
    /// Units minus one.
    pub(super) count: u16,
    pub(super) page: u8,
    /// Written only where the machine has high pages.
    pub(super) high_page: u8,
}

/// Which of the two a channel belongs to.
pub(super) const fn controller(channel: u8) -> Controller {
    Controller::of(channel)
}

#[derive(Debug)]
pub(super) struct Ports<R> {
    registers: R,
    high_pages: bool,
}

impl<R: Registers> Ports<R> {
    pub(super) const fn new(registers: R, high_pages: bool) -> Self {
        Self {
            registers,
            high_pages,
        }
    }

    pub(super) const fn high_pages(&self) -> bool {
        self.high_pages
    }

    fn read(&self, port: u16) -> Result<u8, AccessError> {
        let value = self.registers.read(u64::from(port), Width::Byte)?;
        Ok((value & 0xff) as u8)
    }

    fn write(&self, port: u16, value: u8) -> Result<(), AccessError> {
        self.registers
            .write(u64::from(port), Width::Byte, u64::from(value))
    }

    fn command(&self, channel: u8, register: u8, value: u8) -> Result<(), AccessError> {
        self.write(controller(channel).port(register), value)
    }

    pub(super) fn mask(&self, channel: u8) -> Result<(), AccessError> {
        self.command(channel, register::SINGLE_MASK, ChannelBit::set(channel).raw())
    }

    pub(super) fn unmask(&self, channel: u8) -> Result<(), AccessError> {
        self.command(channel, register::SINGLE_MASK, ChannelBit::clear(channel).raw())
    }

    pub(super) fn set_mode(&self, channel: u8, mode: Mode) -> Result<(), AccessError> {
        self.command(channel, register::MODE, mode.raw())
    }

    /// The next access to one of the controller's addresses and counts is to its low byte.
    fn clear_flip_flop(&self, channel: u8) -> Result<(), AccessError> {
        self.command(channel, register::CLEAR_FLIP_FLOP, 0)
    }

    /// Low byte, high byte: the flip-flop is where it was afterwards.
    fn write_pair(&self, port: u16, value: u16) -> Result<(), AccessError> {
        let [low, high] = value.to_le_bytes();
        self.write(port, low)?;
        self.write(port, high)
    }

    fn read_pair(&self, port: u16) -> Result<u16, AccessError> {
        Ok(u16::from_le_bytes([self.read(port)?, self.read(port)?]))
    }

    /// Brings both controllers into the state after power-on, with controller 1 passed on through controller 2.
    pub(super) fn reset(&self) -> Result<(), AccessError> {
        for first in [0, CASCADE_CHANNEL] {
            self.command(first, register::ALL_MASKS, 0x0f)?;
            self.command(first, register::MASTER_CLEAR, 0)?;
        }
        let cascade = Mode::new(CASCADE_CHANNEL, Transfer::Verify, Service::Cascade);
        self.set_mode(CASCADE_CHANNEL, cascade)?;
        self.unmask(CASCADE_CHANNEL)
    }

    /// Writes what a masked channel is to do. Says whether the hardware holds it now.
    pub(super) fn load(&self, channel: u8, mode: Mode, block: Block) -> Result<bool, AccessError> {
        self.clear_flip_flop(channel)?;
        self.set_mode(channel, mode)?;
        self.write_pair(address_port(channel), block.address)?;
        self.write(page_port(channel), block.page)?;
        if self.high_pages {
            self.write(high_page_port(channel), block.high_page)?;
        }
        self.write_pair(count_port(channel), block.count)?;
        let held = (
            self.read_pair(address_port(channel))?,
            self.read_pair(count_port(channel))?,
        );
        // Both cannot be all ones: a whole page begins at its start. So nobody's answer is no answer.
        Ok(held == (block.address, block.count))
    }

    /// What a channel's controller has to say, or `None` if nobody answers. It can be asked only once: reading clears
    /// it.
    pub(super) fn status(&self, channel: u8) -> Option<Status> {
        let port = controller(channel).port(register::STATUS);
        let status = self.read(port).ok()?;
        // Four ends and four requests at once are rare but possible; then the ends are gone when it is asked again.
        let answers = status != 0xff || self.read(port).is_ok_and(|again| again != 0xff);
        answers.then_some(Status::from_raw(status))
    }

    /// The current count, while it may be counting. The first of two readings with the same high byte may have lost
    /// its low byte's borrow, but not the second.
    pub(super) fn count(&self, channel: u8) -> Option<u16> {
        let mut before = None;
        for _ in 0..PATIENCE {
            self.clear_flip_flop(channel).ok()?;
            let count = self.read_pair(count_port(channel)).ok()?;
            let high = count >> 8;
            if before == Some(high) {
                return Some(count);
            }
            before = Some(high);
        }
        None
    }
}
