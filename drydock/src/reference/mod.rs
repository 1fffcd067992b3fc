//! A system DMA controller that does everything the contract allows, and the model it drives.
//!
//! No single chip has an interrupt, request lines, fragments and loops at once, so this invented one carries the
//! parts of the contract that no real one would: n channels, each with up to eight fragments, loops with periods,
//! errors, a common buffer, and the ways of cancelling that were seen in the field.
//!
//! * [`registers`]: what device and driver agree on;
//! * [`options`]: what such a controller is like;
//! * [`port`]: the far end of a request line, where a test puts bytes in and takes bytes out;
//! * [`device`]: the model, and `lane`: one channel of it;
//! * [`controller`]: the driver, which reaches the model through its registers alone, and `marks`: what it remembers.

pub mod controller;
pub mod device;
mod lane;
mod marks;
pub mod options;
pub mod port;
pub mod registers;
mod stubborn;

pub use controller::{ReferenceController, SET_PERIOD};
pub use device::ReferenceDevice;
pub use options::{CancelStyle, Counter, Interrupts, Options};
pub use port::{FarEnd, Port};
pub use stubborn::Stubborn;
