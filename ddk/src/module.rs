//! Shared objects with drivers in them, and devices that are given to them.
#![allow(unsafe_code)] // Loading runs the shared object's own code, and its symbols have the types that the headers say.

use crate::calls::{self, AttachRoutine, DetachRoutine};
use crate::edge::Edge;
use crate::exports;
use crate::handles::Handle;
use crate::provider::CProvider;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use longshore_core::{Irql, NtStatus, Passive};
use longshore_ndis::Assigned;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Why a shared object cannot be used.
#[derive(Debug)]
pub enum LoadError {
    /// It cannot be loaded. The linker's words say why.
    Open(String),
    /// It lacks one of the two entry points.
    NoEntry(&'static str),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(why) => write!(f, "the module cannot be loaded: {why}"),
            Self::NoEntry(name) => write!(f, "the module does not export {name}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// A shared object with a driver in it. It stays loaded until the program ends, since nobody can know what in it is
/// still pointed at.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    attach: AttachRoutine,
    detach: DetachRoutine,
}

impl Module {
    /// Loads a shared object. Its initialisers run, so it must be one that you trust as you trust this program.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        exports::keep();
        // SAFETY: whoever calls this wants the code of the module to run in this process; its initialisers are a part
        // of that.
        let library = unsafe { Library::open(Some(path.as_ref()), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| LoadError::Open(reason(&error)))?;
        // SAFETY: the header `longshore.h` declares the two symbols with these types, and a module is what keeps to it.
        let (attach, detach) = unsafe {
            (
                library.get::<AttachRoutine>(b"LsAttachDevice"),
                library.get::<DetachRoutine>(b"LsDetachDevice"),
            )
        };
        let attach = *attach.map_err(|_| LoadError::NoEntry("LsAttachDevice"))?;
        let detach = *detach.map_err(|_| LoadError::NoEntry("LsDetachDevice"))?;
        std::mem::forget(library);
        Ok(Self { attach, detach })
    }
}

/// The loader's own words.
fn reason(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

/// A device that a module drives. Dropping it halts it, if it is a miniport, and detaches the device, which is for PASSIVE: the module is called at that
/// level wherever this happens.
pub struct Attached {
    edge: Arc<Edge>,
    module: Module,
    device: Handle,
    context: usize,
}

impl Edge {
    /// Gives a new device to a module, which registers and starts its provider. The status is the module's own.
    pub fn attach(self: &Arc<Self>, passive: &Passive, module: &Module) -> Result<Arc<Attached>, NtStatus> {
        self.attach_with(passive, module, None)
    }

    /// The same for a NIC that the platform has assigned a DMA channel to: once the module has registered its miniport
    /// driver, the device is initialised. If that fails, the device is detached, and the status is the miniport's.
    pub fn attach_miniport(
        self: &Arc<Self>,
        passive: &Passive,
        module: &Module,
        assigned: Assigned,
    ) -> Result<Arc<Attached>, NtStatus> {
        self.attach_with(passive, module, Some(assigned))
    }

    fn attach_with(
        self: &Arc<Self>,
        passive: &Passive,
        module: &Module,
        assigned: Option<Assigned>,
    ) -> Result<Arc<Attached>, NtStatus> {
        let _ = passive; // the module may make objects
        let device = Handle::new();
        self.devices.insert(device, ());
        self.ndis.open(device);
        let (status, context) = calls::attach(self, module.attach, device);
        self.ndis.close(device);
        if !status.is_success() {
            self.clear_device(device);
            return Err(status);
        }
        let attached = Arc::new(Attached {
            edge: self.clone(),
            module: *module,
            device,
            context,
        });
        // A miniport that fails is detached as what was made here is dropped.
        self.start_miniport(device, assigned)?;
        Ok(attached)
    }
}

impl Attached {
    /// A device of code that stands in for a module.
    #[cfg(test)]
    pub(crate) fn of(
        edge: Arc<Edge>,
        attach: AttachRoutine,
        detach: DetachRoutine,
        device: Handle,
    ) -> Arc<Self> {
        let module = Module { attach, detach };
        let context = 0;
        Arc::new(Self {
            edge,
            module,
            device,
            context,
        })
    }

    /// The machine it is attached to.
    pub fn edge(&self) -> &Arc<Edge> {
        &self.edge
    }

    /// The provider that the module registered for the device.
    pub fn provider(self: &Arc<Self>) -> Option<Arc<CProvider>> {
        let found = self.edge.providers.find(|record| record.device == self.device);
        let (_, record) = found.into_iter().next()?;
        Some(Arc::new(CProvider::new(self.clone(), record.driver.clone())))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let level = self.edge.world.set_level(Irql::PASSIVE);
        self.edge.stop_miniport(self.device);
        calls::detach(&self.edge, self.module.detach, self.context);
        self.edge.clear_device(self.device);
        self.edge.world.set_level(level);
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attached({:?})", self.edge)
    }
}
