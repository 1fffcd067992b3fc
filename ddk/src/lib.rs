//! Drivers in C: the Windows names and layouts as a C ABI.
//!
//! * [`abi`]: the layouts of the headers in `include/`.

pub mod abi;
