//! The two 8237A of an AT, with their page registers.
//!
//! [`I8237`] is the pair by itself, owned by value: [`read`](I8237::read) and [`write`](I8237::write) a port,
//! [`step`](I8237::step) with the machine's memory and its devices. [`Wired`] is the pair together with its devices, as a
//! [`Model`](crate::Model).
//!
//! The model keeps to the data sheet: counts are transfers minus one, addresses wrap inside their page, the end of a
//! block masks its channel. What differs in QEMU is listed in [`Quirks`], and can be had with
//! [`with_quirks`](I8237::with_quirks). What the data sheet leaves open is decided so:
//!
//! * a read that it calls illegal is an error and changes nothing;
//! * the transfer type it calls illegal moves no data;
//! * a request by software on a channel that is not in block mode stays pending and moves nothing;
//! * while channel 4 is not in cascade mode, controller 1 gets no bus;
//! * software can write registers between two cycles of a block, which no CPU could on a bus that is taken. Masking the
//!   channel then ends its hold on the bus.

mod bus;
mod channel;
mod controller;
mod pages;
mod quirks;
mod requester;
mod slots;
mod state;
mod transfer;
mod wired;

pub use bus::Bus;
pub use quirks::Quirks;
pub use requester::{Cycle, Intent, Requester};
pub use slots::Slots;
pub use wired::Wired;

use controller::Controller;
use longshore_hardware::AccessError;
use longshore_hardware::i8237::{Controller as Which, HIGH_PAGE_BASE, PAGE_BASE};
use pages::Pages;

/// The pair of controllers, without devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct I8237 {
    first: Controller,
    second: Controller,
    pages: Pages,
    quirks: Quirks,
}

impl I8237 {
    /// The pair after power-on, with 24-bit addresses and as the data sheet says.
    ///
    /// What is undefined then (addresses, counts, modes, pages) is zero.
    pub fn new() -> Self {
        Self {
            first: Controller::new(Which::First, Quirks::empty()),
            second: Controller::new(Which::Second, Quirks::empty()),
            pages: Pages::default(),
            quirks: Quirks::empty(),
        }
    }

    /// The same with high page registers, and so with 32-bit addresses.
    #[must_use]
    pub fn with_high_pages(mut self) -> Self {
        self.pages.has_high = true;
        self
    }

    /// The pair after power-on, with these departures from the data sheet.
    #[must_use]
    pub fn with_quirks(self, quirks: Quirks) -> Self {
        Self {
            first: Controller::new(Which::First, quirks),
            second: Controller::new(Which::Second, quirks),
            quirks,
            pages: self.pages,
        }
    }

    /// Software reads a port.
    ///
    /// A port that is not the pair's, or that the data sheet calls illegal to read, is an error. On a PC nobody drives the
    /// bus then, and software sees all ones.
    pub fn read(&mut self, port: u16) -> Result<u8, AccessError> {
        match self.find(port)? {
            Place::First(register) => self.first.read(register, self.quirks),
            Place::Second(register) => self.second.read(register, self.quirks),
            Place::Page(index) => Ok(self.pages.read(index, self.quirks)),
            Place::HighPage(index) => self.pages.high(index).copied(),
        }
    }

    /// Software writes a port. One that is not the pair's is an error.
    pub fn write(&mut self, port: u16, value: u8) -> Result<(), AccessError> {
        match self.find(port)? {
            Place::First(register) => self.first.write(register, value, self.quirks),
            Place::Second(register) => self.second.write(register, value, self.quirks),
            Place::Page(index) => self.pages.write(index, value, self.quirks),
            Place::HighPage(index) => *self.pages.high(index)? = value,
        }
        Ok(())
    }

    /// Controller 2 decodes even ports only.
    fn find(&self, port: u16) -> Result<Place, AccessError> {
        let page = usize::from(port & 0xf);
        match port {
            0x00..=0x0f => Ok(Place::First(port as u8)),
            0xc0..=0xdf if port & 1 == 0 || self.quirks.contains(Quirks::ODD_PORTS) => {
                Ok(Place::Second((port as u8 & 0x1f) >> 1))
            }
            _ if port & !0xf == PAGE_BASE => Ok(Place::Page(page)),
            _ if port & !0xf == HIGH_PAGE_BASE => Ok(Place::HighPage(page)),
            _ => Err(AccessError::NoSuchRegister),
        }
    }
}

impl Default for I8237 {
    fn default() -> Self {
        Self::new()
    }
}

/// What a port reaches.
enum Place {
    First(u8),
    Second(u8),
    Page(usize),
    HighPage(usize),
}
