//! Timers.

use crate::clock::Slot;
use crate::dispatcher::{Call, DispatchRoutine};
use crate::machine::Machine;
use longshore_core::machine;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A routine that runs at DISPATCH when a delay is over, on a CPU of the machine's choice.
///
/// Arming it anew replaces what it was armed for. A `cancel` that returns true means that the routine does not run for
/// the last `set`; one that returns false changed nothing. A delay that no clock can count is never over.
///
/// Dropping it forgets it and returns once the routine no longer runs, except inside the routine itself, which does
/// not wait for itself. So it must not be dropped while holding what the routine still waits for.
pub struct Timer {
    machine: Machine,
    name: &'static str,
    call: Arc<Call>,
    slot: Slot,
}

impl Timer {
    pub(crate) fn new(machine: Machine, name: &'static str, routine: Arc<DispatchRoutine>) -> Self {
        let call = machine.dispatchers().make(name, routine);
        Self {
            slot: machine.clock().add(call.clone()),
            machine,
            name,
            call,
        }
    }
}

impl machine::Timer for Timer {
    fn set(&self, delay: Duration) {
        let due = Instant::now().checked_add(delay);
        let dispatchers = self.machine.dispatchers();
        self.machine.clock().arm(self.slot, due, dispatchers);
    }

    fn cancel(&self) -> bool {
        let dispatchers = self.machine.dispatchers();
        self.machine.clock().disarm(self.slot, dispatchers)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.machine.clock().remove(self.slot);
        self.machine.dispatchers().retire(&self.call);
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timer({:?})", self.name)
    }
}
