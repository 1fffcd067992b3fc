//! A channel of a CPU engine, as its user holds it.

use super::desk::LeaseNumber;
use super::goal::Goal;
use super::requests::{Answer, Request, Withdrawn};
use super::walker::{Chain, is_descriptor};
use super::worker::{Parts, Worker};
use alloc::sync::{Arc, Weak};
use core::fmt;
use longshore_core::completion::Cause;
use longshore_core::{AtMostDispatch, Event, Irql, Machine, Rule};
use longshore_hardware::BusAddress;
use longshore_netdma::ProviderChannel;
use longshore_netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore_netdma::state::{Action, Input, State, TABLE, step};

/// A channel of a CPU engine. Once it is freed, or the engine is dropped, every call is refused.
///
/// Calls that submit (start, append, resume) come one at a time; calls that stop may come at any time, from anywhere.
/// Whoever breaks this loses descriptors, not memory.
pub struct CpuChannel<M: Machine> {
    worker: Arc<Worker<M>>,
    parts: Weak<Parts<M>>,
    lease: LeaseNumber,
    goal: Arc<Goal>,
}

impl<M: Machine> CpuChannel<M> {
    pub(super) fn new(
        worker: Arc<Worker<M>>,
        parts: Weak<Parts<M>>,
        lease: LeaseNumber,
        goal: Arc<Goal>,
    ) -> Self {
        Self {
            worker,
            parts,
            lease,
            goal,
        }
    }

    /// The descriptor at which the engine stopped with an error, and why (AMB-05). A start forgets it.
    pub fn fault(&self) -> Option<(BusAddress, Cause)> {
        self.worker.shared.desk(|desk| desk.fault(self.lease))
    }

    /// The target of the last context change. It changes nothing about copies (NETDMA-120).
    pub fn context(&self) -> Option<u32> {
        self.goal.context()
    }

    /// Where the channel stands.
    pub fn state(&self) -> State {
        self.goal.state()
    }

    fn machine(&self) -> &M {
        &self.worker.shared.machine
    }

    /// Says that a call is refused in this state.
    #[cold]
    fn misuse(&self, name: &'static str, rule: &'static str, input: Input) {
        self.machine().emit(Event::Transition {
            table: TABLE,
            state: self.state().name(),
            event: input.name(),
        });
        let status = Unsuccessful.status();
        self.machine().emit(Event::Misuse(name, Rule(rule), status));
    }

    /// The rule that an append would break.
    #[inline]
    fn refusal_to_append(&self, first: BusAddress, count: u32) -> Option<&'static str> {
        let state = self.goal.state();
        if step(state, Input::Append).1 == Action::Refuse {
            return Some("NETDMA-076");
        }
        if !is_descriptor(first) {
            return Some("NETDMA-052");
        }
        // Only an engine that has run out knows where the next chain must begin; before that it has not read the
        // tail. A suspended one may have been edited.
        let contradicts = self.counted()
            && count > 0
            && state == State::Idle
            && self.goal.next().is_some_and(|next| next != first);
        contradicts.then_some("NETDMA-074")
    }

    fn counted(&self) -> bool {
        self.worker.shared.config.version.counted()
    }

    /// Has the holder of the claim do something, and that is the caller if nobody else is it.
    pub(super) fn request(&self, name: &'static str, rule: &'static str, request: Request) -> Answer {
        let Some(number) = self.worker.shared.desk(|desk| desk.ask(self.lease, request)) else {
            self.misuse(name, rule, request.input());
            return Err(Unsuccessful);
        };
        let answer = self.wait_for(request, number);
        if let Err(refused) = answer {
            self.machine()
                .emit(Event::Misuse(name, Rule(rule), refused.status()));
        }
        answer
    }

    fn wait_for(&self, request: Request, number: u32) -> Answer {
        let shared = &self.worker.shared;
        for _ in 0..shared.config.patience {
            self.worker.serve(&self.parts);
            if let Some(answer) = shared.desk(|desk| desk.answer(request, number)) {
                return answer;
            }
            self.machine().relax();
        }
        self.give_up(request, number)
    }

    /// The engine does not answer. What is told now must be the truth for good.
    fn give_up(&self, request: Request, number: u32) -> Answer {
        for _ in 0..self.worker.shared.config.patience {
            match self.worker.shared.desk(|desk| desk.withdraw(request, number)) {
                Withdrawn::Answered(answer) => return answer,
                Withdrawn::Taken => return Err(Unsuccessful),
                // It has taken effect; whoever serves it is at one store of the completion word.
                Withdrawn::InService => self.machine().relax(),
            }
        }
        // That one store does not return. It may still happen, so nothing is known of the engine's quiet.
        Err(Unsuccessful)
    }

    /// Waits, for a bounded time, until the engine has let go of the channel and nobody is inside its user's code. If
    /// somebody still is by then, the user must hear that its memory and its routines are not its own yet.
    fn wait_until_quiet(&self) {
        let shared = &self.worker.shared;
        let caller = (shared.machine.level() == Irql::DISPATCH).then(|| shared.machine.cpu());
        let mut outstanding = None;
        for _ in 0..shared.config.patience {
            self.worker.serve(&self.parts);
            outstanding = shared.desk(|desk| desk.let_go(self.lease));
            if outstanding.is_some() && shared.teller.quiet(caller) {
                break;
            }
            shared.machine.relax();
        }
        if outstanding.is_none() {
            shared.desk(|desk| desk.abandon(self.lease));
        }
        if outstanding.unwrap_or(true) {
            self.complain("NETDMA-043");
        }
        if outstanding.is_none() || !shared.teller.quiet(caller) {
            self.complain("RACE-8");
        }
    }

    fn complain(&self, rule: &'static str) {
        let status = Unsuccessful.status();
        self.machine()
            .emit(Event::Misuse("ProviderFreeDmaChannel", Rule(rule), status));
    }
}

impl<M: Machine> ProviderChannel for CpuChannel<M> {
    fn start(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        let shared = &self.worker.shared;
        let started = shared.desk(|desk| {
            if !desk.has(self.lease) {
                return Err("NETDMA-043");
            }
            if !is_descriptor(first) {
                return Err("NETDMA-052");
            }
            if self.counted() && count == 0 {
                return Err("RACE-2");
            }
            let run = self.goal.begin();
            desk.start(Chain { run, first, count });
            // Within the desk's lock: the engine must not fail in the new chain before.
            shared.teller.forget_error();
            Ok(())
        });
        if let Err(rule) = started {
            self.misuse("ProviderStartDma", rule, Input::Start);
            return Err(StartError::Unsuccessful);
        }
        Parts::kick(&self.parts);
        Ok(())
    }

    fn append(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError> {
        if let Some(rule) = self.refusal_to_append(first, count) {
            self.misuse("ProviderAppendDma", rule, Input::Append);
            return Err(AppendError::Unsuccessful);
        }
        // In version 1.x neither address nor count is used: the tail's link says it (RACE-1).
        let more = if self.counted() { u64::from(count) } else { 1 };
        self.goal.append(more);
        self.machine().point();
        if self.goal.sleeps() {
            Parts::kick(&self.parts);
        }
        Ok(())
    }

    fn suspend(&self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        self.request("ProviderSuspendDma", "NETDMA-090", Request::Suspend)
    }

    fn resume(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.request("ProviderResumeDma", "AMB-11", Request::Resume)
            .map(drop)
    }

    fn abort(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.request("ProviderAbortDma", "NETDMA-092", Request::Abort)
            .map(drop)
    }

    fn reset(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.request("ProviderResetChannel", "NETDMA-093", Request::Reset)
            .map(drop)
    }

    fn free(&self, _: AtMostDispatch<'_>) {
        if let Ok(interface) = self.worker.close(self.lease) {
            self.wait_until_quiet();
            // Its user may be the last to hold the interface, so it is dropped out here.
            drop(interface);
        } else {
            self.misuse("ProviderFreeDmaChannel", "NETDMA-043", Input::Free);
        }
    }
}

impl<M: Machine> fmt::Debug for CpuChannel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuChannel({:?})", self.state())
    }
}
