//! What a system DMA controller must offer: the HAL-extension contract, made object safe.

use crate::adapter::description::DmaWidth;
use core::fmt;
use longshore_core::NtStatus;
use longshore_core::scatter::Segments;
use longshore_hardware::{BusAddress, BusRange};

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

    /// Whether some line is one of these and one of those.
    pub const fn overlap(self, other: Self) -> bool {
        let empty = self.count == 0 || other.count == 0;
        !empty && (self.contains(other.first) || other.contains(self.first))
    }
}

/// How wide the device ports may be that a controller serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct PortWidths(pub u32);

impl PortWidths {
    /// Any width.
    pub const UNLIMITED: Self = Self(0x01);
    /// 8 bits.
    pub const BITS_8: Self = Self(0x02);
    /// 16 bits.
    pub const BITS_16: Self = Self(0x04);
    /// 32 bits.
    pub const BITS_32: Self = Self(0x08);
    /// 64 bits.
    pub const BITS_64: Self = Self(0x10);

    /// These widths and those.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a port of this width can be served.
    pub const fn serve(self, width: DmaWidth) -> bool {
        self.0 & (Self::UNLIMITED.0 | Self::BITS_8.0.wrapping_shl(width.0)) != 0
    }
}

/// What a controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "DMA_CONTROLLER")]
pub struct ControllerAttributes {
    /// How many channels it has.
    pub channels: u32,
    /// How many bits of an address it drives.
    pub address_width: u32,
    /// How wide the device ports may be.
    pub port_widths: PortWidths,
    /// Transfers are multiples of this many bytes.
    pub minimum_unit: u32,
    /// The request lines it serves.
    pub request_lines: RequestLines,
    /// Whether it sees what the CPU wrote without the caches being told.
    pub cache_coherent: bool,
    /// Whether it interrupts when a transfer ends. A channel of a controller that does not may still do so on its own
    /// ([`ChannelAttributes::generates_interrupt`]); where neither does, no completion routine ever runs (WDM-308).
    pub generates_interrupt: bool,
    /// Whether [`Controller::remaining`] tells the truth.
    pub counter_available: bool,
}

impl ControllerAttributes {
    /// A controller with so many channels and as many request lines, counted from zero, that drives 32 address bits,
    /// serves ports of any width, is coherent, interrupts and counts.
    pub const fn new(channels: u32) -> Self {
        Self {
            channels,
            address_width: 32,
            port_widths: PortWidths::UNLIMITED,
            minimum_unit: 1,
            request_lines: RequestLines {
                first: 0,
                count: channels,
            },
            cache_coherent: true,
            generates_interrupt: true,
            counter_available: true,
        }
    }
}

/// What one of its channels is, beyond what the controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[doc(alias = "DMA_CHANNEL")]
pub struct ChannelAttributes {
    /// Whether the channel has an interrupt of its own.
    pub generates_interrupt: bool,
    /// How many bytes of common buffer it wants from registration on; 0 for none.
    pub common_buffer_length: u32,
    /// Transfers of this channel are multiples of this many bytes, and begin at such; 0 for what the controller says.
    pub minimum_unit: u32,
    /// No fragment may cross a multiple of this, a power of two; 0 for no such boundary.
    pub boundary: u64,
    /// How wide the device ports of this channel may be; none for what the controller says.
    pub port_widths: PortWidths,
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
    /// The hardware cannot do this: a loop, an odd address or length, or none at all.
    Unsupported,
    /// The controller does not answer.
    Gone,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyFragments => "the controller takes fewer fragments at a time",
            Self::Unreachable => "the controller cannot drive this address",
            Self::NoChannel => "there is no such channel, or it is busy",
            Self::Unsupported => "the hardware cannot do this kind of transfer",
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

    /// What one channel is, beyond that. The same each time.
    fn channel(&self, channel: u32) -> ChannelAttributes {
        let _ = channel;
        ChannelAttributes::default()
    }

    /// Brings the hardware into a known state, whatever it did before. May come more than once.
    #[doc(alias = "InitializeController")]
    fn initialize(&self);

    /// Hands over the memory that [`ChannelAttributes::common_buffer_length`] asked for. Comes after
    /// [`Self::initialize`], channel by channel from 0 on (WDM-313), and never if all lengths are zero.
    #[doc(alias = "ReportCommonBuffer")]
    fn report_common_buffer(&self, channel: u32, buffer: BusRange) {
        let _ = (channel, buffer);
    }

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

    /// Gives a channel's request line to a bus master that takes the bus through it, or takes it back. Meanwhile nothing
    /// is programmed there. Few controllers can.
    fn cascade(&self, channel: u32, on: bool) -> Result<(), ProgramError> {
        let _ = (channel, on);
        Err(ProgramError::Unsupported)
    }

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

    /// Whether a channel that a cancel was told FALSE of, and that reports no end, touches memory no more. Memory comes
    /// back only then. False is for hardware that does not stop when it is told to.
    fn is_quiet(&self, channel: u32) -> bool {
        let _ = channel;
        true
    }
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
