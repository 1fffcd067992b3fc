//! What the tests of the CPU engine share.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod hooked;
pub(crate) mod manual;

use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{Device, Dispatch, Passive};
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_hardware::netdma::{CompletionWord, Descriptor};
use longshore_hardware::{BusAddress, DmaMemory, Lease};
use longshore_host::{Host, Machine};
use longshore_netdma::ChannelInterface;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(crate) type Memory = <Machine as longshore_core::Machine>::Memory;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn host() -> Host {
    Host::new(longshore_host::Config::default()).expect("a small machine")
}

pub(crate) fn passive(machine: &Machine) -> Passive {
    Passive::now(machine).expect("a test runs at PASSIVE")
}

pub(crate) fn engine(machine: &Machine, config: Config) -> CpuEngine<Machine> {
    CpuEngine::open(&passive(machine), machine, config)
}

/// Memory filled with a pattern.
pub(crate) fn filled(machine: &Machine, len: u64, seed: u8) -> Lease<Memory> {
    let lease = Lease::new(machine.memory(), len, 64).expect("enough memory");
    let bytes: Vec<u8> = (0..len).map(|at| (at as u8).wrapping_mul(31) ^ seed).collect();
    machine
        .memory()
        .write(lease.address(), &bytes)
        .expect("the memory is there");
    lease
}

pub(crate) fn bytes(machine: &Machine, lease: &Lease<Memory>) -> Vec<u8> {
    let mut bytes = vec![0; lease.len() as usize];
    machine
        .memory()
        .read(lease.address(), &mut bytes)
        .expect("the memory is there");
    bytes
}

/// Memory of zeros.
pub(crate) fn zeros(machine: &Machine, len: u64) -> Lease<Memory> {
    let lease = Lease::new(machine.memory(), len, 64).expect("enough memory");
    machine
        .memory()
        .write(lease.address(), &vec![0; len as usize])
        .expect("the memory is there");
    lease
}

pub(crate) fn put(machine: &Machine, at: BusAddress, descriptor: &Descriptor) {
    machine
        .memory()
        .write(at, &descriptor.emit())
        .expect("the memory is there");
}

pub(crate) fn word(machine: &Machine, at: &Lease<Memory>) -> CompletionWord {
    CompletionWord::from_raw(
        machine
            .memory()
            .load_u64(at.address())
            .expect("the memory is there"),
    )
}

/// Polls until it is true.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "{what} did not come");
        std::thread::yield_now();
    }
}

/// A NetDMA side that writes down what it is told.
#[derive(Default)]
pub(crate) struct Listener {
    told: Mutex<Vec<BusAddress>>,
}

impl Listener {
    pub(crate) fn told(&self) -> Vec<BusAddress> {
        self.told.lock().expect("nobody panicked").clone()
    }
}

impl ChannelInterface for Listener {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(1)
    }

    fn interrupt_dpc(&self, _: &Dispatch, last: BusAddress) {
        self.told.lock().expect("nobody panicked").push(last);
    }
}
