//! How a ring is opened.

use crate::provider::{Attributes, Characteristics, Handlers};
use crate::version::Version;
use longshore_hardware::BusAddress;

/// What the channel beneath a ring can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The version of the contract it implements.
    pub version: Version,
    /// The optional handlers it has.
    pub handlers: Handlers,
    /// The most bytes that one descriptor may move (NETDMA-055).
    pub maximum_transfer_size: u32,
    /// The last address that it reaches.
    pub maximum_address: BusAddress,
}

impl Limits {
    /// The limits that a provider names itself.
    pub const fn new(characteristics: &Characteristics, attributes: &Attributes) -> Self {
        Self {
            version: characteristics.version,
            handlers: characteristics.handlers,
            maximum_transfer_size: attributes.maximum_transfer_size,
            maximum_address: attributes.maximum_address,
        }
    }
}

/// What a user asks of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingOptions {
    /// How many descriptors the ring has, of which one is always kept back.
    pub entries: u32,
    /// The channel's urgency against others of the engine. Higher is more urgent.
    pub priority: u32,
    /// The CPUs that the channel's deferred call may run on, one bit each.
    pub cpus: u32,
    /// How many operations may be without an outcome at once.
    pub pending_limit: u32,
    /// Whether the engine interrupts wherever it writes the completion word, for a user that sleeps: behind each doorbell,
    /// and now and then in between. Otherwise it does so only for an operation that asks for it.
    pub interrupts: bool,
}

impl Default for RingOptions {
    /// A ring of 64, of no urgency, on any CPU, limited by its entries only, interrupting where an operation asks for it.
    fn default() -> Self {
        Self {
            entries: 64,
            priority: 0,
            cpus: u32::MAX,
            pending_limit: u32::MAX,
            interrupts: false,
        }
    }
}
