//! The interrupt controller of one CPU, and the thread that runs its handlers.

use crate::lock::hold;
use crate::machine::Machine;
use crate::panics::Panics;
use crate::processor;
use crate::routine::Routine;
use longshore_core::machine::Cpu;
use longshore_core::{Device, Irql};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// How often the handlers of a line run while it is asserted and never lowered. After that it is held to be stuck.
pub(crate) const STORM_LIMIT: u32 = 100_000;

/// A connected handler.
pub(crate) type Handler = Routine<dyn Fn(&Device) -> bool + Send + Sync>;

/// Names a line's place in its controller.
#[derive(Clone, Copy)]
pub(crate) struct Slot(usize);

/// The lines that interrupt one CPU.
#[derive(Default)]
pub(crate) struct Controller {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    wires: Vec<Option<Wire>>,
    /// Where the search for the next line begins, so that none starves the others.
    turn: usize,
    storms: u64,
    off: bool,
}

struct Wire {
    asserted: bool,
    /// How often the handlers were run since the line was last low.
    deliveries: u32,
    /// Replaced as a whole, so that delivering holds neither a lock nor a copy.
    handlers: Arc<[Arc<Handler>]>,
}

impl Wire {
    fn is_due(&self) -> bool {
        self.asserted && self.deliveries < STORM_LIMIT && !self.handlers.is_empty()
    }
}

impl Controller {
    /// Makes a line that is low.
    pub(crate) fn add(&self) -> Slot {
        let mut state = hold(&self.state);
        let wire = Some(Wire {
            asserted: false,
            deliveries: 0,
            handlers: Arc::new([]),
        });
        match state.wires.iter().position(Option::is_none) {
            Some(free) => {
                state.wires[free] = wire;
                Slot(free)
            }
            None => {
                state.wires.push(wire);
                Slot(state.wires.len() - 1)
            }
        }
    }

    /// Forgets a line. No handler may be connected to it any more.
    pub(crate) fn remove(&self, slot: Slot) {
        hold(&self.state).wires[slot.0] = None;
    }

    /// Asserts a line or releases it.
    pub(crate) fn assert(&self, slot: Slot, asserted: bool) {
        self.change(slot, |wire| {
            wire.asserted = asserted;
            if !asserted {
                wire.deliveries = 0;
            }
        });
    }

    /// Connects a handler behind those that are connected already. A line that counted as stuck gets a new chance.
    pub(crate) fn connect(&self, slot: Slot, handler: Arc<Handler>) {
        self.change(slot, |wire| {
            wire.deliveries = 0;
            wire.handlers = wire.handlers.iter().cloned().chain([handler]).collect();
        });
    }

    /// Disconnects a handler. It may still run.
    pub(crate) fn disconnect(&self, slot: Slot, handler: &Arc<Handler>) {
        self.change(slot, |wire| {
            let others = wire.handlers.iter().filter(|other| !Arc::ptr_eq(other, handler));
            wire.handlers = others.cloned().collect();
        });
    }

    /// How often a line was held to be stuck.
    pub(crate) fn storms(&self) -> u64 {
        hold(&self.state).storms
    }

    /// The work of the interrupt thread of `cpu`, until it is stopped.
    pub(crate) fn work(&self, machine: &Machine, cpu: Cpu) {
        processor::become_cpu(cpu, Irql::DEVICE);
        let device = Device::now(machine).expect("the level was just set");
        while let Some(handlers) = self.next() {
            deliver(&handlers, machine.panics_record(), &device);
            // Whoever lowers the line may be another thread.
            processor::relax();
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        hold(&self.state).off = true;
        self.changed.notify_all();
    }

    fn change(&self, slot: Slot, change: impl FnOnce(&mut Wire)) {
        let mut state = hold(&self.state);
        let Some(wire) = &mut state.wires[slot.0] else {
            return;
        };
        change(wire);
        let wake = wire.is_due();
        drop(state);
        if wake {
            self.changed.notify_one();
        }
    }

    fn next(&self) -> Option<Arc<[Arc<Handler>]>> {
        let mut state = hold(&self.state);
        loop {
            if state.off {
                return None;
            }
            if let Some(handlers) = state.pick() {
                return Some(handlers);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    /// The handlers of the next line that is due, in turn.
    fn pick(&mut self) -> Option<Arc<[Arc<Handler>]>> {
        let count = self.wires.len();
        let due = |index: &usize| self.wires[*index].as_ref().is_some_and(Wire::is_due);
        let index = (0..count).map(|step| (self.turn + step) % count).find(due)?;
        self.turn = index + 1;
        let wire = self.wires[index].as_mut()?;
        wire.deliveries += 1;
        if wire.deliveries == STORM_LIMIT {
            self.storms += 1;
        }
        Some(wire.handlers.clone())
    }
}

/// Asks the handlers in turn until one says that the interrupt was its own.
fn deliver(handlers: &[Arc<Handler>], panics: &Panics, device: &Device) {
    for handler in handlers {
        if handler.run(panics, |handler| handler(device)) == Some(true) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler() -> Arc<Handler> {
        Arc::new(Routine::new("test", 1, Arc::new(|_: &Device| true)))
    }

    #[test]
    fn lines_that_are_asserted_take_turns() {
        let controller = Controller::default();
        let handlers = [handler(), handler(), handler()];
        for handler in &handlers {
            let slot = controller.add();
            controller.connect(slot, handler.clone());
            controller.assert(slot, true);
        }
        controller.assert(Slot(1), false);
        let mut state = hold(&controller.state);
        for expected in [0, 2, 0, 2] {
            let picked = state.pick().unwrap();
            assert!(Arc::ptr_eq(&picked[0], &handlers[expected]));
        }
    }

    #[test]
    fn a_line_nobody_listens_to_is_not_due() {
        let controller = Controller::default();
        let slot = controller.add();
        controller.assert(slot, true);
        assert!(hold(&controller.state).pick().is_none());
        let handler = handler();
        controller.connect(slot, handler.clone());
        assert!(hold(&controller.state).pick().is_some());
        controller.disconnect(slot, &handler);
        assert!(hold(&controller.state).pick().is_none());
    }
}
