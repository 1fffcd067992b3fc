//! What happens to a channel as a whole: its provider stops, loses its power, or the channel is closed.

use super::{Channel, LOOK, deadline};
use crate::operation::{Completion, OperationHandle, Refused};
use crate::ring::Request;
use core::sync::atomic::Ordering;
use core::time::Duration;
use longshore_core::machine::{Instant, Signal, Waited};
use longshore_core::{AtMostDispatch, Machine, Passive};

impl<M: Machine> Channel<M> {
    /// From now on nothing is accepted. What was accepted goes on (RACE-9).
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Release);
    }

    /// Accepts operations again.
    pub fn unpause(&self) {
        self.paused.store(false, Ordering::Release);
    }

    /// Gives the engine what is queued, and waits until nothing is pending. False if the time is up first.
    pub fn drain(&self, passive: &Passive, limit: Duration) -> bool {
        let end = deadline(&self.shared.machine, limit);
        // What cannot be given stays pending, and that is the answer.
        let _ = self.flush(passive.into());
        loop {
            self.shared.drained.clear();
            self.shared.look(passive.into());
            if self.shared.peek(|ring| ring.is_quiet()).unwrap_or(true) {
                return true;
            }
            let Some(left) = self.left(end) else {
                return false;
            };
            if !self.works() && self.shared.drained.wait_for(passive, left.min(LOOK)) == Waited::Abandoned {
                return false;
            }
        }
    }

    /// The engine has its power again, and forgot where it was: it is started with an operation that moves nothing
    /// (NETDMA-113, NETDMA-114). What was pending ends as halted. The outcome of that operation is to be taken like any
    /// other; a paused channel stays so until that is done and it is [unpaused](Channel::unpause), since its users know
    /// nothing of the place that it takes in the ring.
    pub fn restart_after_power(&self, level: AtMostDispatch<'_>) -> Result<OperationHandle, Refused> {
        let restarted = self.shared.with(level, |ring| {
            let request = super::with_completion(Request::null(), Completion::INTERRUPT);
            let ticket = ring.submit(request, 0, ()).map_err(|refusal| refusal.why)?;
            match ring.restart_after_power(level) {
                Ok(()) => Ok(ticket),
                Err(refused) => {
                    ring.retract(ticket);
                    Err(refused)
                }
            }
        });
        let ticket = restarted.unwrap_or(Err(Refused::Closed))?;
        Ok(OperationHandle {
            ticket,
            interrupts: true,
        })
    }

    /// Closes the channel: waits for what is pending, then stops the engine, and then everything ends as halted. After
    /// that nothing is accepted any more, and outcomes can still be taken (AMB-14).
    ///
    /// False if the engine did not answer: then everything it may still write to is left to it for good.
    pub fn close(&self, passive: &Passive, limit: Duration) -> bool {
        self.pause();
        self.drain(passive, limit);
        self.close_now(passive.into())
    }

    /// As `close`, without the wait.
    pub fn close_now(&self, level: AtMostDispatch<'_>) -> bool {
        self.pause();
        let quiet = self.shared.with(level, |ring| ring.shut_down(level));
        self.shared.look(level);
        quiet.unwrap_or(true)
    }

    /// The time that is left, if there is any.
    pub(super) fn left(&self, end: Instant) -> Option<Duration> {
        let left = end.0.saturating_sub(self.shared.machine.now().0);
        (left > 0).then(|| Duration::from_nanos(left))
    }

    /// Whether the CPU has something to do for an operation just now.
    pub(super) fn works(&self) -> bool {
        self.shared.peek(|ring| ring.works()).unwrap_or(false)
    }
}

impl<M: Machine> Drop for Channel<M> {
    fn drop(&mut self) {
        // Outside the lock, and so that nobody who still has the interface finds it. This breaks the cycle of the ring,
        // the provider's channel and the interface, too.
        drop(self.shared.take());
    }
}
