//! What a reference controller is like.

/// What a controller answers to a cancel that meets a transfer which has just ended. All were seen in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelStyle {
    /// FALSE, and the interrupt that is asserted tells later how the transfer ended.
    Honest,
    /// FALSE; the status is read and remembered at the cancel, and told later as it was (WDM-315, RL-24).
    LatchedReportsCompletion,
    /// FALSE; the next interrupt reports Cancelled, whatever was moved (WDM-315, RL-22).
    LatchedReportsCancelled,
    /// FALSE, also to one that comes in time: the channel moves nothing any more, and an interrupt that comes later
    /// reports Cancelled.
    Slow,
    /// The asserted interrupt is taken back, and the answer is TRUE, always (WDM-317, RL-20).
    AlwaysTrue,
}

/// Where the end of a transfer is signalled (WDM-308).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupts {
    /// Nowhere: it must be polled for.
    None,
    /// On one line for all channels.
    Controller,
    /// On a line for each channel.
    Channels,
}

/// What the count of bytes that are left is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Nothing: there is none.
    Absent,
    /// It is right, but a cancel wipes it: then it reads the full length (RL-21).
    Wiped,
    /// It is right until the channel is flushed.
    Kept,
}

/// A reference controller, as it is to be.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many channels, up to 32.
    pub channels: u32,
    /// How many fragments a transfer may have, up to [`MOST_FRAGMENTS`](super::registers::MOST_FRAGMENTS).
    pub fragments: u32,
    /// The most bytes that one step of the hardware moves.
    pub burst: u32,
    /// Each fragment is a multiple of this many bytes, and begins at one.
    pub minimum_unit: u32,
    /// How many address bits it drives.
    pub address_width: u32,
    /// No fragment may cross a multiple of this; 0 for no such boundary.
    pub boundary: u64,
    /// Where the end of a transfer is signalled.
    pub interrupts: Interrupts,
    /// The system's number for its first request line; it has as many as channels.
    pub first_line: u32,
    /// What its count is worth.
    pub counter: Counter,
    /// How it answers a late cancel.
    pub style: CancelStyle,
    /// The transfers' fragments stand in a common buffer, from which the hardware reads them.
    pub common_buffer: bool,
    /// One read of the interrupt register serves several calls of its driver (RL-24).
    pub one_read: bool,
    /// Its driver's flush does nothing (RL-26).
    pub empty_flush: bool,
    /// The hardware stands still after each period of a loop, and its driver sends it on (RL-27).
    pub software_loop: bool,
}

impl Options {
    /// Two channels with everything, on one honest interrupt.
    pub const fn new() -> Self {
        Self {
            channels: 2,
            fragments: super::registers::MOST_FRAGMENTS as u32,
            burst: 4,
            minimum_unit: 1,
            address_width: 32,
            boundary: 0,
            interrupts: Interrupts::Controller,
            first_line: 0,
            counter: Counter::Kept,
            style: CancelStyle::Honest,
            common_buffer: false,
            one_read: false,
            empty_flush: false,
            software_loop: false,
        }
    }

    /// The same, with this answer to a late cancel.
    #[must_use]
    pub const fn style(self, style: CancelStyle) -> Self {
        Self { style, ..self }
    }

    /// The same, with its ends signalled there.
    #[must_use]
    pub const fn interrupts(self, interrupts: Interrupts) -> Self {
        Self { interrupts, ..self }
    }

    /// How many interrupt lines it has.
    pub const fn lines(self) -> u32 {
        match self.interrupts {
            Interrupts::None => 0,
            Interrupts::Controller => 1,
            Interrupts::Channels => self.channels,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
