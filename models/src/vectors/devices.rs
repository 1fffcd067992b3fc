//! The devices of a vector: they do what its lines say, and remember what they saw.

use crate::i8237::{Cycle, Requester};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// A device on each channel.
#[derive(Debug, Default)]
pub(super) struct Devices {
    lines: [Device; 8],
    /// The channels of all cycles since this was last taken.
    pub(super) order: Vec<u8>,
    /// Cycles since the vector began.
    pub(super) cycles: u32,
}

/// What a device has, wants and saw.
#[derive(Debug, Default)]
pub(super) struct Device {
    /// What it has to give.
    pub(super) stock: VecDeque<u16>,
    /// For how many cycles it goes on to request.
    pub(super) asks: u32,
    /// Whether it requests by a low level.
    pub(super) active_low: bool,
    /// In which of its cycles it pulls EOP, counted from one.
    pub(super) eop: Option<u32>,
    /// What it took.
    pub(super) got: Vec<u16>,
    /// In which of its cycles it saw TC.
    pub(super) terminal: Vec<u32>,
    /// The level of DACK in its last cycle.
    pub(super) dack: Option<bool>,
    cycles: u32,
    eop_polls: u32,
}

impl Devices {
    pub(super) fn on(&mut self, channel: u8) -> &mut Device {
        &mut self.lines[usize::from(channel & 7)]
    }

    fn see(&mut self, cycle: Cycle) -> &mut Device {
        self.cycles = self.cycles.saturating_add(1);
        self.order.push(cycle.channel);
        let device = self.on(cycle.channel);
        device.cycles += 1;
        device.asks = device.asks.saturating_sub(1);
        device.dack = Some(cycle.dack);
        if cycle.terminal {
            device.terminal.push(device.cycles);
        }
        device
    }
}

impl Requester for Devices {
    fn dreq(&mut self, channel: u8) -> bool {
        let device = self.on(channel);
        (device.asks > 0) != device.active_low
    }

    fn give(&mut self, cycle: Cycle) -> u16 {
        self.see(cycle).stock.pop_front().unwrap_or(u16::MAX)
    }

    fn take(&mut self, cycle: Cycle, data: u16) {
        self.see(cycle).got.push(data);
    }

    fn acknowledge(&mut self, cycle: Cycle) {
        self.see(cycle);
    }

    fn pulls_eop(&mut self, channel: u8) -> bool {
        let device = self.on(channel);
        device.eop_polls = device.eop_polls.saturating_add(1);
        device.eop == Some(device.eop_polls)
    }
}
