//! What a system DMA controller must offer: the HAL-extension contract, made object safe.

use crate::adapter::DmaWidth;
use core::fmt;
use longshore_core::NtStatus;
use longshore_core::scatter::Segments;
use longshore_hardware::BusAddress;

/// The request lines a controller serves, as the system numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLines {
    /// The first one.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl RequestLines {
    /// Whether a line is one of these.
    pub const fn contains(self, line: u32) -> bool {
        line >= self.first && line - self.first < self.count
    }
}

/// What a controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerAttributes {
    /// How many channels it has.
    pub channels: u32,
    /// How many bits of an address it drives.
    pub address_width: u32,
    /// Transfers are multiples of this many bytes.
    pub minimum_unit: u32,
    /// The request lines it serves.
    pub request_lines: RequestLines,
    /// Whether it interrupts when a transfer ends. Without, no completion routine ever runs.
    pub generates_interrupt: bool,
    /// Whether [`Controller::remaining`] tells the truth.
    pub counter_available: bool,
}

/// Why a controller interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[doc(alias = "DMA_INTERRUPT_TYPE")]
pub enum InterruptType {
    /// The transfer, or one period of a loop, is complete.
    #[doc(alias = "InterruptTypeCompletion")]
    Completion = 0,
    /// It failed.
    #[doc(alias = "InterruptTypeError")]
    Error = 1,
    /// It was cancelled. That does not imply that bytes are missing (RL-22).
    #[doc(alias = "InterruptTypeCancelled")]
    Cancelled = 2,
}

/// One transfer, as a controller is told it.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The line on which the device asks for data.
    pub request_line: u32,
    /// Where in memory the bytes are.
    pub segments: Segments<'a>,
    /// Where the device takes or gives them.
    pub device_address: BusAddress,
    /// From memory to the device.
    pub write_to_device: bool,
    /// Start over at the end, until cancelled.
    pub looped: bool,
    /// A hint: the device transfers on demand.
    pub demand_mode: bool,
    /// A hint: how wide the device's data port is.
    pub width: DmaWidth,
}

/// Why a controller could not start a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramError {
    /// The list has more fragments than the controller takes.
    TooManyFragments,
    /// An address is beyond its reach.
    Unreachable,
    /// There is no such channel, or it is busy.
    NoChannel,
    /// The controller does not answer.
    Gone,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyFragments => "the controller takes fewer fragments at a time",
            Self::Unreachable => "the controller cannot drive this address",
            Self::NoChannel => "there is no such channel, or it is busy",
            Self::Gone => "the controller does not answer",
        })
    }
}

impl core::error::Error for ProgramError {}

/// A system DMA controller, as it registers itself with the system.
///
/// Every call may come at any level up to that of the controller's interrupt, so none may wait. All calls that reach
/// a channel are serialised by whoever the controller is registered with (WDM-314): an implementation needs no lock
/// of its own.
#[doc(alias = "DMA_FUNCTION_TABLE")]
pub trait Controller: Send + Sync {
    /// What the controller is. The same each time.
    fn attributes(&self) -> ControllerAttributes;

    /// Brings the hardware into a known state, whatever it did before. May come more than once.
    #[doc(alias = "InitializeController")]
    fn initialize(&self);

    /// Whether this request line can be served by this channel. Asked at PASSIVE, when an adapter is made; it touches
    /// no channel, and may come beside the other calls.
    #[doc(alias = "ValidateRequestLineBinding")]
    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool;

    /// How many fragments the next transfer may have; `requested` is a hint. One means no scatter/gather.
    #[doc(alias = "QueryMaxFragments")]
    fn query_max_fragments(&self, channel: u32, requested: u32) -> u32;

    /// Programs a channel and starts it. On an error nothing has started.
    #[doc(alias = "ProgramChannel")]
    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError>;

    /// A function of the controller's own, with a context both sides agreed on.
    #[doc(alias = "ConfigureChannel")]
    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus;

    /// Resets a channel that does not run, so that it is ready for the next program.
    #[doc(alias = "FlushChannel")]
    fn flush(&self, channel: u32);

    /// Acknowledges and reports one channel that interrupts. Called until there is none (RL-24).
    #[doc(alias = "HandleInterrupt")]
    fn interrupt(&self) -> Option<(u32, InterruptType)>;

    /// How many bytes are left, in the current iteration of a loop.
    #[doc(alias = "ReadDmaCounter")]
    fn remaining(&self, channel: u32) -> u32;

    /// For a controller without an interrupt: whether the channel has ended, and how. Tells each end once.
    fn poll(&self, channel: u32) -> Option<InterruptType>;

    /// Disables a channel. True: it was active, asserts no interrupt, and none will come. False: it was idle, or
    /// asserts an interrupt that [`Self::interrupt`] will report.
    #[doc(alias = "CancelTransfer")]
    fn cancel(&self, channel: u32) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: WDM-311.
    #[test]
    fn the_interrupt_types_have_the_header_s_values() {
        assert_eq!(InterruptType::Completion as u32, 0);
        assert_eq!(InterruptType::Error as u32, 1);
        assert_eq!(InterruptType::Cancelled as u32, 2);
    }

    #[test]
    fn request_lines_are_a_range() {
        let lines = RequestLines { first: 4, count: 2 };
        assert!(!lines.contains(3));
        assert!(lines.contains(4) && lines.contains(5));
        assert!(!lines.contains(6) && !lines.contains(u32::MAX));
    }
}
