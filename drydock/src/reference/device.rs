//! The model of the reference controller.

use super::port::Port;
use super::registers as at;
use longshore_hardware::{AccessError, BusAddress, DmaMemory, Width};
use longshore_models::{Model, Step};

#[derive(Clone, Copy, Debug, Default)]
struct Fragment {
    address: u64,
    len: u32,
}

#[derive(Debug, Default)]
struct Channel {
    port: Port,
    settings: u32,
    status: u32,
    count: u32,
    device_address: u64,
    request_line: u32,
    fragments: [Fragment; at::MOST_FRAGMENTS],
    /// Where the next byte goes: the fragment, and the place in it.
    fragment: usize,
    place: u32,
}

/// The reference controller as hardware: channels that move a few bytes at each step, in turn.
#[derive(Debug)]
pub struct ReferenceDevice {
    channels: Vec<Channel>,
    unit: usize,
    interrupts: bool,
    turn: usize,
}

impl ReferenceDevice {
    /// A device with up to 32 channels that moves up to `unit` bytes at a time, with or without an interrupt
    /// output.
    pub fn new(channels: u32, unit: usize, interrupts: bool) -> Self {
        Self {
            channels: (0..channels.min(32)).map(|_| Channel::default()).collect(),
            unit: unit.max(1),
            interrupts,
            turn: 0,
        }
    }

    /// The far end of a channel. A channel that does not exist has one that nobody uses.
    pub fn port(&self, channel: u32) -> Port {
        self.channels
            .get(channel as usize)
            .map_or_else(Port::default, |channel| channel.port.clone())
    }

    fn pending(&self) -> u32 {
        let asks = |(bit, channel): (usize, &Channel)| u32::from(channel.asks()) << bit;
        self.channels.iter().enumerate().map(asks).sum()
    }
}

impl Channel {
    fn valid(&self) -> &[Fragment] {
        self.fragments.get(..self.count as usize).unwrap_or(&[])
    }

    /// Whether the channel asks for an interrupt.
    fn asks(&self) -> bool {
        self.settings & at::INTERRUPT_ENABLE != 0 && self.status & (at::DONE | at::ERROR) != 0
    }

    fn remaining(&self) -> u32 {
        let ahead = self.valid().iter().skip(self.fragment);
        let left: u64 = ahead.map(|fragment| u64::from(fragment.len)).sum();
        u32::try_from(left.saturating_sub(u64::from(self.place))).unwrap_or(u32::MAX)
    }

    fn command(&mut self, value: u32) {
        if value & at::RESET != 0 {
            *self = Self {
                port: self.port.clone(),
                ..Self::default()
            };
        }
        if value & at::STOP != 0 {
            self.status &= !at::ACTIVE;
        }
        if value & at::START != 0 {
            self.settings = value & (at::LOOP | at::WRITE_TO_DEVICE | at::INTERRUPT_ENABLE);
            self.fragment = 0;
            self.place = 0;
            let sensible = !self.valid().is_empty() && self.remaining() > 0;
            self.status = if sensible { at::ACTIVE } else { at::ERROR };
        }
    }

    fn fail(&mut self) {
        self.status = self.status & !at::ACTIVE | at::ERROR;
    }

    /// Moves one unit. Says whether it did anything.
    fn work(&mut self, memory: &dyn DmaMemory, unit: usize) -> bool {
        if self.status & at::ACTIVE == 0 {
            return false;
        }
        let Some(&Fragment { address, len }) = self.valid().get(self.fragment) else {
            // The list was changed under the running channel.
            self.fail();
            return true;
        };
        let left = len.saturating_sub(self.place);
        if left == 0 {
            self.next_fragment();
            return true;
        }
        let wanted = unit.min(left as usize);
        let count = self.port.before_error(wanted);
        let from = BusAddress::new(address).checked_add(u64::from(self.place));
        match from {
            Some(from) if count > 0 => self.transfer(memory, from, count),
            _ => {
                self.fail();
                true
            }
        }
    }

    fn transfer(&mut self, memory: &dyn DmaMemory, address: BusAddress, count: usize) -> bool {
        let moved = if self.settings & at::WRITE_TO_DEVICE != 0 {
            let mut bytes = vec![0; count];
            memory.read(address, &mut bytes).map(|()| {
                self.port.accept(&bytes);
                count
            })
        } else {
            if !self.port.has_supply() {
                return false;
            }
            let bytes = self.port.peek(count);
            memory.write(address, &bytes).map(|()| {
                self.port.consume(bytes.len());
                bytes.len()
            })
        };
        match moved {
            Ok(moved) => {
                self.place += u32::try_from(moved).unwrap_or(0);
                let full = self
                    .valid()
                    .get(self.fragment)
                    .is_none_or(|fragment| self.place >= fragment.len);
                if full {
                    self.next_fragment();
                }
            }
            Err(_) => self.fail(),
        }
        true
    }

    fn next_fragment(&mut self) {
        self.place = 0;
        self.fragment += 1;
        if self.fragment < self.valid().len() {
            return;
        }
        self.status |= at::DONE;
        if self.settings & at::LOOP != 0 {
            self.fragment = 0;
        } else {
            self.status &= !at::ACTIVE;
        }
    }

    fn read(&self, register: u64, width: Width) -> Result<u64, AccessError> {
        let (value, wants) = match register {
            at::CONTROL => (u64::from(self.settings), Width::Long),
            at::STATUS => (u64::from(self.status), Width::Long),
            at::FRAGMENTS => (u64::from(self.count), Width::Long),
            at::REMAINING => (u64::from(self.remaining()), Width::Long),
            at::DEVICE_ADDRESS => (self.device_address, Width::Quad),
            at::REQUEST_LINE => (u64::from(self.request_line), Width::Long),
            _ => {
                let (index, is_len) = fragment_register(register)?;
                let fragment = self.fragments[index];
                if is_len {
                    (u64::from(fragment.len), Width::Long)
                } else {
                    (fragment.address, Width::Quad)
                }
            }
        };
        if width == wants {
            Ok(value)
        } else {
            Err(AccessError::BadWidth)
        }
    }

    fn write(&mut self, register: u64, width: Width, value: u64) -> Result<(), AccessError> {
        // Reading checks offset and width.
        self.read(register, width)?;
        let long = (value & 0xffff_ffff) as u32;
        match register {
            at::CONTROL => self.command(long),
            at::STATUS => self.status &= !(long & (at::DONE | at::ERROR)),
            at::FRAGMENTS => self.count = long,
            at::REMAINING => {}
            at::DEVICE_ADDRESS => self.device_address = value,
            at::REQUEST_LINE => self.request_line = long,
            _ => match fragment_register(register)? {
                (index, true) => self.fragments[index].len = long,
                (index, false) => self.fragments[index].address = value,
            },
        }
        Ok(())
    }
}

/// Which fragment a register belongs to, and whether it is the length.
fn fragment_register(register: u64) -> Result<(usize, bool), AccessError> {
    let inside = register
        .checked_sub(at::FRAGMENT_TABLE)
        .ok_or(AccessError::NoSuchRegister)?;
    let index = (inside / at::FRAGMENT_STRIDE) as usize;
    match inside % at::FRAGMENT_STRIDE {
        0 if index < at::MOST_FRAGMENTS => Ok((index, false)),
        8 if index < at::MOST_FRAGMENTS => Ok((index, true)),
        _ => Err(AccessError::NoSuchRegister),
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
            (at::CHANNELS, Width::Long) => Ok(self.channels.len() as u64),
            (at::INTERRUPTS | at::CHANNELS, _) => Err(AccessError::BadWidth),
            _ => {
                let (channel, register) = split(offset).ok_or(AccessError::NoSuchRegister)?;
                let channel = self.channels.get(channel).ok_or(AccessError::NoSuchRegister)?;
                channel.read(register, width)
            }
        }
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let (channel, register) = split(offset).ok_or(AccessError::NoSuchRegister)?;
        let channel = self
            .channels
            .get_mut(channel)
            .ok_or(AccessError::NoSuchRegister)?;
        channel.write(register, width, value)
    }

    fn step(&mut self, memory: &dyn DmaMemory) -> Step {
        for _ in 0..self.channels.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.channels.len();
            if self.channels[turn].work(memory, self.unit) {
                return Step::Worked;
            }
        }
        Step::Idle
    }

    fn lines(&self) -> u32 {
        u32::from(self.interrupts && self.pending() != 0)
    }
}
