//! A machine with the PDMA, and the copies that run there.
#![allow(dead_code)] // Each test program uses its own part of this.

use super::bench::driver::{CONTEXT, Told, allocate, flush, free, ready};
use super::bench::{Bench, shared};
use longshore_core::completion::Verdict;
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Passive};
use longshore_drydock::machine::{Device, Line, Machine, Memory, Signal};
use longshore_drydock::reference::Port;
use longshore_engines::pdma::PdmaController;
use longshore_hardware::pdma::{Control, LINES, Register};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease, Registers, Width};
use longshore_models::pdma::{Behaviour, Pdma};
use longshore_wdm::{
    Adapter, DeviceDescription, DmaCompletionStatus, DmaWidth, MapError, MapRequest, Platform, Policy,
    Program, Setup, TransferContext,
};
use std::sync::Arc;

pub(crate) const LENGTH: u32 = 24;

/// How many bytes the model moves at a time.
pub(crate) const PIECE: u64 = 4;

/// What the source of a copy holds.
pub(crate) fn pattern() -> Vec<u8> {
    (1..=LENGTH as u8).collect()
}

pub(crate) fn hardware(machine: &Machine, passive: &Passive, behaviour: Behaviour) -> (Device, Vec<Line>) {
    let line = |_| machine.line(passive, "pdma", Cpu(1));
    let lines: Vec<Line> = (0..LINES).map(line).collect();
    let model = Box::new(Pdma::new(PIECE, behaviour));
    (machine.attach("pdma", model, &lines), lines)
}

pub(crate) fn register(
    machine: &Machine,
    passive: &Passive,
    registers: impl Registers + 'static,
    lines: Vec<Line>,
) -> Bench {
    let setup = Setup::new(Arc::new(PdmaController::new(registers))).lines(lines);
    let platform = Platform::new(machine, None, Policy::default());
    Bench {
        machine: machine.clone(),
        system: platform.register(passive, setup).unwrap(),
        platform,
        port: Port::default(),
        other: Port::default(),
    }
}

pub(crate) fn healthy(machine: &Machine, passive: &Passive, behaviour: Behaviour) -> Bench {
    let (registers, lines) = hardware(machine, passive, behaviour);
    register(machine, passive, registers, lines)
}

/// One channel with all that a transfer on it needs.
pub(crate) struct Copy {
    pub(crate) machine: Machine,
    pub(crate) adapter: Adapter<Machine>,
    pub(crate) context: Arc<TransferContext>,
    pub(crate) buffer: Lease<Memory>,
    pub(crate) device: Lease<Memory>,
    pub(crate) told: Told,
    pub(crate) signal: Arc<Signal>,
    pub(crate) write: bool,
}

impl Copy {
    pub(crate) fn new(bench: &Bench, passive: &mut Passive, channel: u32, write: bool) -> Self {
        let machine = bench.machine.clone();
        let device = shared(&machine, u64::from(LENGTH), 64);
        let description = DeviceDescription {
            device_address: device.address(),
            maximum_length: 4096,
            width: DmaWidth::BITS_32,
            ..DeviceDescription::system(channel, channel)
        };
        let adapter = bench.system.adapter(passive, description).unwrap();
        let context = Arc::new(ready(passive, &adapter));
        allocate(bench, passive, &adapter, &context).unwrap();
        let buffer = Lease::new(machine.memory(), u64::from(LENGTH), 64).unwrap();
        let source = if write { &buffer } else { &device };
        machine.memory().write(source.address(), &pattern()).unwrap();
        Self {
            adapter,
            context,
            buffer,
            device,
            told: Told::default(),
            signal: Arc::new(machine.signal(passive, "told")),
            machine,
            write,
        }
    }

    pub(crate) fn map(&self, level: AtMostDispatch<'_>) -> Result<u32, MapError> {
        let (told, signal) = (self.told.clone(), Arc::clone(&self.signal));
        let segments = [self.buffer.range()];
        let request = MapRequest {
            completion: Some(Arc::new(move |_, _, _, context, status| {
                assert_eq!(context, CONTEXT);
                told.0.lock().unwrap().push(status);
                signal.set();
            })),
            context: CONTEXT,
            ..MapRequest::new(Segments::new(&segments), LENGTH, self.write)
        };
        self.adapter.map_transfer(level, &self.context, request)
    }

    pub(crate) fn arm_cancel(&self) {
        let (adapter, context) = (self.adapter.clone(), Arc::clone(&self.context));
        self.machine.arm(move |dispatch| {
            let _ = adapter.cancel_mapped(dispatch, &context);
        });
    }

    /// How many bytes are where they belong; all behind them must be untouched.
    pub(crate) fn arrived(&self) -> usize {
        let target = if self.write { &self.device } else { &self.buffer };
        let bytes = self.machine.look(target.range());
        let arrived = bytes.iter().zip(pattern()).take_while(|(a, b)| **a == *b).count();
        assert!(bytes[arrived..].iter().all(|byte| *byte == 0), "{bytes:?}");
        arrived
    }

    /// Flushes and frees. Says how it ended, and how many bytes the counter says are left.
    pub(crate) fn end(&self, bench: &Bench, passive: &mut Passive) -> (Verdict, u32) {
        let range = self.buffer.range();
        let verdict = flush(&self.adapter, &*passive, &self.context, range, LENGTH, self.write).unwrap();
        let left = self.adapter.read_counter(&*passive);
        free(bench, passive, &self.adapter, &self.context);
        self.adapter.wait_for_callbacks(passive);
        assert_eq!(self.told.list(), [DmaCompletionStatus::from(verdict)]);
        (verdict, left)
    }
}

/// A whole transfer that nothing disturbs.
pub(crate) fn transfer(bench: &Bench, passive: &mut Passive, channel: u32, write: bool) {
    let copy = Copy::new(bench, passive, channel, write);
    assert_eq!(copy.map((&*passive).into()), Ok(LENGTH));
    let _ = copy.signal.wait(passive);
    assert_eq!(copy.end(bench, passive), (Verdict::Completed, 0));
    assert_eq!(copy.arrived(), LENGTH as usize);
}

pub(crate) fn poke(registers: &impl Registers, channel: u32, register: Register, value: u64) {
    let at = register.of(channel);
    registers.write(at, register.row().width, value).unwrap();
}

pub(crate) fn control(registers: &impl Registers, channel: u32) -> Control {
    let value = registers
        .read(Register::Control.of(channel), Width::Long)
        .unwrap();
    Control::from_bits_retain(value as u32)
}

pub(crate) fn program<'a>(segments: &'a [BusRange], device: BusAddress) -> Program<'a> {
    Program {
        request_line: 0,
        segments: Segments::new(segments),
        device_address: device,
        write_to_device: true,
        looped: false,
        demand_mode: false,
        width: DmaWidth::BITS_32,
    }
}
