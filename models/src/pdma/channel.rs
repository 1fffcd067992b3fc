//! One channel.

use super::Behaviour;
use longshore_hardware::pdma::{Config, Control, Register};
use longshore_hardware::{BusAddress, DmaMemory};

/// What a set of four registers says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) config: Config,
    pub(super) bytes: u64,
    pub(super) destination: u64,
    pub(super) source: u64,
}

impl Transfer {
    /// These bytes are moved.
    fn advance(&mut self, bytes: u64) {
        self.bytes -= bytes;
        self.destination = self.destination.wrapping_add(bytes);
        self.source = self.source.wrapping_add(bytes);
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) control: Control,
    pub(super) next: Transfer,
    pub(super) exec: Transfer,
    /// There are bytes to move. The run bit alone does not say so: see [`Behaviour::Qemu`].
    pub(super) moving: bool,
}

impl Channel {
    pub(super) fn get(&self, register: Register) -> u64 {
        match register {
            Register::Control => u64::from(self.control.bits()),
            Register::NextConfig => u64::from(self.next.config.raw()),
            Register::NextBytes => self.next.bytes,
            Register::NextDestination => self.next.destination,
            Register::NextSource => self.next.source,
            Register::ExecConfig => u64::from(self.exec.config.raw()),
            Register::ExecBytes => self.exec.bytes,
            Register::ExecDestination => self.exec.destination,
            Register::ExecSource => self.exec.source,
        }
    }

    pub(super) fn set(&mut self, register: Register, value: u64, behaviour: Behaviour) {
        let long = (value & 0xffff_ffff) as u32;
        match register {
            Register::Control => self.command(Control::from_bits_retain(long), behaviour),
            Register::NextConfig => self.next.config = Config::from_raw(long),
            Register::NextBytes => self.next.bytes = value,
            Register::NextDestination => self.next.destination = value,
            Register::NextSource => self.next.source = value,
            // Only the channel itself writes what it executes.
            Register::ExecConfig | Register::ExecBytes | Register::ExecDestination | Register::ExecSource => {
            }
        }
    }

    /// Its two interrupt outputs.
    pub(super) fn asserts(&self) -> u32 {
        let both = |bits: Control| u32::from(self.control.contains(bits));
        both(Control::DONE | Control::DONE_INTERRUPT) | both(Control::ERROR | Control::ERROR_INTERRUPT) << 1
    }

    fn command(&mut self, written: Control, behaviour: Behaviour) {
        let before = self.control;
        let (was_claimed, ran) = (before.contains(Control::CLAIM), before.contains(Control::RUN));
        if written.contains(Control::CLAIM) && !was_claimed {
            self.next = Transfer {
                config: Config::CLAIMED,
                ..Transfer::default()
            };
        }
        self.control = match behaviour {
            // Software can take back what is latched, but not make it up.
            Behaviour::Manual => {
                written & (Control::CLAIM | Control::RUN | Control::INTERRUPTS)
                    | written & before & Control::LATCHED
            }
            Behaviour::Qemu => written,
        };
        if ran {
            self.control.insert(Control::CLAIM);
        }
        if !was_claimed || !self.control.contains(Control::CLAIM) {
            self.control.remove(Control::RUN);
        }
        if !self.control.contains(Control::RUN) {
            self.moving = false;
        } else if !ran || behaviour == Behaviour::Qemu {
            self.start(behaviour);
        }
    }

    fn start(&mut self, behaviour: Behaviour) {
        let config = self.next.config;
        if behaviour == Behaviour::Qemu && self.next.bytes != 0 && config.read_size() != config.write_size() {
            self.control.insert(Control::ERROR);
            return;
        }
        self.exec = self.next;
        self.moving = self.exec.bytes != 0;
        if !self.moving {
            self.control.remove(Control::RUN);
            self.control.insert(Control::DONE);
        }
    }

    /// Moves one piece. Says whether there was anything to move.
    pub(super) fn work(&mut self, memory: &dyn DmaMemory, unit: u64, behaviour: Behaviour) -> bool {
        if !self.moving {
            return false;
        }
        let piece = match behaviour {
            Behaviour::Manual => {
                let size = self.exec.config.read_size().min(self.exec.config.write_size());
                self.exec.bytes.min(unit).min(1 << size)
            }
            Behaviour::Qemu => self.exec.bytes,
        };
        let to = BusAddress::new(self.exec.destination);
        let moved = memory.copy(to, BusAddress::new(self.exec.source), piece);
        if moved.is_err() && behaviour == Behaviour::Manual {
            self.stop(Control::ERROR);
            return true;
        }
        self.exec.advance(piece);
        if self.exec.bytes == 0 {
            self.finish(behaviour);
        }
        true
    }

    fn finish(&mut self, behaviour: Behaviour) {
        let again = self.next.config.is_repeated();
        if again {
            self.exec = self.next;
        }
        if again && behaviour == Behaviour::Manual && self.exec.bytes != 0 {
            self.control.insert(Control::DONE);
        } else {
            self.stop(Control::DONE);
        }
    }

    fn stop(&mut self, why: Control) {
        self.moving = false;
        self.control.remove(Control::RUN);
        self.control.insert(why);
    }
}
