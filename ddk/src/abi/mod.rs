//! The layouts of the headers in `include/`, as Rust sees them.
//!
//! * [`types`]: what every contract needs;
//! * [`netdma`]: what NetDMA adds to it.

pub mod netdma;
pub mod types;
