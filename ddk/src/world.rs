//! A machine, whichever it is, as the edge uses it.
//!
//! C code has no type parameters, so here, and only here, a machine is behind a vtable.

use longshore_core::machine::{Cpu, Deferred, Instant, Machine};
use longshore_core::{Device, Dispatch, Event, Irql, Passive};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Interrupt, Lease};
use longshore_netdma::ChannelInterface;
use std::sync::Arc;

/// A routine that the machine calls.
pub(crate) type Routine = Box<dyn Fn() + Send + Sync>;

/// Queues a deferred call.
pub(crate) type Queue = Box<dyn Fn() -> bool + Send + Sync>;

/// An interrupt line with its handler. Dropping it disconnects.
pub(crate) trait Line: Send + Sync {
    fn raise(&self);
    fn lower(&self);
}

/// Bytes of the machine's memory that are given back when this is dropped.
pub(crate) trait Leased: Send + Sync {
    fn range(&self) -> BusRange;
}

impl<T: DmaMemory> Leased for Lease<T> {
    fn range(&self) -> BusRange {
        Self::range(self)
    }
}

/// What the edge needs of a machine.
pub(crate) trait World: Send + Sync {
    fn level(&self) -> Irql;
    fn set_level(&self, level: Irql) -> Irql;
    fn cpu(&self) -> Cpu;
    fn cpus(&self) -> u32;
    fn now(&self) -> Instant;
    fn point(&self);
    fn relax(&self);
    fn emit(&self, event: Event);

    /// Memory as a device reaches it.
    fn memory(&self) -> &dyn DmaMemory;

    /// The same memory as the CPU reaches it, whose own it must be just then.
    fn own_memory(&self) -> &dyn DmaMemory;

    /// Leases bytes of it. `None` if there are none left.
    fn lease(&self, len: u64, align: u64) -> Option<Arc<dyn Leased>>;

    /// Makes a deferred call for `cpu`. `None` above PASSIVE.
    fn deferred(&self, cpu: Cpu, routine: Routine) -> Option<Queue>;

    /// Makes a line that interrupts `cpu`. The handler says whether the interrupt was its own. `None` above PASSIVE.
    fn connect(&self, cpu: Cpu, handler: Box<dyn Fn() -> bool + Send + Sync>) -> Option<Box<dyn Line>>;

    /// Passes `NetDmaIsr` on. `None` below a device's level.
    fn isr(&self, interface: &dyn ChannelInterface, last: BusAddress) -> Option<Cpu>;

    /// Passes `NetDmaInterruptDpc` on. False at any level but DISPATCH.
    fn interrupt_dpc(&self, interface: &dyn ChannelInterface, last: BusAddress) -> bool;
}

/// A machine behind the vtable.
pub(crate) struct Computer<M: Machine> {
    machine: M,
    memory: M::Memory,
    own_memory: M::Memory,
}

impl<M: Machine> Computer<M> {
    pub(crate) fn new(machine: &M) -> Self {
        Self {
            machine: machine.clone(),
            memory: machine.device_memory(),
            own_memory: machine.memory(),
        }
    }
}

struct Connected<M: Machine> {
    line: M::Line,
    /// Held for its drop, which disconnects the handler.
    _connection: M::Connection,
}

impl<M: Machine> Line for Connected<M> {
    fn raise(&self) {
        self.line.raise();
    }

    fn lower(&self) {
        self.line.lower();
    }
}

impl<M: Machine> World for Computer<M> {
    fn level(&self) -> Irql {
        self.machine.level()
    }

    fn set_level(&self, level: Irql) -> Irql {
        self.machine.set_level(level)
    }

    fn cpu(&self) -> Cpu {
        self.machine.cpu()
    }

    fn cpus(&self) -> u32 {
        self.machine.cpus()
    }

    fn now(&self) -> Instant {
        self.machine.now()
    }

    fn point(&self) {
        self.machine.point();
    }

    fn relax(&self) {
        self.machine.relax();
    }

    fn emit(&self, event: Event) {
        self.machine.emit(event);
    }

    fn memory(&self) -> &dyn DmaMemory {
        &self.memory
    }

    fn own_memory(&self) -> &dyn DmaMemory {
        &self.own_memory
    }

    fn lease(&self, len: u64, align: u64) -> Option<Arc<dyn Leased>> {
        let lease = Lease::new(self.own_memory.clone(), len, align).ok()?;
        Some(Arc::new(lease))
    }

    fn deferred(&self, cpu: Cpu, routine: Routine) -> Option<Queue> {
        let passive = Passive::probe(&self.machine)?;
        let deferred = self
            .machine
            .deferred(&passive, "DPCs of C code", cpu, move |_| routine());
        Some(Box::new(move || deferred.queue()))
    }

    fn connect(&self, cpu: Cpu, handler: Box<dyn Fn() -> bool + Send + Sync>) -> Option<Box<dyn Line>> {
        let passive = Passive::probe(&self.machine)?;
        let line = self.machine.line(&passive, "interrupt of C code", cpu);
        let connection = self.machine.connect(&passive, &line, move |_| handler());
        Some(Box::new(Connected::<M> {
            line,
            _connection: connection,
        }))
    }

    fn isr(&self, interface: &dyn ChannelInterface, last: BusAddress) -> Option<Cpu> {
        let device = Device::now(&self.machine)?;
        self.emit(Event::Callback("NetDmaIsr", last.raw()));
        Some(interface.isr(&device, last))
    }

    fn interrupt_dpc(&self, interface: &dyn ChannelInterface, last: BusAddress) -> bool {
        let Some(dispatch) = Dispatch::now(&self.machine) else {
            return false;
        };
        self.emit(Event::Callback("NetDmaInterruptDpc", last.raw()));
        interface.interrupt_dpc(&dispatch, last);
        true
    }
}
