//! Interrupt lines and the handlers connected to them.

use crate::controller::{self, Controller, Handler, Slot};
use crate::machine::Machine;
use crate::processor::raise_to;
use crate::routine::Routine;
use longshore_core::machine::Cpu;
use longshore_core::{Device, Irql};
use longshore_hardware::Interrupt;
use std::fmt;
use std::sync::Arc;

/// An interrupt line. Its clones are the same line.
///
/// It has a level of its own, at which its handlers run. Handlers of one CPU take turns on this machine, whatever
/// their levels: each CPU has one thread for them.
///
/// It is level-triggered: while it is asserted its handlers run, again and again, in the order in which they were
/// connected and up to the first that says the interrupt was its own.
#[derive(Clone)]
pub struct Line {
    wiring: Arc<Wiring>,
}

impl Line {
    /// How often the handlers of a line run while it is asserted and nobody lowers it. Then the line is held to be
    /// stuck and delivers nothing until it is lowered, or another handler is connected, so that a handler that
    /// forgets to quiet its device does not keep a CPU busy for ever.
    pub const STORM_LIMIT: u32 = controller::STORM_LIMIT;

    pub(crate) fn new(machine: Machine, name: &'static str, cpu: Cpu, level: Irql) -> Self {
        let slot = machine.controller(cpu).add();
        Self {
            wiring: Arc::new(Wiring {
                machine,
                name,
                cpu,
                level,
                slot,
            }),
        }
    }
}

impl Interrupt for Line {
    fn raise(&self) {
        self.wiring.controller().assert(self.wiring.slot, true);
    }

    fn lower(&self) {
        self.wiring.controller().assert(self.wiring.slot, false);
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({:?} to {:?})", self.wiring.name, self.wiring.cpu)
    }
}

/// The line's place in its controller, given back when nobody has the line any more.
struct Wiring {
    machine: Machine,
    name: &'static str,
    cpu: Cpu,
    level: Irql,
    slot: Slot,
}

impl Wiring {
    fn controller(&self) -> &Controller {
        self.machine.controller(self.cpu)
    }
}

impl Drop for Wiring {
    fn drop(&mut self) {
        self.controller().remove(self.slot);
    }
}

/// A connected handler.
///
/// Dropping it disconnects and returns once the handler no longer runs, except inside the handler itself, which does
/// not wait for itself. So it must not be dropped while holding what the handler still waits for.
pub struct Connection {
    wiring: Arc<Wiring>,
    handler: Arc<Handler>,
}

impl Connection {
    pub(crate) fn new(line: &Line, handler: Arc<dyn Fn(&Device) -> bool + Send + Sync>) -> Self {
        let wiring = line.wiring.clone();
        // Only the interrupt thread of the line's CPU runs it.
        let level = wiring.level;
        let at_level: Arc<dyn Fn(&Device) -> bool + Send + Sync> = Arc::new(move |device| {
            let _raised = raise_to(level);
            handler(device)
        });
        let handler = Arc::new(Routine::new(wiring.name, 1, at_level));
        wiring.controller().connect(wiring.slot, handler.clone());
        Self { wiring, handler }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let controller = self.wiring.controller();
        controller.disconnect(self.wiring.slot, &self.handler);
        self.handler.retire();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({:?})", self.wiring.name)
    }
}
