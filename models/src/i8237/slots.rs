//! Several devices side by side.

use super::requester::{Cycle, Intent, Requester};
use alloc::boxed::Box;

type Device = Box<dyn Requester + Send>;

/// A device for each channel, or none.
#[derive(Default)]
pub struct Slots {
    devices: [Option<Device>; 8],
}

impl Slots {
    /// Empty slots.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a device on a channel and gives back the one that was there. Of a number above 7 only the low three bits
    /// count.
    pub fn plug(&mut self, channel: u8, device: Device) -> Option<Device> {
        self.devices[usize::from(channel & 7)].replace(device)
    }

    fn on(&mut self, channel: u8) -> Option<&mut Device> {
        self.devices[usize::from(channel & 7)].as_mut()
    }
}

impl Requester for Slots {
    fn dreq(&mut self, channel: u8) -> bool {
        self.on(channel).is_some_and(|device| device.dreq(channel))
    }

    fn give(&mut self, cycle: Cycle) -> u16 {
        self.on(cycle.channel)
            .map_or(u16::MAX, |device| device.give(cycle))
    }

    fn take(&mut self, cycle: Cycle, data: u16) {
        if let Some(device) = self.on(cycle.channel) {
            device.take(cycle, data);
        }
    }

    fn acknowledge(&mut self, cycle: Cycle) {
        if let Some(device) = self.on(cycle.channel) {
            device.acknowledge(cycle);
        }
    }

    fn pulls_eop(&mut self, channel: u8) -> bool {
        self.on(channel).is_some_and(|device| device.pulls_eop(channel))
    }

    fn intent(&mut self, channel: u8) -> Intent {
        self.on(channel)
            .map_or(Intent::Absent, |device| device.intent(channel))
    }
}
