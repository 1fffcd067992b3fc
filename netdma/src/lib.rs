//! NetDMA: channel states, completion, the Provider trait and the client side.
//!
//! * [`version`]: versions of the contract;
//! * [`provider`]: what a provider is, and what it sees of NetDMA;
//! * [`port`]: what a ring needs of the channel beneath it;
//! * [`state`]: the total table of a channel;
//! * [`ring`]: a channel as one user has it, alone;
//! * [`channel`]: a channel as several users share it;
//! * [`registry`]: the interface itself: providers come and go, clients have channels;
//! * [`operation`]: what a client names an operation by, and why one is refused.
//!
//! There is no engine here. Whatever moves bytes lives above.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod channel;
mod layout;
pub mod operation;
pub mod port;
pub mod provider;
pub mod registry;
pub mod ring;
pub mod state;
pub mod version;

pub use channel::Channel;
pub use operation::{Completion, NoOutcome, OpenError, OperationHandle, Refusal, Refused, Ticket};
pub use port::Port;
pub use provider::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Handlers, Provider,
    ProviderChannel, ProviderFlags,
};
pub use registry::{Client, ClientChannel, ClientEvents, NetDma, Registration};
pub use ring::{Limits, Request, Ring, RingOptions};
pub use version::Version;
