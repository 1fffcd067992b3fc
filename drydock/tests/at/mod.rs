//! A machine with the pair of 8237A and devices on its request lines, and the transfers that run there.
#![allow(dead_code)] // Each test program uses its own part of this.

mod peripheral;

use super::bench::Bench;
use super::bench::driver::{CONTEXT, Told, allocate, flush, free, ready};
use longshore_core::Passive;
use longshore_core::completion::Verdict;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_drydock::machine::{Device, Machine, Memory};
use longshore_drydock::reference::Port;
use longshore_engines::i8237::I8237Controller;
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease, Registers};
use longshore_models::i8237::{I8237, Quirks, Slots, Wired};
use longshore_wdm::{
    Adapter, Controller, DeviceDescription, DmaWidth, MapError, MapRequest, Platform, Policy, Program, Setup,
    TransferContext,
};
use peripheral::Peripheral;
use std::sync::Arc;

pub(crate) const LENGTH: u32 = 24;

/// The channels that devices sit on.
pub(crate) const SEATS: [u32; 4] = [1, 2, 5, 7];

pub(crate) fn pattern(len: u32) -> Vec<u8> {
    (0..len).map(|n| n as u8 ^ (n >> 8) as u8 | 1).collect()
}

/// The hardware of a machine: the pair, and a device on each of some channels.
pub(crate) struct Hardware {
    pub(crate) registers: Device,
    pub(crate) devices: Vec<(u32, Peripheral)>,
}

impl Hardware {
    pub(crate) fn new(machine: &Machine, quirks: Quirks) -> Self {
        let mut slots = Slots::new();
        let sit = |channel: u32| {
            let device = Peripheral::new(channel as u8);
            slots.plug(channel as u8, Box::new(device.clone()));
            (channel, device)
        };
        let devices = SEATS.into_iter().map(sit).collect();
        let model = Wired::new(I8237::new().with_quirks(quirks), slots);
        Self {
            registers: machine.attach("8237", Box::new(model), &[]),
            devices,
        }
    }

    pub(crate) fn device(&self, channel: u32) -> &Peripheral {
        let found = self.devices.iter().find(|(seat, _)| *seat == channel);
        &found.unwrap().1
    }

    pub(crate) fn controller(&self) -> I8237Controller<Device> {
        let controller = I8237Controller::new(self.registers.clone());
        controller.initialize();
        controller
    }

    pub(crate) fn bench(&self, machine: &Machine, passive: &Passive) -> Bench {
        bench_of(machine, passive, self.registers.clone())
    }
}

pub(crate) fn bench_of(machine: &Machine, passive: &Passive, ports: impl Registers + 'static) -> Bench {
    let setup = Setup::new(Arc::new(I8237Controller::new(ports)));
    let platform = Platform::new(machine, None, Policy::default());
    Bench {
        machine: machine.clone(),
        system: platform.register(passive, setup).unwrap(),
        platform,
        port: Port::default(),
        other: Port::default(),
    }
}

pub(crate) const fn width(channel: u32) -> DmaWidth {
    if channel < 4 {
        DmaWidth::BITS_8
    } else {
        DmaWidth::BITS_16
    }
}

pub(crate) fn description(channel: u32) -> DeviceDescription {
    DeviceDescription {
        maximum_length: 0x1_0000,
        width: width(channel),
        ..DeviceDescription::system(channel, channel)
    }
}

/// One channel with all that a transfer on it needs.
pub(crate) struct Job {
    pub(crate) machine: Machine,
    pub(crate) adapter: Adapter<Machine>,
    pub(crate) context: Arc<TransferContext>,
    pub(crate) buffer: Lease<Memory>,
    pub(crate) device: Peripheral,
    pub(crate) told: Told,
    pub(crate) write: bool,
}

impl Job {
    pub(crate) fn new(
        bench: &Bench,
        passive: &mut Passive,
        hardware: &Hardware,
        channel: u32,
        len: u32,
        write: bool,
    ) -> Self {
        let adapter = bench.system.adapter(passive, description(channel)).unwrap();
        let context = Arc::new(ready(passive, &adapter));
        allocate(bench, passive, &adapter, &context).unwrap();
        let align = u64::from(len).next_power_of_two();
        let memory = bench.machine.memory();
        let buffer = Lease::new(memory.clone(), u64::from(len), align).unwrap();
        let device = hardware.device(channel).clone();
        if write {
            memory.write(buffer.address(), &pattern(len)).unwrap();
        }
        Self {
            machine: bench.machine.clone(),
            adapter,
            context,
            buffer,
            device,
            told: Told::default(),
            write,
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.buffer.len() as u32
    }

    /// The device gives or takes so many bytes.
    pub(crate) fn offer(&self, bytes: u32) {
        if self.write {
            self.device.make_room(bytes as usize);
        } else {
            self.device.supply(&pattern(self.len())[..bytes as usize]);
        }
    }

    pub(crate) fn map(&self, passive: &Passive) -> Result<u32, MapError> {
        let segments = [self.buffer.range()];
        let told = self.told.clone();
        let request = MapRequest {
            completion: Some(Arc::new(move |_, _, _, _, status| {
                told.0.lock().unwrap().push(status);
            })),
            context: CONTEXT,
            ..MapRequest::new(Segments::new(&segments), self.len(), self.write)
        };
        self.adapter.map_transfer(passive, &self.context, request)
    }

    pub(crate) fn arm_cancel(&self) {
        let (adapter, context) = (self.adapter.clone(), Arc::clone(&self.context));
        self.machine.arm(move |dispatch| {
            let _ = adapter.cancel_mapped(dispatch, &context);
        });
    }

    /// How many bytes are where they belong; all behind them must be untouched.
    pub(crate) fn arrived(&self) -> u32 {
        let bytes = if self.write {
            self.device.taken()
        } else {
            self.machine.look(self.buffer.range())
        };
        let expected = pattern(self.len());
        let arrived = bytes.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        assert!(bytes[arrived..].iter().all(|byte| *byte == 0), "{bytes:?}");
        arrived as u32
    }

    pub(crate) fn wait(&self, passive: &Passive) {
        while self.adapter.poll(passive, &self.context).outcome.is_none() {
            self.machine.relax();
        }
    }

    /// Flushes and frees. Says how it ended, and how many bytes the counter says are left.
    pub(crate) fn end(&self, bench: &Bench, passive: &mut Passive) -> (Verdict, u32) {
        let range = self.buffer.range();
        let verdict = flush(
            &self.adapter,
            &*passive,
            &self.context,
            range,
            self.len(),
            self.write,
        )
        .unwrap();
        let left = self.adapter.read_counter(&*passive);
        free(bench, passive, &self.adapter, &self.context);
        self.adapter.wait_for_callbacks(passive);
        assert_eq!(self.told.count(), 0, "nothing interrupts");
        self.device.clear();
        (verdict, left)
    }
}

/// A whole transfer that nothing disturbs.
pub(crate) fn transfer(bench: &Bench, passive: &mut Passive, hardware: &Hardware, channel: u32, write: bool) {
    let job = Job::new(bench, passive, hardware, channel, LENGTH, write);
    job.offer(LENGTH);
    assert_eq!(job.map(passive), Ok(LENGTH));
    job.wait(passive);
    assert_eq!(job.arrived(), LENGTH);
    assert_eq!(job.end(bench, passive), (Verdict::Completed, 0));
}

pub(crate) fn program(channel: u32, segments: &[BusRange]) -> Program<'_> {
    Program {
        request_line: channel,
        segments: Segments::new(segments),
        device_address: BusAddress::NULL,
        write_to_device: true,
        looped: false,
        demand_mode: false,
        width: width(channel),
    }
}
