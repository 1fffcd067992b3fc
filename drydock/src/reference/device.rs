//! The model of the reference controller.

use super::lane::Lane;
use super::options::{Interrupts, Options};
use super::port::Port;
use super::registers as at;
use longshore_hardware::{AccessError, DmaMemory, Width};
use longshore_models::{Model, Step};

/// The reference controller as hardware: channels that move a few bytes at each step, in turn, between memory and the
/// devices on its request lines.
#[derive(Debug)]
pub struct ReferenceDevice {
    lanes: Vec<Lane>,
    /// The device on each request line.
    ports: Vec<Port>,
    burst: usize,
    interrupts: Interrupts,
    turn: usize,
}

impl ReferenceDevice {
    /// A device like this. It has no cancel style: that is its driver's.
    pub fn new(options: Options) -> Self {
        let channels = options.channels.min(32);
        Self {
            lanes: (0..channels).map(|_| Lane::default()).collect(),
            ports: (0..channels).map(|_| Port::default()).collect(),
            burst: options.burst.max(1) as usize,
            interrupts: options.interrupts,
            turn: 0,
        }
    }

    /// The far end of a request line, as the hardware counts them. A line that does not exist has one that nobody
    /// uses.
    pub fn port(&self, line: u32) -> Port {
        self.ports.get(line as usize).cloned().unwrap_or_default()
    }

    fn pending(&self) -> u32 {
        let asks = |(bit, lane): (usize, &Lane)| u32::from(lane.asks()) << bit;
        self.lanes.iter().enumerate().map(asks).sum()
    }
}

/// Which channel a register belongs to, and where it is in it.
fn split(offset: u64) -> Option<(usize, u64)> {
    let inside = offset.checked_sub(at::FIRST_CHANNEL)?;
    let channel = usize::try_from(inside / at::CHANNEL_STRIDE).ok()?;
    Some((channel, inside % at::CHANNEL_STRIDE))
}

impl Model for ReferenceDevice {
    fn read(&mut self, offset: u64, width: Width) -> Result<u64, AccessError> {
        match (offset, width) {
            (at::INTERRUPTS, Width::Long) => Ok(u64::from(self.pending())),
            (at::CHANNELS, Width::Long) => Ok(self.lanes.len() as u64),
            (at::INTERRUPTS | at::CHANNELS, _) => Err(AccessError::BadWidth),
            _ => {
                let (channel, register) = split(offset).ok_or(AccessError::NoSuchRegister)?;
                let lane = self.lanes.get(channel).ok_or(AccessError::NoSuchRegister)?;
                lane.read(register, width)
            }
        }
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let (channel, register) = split(offset).ok_or(AccessError::NoSuchRegister)?;
        let lane = self.lanes.get_mut(channel).ok_or(AccessError::NoSuchRegister)?;
        lane.write(register, width, value)
    }

    fn step(&mut self, memory: &dyn DmaMemory) -> Step {
        for _ in 0..self.lanes.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.lanes.len();
            if self.lanes[turn].work(memory, &self.ports, self.burst) {
                return Step::Worked;
            }
        }
        Step::Idle
    }

    fn lines(&self) -> u32 {
        match self.interrupts {
            Interrupts::None => 0,
            Interrupts::Controller => u32::from(self.pending() != 0),
            Interrupts::Channels => self.pending(),
        }
    }
}
