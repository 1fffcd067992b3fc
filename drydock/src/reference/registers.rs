//! The reference controller's registers. All are 32 bits wide, except for addresses, which take 64.

/// One bit per channel that asks for an interrupt. Read only.
pub const INTERRUPTS: u64 = 0x00;
/// How many channels there are. Read only.
pub const CHANNELS: u64 = 0x04;
/// Where the first channel's registers begin.
pub const FIRST_CHANNEL: u64 = 0x100;
/// How far apart the channels' registers are.
pub const CHANNEL_STRIDE: u64 = 0x100;

/// Commands and settings of a channel. Write only.
pub const CONTROL: u64 = 0x00;
/// What a channel does; done and error are taken back by writing ones.
pub const STATUS: u64 = 0x04;
/// How many fragments are valid.
pub const FRAGMENTS: u64 = 0x08;
/// How many bytes are left, in the current iteration of a loop. Read only.
pub const REMAINING: u64 = 0x0c;
/// Where the device's data port is. 64 bits.
pub const DEVICE_ADDRESS: u64 = 0x10;
/// On which line the device asks.
pub const REQUEST_LINE: u64 = 0x18;
/// After how many bytes of a lap the channel is done with a period; 0 for after the whole of it.
pub const PERIOD: u64 = 0x1c;
/// Where in memory the fragments stand, laid out as in [`FRAGMENT_TABLE`]; 0 for in the table. 64 bits.
pub const LIST: u64 = 0x20;
/// The first fragment: its address (64 bits), and 8 bytes behind it its length.
pub const FRAGMENT_TABLE: u64 = 0x80;
/// How far apart fragments are.
pub const FRAGMENT_STRIDE: u64 = 0x10;
/// How many fragments there is room for.
pub const MOST_FRAGMENTS: usize = 8;

/// CONTROL: go.
pub const START: u32 = 0x01;
/// CONTROL: start over at the end.
pub const LOOP: u32 = 0x02;
/// CONTROL: from memory to the device.
pub const WRITE_TO_DEVICE: u32 = 0x04;
/// CONTROL: ask for an interrupt when done or in error.
pub const INTERRUPT_ENABLE: u32 = 0x08;
/// CONTROL: stop at once. What has been latched stays.
pub const STOP: u32 = 0x10;
/// CONTROL: forget everything.
pub const RESET: u32 = 0x20;
/// CONTROL: with START, stand still after each period; alone, go on from there.
pub const STEP: u32 = 0x40;
/// CONTROL: with STOP, forget how far the transfer was.
pub const REWIND: u32 = 0x80;
/// CONTROL: with STOP, say done a little later, if the channel was still active.
pub const DRAIN: u32 = 0x100;

/// STATUS: the channel moves bytes.
pub const ACTIVE: u32 = 0x01;
/// STATUS: the transfer, or a period of a loop, is complete.
pub const DONE: u32 = 0x02;
/// STATUS: the transfer failed.
pub const ERROR: u32 = 0x04;

/// Where a channel's register is.
pub const fn of(channel: u32, register: u64) -> u64 {
    FIRST_CHANNEL + channel as u64 * CHANNEL_STRIDE + register
}

/// Where a fragment's address is, in its channel.
pub const fn fragment(index: usize) -> u64 {
    FRAGMENT_TABLE + index as u64 * FRAGMENT_STRIDE
}
