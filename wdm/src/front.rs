//! A controller that stands in front of another one.

use crate::controller::{
    ChannelAttributes, Controller, ControllerAttributes, InterruptType, Program, ProgramError,
};
use longshore_core::NtStatus;
use longshore_hardware::BusRange;

/// Stands in front of a controller, to watch it, to limit it or to break it: what it does not answer itself goes on to
/// the one behind. Whoever implements it is a [`Controller`].
///
/// ```
/// use longshore_wdm::{Controller, Front};
///
/// /// A controller that never admits that it was stopped.
/// struct Stubborn<C>(C);
///
/// impl<C: Controller> Front for Stubborn<C> {
///     fn behind(&self) -> &dyn Controller {
///         &self.0
///     }
///
///     fn cancel(&self, channel: u32) -> bool {
///         let _ = self.0.cancel(channel);
///         false
///     }
/// }
///
/// fn registered(_: impl Controller) {}
/// fn wrap(controller: impl Controller) {
///     registered(Stubborn(controller));
/// }
/// ```
#[allow(missing_docs, reason = "each is the call of the same name of Controller")]
pub trait Front: Send + Sync {
    /// The controller behind.
    fn behind(&self) -> &dyn Controller;

    fn attributes(&self) -> ControllerAttributes {
        self.behind().attributes()
    }

    fn channel(&self, channel: u32) -> ChannelAttributes {
        self.behind().channel(channel)
    }

    fn initialize(&self) {
        self.behind().initialize();
    }

    fn report_common_buffer(&self, channel: u32, buffer: BusRange) {
        self.behind().report_common_buffer(channel, buffer);
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        self.behind().validate_request_line_binding(request_line, channel)
    }

    fn query_max_fragments(&self, channel: u32, requested: u32) -> u32 {
        self.behind().query_max_fragments(channel, requested)
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        self.behind().program(channel, program)
    }

    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus {
        self.behind().configure(channel, function, context)
    }

    fn cascade(&self, channel: u32, on: bool) -> Result<(), ProgramError> {
        self.behind().cascade(channel, on)
    }

    fn flush(&self, channel: u32) {
        self.behind().flush(channel);
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        self.behind().interrupt()
    }

    fn remaining(&self, channel: u32) -> u32 {
        self.behind().remaining(channel)
    }

    fn poll(&self, channel: u32) -> Option<InterruptType> {
        self.behind().poll(channel)
    }

    fn cancel(&self, channel: u32) -> bool {
        self.behind().cancel(channel)
    }

    fn is_quiet(&self, channel: u32) -> bool {
        self.behind().is_quiet(channel)
    }
}

impl<F: Front> Controller for F {
    fn attributes(&self) -> ControllerAttributes {
        Front::attributes(self)
    }

    fn channel(&self, channel: u32) -> ChannelAttributes {
        Front::channel(self, channel)
    }

    fn initialize(&self) {
        Front::initialize(self);
    }

    fn report_common_buffer(&self, channel: u32, buffer: BusRange) {
        Front::report_common_buffer(self, channel, buffer);
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        Front::validate_request_line_binding(self, request_line, channel)
    }

    fn query_max_fragments(&self, channel: u32, requested: u32) -> u32 {
        Front::query_max_fragments(self, channel, requested)
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        Front::program(self, channel, program)
    }

    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus {
        Front::configure(self, channel, function, context)
    }

    fn cascade(&self, channel: u32, on: bool) -> Result<(), ProgramError> {
        Front::cascade(self, channel, on)
    }

    fn flush(&self, channel: u32) {
        Front::flush(self, channel);
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        Front::interrupt(self)
    }

    fn remaining(&self, channel: u32) -> u32 {
        Front::remaining(self, channel)
    }

    fn poll(&self, channel: u32) -> Option<InterruptType> {
        Front::poll(self, channel)
    }

    fn cancel(&self, channel: u32) -> bool {
        Front::cancel(self, channel)
    }

    fn is_quiet(&self, channel: u32) -> bool {
        Front::is_quiet(self, channel)
    }
}
