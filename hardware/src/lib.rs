//! What a driver and a device model must agree on, and nothing else.
//!
//! * [`address`]: bus addresses, which never mix with host pointers and have checked arithmetic only;
//! * [`registers`], [`memory`], [`interrupt`]: the three abilities a driver asks its surroundings for;
//! * [`netdma`]: the layout of the NetDMA descriptor, its flags and the completion word;
//! * [`i8237`]: ports, registers and bits of the two 8237A in an AT;
//! * [`pdma`]: the registers of SiFive's platform DMA engine.
//!
//! There is no behaviour here: a driver that uses these facts and a model that uses them have nothing else in
//! common, so each can validate the other.
#![no_std]

pub mod address;
pub mod i8237;
pub mod interrupt;
pub mod memory;
pub mod netdma;
pub mod pdma;
pub mod registers;

pub use address::{BusAddress, BusRange};
pub use interrupt::Interrupt;
pub use memory::{DmaMemory, Lease, MemoryError};
pub use registers::{AccessError, Registers, Width};
