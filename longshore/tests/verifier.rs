//! The verifier on a machine of threads: on where somebody listens, off where nobody does.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

use longshore_core::{Event, Machine as _, Passive, Rule};
use longshore_hardware::BusAddress;
use longshore_host::{Config, Host};
use longshore_wdm::state::Refusal;
use longshore_wdm::verifier::{self, Code, Stop};
use longshore_wdm::{
    Allocation, AllocationFlags, DeviceDescription, DeviceObject, MapRegisters, Platform, Policy,
    TransferContext,
};
use std::sync::{Arc, Mutex};

/// Puts an adapter back whose channel is held, and then everything as it should be. The same with and without anybody
/// who listens.
fn put_too_early(config: Config) {
    let host = Host::new(config).unwrap();
    let machine = host.machine();
    let mut passive = Passive::now(machine).unwrap();
    let pool = MapRegisters::new(&passive, machine, 4, BusAddress::new(u64::MAX)).unwrap();
    let platform = Platform::new(machine, Some(pool.clone()), Policy::default());
    let description = DeviceDescription {
        maximum_length: 8192,
        ..DeviceDescription::bus_master(24)
    };
    let adapter = platform.adapter(&passive, description).unwrap();
    let mut context = TransferContext::new();
    adapter
        .initialize_transfer_context(&passive, &mut context)
        .unwrap();
    let request = Allocation {
        device_object: DeviceObject(1),
        registers: 2,
        flags: AllocationFlags::SYNCHRONOUS,
        routine: None,
    };
    machine.raise(&mut passive, |dispatch| {
        adapter.allocate_channel(dispatch, &context, request).unwrap();
    });
    let refused = adapter.put(&passive).unwrap_err();
    assert_eq!((refused.why, pool.in_use()), (Refusal::Outstanding, 2));
    machine.raise(&mut passive, |dispatch| {
        refused.adapter.free_channel(dispatch, &context).unwrap();
    });
    assert_eq!(pool.in_use(), 0);
    refused.adapter.put(&passive).unwrap();
}

/// Proves: WDM-330.
#[test]
fn whoever_listens_hears_what_windows_would_stop_for() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let stops = Arc::clone(&heard);
    put_too_early(Config {
        observer: Some(Arc::new(move |event: &Event| {
            stops.lock().unwrap().extend(verifier::stop(event));
        })),
        ..Config::default()
    });
    let stop = Stop {
        code: Code::CHANNELS_OUT,
        call: "PutDmaAdapter",
        rule: Rule("WDM-106"),
    };
    assert_eq!(*heard.lock().unwrap(), [stop]);
}

#[test]
fn without_a_listener_the_same_calls_are_refused_all_the_same() {
    put_too_early(Config::default());
}
