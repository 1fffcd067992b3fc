//! The layouts of the headers in `include/`, as Rust sees them.
//!
//! * [`types`]: what every contract needs;
//! * [`netdma`]: NetDMA.

pub mod netdma;
pub mod types;
