//! The reference NetDMA provider: a CPU that walks chains of descriptors and copies.
//!
//! Every channel has a worker, a deferred call that holds the channel's *claim* while it touches memory. What is
//! known of the channel stands in a book behind a lock that is never held across a memory access, a callback
//! or a raise of the line. Between two pieces of a copy the worker looks at one atomic word and at nothing else.
//!
//! A stop (abort, reset, suspend) is carried out by whoever holds the claim, always at DISPATCH: the worker, or
//! the caller itself where it runs at DISPATCH and the claim is free. A caller at PASSIVE never takes the claim,
//! because a deferred call on the same CPU could then wait for it in vain.

mod book;
mod calls;
mod channel;
mod config;
mod engine;
mod reports;
mod stops;
mod transfer;
mod worker;

pub use channel::CpuChannel;
pub use config::{Config, MAXIMUM_TRANSFER_SIZE};
pub use engine::CpuEngine;
