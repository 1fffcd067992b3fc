//! The reference NetDMA provider: a CPU that walks chains of descriptors and copies.
//!
//! What the engine knows of a chain is one value, a *walker*, that somebody has alone. It is driven in two ways:
//!
//! * A [`CpuChannel`] is shared. Its walker belongs to whoever holds the channel's *claim*, mostly a worker, which is a
//!   deferred call. Its one submitter adds to a *goal* and never needs the claim. Whoever wants the channel to stop
//!   leaves a request at a *desk*, and the holder of the claim serves it: the worker, or the caller himself where the
//!   claim is free. No lock is taken for a descriptor: neither by its submitter nor by the engine.
//! * An [`InlineChannel`] is its user's own, and so is its walker: nothing of it is atomic, and it works only when it is
//!   [driven](longshore_netdma::Port::drive).

mod atomic;
mod channel;
mod config;
mod desk;
mod engine;
mod goal;
mod inline;
mod reports;
mod requests;
mod teller;
mod transfer;
mod walker;
mod worker;

pub use channel::CpuChannel;
pub use config::{Config, MAXIMUM_PRIORITY, MAXIMUM_TRANSFER_SIZE};
pub use engine::CpuEngine;
pub use inline::{InlineChannel, Report};
