//! The clock: the thread that waits for timers to become due.

use crate::dispatcher::{Call, Dispatchers};
use crate::lock::hold;
use longshore_core::machine::Cpu;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Names a timer's place in the clock.
#[derive(Clone, Copy)]
pub(crate) struct Slot(usize);

/// All timers, and when they are due. There are few, so they are searched and not sorted: then arming one neither
/// allocates nor leaves anything behind.
#[derive(Default)]
pub(crate) struct Clock {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    alarms: Vec<Option<Alarm>>,
    off: bool,
}

struct Alarm {
    call: Arc<Call>,
    due: Option<Instant>,
}

impl Clock {
    /// Makes a place for a timer that is not armed.
    pub(crate) fn add(&self, call: Arc<Call>) -> Slot {
        let mut state = hold(&self.state);
        let alarm = Some(Alarm { call, due: None });
        match state.alarms.iter().position(Option::is_none) {
            Some(free) => {
                state.alarms[free] = alarm;
                Slot(free)
            }
            None => {
                state.alarms.push(alarm);
                Slot(state.alarms.len() - 1)
            }
        }
    }

    /// Forgets a timer. Afterwards the clock does not queue it any more.
    pub(crate) fn remove(&self, slot: Slot) {
        hold(&self.state).alarms[slot.0] = None;
    }

    /// Arms a timer anew. A run that is queued and has not begun is forgotten: it belongs to the time before.
    pub(crate) fn arm(&self, slot: Slot, due: Option<Instant>, dispatchers: &Dispatchers) {
        let mut state = hold(&self.state);
        Self::forget(&mut state, slot, dispatchers);
        if let Some(alarm) = &mut state.alarms[slot.0] {
            alarm.due = due;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Disarms a timer. True if that kept a run from happening.
    pub(crate) fn disarm(&self, slot: Slot, dispatchers: &Dispatchers) -> bool {
        Self::forget(&mut hold(&self.state), slot, dispatchers)
    }

    /// The work of the clock's thread, until it is stopped.
    pub(crate) fn work(&self, dispatchers: &Dispatchers) {
        let mut state = hold(&self.state);
        while !state.off {
            let now = Instant::now();
            state.ring(now, dispatchers);
            state = self.wait(state, now);
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        hold(&self.state).off = true;
        self.changed.notify_all();
    }

    fn forget(state: &mut State, slot: Slot, dispatchers: &Dispatchers) -> bool {
        let Some(alarm) = &mut state.alarms[slot.0] else {
            return false;
        };
        // The clock queues calls under its own lock, so a call is either armed, queued or neither.
        let armed = alarm.due.take().is_some();
        armed || dispatchers.forget(&alarm.call)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, now: Instant) -> MutexGuard<'a, State> {
        match state.next() {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(due) => {
                let left = due.saturating_duration_since(now);
                let woken = self.changed.wait_timeout(state, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

impl State {
    /// Queues what is due. The timers are spread over the CPUs.
    fn ring(&mut self, now: Instant, dispatchers: &Dispatchers) {
        for (index, alarm) in self.alarms.iter_mut().enumerate() {
            let Some(alarm) = alarm else { continue };
            if alarm.due.is_some_and(|due| due <= now) {
                alarm.due = None;
                dispatchers.queue(&alarm.call, Cpu(index as u32));
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        self.alarms.iter().flatten().filter_map(|alarm| alarm.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::Dispatch;
    use std::time::Duration;

    /// A clock whose time the test tells, and a timer that is due and queued.
    fn queued() -> (Clock, Dispatchers, Arc<Call>, Slot) {
        let (clock, dispatchers) = (Clock::default(), Dispatchers::new(1));
        let call = dispatchers.make("test", Arc::new(|_: &Dispatch| {}));
        let slot = clock.add(call.clone());
        let due = Instant::now();
        clock.arm(slot, Some(due), &dispatchers);
        hold(&clock.state).ring(due, &dispatchers);
        assert!(!dispatchers.queue(&call, Cpu(0)), "it is queued");
        (clock, dispatchers, call, slot)
    }

    #[test]
    fn disarming_takes_back_what_is_queued() {
        let (clock, dispatchers, call, slot) = queued();
        assert!(clock.disarm(slot, &dispatchers));
        assert!(!clock.disarm(slot, &dispatchers));
        assert!(!dispatchers.forget(&call));
    }

    #[test]
    fn arming_anew_takes_back_what_is_queued() {
        let (clock, dispatchers, call, slot) = queued();
        let later = Instant::now() + Duration::from_secs(60);
        clock.arm(slot, Some(later), &dispatchers);
        assert!(!dispatchers.forget(&call));
        assert_eq!(hold(&clock.state).next(), Some(later));
    }

    #[test]
    fn a_place_is_used_again() {
        let (clock, dispatchers, call, slot) = queued();
        clock.remove(slot);
        assert!(!clock.disarm(slot, &dispatchers), "the clock has forgotten it");
        assert_eq!(clock.add(call).0, slot.0);
    }
}
