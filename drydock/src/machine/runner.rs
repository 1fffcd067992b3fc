//! The loop that decides who goes next.

use super::context::{Context, Ended};
use super::plan::{Plan, Schedule};
use super::state::{Doing, Job, ObjectKind, Phase, State};
use super::trace::What;
use super::{Config, Machine, Pairs, Run};
use longshore_core::Rule;
use longshore_core::irql::{Device, Dispatch, Irql, Passive};

/// What may come next at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Go(usize),
    Interrupt(usize),
    Deferred(usize),
    Device(usize),
    Timer(usize),
    TimeOut(usize),
    EndStall,
}

/// How much sooner than everything else a timer or a timeout may come: a CPU can be slow, but not by any amount.
/// A wait much longer than this runs out only when nothing else is left to happen.
const SLOWEST: u64 = 1_000_000;

/// Choices in a row after which a straight run lets those go who poll or whose time is up. A device that never
/// becomes idle, as in a loop, would otherwise keep them waiting for ever.
const PATIENCE: u32 = 256;

/// Deliveries of a line that nobody lowers, before that is a finding.
const STORM: u32 = 64;

/// Runs a scenario as thread `driver` on CPU 0 under a plan, to the end of all threads.
pub fn run(
    config: &Config,
    plan: &Plan,
    pairs: Pairs,
    scenario: impl FnOnce(&Machine, &mut Passive) + Send + 'static,
) -> Run {
    let machine = Machine::new(config, plan.clone(), pairs);
    let inside = machine.clone();
    machine
        .state()
        .spawn(0, "driver", Box::new(move |passive| scenario(&inside, passive)));
    let mut runner = Runner {
        machine,
        contexts: Vec::new(),
        choices: Vec::new(),
    };
    runner.go();
    runner.finish()
}

struct Runner {
    machine: Machine,
    /// By the index of their state; `None` once ended.
    contexts: Vec<Option<Context>>,
    choices: Vec<Choice>,
}

impl Runner {
    fn go(&mut self) {
        loop {
            self.start_contexts();
            let choice = {
                let mut state = self.machine.state();
                if state.phase == Phase::Ending {
                    return;
                }
                state.now += 10;
                self.choices.clear();
                let urgent = list_choices(&state, &mut self.choices);
                if self.over(&mut state, urgent) {
                    return;
                }
                pick(&mut state, &self.choices, urgent)
            };
            self.take(choice);
        }
    }

    /// Whether the run is over: every thread has ended and nothing is under way, or nothing can happen.
    fn over(&self, state: &mut State, urgent: usize) -> bool {
        let alive = state.contexts.iter().any(|context| context.doing != Doing::Done);
        if !alive && urgent == 0 {
            return true;
        }
        if self.choices.is_empty() {
            if state.stalled() && state.cpus.iter().all(|cpu| cpu.threads.is_empty()) {
                // What stands still for ever holds nobody up.
                return true;
            }
            let who = state.who_runs();
            state.find(Rule("RL-13"), format!("nothing can happen any more: {who}"));
            return true;
        }
        false
    }

    fn start_contexts(&mut self) {
        loop {
            let (index, job) = {
                let mut state = self.machine.state();
                let Some(next) = state.starting.pop() else { return };
                next
            };
            let context = Context::new(body(&self.machine, job));
            if self.contexts.len() <= index {
                self.contexts.resize_with(index + 1, || None);
            }
            match context {
                Ok(context) => self.contexts[index] = Some(context),
                Err(error) => {
                    let mut state = self.machine.state();
                    state.find(Rule("PANIC"), format!("no stack for another context: {error}"));
                    state.phase = Phase::Ending;
                }
            }
        }
    }

    fn take(&mut self, choice: Choice) {
        match choice {
            Choice::Go(context) => self.resume(context),
            Choice::Device(device) => self.machine.step_device(device),
            Choice::Interrupt(line) => self.machine.state().begin_interrupt(line),
            Choice::Deferred(cpu) => self.machine.state().begin_deferred(cpu),
            Choice::Timer(timer) => self.machine.state().begin_timer(timer),
            Choice::TimeOut(context) => self.machine.state().time_out(context),
            Choice::EndStall => {
                let mut state = self.machine.state();
                let until = state.stalled_until.take().unwrap_or(0);
                state.now = state.now.max(until);
            }
        }
    }

    fn resume(&mut self, index: usize) {
        {
            let mut state = self.machine.state();
            if state.contexts[index].doing == Doing::Relaxed {
                state.contexts[index].doing = Doing::Ready;
                state.now += 1000;
            }
            state.current = Some(index);
            state.last = Some(index);
        }
        let ended = self.contexts[index].as_mut().and_then(Context::resume);
        let mut state = self.machine.state();
        if let Some(ended) = ended {
            state.end_context(index, ended);
            self.contexts[index] = None;
        }
        state.current = None;
    }

    fn finish(mut self) -> Run {
        self.machine.state().check_ledgers();
        self.machine.state().phase = Phase::Ending;
        for index in (0..self.contexts.len()).rev() {
            if self.contexts[index].is_some() {
                self.resume(index);
            }
            self.contexts[index] = None;
        }
        drop_objects(&self.machine);
        let mut state = self.machine.state();
        Run {
            findings: std::mem::take(&mut state.findings),
            trace: std::mem::take(&mut state.trace),
            points: state.points,
            armed_points: state.armed_points,
            device_bytes: state.device_bytes,
            struck: state.struck,
            chosen: std::mem::take(&mut state.chosen),
            pairs: std::mem::take(&mut state.pairs),
        }
    }
}

/// Drops what the run left behind. Dropping a routine may drop handles that lock the state, so it must not be
/// locked here.
fn drop_objects(machine: &Machine) {
    let left = {
        let mut state = machine.state();
        let routines: Vec<_> = state
            .deferreds
            .iter_mut()
            .map(|deferred| deferred.routine.take())
            .collect();
        let timers: Vec<_> = state
            .timers
            .iter_mut()
            .map(|timer| timer.routine.take())
            .collect();
        let handlers: Vec<_> = state.lines.iter_mut().map(|line| line.handler.take()).collect();
        let models: Vec<_> = state
            .devices
            .iter_mut()
            .map(|device| device.model.take())
            .collect();
        let starting = std::mem::take(&mut state.starting);
        (
            routines,
            timers,
            handlers,
            models,
            starting,
            state.strike.take(),
            state.oracle.take(),
        )
    };
    drop(left);
}

fn body(machine: &Machine, job: Job) -> impl FnOnce() + 'static {
    let machine = machine.clone();
    move || match job {
        Job::Thread(name, thread) => {
            machine.state().record(What::Begins("thread", name));
            if let Some(mut passive) = Passive::now(&machine) {
                thread(&mut passive);
            }
        }
        Job::Deferred(index) => {
            let routine = machine.state().deferreds[index].routine.clone();
            if let (Some(routine), Some(dispatch)) = (routine, Dispatch::now(&machine)) {
                routine(&dispatch);
            }
        }
        Job::Timer(index) => {
            let routine = machine.state().timers[index].routine.clone();
            if let (Some(routine), Some(dispatch)) = (routine, Dispatch::now(&machine)) {
                routine(&dispatch);
            }
        }
        Job::Interrupt(index) => {
            let handler = machine.state().lines[index].handler.clone();
            if let (Some(handler), Some(device)) = (handler, Device::now(&machine)) {
                handler(&device);
            }
        }
        Job::Strike(strike) => {
            machine.state().record(What::Strike);
            if let Some(dispatch) = Dispatch::now(&machine) {
                strike(&dispatch);
            }
        }
    }
}

/// Lists what may come next, urgent things first, and says how many of them are urgent.
fn list_choices(state: &State, choices: &mut Vec<Choice>) -> usize {
    let stalled = state.stalled();
    let engine = state.cpus.len() - 2;
    let frozen = |cpu: usize| stalled && cpu == engine;
    for (cpu, entry) in state.cpus.iter().enumerate() {
        if frozen(cpu) {
            continue;
        }
        let level = state.cpu_level(cpu);
        for (index, line) in state.lines.iter().enumerate() {
            let asserted = line.raised || line.early;
            if line.cpu == cpu
                && asserted
                && line.handler.is_some()
                && line.running == 0
                && level < Irql::DEVICE
            {
                choices.push(Choice::Interrupt(index));
            }
        }
        if level < Irql::DISPATCH && !entry.queue.is_empty() {
            choices.push(Choice::Deferred(cpu));
        }
        runnable(state, cpu, |context| {
            if matches!(
                state.contexts[context].doing,
                Doing::Ready | Doing::Waiting { timed_out: true, .. }
            ) {
                choices.push(Choice::Go(context));
            }
        });
    }
    if !stalled {
        choices.extend(
            state
                .devices
                .iter()
                .enumerate()
                .filter(|(_, device)| device.busy)
                .map(|(index, _)| Choice::Device(index)),
        );
    }
    let next = next_in_time(state);
    if let Some((at, choice)) = next
        && at <= state.now
    {
        choices.push(choice);
    }
    let urgent = choices.len();
    for cpu in (0..state.cpus.len()).filter(|cpu| !frozen(*cpu)) {
        runnable(state, cpu, |context| {
            if state.contexts[context].doing == Doing::Relaxed {
                choices.push(Choice::Go(context));
            }
        });
    }
    if let Some((at, choice)) = next
        && at > state.now
        && (choices.is_empty() || at - state.now <= SLOWEST)
    {
        choices.push(choice);
    }
    urgent
}

/// The contexts of a CPU that could go on, as far as levels are concerned.
fn runnable(state: &State, cpu: usize, mut each: impl FnMut(usize)) {
    let entry = &state.cpus[cpu];
    if let Some(&top) = entry.nested.last() {
        return each(top);
    }
    let raised = entry
        .threads
        .iter()
        .find(|&&thread| state.contexts[thread].level > Irql::PASSIVE);
    match raised {
        Some(&thread) => each(thread),
        None => entry.threads.iter().for_each(|&thread| each(thread)),
    }
}

/// The first thing that time alone brings.
fn next_in_time(state: &State) -> Option<(u64, Choice)> {
    let timers = state.timers.iter().enumerate().filter_map(|(index, timer)| {
        let ready = timer.running == 0 && state.cpu_level(timer.cpu) < Irql::DISPATCH;
        Some((timer.deadline.filter(|_| ready)?, Choice::Timer(index)))
    });
    let waits = state
        .contexts
        .iter()
        .enumerate()
        .filter_map(|(index, context)| match context.doing {
            Doing::Waiting {
                deadline: Some(deadline),
                timed_out: false,
                ..
            } => Some((deadline, Choice::TimeOut(index))),
            _ => None,
        });
    let stall = state
        .stalled_until
        .filter(|until| *until != u64::MAX)
        .map(|until| (until, Choice::EndStall));
    timers.chain(waits).chain(stall).min_by_key(|(at, _)| *at)
}

/// Picks what comes next, and notes it as the choice's number, counted from 1; 0 stands for going on.
fn pick(state: &mut State, choices: &[Choice], urgent: usize) -> Choice {
    let index = match &state.plan.schedule {
        _ if choices.len() == 1 => 0,
        Schedule::Straight => straight(state, choices, urgent),
        Schedule::Seed(_) => walk(state, choices, urgent),
        Schedule::Explicit(explicit) => match explicit.get(state.chosen.len()) {
            Some(&choice) if choice > 0 => usize::from(choice - 1).min(choices.len() - 1),
            _ => straight(state, choices, urgent),
        },
    };
    state.impatience = match passed_over(state, choices) {
        Some(waiting) if waiting != index => state.impatience.saturating_add(1),
        _ => 0,
    };
    state.chosen.push(u8::try_from(index + 1).unwrap_or(u8::MAX));
    choices[index]
}

/// The newest context of the intruder first, then whoever ran last, then the first urgent thing.
fn straight(state: &State, choices: &[Choice], urgent: usize) -> usize {
    let go_on = |context: usize| {
        choices[..urgent]
            .iter()
            .position(|choice| *choice == Choice::Go(context))
    };
    let intruder = state
        .cpus
        .last()
        .and_then(|cpu| cpu.nested.last())
        .and_then(|&context| go_on(context));
    let last = || state.last.and_then(go_on);
    let polling = || {
        // Those who poll take turns.
        let turn = state.points as usize % (choices.len() - urgent).max(1);
        if urgent == 0 { turn } else { 0 }
    };
    intruder
        .or_else(last)
        .or_else(|| passed_over(state, choices).filter(|_| state.impatience >= PATIENCE))
        .unwrap_or_else(polling)
}

/// The first choice that only those wait for who poll, or whose time is up.
fn passed_over(state: &State, choices: &[Choice]) -> Option<usize> {
    choices.iter().position(|choice| match *choice {
        Choice::Go(context) => state.contexts[context].doing == Doing::Relaxed,
        Choice::Timer(timer) => state.timers[timer]
            .deadline
            .is_some_and(|deadline| deadline <= state.now),
        Choice::TimeOut(context) => matches!(
            state.contexts[context].doing,
            Doing::Waiting { deadline: Some(deadline), .. } if deadline <= state.now
        ),
        _ => false,
    })
}

/// A random choice. Late things come seldom while something urgent is left.
fn walk(state: &mut State, choices: &[Choice], urgent: usize) -> usize {
    let late = urgent == 0 || (choices.len() > urgent && state.random.below(16) == 0);
    let limit = if late { choices.len() } else { urgent };
    state.random.below(limit)
}

impl State {
    /// Whether whoever runs goes on without anybody else being looked at. Most points end here, so this is what
    /// makes a run fast.
    pub(super) fn goes_on(&mut self) -> bool {
        let Some(context) = self.current else { return false };
        let ready = self.contexts[context].doing == Doing::Ready;
        if !ready || self.stalled_until.is_some() || !self.starting.is_empty() || self.phase == Phase::Ending
        {
            return false;
        }
        let go_on = match &self.plan.schedule {
            Schedule::Straight => !self.intruder_is_ready() || self.contexts[context].kind == "intruder",
            // Seeds differ in how often they leave the one who runs.
            Schedule::Seed(seed) => {
                let patience = 3 << (seed % 4);
                self.random.below(patience) != 0
            }
            Schedule::Explicit(explicit) => explicit.get(self.chosen.len()).is_none_or(|choice| *choice == 0),
        };
        if go_on {
            self.now += 10;
            self.chosen.push(0);
        }
        go_on
    }

    fn intruder_is_ready(&self) -> bool {
        let top = self.cpus.last().and_then(|cpu| cpu.nested.last());
        top.is_some_and(|&context| self.contexts[context].doing == Doing::Ready)
    }

    fn begin_interrupt(&mut self, index: usize) {
        let line = &mut self.lines[index];
        line.early = false;
        line.running += 1;
        line.unanswered += 1;
        let (name, cpu, unanswered) = (line.name, line.cpu, line.unanswered);
        if unanswered > STORM {
            let what = format!("line `{name}` was delivered {STORM} times and nobody lowers it");
            self.find(Rule("PAIN-04"), what);
            self.phase = Phase::Ending;
        }
        let context = self.add_context(
            "interrupt",
            name,
            cpu,
            Irql::DEVICE,
            Some((ObjectKind::Line, index)),
        );
        self.begin(context, cpu, Job::Interrupt(index));
    }

    fn begin_deferred(&mut self, cpu: usize) {
        let Some(index) = self.cpus[cpu].queue.pop_front() else {
            return;
        };
        let deferred = &mut self.deferreds[index];
        deferred.queued = false;
        deferred.running += 1;
        let name = deferred.name;
        let context = self.add_context(
            "deferred call",
            name,
            cpu,
            Irql::DISPATCH,
            Some((ObjectKind::Deferred, index)),
        );
        self.begin(context, cpu, Job::Deferred(index));
    }

    fn begin_timer(&mut self, index: usize) {
        let timer = &mut self.timers[index];
        self.now = self.now.max(timer.deadline.take().unwrap_or(0));
        timer.running += 1;
        let (name, cpu) = (timer.name, timer.cpu);
        let context = self.add_context(
            "timer",
            name,
            cpu,
            Irql::DISPATCH,
            Some((ObjectKind::Timer, index)),
        );
        self.begin(context, cpu, Job::Timer(index));
    }

    fn begin(&mut self, context: usize, cpu: usize, job: Job) {
        self.cpus[cpu].nested.push(context);
        self.starting.push((context, job));
        self.last = Some(context);
        let (kind, name) = (self.contexts[context].kind, self.contexts[context].name);
        self.current = Some(context);
        self.record(What::Begins(kind, name));
        self.current = None;
    }

    fn time_out(&mut self, context: usize) {
        if let Doing::Waiting { signal, deadline, .. } = self.contexts[context].doing {
            self.now = self.now.max(deadline.unwrap_or(0));
            self.contexts[context].doing = Doing::Waiting {
                signal,
                deadline,
                timed_out: true,
            };
        }
    }

    fn end_context(&mut self, index: usize, ended: Ended) {
        let (kind, name, cpu) = {
            let context = &mut self.contexts[index];
            context.doing = Doing::Done;
            (context.kind, context.name, context.cpu)
        };
        self.record(What::Ends(kind, name));
        if let Ended::Panicked(message) = ended {
            self.find(Rule("PANIC"), format!("{kind} `{name}` panicked: {message}"));
            self.phase = Phase::Ending;
        }
        self.cpus[cpu].nested.retain(|context| *context != index);
        self.cpus[cpu].threads.retain(|context| *context != index);
        match self.contexts[index].object {
            Some((ObjectKind::Deferred, object)) => self.deferreds[object].running -= 1,
            Some((ObjectKind::Timer, object)) => self.timers[object].running -= 1,
            Some((ObjectKind::Line, object)) => self.lines[object].running -= 1,
            None => {}
        }
    }

    /// What must hold when everything has come to its end.
    fn check_ledgers(&mut self) {
        if self.phase == Phase::Ending || !self.findings.is_empty() || !self.kept.is_empty() {
            return;
        }
        let open = self.ledger.open().next();
        if let Some((operation, what)) = open {
            self.find(Rule("PAIN-23"), format!("{operation:?} {what}"));
        }
        if let Some(range) = self.arena.outstanding().first() {
            let what = format!("{range:?} was never given back");
            self.find(Rule("PAIN-18"), what);
        }
    }
}
