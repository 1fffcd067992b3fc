//! NetDMA: channel states, completion, the Provider trait and the client side.
#![no_std]

extern crate alloc;
