//! Interrupt lines of C code.

use crate::calls::{self, ServiceRoutine};
use crate::edge::Edge;
use crate::handles::{Handle, Handles};
use crate::world::Line;
use longshore_core::machine::Cpu;
use std::sync::Arc;

/// One connected line, and the device whose it is.
#[derive(Clone)]
pub(crate) struct Interrupt {
    device: Handle,
    line: Arc<dyn Line>,
}

/// All lines of a machine that C code connected.
#[derive(Default)]
pub(crate) struct Interrupts(Handles<Interrupt>);

impl Interrupts {
    /// `LsConnectInterrupt`. `None` above PASSIVE.
    pub(crate) fn connect(
        &self,
        edge: &Edge,
        device: Handle,
        cpu: Cpu,
        routine: ServiceRoutine,
        context: usize,
    ) -> Option<Handle> {
        let handle = Handle::new();
        let me = edge.me.clone();
        let handler = move || match me.upgrade() {
            Some(edge) => calls::service_routine(&edge, routine, handle.raw(), context),
            None => false,
        };
        let line = Arc::from(edge.world.connect(cpu, Box::new(handler))?);
        self.0.insert(handle, Interrupt { device, line });
        Some(handle)
    }

    /// `LsDisconnectInterrupt`. False if there is no such line.
    pub(crate) fn disconnect(&self, handle: Handle) -> bool {
        self.0.remove(handle).is_some()
    }

    /// `LsAssertInterrupt` and `LsDeassertInterrupt`. False if there is no such line.
    pub(crate) fn set(&self, handle: Handle, raised: bool) -> bool {
        let Some(interrupt) = self.0.get(handle) else {
            return false;
        };
        if raised {
            interrupt.line.raise();
        } else {
            interrupt.line.lower();
        }
        true
    }

    /// Disconnects what is left of a device. Whether there was anything.
    pub(crate) fn disconnect_all(&self, device: Handle) -> bool {
        let left = self.0.find(|interrupt| interrupt.device == device);
        left.iter().for_each(|(handle, _)| drop(self.0.remove(*handle)));
        !left.is_empty()
    }
}
