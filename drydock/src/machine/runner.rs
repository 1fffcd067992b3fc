//! The loop that decides who goes next.

use super::choice::{Choice, list_choices, pick};
use super::context::Context;
use super::plan::Plan;
use super::state::{Doing, Job, Phase, State};
use super::trace::What;
use super::{Config, Machine, Pairs, Run};
use longshore_core::Rule;
use longshore_core::irql::{Device, Dispatch, Passive};

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
        let handlers: Vec<_> = state
            .lines
            .iter_mut()
            .map(|line| std::mem::take(&mut line.handlers))
            .collect();
        let models: Vec<_> = state
            .devices
            .iter_mut()
            .map(|device| device.model.take())
            .collect();
        let starting = std::mem::take(&mut state.starting);
        // Kept for an engine that might still move bytes: from here on it does not.
        let kept = std::mem::take(&mut state.kept);
        (
            routines,
            timers,
            handlers,
            models,
            starting,
            kept,
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
            // A line may be shared: they are asked in turn, until one says that the interrupt was its own.
            let handlers = machine.state().lines[index].handlers.clone();
            if let Some(device) = Device::now(&machine) {
                handlers.iter().any(|(_, handler)| handler(&device));
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
