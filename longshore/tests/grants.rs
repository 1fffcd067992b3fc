//! An AdapterControl that panics, on a machine that goes on.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

use longshore_core::machine::Machine as _;
use longshore_core::{Dispatch, Passive};
use longshore_hardware::BusAddress;
use longshore_host::{Config, Host, Machine};
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, DeviceDescription, DeviceObject, IoAllocationAction, MapRegisters,
    Platform, Policy, TransferContext,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

fn request(
    registers: u32,
    routine: impl FnOnce(&Dispatch, &Adapter<Machine>) + Send + 'static,
) -> Allocation<Machine> {
    Allocation {
        device_object: DeviceObject(1),
        registers,
        flags: AllocationFlags::ASYNCHRONOUS,
        routine: Some(Box::new(
            move |dispatch: &Dispatch, adapter: &Adapter<Machine>, _| {
                routine(dispatch, adapter);
                IoAllocationAction::DEALLOCATE_OBJECT
            },
        )),
    }
}

/// A request that tells that it was granted, and passes.
fn telling(registers: u32, number: u32, told: &Sender<u32>) -> Allocation<Machine> {
    let told = told.clone();
    request(registers, move |_, _| told.send(number).unwrap())
}

fn ask(
    dispatch: &Dispatch,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    what: Allocation<Machine>,
) {
    let asked = adapter.allocate_channel(dispatch, context, what);
    asked.map_err(|refused| refused.why).unwrap();
}

fn ready(passive: &Passive, adapter: &Adapter<Machine>) -> TransferContext {
    let mut context = TransferContext::new();
    adapter
        .initialize_transfer_context(passive, &mut context)
        .unwrap();
    context
}

/// Runs a scenario with two adapters, each with a channel, and one pool of four registers.
fn scenario(act: impl FnOnce(&Machine, &mut Passive, [Adapter<Machine>; 2], &MapRegisters<Machine>)) {
    let host = Host::new(Config::default()).unwrap();
    let machine = host.machine();
    let mut passive = Passive::now(machine).unwrap();
    let pool = MapRegisters::new(&passive, machine, 4, BusAddress::new(1 << 24)).unwrap();
    let platform = Platform::new(machine, Some(pool.clone()), Policy::default());
    let description = DeviceDescription {
        maximum_length: 8192,
        ..DeviceDescription::bus_master(24)
    };
    let adapters = [(); 2].map(|()| platform.adapter(&passive, description).unwrap());
    act(machine, &mut passive, adapters, &pool);
    assert_eq!(pool.in_use(), 0);
}

/// The routine panics with those behind it left to it: its channel was freed from inside.
#[test]
fn a_routine_that_panics_takes_nobody_with_it() {
    scenario(|machine, passive, [first, second], _| {
        let (told, heard) = channel();
        let (own, behind, other) = (
            ready(passive, &first),
            ready(passive, &first),
            ready(passive, &second),
        );
        let (context, waiting) = (own.clone(), second.clone());
        let (next, last) = (telling(2, 1, &told), telling(3, 2, &told));
        let panics = request(3, move |dispatch, adapter| {
            ask(dispatch, adapter, &behind, next);
            ask(dispatch, &waiting, &other, last);
            adapter.free_channel(dispatch, &context).unwrap();
            panic!("a driver's mistake");
        });
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            machine.raise(passive, |dispatch| ask(dispatch, &first, &own, panics));
        }));
        assert!(unwound.is_err());
        let mut granted = [0; 2].map(|_: u32| heard.recv_timeout(LONG).unwrap());
        granted.sort_unstable();
        assert_eq!(granted, [1, 2]);
        drain(machine, passive, &[&first, &second]);
    });
}

/// The same with a routine that waited for registers, and another one in the pool behind it.
#[test]
fn a_routine_that_panics_when_its_registers_come_takes_nobody_with_it() {
    scenario(|machine, passive, [first, second], pool| {
        let (told, heard) = channel();
        let (held, own, behind) = (
            ready(passive, &first),
            ready(passive, &second),
            ready(passive, &first),
        );
        let (panicking, context) = (second.clone(), own.clone());
        let panics = request(3, move |_, _| panic!("a driver's mistake"));
        machine.raise(passive, |dispatch| {
            let now = Allocation {
                routine: None,
                flags: AllocationFlags::SYNCHRONOUS,
                ..request(3, |_, _| {})
            };
            ask(dispatch, &first, &held, now);
            ask(dispatch, &panicking, &context, panics);
        });
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            machine.raise(passive, |dispatch| first.free_channel(dispatch, &held))
        }));
        assert!(unwound.is_err());
        assert_eq!(pool.in_use(), 3, "it has what it was granted, and may free it");
        machine.raise(passive, |dispatch| {
            ask(dispatch, &first, &behind, telling(3, 1, &told));
            second.free_channel(dispatch, &own).unwrap();
        });
        assert_eq!(heard.recv_timeout(LONG).unwrap(), 1);
        drain(machine, passive, &[&first, &second]);
    });
}

/// Waits until what was granted before is over: a channel is granted in turn, so the next grant says so.
fn drain(machine: &Machine, passive: &mut Passive, adapters: &[&Adapter<Machine>]) {
    let (told, heard) = channel();
    for adapter in adapters {
        let context = ready(passive, adapter);
        machine.raise(passive, |dispatch| {
            ask(dispatch, adapter, &context, telling(0, 0, &told));
        });
        assert_eq!(heard.recv_timeout(LONG).unwrap(), 0);
    }
}
