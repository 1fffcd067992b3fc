//! The devices' side: who asks for transfers.

/// The devices that are wired to the request lines of channels 0 to 7.
///
/// A channel number says which line is meant. A device that sits on one channel alone pulls no other channel's line;
/// [`Slots`](super::Slots) puts several of them side by side.
pub trait Requester {
    /// The level of the channel's DREQ line: true for high, which is a request unless the command register turned
    /// the sense of the lines round. A line that nobody drives is low.
    fn dreq(&mut self, channel: u8) -> bool;

    /// The device puts a byte (on channels 5 to 7 a word) on the bus, to be written to memory. A request by software
    /// can make this happen without the device having asked; nobody on the bus reads as all ones.
    fn give(&mut self, cycle: Cycle) -> u16;

    /// The device takes the byte (on channels 5 to 7 the word) that was read from memory.
    fn take(&mut self, cycle: Cycle, data: u16);

    /// The device sees its DACK, but no data moves: the channel verifies, or cascades and the bus is the device's.
    fn acknowledge(&mut self, cycle: Cycle) {
        let _ = cycle;
    }

    /// Whether somebody pulls EOP during the cycle that was just made on the channel. That ends the block as if it
    /// had been its last one.
    fn pulls_eop(&mut self, channel: u8) -> bool {
        let _ = channel;
        false
    }

    /// What the device is about to do. The real controller cannot know; asked only under
    /// [`Quirks::LOOSE_MODE`](super::Quirks::LOOSE_MODE).
    fn intent(&mut self, channel: u8) -> Intent {
        let _ = channel;
        Intent::AsProgrammed
    }
}

/// What a device sees of one bus cycle on its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The channel, 0 to 7.
    pub channel: u8,
    /// Whether the controller says TC: this is the last one of the block.
    pub terminal: bool,
    /// The level on the channel's DACK line: false for low, which is what devices in an AT expect.
    pub dack: bool,
}

/// What a device is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// What the mode register says.
    AsProgrammed,
    /// Give, whatever the mode register says.
    Gives,
    /// Take, whatever the mode register says.
    Takes,
    /// There is no device.
    Absent,
}

/// No device at all.
impl Requester for () {
    fn dreq(&mut self, _: u8) -> bool {
        false
    }

    fn give(&mut self, _: Cycle) -> u16 {
        u16::MAX
    }

    fn take(&mut self, _: Cycle, _: u16) {}

    fn intent(&mut self, _: u8) -> Intent {
        Intent::Absent
    }
}
