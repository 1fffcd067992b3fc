//! The page registers beside the controllers: the part of an address that no controller holds.

use super::channel::Place;
use super::quirks::Quirks;
use longshore_hardware::AccessError;
use longshore_hardware::i8237::{Controller, PAGE_BASE, PAGE_PORTS, page_port};

/// Page registers, and high page registers where the machine has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) low: [u8; 16],
    pub(crate) high: [u8; 16],
    pub(crate) has_high: bool,
}

impl Pages {
    /// Reads the page register with this number, counted from the first port.
    pub(crate) fn read(&self, index: usize, quirks: Quirks) -> u8 {
        if is_spare(index) && quirks.contains(Quirks::NO_SPARE_PAGES) {
            return 0xff;
        }
        self.low[index]
    }

    pub(crate) fn write(&mut self, index: usize, value: u8, quirks: Quirks) {
        if !is_spare(index) || !quirks.contains(Quirks::NO_SPARE_PAGES) {
            self.low[index] = value;
        }
    }

    /// The high page register with this number. There is one for each channel, and none to spare.
    pub(crate) fn high(&mut self, index: usize) -> Result<&mut u8, AccessError> {
        if self.has_high && !is_spare(index) {
            Ok(&mut self.high[index])
        } else {
            Err(AccessError::NoSuchRegister)
        }
    }

    /// Where a channel's unit lies on the bus.
    pub(crate) fn address(&self, channel: u8, place: Place, quirks: Quirks) -> u32 {
        let index = usize::from(page_port(channel) - PAGE_BASE);
        let controller = Controller::of(channel);
        let mut page = self.low[index];
        if !quirks.contains(Quirks::LOW_PAGE_BIT) {
            page &= controller.page_mask();
        }
        let mut high = self.high[index];
        if quirks.contains(Quirks::SHORT_HIGH_PAGE) {
            high &= 0x7f;
        }
        let shift = controller.unit_shift();
        let start = u32::from(high) << 24 | u32::from(page) << 16 | u32::from(place.start) << shift;
        // Only a quirk leaves the page, and so may leave the address space.
        start.wrapping_add_signed(place.offset << shift)
    }
}

/// Whether no channel has the page register with this number.
pub(crate) fn is_spare(index: usize) -> bool {
    !PAGE_PORTS
        .iter()
        .any(|&port| usize::from(port - PAGE_BASE) == index)
}
