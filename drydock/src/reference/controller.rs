//! The driver of the reference controller.

use super::registers as at;
use longshore_core::NtStatus;
use longshore_hardware::{AccessError, Registers, Width};
use longshore_wdm::{Controller, ControllerAttributes, InterruptType, Program, ProgramError};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a controller answers to a cancel that meets a transfer which has just ended. All were seen in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelStyle {
    /// FALSE, and the interrupt that is asserted tells later how the transfer ended.
    Honest,
    /// FALSE; the status is read and remembered at the cancel, and told later as it was (WDM-315, RL-24).
    LatchedReportsCompletion,
    /// FALSE; the next interrupt reports Cancelled, whatever was moved (WDM-315, RL-22).
    LatchedReportsCancelled,
    /// The asserted interrupt is taken back, and the answer is TRUE, always (WDM-317, RL-20).
    AlwaysTrue,
}

/// Drives the reference device through its registers. It has no lock of its own: its calls are serialised
/// (WDM-314). The words below are atomic only because its methods take `&self`.
#[derive(Debug)]
pub struct ReferenceController<R> {
    registers: R,
    channels: u32,
    interrupts: bool,
    style: CancelStyle,
    /// Channels that were started and whose end was not reported.
    active: AtomicU32,
    /// Channels that a cancel found ended: what is remembered is told at the next interrupt.
    completed: AtomicU32,
    failed: AtomicU32,
    cancelled: AtomicU32,
}

fn bit(channel: u32) -> u32 {
    1u32.checked_shl(channel).unwrap_or(0)
}

fn take(word: &AtomicU32, channel: u32) -> bool {
    word.fetch_and(!bit(channel), Ordering::Relaxed) & bit(channel) != 0
}

fn put(word: &AtomicU32, channel: u32) {
    word.fetch_or(bit(channel), Ordering::Relaxed);
}

impl<R: Registers + Clone> ReferenceController<R> {
    /// A driver for a device with this many channels, which interrupts or does not.
    pub fn new(registers: R, channels: u32, interrupts: bool, style: CancelStyle) -> Self {
        Self {
            registers,
            channels: channels.min(32),
            interrupts,
            style,
            active: AtomicU32::new(0),
            completed: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            cancelled: AtomicU32::new(0),
        }
    }

    fn get(&self, channel: u32, register: u64) -> u32 {
        // A device that is gone has nothing to tell.
        let value = self.registers.read(at::of(channel, register), Width::Long);
        value.map_or(0, |value| (value & 0xffff_ffff) as u32)
    }

    fn set(&self, channel: u32, register: u64, value: u32) -> Result<(), AccessError> {
        self.registers
            .write(at::of(channel, register), Width::Long, u64::from(value))
    }

    /// Writes a register where nothing can be done about a failure.
    fn try_set(&self, channel: u32, register: u64, value: u32) {
        let _ = self.set(channel, register, value);
    }

    fn forget(&self, channel: u32) {
        for word in [&self.active, &self.completed, &self.failed, &self.cancelled] {
            take(word, channel);
        }
    }

    fn write_program(&self, channel: u32, program: &Program<'_>) -> Result<(), AccessError> {
        let address = at::of(channel, at::DEVICE_ADDRESS);
        self.registers
            .write(address, Width::Quad, program.device_address.raw())?;
        self.set(channel, at::REQUEST_LINE, program.request_line)?;
        for (index, segment) in program.segments.iter().enumerate() {
            let entry = at::fragment(index);
            self.registers
                .write(at::of(channel, entry), Width::Quad, segment.start().raw())?;
            let len = u32::try_from(segment.len()).unwrap_or(u32::MAX);
            self.set(channel, entry + 8, len)?;
        }
        let count = u32::try_from(program.segments.count()).unwrap_or(u32::MAX);
        self.set(channel, at::FRAGMENTS, count)?;
        put(&self.active, channel);
        let flag = |on: bool, flag: u32| if on { flag } else { 0 };
        let start = at::START
            | flag(program.looped, at::LOOP)
            | flag(program.write_to_device, at::WRITE_TO_DEVICE)
            | flag(self.interrupts, at::INTERRUPT_ENABLE);
        self.set(channel, at::CONTROL, start)
    }

    /// Reads how a channel ended, and takes it back from the device.
    fn acknowledge(&self, channel: u32) -> Option<InterruptType> {
        let status = self.get(channel, at::STATUS);
        let latched = status & (at::DONE | at::ERROR);
        if latched == 0 {
            return None;
        }
        self.try_set(channel, at::STATUS, latched);
        if status & at::ACTIVE == 0 {
            take(&self.active, channel);
        }
        Some(if status & at::ERROR != 0 {
            InterruptType::Error
        } else {
            InterruptType::Completion
        })
    }

    /// What a cancel remembered.
    fn remembered(&self) -> Option<(u32, InterruptType)> {
        (0..self.channels).find_map(|channel| {
            let kind = if take(&self.cancelled, channel) {
                InterruptType::Cancelled
            } else if take(&self.failed, channel) {
                InterruptType::Error
            } else if take(&self.completed, channel) {
                InterruptType::Completion
            } else {
                return None;
            };
            Some((channel, kind))
        })
    }

    /// A stopped channel that has latched its end: what to answer, and what to remember.
    fn cancel_too_late(&self, channel: u32, latched: u32) -> bool {
        match self.style {
            CancelStyle::Honest => false,
            CancelStyle::LatchedReportsCompletion => {
                let ended = if latched & at::ERROR != 0 {
                    &self.failed
                } else {
                    &self.completed
                };
                put(ended, channel);
                false
            }
            CancelStyle::LatchedReportsCancelled => {
                put(&self.cancelled, channel);
                false
            }
            CancelStyle::AlwaysTrue => {
                self.try_set(channel, at::STATUS, latched);
                true
            }
        }
    }
}

impl<R: Registers + Clone> Controller for ReferenceController<R> {
    fn attributes(&self) -> ControllerAttributes {
        ControllerAttributes {
            generates_interrupt: self.interrupts,
            ..ControllerAttributes::new(self.channels)
        }
    }

    fn initialize(&self) {
        for channel in 0..self.channels {
            self.try_set(channel, at::CONTROL, at::RESET);
            self.forget(channel);
        }
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        request_line < self.channels && channel < self.channels
    }

    fn query_max_fragments(&self, _: u32, _: u32) -> u32 {
        at::MOST_FRAGMENTS as u32
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        if channel >= self.channels {
            return Err(ProgramError::NoChannel);
        }
        if program.segments.count() > at::MOST_FRAGMENTS {
            return Err(ProgramError::TooManyFragments);
        }
        if program
            .segments
            .iter()
            .any(|segment| segment.end().raw() > 1 << 32)
        {
            return Err(ProgramError::Unreachable);
        }
        self.write_program(channel, program).map_err(|_| {
            self.try_set(channel, at::CONTROL, at::RESET);
            self.forget(channel);
            ProgramError::Gone
        })
    }

    fn configure(&self, _: u32, _: u32, _: usize) -> NtStatus {
        NtStatus::NOT_IMPLEMENTED
    }

    fn flush(&self, channel: u32) {
        if channel < self.channels {
            self.try_set(channel, at::CONTROL, at::RESET);
            self.forget(channel);
        }
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        if let Some((channel, kind)) = self.remembered() {
            self.acknowledge(channel);
            take(&self.active, channel);
            return Some((channel, kind));
        }
        let pending = self.registers.read(at::INTERRUPTS, Width::Long).unwrap_or(0);
        (0..self.channels)
            .filter(|channel| pending & u64::from(bit(*channel)) != 0)
            .find_map(|channel| {
                let active = self.active.load(Ordering::Relaxed) & bit(channel) != 0;
                let kind = self.acknowledge(channel)?;
                // WDM-316: what is left over from a cancel is acknowledged and skipped.
                active.then_some((channel, kind))
            })
    }

    fn remaining(&self, channel: u32) -> u32 {
        if channel < self.channels {
            self.get(channel, at::REMAINING)
        } else {
            0
        }
    }

    fn poll(&self, channel: u32) -> Option<InterruptType> {
        if channel < self.channels {
            self.acknowledge(channel)
        } else {
            None
        }
    }

    fn cancel(&self, channel: u32) -> bool {
        if channel >= self.channels {
            return false;
        }
        self.try_set(channel, at::CONTROL, at::STOP);
        // Stopped: from here on nothing can be latched any more.
        let latched = self.get(channel, at::STATUS) & (at::DONE | at::ERROR);
        let was_active = self.active.load(Ordering::Relaxed) & bit(channel) != 0;
        if latched != 0 {
            return self.cancel_too_late(channel, latched);
        }
        take(&self.active, channel);
        was_active || self.style == CancelStyle::AlwaysTrue
    }
}
