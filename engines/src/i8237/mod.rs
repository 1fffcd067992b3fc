//! The two 8237A of an AT, as a system DMA controller.
//!
//! Channels 0 to 3 move bytes inside of pages of 64 KiB, channels 5 to 7 words inside of pages of 128 KiB; channel 4
//! is not for devices. A transfer has one fragment. The controllers do not interrupt: whoever wants to know the end
//! polls for it, or hears of it from the device. The device is chosen by its request line, which is the channel's;
//! its address says nothing here.
//!
//! [`configure`] names the functions of the controller's own.

mod channel;
pub mod configure;
mod plan;
mod ports;

use channel::{Channel, Use};
use configure::{SET_CASCADE, SET_SERVICE, ServiceMode};
use core::sync::atomic::{AtomicU8, Ordering};
use longshore_core::NtStatus;
use longshore_hardware::Registers;
use longshore_hardware::i8237::{CASCADE_CHANNEL, CHANNELS, Controller as Which, Mode, Service, Transfer};
use longshore_wdm::{
    ChannelAttributes, Controller, ControllerAttributes, InterruptType, PortWidths, Program, ProgramError,
};
use ports::Ports;

/// Drives the pair through its ports. It has no lock of its own: its calls are serialised (WDM-314), and with them
/// the flip-flop that all channels share.
#[derive(Debug)]
pub struct I8237Controller<R> {
    ports: Ports<R>,
    channels: [Channel; CHANNELS as usize],
    /// Channels that were seen at their end and of which nobody was told: reading the status clears it for four.
    done: AtomicU8,
}

/// A channel that a device can use.
fn usable(channel: u32) -> Option<u8> {
    let channel = u8::try_from(channel).ok()?;
    (channel < CHANNELS && channel != CASCADE_CHANNEL).then_some(channel)
}

impl<R: Registers> I8237Controller<R> {
    /// A driver for the pair behind these ports, which reaches 16 MiB. Nothing is touched before it is registered.
    pub fn new(ports: R) -> Self {
        Self::with(Ports::new(ports, false))
    }

    /// The same where the machine has high page registers, and so reaches 4 GiB.
    pub fn with_high_pages(ports: R) -> Self {
        Self::with(Ports::new(ports, true))
    }

    fn with(ports: Ports<R>) -> Self {
        Self {
            ports,
            channels: Default::default(),
            done: AtomicU8::new(0),
        }
    }

    fn state(&self, channel: u8) -> &Channel {
        &self.channels[usize::from(channel & 7)]
    }

    /// Reads the status of a channel's controller, and remembers what it says of the others.
    fn look(&self, channel: u8) {
        if let Some(status) = self.ports.status(channel) {
            self.done
                .fetch_or((status.raw() & 0xf) << (channel & 4), Ordering::Relaxed);
        }
    }

    fn is_done(&self, channel: u8) -> bool {
        self.done.load(Ordering::Relaxed) & 1 << channel != 0
    }

    fn take_done(&self, channel: u8) -> bool {
        self.done.fetch_and(!(1 << channel), Ordering::Relaxed) & 1 << channel != 0
    }

    fn start(&self, channel: u8, program: &Program<'_>) -> Result<(), ProgramError> {
        let memory = plan::memory(channel, program)?;
        let block = plan::block(channel, memory, self.ports.high_pages())?;
        let length = u32::try_from(memory.len()).map_err(|_| ProgramError::Unreachable)?;
        let transfer = if program.write_to_device {
            Transfer::Read
        } else {
            Transfer::Write
        };
        let state = self.state(channel);
        let mode = Mode::new(channel, transfer, state.service().service(program.demand_mode));
        let (mode, using) = if program.looped {
            (mode.autoinitialize(), Use::Loop)
        } else {
            (mode, Use::Once)
        };
        self.ports.mask(channel).map_err(|_| ProgramError::Gone)?;
        // Masked: what was latched for an earlier transfer is seen now, and is not taken for this one's end.
        self.look(channel);
        self.take_done(channel);
        if self.ports.load(channel, mode, block) != Ok(true) {
            return Err(ProgramError::Gone);
        }
        state.begin(using, length);
        self.ports.unmask(channel).map_err(|_| {
            self.quiet(channel);
            ProgramError::Gone
        })
    }

    /// Masks a channel and forgets its transfer.
    fn quiet(&self, channel: u8) {
        // Without an answer there is nobody to mask.
        let _ = self.ports.mask(channel);
        self.take_done(channel);
        self.state(channel).forget();
    }

    /// Reads how many bytes are left of what a channel runs.
    fn count(&self, channel: u8) -> u32 {
        let state = self.state(channel);
        let Some(count) = self.ports.count(channel) else {
            return state.left();
        };
        let left = u32::from(count.wrapping_add(1)) << Which::of(channel).unit_shift();
        if left == 0 && !self.has_ended(channel) {
            // The same count says that of a whole page nothing was moved yet, and that nobody answers.
            return state.note_left(state.length());
        }
        state.note_left(left)
    }

    /// Whether a transfer has come to its end: a loop never does.
    fn has_ended(&self, channel: u8) -> bool {
        self.look(channel);
        self.state(channel).using() == Use::Once && self.is_done(channel)
    }

    /// A transfer has ended. If that was not by its count, the device has cut it short, and it is not complete.
    fn end(&self, channel: u8) -> InterruptType {
        // The real controller has masked it; others have not.
        let _ = self.ports.mask(channel);
        let count = self.ports.count(channel);
        let cut_short = count.is_some_and(|count| count != u16::MAX);
        if cut_short {
            self.count(channel);
        }
        self.take_done(channel);
        let state = self.state(channel);
        state.set_using(Use::Idle);
        if cut_short {
            return InterruptType::Error;
        }
        state.note_left(0);
        InterruptType::Completion
    }

    fn set_cascade(&self, channel: u8, on: usize) -> NtStatus {
        let using = self.state(channel).using();
        match (on, using) {
            (0, Use::Cascade) => self.quiet(channel),
            (1, Use::Idle) => {
                let mode = Mode::new(channel, Transfer::Verify, Service::Cascade);
                let set = self
                    .ports
                    .mask(channel)
                    .and_then(|()| self.ports.set_mode(channel, mode))
                    .and_then(|()| self.ports.unmask(channel));
                if set.is_err() {
                    return NtStatus::UNSUCCESSFUL;
                }
                self.state(channel).set_using(Use::Cascade);
            }
            (0 | 1, _) => {}
            _ => return NtStatus::INVALID_PARAMETER,
        }
        NtStatus::SUCCESS
    }
}

impl<R: Registers> Controller for I8237Controller<R> {
    fn attributes(&self) -> ControllerAttributes {
        ControllerAttributes {
            address_width: if self.ports.high_pages() { 32 } else { 24 },
            port_widths: PortWidths::BITS_8.with(PortWidths::BITS_16),
            generates_interrupt: false,
            ..ControllerAttributes::new(u32::from(CHANNELS))
        }
    }

    fn channel(&self, channel: u32) -> ChannelAttributes {
        let Some(channel) = usable(channel) else {
            return ChannelAttributes::default();
        };
        let which = Which::of(channel);
        ChannelAttributes {
            minimum_unit: 1 << which.unit_shift(),
            boundary: which.page_size(),
            port_widths: match which {
                Which::First => PortWidths::BITS_8,
                Which::Second => PortWidths::BITS_16,
            },
            ..ChannelAttributes::default()
        }
    }

    fn initialize(&self) {
        // Where nobody answers there is nothing to bring into a state; a program will find it out.
        let _ = self.ports.reset();
        self.done.store(0, Ordering::Relaxed);
        for channel in &self.channels {
            channel.forget();
            channel.set_service(ServiceMode::default());
        }
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        request_line == channel && usable(channel).is_some()
    }

    fn query_max_fragments(&self, _: u32, _: u32) -> u32 {
        1
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        let channel = usable(channel).ok_or(ProgramError::NoChannel)?;
        if self.state(channel).using() != Use::Idle {
            return Err(ProgramError::NoChannel);
        }
        self.start(channel, program)
    }

    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus {
        if !matches!(function, SET_SERVICE | SET_CASCADE) {
            return NtStatus::NOT_IMPLEMENTED;
        }
        let Some(channel) = usable(channel) else {
            return NtStatus::INVALID_PARAMETER;
        };
        let state = self.state(channel);
        if state.is_running() {
            return NtStatus::INVALID_DEVICE_STATE;
        }
        if function == SET_CASCADE {
            return self.set_cascade(channel, context);
        }
        match ServiceMode::from_number(context) {
            Some(service) => state.set_service(service),
            None => return NtStatus::INVALID_PARAMETER,
        }
        NtStatus::SUCCESS
    }

    fn cascade(&self, channel: u32, on: bool) -> Result<(), ProgramError> {
        let channel = usable(channel).ok_or(ProgramError::NoChannel)?;
        if self.state(channel).is_running() {
            return Err(ProgramError::NoChannel);
        }
        match self.set_cascade(channel, usize::from(on)) {
            NtStatus::SUCCESS => Ok(()),
            _ => Err(ProgramError::Gone),
        }
    }

    fn flush(&self, channel: u32) {
        if let Some(channel) = usable(channel) {
            self.quiet(channel);
        }
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        None
    }

    fn remaining(&self, channel: u32) -> u32 {
        let Some(channel) = usable(channel) else {
            return 0;
        };
        if self.state(channel).is_running() {
            self.count(channel)
        } else {
            self.state(channel).left()
        }
    }

    fn poll(&self, channel: u32) -> Option<InterruptType> {
        let channel = usable(channel)?;
        if !self.state(channel).is_running() {
            return None;
        }
        if self.has_ended(channel) {
            return Some(self.end(channel));
        }
        // Of a loop only a period has ended.
        self.take_done(channel).then_some(InterruptType::Completion)
    }

    fn cancel(&self, channel: u32) -> bool {
        let Some(channel) = usable(channel) else {
            return false;
        };
        let state = self.state(channel);
        if !state.is_running() {
            return false;
        }
        // The CPU has the bus while it writes this, so no transfer is under way, and none comes after it.
        let _ = self.ports.mask(channel);
        if self.has_ended(channel) {
            return false;
        }
        self.count(channel);
        self.take_done(channel);
        state.set_using(Use::Idle);
        true
    }
}
