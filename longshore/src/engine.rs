//! What moves the bytes of a channel.

use crate::core::machine::Cpu;
use crate::core::{AtMostDispatch, Passive};
use crate::host::Machine;
use crate::netdma::provider::AllocateError;
use crate::netdma::{ChannelInterface, ChannelParameters, Limits, Port};
use std::sync::Arc;

/// A kind of engine that a [`DmaChannel`](crate::DmaChannel) can be opened on.
pub trait Engine: Sized {
    /// The channel that it opens.
    type Port: Port + Send;

    /// Whether it runs by itself, and interrupts. Another one works only when its user polls, waits or awaits.
    const RUNS_BY_ITSELF: bool;

    /// Starts the engine on a machine: says what it can do, and how a channel is had from it.
    fn start(self, passive: &Passive, machine: &Machine) -> Started<Self::Port>;
}

/// How a channel is had from an engine that was started.
pub type Allocate<P> = Box<
    dyn FnOnce(
        AtMostDispatch<'_>,
        ChannelParameters,
        Arc<dyn ChannelInterface>,
    ) -> Result<(P, Cpu), AllocateError>,
>;

/// An engine that was started.
pub struct Started<P> {
    /// What its channel can do.
    pub limits: Limits,
    /// Allocates the channel.
    pub allocate: Allocate<P>,
}
