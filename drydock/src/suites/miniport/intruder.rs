//! Who acts at the point that the plan names, from a CPU of his own.

use super::bench::{Bench, PATIENCE};
use crate::machine::Machine;
use longshore_core::Dispatch;
use longshore_core::machine::Machine as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An intruder who is armed, or has struck.
pub(super) struct Intruder {
    machine: Machine,
    done: Arc<AtomicBool>,
}

impl Intruder {
    /// From now on it may strike, once.
    pub(super) fn arm(machine: &Machine, act: impl FnOnce(&Dispatch) + Send + 'static) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let mine = Arc::clone(&done);
        machine.arm(move |dispatch| {
            // What it has of the bench goes before anybody is told.
            act(dispatch);
            mine.store(true, Ordering::Relaxed);
        });
        Self {
            machine: machine.clone(),
            done,
        }
    }

    /// The same, with the bench.
    pub(super) fn on(bench: &Arc<Bench>, act: impl FnOnce(&Bench, &Dispatch) + Send + 'static) -> Self {
        let theirs = Arc::clone(bench);
        Self::arm(&bench.machine, move |dispatch| {
            act(&theirs, dispatch);
            drop(theirs);
        })
    }

    /// Whether it has struck, and is through.
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until a strike that began is over. False: it does not come to its end.
    pub(super) fn wait(&self) -> bool {
        for _ in 0..PATIENCE {
            if self.is_done() || !self.machine.struck() {
                return true;
            }
            self.machine.relax();
        }
        self.is_done()
    }

    /// After this it does not strike any more, and if it did it is over. Says whether it did.
    pub(super) fn settle(&self) -> bool {
        self.machine.disarm();
        self.machine.struck() && self.wait()
    }
}
