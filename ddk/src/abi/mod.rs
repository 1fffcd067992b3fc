//! The layouts of the headers in `include/`, as Rust sees them.
//!
//! * [`types`]: what every contract needs;
//! * [`dma`]: what the DMA contract is told in, and [`operations`], its table;
//! * [`netdma`]: what NetDMA adds to it;
//! * [`ndis`]: what a miniport says and is told.

pub mod dma;
pub mod ndis;
pub mod netdma;
pub mod operations;
pub mod types;
