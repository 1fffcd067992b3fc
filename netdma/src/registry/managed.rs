//! What the registry needs of a channel.

use crate::channel::Channel;
use crate::operation::{OperationHandle, Refused};
use core::time::Duration;
use longshore_core::completion::Outcome;
use longshore_core::{AtMostDispatch, Machine, Passive};

/// A channel whose provider may stop or lose its power.
pub(super) trait Managed: Send + Sync {
    /// From here on work is refused, until the channel is started again.
    fn pause(&self);

    /// Waits until nothing is pending. False if the time was up first.
    fn drain(&self, passive: &Passive, limit: Duration) -> bool;

    /// Starts with a NULL transfer, so that an engine that lost its place has one again, and takes work again
    /// (NETDMA-113, NETDMA-114). Returns when the engine has done it; false if it does not within this time.
    fn restart(&self, passive: &Passive, limit: Duration) -> bool;

    /// Ends what is pending, within a bounded time (AMB-14), and frees the channel. From here on every call is
    /// refused. Called once.
    fn close(&self, level: AtMostDispatch<'_>);
}

/// Waits for an operation of ours, and takes its outcome whatever it is.
fn see_through<M: Machine>(
    channel: &Channel<M>,
    passive: &Passive,
    handle: OperationHandle,
    limit: Duration,
) -> bool {
    let outcome = channel.wait(passive, handle, limit).or_else(|error| {
        // Aborted, it has one now, unless the engine is dead; then it gets one when the channel is closed.
        let _ = channel.abort(passive.into());
        channel.take(handle).ok_or(error)
    });
    outcome == Ok(Outcome::COMPLETED)
}

impl<M: Machine> Managed for Channel<M> {
    fn pause(&self) {
        Self::pause(self);
    }

    fn drain(&self, passive: &Passive, limit: Duration) -> bool {
        Self::drain(self, passive, limit)
    }

    fn restart(&self, passive: &Passive, limit: Duration) -> bool {
        self.pause();
        let started = match self.restart_after_power(passive.into()) {
            Ok(handle) => see_through(self, passive, handle, limit),
            // Its user has not taken the outcomes of long ago. Then the next operation starts the engine.
            Err(Refused::Full | Refused::PendingLimit | Refused::OutcomeNotTaken) => {
                let stopped = self.reset(passive.into());
                stopped.or_else(|_| self.abort(passive.into())).is_ok()
            }
            Err(_) => false,
        };
        // An engine that did not start refuses by itself what it is given.
        self.unpause();
        started
    }

    fn close(&self, level: AtMostDispatch<'_>) {
        Self::close_now(self, level);
    }
}
