//! A channel's interrupt: what is owed to NetDMA's routines, and who tells it.

use super::reports::Reports;
use alloc::sync::{Arc, Weak};
use longshore_core::machine::{Cpu, Deferred, Lock};
use longshore_core::{Device, Dispatch, Event, Irql, Machine};
use longshore_hardware::{BusAddress, Interrupt};
use longshore_netdma::ChannelInterface;

/// Tells NetDMA's interrupt routines. It is at work once an interrupt, never once a descriptor, so it may lock.
pub(super) struct Teller<M: Machine> {
    machine: M,
    /// Where its interrupts arrive.
    cpu: Cpu,
    line: M::Line,
    reports: M::Lock<Reports>,
}

impl<M: Machine> Teller<M> {
    pub(super) fn new(machine: &M, cpu: Cpu, line: M::Line) -> Self {
        Self {
            machine: machine.clone(),
            cpu,
            line,
            // The interrupt handler takes it, at whatever level the machine gives it.
            reports: machine.lock("CPU engine reports", Irql::HIGH, Reports::new()),
        }
    }

    /// From now on `interface` is told.
    pub(super) fn open(&self, interface: Arc<dyn ChannelInterface>) {
        self.reports.with(|reports| reports.open(interface));
    }

    /// Nobody is told any more. The interface is handed out so that it is dropped outside of every lock.
    pub(super) fn close(&self) -> Option<Arc<dyn ChannelInterface>> {
        self.reports.with(Reports::close)
    }

    /// An error that nobody was told of yet is not the new chain's.
    pub(super) fn forget_error(&self) {
        self.reports.with(Reports::forget_error);
    }

    /// Whether nobody uses the interface, apart from the deferred call that the caller itself runs in.
    pub(super) fn quiet(&self, caller: Option<Cpu>) -> bool {
        self.reports.with(|reports| reports.quiet(caller))
    }

    /// An interrupt is due.
    pub(super) fn interrupt(&self, last: BusAddress, error: bool) {
        self.reports.with(|reports| reports.raise(last, error));
        self.line.raise();
    }

    /// The interrupt handler: no more than NetDMA's routine and a deferred call (NETDMA-103). `report` gives that call,
    /// if it is still there.
    pub(super) fn handle_interrupt<P>(
        &self,
        device: &Device,
        parts: &Weak<P>,
        report: impl FnOnce(&P) -> &M::Deferred,
    ) -> bool {
        // Lowered first: what is raised from here on interrupts again.
        self.line.lower();
        let Some((interface, last)) = self.reports.with(Reports::enter_handler) else {
            return true; // the line is this channel's alone; what it was raised for is told already
        };
        self.machine.emit(Event::Callback("NetDmaIsr", last.raw()));
        let cpu = interface.isr(device, last);
        drop(interface);
        self.reports.with(|reports| reports.leave(None));
        if let Some(parts) = parts.upgrade() {
            report(&parts).queue_on(self.existing(cpu));
        }
        true
    }

    /// The CPU that NetDMA named, or the channel's own where there is no such CPU.
    fn existing(&self, cpu: Cpu) -> Cpu {
        if cpu.0 < self.machine.cpus() {
            cpu
        } else {
            self.cpu
        }
    }

    /// The interrupt's deferred call.
    pub(super) fn report(&self, dispatch: &Dispatch) {
        let cpu = self.machine.cpu();
        let Some(due) = self.reports.with(|reports| reports.enter_deferred(cpu)) else {
            return;
        };
        // Completions first: an error must not swallow the interrupt of a descriptor before it.
        let error = due.error.then_some(BusAddress::NULL);
        for last in due.completed.into_iter().chain(error) {
            self.machine
                .emit(Event::Callback("NetDmaInterruptDpc", last.raw()));
            due.interface.interrupt_dpc(dispatch, last);
        }
        drop(due);
        self.reports.with(|reports| reports.leave(Some(cpu)));
    }
}
