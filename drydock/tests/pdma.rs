//! The PDMA's driver on the PDMA's model, under the whole stack.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;
mod mortal;
mod platform;

use bench::driver::free;
use bench::{explore_runs, go, shared, strike_runs};
use longshore_core::Passive;
use longshore_core::completion::Verdict;
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_drydock::machine::{Device, Machine, Memory};
use longshore_drydock::{Fault, Plan};
use longshore_hardware::Lease;
use longshore_hardware::pdma::{Control, Register};
use longshore_models::pdma::Behaviour;
use longshore_wdm::MapError;
use longshore_wdm::state::Refusal;
use mortal::{Broken, Mortal};
use platform::{Copy, LENGTH, PIECE, control, hardware, healthy, poke, register, transfer};

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
            let memory = shared(machine, 128, 64);
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
