//! The PDMA's driver on the PDMA's model, under the whole stack.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;
mod mortal;

use bench::driver::{CONTEXT, Told, allocate, flush, free, ready};
use bench::{Bench, explore_runs, strike_runs};
use longshore_core::completion::Verdict;
use longshore_core::event::{Event, Owner, Rule};
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Passive};
use longshore_drydock::machine::{Device, Line, Machine, Memory, Signal};
use longshore_drydock::reference::Port;
use longshore_drydock::{Config, Fault, Plan, Run, run};
use longshore_engines::pdma::PdmaController;
use longshore_hardware::pdma::{Control, LINES, Register};
use longshore_hardware::{BusAddress, DmaMemory, Lease, Registers, Width};
use longshore_models::pdma::{Behaviour, Pdma};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, Controller, DeviceDescription, DmaCompletionStatus, DmaWidth, InterruptType, MapError,
    MapRequest, Program, ProgramError, Setup, SystemDma, TransferContext,
};
use mortal::{Broken, Mortal};
use std::sync::Arc;

const LENGTH: u32 = 24;

/// How many bytes the model moves at a time.
const PIECE: u64 = 4;

/// What the source of a copy holds.
fn pattern() -> Vec<u8> {
    (1..=LENGTH as u8).collect()
}

fn go(plan: Plan, scenario: impl Fn(&Machine, &mut Passive) + Send + 'static) -> Run {
    run(&Config::default(), &plan, Default::default(), scenario)
}

fn hardware(machine: &Machine, passive: &Passive, behaviour: Behaviour) -> (Device, Vec<Line>) {
    let line = |_| machine.line(passive, "pdma", Cpu(1));
    let lines: Vec<Line> = (0..LINES).map(line).collect();
    let model = Box::new(Pdma::new(PIECE, behaviour));
    (machine.attach("pdma", model, &lines), lines)
}

fn register(
    machine: &Machine,
    passive: &Passive,
    registers: impl Registers + 'static,
    lines: Vec<Line>,
) -> Bench {
    let setup = Setup::new(Arc::new(PdmaController::new(registers))).lines(lines);
    Bench {
        machine: machine.clone(),
        system: SystemDma::register(passive, machine, setup).unwrap(),
        port: Port::default(),
    }
}

fn healthy(machine: &Machine, passive: &Passive, behaviour: Behaviour) -> Bench {
    let (registers, lines) = hardware(machine, passive, behaviour);
    register(machine, passive, registers, lines)
}

/// Memory that stands for a device: whoever wants may touch it.
fn shared(machine: &Machine, len: u32) -> Lease<Memory> {
    let lease = Lease::new(machine.memory(), u64::from(len), 64).unwrap();
    machine.emit(Event::Handover(lease.range(), Owner::Both, Rule("WDM-024")));
    lease
}

/// One channel with all that a transfer on it needs.
struct Copy {
    machine: Machine,
    adapter: Adapter<Machine>,
    context: Arc<TransferContext>,
    buffer: Lease<Memory>,
    device: Lease<Memory>,
    told: Told,
    signal: Arc<Signal>,
    write: bool,
}

impl Copy {
    fn new(bench: &Bench, passive: &mut Passive, channel: u32, write: bool) -> Self {
        let machine = bench.machine.clone();
        let device = shared(&machine, LENGTH);
        let description = DeviceDescription {
            channel,
            request_line: channel,
            device_address: device.address(),
            maximum_length: 4096,
            auto_initialize: false,
            demand_mode: false,
            width: DmaWidth::BITS_32,
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

    fn map(&self, level: AtMostDispatch<'_>) -> Result<u32, MapError> {
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

    fn arm_cancel(&self) {
        let (adapter, context) = (self.adapter.clone(), Arc::clone(&self.context));
        self.machine.arm(move |dispatch| {
            let _ = adapter.cancel_mapped(dispatch, &context);
        });
    }

    /// How many bytes are where they belong; all behind them must be untouched.
    fn arrived(&self) -> usize {
        let target = if self.write { &self.device } else { &self.buffer };
        let bytes = self.machine.look(target.range());
        let arrived = bytes.iter().zip(pattern()).take_while(|(a, b)| **a == *b).count();
        assert!(bytes[arrived..].iter().all(|byte| *byte == 0), "{bytes:?}");
        arrived
    }

    /// Flushes and frees. Says how it ended, and how many bytes the counter says are left.
    fn end(&self, bench: &Bench, passive: &mut Passive) -> (Verdict, u32) {
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
fn transfer(bench: &Bench, passive: &mut Passive, channel: u32, write: bool) {
    let copy = Copy::new(bench, passive, channel, write);
    assert_eq!(copy.map((&*passive).into()), Ok(LENGTH));
    let _ = copy.signal.wait(passive);
    assert_eq!(copy.end(bench, passive), (Verdict::Completed, 0));
    assert_eq!(copy.arrived(), LENGTH as usize);
}

/// Proves: WDM-308.
#[test]
fn a_transfer_each_way_completes_by_its_channel_s_own_interrupt() {
    for behaviour in [Behaviour::Manual, Behaviour::Qemu] {
        explore_runs(60, "", |plan| {
            go(plan, move |machine, passive| {
                let bench = healthy(machine, passive, behaviour);
                assert!(!bench.system.attributes().generates_interrupt);
                for (channel, write) in [(0, true), (0, false), (3, false), (2, true)] {
                    transfer(&bench, passive, channel, write);
                }
            })
        });
    }
}

#[test]
fn two_channels_work_at_once() {
    explore_runs(100, "", |plan| {
        go(plan, |machine, passive| {
            let bench = healthy(machine, passive, Behaviour::Manual);
            let copies = [
                Copy::new(&bench, passive, 1, true),
                Copy::new(&bench, passive, 2, false),
            ];
            for copy in &copies {
                assert_eq!(copy.map((&*passive).into()), Ok(LENGTH));
            }
            for copy in &copies {
                let _ = copy.signal.wait(passive);
                assert_eq!(copy.end(&bench, passive), (Verdict::Completed, 0));
                assert_eq!(copy.arrived(), LENGTH as usize);
            }
        })
    });
}

/// A transfer that is cancelled at some point, and the one after it.
fn cancelled(machine: &Machine, passive: &mut Passive, behaviour: Behaviour) {
    let bench = healthy(machine, passive, behaviour);
    let copy = Copy::new(&bench, passive, 0, false);
    copy.arm_cancel();
    let mapped = copy.map((&*passive).into());
    if mapped == Err(MapError::Refused(Refusal::Cancelled)) {
        free(&bench, passive, &copy.adapter, &copy.context);
        assert_eq!((copy.told.count(), copy.arrived()), (0, 0));
        return;
    }
    mapped.unwrap();
    let _ = copy.signal.wait(passive);
    machine.disarm();
    let (verdict, left) = copy.end(&bench, passive);
    assert_eq!(copy.arrived(), (LENGTH - left) as usize, "exact residual");
    match verdict {
        Verdict::Completed => assert_eq!(left, 0),
        // The engine knows to the byte whether it was done: a cancel that says so came in time.
        Verdict::Cancelled => assert!(left > 0, "all was moved, and yet it was cancelled"),
        Verdict::Failed(_) => panic!("nothing failed"),
    }
    transfer(&bench, passive, 0, true);
    assert_eq!(copy.told.count(), 1);
}

/// Both on hardware that keeps what is latched and on such as latches what is written to it.
///
/// Proves: R1, WDM-315, WDM-321.
#[test]
fn cancel_at_every_point_is_decided_truthfully() {
    for behaviour in [Behaviour::Manual, Behaviour::Qemu] {
        let cancelled =
            move |machine: &Machine, passive: &mut Passive| cancelled(machine, passive, behaviour);
        strike_runs(&format!("{behaviour:?}"), |plan| go(plan, cancelled));
        // And on more walks, for the moments between two accesses of the cancel.
        for seed in 0..2_000 {
            let plan = Plan::seed(seed).strike_at(seed as u32 % 50);
            bench::expect_clean(&go(plan, cancelled));
        }
    }
}

/// An interrupt that nothing asks for, at every point.
///
/// Proves: WDM-316.
#[test]
fn an_interrupt_without_a_reason_changes_nothing() {
    let scenario = |machine: &Machine, passive: &mut Passive| {
        let bench = healthy(machine, passive, Behaviour::Manual);
        machine.arm(|_| {});
        transfer(&bench, passive, 0, true);
    };
    let quiet = go(Plan::straight(), scenario);
    bench::expect_clean(&quiet);
    for point in 0..quiet.armed_points {
        let plan = Plan::straight().with_fault(Fault::InterruptEarly(point));
        bench::expect_clean(&go(plan, scenario));
    }
}

#[test]
fn a_bus_error_at_any_byte_ends_the_transfer_with_an_error() {
    for byte in 0..u64::from(LENGTH) {
        for plan in [Plan::straight(), Plan::seed(byte)] {
            let run = go(plan.with_fault(Fault::BusError(byte)), move |machine, passive| {
                let bench = healthy(machine, passive, Behaviour::Manual);
                let copy = Copy::new(&bench, passive, 0, true);
                machine.arm(|_| {});
                copy.map((&*passive).into()).unwrap();
                let _ = copy.signal.wait(passive);
                machine.disarm();
                let (verdict, left) = copy.end(&bench, passive);
                assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
                // Bytes of the piece that broke may be there; they are not counted.
                assert_eq!(u64::from(LENGTH - left), byte / PIECE * PIECE);
                assert!(copy.arrived() >= (LENGTH - left) as usize);
                transfer(&bench, passive, 0, true);
            });
            bench::expect_clean(&run);
        }
    }
}

#[test]
fn the_counter_goes_down_and_never_says_too_little() {
    explore_runs(60, "", |plan| {
        go(plan, |machine, passive| {
            let bench = healthy(machine, passive, Behaviour::Manual);
            let copy = Copy::new(&bench, passive, 0, true);
            copy.map((&*passive).into()).unwrap();
            let mut before = LENGTH;
            while copy.adapter.poll(&*passive, &copy.context).outcome.is_none() {
                let left = copy.adapter.read_counter(&*passive);
                assert!(left <= before);
                assert!(copy.arrived() >= (LENGTH - left) as usize);
                before = left;
                machine.relax();
            }
            let _ = copy.signal.wait(passive);
            assert_eq!(copy.end(&bench, passive), (Verdict::Completed, 0));
        })
    });
}

fn poke(registers: &impl Registers, channel: u32, register: Register, value: u64) {
    let at = register.of(channel);
    registers.write(at, register.row().width, value).unwrap();
}

fn control(registers: &impl Registers, channel: u32) -> Control {
    let value = registers
        .read(Register::Control.of(channel), Width::Long)
        .unwrap();
    Control::from_bits_retain(value as u32)
}

/// Leaves the engine as a system that went down may have: channels that run, or have ended, for somebody who is gone.
fn leave_behind(registers: &Device, memory: &Lease<Memory>, seed: u64) {
    for channel in 0..4u32 {
        let bits = seed.rotate_left(channel * 13);
        let half = memory.len() / 2;
        poke(registers, channel, Register::Control, 1);
        poke(registers, channel, Register::NextConfig, bits & 0x4400_000c);
        poke(registers, channel, Register::NextBytes, bits >> 7 & 63);
        poke(registers, channel, Register::NextSource, memory.address().raw());
        poke(
            registers,
            channel,
            Register::NextDestination,
            memory.address().raw() + half,
        );
        poke(registers, channel, Register::Control, bits & 0xc003);
    }
}

/// Proves: PAIN-01.
#[test]
fn attaching_starts_from_whatever_was_left_behind() {
    for seed in 0..120u64 {
        let behaviour = [Behaviour::Manual, Behaviour::Qemu][seed as usize % 2];
        let run = go(Plan::seed(seed), move |machine, passive| {
            let memory = shared(machine, 128);
            let (registers, lines) = hardware(machine, passive, behaviour);
            leave_behind(&registers, &memory, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for _ in 0..seed % 16 {
                machine.relax();
            }
            let bench = register(machine, passive, registers.clone(), lines);
            for channel in 0..4 {
                assert_eq!(control(&registers, channel), Control::empty());
            }
            let quiet = machine.look(memory.range());
            for channel in 0..4 {
                transfer(&bench, passive, channel, channel % 2 == 0);
            }
            assert_eq!(machine.look(memory.range()), quiet, "a channel went on");
        });
        bench::expect_clean(&run);
    }
}

/// An interrupt that was latched for a transfer which is no more.
///
/// Proves: WDM-316.
#[test]
fn what_is_left_latched_is_acknowledged_and_skipped() {
    let run = go(Plan::straight(), |machine, passive| {
        let (registers, _lines) = hardware(machine, passive, Behaviour::Qemu);
        let controller = PdmaController::new(registers.clone());
        controller.initialize();
        for latched in [Control::DONE, Control::ERROR, Control::LATCHED] {
            let value = (Control::CLAIM | Control::INTERRUPTS | latched).bits();
            poke(&registers, 1, Register::Control, u64::from(value));
            assert_eq!(controller.interrupt(), None);
            assert_eq!(control(&registers, 1) & Control::LATCHED, Control::empty());
        }
    });
    bench::expect_clean(&run);
}

fn program<'a>(segments: &'a [longshore_hardware::BusRange], device: BusAddress) -> Program<'a> {
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

#[test]
fn what_the_engine_cannot_do_is_refused_and_nothing_starts() {
    let run = go(Plan::straight(), |machine, passive| {
        let (registers, _lines) = hardware(machine, passive, Behaviour::Manual);
        let controller = PdmaController::new(registers.clone());
        controller.initialize();
        let memory = shared(machine, 64);
        let (whole, part) = (memory.range(), memory.range().slice(0, 8).unwrap());
        let device = memory.address();
        let attempt = |program: &Program<'_>| controller.program(0, program);
        let segments = [whole];
        let looped = Program {
            looped: true,
            ..program(&segments, device)
        };
        assert_eq!(attempt(&looped), Err(ProgramError::Unsupported));
        assert_eq!(
            attempt(&program(&[part, part], device)),
            Err(ProgramError::TooManyFragments)
        );
        assert_eq!(
            attempt(&program(&[], device)),
            Err(ProgramError::TooManyFragments)
        );
        let wrapping = BusAddress::new(u64::MAX - 8);
        assert_eq!(
            attempt(&program(&[whole], wrapping)),
            Err(ProgramError::Unreachable)
        );
        assert_eq!(
            controller.program(4, &program(&[whole], device)),
            Err(ProgramError::NoChannel)
        );
        assert_eq!(control(&registers, 0), Control::empty());
        assert_eq!(attempt(&program(&[part], device)), Ok(()));
        assert_eq!(
            attempt(&program(&[part], device)),
            Err(ProgramError::NoChannel),
            "busy"
        );
        assert!(!controller.validate_request_line_binding(0, 4));
        assert!(!controller.validate_request_line_binding(4, 0));
        assert!(controller.validate_request_line_binding(3, 0));
        assert!(controller.cancel(0));
        assert!(!controller.cancel(0), "it is idle now");
        assert!(!controller.cancel(4));
    });
    bench::expect_clean(&run);
}

/// A device may be gone before any access.
///
/// Proves: PAIN-03.
#[test]
fn an_engine_that_is_gone_neither_hangs_nor_lies() {
    for how in [Broken::Gone, Broken::Ones] {
        for after in 0..80 {
            let run = go(Plan::straight(), move |machine, passive| {
                let (registers, lines) = hardware(machine, passive, Behaviour::Manual);
                let registers = Mortal::new(registers, after, how);
                let bench = register(machine, passive, registers.clone(), lines);
                let copy = Copy::new(&bench, passive, 0, true);
                match copy.map((&*passive).into()) {
                    Ok(mapped) => {
                        assert_eq!(mapped, LENGTH);
                        // Long enough for whatever is still coming.
                        for _ in 0..200 {
                            machine.relax();
                        }
                        let _ = copy.adapter.cancel_mapped(&*passive, &copy.context);
                        let _ = copy.signal.wait(passive);
                        let (verdict, left) = copy.end(&bench, passive);
                        assert!(copy.arrived() >= (LENGTH - left) as usize);
                        assert!(verdict != Verdict::Completed || copy.arrived() == LENGTH as usize);
                    }
                    Err(error) => {
                        assert_eq!(error, MapError::NotStarted);
                        free(&bench, passive, &copy.adapter, &copy.context);
                    }
                }
                assert!(registers.accesses() < 1_000);
            });
            // Nothing can be done about a line that a dead device holds.
            let ours: Vec<_> = run.findings.iter().filter(|f| f.rule.0 != "PAIN-04").collect();
            assert!(ours.is_empty(), "{how:?} {after}: {ours:#?}");
        }
    }
}

#[test]
fn a_channel_that_does_not_stop_is_not_waited_for_and_not_said_to_be_stopped() {
    let run = go(Plan::straight(), |machine, passive| {
        let (registers, _lines) = hardware(machine, passive, Behaviour::Manual);
        let memory = shared(machine, 64);
        let segments = [memory.range()];
        let never = PdmaController::new(Mortal::new(registers.clone(), 0, Broken::Runs));
        never.initialize();
        let program = program(&segments, memory.address());
        assert_eq!(never.program(0, &program), Err(ProgramError::NoChannel));
        // A start takes fewer accesses than these; afterwards it does not stop any more.
        let late = Mortal::new(registers, 12, Broken::Runs);
        let controller = PdmaController::new(late.clone());
        controller.program(2, &program).unwrap();
        late.break_now();
        assert!(!controller.cancel(2));
        assert!(late.accesses() < 2_000);
    });
    bench::expect_clean(&run);
}

#[test]
fn an_error_is_reported_as_such_and_once() {
    let run = go(Plan::straight(), |machine, passive| {
        let (registers, _lines) = hardware(machine, passive, Behaviour::Manual);
        let controller = PdmaController::new(registers);
        controller.initialize();
        let memory = shared(machine, 16);
        let beyond = BusAddress::new(Config::default().memory);
        controller
            .program(3, &program(&[memory.range()], beyond))
            .unwrap();
        for _ in 0..50 {
            machine.relax();
        }
        assert!(!controller.cancel(3), "its interrupt is asserted");
        assert_eq!(controller.interrupt(), Some((3, InterruptType::Error)));
        assert_eq!((controller.interrupt(), controller.remaining(3)), (None, 16));
        controller.flush(3);
        assert_eq!(controller.remaining(3), 0);
    });
    bench::expect_clean(&run);
}
