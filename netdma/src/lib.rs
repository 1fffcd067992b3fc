//! NetDMA: channel states, completion, the Provider trait and the client side.
//!
//! * [`version`]: versions of the contract;
//! * [`provider`]: what a provider is, and what it sees of NetDMA;
//! * [`state`]: the total table of a channel.
//!
//! There is no engine here. Whatever moves bytes lives above.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod provider;
pub mod state;
pub mod version;

pub use provider::{
    Allocated, ChannelInterface, ChannelParameters, Characteristics, Handlers, Provider, ProviderChannel,
};
pub use version::Version;
