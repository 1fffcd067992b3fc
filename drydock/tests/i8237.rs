//! The 8237A's driver on the 8237A's model, under the whole stack.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod at;
mod bench;
mod mortal;

use at::{Hardware, Job, LENGTH, SEATS, bench_of, description, program, transfer};
use bench::driver::{allocate, free, ready};
use bench::{expect_clean, explore_runs, go, shared, strike_runs};
use longshore_core::completion::Verdict;
use longshore_core::machine::Machine as _;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::Plan;
use longshore_drydock::machine::Machine;
use longshore_engines::i8237::configure::{SET_CASCADE, SET_SERVICE, ServiceMode};
use longshore_hardware::{Registers, Width};
use longshore_models::i8237::Quirks;
use longshore_wdm::state::Refusal;
use longshore_wdm::{AdapterError, Controller, DeviceDescription, DmaWidth, MapError, Program};
use mortal::{Broken, Mortal};
use std::sync::Arc;

/// On the hardware of the data sheet, and on QEMU's.
///
/// Proves: WDM-308.
#[test]
fn a_transfer_each_way_on_each_controller_is_polled_for_and_tells_nobody() {
    for quirks in [Quirks::empty(), Quirks::all()] {
        explore_runs(40, &format!("{quirks:?}"), |plan| {
            go(plan, move |machine, passive| {
                let hardware = Hardware::new(machine, quirks);
                let bench = hardware.bench(machine, passive);
                for channel in SEATS {
                    transfer(&bench, passive, &hardware, channel, true);
                    transfer(&bench, passive, &hardware, channel, false);
                }
            })
        });
    }
}

/// On demand, or one unit at a time: nothing moves before the device raises its request, and then all of it does.
///
/// Proves: WDM-275.
#[test]
fn on_demand_a_transfer_begins_with_the_request_and_not_earlier() {
    for demand_mode in [true, false] {
        explore_runs(40, &format!("demand: {demand_mode}"), move |plan| {
            go(plan, move |machine, passive| {
                let hardware = Hardware::new(machine, Quirks::empty());
                let bench = hardware.bench(machine, passive);
                for (channel, write) in [(1, false), (5, true)] {
                    let mut job = Job::new(&bench, passive, &hardware, channel, LENGTH, write);
                    free(&bench, passive, &job.adapter, &job.context);
                    let description = DeviceDescription {
                        demand_mode,
                        ..description(channel)
                    };
                    job.adapter = bench.system.adapter(passive, description).unwrap();
                    job.context = Arc::new(ready(passive, &job.adapter));
                    allocate(&bench, passive, &job.adapter, &job.context).unwrap();
                    assert_eq!(job.map(passive), Ok(LENGTH));
                    for _ in 0..20 {
                        machine.relax();
                        assert_eq!(job.adapter.poll(&*passive, &job.context).remaining, LENGTH);
                    }
                    assert_eq!((job.arrived(), job.device.acknowledged()), (0, 0));
                    // The device asks for half of it, and drops its request; then for the rest.
                    job.offer(LENGTH / 2);
                    while job.arrived() < LENGTH / 2 {
                        assert_eq!(job.adapter.poll(&*passive, &job.context).outcome, None);
                        machine.relax();
                    }
                    match write {
                        true => job.device.make_room(LENGTH as usize / 2),
                        false => job.device.supply(&at::pattern(LENGTH)[LENGTH as usize / 2..]),
                    }
                    job.wait(passive);
                    assert_eq!(job.arrived(), LENGTH);
                    assert_eq!(job.end(&bench, passive), (Verdict::Completed, 0));
                }
            })
        });
    }
}

/// Reading the status of one channel says of three others, once, that they have ended.
#[test]
fn ends_that_are_seen_by_the_way_are_not_lost() {
    explore_runs(60, "", |plan| {
        go(plan, |machine, passive| {
            let hardware = Hardware::new(machine, Quirks::empty());
            let bench = hardware.bench(machine, passive);
            let jobs: Vec<Job> = SEATS
                .iter()
                .map(|&channel| Job::new(&bench, passive, &hardware, channel, LENGTH, channel % 2 == 0))
                .collect();
            for job in &jobs {
                job.offer(LENGTH);
                assert_eq!(job.map(passive), Ok(LENGTH));
            }
            for job in &jobs {
                job.wait(passive);
                assert_eq!(job.arrived(), LENGTH);
                assert_eq!(job.end(&bench, passive), (Verdict::Completed, 0));
            }
        })
    });
}

/// A transfer that is cancelled at some point, and the one after it.
fn cancelled(machine: &Machine, passive: &mut Passive, channel: u32, write: bool, offered: u32) {
    let hardware = Hardware::new(machine, Quirks::empty());
    let bench = hardware.bench(machine, passive);
    let job = Job::new(&bench, passive, &hardware, channel, LENGTH, write);
    job.offer(offered);
    job.arm_cancel();
    let mapped = job.map(passive);
    if mapped == Err(MapError::Refused(Refusal::Cancelled)) {
        free(&bench, passive, &job.adapter, &job.context);
        assert_eq!(job.arrived(), 0);
        return;
    }
    mapped.unwrap();
    if offered < LENGTH {
        let _ = job.adapter.cancel_mapped(&*passive, &job.context);
    }
    job.wait(passive);
    machine.disarm();
    let arrived = job.arrived();
    let (verdict, left) = job.end(&bench, passive);
    assert_eq!(arrived, LENGTH - left, "exact residual");
    match verdict {
        Verdict::Completed => assert_eq!(left, 0),
        // The status knows to the byte whether it was done: a cancel that says so came in time.
        Verdict::Cancelled => assert!(left > 0, "all was moved, and yet it was cancelled"),
        Verdict::Failed(_) => panic!("nothing failed"),
    }
    transfer(&bench, passive, &hardware, channel, !write);
}

/// Proves: R1.
#[test]
fn cancel_at_every_point_is_decided_truthfully() {
    for (channel, write) in [(1, false), (2, true), (5, true), (7, false)] {
        strike_runs(&format!("{channel}"), |plan| {
            go(plan, move |machine, passive| {
                cancelled(machine, passive, channel, write, LENGTH)
            })
        });
    }
}

/// Proves: PAIN-14.
#[test]
fn a_device_that_starves_is_cancelled_to_the_byte() {
    strike_runs("", |plan| {
        go(plan, |machine, passive| cancelled(machine, passive, 5, false, 10))
    });
}

/// A transfer that the device ends by EOP is not complete.
#[test]
fn a_transfer_that_was_cut_short_is_no_completion() {
    explore_runs(30, "", |plan| {
        go(plan, |machine, passive| {
            let hardware = Hardware::new(machine, Quirks::empty());
            let bench = hardware.bench(machine, passive);
            let job = Job::new(&bench, passive, &hardware, 2, LENGTH, false);
            job.offer(LENGTH);
            job.device.end_after(10);
            job.map(passive).unwrap();
            job.wait(passive);
            assert_eq!(job.arrived(), 10);
            let (verdict, left) = job.end(&bench, passive);
            assert!(matches!(verdict, Verdict::Failed(_)));
            assert_eq!(left, LENGTH - 10);
            transfer(&bench, passive, &hardware, 2, true);
        })
    });
}

/// More than 256 units, so that the count's low byte borrows from its high byte while it is read.
#[test]
fn the_counter_never_tears() {
    for (channel, write) in [(1, true), (7, false)] {
        explore_runs(30, "", |plan| {
            go(plan, move |machine, passive| {
                let hardware = Hardware::new(machine, Quirks::empty());
                let bench = hardware.bench(machine, passive);
                let job = Job::new(&bench, passive, &hardware, channel, 1100, write);
                job.offer(job.len());
                job.map(passive).unwrap();
                let mut before = job.len();
                while job.adapter.poll(&*passive, &job.context).outcome.is_none() {
                    let not_yet = job.len() - job.arrived();
                    let left = job.adapter.read_counter(&*passive);
                    assert!(left <= before && left <= not_yet, "{left} of {not_yet}");
                    assert!(left >= job.len() - job.arrived());
                    before = left;
                    machine.relax();
                }
                assert_eq!(job.end(&bench, passive), (Verdict::Completed, 0));
            })
        });
    }
}

#[test]
fn channel_4_has_no_adapter() {
    let run = go(Plan::straight(), |machine, passive| {
        let hardware = Hardware::new(machine, Quirks::empty());
        let bench = hardware.bench(machine, passive);
        let refused = bench.system.adapter(passive, description(4)).map(|_| ());
        assert_eq!(refused, Err(AdapterError::BadBinding));
    });
    expect_clean(&run);
}

/// Proves: WDM-210, WDM-211, RL-11.
#[test]
fn a_driver_configures_its_channel_before_the_map() {
    let run = go(Plan::straight(), |machine, passive| {
        let hardware = Hardware::new(machine, Quirks::empty());
        let bench = hardware.bench(machine, passive);
        let job = Job::new(&bench, passive, &hardware, 1, LENGTH, true);
        let configure = |function, argument| {
            let level = Passive::now(machine).unwrap();
            job.adapter
                .configure(&level, &job.context, function, argument)
                .unwrap()
        };
        assert_eq!(configure(0x8000, 0), NtStatus::NOT_IMPLEMENTED);
        assert_eq!(configure(SET_SERVICE, 4), NtStatus::INVALID_PARAMETER);
        assert_eq!(configure(SET_CASCADE, 2), NtStatus::INVALID_PARAMETER);
        assert_eq!(
            configure(SET_SERVICE, ServiceMode::Block as usize),
            NtStatus::SUCCESS
        );
        // One request moves everything.
        job.offer(1);
        job.map(passive).unwrap();
        for argument in [0, 9] {
            assert_eq!(configure(SET_SERVICE, argument), NtStatus::INVALID_DEVICE_STATE);
        }
        assert_eq!(configure(SET_CASCADE, 1), NtStatus::INVALID_DEVICE_STATE);
        job.wait(passive);
        assert_eq!(job.arrived(), LENGTH);
        assert_eq!(job.end(&bench, passive), (Verdict::Completed, 0));
    });
    expect_clean(&run);
}

/// Channels that run for somebody who is gone, and a flip-flop in the middle.
///
/// Proves: PAIN-01.
#[test]
fn attaching_starts_from_whatever_was_left_behind() {
    for seed in 0..100u64 {
        let run = go(Plan::seed(seed), move |machine, passive| {
            let hardware = Hardware::new(machine, Quirks::empty());
            let memory = shared(machine, 64, 64);
            let former = hardware.controller();
            let (byte, word) = (
                [memory.range().slice(0, 32).unwrap()],
                [memory.range().slice(32, 32).unwrap()],
            );
            hardware.device(1).make_room(32);
            hardware.device(5).supply(&[7; 32]);
            former.program(1, &program(1, &byte)).unwrap();
            let from_device = Program {
                write_to_device: false,
                looped: seed % 3 == 0,
                ..program(5, &word)
            };
            former.program(5, &from_device).unwrap();
            for _ in 0..seed % 20 {
                machine.relax();
            }
            for port in [0x00, 0xc0] {
                let _ = hardware.registers.write(port, Width::Byte, seed & 0xff);
            }
            if seed % 2 == 0 {
                let _ = hardware.registers.write(0xd0, Width::Byte, 0x04);
            }
            let bench = hardware.bench(machine, passive);
            let (quiet, taken) = (machine.look(memory.range()), hardware.device(1).taken());
            for _ in 0..20 {
                machine.relax();
            }
            assert_eq!(machine.look(memory.range()), quiet, "a channel went on");
            assert_eq!(hardware.device(1).taken(), taken);
            for channel in SEATS {
                hardware.device(channel).clear();
                transfer(&bench, passive, &hardware, channel, channel != 2);
            }
        });
        expect_clean(&run);
    }
}

/// A word's channel cannot serve a byte's port, nor the other way round; that is known before anything is mapped.
///
/// Proves: WDM-063, PAIN-19.
#[test]
fn a_port_of_the_other_width_gets_no_adapter() {
    let run = go(Plan::straight(), |machine, passive| {
        let hardware = Hardware::new(machine, Quirks::empty());
        let bench = hardware.bench(machine, passive);
        for channel in [0, 3, 5, 7] {
            for width in [DmaWidth::BITS_8, DmaWidth::BITS_16, DmaWidth::BITS_32] {
                let wanted = DeviceDescription {
                    width,
                    ..description(channel)
                };
                let refused = bench.system.adapter(passive, wanted).err();
                let bad = Some(AdapterError::BadWidth);
                assert_eq!(
                    refused,
                    bad.filter(|_| width != at::width(channel)),
                    "{channel} {width:?}"
                );
            }
        }
    });
    expect_clean(&run);
}

/// A pair that is gone before any access.
///
/// Proves: PAIN-03.
#[test]
fn a_pair_that_is_gone_neither_hangs_nor_lies() {
    for how in [Broken::Gone, Broken::Ones] {
        for after in 0..120 {
            let run = go(Plan::straight(), move |machine, passive| {
                let hardware = Hardware::new(machine, Quirks::empty());
                let ports = Mortal::new(hardware.registers.clone(), after, how);
                let bench = bench_of(machine, passive, ports.clone());
                let job = Job::new(&bench, passive, &hardware, 5, LENGTH, true);
                job.offer(LENGTH);
                let was_dead = ports.accesses() >= after;
                let mapped = job.map(passive);
                assert!(!was_dead || mapped.is_err());
                if let Err(error) = mapped {
                    assert_eq!(error, MapError::NotStarted);
                    free(&bench, passive, &job.adapter, &job.context);
                } else {
                    for _ in 0..50 {
                        machine.relax();
                        let _ = job.adapter.poll(&*passive, &job.context);
                    }
                    let _ = job.adapter.cancel_mapped(&*passive, &job.context);
                    assert!(job.adapter.poll(&*passive, &job.context).outcome.is_some());
                    let arrived = job.arrived();
                    let (verdict, left) = job.end(&bench, passive);
                    assert!(arrived >= LENGTH - left, "{verdict:?}, {left}");
                    assert!(verdict != Verdict::Completed || arrived == LENGTH);
                }
                assert!(ports.accesses() < 1_000);
            });
            expect_clean(&run);
        }
    }
}
