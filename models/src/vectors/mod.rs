//! Conformance vectors, and what runs them against any implementation.
//!
//! A vector is plain text: port writes and reads, what devices do on the request lines, memory before and after. Its
//! expected values follow from the data sheet, not from any implementation. [`I8237`] holds the text of
//! `vectors/i8237.txt`, whose head explains the format. An emulator joins in by implementing [`Subject`]:
//!
//! ```
//! use longshore_models::i8237::Requester;
//! use longshore_models::vectors::{I8237, Subject, parse};
//!
//! fn check(new: impl Fn() -> Box<dyn Subject>) {
//!     for vector in parse(I8237).expect("the vectors are well formed") {
//!         if let Err(failure) = vector.run(&mut *new()) {
//!             eprintln!("{failure}");
//!         }
//!     }
//! }
//! ```

mod devices;
mod parse;
mod run;

pub use parse::{ParseError, parse};
pub use run::{Failure, Subject};

use alloc::string::String;
use alloc::vec::Vec;

/// The vectors for the two 8237A of an AT.
pub const I8237: &str = include_str!("../../vectors/i8237.txt");

/// One vector: what is done to a machine after power-on, and what must be seen then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// A group, a slash, and what the vector is about.
    pub name: String,
    lines: Vec<(usize, Action)>,
}

impl Vector {
    /// The part of the name before the slash: what an implementation needs for this vector.
    pub fn group(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }
}

/// What a line of a vector says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Out(Vec<(u16, u8)>),
    In(Vec<Expected>),
    Ram { address: u32, bytes: Vec<u8> },
    Is { address: u32, bytes: Vec<u8> },
    Stock { channel: u8, units: Vec<u16> },
    Give { channel: u8, units: Vec<u16> },
    Ask { channel: u8, cycles: u32 },
    ActiveLow { channel: u8 },
    Eop { channel: u8, cycle: u32 },
    Run { cycles: Option<u32> },
    Got { channel: u8, units: Vec<u16> },
    Left { channel: u8, units: u32 },
    Tc { channel: u8, cycles: Vec<u32> },
    Dack { channel: u8, high: bool },
    Order { channels: Vec<u8> },
}

/// What reading a port must give, in the bits of the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    port: u16,
    value: u8,
    mask: u8,
}
