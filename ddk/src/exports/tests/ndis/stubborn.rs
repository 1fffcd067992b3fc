//! A controller whose hardware does not stop.

use longshore_core::NtStatus;
use longshore_drydock::machine::Device;
use longshore_drydock::reference::ReferenceController;
use longshore_wdm::{Controller, ControllerAttributes, InterruptType, Program, ProgramError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The reference controller, whose channels do not stop when they are told to, for as long as the switch is on.
pub(super) struct Stubborn {
    pub(super) inner: ReferenceController<Device>,
    pub(super) goes_on: Arc<AtomicBool>,
}

impl Controller for Stubborn {
    fn attributes(&self) -> ControllerAttributes {
        self.inner.attributes()
    }

    fn initialize(&self) {
        self.inner.initialize();
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        self.inner.validate_request_line_binding(request_line, channel)
    }

    fn query_max_fragments(&self, channel: u32, requested: u32) -> u32 {
        self.inner.query_max_fragments(channel, requested)
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        self.inner.program(channel, program)
    }

    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus {
        self.inner.configure(channel, function, context)
    }

    fn flush(&self, channel: u32) {
        self.inner.flush(channel);
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        self.inner.interrupt()
    }

    fn remaining(&self, channel: u32) -> u32 {
        self.inner.remaining(channel)
    }

    fn poll(&self, channel: u32) -> Option<InterruptType> {
        self.inner.poll(channel)
    }

    fn cancel(&self, channel: u32) -> bool {
        !self.goes_on.load(Ordering::Relaxed) && self.inner.cancel(channel)
    }

    fn is_quiet(&self, channel: u32) -> bool {
        !self.goes_on.load(Ordering::Relaxed) || self.inner.remaining(channel) == 0
    }
}
