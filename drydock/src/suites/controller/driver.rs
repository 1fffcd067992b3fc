//! A driver with one transfer on channel 0, and a completion routine that checks how it is called.

use super::{Build, Stack};
use crate::machine::{Machine, Memory, Signal};
use crate::reference::Port;
use crate::suites::Bay;
use longshore_core::completion::Verdict;
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Irql, Passive, Rule};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, CompletionContext, CompletionRoutine, DeviceDescription,
    DeviceObject, DmaCompletionStatus, FlushRequest, MapRequest, Setup, SystemDma, TransferContext,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of the transfer.
pub(super) const LENGTH: u32 = 24;

/// What the completion routine is to get back, bit for bit.
pub(super) const CONTEXT: usize = 0xfeed_f00d;

/// The device the driver says it is.
pub(super) const DEVICE: usize = 0xd0;

/// Longer than any healthy transfer takes.
pub(super) const LONG: Duration = Duration::from_millis(50);

/// What the completion routine was told.
type Told = Mutex<Vec<DmaCompletionStatus>>;

pub(super) struct Driver {
    pub(super) machine: Machine,
    pub(super) adapter: Adapter<Machine>,
    pub(super) context: Arc<TransferContext>,
    stack: Arc<dyn Stack>,
    pub(super) port: Port,
    pub(super) memory: Memory,
    pub(super) buffer: Lease<Memory>,
    pub(super) interrupts: bool,
    /// Whether the controller's counter can be trusted.
    pub(super) counts: bool,
    told: Arc<Told>,
    signal: Arc<Signal>,
    pause: Signal,
    flushed: AtomicBool,
    claimed: AtomicBool,
    pub(super) settled: Signal,
}

impl Driver {
    pub(super) fn new(machine: &Machine, passive: &mut Passive, build: &Build) -> Option<Arc<Self>> {
        let (rig, stack) = build(&Bay::new(machine, passive));
        let attributes = rig.controller.attributes();
        let (interrupts, counts) = (attributes.generates_interrupt, attributes.counter_available);
        let system = SystemDma::register(passive, machine, Setup::new(rig.controller).lines(rig.lines));
        let Ok(system) = system else {
            machine.find(Rule("WDM-309"), "the controller could not be registered");
            return None;
        };
        let adapter = match system.adapter(passive, description()) {
            Ok(adapter) => adapter,
            Err(error) => {
                machine.find(Rule("WDM-105"), format!("there is no adapter: {error}"));
                return None;
            }
        };
        let mut context = TransferContext::new();
        let _ = adapter.initialize_transfer_context(&*passive, &mut context);
        let driver = Self {
            adapter,
            context: Arc::new(context),
            stack,
            port: rig.port,
            memory: machine.memory(),
            buffer: Lease::new(machine.memory(), u64::from(LENGTH), 8).ok()?,
            interrupts,
            counts,
            told: Arc::default(),
            signal: Arc::new(machine.signal(passive, "the completion routine")),
            pause: machine.signal(passive, "a moment"),
            flushed: AtomicBool::new(false),
            claimed: AtomicBool::new(false),
            settled: machine.signal(passive, "the canceller"),
            machine: machine.clone(),
        };
        let allocated = machine.raise(passive, |dispatch| {
            let request = Allocation {
                device_object: DeviceObject(DEVICE),
                registers: 0,
                flags: AllocationFlags::SYNCHRONOUS,
                routine: None,
            };
            driver
                .adapter
                .allocate_channel(dispatch, &driver.context, request)
                .is_ok()
        });
        driver.require(allocated, "WDM-126", || "a free channel was not granted".into());
        Some(Arc::new(driver))
    }

    pub(super) fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> bool {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
        holds
    }

    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    pub(super) fn told(&self) -> Vec<DmaCompletionStatus> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The completion routine: notes what it is told, and checks what can be checked there.
    pub(super) fn routine(&self) -> CompletionRoutine<Machine> {
        let (machine, told, signal) = (
            self.machine.clone(),
            Arc::clone(&self.told),
            Arc::clone(&self.signal),
        );
        let interrupts = self.interrupts;
        Arc::new(move |_: &Dispatch, adapter, device, context, status| {
            let find = |rule, what: String| machine.find(Rule(rule), what);
            if !interrupts {
                find(
                    "SEED-001-10",
                    format!(
                        "the completion routine ran with {status:?} on a controller that cannot interrupt"
                    ),
                );
            }
            if machine.level() != Irql::DISPATCH {
                find(
                    "SEED-001-7",
                    format!("the completion routine ran at {:?}", machine.level()),
                );
            }
            if context != CompletionContext(CONTEXT) {
                find(
                    "SEED-001-4",
                    format!("the completion routine got context {:#x}", context.0),
                );
            }
            if device != DeviceObject(DEVICE) {
                find(
                    "SEED-001-3",
                    format!("the completion routine got device {:#x}", device.0),
                );
            }
            if adapter.description() != description() {
                find("SEED-001-2", "the completion routine got another adapter".into());
            }
            if status == DmaCompletionStatus::ABORTED {
                find("SEED-000-2", "DmaAborted was produced".into());
            }
            told.lock().unwrap_or_else(PoisonError::into_inner).push(status);
            signal.set();
        })
    }

    pub(super) fn map(&self, level: AtMostDispatch<'_>, write_to_device: bool) -> bool {
        let range = self.buffer.range();
        // Two fragments, so that the list matters.
        let pieces =
            [range.slice(0, 8), range.slice(8, u64::from(LENGTH) - 8)].map(|p| p.unwrap_or(BusRange::EMPTY));
        let mut request = MapRequest::new(Segments::new(&pieces), LENGTH, write_to_device);
        request.completion = Some(self.routine());
        request.context = CompletionContext(CONTEXT);
        let mapped = self.stack.map(level, &self.adapter, &self.context, request);
        self.require(mapped == Ok(LENGTH), "WDM-150", || {
            format!("the map gave {mapped:?}")
        })
    }

    pub(super) fn flush(&self, level: AtMostDispatch<'_>, write_to_device: bool) {
        let range = self.buffer.range();
        let pieces =
            [range.slice(0, 8), range.slice(8, u64::from(LENGTH) - 8)].map(|p| p.unwrap_or(BusRange::EMPTY));
        let request = FlushRequest {
            buffer: Segments::new(&pieces),
            offset: 0,
            length: LENGTH,
            write_to_device,
        };
        let flushed = self.adapter.flush(level, &self.context, request);
        self.require(flushed.is_ok(), "WDM-172", || {
            format!("the flush gave {flushed:?}")
        });
        self.flushed.store(true, Ordering::Relaxed);
    }

    /// Waits for the end of the transfer, as a driver of this controller must: by its completion routine, or by
    /// polling. Returns what it found out.
    pub(super) fn wait(&self, passive: &Passive) -> Option<DmaCompletionStatus> {
        if self.interrupts {
            let _ = self.signal.wait_for(passive, LONG);
            return self.told().first().copied();
        }
        for _ in 0..64 {
            if let Some(outcome) = self.adapter.poll(passive, &self.context).outcome {
                return Some(status_of(outcome.verdict));
            }
            let _ = self.pause.wait_for(passive, LONG / 1000);
        }
        None
    }

    pub(super) fn pattern() -> Vec<u8> {
        (0..LENGTH).map(|at| (at * 5 + 3).to_le_bytes()[0]).collect()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH as usize];
        let _ = self.memory.read(self.buffer.address(), &mut bytes);
        bytes
    }

    /// What must hold when everything is over, then everything goes.
    pub(super) fn leave(self: &Arc<Self>, passive: &mut Passive) {
        self.machine.disarm();
        if !self.flushed.load(Ordering::Relaxed) {
            self.machine
                .raise(passive, |dispatch| self.flush(dispatch.into(), false));
        }
        let freed = self.machine.raise(passive, |dispatch| {
            self.adapter.free_channel(dispatch, &self.context)
        });
        self.require(freed.is_ok(), "WDM-190", || {
            format!("the channel was not freed: {freed:?}")
        });
        self.adapter.wait_for_callbacks(passive);
        let told = self.told();
        let owed = usize::from(self.interrupts);
        if owed == 1 {
            self.require(told.len() == 1, "WDM-019", || {
                format!(
                    "one map called the completion routine {} times: {told:?}",
                    told.len()
                )
            });
        } else {
            self.require(told.is_empty(), "SEED-001-10", || {
                format!("the completion routine ran with {told:?} on a controller that cannot interrupt")
            });
        }
    }
}

fn description() -> DeviceDescription {
    DeviceDescription {
        device_address: BusAddress::new(0x1_0000),
        maximum_length: 4096,
        ..DeviceDescription::system(0, 0)
    }
}

fn status_of(verdict: Verdict) -> DmaCompletionStatus {
    match verdict {
        Verdict::Completed => DmaCompletionStatus::COMPLETE,
        Verdict::Cancelled => DmaCompletionStatus::CANCELLED,
        Verdict::Failed(_) => DmaCompletionStatus::ERROR,
    }
}
