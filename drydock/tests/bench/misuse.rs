//! One misuse, and what Windows' own verifier calls it.

use super::driver::misuses;
use super::narrow::{Habits, Narrow};
use super::{DEVICE, expect_clean, go};
use longshore_core::machine::Machine as _;
use longshore_core::{Event, Passive, Rule};
use longshore_drydock::machine::{Machine, What};
use longshore_drydock::{Plan, Run};
use longshore_hardware::BusRange;
use longshore_wdm::state::State;
use longshore_wdm::verifier::{self, Code, Stop};
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, DeviceDescription, IoAllocationAction, MapError, RegisterBase,
    ScatterGather, TransferContext,
};
use std::sync::{Arc, Mutex};

/// Everything that Windows would have stopped a run for.
pub(crate) fn stops(run: &Run) -> Vec<Stop> {
    let events = run.trace.iter().filter_map(|step| match &step.what {
        What::Event(event) => verifier::stop(event),
        _ => None,
    });
    events.collect()
}

fn on_narrow(verifies: bool, scenario: impl Fn(&Narrow, &mut Passive) + Copy + Send + 'static) -> Run {
    go(Plan::straight(), move |machine, passive| {
        if verifies {
            machine.verify();
        }
        let narrow = Narrow::new(machine, passive, Habits::default());
        scenario(&narrow, passive);
        narrow.expect_nothing_held();
    })
}

/// The scenario does this one thing wrong. With the verifier off the trace alone tells, with it on there is a finding
/// in the same words; nothing else is different.
pub(crate) fn expect_stop(
    code: Code,
    call: &'static str,
    rule: &'static str,
    scenario: impl Fn(&Narrow, &mut Passive) + Copy + Send + 'static,
) -> Run {
    let rule = Rule(rule);
    let stop = Stop { code, call, rule };
    let off = on_narrow(false, scenario);
    expect_clean(&off);
    assert_eq!(stops(&off), [stop]);
    let on = on_narrow(true, scenario);
    let said: Vec<_> = on
        .findings
        .iter()
        .map(|found| (found.rule, &*found.what))
        .collect();
    assert_eq!(said, [(rule, &*stop.to_string())]);
    assert_eq!(off.trace, on.trace, "the verifier changes nothing");
    off
}

/// The same, where the call is not refused and no rule of its caller's is broken.
pub(crate) fn expect_stop_without_misuse(
    code: Code,
    call: &'static str,
    rule: &'static str,
    scenario: impl Fn(&Narrow, &mut Passive) + Copy + Send + 'static,
) {
    let run = expect_stop(code, call, rule, scenario);
    assert_eq!(misuses(&run), [""; 0]);
}

/// What a refused call leaves as it was.
pub(crate) type Snapshot = (State, u32, Vec<BusRange>);

/// A transfer that ended by itself meanwhile is no change.
pub(crate) fn settled(state: State) -> State {
    match state {
        State::Run | State::Loop => State::Done,
        State::RunX | State::LoopX => State::DoneX,
        other => other,
    }
}

pub(crate) fn snapshot(
    bench: &Narrow,
    passive: &Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
) -> Snapshot {
    (
        settled(adapter.poll(passive, context).state),
        bench.pool.in_use(),
        bench.machine.allocated(),
    )
}

/// A bus master's adapter, for transfers of at most two pages.
pub(crate) fn master(bench: &Narrow, passive: &Passive) -> Adapter<Machine> {
    bench.adapter_of(passive, DeviceDescription::bus_master(16))
}

/// Allocates as a packet driver does: its routine keeps the registers, and gives the channel back.
pub(crate) fn keep(
    bench: &Narrow,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    registers: u32,
) -> RegisterBase {
    let base = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&base);
    let request = Allocation {
        device_object: DEVICE,
        registers,
        flags: AllocationFlags::ASYNCHRONOUS,
        routine: Some(Box::new(move |_, _, granted| {
            *inside.lock().unwrap() = granted.registers;
            IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS
        })),
    };
    bench.machine.raise(passive, |dispatch| {
        adapter.allocate_channel(dispatch, context, request).unwrap();
    });
    base.lock().unwrap().unwrap()
}

/// Maps a whole buffer of one run for a bus master.
pub(crate) fn map_master(
    passive: &Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    range: BusRange,
) -> Result<u32, MapError> {
    let segments = [range];
    let mut slots = [BusRange::EMPTY; 4];
    let mut list = ScatterGather::new(&mut slots);
    let request = longshore_wdm::MapRequest {
        list: Some(&mut list),
        ..super::narrow::request(&segments, range.len() as u32, true)
    };
    adapter.map_transfer(passive, context, request)
}

/// The statuses with which a call of this name returned, in order.
pub(crate) fn returns(run: &Run, call: &str) -> Vec<longshore_core::NtStatus> {
    let returned = run.trace.iter().filter_map(|step| match step.what {
        What::Event(Event::Return(name, status)) if name == call => Some(status),
        _ => None,
    });
    returned.collect()
}
