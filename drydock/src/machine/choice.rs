//! What may come next at a point, and which of it does.

use super::plan::Schedule;
use super::state::{Doing, Phase, State};
use longshore_core::irql::Irql;

/// What may come next at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
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
/// Lists what may come next, urgent things first, and says how many of them are urgent.
pub(super) fn list_choices(state: &State, choices: &mut Vec<Choice>) -> usize {
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
                && !line.handlers.is_empty()
                && line.running == 0
                && level < line.level
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
pub(super) fn pick(state: &mut State, choices: &[Choice], urgent: usize) -> Choice {
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
}
