//! Holding, stopping and closing a channel.

use super::Ring;
use crate::operation::Refused;
use crate::port::Port;
use crate::provider::{Handlers, StartError, Unsuccessful};
use longshore_core::completion::{Cause, Outcome, Verdict};
use longshore_core::{AtMostDispatch, Event, Machine, NtStatus};

/// A way to stop an engine for good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Abort,
    Reset,
}

impl Stop {
    fn handler(self) -> Handlers {
        match self {
            Self::Abort => Handlers::ABORT,
            Self::Reset => Handlers::RESET,
        }
    }
}

impl<M: Machine, P: Port, H> Ring<M, P, H> {
    // ---- for the user ----

    /// Ends everything that is pending: what the engine has done is completed, the rest is cancelled, queued or not.
    /// If the engine does not answer, nothing ends, and the memory stays with it.
    ///
    /// Where the provider has no abort, its reset serves. Where it has neither, what it was not given is cancelled and
    /// the rest runs on to its own outcome (AMB-12).
    pub fn abort(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        match self.stopper() {
            Some(stop) => self.stop(level, stop, Verdict::Cancelled),
            None => {
                self.cancel_all(level);
                Err(Unsuccessful)
            }
        }
    }

    /// As `abort`, and the channel is as if just allocated.
    pub fn reset(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.stop(level, Stop::Reset, Verdict::Cancelled)
    }

    /// Starts a new chain with what is queued, over whatever runs: the engine finishes its current descriptor, and what
    /// it was given and has not done is dropped and ends as cancelled (NETDMA-077). Where it cannot be held, it is
    /// stopped at once.
    pub fn restart(&mut self, level: AtMostDispatch<'_>) -> Result<(), Refused> {
        self.look_at_word();
        let held = self.running && self.hold(level).is_ok();
        if self.running && !held {
            let stop = self.stopper().ok_or(Refused::Start(StartError::Unsuccessful))?;
            self.halt(level, stop)
                .map_err(|_| Refused::Start(StartError::Unsuccessful))?;
        }
        self.settle(Verdict::Cancelled, Verdict::Cancelled);
        let rung = self.doorbell(level);
        if let (true, false, Some(stop)) = (held, self.running, self.stopper()) {
            // Nothing has come in the place of what is dropped, so that must not be gone on with.
            let _ = self.halt(level, stop);
        }
        rung
    }

    /// The engine has its power again, and forgot where it was: it is started with what is queued (NETDMA-113). With an
    /// operation that moves nothing at least, if later ones are to go on from there (NETDMA-114). What it was given
    /// before and did not tell of ends as halted.
    pub fn restart_after_power(&mut self, level: AtMostDispatch<'_>) -> Result<(), Refused> {
        self.look_at_word();
        let halted = Verdict::Failed(Cause::HALTED);
        self.settle(halted, halted);
        self.doorbell(level)
    }

    /// Holds the engine between two descriptors, until it is resumed or stopped. What is given to it meanwhile waits.
    pub fn suspend(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.hold(level)?;
        self.suspended = true;
        Ok(())
    }

    /// Lets an engine go on that was held.
    pub fn resume(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.let_go(level)?;
        self.suspended = false;
        Ok(())
    }

    /// Gives the channel back. With an operation that is pending, or an outcome that was not handed out, it is refused
    /// and the ring goes on, also while the engine still has what became of cancelled operations.
    #[allow(clippy::result_large_err)] // the ring itself comes back
    pub fn close(mut self, level: AtMostDispatch<'_>) -> Result<(), Self> {
        self.look_at_word();
        if !self.is_quiet() || self.slots.has_line() {
            return Err(self);
        }
        self.shut(level);
        Ok(())
    }

    /// Ends the channel whatever comes: what is pending is stopped by the strongest means there is, and ends as halted
    /// unless the engine has done it (AMB-14). After that nothing is accepted, and outcomes can still be polled.
    ///
    /// False if the engine does not answer: then it keeps the ring, the word, and what was given with the operations
    /// it has, for good.
    pub fn shut_down(&mut self, level: AtMostDispatch<'_>) -> bool {
        let halted = Verdict::Failed(Cause::HALTED);
        self.look(level);
        let quiet = self.is_quiet()
            || self.stop(level, Stop::Reset, halted).is_ok()
            || self.stop(level, Stop::Abort, halted).is_ok();
        if quiet {
            self.shut(level);
        } else {
            self.forsake();
        }
        quiet
    }

    /// Whether the channel was given back, or left to its engine.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    // ---- closing ----

    /// Gives the channel back, of which nothing is pending.
    fn shut(&mut self, level: AtMostDispatch<'_>) {
        if core::mem::replace(&mut self.closed, true) {
            return;
        }
        self.machine.emit(Event::Call("ProviderFreeDmaChannel"));
        self.port.free(level);
        self.machine
            .emit(Event::Return("ProviderFreeDmaChannel", NtStatus::SUCCESS));
        self.memory.release();
    }

    /// Ends everything although the engine does not answer. It keeps the ring, the word and the buffers, for good, and
    /// the channel is not given back.
    fn forsake(&mut self) {
        if core::mem::replace(&mut self.closed, true) {
            return;
        }
        self.running = false;
        for number in self.operations() {
            let slot = self.slots.get(number);
            if !slot.is_pending() {
                continue;
            }
            let outcome = Outcome {
                verdict: Verdict::Failed(Cause::HALTED),
                residue: match &slot.work {
                    Some(work) => work.left(),
                    None => self.memory.bytes(slot.first..slot.end),
                },
            };
            let had = slot.first < self.given;
            if had {
                core::mem::forget(self.slots.get_mut(number).held.take());
            }
            if let Some(slot) = self.slots.end(&self.machine, number, outcome) {
                self.slots.line_up(slot);
            }
        }
        self.memory.leave_to_engine();
    }

    // ---- stopping ----

    pub(super) fn stopper(&self) -> Option<Stop> {
        let handlers = self.limits.handlers;
        if handlers.contains(Handlers::ABORT) {
            Some(Stop::Abort)
        } else {
            handlers.contains(Handlers::RESET).then_some(Stop::Reset)
        }
    }

    fn stop(&mut self, level: AtMostDispatch<'_>, stop: Stop, verdict: Verdict) -> Result<(), Unsuccessful> {
        if self.closed || !self.limits.handlers.contains(stop.handler()) {
            return Err(Unsuccessful);
        }
        // Nothing is marked before the engine has stopped: if it does not, nothing has happened.
        self.halt(level, stop)?;
        self.settle(verdict, verdict);
        for number in self.operations() {
            if self.slots.get(number).is_pending() {
                self.end_early(number, verdict);
            }
        }
        self.trim();
        Ok(())
    }

    /// Stops the engine and notes what it has done. What it has not is still pending.
    pub(super) fn halt(&mut self, level: AtMostDispatch<'_>, stop: Stop) -> Result<(), Unsuccessful> {
        match stop {
            Stop::Abort => self.ask("ProviderAbortDma", |port| port.abort(level))?,
            Stop::Reset => self.ask("ProviderResetChannel", |port| port.reset(level))?,
        }
        self.reach(self.memory.load_word().descriptor());
        Ok(())
    }

    // ---- holding ----

    /// Holds the engine and notes what it has done.
    pub(super) fn hold(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.check_holds()?;
        let last = self.ask("ProviderSuspendDma", |port| port.suspend(level))?;
        self.reach(last);
        self.reach(self.memory.load_word().descriptor());
        Ok(())
    }

    /// Lets the engine go on behind the last descriptor it has done.
    pub(super) fn let_go(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.check_holds()?;
        self.ask("ProviderResumeDma", |port| port.resume(level))
    }

    fn check_holds(&self) -> Result<(), Unsuccessful> {
        if self.closed || !self.limits.handlers.contains(Handlers::SUSPEND_RESUME) {
            return Err(Unsuccessful);
        }
        Ok(())
    }

    fn close_at_any_level(&mut self) -> bool {
        let machine = self.machine.clone();
        AtMostDispatch::now(&machine).is_some_and(|level| self.close_now(level))
    }

    fn close_now(&mut self, level: AtMostDispatch<'_>) -> bool {
        self.look_at_word();
        let quiet = self.is_quiet() || self.abort(level).is_ok() || self.reset(level).is_ok();
        if quiet {
            self.shut(level);
        }
        quiet
    }
}

impl<M: Machine, P: Port, H> Drop for Ring<M, P, H> {
    fn drop(&mut self) {
        if !self.closed && !self.close_at_any_level() {
            self.forsake();
        }
        self.slots.abandon(&self.machine);
    }
}
