//! What a provider tells NetDMA, judged as it is told.

use super::watch::SharedWatch;
use crate::machine::{Fault, Machine, Signal};
use longshore_core::event::Event;
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::{Device, Dispatch, Rule};
use longshore_hardware::BusAddress;
use longshore_netdma::ChannelInterface;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// NetDMA's side of the channel's interrupts.
pub(super) struct Interface {
    machine: Machine,
    watch: SharedWatch,
    /// Signalled at every deferred call.
    pub(super) told: Signal,
    /// The CPU that NetDmaIsr asks for.
    cpu: AtomicU32,
    /// What NetDmaIsr and NetDmaInterruptDpc were told, in order.
    isr: Mutex<Vec<BusAddress>>,
    dpc: Mutex<Vec<BusAddress>>,
    freed: AtomicBool,
}

impl Interface {
    pub(super) fn new(machine: &Machine, watch: SharedWatch, told: Signal) -> Self {
        Self {
            machine: machine.clone(),
            watch,
            told,
            cpu: AtomicU32::new(0),
            isr: Mutex::default(),
            dpc: Mutex::default(),
            freed: AtomicBool::new(false),
        }
    }

    /// From now on the deferred call is wanted on this CPU.
    pub(super) fn ask_for(&self, cpu: Cpu) {
        self.cpu.store(cpu.0, Ordering::Relaxed);
    }

    /// From now on nobody may call.
    pub(super) fn close(&self) {
        self.freed.store(true, Ordering::Relaxed);
    }

    /// `last` must be a descriptor whose data is complete.
    fn check_last(&self, call: &str, last: BusAddress) {
        let complete = self.watch.lock().is_complete(last);
        // Address zero is what is left to say when an interrupt comes before anything is complete.
        if !complete && !last.is_null() {
            let what = format!("{call} was told {last}, which is no completed descriptor");
            self.machine.find(Rule("SEED-003-14"), what);
        }
        if self.freed.load(Ordering::Relaxed) {
            let what = format!("{call} was called after the channel was freed");
            self.machine.find(Rule("RACE-8"), what);
        }
    }

    /// NULL says "error" (NETDMA-102), so it must be one. An interrupt that nobody raised may find nothing to say.
    fn check_error(&self) {
        let stray = matches!(self.machine.fault(), Some(Fault::InterruptEarly(_)));
        if !stray && !self.watch.lock().has_failed() {
            let what = "NetDmaInterruptDpc was told of an error, but there was none";
            self.machine.find(Rule("NETDMA-102"), what);
        }
    }

    /// Whether both calls have named this descriptor or one behind it.
    pub(super) fn was_told(&self, descriptor: BusAddress) -> bool {
        let watch = self.watch.lock();
        let wanted = watch.index_of(descriptor);
        let names = |list: &Mutex<Vec<BusAddress>>| {
            let list = list.lock().unwrap_or_else(PoisonError::into_inner);
            list.iter().any(|&named| watch.index_of(named) >= wanted)
        };
        wanted.is_some() && names(&self.isr) && names(&self.dpc)
    }

    /// How many errors were reported.
    pub(super) fn errors(&self) -> usize {
        let told = self.dpc.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().filter(|last| last.is_null()).count()
    }
}

impl ChannelInterface for Interface {
    fn isr(&self, _: &Device, last: BusAddress) -> Cpu {
        self.machine.emit(Event::Callback("NetDmaIsr", last.raw()));
        self.check_last("NetDmaIsr", last);
        self.isr.lock().unwrap_or_else(PoisonError::into_inner).push(last);
        Cpu(self.cpu.load(Ordering::Relaxed))
    }

    fn interrupt_dpc(&self, _: &Dispatch, last: BusAddress) {
        self.machine
            .emit(Event::Callback("NetDmaInterruptDpc", last.raw()));
        self.check_last("NetDmaInterruptDpc", last);
        let (cpu, wanted) = (self.machine.cpu(), Cpu(self.cpu.load(Ordering::Relaxed)));
        if cpu != wanted {
            let what = format!("the deferred call runs on {cpu:?}, but NetDmaIsr asked for {wanted:?}");
            self.machine.find(Rule("NETDMA-100"), what);
        }
        if last.is_null() {
            self.check_error();
        }
        self.dpc.lock().unwrap_or_else(PoisonError::into_inner).push(last);
        self.told.set();
    }
}
