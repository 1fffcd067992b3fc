//! Models that are plugged into the machine.

mod support;

use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_hardware::{AccessError, BusAddress, DmaMemory, Interrupt as _, Lease, Registers as _, Width};
use longshore_host::Device;
use longshore_models::{Model, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use support::{LIMIT, expect, host, passive, signal, until};

const SOURCE: u64 = 0;
const TARGET: u64 = 8;
const GO: u64 = 16;
const STATUS: u64 = 24;
const BREAK: u64 = 32;

/// Copies eight bytes when it is told to, raises its line, and lowers it when its status is written.
#[derive(Default)]
struct Copier {
    source: u64,
    target: u64,
    go: bool,
    done: bool,
    steps: Arc<AtomicU32>,
}

impl Model for Copier {
    fn read(&mut self, offset: u64, _: Width) -> Result<u64, AccessError> {
        match offset {
            SOURCE => Ok(self.source),
            STATUS => Ok(u64::from(self.done)),
            _ => Err(AccessError::NoSuchRegister),
        }
    }

    fn write(&mut self, offset: u64, _: Width, value: u64) -> Result<(), AccessError> {
        match offset {
            SOURCE => self.source = value,
            TARGET => self.target = value,
            GO => self.go = true,
            STATUS => self.done = false,
            BREAK => panic!("on purpose"),
            _ => return Err(AccessError::NoSuchRegister),
        }
        Ok(())
    }

    fn step(&mut self, memory: &dyn DmaMemory) -> Step {
        self.steps.fetch_add(1, Ordering::SeqCst);
        if !std::mem::take(&mut self.go) {
            return Step::Idle;
        }
        let (to, from) = (BusAddress::new(self.target), BusAddress::new(self.source));
        self.done = memory.copy(to, from, 8).is_ok();
        Step::Worked
    }

    fn lines(&self) -> u32 {
        u32::from(self.done)
    }
}

fn start(device: &Device, from: BusAddress, to: BusAddress) {
    device
        .write(SOURCE, Width::Quad, from.raw())
        .expect("the register exists");
    device
        .write(TARGET, Width::Quad, to.raw())
        .expect("the register exists");
    device.write(GO, Width::Byte, 1).expect("the register exists");
}

#[test]
fn a_device_moves_bytes_and_interrupts() {
    let host = host();
    let machine = host.machine();
    let memory = machine.memory();
    let lease = Lease::new(memory.clone(), 16, 8).unwrap();
    let (from, to) = (lease.address(), lease.range().slice(8, 8).unwrap().start());
    let line = machine.line(&passive(machine), "copier", Cpu(1));
    let device = machine
        .attach(Box::new(Copier::default()), std::slice::from_ref(&line))
        .unwrap();
    let (done, interrupts) = (signal(machine), Arc::new(AtomicU32::new(0)));
    let connection = machine.connect(&passive(machine), &line, {
        let (device, done, interrupts) = (device.clone(), done.clone(), interrupts.clone());
        move |_| {
            if device.read(STATUS, Width::Byte) != Ok(1) {
                return false;
            }
            interrupts.fetch_add(1, Ordering::SeqCst);
            // Releases the line before it returns, so that the handler is not run once more for nothing.
            device.write(STATUS, Width::Byte, 0).unwrap();
            done.set();
            true
        }
    });
    for round in 1..=50u64 {
        memory.store_u64(from, round).unwrap();
        start(&device, from, to);
        expect(machine, &done);
        done.clear();
        assert_eq!(memory.load_u64(to), Ok(round));
    }
    drop(connection);
    assert_eq!(interrupts.load(Ordering::SeqCst), 50);
    assert_eq!(machine.storms(), 0);
}

#[test]
fn bits_above_the_width_are_ignored_and_errors_are_the_models() {
    let host = host();
    let device = host.machine().attach(Box::new(Copier::default()), &[]).unwrap();
    for (width, kept) in [
        (Width::Byte, 0xff),
        (Width::Word, 0xffff),
        (Width::Long, 0xffff_ffff),
        (Width::Quad, u64::MAX),
    ] {
        device.write(SOURCE, width, u64::MAX).unwrap();
        assert_eq!(device.read(SOURCE, Width::Quad), Ok(kept));
    }
    assert_eq!(device.read(0x100, Width::Byte), Err(AccessError::NoSuchRegister));
    assert_eq!(
        device.write(0x100, Width::Byte, 0),
        Err(AccessError::NoSuchRegister)
    );
}

/// Always has more to do.
struct Busy;

impl Model for Busy {
    fn read(&mut self, _: u64, _: Width) -> Result<u64, AccessError> {
        Ok(7)
    }

    fn write(&mut self, _: u64, _: Width, _: u64) -> Result<(), AccessError> {
        Ok(())
    }

    fn step(&mut self, _: &dyn DmaMemory) -> Step {
        Step::Worked
    }

    fn lines(&self) -> u32 {
        0
    }
}

#[test]
fn a_busy_device_can_be_reached_and_switched_off() {
    let host = host();
    let device = host.machine().attach(Box::new(Busy), &[]).unwrap();
    for _ in 0..1000 {
        assert_eq!(device.read(0, Width::Long), Ok(7));
    }
    host.shutdown();
    assert_eq!(device.read(0, Width::Long), Err(AccessError::Gone));
    assert_eq!(device.write(0, Width::Long, 0), Err(AccessError::Gone));
}

#[test]
fn an_idle_device_is_not_stepped_until_a_register_is_written() {
    let host = host();
    let machine = host.machine();
    let steps = Arc::new(AtomicU32::new(0));
    let copier = Copier {
        steps: steps.clone(),
        ..Copier::default()
    };
    let device = machine.attach(Box::new(copier), &[]).unwrap();
    until(machine, || steps.load(Ordering::SeqCst) != 0);
    for _ in 0..1000 {
        device.read(STATUS, Width::Byte).unwrap();
    }
    assert_eq!(steps.load(Ordering::SeqCst), 1);
    device.write(STATUS, Width::Byte, 0).unwrap();
    until(machine, || steps.load(Ordering::SeqCst) != 1);
}

#[test]
fn a_model_that_panics_is_gone_and_releases_its_line() {
    let host = host();
    let machine = host.machine();
    let line = machine.line(&passive(machine), "copier", Cpu(0));
    let device = machine
        .attach(Box::new(Copier::default()), std::slice::from_ref(&line))
        .unwrap();
    let address = BusAddress::new(4096);
    start(&device, address, address);
    until(machine, || device.read(STATUS, Width::Byte) == Ok(1));
    assert_eq!(device.write(BREAK, Width::Byte, 0), Err(AccessError::Gone));
    assert_eq!(device.read(STATUS, Width::Byte), Err(AccessError::Gone));
    assert_eq!(machine.panics(), 1);
    // Had the line stayed asserted, this would count before the other line's handler runs.
    let runs = Arc::new(AtomicU32::new(0));
    let _connection = machine.connect(&passive(machine), &line, {
        let runs = runs.clone();
        move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            true
        }
    });
    let other = machine.line(&passive(machine), "other", Cpu(0));
    let served = signal(machine);
    let _other = machine.connect(&passive(machine), &other, {
        let (other, served) = (other.clone(), served.clone());
        move |_| {
            other.lower();
            served.set();
            true
        }
    });
    other.raise();
    assert_eq!(
        served.wait_for(&passive(machine), LIMIT),
        longshore_core::machine::Waited::Signalled
    );
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}
