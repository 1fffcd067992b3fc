//! What moves bytes, as drivers.
#![no_std]

extern crate alloc;
