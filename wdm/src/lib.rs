//! WDM system DMA: adapters, transfers, the completion routine, and the Controller trait.
#![no_std]

extern crate alloc;
