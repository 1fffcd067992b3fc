//! What the registry needs of a channel.

use crate::channel::Channel;
use core::time::Duration;
use longshore_core::{AtMostDispatch, Machine, Passive};

/// A channel whose provider may stop or lose its power.
pub(super) trait Managed: Send + Sync {
    /// From here on work is refused, until the channel is started again.
    fn pause(&self);

    /// Waits until nothing is pending. False if the time was up first.
    fn drain(&self, passive: &Passive, limit: Duration) -> bool;

    /// Starts with a NULL transfer, so that an engine that lost its place has one again, and takes work again
    /// (NETDMA-113, NETDMA-114). False if the provider does not start.
    fn restart(&self, level: AtMostDispatch<'_>) -> bool;

    /// Ends what is pending, within a bounded time (AMB-14), and frees the channel. From here on every call is
    /// refused. Called once.
    fn close(&self, level: AtMostDispatch<'_>);
}

impl<M: Machine> Managed for Channel<M> {
    fn pause(&self) {
        Self::pause(self);
    }

    fn drain(&self, passive: &Passive, limit: Duration) -> bool {
        Self::drain(self, passive, limit)
    }

    fn restart(&self, level: AtMostDispatch<'_>) -> bool {
        self.restart_after_power(level).is_ok()
    }

    fn close(&self, level: AtMostDispatch<'_>) {
        Self::close_now(self, level);
    }
}
