//! A channel of a CPU engine, as its user holds it.

use super::book::LeaseNumber;
use super::calls::Asked;
use super::stops::{Answer, Stop, Withdrawn};
use super::worker::{Parts, Worker};
use alloc::sync::{Arc, Weak};
use core::fmt;
use longshore_core::completion::Cause;
use longshore_core::{AtMostDispatch, Event, Irql, Machine, Rule};
use longshore_hardware::BusAddress;
use longshore_netdma::ProviderChannel;
use longshore_netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore_netdma::state::State;

/// A channel of a CPU engine. Once it is freed, or the engine is dropped, every call is refused.
pub struct CpuChannel<M: Machine> {
    worker: Arc<Worker<M>>,
    parts: Weak<Parts<M>>,
    lease: LeaseNumber,
}

impl<M: Machine> CpuChannel<M> {
    pub(super) fn new(worker: Arc<Worker<M>>, parts: Weak<Parts<M>>, lease: LeaseNumber) -> Self {
        Self { worker, parts, lease }
    }

    /// The descriptor at which the engine stopped with an error, and why (AMB-05). A start forgets it.
    pub fn fault(&self) -> Option<(BusAddress, Cause)> {
        self.worker.book(|book| book.fault(self.lease))
    }

    /// The target of the last context change. It changes nothing about copies (NETDMA-120).
    pub fn context(&self) -> Option<u32> {
        self.worker.book(|book| book.context(self.lease))
    }

    /// Where the channel stands.
    pub fn state(&self) -> State {
        self.worker.book(|book| book.state(self.lease))
    }

    fn stop(&self, name: &'static str, rule: Rule, stop: Stop) -> Answer {
        let machine = &self.worker.machine;
        let number = match self.worker.book(|book| book.ask(machine, self.lease, stop)) {
            Asked::Waiting(number) => number,
            Asked::Answered(Err(refused)) => {
                machine.emit(Event::Misuse(name, rule, refused.status()));
                return Err(refused);
            }
            Asked::Answered(answer) => return answer,
        };
        // At PASSIVE the worker does it: were the caller to hold the claim, a deferred call that came in between
        // on the same CPU would wait for it in vain. At DISPATCH nothing comes in between, but the worker may
        // belong to this very CPU.
        let here = machine.level() == Irql::DISPATCH;
        Parts::kick(&self.parts);
        for _ in 0..self.worker.config.patience {
            if here {
                self.worker.serve_stop(&self.parts);
            }
            if let Some(answer) = self.worker.book(|book| book.answer(stop, number)) {
                return answer;
            }
            machine.relax();
        }
        self.give_up(stop, number)
    }

    /// The engine does not answer. What is told now must be the truth for good.
    fn give_up(&self, stop: Stop, number: u32) -> Answer {
        for _ in 0..self.worker.config.patience {
            match self.worker.book(|book| book.withdraw(stop, number)) {
                Withdrawn::Answered(answer) => return answer,
                Withdrawn::Taken => {
                    // The worker may have paused for this request only.
                    Parts::kick(&self.parts);
                    return Err(Unsuccessful);
                }
                // It has taken effect; whoever serves it is at one store of the completion word.
                Withdrawn::InService => self.worker.machine.relax(),
            }
        }
        // That one store does not return. It may still happen, so nothing is known of the engine's quiet.
        Err(Unsuccessful)
    }

    /// Waits, for a bounded time, until nobody works for the channel or is inside its user's code. If somebody
    /// still does by then, the user must hear that its memory and its routines are not its own yet.
    fn wait_for_quiet(&self) {
        let machine = &self.worker.machine;
        let caller = (machine.level() == Irql::DISPATCH).then(|| machine.cpu());
        for _ in 0..self.worker.config.patience {
            if self.worker.book(|book| book.at_rest()) && self.worker.reports(|reports| reports.quiet(caller))
            {
                return;
            }
            machine.relax();
        }
        let status = Unsuccessful.status();
        machine.emit(Event::Misuse("ProviderFreeDmaChannel", Rule("RACE-8"), status));
    }
}

impl<M: Machine> ProviderChannel for CpuChannel<M> {
    fn start(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        let machine = &self.worker.machine;
        self.worker.book(|book| {
            book.start(machine, self.lease, first, count)?;
            // Within the book's lock: the worker must not fail in the new chain before.
            self.worker.reports(|reports| reports.forget_error());
            Ok(())
        })?;
        Parts::kick(&self.parts);
        Ok(())
    }

    fn append(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError> {
        let machine = &self.worker.machine;
        self.worker
            .book(|book| book.append(machine, self.lease, first, count))?;
        Parts::kick(&self.parts);
        Ok(())
    }

    fn suspend(&self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        self.stop("ProviderSuspendDma", Rule("NETDMA-090"), Stop::Suspend)
    }

    fn resume(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let machine = &self.worker.machine;
        self.worker.book(|book| book.resume(machine, self.lease))?;
        Parts::kick(&self.parts);
        Ok(())
    }

    fn abort(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.stop("ProviderAbortDma", Rule("NETDMA-092"), Stop::Abort)
            .map(drop)
    }

    fn reset(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.stop("ProviderResetChannel", Rule("NETDMA-093"), Stop::Reset)
            .map(drop)
    }

    fn free(&self, _: AtMostDispatch<'_>) {
        let machine = &self.worker.machine;
        let rule = Rule("NETDMA-043");
        let misuse = || {
            let status = Unsuccessful.status();
            machine.emit(Event::Misuse("ProviderFreeDmaChannel", rule, status));
        };
        match self.worker.book(|book| book.free_needs_cut(self.lease)) {
            None => return misuse(),
            Some(true) => {
                misuse();
                // If even this fails, the book is closed below: no word, no interrupt, and no further piece.
                let _ = self.stop("ProviderFreeDmaChannel", rule, Stop::Abort);
            }
            Some(false) => {}
        }
        // Its user may be the last to hold the interface, so it is dropped out here.
        let interface = self.worker.reports(|reports| reports.close());
        self.worker.book(|book| book.free(machine, self.lease));
        self.wait_for_quiet();
        drop(interface);
    }
}

impl<M: Machine> fmt::Debug for CpuChannel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuChannel({:?})", self.state())
    }
}
