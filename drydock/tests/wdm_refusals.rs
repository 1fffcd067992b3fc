//! What a map and an adapter refuse: the documented status, nothing changed, nothing leaked.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod at;
mod bench;

use at::{Hardware, LENGTH, description, pattern};
use bench::driver::{flush, misuses, ready};
use bench::{DEVICE, expect_clean, explore_runs, go};
use longshore_core::completion::Verdict;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::machine::{HIGH, Machine, Memory};
use longshore_drydock::{Plan, Run};
use longshore_engines::i8237::I8237Controller;
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_models::i8237::Quirks;
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, AdapterError, Allocation, AllocationFlags, DeviceDescription, MapError, MapRegisters,
    MapRequest, Platform, Policy, Setup, State, TransferContext,
};
use std::sync::Arc;

/// The channel of the device.
const CHANNEL: u32 = 1;

/// How many map registers there are, where there are any.
const REGISTERS: u32 = 4;

/// The 8237A with a device, which drives 24 address bits.
struct Pc {
    machine: Machine,
    hardware: Hardware,
    platform: Platform<Machine>,
    pool: Option<MapRegisters<Machine>>,
}

impl Pc {
    fn new(machine: &Machine, passive: &Passive, has_registers: bool) -> Self {
        let hardware = Hardware::new(machine, Quirks::empty());
        let pool = has_registers.then(|| MapRegisters::new(passive, machine, REGISTERS, HIGH).unwrap());
        let platform = Platform::new(machine, pool.clone(), Policy::default());
        let controller = I8237Controller::new(hardware.registers.clone());
        platform
            .register(passive, Setup::new(Arc::new(controller)))
            .unwrap();
        Self {
            machine: machine.clone(),
            hardware,
            platform,
            pool,
        }
    }

    fn in_use(&self) -> u32 {
        self.pool.as_ref().map_or(0, MapRegisters::in_use)
    }

    /// A channel that is held with so many map registers, and a buffer with a byte in each place.
    fn held<'a>(&'a self, passive: &mut Passive, above: BusAddress, registers: u32) -> Held<'a> {
        let adapter = self.platform.adapter(passive, description(CHANNEL)).unwrap();
        let context = ready(passive, &adapter);
        let request = Allocation {
            device_object: DEVICE,
            registers,
            flags: AllocationFlags::SYNCHRONOUS,
            routine: None,
        };
        self.machine.raise(passive, |dispatch| {
            adapter.allocate_channel(dispatch, &context, request).unwrap();
        });
        let buffer = Lease::new(self.machine.memory().above(above), u64::from(LENGTH), 64).unwrap();
        self.machine
            .memory()
            .write(buffer.address(), &pattern(LENGTH))
            .unwrap();
        Held {
            pc: self,
            adapter,
            context,
            buffer,
        }
    }
}

struct Held<'a> {
    pc: &'a Pc,
    adapter: Adapter<Machine>,
    context: TransferContext,
    buffer: Lease<Memory>,
}

impl Held<'_> {
    fn map(&self, passive: &Passive, length: u32) -> Result<u32, MapError> {
        let segments = [self.buffer.range()];
        let request = MapRequest::new(Segments::new(&segments), length, true);
        self.adapter.map_transfer(passive, &self.context, request)
    }

    /// Everything that a refused map leaves as it was.
    fn look(&self, passive: &Passive) -> (State, u32, Vec<BusRange>, Vec<u8>) {
        (
            self.adapter.poll(passive, &self.context).state,
            self.pc.in_use(),
            self.pc.machine.allocated(),
            self.pc.machine.look(self.buffer.range()),
        )
    }

    fn refuse(&self, passive: &Passive, length: u32, why: MapError, status: NtStatus) {
        let before = self.look(passive);
        assert_eq!(self.map(passive, length), Err(why));
        assert_eq!(why.status(), status);
        assert_eq!(self.look(passive), before);
    }

    /// Maps all of it, waits for the device to take it, and flushes.
    fn transfer(&self, passive: &Passive) {
        self.pc.hardware.device(CHANNEL).make_room(LENGTH as usize);
        assert_eq!(self.map(passive, LENGTH), Ok(LENGTH));
        self.wait(passive);
        self.flush(passive);
    }

    fn wait(&self, passive: &Passive) {
        while self.adapter.poll(passive, &self.context).outcome.is_none() {
            self.pc.machine.relax();
        }
    }

    fn flush(&self, passive: &Passive) {
        let range = self.buffer.range();
        let verdict = flush(&self.adapter, passive, &self.context, range, LENGTH, true);
        assert_eq!(verdict, Some(Verdict::Completed));
        assert_eq!(self.pc.hardware.device(CHANNEL).taken(), pattern(LENGTH));
    }

    fn end(self, passive: &mut Passive) {
        self.pc.machine.raise(passive, |dispatch| {
            self.adapter.free_channel(dispatch, &self.context).unwrap();
        });
        assert_eq!(self.pc.in_use(), 0, "a run of map registers leaked");
        self.adapter.put(&*passive).unwrap();
    }
}

/// Straight on and under some seeds; all must be clean, which nothing is that leaked.
fn pc(has_registers: bool, misuse: &[&str], scenario: impl Fn(&Pc, &mut Passive) + Copy + Send + 'static) {
    let runs = explore_runs(20, "", |plan: Plan| -> Run {
        go(plan, move |machine, passive| {
            let pc = Pc::new(machine, passive, has_registers);
            scenario(&pc, passive);
        })
    });
    for run in runs {
        expect_clean(&run);
        assert_eq!(misuses(&run), misuse);
    }
}

const INVALID: NtStatus = NtStatus::INVALID_PARAMETER;

#[test]
fn memory_above_16_mib_is_out_of_24_bits_reach_without_map_registers() {
    pc(false, &[], |pc, passive| {
        let far = pc.held(passive, HIGH, 1);
        assert!(far.buffer.address() >= HIGH);
        let no_resources = NtStatus::INSUFFICIENT_RESOURCES;
        far.refuse(passive, LENGTH, MapError::Unreachable, no_resources);
        assert_eq!(pc.hardware.device(CHANNEL).taken(), [0; 0]);
        far.end(passive);
        // What is in reach goes.
        let near = pc.held(passive, BusAddress::NULL, 1);
        near.transfer(passive);
        near.end(passive);
    });
}

/// Proves: WDM-262.
#[test]
fn memory_above_16_mib_goes_through_map_registers_if_they_were_asked_for() {
    pc(true, &[], |pc, passive| {
        let none = pc.held(passive, HIGH, 0);
        let no_resources = NtStatus::INSUFFICIENT_RESOURCES;
        none.refuse(passive, LENGTH, MapError::Unreachable, no_resources);
        none.end(passive);
        let far = pc.held(passive, HIGH, 2);
        assert_eq!(pc.in_use(), 2);
        far.transfer(passive);
        far.end(passive);
    });
}

/// Proves: A-14.
#[test]
fn a_map_of_no_length_is_refused() {
    pc(true, &["A-14"], |pc, passive| {
        let held = pc.held(passive, HIGH, 2);
        held.refuse(passive, 0, MapError::NoBytes, INVALID);
        held.transfer(passive);
        held.end(passive);
    });
}

/// Proves: WDM-152.
#[test]
fn a_length_over_the_buffer_is_refused() {
    pc(true, &["WDM-152"; 2], |pc, passive| {
        let held = pc.held(passive, HIGH, 2);
        for length in [LENGTH + 1, u32::MAX] {
            held.refuse(passive, length, MapError::OutsideBuffer, INVALID);
        }
        held.transfer(passive);
        held.end(passive);
    });
}

/// Proves: WDM-105.
#[test]
fn a_request_line_that_nobody_has_gets_no_adapter() {
    pc(true, &[], |pc, passive| {
        let before = (pc.in_use(), pc.machine.allocated());
        let line = |request_line| DeviceDescription {
            request_line,
            ..description(CHANNEL)
        };
        for request_line in [8, u32::MAX] {
            let refused = pc.platform.adapter(passive, line(request_line)).unwrap_err();
            assert_eq!(refused, AdapterError::NoController);
            assert_eq!(refused.status(), INVALID);
        }
        // The controller has it, but not for this channel.
        let refused = pc.platform.adapter(passive, line(2)).unwrap_err();
        assert_eq!((refused, refused.status()), (AdapterError::BadBinding, INVALID));
        assert_eq!((pc.in_use(), pc.machine.allocated()), before);
        // Nobody has taken the channel's place.
        let claimed = pc.platform.adapter(passive, description(CHANNEL)).unwrap();
        claimed.put(&*passive).unwrap();
    });
}

/// Proves: A-15, WDM-158.
#[test]
fn a_second_map_without_a_flush_is_refused() {
    pc(true, &["WDM-158"; 2], |pc, passive| {
        let held = pc.held(passive, HIGH, 2);
        let why = MapError::Refused(Refusal::NotFlushed);
        // It waits for its device, which has no room yet.
        assert_eq!(held.map(passive, LENGTH), Ok(LENGTH));
        held.refuse(passive, LENGTH, why, INVALID);
        pc.hardware.device(CHANNEL).make_room(LENGTH as usize);
        held.wait(passive);
        held.refuse(passive, LENGTH, why, INVALID);
        held.flush(passive);
        held.end(passive);
    });
}
