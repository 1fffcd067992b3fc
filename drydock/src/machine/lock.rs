//! Locks: data for one CPU at a time.

use super::state::{Doing, LockState, Phase, State};
use super::trace::What;
use super::{Machine, context};
use longshore_core::Rule;
use longshore_core::irql::Irql;
use longshore_core::machine;
use std::sync::{Mutex, PoisonError, TryLockError};

/// Data for one CPU at a time.
#[derive(Debug)]
pub struct Lock<T> {
    machine: Machine,
    index: usize,
    level: Irql,
    data: Mutex<T>,
}

impl<T> Lock<T> {
    pub(super) fn new(machine: Machine, name: &'static str, level: Irql, value: T) -> Self {
        let index = {
            let mut state = machine.state();
            state.locks.push(LockState {
                name,
                owner: None,
                tried: false,
            });
            state.locks.len() - 1
        };
        Self {
            machine,
            index,
            level,
            data: Mutex::new(value),
        }
    }

    /// Takes the lock for the running context, which spins until it is free.
    fn take(&self) -> Taken {
        let mut state = self.machine.enter();
        loop {
            let taken = self.take_now(&mut state);
            if !matches!(taken, Taken::Busy) {
                return taken;
            }
            if let Some(context) = state.current {
                if state.locks[self.index].owner == Some(context) {
                    let what = format!(
                        "lock `{}` is taken by its own holder",
                        state.locks[self.index].name
                    );
                    state.find(Rule("PAIN-10"), what);
                }
                state.contexts[context].doing = Doing::Spinning { lock: self.index };
            }
            drop(state);
            context::suspend();
            state = self.machine.state();
        }
    }

    /// Takes the lock if it is free.
    fn take_now(&self, state: &mut State) -> Taken {
        let Some(context) = state.current.filter(|_| state.phase == Phase::Running) else {
            return Taken::Alone;
        };
        let (name, level) = (state.locks[self.index].name, state.contexts[context].level);
        if level > self.level {
            let what = format!(
                "lock `{name}`, which is one of {:?}, is taken at {level:?}",
                self.level
            );
            state.find(Rule("LEVEL"), what);
        }
        match state.locks[self.index].owner {
            None => {
                state.locks[self.index].owner = Some(context);
                state.contexts[context].locks += 1;
                state.record(What::Locked(name));
                state.contexts[context].level = level.max(self.level);
                Taken::From(level)
            }
            Some(_) => Taken::Busy,
        }
    }

    fn give_back(&self, level: Irql) {
        // Whoever only tries comes in vain at this moment, when the section has seen all that it is to see.
        if !std::thread::panicking() && self.machine.state().locks[self.index].tried {
            self.machine.yield_point(false);
        }
        {
            let mut state = self.machine.state();
            state.locks[self.index].owner = None;
            for context in &mut state.contexts {
                if context.doing == (Doing::Spinning { lock: self.index }) {
                    context.doing = Doing::Ready;
                }
            }
            if let Some(context) = state.current {
                state.contexts[context].locks -= 1;
                state.contexts[context].level = level;
            }
            let name = state.locks[self.index].name;
            state.record(What::Unlocked(name));
        }
        if !std::thread::panicking() {
            self.machine.yield_point(false);
        }
    }
}

/// What came of an attempt to take a lock.
#[derive(Clone, Copy)]
enum Taken {
    /// It was free. This is the level to go back to.
    From(Irql),
    /// The machine does not run, so nobody else does.
    Alone,
    /// Somebody has it.
    Busy,
}

/// Gives the lock back, also when the section unwinds.
struct Held<'a, T> {
    lock: &'a Lock<T>,
    taken: Taken,
}

impl<T> Held<'_, T> {
    fn run<R>(self, section: impl FnOnce(&mut T) -> R) -> R {
        // Nobody else has the data: whoever holds the machine's lock is alone. Only on a machine that is being
        // switched off may a stopped context still have it.
        let mut data = match self.lock.data.try_lock() {
            Ok(data) => data,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => context::stop(),
        };
        section(&mut data)
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        if let Taken::From(level) = self.taken {
            self.lock.give_back(level);
        }
    }
}

impl<T: Send> machine::Lock<T> for Lock<T> {
    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
        let taken = self.take();
        Held { lock: self, taken }.run(section)
    }

    fn try_with<R>(&self, section: impl FnOnce(&mut T) -> R) -> Option<R> {
        let taken = {
            let mut state = self.machine.enter();
            state.locks[self.index].tried = true;
            self.take_now(&mut state)
        };
        match taken {
            Taken::Busy => None,
            _ => Some(Held { lock: self, taken }.run(section)),
        }
    }
}
