//! Hardware that does not stop at once when it is told to.

use longshore_core::NtStatus;
use longshore_hardware::BusRange;
use longshore_wdm::{
    ChannelAttributes, Controller, ControllerAttributes, InterruptType, Program, ProgramError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often it is asked whether it is quiet before it is.
const REFUSALS: u32 = 2;

/// A controller that goes on for a while when it is told to stop. Its first transfer that is stopped finds it so.
pub(super) struct Stubborn {
    inner: Arc<dyn Controller>,
    left: AtomicU32,
}

impl Stubborn {
    pub(super) fn new(inner: Arc<dyn Controller>) -> Self {
        Self {
            inner,
            left: AtomicU32::new(REFUSALS),
        }
    }
}

impl Controller for Stubborn {
    fn attributes(&self) -> ControllerAttributes {
        self.inner.attributes()
    }

    fn channel(&self, channel: u32) -> ChannelAttributes {
        self.inner.channel(channel)
    }

    fn initialize(&self) {
        self.inner.initialize();
    }

    fn report_common_buffer(&self, channel: u32, buffer: BusRange) {
        self.inner.report_common_buffer(channel, buffer);
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
        self.left.load(Ordering::Relaxed) == 0 && self.inner.cancel(channel)
    }

    fn is_quiet(&self, channel: u32) -> bool {
        match self.left.load(Ordering::Relaxed) {
            0 => self.inner.is_quiet(channel),
            left => {
                self.left.store(left - 1, Ordering::Relaxed);
                // The last one who asks finds it just stopped.
                left == 1 && (self.inner.cancel(channel) || self.inner.is_quiet(channel))
            }
        }
    }
}
