//! The driver of the reference controller.

use super::marks::{Marks, bit};
use super::options::{CancelStyle, Counter, Interrupts, Options};
use super::registers as at;
use crate::machine::Memory;
use longshore_core::NtStatus;
use longshore_hardware::{AccessError, BusAddress, BusRange, DmaMemory, Registers, Width};
use longshore_wdm::{
    ChannelAttributes, Controller, ControllerAttributes, InterruptType, Program, ProgramError, RequestLines,
};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The driver's own function (RL-11): after how many bytes of a lap a loop tells of a period, from the next transfer
/// on; 0 is refused, and until it is called a period is a lap.
pub const SET_PERIOD: u32 = 0x8001;

/// Drives the reference device through its registers. It has no lock of its own: its calls are serialised
/// (WDM-314). What it remembers is atomic only because its methods take `&self`.
pub struct ReferenceController<R, D = Memory> {
    registers: R,
    memory: D,
    options: Options,
    /// What is known of each channel between two transfers.
    lanes: Vec<Lane>,
    /// Channels that were started and whose end was not reported.
    active: Marks,
    /// Channels whose loop is to be sent on after each period.
    stepping: Marks,
    /// Channels that a cancel found ended: what is remembered is told at the next interrupt.
    completed: Marks,
    failed: Marks,
    cancelled: Marks,
    /// Channels that a cancel has stopped, and that tell of it at an interrupt of theirs.
    draining: Marks,
    /// Channels that asked for an interrupt when the register was last read, and were not reported yet.
    saved: Marks,
}

/// What is known of a channel between two transfers.
#[derive(Debug, Default)]
struct Lane {
    /// Bytes of a period; 0 for the whole lap.
    period: AtomicU32,
    /// The common buffer.
    list: AtomicU64,
}

impl<R, D> std::fmt::Debug for ReferenceController<R, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReferenceController({:?})", self.options)
    }
}

impl<R: Registers + Clone, D: DmaMemory> ReferenceController<R, D> {
    /// A driver for a device like this, and for the memory that it shares with it.
    pub fn new(registers: R, memory: D, options: Options) -> Self {
        let options = Options {
            channels: options.channels.min(32),
            fragments: options.fragments.clamp(1, at::MOST_FRAGMENTS as u32),
            ..options
        };
        Self {
            registers,
            memory,
            options,
            lanes: (0..options.channels).map(|_| Lane::default()).collect(),
            active: Marks::default(),
            stepping: Marks::default(),
            completed: Marks::default(),
            failed: Marks::default(),
            cancelled: Marks::default(),
            draining: Marks::default(),
            saved: Marks::default(),
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

    fn set_quad(&self, channel: u32, register: u64, value: u64) -> Result<(), AccessError> {
        self.registers
            .write(at::of(channel, register), Width::Quad, value)
    }

    /// Writes a register where nothing can be done about a failure.
    fn try_set(&self, channel: u32, register: u64, value: u32) {
        let _ = self.set(channel, register, value);
    }

    fn reset(&self, channel: u32) {
        self.try_set(channel, at::CONTROL, at::RESET);
        for marks in [
            &self.active,
            &self.stepping,
            &self.completed,
            &self.failed,
            &self.cancelled,
            &self.draining,
            &self.saved,
        ] {
            marks.take(channel);
        }
    }

    /// Why a program cannot be run.
    fn refusal(&self, channel: u32, program: &Program<'_>) -> Option<ProgramError> {
        let options = &self.options;
        let reach = 1u128 << options.address_width;
        let unit = u64::from(options.minimum_unit.max(1));
        let reachable = |part: BusRange| {
            let last = part.end().raw().saturating_sub(1);
            let crosses = options.boundary != 0
                && part.start().raw() & !(options.boundary - 1) != last & !(options.boundary - 1);
            u128::from(part.end().raw()) <= reach
                && part.start().raw().is_multiple_of(unit)
                && part.len().is_multiple_of(unit)
                && !crosses
        };
        if channel >= options.channels || self.active.has(channel) {
            Some(ProgramError::NoChannel)
        } else if program.segments.count() > options.fragments as usize {
            Some(ProgramError::TooManyFragments)
        } else if !program.segments.iter().all(reachable) {
            Some(ProgramError::Unreachable)
        } else {
            None
        }
    }

    fn write_program(&self, channel: u32, program: &Program<'_>) -> Result<(), AccessError> {
        let lane = self
            .lanes
            .get(channel as usize)
            .ok_or(AccessError::NoSuchRegister)?;
        self.set_quad(channel, at::DEVICE_ADDRESS, program.device_address.raw())?;
        // The system counts all request lines; the hardware counts its own (WDM-310).
        let line = program.request_line.wrapping_sub(self.options.first_line);
        self.set(channel, at::REQUEST_LINE, line)?;
        self.write_list(channel, lane, program)?;
        let count = u32::try_from(program.segments.count()).unwrap_or(u32::MAX);
        self.set(channel, at::FRAGMENTS, count)?;
        if program.looped {
            self.set(channel, at::PERIOD, lane.period.load(Ordering::Relaxed))?;
        }
        let stepping = program.looped && self.options.software_loop;
        self.active.put(channel);
        if stepping {
            self.stepping.put(channel);
        }
        let flag = |on: bool, flag: u32| if on { flag } else { 0 };
        let start = at::START
            | flag(program.looped, at::LOOP)
            | flag(stepping, at::STEP)
            | flag(program.write_to_device, at::WRITE_TO_DEVICE)
            | flag(self.options.interrupts != Interrupts::None, at::INTERRUPT_ENABLE);
        self.set(channel, at::CONTROL, start)
    }

    /// Writes the fragments to where the hardware reads them: its table, or the common buffer.
    fn write_list(&self, channel: u32, lane: &Lane, program: &Program<'_>) -> Result<(), AccessError> {
        let list = lane.list.load(Ordering::Relaxed);
        if self.options.common_buffer {
            self.set_quad(channel, at::LIST, list)?;
        }
        for (index, segment) in program.segments.iter().enumerate() {
            let len = u32::try_from(segment.len()).unwrap_or(u32::MAX);
            if self.options.common_buffer {
                let mut entry = [0; at::FRAGMENT_STRIDE as usize];
                entry[..8].copy_from_slice(&segment.start().raw().to_le_bytes());
                entry[8..12].copy_from_slice(&len.to_le_bytes());
                let place = BusAddress::new(list).checked_add(index as u64 * at::FRAGMENT_STRIDE);
                place
                    .and_then(|place| self.memory.write(place, &entry).ok())
                    .ok_or(AccessError::Gone)?;
            } else {
                let entry = at::fragment(index);
                self.set_quad(channel, entry, segment.start().raw())?;
                self.set(channel, entry + 8, len)?;
            }
        }
        Ok(())
    }

    /// Reads how a channel ended, and takes it back from the device.
    fn acknowledge(&self, channel: u32) -> Option<InterruptType> {
        let status = self.get(channel, at::STATUS);
        let latched = status & (at::DONE | at::ERROR);
        if latched == 0 {
            return None;
        }
        self.try_set(channel, at::STATUS, latched);
        if status & at::ERROR != 0 {
            self.active.take(channel);
            return Some(InterruptType::Error);
        }
        if self.stepping.has(channel) {
            self.try_set(channel, at::CONTROL, at::STEP);
        } else if status & at::ACTIVE == 0 {
            self.active.take(channel);
        }
        if self.draining.take(channel) {
            Some(InterruptType::Cancelled)
        } else {
            Some(InterruptType::Completion)
        }
    }

    /// What a cancel remembered.
    fn remembered(&self) -> Option<(u32, InterruptType)> {
        (0..self.options.channels).find_map(|channel| {
            let kind = if self.cancelled.take(channel) {
                InterruptType::Cancelled
            } else if self.failed.take(channel) {
                InterruptType::Error
            } else if self.completed.take(channel) {
                InterruptType::Completion
            } else {
                return None;
            };
            Some((channel, kind))
        })
    }

    /// The channels that ask for an interrupt, as the register has it or had it.
    fn pending(&self) -> u32 {
        match self.saved.drain() {
            0 => {
                let pending = self.registers.read(at::INTERRUPTS, Width::Long);
                pending.map_or(0, |pending| (pending & 0xffff_ffff) as u32)
            }
            saved => saved,
        }
    }

    /// A stopped channel that has latched its end: what to answer, and what to remember.
    fn cancel_too_late(&self, channel: u32, latched: u32) -> bool {
        match self.options.style {
            CancelStyle::Honest => false,
            CancelStyle::LatchedReportsCompletion => {
                let ended = if latched & at::ERROR != 0 {
                    &self.failed
                } else {
                    &self.completed
                };
                ended.put(channel);
                false
            }
            CancelStyle::LatchedReportsCancelled | CancelStyle::Slow => {
                self.cancelled.put(channel);
                false
            }
            CancelStyle::AlwaysTrue => {
                self.try_set(channel, at::STATUS, latched);
                self.active.take(channel);
                true
            }
        }
    }
}

impl<R: Registers + Clone, D: DmaMemory> Controller for ReferenceController<R, D> {
    fn attributes(&self) -> ControllerAttributes {
        let options = &self.options;
        ControllerAttributes {
            address_width: options.address_width,
            minimum_unit: options.minimum_unit,
            request_lines: RequestLines {
                first: options.first_line,
                count: options.channels,
            },
            generates_interrupt: options.interrupts == Interrupts::Controller,
            counter_available: options.counter != Counter::Absent,
            ..ControllerAttributes::new(options.channels)
        }
    }

    fn channel(&self, _: u32) -> ChannelAttributes {
        let options = &self.options;
        let list = options.fragments * at::FRAGMENT_STRIDE as u32;
        ChannelAttributes {
            generates_interrupt: options.interrupts == Interrupts::Channels,
            common_buffer_length: if options.common_buffer { list } else { 0 },
            minimum_unit: options.minimum_unit,
            boundary: options.boundary,
            ..ChannelAttributes::default()
        }
    }

    fn initialize(&self) {
        (0..self.options.channels).for_each(|channel| self.reset(channel));
    }

    fn report_common_buffer(&self, channel: u32, buffer: BusRange) {
        if let Some(lane) = self.lanes.get(channel as usize) {
            lane.list.store(buffer.start().raw(), Ordering::Relaxed);
        }
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        self.attributes().request_lines.contains(request_line) && channel < self.options.channels
    }

    fn query_max_fragments(&self, _: u32, _: u32) -> u32 {
        self.options.fragments
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        if let Some(refusal) = self.refusal(channel, program) {
            return Err(refusal);
        }
        self.write_program(channel, program).map_err(|_| {
            self.reset(channel);
            ProgramError::Gone
        })
    }

    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus {
        let Some(lane) = self.lanes.get(channel as usize) else {
            return NtStatus::INVALID_PARAMETER;
        };
        let period = u32::try_from(context).unwrap_or(0);
        if function != SET_PERIOD {
            NtStatus::NOT_IMPLEMENTED
        } else if self.active.has(channel) {
            NtStatus::INVALID_DEVICE_STATE
        } else if period == 0 || !period.is_multiple_of(self.options.minimum_unit.max(1)) {
            NtStatus::INVALID_PARAMETER
        } else {
            lane.period.store(period, Ordering::Relaxed);
            NtStatus::SUCCESS
        }
    }

    fn flush(&self, channel: u32) {
        if channel < self.options.channels && !self.options.empty_flush {
            self.reset(channel);
        }
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        if let Some((channel, kind)) = self.remembered() {
            self.acknowledge(channel);
            self.active.take(channel);
            return Some((channel, kind));
        }
        let mut pending = self.pending();
        while pending != 0 {
            let channel = pending.trailing_zeros();
            pending &= !bit(channel);
            let active = self.active.has(channel);
            // WDM-316: what is left over from a cancel is acknowledged and skipped.
            if let Some(kind) = self.acknowledge(channel)
                && active
            {
                if self.options.one_read {
                    self.saved.set(pending);
                }
                return Some((channel, kind));
            }
        }
        None
    }

    fn remaining(&self, channel: u32) -> u32 {
        if channel < self.options.channels {
            self.get(channel, at::REMAINING)
        } else {
            0
        }
    }

    fn poll(&self, channel: u32) -> Option<InterruptType> {
        if channel < self.options.channels {
            self.acknowledge(channel)
        } else {
            None
        }
    }

    fn cancel(&self, channel: u32) -> bool {
        if channel >= self.options.channels {
            return false;
        }
        let wiped = self.options.counter == Counter::Wiped;
        let slow = self.options.style == CancelStyle::Slow;
        let flag = |on: bool, flag: u32| if on { flag } else { 0 };
        let stop = at::STOP | flag(wiped, at::REWIND) | flag(slow, at::DRAIN);
        self.try_set(channel, at::CONTROL, stop);
        self.stepping.take(channel);
        // Stopped: from here on nothing can be latched any more.
        let latched = self.get(channel, at::STATUS) & (at::DONE | at::ERROR);
        if latched != 0 {
            return self.cancel_too_late(channel, latched);
        }
        if slow && self.active.has(channel) {
            self.draining.put(channel);
            return false;
        }
        self.active.take(channel) || self.options.style == CancelStyle::AlwaysTrue
    }
}
