//! SiFive's platform DMA engine: four channels that copy memory.
//!
//! [`Behaviour::Manual`] is the hardware as its manual describes it; where the manual is silent the model does what
//! asks the most of a driver. [`Behaviour::Qemu`] is QEMU's `sifive_u` machine, with what it does differently.

mod channel;
mod state;

use crate::{Model, Step};
use channel::Channel;
use longshore_hardware::pdma::{CHANNEL_STRIDE, CHANNELS, REGISTERS, Row};
use longshore_hardware::{AccessError, DmaMemory, Width};

/// Whose behaviour the model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// The hardware's, as its manual has it.
    Manual,
    /// QEMU's: a transfer is moved at once; a bus error is not told; reads and writes of different sizes end in an
    /// error that goes on running; a repeated transfer is loaded again but does not run again; and the control
    /// register is whatever was written to it.
    Qemu,
}

/// The engine. Its interrupt outputs are numbered as [`longshore_hardware::pdma::done_line`] and
/// [`longshore_hardware::pdma::error_line`] say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdma {
    behaviour: Behaviour,
    unit: u64,
    channels: [Channel; CHANNELS as usize],
    /// Whose turn it is to move bytes.
    turn: usize,
}

/// What an access is to.
struct Target {
    channel: usize,
    row: Row,
    /// How far the bits are shifted: 32 for the upper half of a wide register.
    shift: u32,
}

/// Finds what an access of this width is to.
fn locate(offset: u64, width: Width) -> Result<Target, AccessError> {
    let channel = offset / CHANNEL_STRIDE;
    let inside = offset % CHANNEL_STRIDE;
    let row = REGISTERS
        .iter()
        .find(|row| inside >= row.offset && inside - row.offset < row.width.bytes())
        .filter(|_| channel < u64::from(CHANNELS))
        .ok_or(AccessError::NoSuchRegister)?;
    let shift = match (width, row.width, inside - row.offset) {
        (Width::Long, _, 0) | (Width::Quad, Width::Quad, 0) => 0,
        (Width::Long, Width::Quad, 4) => 32,
        _ => return Err(AccessError::BadWidth),
    };
    Ok(Target {
        channel: channel as usize,
        row: *row,
        shift,
    })
}

/// The bits of an access of this width.
fn mask(width: Width) -> u64 {
    u64::MAX >> (64 - 8 * width.bytes())
}

impl Pdma {
    /// An engine right after a reset that moves up to `unit` bytes of a channel at a time.
    pub fn new(unit: u64, behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            unit: unit.max(1),
            channels: Default::default(),
            turn: 0,
        }
    }
}

impl Model for Pdma {
    fn read(&mut self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let target = locate(offset, width)?;
        let value = self.channels[target.channel].get(target.row.register);
        Ok(value >> target.shift & mask(width))
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let target = locate(offset, width)?;
        let bits = mask(width) << target.shift;
        let channel = &mut self.channels[target.channel];
        let kept = channel.get(target.row.register) & !bits;
        channel.set(
            target.row.register,
            kept | value << target.shift & bits,
            self.behaviour,
        );
        Ok(())
    }

    fn step(&mut self, memory: &dyn DmaMemory) -> Step {
        for _ in 0..self.channels.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.channels.len();
            if self.channels[turn].work(memory, self.unit, self.behaviour) {
                return Step::Worked;
            }
        }
        Step::Idle
    }

    fn lines(&self) -> u32 {
        let asserted = |(number, channel): (usize, &Channel)| channel.asserts() << (2 * number);
        self.channels.iter().enumerate().map(asserted).sum()
    }
}
