//! The completion routine of a driver, which checks how it is called and notes what it is told.

use crate::machine::{Machine, Signal};
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::{Dispatch, Irql, Passive, Rule};
use longshore_wdm::{
    CompletionContext, CompletionRoutine, DeviceDescription, DeviceObject, DmaCompletionStatus,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the completion routine of the nth map is to get back, bit for bit, is this and n.
const CONTEXT: usize = 0xfeed_0000;

/// The device the driver says it is.
pub(super) const DEVICE: DeviceObject = DeviceObject(0xd0);

/// What the completion routine of each map was told, in order: the number of the map, and the status.
pub(super) struct Told {
    list: Mutex<Vec<(u32, DmaCompletionStatus)>>,
    signal: Signal,
}

impl Told {
    pub(super) fn new(machine: &Machine, passive: &Passive) -> Arc<Self> {
        Arc::new(Self {
            list: Mutex::default(),
            signal: machine.signal(passive, "the completion routine"),
        })
    }

    fn all(&self) -> Vec<(u32, DmaCompletionStatus)> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was told of one map.
    pub(super) fn of(&self, map: u32) -> Vec<DmaCompletionStatus> {
        let of = |(number, status)| (number == map).then_some(status);
        self.all().into_iter().filter_map(of).collect()
    }

    /// How often anything was told.
    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    /// What is told from now on wakes who waits.
    pub(super) fn listen(&self) {
        self.signal.clear();
    }

    /// Waits until something is told, or as long as nothing healthy takes.
    pub(super) fn wait(&self, passive: &Passive, most: Duration) {
        let _ = self.signal.wait_for(passive, most);
    }

    /// What the nth map's routine gets.
    pub(super) fn context(map: u32) -> CompletionContext {
        CompletionContext(CONTEXT + map as usize)
    }

    /// The completion routine of a map.
    pub(super) fn routine(
        self: &Arc<Self>,
        machine: &Machine,
        map: u32,
        description: DeviceDescription,
        interrupts: bool,
    ) -> CompletionRoutine<Machine> {
        let (machine, told) = (machine.clone(), Arc::clone(self));
        Arc::new(move |_: &Dispatch, adapter, device, context, status| {
            let check = |holds: bool, rule, what: &dyn Fn() -> String| {
                if !holds {
                    machine.find(Rule(rule), what());
                }
            };
            check(interrupts, "SEED-001-10", &|| {
                format!("the completion routine ran with {status:?} on a channel that cannot interrupt")
            });
            check(machine.level() == Irql::DISPATCH, "SEED-001-7", &|| {
                format!("the completion routine ran at {:?}", machine.level())
            });
            check(context == Self::context(map), "SEED-001-4", &|| {
                format!("the completion routine got context {:#x}", context.0)
            });
            check(device == DEVICE, "SEED-001-3", &|| {
                format!("the completion routine got device {:#x}", device.0)
            });
            check(adapter.description() == description, "SEED-001-2", &|| {
                "the completion routine got another adapter".into()
            });
            check(status != DmaCompletionStatus::ABORTED, "SEED-000-2", &|| {
                "DmaAborted was produced".into()
            });
            let mut list = told.list.lock().unwrap_or_else(PoisonError::into_inner);
            list.push((map, status));
            drop(list);
            told.signal.set();
        })
    }
}
