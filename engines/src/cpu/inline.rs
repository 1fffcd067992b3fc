//! A channel whose engine runs on its user's own CPU, when it is driven.

use super::config::Config;
use super::goal::Run;
use super::requests::{Answer, Request};
use super::walker::{Chain, Foreman, Walker, Wanted, is_descriptor};
use core::fmt;
use longshore_core::completion::Cause;
use longshore_core::{AtMostDispatch, Event, Machine, Rule};
use longshore_hardware::BusAddress;
use longshore_netdma::Port;
use longshore_netdma::provider::{AppendError, ChannelParameters, StartError, Unsuccessful};
use longshore_netdma::state::{Action, Input, State, TABLE, step};

/// What the interrupts of a channel that has none would have told. Several are told as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The last completed descriptor.
    pub last: BusAddress,
    /// Whether a descriptor asked for an interrupt.
    pub completed: bool,
    /// Whether the engine stopped with an error.
    pub error: bool,
}

/// The foreman of a walker whose owner stands beside it.
struct Owner {
    appended: u64,
    wanted: Wanted,
    hold: bool,
    held: Answer,
    report: Option<Report>,
    fault: Option<(BusAddress, Cause)>,
    context: Option<u32>,
}

impl Foreman for Owner {
    #[inline]
    fn wanted(&self) -> Wanted {
        self.wanted
    }

    #[inline]
    fn hold(&mut self) -> bool {
        core::mem::take(&mut self.hold)
    }

    fn held(&mut self, answer: Answer) {
        self.held = answer;
    }

    #[inline]
    fn beyond(&self, _: Run, heard: u64) -> u64 {
        self.appended.wrapping_sub(heard)
    }

    #[inline]
    fn changed(&mut self, _: Run, _: State, _: u64, _: BusAddress) {}

    fn failed(&mut self, at: BusAddress, cause: Cause) {
        self.fault = Some((at, cause));
    }

    fn context(&mut self, target: u32) {
        self.context = Some(target);
    }

    fn interrupt(&mut self, last: BusAddress, error: bool) {
        let before = self.report;
        self.report = Some(Report {
            last,
            completed: !error || before.is_some_and(|report| report.completed),
            error: error || before.is_some_and(|report| report.error),
        });
    }
}

/// A channel of a CPU engine that one user has alone. The engine works only in [`drive`](Port::drive), so nothing of it
/// is shared: there is no lock and no atomic access but those of the memory.
///
/// It has no interrupt line. What its interrupts would have told is had from [`InlineChannel::take_report`].
pub struct InlineChannel<M: Machine> {
    machine: M,
    config: Config,
    walker: Walker<M, Owner>,
}

impl<M: Machine> InlineChannel<M> {
    /// A channel that was not started yet. Of the configuration only version, piece and budget count, of the parameters
    /// only the completion word's address, which is a multiple of eight (NETDMA-044).
    pub fn new(machine: &M, config: Config, parameters: ChannelParameters) -> Result<Self, Unsuccessful> {
        if !parameters.completion.is_aligned(8) {
            return Err(Unsuccessful);
        }
        let owner = Owner {
            appended: 0,
            wanted: Wanted::Yes,
            hold: false,
            held: Err(Unsuccessful),
            report: None,
            fault: None,
            context: None,
        };
        let mut walker = Walker::new(machine, config, owner);
        walker.allocate(parameters.completion);
        Ok(Self {
            machine: machine.clone(),
            config,
            walker,
        })
    }

    /// The descriptor at which the engine stopped with an error, and why (AMB-05). A start forgets it.
    pub fn fault(&self) -> Option<(BusAddress, Cause)> {
        self.walker.foreman.fault
    }

    /// The target of the last context change. It changes nothing about copies (NETDMA-120).
    pub fn context(&self) -> Option<u32> {
        self.walker.foreman.context
    }

    /// Where the channel stands.
    pub fn state(&self) -> State {
        self.walker.state()
    }

    /// What there is to tell since the last time.
    pub fn take_report(&mut self) -> Option<Report> {
        self.walker.foreman.report.take()
    }

    /// The engine loses its power, and with it what it knew of the chain. Nothing is written and nothing is told; the
    /// channel waits for a start.
    pub fn lose_power(&mut self) {
        let _ = self.walker.serve(Request::PowerLoss);
    }

    #[cold]
    fn misuse(&self, name: &'static str, rule: &'static str, input: Input) {
        self.machine.emit(Event::Transition {
            table: TABLE,
            state: self.state().name(),
            event: input.name(),
        });
        let status = Unsuccessful.status();
        self.machine.emit(Event::Misuse(name, Rule(rule), status));
    }

    #[inline]
    fn refusal_to_append(&self, first: BusAddress, count: u32) -> Option<&'static str> {
        let state = self.walker.state();
        if step(state, Input::Append).1 == Action::Refuse {
            return Some("NETDMA-076");
        }
        if !is_descriptor(first) {
            return Some("NETDMA-052");
        }
        let (_, heard) = self.walker.heard();
        let dry = state == State::Idle && heard == self.walker.foreman.appended;
        let contradicts = self.counted() && count > 0 && dry && self.walker.next() != first;
        contradicts.then_some("NETDMA-074")
    }

    fn counted(&self) -> bool {
        self.config.version.counted()
    }

    fn finish_current(&mut self) {
        while self.walker.in_the_middle() {
            self.walker.step();
        }
    }

    fn request(&mut self, name: &'static str, rule: &'static str, request: Request) -> Answer {
        let answer = self.walker.serve(request);
        if let Err(refused) = answer {
            self.machine
                .emit(Event::Misuse(name, Rule(rule), refused.status()));
        }
        answer
    }
}

impl<M: Machine> Port for InlineChannel<M> {
    fn start(&mut self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        let rule = if self.state() == State::Free {
            Some("NETDMA-043")
        } else if !is_descriptor(first) {
            Some("NETDMA-052")
        } else if self.counted() && count == 0 {
            Some("RACE-2")
        } else {
            None
        };
        if let Some(rule) = rule {
            self.misuse("ProviderStartDma", rule, Input::Start);
            return Err(StartError::Unsuccessful);
        }
        // What is being copied now is finished, and says Active (RACE-7).
        self.walker.foreman.wanted = Wanted::Replaced;
        self.finish_current();
        self.walker.foreman.wanted = Wanted::Yes;
        self.walker.foreman.appended = 0;
        self.walker.foreman.fault = None;
        let run = Run::FIRST;
        self.walker.load(Chain { run, first, count });
        Ok(())
    }

    #[inline]
    fn append(&mut self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError> {
        if let Some(rule) = self.refusal_to_append(first, count) {
            self.misuse("ProviderAppendDma", rule, Input::Append);
            return Err(AppendError::Unsuccessful);
        }
        // In version 1.x neither address nor count is used: the tail's link says it (RACE-1).
        self.walker.foreman.appended += if self.counted() { u64::from(count) } else { 1 };
        Ok(())
    }

    fn suspend(&mut self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        if self.walker.in_the_middle() {
            self.walker.foreman.hold = true;
            self.walker.foreman.held = Err(Unsuccessful);
            self.finish_current();
            self.walker.foreman.hold = false; // the descriptor may have failed
            return self.walker.foreman.held;
        }
        self.request("ProviderSuspendDma", "NETDMA-090", Request::Suspend)
    }

    fn resume(&mut self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.request("ProviderResumeDma", "AMB-11", Request::Resume)
            .map(drop)
    }

    fn abort(&mut self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.request("ProviderAbortDma", "NETDMA-092", Request::Abort)
            .map(drop)
    }

    fn reset(&mut self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.walker.foreman.fault = None;
        self.request("ProviderResetChannel", "NETDMA-093", Request::Reset)
            .map(drop)
    }

    fn free(&mut self, _: AtMostDispatch<'_>) {
        if !self.walker.free() {
            let status = Unsuccessful.status();
            self.machine.emit(Event::Misuse(
                "ProviderFreeDmaChannel",
                Rule("NETDMA-043"),
                status,
            ));
        }
    }

    /// Does as many descriptors as the configuration's budget. Each piece of a long one counts as one, so that a call
    /// lasts a bounded time.
    #[inline]
    fn drive(&mut self, _: AtMostDispatch<'_>) {
        for _ in 0..self.config.budget.max(1) {
            if !self.walker.step() {
                break;
            }
            self.machine.point();
        }
    }
}

impl<M: Machine> fmt::Debug for InlineChannel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InlineChannel({:?})", self.state())
    }
}
