//! One 8237A: its registers, and who of its four channels is served next.

use super::channel::{Channel, Half};
use super::quirks::Quirks;
use longshore_hardware::AccessError;
use longshore_hardware::i8237::{ChannelBit, Command, Controller as Which, Mode, Service, register};

/// A controller. Its channels have the numbers 0 to 3 here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Controller {
    pub(crate) which: Which,
    pub(crate) channels: [Channel; 4],
    pub(crate) command: Command,
    pub(crate) masks: u8,
    /// Requests by software.
    pub(crate) requests: u8,
    /// The low half of the status: who came to the end of a block.
    pub(crate) done: u8,
    pub(crate) temporary: u8,
    /// Whether the next access to an address or count is to its high byte.
    pub(crate) flip_flop: bool,
    /// The levels of the request lines when they were last looked at.
    pub(crate) dreq: u8,
    /// The channel that has the highest priority while priority rotates.
    pub(crate) first: u8,
    /// The channel that keeps the bus.
    pub(crate) serving: Option<u8>,
    /// Whether the temporary register holds a byte that is not yet written.
    pub(crate) holds_byte: bool,
}

impl Controller {
    pub(crate) fn new(which: Which, quirks: Quirks) -> Self {
        let mut controller = Self {
            which,
            channels: [Channel::default(); 4],
            command: Command::empty(),
            masks: 0,
            requests: 0,
            done: 0,
            temporary: 0,
            flip_flop: false,
            dreq: 0,
            first: 0,
            serving: None,
            holds_byte: false,
        };
        for (channel, number) in controller.channels.iter_mut().zip(0..) {
            channel.mode = Mode::from_raw(number);
        }
        controller.master_clear(quirks);
        controller
    }

    /// Software reads a register.
    pub(crate) fn read(&mut self, register: u8, quirks: Quirks) -> Result<u8, AccessError> {
        let readable = quirks.contains(Quirks::READABLE_MASKS);
        match register {
            0..8 => Ok(self.read_half(register)),
            register::STATUS => Ok(self.read_status(quirks)),
            register::REQUEST if readable => Ok(self.masks),
            register::TEMPORARY if !readable => Ok(self.temporary),
            _ if readable => Ok(0),
            // The data sheet calls the read illegal; what it would give is nobody's to say.
            _ => Err(AccessError::NoSuchRegister),
        }
    }

    /// Software writes a register.
    pub(crate) fn write(&mut self, register: u8, value: u8, quirks: Quirks) {
        match register {
            register::COMMAND => self.write_command(value, quirks),
            register::REQUEST => self.write_request(ChannelBit::from_raw(value), quirks),
            register::SINGLE_MASK => {
                let mask = ChannelBit::from_raw(value);
                set_bit(&mut self.masks, mask.channel(), mask.is_set());
            }
            register::MODE => {
                let mode = Mode::from_raw(value);
                self.channels[usize::from(mode.channel())].mode = mode;
            }
            register::CLEAR_FLIP_FLOP => self.flip_flop = false,
            register::MASTER_CLEAR => self.master_clear(quirks),
            register::CLEAR_ALL_MASKS => self.masks = 0,
            register::ALL_MASKS => self.masks = value & all_masks(quirks),
            half => {
                let high = self.turn_flip_flop();
                self.channels[usize::from(half >> 1 & 3)].write(half_of(half), high, value, quirks);
            }
        }
    }

    fn read_half(&mut self, register: u8) -> u8 {
        let high = self.turn_flip_flop();
        self.channels[usize::from(register >> 1 & 3)].read(half_of(register), high)
    }

    /// Which byte this access is to; the next one is to the other.
    fn turn_flip_flop(&mut self) -> bool {
        self.flip_flop = !self.flip_flop;
        !self.flip_flop
    }

    fn read_status(&mut self, quirks: Quirks) -> u8 {
        self.asking(quirks) << 4 | core::mem::take(&mut self.done)
    }

    fn write_command(&mut self, value: u8, quirks: Quirks) {
        let command = Command::from_bits_retain(value);
        if quirks.contains(Quirks::DEAF_COMMAND) && !Command::DISABLE.contains(command) {
            return;
        }
        self.command = command;
        self.holds_byte &= self.copies_memory();
    }

    fn write_request(&mut self, request: ChannelBit, quirks: Quirks) {
        set_bit(&mut self.requests, request.channel(), request.is_set());
        if quirks.contains(Quirks::ONE_REQUEST_BIT) {
            set_bit(&mut self.done, request.channel(), false);
        }
    }

    /// The same as a reset. Addresses, counts and modes stay.
    fn master_clear(&mut self, quirks: Quirks) {
        self.command = Command::empty();
        self.masks = all_masks(quirks);
        self.requests = 0;
        self.done = 0;
        self.temporary = 0;
        self.flip_flop = false;
        self.first = 0;
        self.serving = None;
        self.holds_byte = false;
    }

    /// Looks at the levels of the request lines. Who keeps the bus only while requesting may lose it.
    pub(crate) fn sample(&mut self, levels: u8, quirks: Quirks) {
        if quirks.contains(Quirks::ONE_REQUEST_BIT) {
            self.requests |= levels & !self.dreq;
            self.requests &= !(self.dreq & !levels);
        }
        self.dreq = levels;
        let ready = self.ready(quirks);
        self.serving = self.serving.filter(|&channel| self.keeps(channel, ready));
    }

    /// Whether channels 0 and 1 are set up to copy memory. On an AT only controller 1 can.
    pub(crate) fn copies_memory(&self) -> bool {
        self.which == Which::First && self.command.contains(Command::MEMORY_TO_MEMORY)
    }

    /// The devices that pull their line.
    fn pulled(&self) -> u8 {
        let turned = self.command.contains(Command::DREQ_ACTIVE_LOW);
        if turned { !self.dreq & 0xf } else { self.dreq }
    }

    /// Who requests, masked or not.
    fn asking(&self, quirks: Quirks) -> u8 {
        if quirks.contains(Quirks::ONE_REQUEST_BIT) {
            self.requests
        } else {
            self.requests | self.pulled()
        }
    }

    /// Who requests and may be served. Requests by software cannot be masked, but need a channel in block mode.
    fn ready(&self, quirks: Quirks) -> u8 {
        if self.command.contains(Command::DISABLE) && !quirks.contains(Quirks::DEAF_COMMAND) {
            0
        } else if quirks.contains(Quirks::ONE_REQUEST_BIT) {
            self.asking(quirks) & !self.masks
        } else {
            self.pulled() & !self.masks | self.requests & self.in_block_mode(quirks)
        }
    }

    fn in_block_mode(&self, quirks: Quirks) -> u8 {
        (0..4).fold(0, |bits, channel| {
            let block = self.service(channel) == Service::Block
                || quirks.contains(Quirks::LOOSE_MODE)
                || self.copies_memory() && channel == 0;
            bits | u8::from(block) << channel
        })
    }

    /// How long the channel keeps the bus.
    pub(crate) fn service(&self, channel: u8) -> Service {
        self.channels[usize::from(channel & 3)].mode.service()
    }

    /// Who of `present` is served next: whoever keeps the bus, or else by priority.
    pub(crate) fn pick(&self, present: u8, quirks: Quirks) -> Option<u8> {
        let ready = self.ready(quirks) & present;
        let first = if self.rotates() { self.first } else { 0 };
        let mut by_priority = (0..4).map(|n| (first + n) & 3);
        self.serving
            .or_else(|| by_priority.find(|channel| ready & 1 << channel != 0))
    }

    /// Whether the channel that has the bus goes on: a block needs no request once it has begun.
    fn keeps(&self, channel: u8, ready: u8) -> bool {
        let block = self.service(channel) == Service::Block;
        let stopped = self.masks & 1 << channel != 0 || self.command.contains(Command::DISABLE);
        ready & 1 << channel != 0 || block && !stopped
    }

    fn rotates(&self) -> bool {
        self.command.contains(Command::ROTATING_PRIORITY)
    }

    /// The channel had the bus, and keeps it or not.
    pub(crate) fn served(&mut self, channel: u8, keeps: bool) {
        self.serving = keeps.then_some(channel);
        if self.rotates() {
            self.first = (channel + 1) & 3;
        }
    }

    /// The channel came to the end of its block, by TC or by EOP.
    pub(crate) fn finish(&mut self, channel: u8, quirks: Quirks) {
        set_bit(&mut self.done, channel, true);
        if !quirks.contains(Quirks::ONE_REQUEST_BIT) {
            set_bit(&mut self.requests, channel, false);
        }
        let registers = &mut self.channels[usize::from(channel & 3)];
        if !registers.mode.is_autoinitialize() {
            let masked = !quirks.contains(Quirks::UNMASKED_AFTER_TC);
            self.masks |= u8::from(masked) << channel;
        } else if !quirks.contains(Quirks::NO_AUTOINITIALIZE) {
            registers.reload();
        }
    }
}

fn half_of(register: u8) -> Half {
    if register & 1 == 0 {
        Half::Address
    } else {
        Half::Count
    }
}

fn all_masks(quirks: Quirks) -> u8 {
    if quirks.contains(Quirks::EIGHT_MASK_BITS) {
        0xff
    } else {
        0xf
    }
}

fn set_bit(bits: &mut u8, channel: u8, set: bool) {
    *bits = *bits & !(1 << channel) | u8::from(set) << channel;
}
