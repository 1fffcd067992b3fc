//! The NDIS channel on the reference controller, under many schedules and completed early at every point.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::nic::{Loose, Nic, SUCCESS, misuses, said, wait_for_nic};
use bench::{Bench, expect_finding, explore, one, strike_everywhere};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{Passive, Rule};
use longshore_drydock::Plan;
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::DmaMemory;
use longshore_ndis::{Direction, DmaDescription, NdisStatus, RegisterError, WhyNotSetUp};
use longshore_wdm::AdapterError;
use std::sync::{Arc, Mutex};

use Direction::{ReadFromDevice, WriteToDevice};

/// Proves: SEED-002-1, SEED-002-5, SEED-002-6, SEED-002-10, NDIS-030, NDIS-031, NDIS-034, NDIS-040, NDIS-041, NDIS-010.
#[test]
fn set_up_and_complete_both_directions() {
    for interrupts in [true, false] {
        let runs = explore(150, CancelStyle::Honest, interrupts, |bench, passive| {
            let nic = Nic::start(bench, passive);
            let channel = &nic.channel;
            let buffer = bench.buffer(16);
            let segments = [buffer.range()];
            let memory = bench.machine.memory();
            memory.write(buffer.address(), b"0123456789abcdef").unwrap();
            let set_up = channel.set_up(&*passive, Loose::at(segments), 4, 8, WriteToDevice);
            let set_up = set_up.unwrap();
            wait_for_nic(bench, 8);
            assert_eq!(said(set_up.complete(&*passive).unwrap()), SUCCESS);
            assert_eq!(bench.port.taken(), b"456789ab");
            bench.port.supply(b"XYZZY");
            bench.machine.raise(passive, |dispatch| {
                let set_up = channel
                    .set_up(dispatch, Loose::at(segments), 1, 5, ReadFromDevice)
                    .unwrap();
                wait_for_nic(bench, 13);
                assert_eq!(said(set_up.complete(dispatch).unwrap()), SUCCESS);
            });
            let mut bytes = [0; 16];
            memory.read(buffer.address(), &mut bytes).unwrap();
            assert_eq!(&bytes, b"0XYZZY6789abcdef");
            nic.halt(passive);
        });
        for run in runs {
            assert_eq!(misuses(&run), []);
        }
    }
}

/// Proves: SEED-002-9, NDIS-042, NDIS-037.
#[test]
fn touching_before_complete_is_a_finding() {
    let run = one(Plan::straight(), CancelStyle::Honest, true, |bench, passive| {
        let nic = Nic::start(bench, passive);
        let channel = &nic.channel;
        let buffer = bench.buffer(4);
        let segments = [buffer.range()];
        bench.port.supply(&[3; 4]);
        let set_up = channel
            .set_up(&*passive, Loose::at(segments), 0, 4, ReadFromDevice)
            .unwrap();
        wait_for_nic(bench, 4);
        // All bytes are there; they are still not ours.
        let mut byte = [0];
        bench.machine.memory().read(buffer.address(), &mut byte).unwrap();
        assert_eq!(said(set_up.complete(&*passive).unwrap()), SUCCESS);
    });
    expect_finding(&run, "SEED-002-9");
}

/// Proves: SEED-002-8.
#[test]
fn a_send_buffer_stays_the_device_s_until_complete() {
    let run = one(Plan::straight(), CancelStyle::Honest, true, |bench, passive| {
        let nic = Nic::start(bench, passive);
        let channel = &nic.channel;
        let buffer = bench.buffer(4);
        let segments = [buffer.range()];
        let set_up = channel
            .set_up(&*passive, Loose::at(segments), 0, 4, WriteToDevice)
            .unwrap();
        bench.machine.memory().write(buffer.address(), &[1]).unwrap();
        let _ = set_up.complete(&*passive);
    });
    expect_finding(&run, "SEED-002-8");
}

/// A receive that is completed by an intruder, and early by the thread: one of them wins.
fn completed_twice(bench: &Bench, passive: &mut Passive) {
    let nic = Arc::new(Nic::start(bench, passive));
    let channel = &nic.channel;
    let buffer = bench.buffer(12);
    let segments = [buffer.range()];
    bench.port.supply(&[7; 12]);
    let set_up = channel.setup_dma_transfer(&*passive, Segments::new(&segments), 0, 12, false);
    assert_eq!(set_up, NdisStatus::SUCCESS);
    let won = Arc::new(Mutex::new(Vec::new()));
    let (other, note) = (Arc::clone(&nic), Arc::clone(&won));
    bench.machine.arm(move |dispatch| {
        let status = other
            .channel
            .complete_dma_transfer(dispatch, Segments::new(&segments), 0, 12, false);
        note.lock().unwrap().push(status);
    });
    for _ in 0..4 {
        bench.machine.point();
    }
    let status = channel.complete_dma_transfer(&*passive, Segments::new(&segments), 0, 12, false);
    // Who is refused has not got the buffer back: that is the winner's to say.
    while bench.machine.struck() && won.lock().unwrap().is_empty() && !bench.machine.is_over() {
        bench.machine.relax();
    }
    let moved = bench.port.moved() as u32;
    assert_eq!(channel.read_counter(&*passive), 12 - moved, "exact residual");
    let succeeded = [status]
        .into_iter()
        .chain(won.lock().unwrap().iter().copied())
        .filter(|status| *status == NdisStatus::SUCCESS)
        .count();
    assert!(succeeded <= 1 && (succeeded == 0 || moved == 12));
    bench.machine.disarm();
    if let Ok(nic) = Arc::try_unwrap(nic) {
        nic.halt(passive);
    }
}

/// Proves: NDIS-044, NDIS-045, SEED-002-7, RL-09.
#[test]
fn an_early_completion_cuts_and_a_second_one_touches_nothing() {
    for style in [
        CancelStyle::Honest,
        CancelStyle::LatchedReportsCompletion,
        CancelStyle::LatchedReportsCancelled,
        CancelStyle::AlwaysTrue,
    ] {
        strike_everywhere(style, true, completed_twice);
    }
    for run in explore(100, CancelStyle::Honest, true, completed_twice) {
        assert_eq!(misuses(&run), [], "completing early is no misuse");
    }
}

/// Proves: SEED-002-4, NDIS-043, NDIS-032, NDIS-033, NDIS-064, NDIS-015.
#[test]
fn bad_arguments_and_second_transfers_are_refused_at_once() {
    let runs = explore(30, CancelStyle::Honest, true, |bench, passive| {
        let nic = Nic::start(bench, passive);
        let channel = &nic.channel;
        let (buffer, other) = (bench.buffer(80), bench.buffer(80));
        let (segments, others) = ([buffer.range()], [other.range()]);
        let refused = |offset, length| {
            let level = Passive::now(&bench.machine).unwrap();
            let result = channel.set_up(&level, Loose::at(segments), offset, length, WriteToDevice);
            let error = result.map(drop).unwrap_err();
            assert_eq!(error.status, NdisStatus::RESOURCES);
            error.reason
        };
        for (offset, length) in [(0, 0), (76, 5), (u32::MAX, u32::MAX), (0, 65)] {
            assert_eq!(refused(offset, length), WhyNotSetUp::BadLength);
        }
        bench.port.supply(&[1; 8]);
        let level = &*passive;
        let up = channel.setup_dma_transfer(level, Segments::new(&segments), 0, 8, false);
        assert_eq!(up, NdisStatus::SUCCESS);
        assert_eq!(refused(0, 8), WhyNotSetUp::InProgress);
        let wrong = [
            channel.complete_dma_transfer(level, Segments::new(&others), 0, 8, false),
            channel.complete_dma_transfer(level, Segments::new(&segments), 1, 8, false),
            channel.complete_dma_transfer(level, Segments::new(&segments), 0, 7, false),
            channel.complete_dma_transfer(level, Segments::new(&segments), 0, 8, true),
        ];
        assert_eq!(wrong, [NdisStatus::RESOURCES; 4]);
        wait_for_nic(bench, 8);
        let right = channel.complete_dma_transfer(level, Segments::new(&segments), 0, 8, false);
        assert_eq!(right, NdisStatus::SUCCESS, "the refused calls disturbed nothing");
        nic.halt(passive);
    });
    for run in runs {
        let mismatch = ("NdisMCompleteDmaTransfer", "NDIS-043");
        assert_eq!(misuses(&run), [mismatch; 4]);
    }
}

/// Proves: NDIS-046, NDIS-050, NDIS-051.
#[test]
fn the_counter_tells_what_is_left_also_after_completing() {
    explore(30, CancelStyle::Honest, true, |bench, passive| {
        let nic = Nic::start(bench, passive);
        let channel = &nic.channel;
        let buffer = bench.buffer(16);
        let segments = [buffer.range()];
        assert_eq!(channel.read_counter(&*passive), 0);
        bench.port.supply(&[1; 10]);
        let set_up = channel
            .set_up(&*passive, Loose::at(segments), 0, 16, ReadFromDevice)
            .unwrap();
        wait_for_nic(bench, 10);
        while set_up.remaining(&*passive) != 6 {
            bench.machine.relax();
        }
        let completed = set_up.complete(&*passive).unwrap();
        assert_eq!((completed.status, completed.residual), (NdisStatus::RESOURCES, 6));
        assert_eq!(channel.read_counter(&*passive), 6);
    });
}

/// Proves: NDIS-016, NDIS-013.
#[test]
fn a_channel_is_claimed_by_one_miniport() {
    explore(1, CancelStyle::Honest, true, |bench, passive| {
        let first = Nic::start(bench, passive);
        let again = Nic::described(bench, passive, DmaDescription::default());
        assert_eq!(again.map(drop), Err(RegisterError::Conflict));
        assert_eq!(RegisterError::Conflict.status(), NdisStatus::RESOURCE_CONFLICT);
        let beyond = DmaDescription {
            channel: Some(77),
            ..DmaDescription::default()
        };
        let beyond = Nic::described(bench, passive, beyond).map(drop).unwrap_err();
        assert_eq!(beyond, RegisterError::Unserved(AdapterError::NoChannel));
        assert_eq!(beyond.status(), NdisStatus::FAILURE);
        first.halt(passive);
        Nic::start(bench, passive).halt(passive);
    });
}

/// What is dropped while set up completes itself, at both levels, and is reported.
#[test]
fn what_is_thrown_away_is_completed_and_reported() {
    let runs = explore(30, CancelStyle::Honest, true, |bench, passive| {
        let nic = Nic::start(bench, passive);
        let channel = &nic.channel;
        let buffer = bench.buffer(8);
        let segments = [buffer.range()];
        let set_up = channel.set_up(&*passive, Loose::at(segments), 0, 8, ReadFromDevice);
        drop(set_up.unwrap());
        bench.machine.raise(passive, |dispatch| {
            let set_up = channel.set_up(dispatch, Loose::at(segments), 0, 8, ReadFromDevice);
            drop(set_up.unwrap());
        });
        let up = channel.setup_dma_transfer(&*passive, Segments::new(&segments), 0, 8, false);
        assert_eq!(up, NdisStatus::SUCCESS);
        let refused = nic.channel.deregister(passive).unwrap_err();
        assert_eq!(refused.rule, Rule("NDIS-019"));
        drop(refused);
        // Everything has come back.
        let mut bytes = [0; 8];
        bench.machine.memory().read(buffer.address(), &mut bytes).unwrap();
    });
    for run in runs {
        let rules: Vec<_> = misuses(&run).into_iter().map(|(_, rule)| rule).collect();
        assert_eq!(
            rules,
            ["NDIS-040", "NDIS-040", "NDIS-019", "NDIS-019", "NDIS-018"]
        );
    }
}

/// A loop has no end of its own: being completed is how it succeeds. Until then it is under way, whatever its counter says.
///
/// Proves: NDIS-051, NDIS-032.
#[test]
fn an_auto_initialised_channel_runs_until_it_is_completed() {
    explore(50, CancelStyle::Honest, true, |bench, passive| {
        let description = DmaDescription {
            auto_initialize: true,
            ..DmaDescription::default()
        };
        let nic = Nic::described(bench, passive, description).unwrap();
        let channel = &nic.channel;
        let buffer = bench.buffer(8);
        let segments = [buffer.range()];
        let set_up = channel
            .set_up(&*passive, Loose::at(segments), 0, 8, WriteToDevice)
            .unwrap();
        wait_for_nic(bench, 20);
        // More than two rounds: the counter came to its end before, and the transfer did not.
        for _ in 0..20 {
            assert!((1..=8).contains(&set_up.remaining(&*passive)));
            bench.machine.relax();
        }
        let again = channel.set_up(&*passive, Loose::at(segments), 0, 8, WriteToDevice);
        assert_eq!(again.unwrap_err().reason, WhyNotSetUp::InProgress);
        let completed = set_up.complete(&*passive).unwrap();
        assert_eq!(completed.status, NdisStatus::SUCCESS);
        assert!(completed.residual <= 8);
    });
}
