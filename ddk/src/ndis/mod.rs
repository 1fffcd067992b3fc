//! Miniports of C code.
//!
//! * [`machine`]: a miniport of `longshore_ndis` and its channels, behind a vtable;
//! * [`miniports`]: drivers that are registered, and the life of their devices;
//! * [`channels`]: registering a channel and giving it back;
//! * [`transfers`]: set-up, completion and the counter.

pub(crate) mod channels;
pub(crate) mod machine;
pub(crate) mod miniports;
pub(crate) mod transfers;
