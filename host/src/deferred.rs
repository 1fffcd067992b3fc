//! Deferred calls.

use crate::dispatcher::{Call, DispatchRoutine};
use crate::machine::Machine;
use longshore_core::machine::{self, Cpu};
use std::fmt;
use std::sync::Arc;

/// A routine that runs later, at DISPATCH, on one CPU.
///
/// While it runs it can be queued again, also on another CPU, where it may then run at the same time. On a machine
/// that is switched off it is never queued.
///
/// Dropping it forgets a queued call and returns once the routine no longer runs, except inside the routine itself,
/// which does not wait for itself. So it must not be dropped while holding what the routine still waits for.
pub struct Deferred {
    machine: Machine,
    name: &'static str,
    cpu: Cpu,
    call: Arc<Call>,
}

impl Deferred {
    pub(crate) fn new(machine: Machine, name: &'static str, cpu: Cpu, routine: Arc<DispatchRoutine>) -> Self {
        Self {
            call: machine.dispatchers().make(name, routine),
            machine,
            name,
            cpu,
        }
    }
}

impl machine::Deferred for Deferred {
    fn queue(&self) -> bool {
        self.queue_on(self.cpu)
    }

    /// A number that no CPU has counts on from 0 again.
    fn queue_on(&self, cpu: Cpu) -> bool {
        self.machine.dispatchers().queue(&self.call, cpu)
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        self.machine.dispatchers().retire(&self.call);
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deferred({:?} on {:?})", self.name, self.cpu)
    }
}
