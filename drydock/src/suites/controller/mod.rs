//! What system DMA must do: a controller, and the stack between it and a driver.
//!
//! The suite is a driver. It maps a transfer on channel 0, lets the device move the bytes or cuts it off, and judges
//! what its completion routine is told, what polling shows and what memory holds.

mod driver;
mod rig;

pub use rig::{Abilities, Rig, Wired, reference_rig};

use super::{Bay, Check};
use crate::explore::{Faults, Scenario, Target};
use crate::machine::{Fault, Machine};
use driver::{Driver, LENGTH, LONG};
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::{AtMostDispatch, Passive};
use longshore_hardware::DmaMemory;
use longshore_wdm::{Adapter, DmaCompletionStatus, MapError, MapRequest, TransferContext};
use std::sync::Arc;

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
    let left = driver.adapter.read_counter(&*passive);
    driver.require(left >= 4 || !driver.counts, "WDM-212", || {
        format!("the counter reads {left}, but 4 bytes were never given")
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
