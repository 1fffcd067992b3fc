//! A system DMA controller that does everything the contract allows, and the model it drives.
//!
//! No single chip has an interrupt, request lines, fragments and loops at once, so this invented one carries the
//! parts of the contract that no real one would: n channels, each with up to eight fragments, loops, errors, and the
//! ways of cancelling that were seen in the field.
//!
//! * [`registers`]: what device and driver agree on;
//! * [`port`]: the far end of a channel, where a test puts bytes in and takes bytes out;
//! * [`device`]: the model;
//! * [`controller`]: the driver, which reaches the model through its registers alone.

pub mod controller;
pub mod device;
pub mod port;
pub mod registers;

pub use controller::{CancelStyle, ReferenceController};
pub use device::ReferenceDevice;
pub use port::Port;
