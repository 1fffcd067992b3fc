//! A miniport on hardware that does not stop: nothing comes back before it is quiet.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::nic::{DEREGISTER, Loose, Nic, SUCCESS, broken, misuses, said, wait_for_nic};
use bench::{Bench, explore};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::scatter::Segments;
use longshore_core::{Irql, Passive, Rule};
use longshore_drydock::Run;
use longshore_drydock::reference::{CancelStyle, Stubborn};
use longshore_hardware::DmaMemory;
use longshore_hardware::Interrupt as _;
use longshore_ndis::{
    Direction, DmaChannel, DmaDescription, NdisStatus, RegisterError, StillRuns, WhyNotSetUp,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use Direction::{ReadFromDevice, WriteToDevice};

const HONEST: CancelStyle = CancelStyle::Honest;

/// Runs a scenario on a controller that does not stop while the switch is on.
fn on_stubborn(scenario: impl Fn(&Bench, &Passive, &AtomicBool) + Copy + Send + 'static) -> Vec<Run> {
    explore(40, HONEST, true, move |bench, passive| {
        let goes_on = Arc::new(AtomicBool::new(true));
        let switch = Arc::clone(&goes_on);
        let bench = Bench::wrapped(&bench.machine, passive, HONEST, true, |inner| {
            Arc::new(Stubborn::new(inner, goes_on))
        });
        scenario(&bench, passive, &switch);
    })
}

/// Proves: NDIS-041, NDIS-037, PAIN-08.
#[test]
fn a_transfer_that_does_not_stop_stays_set_up_until_it_does() {
    let runs = on_stubborn(|bench, passive, goes_on| {
        let nic = Nic::start(bench, passive);
        let buffer = bench.buffer(8);
        bench.port.supply(&[7; 5]);
        let set_up = nic.channel.set_up(passive, buffer, 0, 8, ReadFromDevice).unwrap();
        let StillRuns(set_up) = set_up.complete(passive).unwrap_err();
        let again = nic.channel.set_up(passive, Loose::at([]), 0, 1, ReadFromDevice);
        assert_eq!(again.unwrap_err().reason, WhyNotSetUp::InProgress);
        let StillRuns(set_up) = set_up.complete(passive).unwrap_err();
        goes_on.store(false, Ordering::Relaxed);
        let completed = set_up.complete(passive).unwrap();
        assert_eq!(completed.status, NdisStatus::RESOURCES);
        let moved = bench.port.moved() as u32;
        assert_eq!(completed.residual, 8 - moved);
        assert_eq!(nic.channel.read_counter(passive), 8 - moved);
        // The buffer is the caller's again.
        bench
            .machine
            .memory()
            .write(completed.buffer.address(), &[0; 8])
            .unwrap();
        let next = nic.channel.set_up(passive, completed.buffer, 0, 8, WriteToDevice);
        let before = u64::from(moved);
        wait_for_nic(bench, before + 8);
        assert_eq!(said(next.unwrap().complete(passive).unwrap()), SUCCESS);
        nic.halt(passive);
    });
    for run in runs {
        assert_eq!(misuses(&run), [], "nobody did anything wrong");
    }
}

/// By its arguments it is as yet not completed, and it is no misuse to come again.
///
/// Proves: NDIS-041, NDIS-019.
#[test]
fn by_its_arguments_too_it_stays_set_up() {
    let runs = on_stubborn(|bench, passive, goes_on| {
        let Nic { miniport, channel } = Nic::start(bench, passive);
        let buffer = bench.buffer(8);
        let segments = [buffer.range()];
        bench.port.supply(&[7; 5]);
        let up = channel.setup_dma_transfer(passive, Segments::new(&segments), 0, 8, false);
        assert_eq!(up, NdisStatus::SUCCESS);
        miniport
            .halt(passive, || {
                let complete = |channel: &DmaChannel<_>| {
                    channel.complete_dma_transfer(passive, Segments::new(&segments), 0, 8, false)
                };
                assert_eq!(complete(&channel), NdisStatus::RESOURCES);
                let refused = channel.deregister(passive).unwrap_err();
                assert_eq!(refused.rule, Rule("NDIS-019"));
                assert_eq!(complete(&refused.channel), NdisStatus::RESOURCES);
                goes_on.store(false, Ordering::Relaxed);
                assert_eq!(complete(&refused.channel), NdisStatus::RESOURCES);
                refused.channel.deregister(passive).unwrap();
            })
            .unwrap();
        bench.machine.memory().write(buffer.address(), &[0; 8]).unwrap();
    });
    for run in runs {
        assert_eq!(misuses(&run), [(DEREGISTER, "NDIS-019")]);
    }
}

/// No lock of a channel may be taken in an interrupt routine, so there a set-up and a channel are told, and lost: neither
/// goes to anybody else. What is set up by arguments is given back by whoever lets go of the channel below.
///
/// Proves: NDIS-018, NDIS-037, NDIS-040.
#[test]
fn what_is_dropped_in_an_interrupt_routine_is_told_and_lost() {
    let runs = explore(40, HONEST, true, |bench, passive| {
        let nic = Nic::start(bench, passive);
        let buffer = bench.buffer(8);
        let range = buffer.range();
        let set_up = nic
            .channel
            .set_up(&*passive, buffer, 0, 8, ReadFromDevice)
            .unwrap();
        let line = bench.machine.line(passive, "another", Cpu(1));
        let dropped = Arc::new(AtomicBool::new(false));
        let (doomed, seen) = (Mutex::new(Some((set_up, nic.channel))), Arc::clone(&dropped));
        let (inside, quiet) = (bench.machine.clone(), line.clone());
        let _connection = bench.machine.connect(passive, &line, move |_| {
            quiet.lower();
            assert_eq!(inside.level(), Irql::DEVICE);
            drop(doomed.lock().unwrap().take());
            seen.store(true, Ordering::Relaxed);
            true
        });
        line.raise();
        while !dropped.load(Ordering::Relaxed) && !bench.machine.is_over() {
            bench.machine.relax();
        }
        assert!(bench.machine.allocated().contains(&range));
        let taken = Nic::described(bench, passive, DmaDescription::default()).map(drop);
        assert_eq!(taken, Err(RegisterError::Conflict));
        // Both are for good, and no leak of the test's.
        bench.machine.keep(());
    });
    for run in runs {
        assert_eq!(broken(&run), ["NDIS-040", "NDIS-018"]);
    }
}

/// Thrown away, its buffer is nobody's for good, and its channel too: whoever had it then would get one that runs.
///
/// Proves: NDIS-037, NDIS-018, PAIN-08.
#[test]
fn what_is_thrown_away_while_it_runs_is_given_to_nobody() {
    let runs = on_stubborn(|bench, passive, goes_on| {
        let Nic { miniport, channel } = Nic::start(bench, passive);
        let buffer = bench.buffer(8);
        let range = buffer.range();
        bench.port.supply(&[7; 5]);
        drop(channel.set_up(passive, buffer, 0, 8, ReadFromDevice).unwrap());
        assert!(bench.machine.allocated().contains(&range));
        miniport.halt(passive, || drop(channel)).unwrap();
        let taken = Nic::described(bench, passive, DmaDescription::default()).map(drop);
        assert_eq!(taken, Err(RegisterError::Conflict));
        assert!(bench.machine.allocated().contains(&range));
        // So that the machine can be switched off: it is for good, and no leak of the test's.
        bench.machine.keep(());
        goes_on.store(false, Ordering::Relaxed);
    });
    for run in runs {
        assert_eq!(broken(&run), ["NDIS-040", "NDIS-019"]);
    }
}
