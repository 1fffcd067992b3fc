//! What system DMA must do: a controller, and the stack between it and a driver.
//!
//! The suite is a driver. It maps a transfer on channel 0, lets the device move the bytes or cuts it off, and judges
//! what its completion routine is told, what polling shows and what memory holds.

use super::{Bay, Check};
use crate::explore::{Faults, Scenario, Target};
use crate::machine::{Fault, Machine, Memory, Signal};
use crate::reference::Port;
use longshore_core::completion::Verdict;
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Irql, Passive, Rule};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, CompletionContext, CompletionRoutine, Controller,
    DeviceDescription, DeviceObject, DmaCompletionStatus, DmaWidth, FlushRequest, MapError, MapRequest,
    SystemDma, TransferContext,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A controller, built, with what stands at its far end.
pub struct Rig {
    /// The controller under test.
    pub controller: Arc<dyn Controller>,
    /// Its interrupt line, if it has one.
    pub line: Option<crate::machine::Line>,
    /// The device that channel 0 serves: the suite gives it bytes and looks at what it got.
    pub port: Port,
}

/// What maps a transfer: the stack under test. Anything but [`RealStack`] is there to be caught.
pub trait Stack: Send + Sync {
    /// MapTransferEx.
    fn map(
        &self,
        level: AtMostDispatch<'_>,
        adapter: &Adapter<Machine>,
        context: &Arc<TransferContext>,
        request: MapRequest<'_, Machine>,
    ) -> Result<u32, MapError>;
}

/// The stack of this project.
pub struct RealStack;

impl Stack for RealStack {
    fn map(
        &self,
        level: AtMostDispatch<'_>,
        adapter: &Adapter<Machine>,
        context: &Arc<TransferContext>,
        request: MapRequest<'_, Machine>,
    ) -> Result<u32, MapError> {
        adapter.map_transfer(level, context, request)
    }
}

/// Builds what is checked, anew for each run.
pub type Build = Arc<dyn Fn(&Bay<'_>) -> (Rig, Arc<dyn Stack>) + Send + Sync>;

/// Checks a system DMA controller under the stack of this project.
pub fn check_controller(build: impl Fn(&Bay<'_>) -> Rig + Send + Sync + 'static) -> Check {
    check_stack(move |bay| (build(bay), Arc::new(RealStack)))
}

/// Checks a controller together with a stack.
pub fn check_stack(build: impl Fn(&Bay<'_>) -> (Rig, Arc<dyn Stack>) + Send + Sync + 'static) -> Check {
    let build: Build = Arc::new(build);
    let scenario = |name, act: fn(&Arc<Driver>, &mut Passive)| {
        let build = Arc::clone(&build);
        Scenario::new(name, move |machine: &Machine, passive| {
            if let Some(driver) = Driver::new(machine, passive, &build) {
                act(&driver, passive);
                driver.leave(passive);
            }
        })
    };
    let early = Faults {
        early_interrupts: true,
        ..Faults::default()
    };
    let bus = Faults {
        bus_errors: true,
        ..Faults::default()
    };
    Check::new(Target {
        name: "controller".to_owned(),
        suite: "controller",
        scenarios: vec![
            scenario("to-device", to_device).with_faults(early),
            scenario("from-device", from_device).with_faults(early),
            scenario("device-error", device_error),
            scenario("bus-error", bus_error).with_faults(bus),
            scenario("cancel", cancel),
            scenario("cancel-flush-free", cancel_flush_free),
            scenario("starved", starved),
        ],
    })
}

/// Bytes of the transfer.
const LENGTH: u32 = 24;

/// What the completion routine is to get back, bit for bit.
const CONTEXT: usize = 0xfeed_f00d;

/// The device the driver says it is.
const DEVICE: usize = 0xd0;

/// Longer than any healthy transfer takes.
const LONG: Duration = Duration::from_millis(50);

/// What the completion routine was told.
type Told = Mutex<Vec<DmaCompletionStatus>>;

struct Driver {
    machine: Machine,
    adapter: Adapter<Machine>,
    context: Arc<TransferContext>,
    stack: Arc<dyn Stack>,
    port: Port,
    memory: Memory,
    buffer: Lease<Memory>,
    interrupts: bool,
    told: Arc<Told>,
    signal: Arc<Signal>,
    pause: Signal,
    flushed: AtomicBool,
    claimed: AtomicBool,
    settled: Signal,
}

impl Driver {
    fn new(machine: &Machine, passive: &mut Passive, build: &Build) -> Option<Arc<Self>> {
        let (rig, stack) = build(&Bay::new(machine, passive));
        let interrupts = rig.controller.attributes().generates_interrupt;
        let system = SystemDma::register(passive, machine, rig.controller, rig.line.as_ref());
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

    fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> bool {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
        holds
    }

    fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    fn told(&self) -> Vec<DmaCompletionStatus> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The completion routine: notes what it is told, and checks what can be checked there.
    fn routine(&self) -> CompletionRoutine<Machine> {
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

    fn map(&self, level: AtMostDispatch<'_>, write_to_device: bool) -> bool {
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

    fn flush(&self, level: AtMostDispatch<'_>, write_to_device: bool) {
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
    fn wait(&self, passive: &Passive) -> Option<DmaCompletionStatus> {
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

    fn pattern() -> Vec<u8> {
        (0..LENGTH).map(|at| (at * 5 + 3).to_le_bytes()[0]).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH as usize];
        let _ = self.memory.read(self.buffer.address(), &mut bytes);
        bytes
    }

    /// What must hold when everything is over, then everything goes.
    fn leave(self: &Arc<Self>, passive: &mut Passive) {
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
        channel: 0,
        request_line: 0,
        device_address: BusAddress::new(0x1_0000),
        maximum_length: 4096,
        auto_initialize: false,
        demand_mode: false,
        width: DmaWidth::BITS_8,
    }
}

fn status_of(verdict: Verdict) -> DmaCompletionStatus {
    match verdict {
        Verdict::Completed => DmaCompletionStatus::COMPLETE,
        Verdict::Cancelled => DmaCompletionStatus::CANCELLED,
        Verdict::Failed(_) => DmaCompletionStatus::ERROR,
    }
}

/// Memory to device: complete, and the device has every byte.
fn to_device(driver: &Arc<Driver>, passive: &mut Passive) {
    let _ = driver.memory.write(driver.buffer.address(), &Driver::pattern());
    driver.machine.arm(|_| {});
    if !driver.map((&*passive).into(), true) {
        return;
    }
    let status = driver.wait(passive);
    driver.require(
        status == Some(DmaCompletionStatus::COMPLETE),
        "SEED-001-5",
        || format!("a healthy transfer ended with {status:?}"),
    );
    driver.flush((&*passive).into(), true);
    let taken = driver.port.taken();
    driver.require(taken == Driver::pattern(), "SEED-000-3", || {
        format!("the device got {taken:?}")
    });
}

/// Device to memory: complete, and memory has every byte.
fn from_device(driver: &Arc<Driver>, passive: &mut Passive) {
    driver.port.supply(&Driver::pattern());
    driver.machine.arm(|_| {});
    if !driver.map((&*passive).into(), false) {
        return;
    }
    let status = driver.wait(passive);
    driver.require(
        status == Some(DmaCompletionStatus::COMPLETE),
        "SEED-001-5",
        || format!("a healthy transfer ended with {status:?}"),
    );
    driver.flush((&*passive).into(), false);
    let bytes = driver.bytes();
    driver.require(bytes == Driver::pattern(), "SEED-000-3", || {
        format!("memory holds {bytes:?}")
    });
}

/// The device fails in the middle: DmaError.
fn device_error(driver: &Arc<Driver>, passive: &mut Passive) {
    driver.port.supply(&Driver::pattern());
    driver.port.fail_at(u64::from(LENGTH / 2));
    if !driver.map((&*passive).into(), false) {
        return;
    }
    let status = driver.wait(passive);
    driver.require(status == Some(DmaCompletionStatus::ERROR), "SEED-000-4", || {
        format!("a transfer that failed ended with {status:?}")
    });
    driver.flush((&*passive).into(), false);
    let bytes = driver.bytes();
    let untouched = bytes[LENGTH as usize / 2..].iter().all(|&byte| byte == 0);
    driver.require(untouched, "WDM-023", || {
        format!("bytes behind the error were moved: {bytes:?}")
    });
}

/// The bus fails at some byte: DmaError, or complete where all went well before.
fn bus_error(driver: &Arc<Driver>, passive: &mut Passive) {
    driver.port.supply(&Driver::pattern());
    driver.machine.arm(|_| {});
    if !driver.map((&*passive).into(), false) {
        return;
    }
    let status = driver.wait(passive);
    let broken = matches!(driver.machine.fault(), Some(Fault::BusError(_)));
    let wanted = if broken {
        DmaCompletionStatus::ERROR
    } else {
        DmaCompletionStatus::COMPLETE
    };
    driver.require(status == Some(wanted), "SEED-000-4", || {
        format!("the transfer ended with {status:?}")
    });
    driver.flush((&*passive).into(), false);
}

/// A cancel at any point: exactly one truthful outcome.
fn cancel(driver: &Arc<Driver>, passive: &mut Passive) {
    driver.port.supply(&Driver::pattern());
    if !driver.map((&*passive).into(), false) {
        return;
    }
    let striker = Arc::clone(driver);
    driver.machine.arm(move |dispatch| {
        if striker.claim() {
            let answer = striker.adapter.cancel_mapped(dispatch, &striker.context);
            striker.require(answer.is_ok(), "A-11", || {
                format!("the first cancel failed: {answer:?}")
            });
            striker.settled.set();
        }
    });
    let status = driver.wait(passive);
    if !driver.claim() {
        let _ = driver.settled.wait_for(passive, LONG);
    }
    let truthful = match status {
        Some(DmaCompletionStatus::COMPLETE) => driver.port.moved() == u64::from(LENGTH),
        Some(DmaCompletionStatus::CANCELLED) => driver.machine.struck(),
        _ => false,
    };
    let moved = driver.port.moved();
    driver.require(truthful, "WDM-185", || {
        format!("the outcome was {status:?}, with {moved} bytes moved")
    });
    let moved = driver.port.moved();
    driver.flush((&*passive).into(), false);
    let bytes = driver.bytes();
    let expected: Vec<u8> = Driver::pattern()
        .into_iter()
        .enumerate()
        .map(|(at, byte)| if (at as u64) < moved { byte } else { 0 })
        .collect();
    driver.require(bytes == expected, "PAIN-08", || {
        format!("{moved} bytes were moved, memory holds {bytes:?}")
    });
}

/// Cancel, flush and free in one go, without waiting for the callback, which still comes exactly once.
fn cancel_flush_free(driver: &Arc<Driver>, passive: &mut Passive) {
    driver.port.supply(&Driver::pattern());
    if !driver.map((&*passive).into(), false) {
        return;
    }
    (0..6).for_each(|_| driver.machine.relax());
    driver.machine.raise(passive, |dispatch| {
        let answer = driver.adapter.cancel_mapped(dispatch, &driver.context);
        driver.require(answer.is_ok(), "A-11", || {
            format!("the first cancel failed: {answer:?}")
        });
        let again = driver.adapter.cancel_mapped(dispatch, &driver.context);
        driver.require(again.is_err(), "RL-05", || "a second cancel succeeded".into());
        driver.flush(dispatch.into(), false);
    });
}

/// The device never gives its last byte: the transfer goes on until it is cancelled, and then ends (PAIN-14).
fn starved(driver: &Arc<Driver>, passive: &mut Passive) {
    driver.port.supply(&Driver::pattern()[..LENGTH as usize - 4]);
    if !driver.map((&*passive).into(), false) {
        return;
    }
    (0..30).for_each(|_| driver.machine.relax());
    let early = driver.told();
    driver.require(early.is_empty(), "SEED-001-9", || {
        format!("told {early:?} before all bytes were moved")
    });
    let answer = driver.adapter.cancel_mapped(&*passive, &driver.context);
    driver.require(answer.is_ok(), "PAIN-14", || {
        format!("a starved transfer was not cancelled: {answer:?}")
    });
    let status = driver.wait(passive);
    driver.require(
        status == Some(DmaCompletionStatus::CANCELLED),
        "SEED-000-5",
        || format!("a cancelled transfer that was not complete ended with {status:?}"),
    );
    driver.flush((&*passive).into(), false);
}
