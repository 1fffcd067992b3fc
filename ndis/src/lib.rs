//! NDIS miniport system DMA, on top of WDM.
#![no_std]

extern crate alloc;
