//! SiFive's platform DMA engine, as a system DMA controller.
//!
//! The engine copies memory: the "device" of a transfer is memory at the device address. Each channel interrupts on
//! its own, once for done and once for error. There are no request lines, so any line goes with any channel; a
//! transfer has one fragment and is no loop.

mod channel;

use channel::{Channel, End};
use core::array;
use longshore_core::NtStatus;
use longshore_hardware::pdma::CHANNELS;
use longshore_hardware::{BusAddress, BusRange, Registers};
use longshore_wdm::{
    ChannelAttributes, Controller, ControllerAttributes, InterruptType, Program, ProgramError,
};

/// Drives the engine through its registers. It has no lock of its own: its calls are serialised (WDM-314).
#[derive(Debug)]
pub struct PdmaController<R> {
    registers: R,
    channels: [Channel; CHANNELS as usize],
}

impl<R: Registers> PdmaController<R> {
    /// A driver for the engine with these registers. Nothing is touched before it is registered.
    pub fn new(registers: R) -> Self {
        Self {
            registers,
            channels: array::from_fn(|number| Channel::new(number as u32)),
        }
    }

    fn get(&self, channel: u32) -> Option<&Channel> {
        self.channels.get(channel as usize)
    }
}

/// What a transfer copies: from where, to where, how many bytes.
fn plan(program: &Program<'_>) -> Result<(BusAddress, BusAddress, u32), ProgramError> {
    let mut segments = program.segments.iter();
    let (Some(memory), None) = (segments.next(), segments.next()) else {
        return Err(ProgramError::TooManyFragments);
    };
    let bytes = u32::try_from(memory.len()).map_err(|_| ProgramError::Unsupported)?;
    if program.looped || bytes == 0 {
        return Err(ProgramError::Unsupported);
    }
    let device = BusRange::new(program.device_address, memory.len()).ok_or(ProgramError::Unreachable)?;
    Ok(if program.write_to_device {
        (memory.start(), device.start(), bytes)
    } else {
        (device.start(), memory.start(), bytes)
    })
}

impl<R: Registers> Controller for PdmaController<R> {
    fn attributes(&self) -> ControllerAttributes {
        ControllerAttributes {
            address_width: 64,
            generates_interrupt: false,
            ..ControllerAttributes::new(CHANNELS)
        }
    }

    fn channel(&self, channel: u32) -> ChannelAttributes {
        ChannelAttributes {
            generates_interrupt: channel < CHANNELS,
            ..ChannelAttributes::default()
        }
    }

    fn initialize(&self) {
        for channel in &self.channels {
            channel.reset(&self.registers);
        }
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        request_line < CHANNELS && channel < CHANNELS
    }

    fn query_max_fragments(&self, _: u32, _: u32) -> u32 {
        1
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        let channel = self.get(channel).ok_or(ProgramError::NoChannel)?;
        let (source, destination, bytes) = plan(program)?;
        channel.program(&self.registers, source, destination, bytes)
    }

    fn configure(&self, _: u32, _: u32, _: usize) -> NtStatus {
        NtStatus::NOT_IMPLEMENTED
    }

    fn flush(&self, channel: u32) {
        if let Some(channel) = self.get(channel) {
            channel.reset(&self.registers);
        }
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        (0..).zip(&self.channels).find_map(|(number, channel)| {
            let end = channel.acknowledge(&self.registers)?;
            Some((number, kind(end)))
        })
    }

    fn remaining(&self, channel: u32) -> u32 {
        self.get(channel)
            .map_or(0, |channel| channel.remaining(&self.registers))
    }

    fn poll(&self, channel: u32) -> Option<InterruptType> {
        self.get(channel)?.acknowledge(&self.registers).map(kind)
    }

    fn cancel(&self, channel: u32) -> bool {
        self.get(channel)
            .is_some_and(|channel| channel.cancel(&self.registers))
    }

    fn is_quiet(&self, channel: u32) -> bool {
        self.get(channel)
            .is_none_or(|channel| channel.is_quiet(&self.registers))
    }
}

const fn kind(end: End) -> InterruptType {
    match end {
        End::Done => InterruptType::Completion,
        End::Failed => InterruptType::Error,
    }
}
