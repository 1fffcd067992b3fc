//! Events to wait for.

use crate::lock::hold;
use longshore_core::Passive;
use longshore_core::machine::{self, Waited};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Something a thread can wait for. It stays signalled until it is cleared.
///
/// When the machine is switched off every wait ends, now and later: with `Signalled` where the signal is set, else
/// with `Abandoned`.
pub struct Signal {
    name: &'static str,
    bell: Arc<Bell>,
}

/// The part of a signal that the machine keeps, so that it can release waiters.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    signalled: bool,
    abandoned: bool,
}

impl State {
    fn outcome(&self) -> Option<Waited> {
        match (self.signalled, self.abandoned) {
            (true, _) => Some(Waited::Signalled),
            (false, true) => Some(Waited::Abandoned),
            (false, false) => None,
        }
    }
}

impl Bell {
    /// Nothing will come any more.
    pub(crate) fn abandon(&self) {
        hold(&self.state).abandoned = true;
        self.rung.notify_all();
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Waited {
        let mut state = hold(&self.state);
        loop {
            if let Some(outcome) = state.outcome() {
                return outcome;
            }
            state = match deadline {
                None => self.rung.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => match self.wait_some(state, deadline) {
                    Some(state) => state,
                    None => return Waited::TimedOut,
                },
            };
        }
    }

    /// Waits once, or says that the time is up.
    fn wait_some<'a>(
        &self,
        state: MutexGuard<'a, State>,
        deadline: Instant,
    ) -> Option<MutexGuard<'a, State>> {
        let left = deadline.checked_duration_since(Instant::now())?;
        if left.is_zero() {
            return None;
        }
        let (state, _) = self
            .rung
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner);
        Some(state)
    }
}

impl Signal {
    pub(crate) fn new(name: &'static str, bell: Arc<Bell>) -> Self {
        Self { name, bell }
    }
}

impl machine::Signal for Signal {
    fn set(&self) {
        hold(&self.bell.state).signalled = true;
        self.bell.rung.notify_all();
    }

    fn clear(&self) {
        hold(&self.bell.state).signalled = false;
    }

    fn wait(&self, _passive: &Passive) -> Waited {
        self.bell.wait_until(None)
    }

    fn wait_for(&self, _passive: &Passive, limit: Duration) -> Waited {
        // A limit that no clock can count is none.
        self.bell.wait_until(Instant::now().checked_add(limit))
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({:?})", self.name)
    }
}
