//! The machine's memory, and what else a machine is made of.

mod support;

use longshore_core::Event;
use longshore_core::machine::Machine as _;
use longshore_hardware::{BusAddress, BusRange, DmaMemory as _, Lease, MemoryError};
use longshore_host::{Config, Host};
use std::sync::{Arc, Mutex};
use support::host;

fn with_memory(memory: u64) -> Host {
    Host::new(Config {
        memory,
        ..Config::default()
    })
    .expect("a small machine")
}

#[test]
fn a_lease_that_is_dropped_can_be_had_again() {
    let host = with_memory(3 * 4096);
    let memory = host.machine().memory();
    let first = Lease::new(memory.clone(), 2 * 4096, 4096).unwrap();
    assert_eq!(
        Lease::new(memory.clone(), 1, 1).unwrap_err(),
        MemoryError::Exhausted
    );
    let address = first.address();
    drop(first);
    assert_eq!(Lease::new(memory, 2 * 4096, 4096).unwrap().address(), address);
}

#[test]
fn address_zero_is_never_handed_out_and_reach_is_kept() {
    let host = with_memory(64 << 10);
    let memory = host.machine().memory();
    let reach = BusAddress::new(4096 + 16);
    let near = Lease::below(memory.clone(), 16, 1, reach).unwrap();
    assert!(!near.address().is_null());
    assert!(near.range().end() <= reach);
    assert_eq!(
        Lease::below(memory.clone(), 1, 1, reach).unwrap_err(),
        MemoryError::Exhausted
    );
    assert!(
        Lease::new(memory.clone(), 8, 256)
            .unwrap()
            .address()
            .is_aligned(256)
    );
    assert_eq!(Lease::new(memory, 8, 24).unwrap_err(), MemoryError::Exhausted);
}

#[test]
fn giving_back_what_is_not_taken_changes_nothing() {
    let host = with_memory(2 * 4096);
    let memory = host.machine().memory();
    let lease = Lease::new(memory.clone(), 4096, 1).unwrap();
    memory.free(BusRange::new(BusAddress::NULL, 4096).unwrap());
    memory.free(lease.range().slice(0, 8).unwrap());
    memory.free(BusRange::new(BusAddress::new(u64::MAX), 0).unwrap());
    assert_eq!(Lease::new(memory, 1, 1).unwrap_err(), MemoryError::Exhausted);
}

#[test]
fn software_and_devices_reach_the_same_bytes() {
    let host = host();
    let (memory, device) = (host.machine().memory(), host.machine().device_memory());
    let lease = Lease::new(memory.clone(), 64, 64).unwrap();
    memory.write(lease.address(), b"longshore").unwrap();
    let there = lease.range().slice(9, 9).unwrap().start();
    device.copy(there, lease.address(), 9).unwrap();
    let mut bytes = [0; 9];
    device.read(there, &mut bytes).unwrap();
    assert_eq!(&bytes, b"longshore");
    assert_eq!(
        device.write(BusAddress::new(memory.size() - 8), b"longshore"),
        Err(MemoryError::OutOfRange)
    );
}

#[test]
fn sizes_are_whole_pages_and_too_much_is_an_error() {
    assert_eq!(with_memory(0).machine().memory().size(), 4096);
    assert_eq!(with_memory(4097).machine().memory().size(), 8192);
    for memory in [u64::MAX, u64::MAX >> 1] {
        let config = Config {
            memory,
            ..Config::default()
        };
        assert!(Host::new(config).is_err());
    }
    let config = Config {
        cpus: u32::MAX,
        ..Config::default()
    };
    assert!(Host::new(config).is_err());
}

#[test]
fn the_observer_hears_events_and_numbers_differ() {
    let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
    let host = Host::new(Config {
        cpus: 0,
        observer: Some(Arc::new({
            let heard = heard.clone();
            move |event: &Event| heard.lock().unwrap().push(*event)
        })),
        ..Config::default()
    })
    .unwrap();
    let machine = host.machine();
    machine.emit(Event::Note("one"));
    machine.clone().emit(Event::Note("two"));
    assert_eq!(*heard.lock().unwrap(), [Event::Note("one"), Event::Note("two")]);
    assert_eq!(machine.cpus(), 1);
    assert_ne!(machine.number(), machine.number());
    assert!(machine.now() <= machine.now());
}
