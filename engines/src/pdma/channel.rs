//! One channel: what the driver knows of it, and the order in which its registers are touched.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use longshore_hardware::pdma::{Config, Control, MOST_SIZE, Register};
use longshore_hardware::{AccessError, BusAddress, Registers};
use longshore_wdm::ProgramError;

/// How often a channel is looked at before it is said not to stop.
const PATIENCE: u32 = 1_000;

/// How a transfer ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Failed,
}

/// Its words are atomic only because calls take `&self`: they are serialised.
#[derive(Debug)]
pub(super) struct Channel {
    number: u32,
    /// A transfer was started, and its end was neither told nor made by a cancel.
    active: AtomicBool,
    /// How many bytes of it were left when that was last known. The hardware's count is not trusted to survive a
    /// stop (RL-21).
    left: AtomicU32,
}

/// A device that is gone reads as all ones, also where the bits in between are reserved and read as zero.
fn answer(value: u64) -> Option<Control> {
    let value = (value & 0xffff_ffff) as u32;
    (value != u32::MAX).then(|| Control::from_bits_retain(value))
}

/// The largest transactions that all of a copy consists of. The width of the device's port, a mere hint, says
/// nothing where the device is memory.
fn transaction_size(source: BusAddress, destination: BusAddress, bytes: u32) -> u32 {
    let aligned = source.raw() | destination.raw() | u64::from(bytes);
    aligned.trailing_zeros().min(MOST_SIZE)
}

impl Channel {
    pub(super) fn new(number: u32) -> Self {
        Self {
            number,
            active: AtomicBool::new(false),
            left: AtomicU32::new(0),
        }
    }

    fn set(&self, registers: &impl Registers, register: Register, value: u64) -> Result<(), AccessError> {
        registers.write(register.of(self.number), register.row().width, value)
    }

    fn command(&self, registers: &impl Registers, value: Control) -> Result<(), AccessError> {
        self.set(registers, Register::Control, u64::from(value.bits()))
    }

    /// Writes the control register where nothing can be done about a failure.
    fn try_command(&self, registers: &impl Registers, value: Control) {
        let _ = self.command(registers, value);
    }

    /// What the channel does, or `None` if it does not answer.
    fn control(&self, registers: &impl Registers) -> Option<Control> {
        let row = Register::Control.row();
        let value = registers
            .read(Register::Control.of(self.number), row.width)
            .ok()?;
        answer(value)
    }

    /// Looks until the channel has stopped, but not for ever.
    fn wait_for_stop(&self, registers: &impl Registers) -> Option<Control> {
        let mut control = self.control(registers)?;
        for _ in 0..PATIENCE {
            if !control.contains(Control::RUN) {
                break;
            }
            control = self.control(registers)?;
        }
        Some(control)
    }

    /// Takes the channel from whatever state it is in to one that nobody has claimed (PAIN-01, PAIN-03).
    pub(super) fn reset(&self, registers: &impl Registers) {
        // The claim stays until the channel has stopped, so it takes a second write to drop it.
        self.try_command(registers, Control::empty());
        let _ = self.wait_for_stop(registers);
        self.try_command(registers, Control::empty());
        self.active.store(false, Ordering::Relaxed);
        self.left.store(0, Ordering::Relaxed);
    }

    pub(super) fn program(
        &self,
        registers: &impl Registers,
        source: BusAddress,
        destination: BusAddress,
        bytes: u32,
    ) -> Result<(), ProgramError> {
        if self.active.load(Ordering::Relaxed) {
            return Err(ProgramError::NoChannel);
        }
        self.reset(registers);
        self.try_command(registers, Control::CLAIM);
        match self.control(registers) {
            None => return Err(ProgramError::Gone),
            Some(Control::CLAIM) => {}
            // It could not be stopped.
            Some(_) => return Err(ProgramError::NoChannel),
        }
        let started = self.start(registers, source, destination, bytes);
        started.map_err(|_| {
            self.reset(registers);
            ProgramError::Gone
        })
    }

    fn start(
        &self,
        registers: &impl Registers,
        source: BusAddress,
        destination: BusAddress,
        bytes: u32,
    ) -> Result<(), AccessError> {
        // In order: with one access in flight at the most, a channel that has stopped is quiet.
        let config = Config::new(transaction_size(source, destination, bytes)).ordered();
        self.set(registers, Register::NextConfig, u64::from(config.raw()))?;
        self.set(registers, Register::NextBytes, u64::from(bytes))?;
        self.set(registers, Register::NextDestination, destination.raw())?;
        self.set(registers, Register::NextSource, source.raw())?;
        self.left.store(bytes, Ordering::Relaxed);
        self.active.store(true, Ordering::Relaxed);
        self.command(registers, Control::CLAIM | Control::RUN | Control::INTERRUPTS)
    }

    /// How many bytes are left. Only the lower half of the count is read: no transfer is longer, and one access
    /// cannot tear. A count that cannot be is not believed; what was known before is.
    pub(super) fn remaining(&self, registers: &impl Registers) -> u32 {
        let known = self.left.load(Ordering::Relaxed);
        if !self.active.load(Ordering::Relaxed) {
            return known;
        }
        let at = Register::ExecBytes.of(self.number);
        let count = registers.read(at, Register::Control.row().width);
        let left = count.ok().and_then(|count| u32::try_from(count).ok());
        let left = left.map_or(known, |left| left.min(known));
        self.left.store(left, Ordering::Relaxed);
        left
    }

    /// Takes back what the channel has latched, and says how its transfer ended. What is latched without a transfer
    /// is left over from a cancel: it is taken back too, and that is all (WDM-316).
    pub(super) fn acknowledge(&self, registers: &impl Registers) -> Option<End> {
        let latched = self.control(registers)? & Control::LATCHED;
        if latched.is_empty() {
            return None;
        }
        // What is left of a transfer that failed is asked while the transfer is still known.
        self.remaining(registers);
        // Without run too: there is hardware that reports an error and goes on running.
        self.try_command(registers, Control::CLAIM);
        if !self.active.swap(false, Ordering::Relaxed) {
            return None;
        }
        if latched.contains(Control::ERROR) {
            return Some(End::Failed);
        }
        self.left.store(0, Ordering::Relaxed);
        Some(End::Done)
    }

    /// Stops the channel. True: it ran, latched nothing, and will not any more.
    pub(super) fn cancel(&self, registers: &impl Registers) -> bool {
        if !self.active.load(Ordering::Relaxed) {
            return false;
        }
        let Some(before) = self.control(registers) else {
            return self.give_up();
        };
        if before.intersects(Control::LATCHED) {
            return false;
        }
        // The latched bits are written as ones, so that an end in this very moment is not taken back unseen.
        let stop = Control::CLAIM | Control::INTERRUPTS | Control::LATCHED;
        self.try_command(registers, stop);
        let Some(after) = self.wait_for_stop(registers) else {
            return self.give_up();
        };
        if after.contains(Control::RUN) {
            // It goes on, and its memory with it: its own end is the only one there can be.
            return false;
        }
        let left = self.remaining(registers);
        let ended = match after & Control::LATCHED {
            // A transfer does not end both ways: this is hardware that latches what is written. The count tells.
            both if both == Control::LATCHED => left == 0,
            latched => !latched.is_empty(),
        };
        if ended {
            self.keep_one_end(registers, after);
            return false;
        }
        self.try_command(registers, Control::CLAIM);
        self.give_up()
    }

    /// Whether it moves nothing any more. Hardware that is gone does not.
    pub(super) fn is_quiet(&self, registers: &impl Registers) -> bool {
        self.control(registers)
            .is_none_or(|control| !control.contains(Control::RUN))
    }

    /// Of two latched ends only "done" is true.
    fn keep_one_end(&self, registers: &impl Registers, control: Control) {
        if control.contains(Control::LATCHED) {
            self.try_command(registers, Control::CLAIM | Control::INTERRUPTS | Control::DONE);
        }
    }

    /// There is nothing to be told of the transfer any more.
    fn give_up(&self) -> bool {
        self.active.store(false, Ordering::Relaxed);
        true
    }
}
