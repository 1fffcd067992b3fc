//! One step: who gets the bus, and what happens on it.

use super::I8237;
use super::bus::Bus;
use super::controller::Controller;
use super::quirks::Quirks;
use super::requester::{Cycle, Intent, Requester};
use crate::Step;
use longshore_hardware::i8237::{CASCADE_CHANNEL, CHANNELS, Command, Controller as Which, Service, Transfer};

impl I8237 {
    /// Makes at most one bus cycle, with at most one access to memory.
    ///
    /// [`Step::Idle`] means that nobody asks for the bus or may have it. That changes when a register is written, or
    /// when a device begins to pull its line.
    pub fn step(&mut self, bus: &mut dyn Bus, devices: &mut dyn Requester) -> Step {
        self.sample(devices);
        let present = self.present(devices);
        let Some(channel) = self.grant(present) else {
            return Step::Idle;
        };
        if channel == 0 && self.first.copies_memory() {
            self.copy_memory(bus, devices);
        } else {
            self.serve(channel, bus, devices);
        }
        self.note_cascade(channel);
        Step::Worked
    }

    /// Looks at the request lines, without a transfer. Reading the status shows what was seen last.
    pub fn sample(&mut self, devices: &mut dyn Requester) {
        let mut levels = 0;
        for channel in (0..CHANNELS).filter(|&channel| channel != CASCADE_CHANNEL) {
            levels |= u8::from(devices.dreq(channel)) << channel;
        }
        self.first.sample(levels & 0xf, self.quirks);
        if self.cascades() && self.first.pick(0xf, self.quirks).is_some() {
            levels |= 1 << CASCADE_CHANNEL;
        }
        self.second.sample(levels >> 4, self.quirks);
    }

    fn cascades(&self) -> bool {
        !self.quirks.contains(Quirks::NO_CASCADE)
    }

    /// The channels on which there is a device, as far as the model may know that.
    fn present(&self, devices: &mut dyn Requester) -> u8 {
        if !self.quirks.contains(Quirks::LOOSE_MODE) {
            return u8::MAX;
        }
        (0..CHANNELS).fold(0, |bits, channel| {
            let present = channel == CASCADE_CHANNEL || devices.intent(channel) != Intent::Absent;
            bits | u8::from(present) << channel
        })
    }

    /// The channel that gets the bus. Controller 1 gets it as channel 4 of controller 2, which must be set up to
    /// pass it on.
    fn grant(&self, present: u8) -> Option<u8> {
        let first = self.first.pick(present & 0xf, self.quirks);
        if !self.cascades() {
            let second = self.second.pick(present >> 4 & 0xe, self.quirks);
            return first.or(second.map(|channel| channel + 4));
        }
        match self.second.pick(present >> 4, self.quirks)? {
            0 if self.second.service(0) == Service::Cascade => first,
            0 => None,
            channel => Some(channel + 4),
        }
    }

    /// Channel 4 was served with controller 1, and keeps the bus as long as controller 1 does.
    fn note_cascade(&mut self, channel: u8) {
        if Which::of(channel) == Which::First && self.cascades() {
            self.second.served(0, self.first.serving.is_some());
        }
    }

    fn controller_of(&mut self, channel: u8) -> &mut Controller {
        match Which::of(channel) {
            Which::First => &mut self.first,
            Which::Second => &mut self.second,
        }
    }

    fn serve(&mut self, channel: u8, bus: &mut dyn Bus, devices: &mut dyn Requester) {
        let quirks = self.quirks;
        let controller = self.controller_of(channel);
        let index = channel & 3;
        let dack = controller.command.contains(Command::DACK_ACTIVE_HIGH);
        let loose = quirks.contains(Quirks::LOOSE_MODE);
        if controller.service(index) == Service::Cascade && !loose {
            devices.acknowledge(Cycle {
                channel,
                terminal: false,
                dack,
            });
            controller.served(index, true);
            return;
        }
        let registers = &mut controller.channels[usize::from(index)];
        if quirks.contains(Quirks::UNMASKED_AFTER_TC) && registers.count == u16::MAX {
            registers.reload();
        }
        let cycle = Cycle {
            channel,
            terminal: registers.is_terminal(),
            dack,
        };
        self.cycle(cycle, bus, devices);

        let controller = self.controller_of(channel);
        controller.channels[usize::from(index)].advance(false);
        let ended = devices.pulls_eop(channel) || cycle.terminal;
        if ended {
            controller.finish(index, quirks);
        }
        let single = loose || controller.service(index) == Service::Single;
        controller.served(index, !ended && !single);
    }

    /// Moves one unit between the device and memory.
    fn cycle(&mut self, cycle: Cycle, bus: &mut dyn Bus, devices: &mut dyn Requester) {
        let transfer = self.direction(cycle.channel, devices);
        let address = self.address(cycle.channel, transfer);
        let mut unit = [0; 2];
        let len = Which::of(cycle.channel).unit() as usize;
        match transfer {
            Transfer::Write => {
                unit = devices.give(cycle).to_le_bytes();
                bus.write(address, &unit[..len]);
            }
            Transfer::Read => {
                bus.read(address, &mut unit[..len]);
                devices.take(cycle, u16::from_le_bytes(unit));
            }
            Transfer::Verify | Transfer::Illegal => devices.acknowledge(cycle),
        }
    }

    fn direction(&mut self, channel: u8, devices: &mut dyn Requester) -> Transfer {
        let programmed = self.controller_of(channel).channels[usize::from(channel & 3)]
            .mode
            .transfer();
        if !self.quirks.contains(Quirks::LOOSE_MODE) || programmed == Transfer::Verify {
            return programmed;
        }
        match devices.intent(channel) {
            Intent::Gives => Transfer::Write,
            Intent::Takes => Transfer::Read,
            Intent::AsProgrammed | Intent::Absent => programmed,
        }
    }

    fn address(&mut self, channel: u8, transfer: Transfer) -> u32 {
        let quirks = self.quirks;
        let place = self.controller_of(channel).channels[usize::from(channel & 3)].place(transfer, quirks);
        self.pages.address(channel, place, quirks)
    }

    /// Half of a memory-to-memory transfer: channel 0 reads into the temporary register, or channel 1 writes it.
    ///
    /// Which page register an AT uses here is the board's affair, since no DACK is driven that could choose one. The
    /// model takes each channel's own.
    fn copy_memory(&mut self, bus: &mut dyn Bus, devices: &mut dyn Requester) {
        if self.first.holds_byte {
            self.copy_out(bus, devices);
        } else {
            self.copy_in(bus, devices);
        }
    }

    /// Channel 0 reads. Its count ends nothing, but with auto-initialize it begins again after its own block.
    fn copy_in(&mut self, bus: &mut dyn Bus, devices: &mut dyn Requester) {
        let mut byte = [0];
        bus.read(self.address(0, Transfer::Read), &mut byte);
        let first = &mut self.first;
        first.temporary = byte[0];
        first.holds_byte = true;
        let hold = first.command.contains(Command::CHANNEL_0_ADDRESS_HOLD);
        let source = &mut first.channels[0];
        let ended = source.is_terminal();
        source.advance(hold);
        if (devices.pulls_eop(0) || ended) && source.mode.is_autoinitialize() {
            source.reload();
        }
        first.served(0, true);
    }

    /// Channel 1 writes, and its count ends the transfer.
    fn copy_out(&mut self, bus: &mut dyn Bus, devices: &mut dyn Requester) {
        bus.write(self.address(1, Transfer::Write), &[self.first.temporary]);
        let first = &mut self.first;
        first.holds_byte = false;
        let terminal = first.channels[1].is_terminal();
        first.channels[1].advance(false);
        let ended = devices.pulls_eop(1) || terminal;
        if ended {
            first.finish(1, self.quirks);
            first.requests &= !1;
        }
        first.served(0, !ended);
    }
}
