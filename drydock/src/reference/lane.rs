//! One channel of the model.

use super::port::Port;
use super::registers as at;
use longshore_hardware::{AccessError, BusAddress, DmaMemory, Width};

#[derive(Clone, Copy, Debug, Default)]
struct Fragment {
    address: u64,
    len: u32,
}

/// A channel as the hardware knows it.
#[derive(Debug, Default)]
pub(super) struct Lane {
    settings: u32,
    status: u32,
    count: u32,
    device_address: u64,
    request_line: u32,
    period: u32,
    list: u64,
    /// The fragments are still to be read from memory.
    unread: bool,
    fragments: [Fragment; at::MOST_FRAGMENTS],
    /// Where the next byte goes: the fragment, and the place in it.
    fragment: usize,
    place: u32,
    /// Bytes of this lap so far.
    lap: u32,
    /// It was stopped, and is to say so.
    draining: bool,
}

impl Lane {
    fn valid(&self) -> &[Fragment] {
        self.fragments.get(..self.count as usize).unwrap_or(&[])
    }

    /// Whether the channel asks for an interrupt.
    pub(super) fn asks(&self) -> bool {
        self.settings & at::INTERRUPT_ENABLE != 0 && self.status & (at::DONE | at::ERROR) != 0
    }

    fn remaining(&self) -> u32 {
        if self.unread {
            // It has not looked how long the transfer is, so all of it is left, however much that may be.
            return u32::MAX;
        }
        let ahead = self.valid().iter().skip(self.fragment);
        let left: u64 = ahead.map(|fragment| u64::from(fragment.len)).sum();
        u32::try_from(left.saturating_sub(u64::from(self.place))).unwrap_or(u32::MAX)
    }

    fn rewind(&mut self) {
        (self.fragment, self.place, self.lap) = (0, 0, 0);
    }

    fn command(&mut self, value: u32) {
        if value & at::RESET != 0 {
            *self = Self::default();
        }
        if value & at::STOP != 0 {
            self.draining = value & at::DRAIN != 0 && self.status & at::ACTIVE != 0;
            self.status &= !at::ACTIVE;
            if value & at::REWIND != 0 {
                self.rewind();
            }
        }
        if value & at::START != 0 {
            self.draining = false;
            self.settings = value & (at::LOOP | at::WRITE_TO_DEVICE | at::INTERRUPT_ENABLE | at::STEP);
            self.rewind();
            self.unread = self.list != 0;
            let sensible = self.unread || self.is_sensible();
            self.status = if sensible { at::ACTIVE } else { at::ERROR };
        } else if value & at::STEP != 0 && self.status & at::ERROR == 0 && self.is_sensible() {
            self.status |= at::ACTIVE;
        }
    }

    fn is_sensible(&self) -> bool {
        !self.valid().is_empty() && self.remaining() > 0
    }

    fn fail(&mut self) {
        self.status = self.status & !at::ACTIVE | at::ERROR;
    }

    /// Reads the list, or moves a few bytes. Says whether it did anything.
    pub(super) fn work(&mut self, memory: &dyn DmaMemory, ports: &[Port], burst: usize) -> bool {
        if std::mem::take(&mut self.draining) {
            self.status |= at::DONE;
            return true;
        }
        if self.status & at::ACTIVE == 0 {
            return false;
        }
        if self.unread {
            self.read_list(memory);
            return true;
        }
        let port = ports.get(self.request_line as usize);
        let (Some(port), Some(&Fragment { address, len })) = (port, self.valid().get(self.fragment)) else {
            // No such line, or the list was changed under the running channel.
            self.fail();
            return true;
        };
        let left = len.saturating_sub(self.place);
        if left == 0 {
            self.next_fragment();
            return true;
        }
        let wanted = burst.min(left as usize).min(self.left_of_period() as usize);
        let count = port.before_error(wanted);
        let from = BusAddress::new(address).checked_add(u64::from(self.place));
        match from {
            Some(from) if count > 0 => self.transfer(memory, port, from, count),
            _ => {
                self.fail();
                true
            }
        }
    }

    /// Reads the fragments where they stand in memory, all at once.
    fn read_list(&mut self, memory: &dyn DmaMemory) {
        let mut bytes = [0; at::MOST_FRAGMENTS * at::FRAGMENT_STRIDE as usize];
        let len = self.count as usize * at::FRAGMENT_STRIDE as usize;
        let read = bytes
            .get_mut(..len)
            .is_some_and(|bytes| memory.read(BusAddress::new(self.list), bytes).is_ok());
        self.unread = false;
        for (fragment, bytes) in self
            .fragments
            .iter_mut()
            .zip(bytes.chunks(at::FRAGMENT_STRIDE as usize))
        {
            let word = |from: usize| {
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[from..from + 8]);
                u64::from_le_bytes(word)
            };
            fragment.address = word(0);
            fragment.len = (word(8) & 0xffff_ffff) as u32;
        }
        if !read || !self.is_sensible() {
            self.fail();
        }
    }

    fn left_of_period(&self) -> u32 {
        match self.lap.checked_rem(self.period) {
            Some(done) => self.period - done,
            None => u32::MAX,
        }
    }

    fn transfer(&mut self, memory: &dyn DmaMemory, port: &Port, address: BusAddress, count: usize) -> bool {
        let moved = if self.settings & at::WRITE_TO_DEVICE != 0 {
            let count = port.room(count);
            if count == 0 {
                return false;
            }
            let mut bytes = vec![0; count];
            memory.read(address, &mut bytes).map(|()| {
                port.accept(&bytes);
                count
            })
        } else {
            if !port.has_supply() {
                return false;
            }
            let bytes = port.peek(count);
            memory.write(address, &bytes).map(|()| {
                port.consume(bytes.len());
                bytes.len()
            })
        };
        match moved {
            Ok(moved) => self.advance(u32::try_from(moved).unwrap_or(0)),
            Err(_) => self.fail(),
        }
        true
    }

    fn advance(&mut self, moved: u32) {
        self.place += moved;
        self.lap += moved;
        let end = self.valid().get(self.fragment).map_or(0, |fragment| fragment.len);
        if self.period != 0 && self.lap.is_multiple_of(self.period) && self.remaining() > 0 {
            self.end_period();
        }
        if self.place >= end {
            self.next_fragment();
        }
    }

    fn end_period(&mut self) {
        self.status |= at::DONE;
        if self.settings & at::STEP != 0 {
            self.status &= !at::ACTIVE;
        }
    }

    fn next_fragment(&mut self) {
        self.place = 0;
        self.fragment += 1;
        if self.fragment < self.valid().len() {
            return;
        }
        self.end_period();
        if self.settings & at::LOOP != 0 {
            self.rewind();
        } else {
            self.status &= !at::ACTIVE;
        }
    }

    pub(super) fn read(&self, register: u64, width: Width) -> Result<u64, AccessError> {
        let (value, wants) = match register {
            at::CONTROL => (u64::from(self.settings), Width::Long),
            at::STATUS => (u64::from(self.status), Width::Long),
            at::FRAGMENTS => (u64::from(self.count), Width::Long),
            at::REMAINING => (u64::from(self.remaining()), Width::Long),
            at::DEVICE_ADDRESS => (self.device_address, Width::Quad),
            at::REQUEST_LINE => (u64::from(self.request_line), Width::Long),
            at::PERIOD => (u64::from(self.period), Width::Long),
            at::LIST => (self.list, Width::Quad),
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

    pub(super) fn write(&mut self, register: u64, width: Width, value: u64) -> Result<(), AccessError> {
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
            at::PERIOD => self.period = long,
            at::LIST => self.list = value,
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
