//! What contract code makes on a machine: deferred calls, timers, lines, handlers and events.

use super::device::set_line;
use super::state::{
    DeferredState, Doing, Handler, LineState, Phase, Routine, SignalState, State, TimerState,
};
use super::trace::What;
use super::{Machine, context};
use longshore_core::Rule;
use longshore_core::irql::{Irql, Passive};
use longshore_core::machine::{self, Cpu, Waited};
use longshore_hardware::Interrupt;
use std::time::Duration;

/// Waits until `running` says that nobody runs any more. Whoever asks from inside does not wait for itself.
fn wait_until_idle(machine: &Machine, running: impl Fn(&State) -> u32, own: bool) {
    while context::on_one() && machine.state().phase == Phase::Running {
        if running(&machine.state()) <= u32::from(own) {
            return;
        }
        machine.yield_point(true);
    }
}

fn runs_inside(state: &State, kind: super::state::ObjectKind, index: usize) -> bool {
    state
        .current
        .is_some_and(|context| state.contexts[context].object == Some((kind, index)))
}

/// A deferred call.
#[derive(Debug)]
pub struct Deferred {
    machine: Machine,
    index: usize,
}

impl Deferred {
    pub(super) fn new(machine: Machine, name: &'static str, cpu: Cpu, routine: Routine) -> Self {
        let index = {
            let mut state = machine.state();
            let cpu = cpu.0.min(machine.0.cpus - 1) as usize;
            state.deferreds.push(DeferredState {
                name,
                cpu,
                routine: Some(routine),
                queued: false,
                running: 0,
            });
            state.deferreds.len() - 1
        };
        Self { machine, index }
    }

    fn queue_for(&self, cpu: Option<Cpu>) -> bool {
        let mut state = self.machine.enter();
        let cpus = self.machine.0.cpus;
        let Some(deferred) = state.deferreds.get_mut(self.index) else {
            return false;
        };
        if deferred.queued || deferred.routine.is_none() {
            return false;
        }
        deferred.queued = true;
        let cpu = cpu.map_or(deferred.cpu, |cpu| (cpu.0 % cpus) as usize);
        let name = deferred.name;
        state.cpus[cpu].queue.push_back(self.index);
        state.record(What::Queued(name));
        true
    }
}

impl machine::Deferred for Deferred {
    fn queue(&self) -> bool {
        self.queue_for(None)
    }

    fn queue_on(&self, cpu: Cpu) -> bool {
        self.queue_for(Some(cpu))
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        let (routine, own) = {
            let mut state = self.machine.state();
            let own = runs_inside(&state, super::state::ObjectKind::Deferred, self.index);
            for cpu in &mut state.cpus {
                cpu.queue.retain(|queued| *queued != self.index);
            }
            (
                state
                    .deferreds
                    .get_mut(self.index)
                    .and_then(|deferred| deferred.routine.take()),
                own,
            )
        };
        wait_until_idle(&self.machine, |state| state.deferreds[self.index].running, own);
        drop(routine);
    }
}

/// A timer.
#[derive(Debug)]
pub struct Timer {
    machine: Machine,
    index: usize,
}

impl Timer {
    pub(super) fn new(machine: Machine, name: &'static str, routine: Routine) -> Self {
        let index = {
            let mut state = machine.state();
            let cpu = state.cpu();
            state.timers.push(TimerState {
                name,
                cpu,
                routine: Some(routine),
                deadline: None,
                running: 0,
            });
            state.timers.len() - 1
        };
        Self { machine, index }
    }
}

impl machine::Timer for Timer {
    fn set(&self, delay: Duration) {
        let mut state = self.machine.enter();
        let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        let deadline = state.now.saturating_add(delay);
        let Some(timer) = state.timers.get_mut(self.index) else {
            return;
        };
        timer.deadline = Some(deadline);
        let name = timer.name;
        state.record(What::Armed(name, delay));
    }

    fn cancel(&self) -> bool {
        let mut state = self.machine.enter();
        state
            .timers
            .get_mut(self.index)
            .is_some_and(|timer| timer.deadline.take().is_some())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let (routine, own) = {
            let mut state = self.machine.state();
            let own = runs_inside(&state, super::state::ObjectKind::Timer, self.index);
            let timer = state.timers.get_mut(self.index);
            let routine = timer.and_then(|timer| {
                timer.deadline = None;
                timer.routine.take()
            });
            (routine, own)
        };
        wait_until_idle(&self.machine, |state| state.timers[self.index].running, own);
        drop(routine);
    }
}

/// An interrupt line.
#[derive(Clone, Debug)]
pub struct Line {
    machine: Machine,
    index: usize,
}

impl Line {
    pub(super) fn new(machine: Machine, name: &'static str, cpu: Cpu, level: Irql) -> Self {
        let index = {
            let mut state = machine.state();
            let cpu = cpu.0.min(machine.0.cpus - 1) as usize;
            state.lines.push(LineState {
                name,
                cpu,
                level: level.max(Irql::DEVICE),
                raised: false,
                early: false,
                handlers: Vec::new(),
                running: 0,
                unanswered: 0,
            });
            state.lines.len() - 1
        };
        Self { machine, index }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }
}

impl Interrupt for Line {
    fn raise(&self) {
        set_line(&mut self.machine.enter(), self.index, true);
    }

    fn lower(&self) {
        set_line(&mut self.machine.enter(), self.index, false);
    }
}

/// A connected interrupt handler.
#[derive(Debug)]
pub struct Connection {
    line: Line,
    number: u64,
}

impl Connection {
    pub(super) fn new(line: Line, handler: Handler) -> Self {
        let number = {
            let mut state = line.machine.state();
            state.connections += 1;
            let number = state.connections;
            state.lines[line.index].handlers.push((number, handler));
            number
        };
        Self { line, number }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let machine = &self.line.machine;
        let (handler, own) = {
            let mut state = machine.state();
            let own = runs_inside(&state, super::state::ObjectKind::Line, self.line.index);
            let handlers = &mut state.lines[self.line.index].handlers;
            let place = handlers.iter().position(|(number, _)| *number == self.number);
            (place.map(|place| handlers.remove(place)), own)
        };
        wait_until_idle(machine, |state| state.lines[self.line.index].running, own);
        drop(handler);
    }
}

/// An event to wait for.
#[derive(Debug)]
pub struct Signal {
    machine: Machine,
    index: usize,
}

impl Signal {
    pub(super) fn new(machine: Machine, name: &'static str) -> Self {
        let index = {
            let mut state = machine.state();
            state.signals.push(SignalState { name, set: false });
            state.signals.len() - 1
        };
        Self { machine, index }
    }

    fn wait_until(&self, limit: Option<Duration>) -> Waited {
        {
            let mut state = self.machine.enter();
            if state.signals[self.index].set {
                return Waited::Signalled;
            }
            let Some(context) = state.current.filter(|_| state.phase == Phase::Running) else {
                return Waited::Abandoned;
            };
            let deadline = limit.map(|limit| {
                state
                    .now
                    .saturating_add(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
            });
            let name = state.signals[self.index].name;
            if state.level() > Irql::PASSIVE {
                let what = format!(
                    "a wait for `{name}` at {:?}, where nothing may wait",
                    state.level()
                );
                state.find(Rule("LEVEL"), what);
            }
            state.record(What::Waits(name));
            state.contexts[context].doing = Doing::Waiting {
                signal: self.index,
                deadline,
                timed_out: false,
            };
        }
        context::suspend();
        self.how_it_ended()
    }

    fn how_it_ended(&self) -> Waited {
        let mut state = self.machine.state();
        if state.phase == Phase::Ending {
            return Waited::Abandoned;
        }
        let Some(context) = state.current else {
            return Waited::Abandoned;
        };
        let timed_out = matches!(
            state.contexts[context].doing,
            Doing::Waiting { timed_out: true, .. }
        );
        state.contexts[context].doing = Doing::Ready;
        if timed_out {
            let name = state.signals[self.index].name;
            state.record(What::TimedOut(name));
            return Waited::TimedOut;
        }
        Waited::Signalled
    }
}

impl machine::Signal for Signal {
    fn set(&self) {
        self.machine.enter().set_signal(self.index);
    }

    fn clear(&self) {
        self.machine.enter().signals[self.index].set = false;
    }

    fn wait(&self, _: &Passive) -> Waited {
        self.wait_until(None)
    }

    fn wait_for(&self, _: &Passive, limit: Duration) -> Waited {
        self.wait_until(Some(limit))
    }
}
