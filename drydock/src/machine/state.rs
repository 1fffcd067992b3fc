//! Everything a virtual computer knows about itself.

use super::arena::{Arena, Trespass, View};
use super::plan::{Fault, Plan, Random, Schedule};
use super::trace::{Step, What};
use super::{Breach, Config, Finding, Oracle, Pairs};
use crate::ledger::Ledger;
use longshore_core::event::{Event, Owner, Rule};
use longshore_core::irql::ASKED_FOR_PASSIVE;
use longshore_core::irql::{Device, Dispatch, Irql, Passive};
use longshore_models::Model;
use longshore_wdm::verifier::{self, Code};
use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) type Routine = Arc<dyn Fn(&Dispatch) + Send + Sync>;
pub(crate) type Handler = Arc<dyn Fn(&Device) -> bool + Send + Sync>;
pub(crate) type ThreadBody = Box<dyn FnOnce(&mut Passive) + Send>;
pub(crate) type StrikeBody = Box<dyn FnOnce(&Dispatch) + Send>;

/// What a context runs.
pub(crate) enum Job {
    Thread(&'static str, ThreadBody),
    Deferred(usize),
    Timer(usize),
    Interrupt(usize),
    Strike(StrikeBody),
}

/// What a context is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Ready,
    /// Ready, but has just said that others should go first.
    Relaxed,
    Waiting {
        signal: usize,
        deadline: Option<u64>,
        timed_out: bool,
    },
    Spinning {
        lock: usize,
    },
    Done,
}

pub(crate) struct ContextState {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) cpu: usize,
    pub(crate) level: Irql,
    pub(crate) doing: Doing,
    pub(crate) locks: u32,
    /// The object it runs for, to be marked idle at its end.
    pub(crate) object: Option<(ObjectKind, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Deferred,
    Timer,
    Line,
}

#[derive(Default)]
pub(crate) struct CpuState {
    /// Contexts above PASSIVE; only the last one can go on.
    pub(crate) nested: Vec<usize>,
    /// Threads.
    pub(crate) threads: Vec<usize>,
    /// Deferred calls that wait for this CPU.
    pub(crate) queue: VecDeque<usize>,
}

pub(crate) struct DeferredState {
    pub(crate) name: &'static str,
    pub(crate) cpu: usize,
    pub(crate) routine: Option<Routine>,
    pub(crate) queued: bool,
    pub(crate) running: u32,
}

pub(crate) struct TimerState {
    pub(crate) name: &'static str,
    pub(crate) cpu: usize,
    pub(crate) routine: Option<Routine>,
    pub(crate) deadline: Option<u64>,
    pub(crate) running: u32,
}

pub(crate) struct LineState {
    pub(crate) name: &'static str,
    pub(crate) cpu: usize,
    pub(crate) level: Irql,
    pub(crate) raised: bool,
    /// One delivery that nobody asked for.
    pub(crate) early: bool,
    /// In the order in which they were connected.
    pub(crate) handlers: Vec<(u64, Handler)>,
    pub(crate) running: u32,
    /// Deliveries since the line was last lowered.
    pub(crate) unanswered: u32,
}

pub(crate) struct SignalState {
    pub(crate) name: &'static str,
    pub(crate) set: bool,
}

pub(crate) struct LockState {
    pub(crate) name: &'static str,
    pub(crate) owner: Option<usize>,
    /// Somebody has tried it, instead of waiting for it.
    pub(crate) tried: bool,
}

pub(crate) struct DeviceState {
    pub(crate) name: &'static str,
    pub(crate) model: Option<Box<dyn Model>>,
    pub(crate) lines: Vec<usize>,
    pub(crate) busy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// The run is over: machine calls return at once.
    Ending,
}

pub(crate) struct State {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) chosen: Vec<u8>,
    pub(crate) now: u64,
    pub(crate) phase: Phase,
    pub(crate) current: Option<usize>,
    /// Who ran last.
    pub(crate) last: Option<usize>,
    pub(crate) device: bool,
    /// Choices in a row in which somebody who polls, or whose time is up, was passed over.
    pub(crate) impatience: u32,
    pub(crate) cpus: Vec<CpuState>,
    pub(crate) contexts: Vec<ContextState>,
    pub(crate) starting: Vec<(usize, Job)>,
    pub(crate) deferreds: Vec<DeferredState>,
    pub(crate) timers: Vec<TimerState>,
    pub(crate) lines: Vec<LineState>,
    pub(crate) signals: Vec<SignalState>,
    pub(crate) locks: Vec<LockState>,
    pub(crate) devices: Vec<DeviceState>,
    pub(crate) arena: Arena,
    pub(crate) numbers: u32,
    pub(crate) connections: u64,
    pub(crate) trace: Vec<Step>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) ledger: Ledger,
    pub(crate) pairs: Pairs,
    pub(crate) oracle: Option<Box<dyn Oracle>>,
    /// Whether what Windows' verifier stops for is a finding.
    pub(crate) verifies: bool,
    pub(crate) points: u32,
    pub(crate) point_limit: u32,
    /// Whether strikes and faults may come now.
    pub(crate) armed: bool,
    /// Points that passed while they might.
    pub(crate) armed_points: u32,
    pub(crate) device_bytes: u64,
    pub(crate) strike: Option<StrikeBody>,
    pub(crate) struck: bool,
    pub(crate) stalled_until: Option<u64>,
    /// A call on an ending machine is a step out; too many of them and the context is stopped.
    pub(crate) ending_calls: u32,
    /// What stays until the machine is switched off.
    pub(crate) kept: Vec<Box<dyn std::any::Any + Send>>,
}

impl State {
    pub(crate) fn new(config: &Config, plan: Plan, pairs: Pairs) -> Self {
        let seed = if let Schedule::Seed(seed) = plan.schedule {
            seed
        } else {
            0
        };
        // One more CPU than anyone sees: the intruder strikes from there.
        let cpus = (0..=config.cpus).map(|_| CpuState::default()).collect();
        Self {
            plan,
            random: Random::new(seed),
            chosen: Vec::new(),
            now: 0,
            phase: Phase::Running,
            current: None,
            last: None,
            device: false,
            impatience: 0,
            cpus,
            contexts: Vec::new(),
            starting: Vec::new(),
            deferreds: Vec::new(),
            timers: Vec::new(),
            lines: Vec::new(),
            signals: Vec::new(),
            locks: Vec::new(),
            devices: Vec::new(),
            arena: Arena::new(config.memory, config.high_memory),
            numbers: 0,
            connections: 0,
            trace: Vec::with_capacity(256),
            findings: Vec::new(),
            ledger: Ledger::default(),
            pairs,
            oracle: None,
            verifies: false,
            points: 0,
            point_limit: config.point_limit,
            armed: false,
            armed_points: 0,
            device_bytes: 0,
            strike: None,
            struck: false,
            stalled_until: None,
            ending_calls: 0,
            kept: Vec::new(),
        }
    }

    pub(crate) fn level(&self) -> Irql {
        self.current
            .map_or(Irql::PASSIVE, |context| self.contexts[context].level)
    }

    pub(crate) fn cpu(&self) -> usize {
        self.current.map_or(0, |context| self.contexts[context].cpu)
    }

    /// The level at which a CPU runs, whoever runs there.
    pub(crate) fn cpu_level(&self, cpu: usize) -> Irql {
        let state = &self.cpus[cpu];
        match state.nested.last() {
            Some(&top) => self.contexts[top].level,
            None => {
                let raised = state
                    .threads
                    .iter()
                    .map(|&thread| self.contexts[thread].level)
                    .max();
                raised.unwrap_or(Irql::PASSIVE)
            }
        }
    }

    /// Notes a step, and shows it to the oracle.
    // Always inlined: the step is then built in its place in the trace. Built elsewhere and copied there, it cost a
    // tenth of a whole run.
    #[inline(always)]
    pub(crate) fn record(&mut self, what: What) {
        let shown = what.is_for_oracles();
        let (at, level) = (self.now, self.level());
        let cpu = if self.device {
            None
        } else {
            u32::try_from(self.cpu()).ok()
        };
        self.trace.push(Step { at, cpu, level, what });
        if shown {
            self.show_oracle();
        }
    }

    fn show_oracle(&mut self) {
        let (Some(mut oracle), Some(step)) = (self.oracle.take(), self.trace.last()) else {
            return;
        };
        let breach = oracle.observe(step, &self.arena);
        self.oracle = Some(oracle);
        if let Some(Breach { rule, what }) = breach {
            self.find(rule, what);
        }
    }

    pub(crate) fn find(&mut self, rule: Rule, what: String) {
        if self.phase == Phase::Running && self.findings.len() < 8 {
            let step = self.trace.len();
            self.findings.push(Finding { rule, what, step });
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.record(What::Event(event));
        match event {
            Event::Handover(range, owner, rule) => self.arena.hand_over(range, owner, rule),
            Event::Transition { table, state, event } => self.pairs.note(table, state, event),
            Event::Callback(name, _) => self.check_no_lock(name),
            Event::VerifierStop { rule, .. } if self.verifies => {
                let what = verifier::stop(&event).map(|stop| stop.to_string());
                self.find(rule, what.unwrap_or_default());
            }
            Event::Misuse(ASKED_FOR_PASSIVE, rule, _) => {
                let what = format!("asked for PASSIVE_LEVEL at {:?}", self.level());
                self.find(rule, what);
            }
            _ => {}
        }
        if let Some(Breach { rule, what }) = self.ledger.hear(event) {
            self.find(rule, what);
        }
    }

    fn check_no_lock(&mut self, name: &str) {
        if let Some(context) = self.current
            && self.contexts[context].locks > 0
        {
            self.find(Rule("PAIN-10"), format!("{name} runs while a lock is held"));
        }
    }

    /// Checks an access against the owner map; a wrong one is a finding, but goes through.
    pub(crate) fn check_owner(
        &mut self,
        view: View,
        at: longshore_hardware::BusAddress,
        len: u64,
        verb: &str,
    ) {
        if let Some(trespass) = self.arena.trespass(view, at, len) {
            let mut what = describe(trespass, view, verb);
            let rule = match (view, trespass.rule) {
                (View::Cpu, lent) => lent.unwrap_or(Rule("PAIN-18")),
                (View::Device, None) => Rule("PAIN-15"),
                // It was lent once, and has been taken back.
                (View::Device, Some(_)) => Rule("PAIN-08"),
            };
            if view == View::Device {
                let code = device_code(trespass.owner, verb);
                let stop = Event::VerifierStop {
                    call: "the device",
                    code: code.0,
                    rule,
                };
                // It is a finding whether the verifier is on or off.
                self.record(What::Event(stop));
                what = format!("{what} ({code})");
            }
            self.find(rule, what);
        }
    }

    /// How many of the next `len` bytes a device moves before the bus answers with an error.
    pub(crate) fn bytes_before_bus_error(&mut self, len: u64) -> Option<u64> {
        if !self.armed || self.phase == Phase::Ending {
            return None;
        }
        let first = self.device_bytes;
        self.device_bytes += len;
        match self.plan.fault {
            Some(Fault::BusError(byte)) if byte >= first && byte < first + len => Some(byte - first),
            _ => None,
        }
    }

    /// Counts a point, and does what the plan says happens there.
    pub(crate) fn count_point(&mut self) {
        self.points += 1;
        if self.points == self.point_limit {
            let who = self.who_runs();
            self.find(
                Rule("RL-13"),
                format!("the run does not end; after {} points: {who}", self.points),
            );
            self.phase = Phase::Ending;
            return;
        }
        if !self.armed {
            return;
        }
        let point = self.armed_points;
        self.armed_points += 1;
        if self.plan.strike == Some(point) {
            self.begin_strike();
        }
        match self.plan.fault {
            Some(Fault::Stall { at, micros }) if at == point => {
                self.record(What::Fault("the engine stands still"));
                let end = self.now.saturating_add(u64::from(micros) * 1000);
                self.stalled_until = Some(if micros == u32::MAX { u64::MAX } else { end });
            }
            Some(Fault::InterruptEarly(at)) if at == point => {
                self.record(What::Fault("an interrupt comes although nothing has happened"));
                self.lines.iter_mut().for_each(|line| line.early = true);
            }
            _ => {}
        }
    }

    fn begin_strike(&mut self) {
        let Some(body) = self.strike.take() else { return };
        self.struck = true;
        let cpu = self.cpus.len() - 1;
        let context = self.add_context("intruder", "intruder", cpu, Irql::DISPATCH, None);
        self.cpus[cpu].nested.push(context);
        self.starting.push((context, Job::Strike(body)));
    }

    pub(crate) fn who_runs(&self) -> String {
        let lines: Vec<String> = self
            .contexts
            .iter()
            .filter(|context| context.doing != Doing::Done)
            .map(|context| {
                let doing = match context.doing {
                    Doing::Waiting { signal, .. } => format!("waits for `{}`", self.signals[signal].name),
                    Doing::Spinning { lock } => match self.locks[lock].owner {
                        Some(owner) => format!(
                            "spins for lock `{}`, which {} `{}` holds",
                            self.locks[lock].name, self.contexts[owner].kind, self.contexts[owner].name
                        ),
                        None => format!("spins for lock `{}`", self.locks[lock].name),
                    },
                    Doing::Relaxed => "polls".to_owned(),
                    _ => "runs".to_owned(),
                };
                format!(
                    "{} `{}` on cpu {} {doing}",
                    context.kind, context.name, context.cpu
                )
            })
            .collect();
        lines.join("; ")
    }

    pub(crate) fn add_context(
        &mut self,
        kind: &'static str,
        name: &'static str,
        cpu: usize,
        level: Irql,
        object: Option<(ObjectKind, usize)>,
    ) -> usize {
        self.contexts.push(ContextState {
            kind,
            name,
            cpu,
            level,
            doing: Doing::Ready,
            locks: 0,
            object,
        });
        self.contexts.len() - 1
    }

    pub(crate) fn spawn(&mut self, cpu: usize, name: &'static str, body: ThreadBody) {
        let context = self.add_context("thread", name, cpu, Irql::PASSIVE, None);
        self.cpus[cpu].threads.push(context);
        self.starting.push((context, Job::Thread(name, body)));
    }

    /// Whether devices and the engine's CPU stand still now.
    pub(crate) fn stalled(&self) -> bool {
        self.stalled_until.is_some_and(|until| self.now < until)
    }

    pub(crate) fn set_signal(&mut self, signal: usize) {
        self.signals[signal].set = true;
        self.record(What::Signalled(self.signals[signal].name));
        for context in &mut self.contexts {
            if matches!(context.doing, Doing::Waiting { signal: waited, .. } if waited == signal) {
                context.doing = Doing::Ready;
            }
        }
    }
}

/// What Windows' verifier calls it: nobody's bytes are those behind a buffer.
fn device_code(owner: Owner, verb: &str) -> Code {
    match (owner, verb) {
        (Owner::Nobody, "writes") => Code::OVERRUN,
        _ => Code::OUTSIDE_DOMAIN,
    }
}

fn describe(trespass: Trespass, view: View, verb: &str) -> String {
    let who = match view {
        View::Cpu => "software",
        View::Device => "the device",
    };
    let owner = match trespass.owner {
        Owner::Nobody => "belongs to nobody",
        Owner::Cpu => "belongs to software",
        Owner::Device => "still belongs to the device",
        Owner::Both => "belongs to both",
    };
    format!("{who} {verb} the byte at {}, which {owner}", trespass.at)
}
