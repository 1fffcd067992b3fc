//! A miniport in C: both directions, and its transfer completed early at every point.
#![allow(unsafe_code, clippy::unwrap_used)] // Routines of the module are called, and what a test sets up works.

mod nic;
mod support;

use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_ndis::NdisStatus;
use nic::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Sends and receives in turn, the receives one behind the other into one ring, at PASSIVE and at DISPATCH.
fn transfers(compiler: &'static str, output: &str, more: &[&str]) {
    for board in BOARDS {
        let defines = [&[board.define()], more].concat();
        let Some(path) = miniport(compiler, &format!("{output}-{board:?}"), &defines) else {
            return;
        };
        for plan in plans(40) {
            let run = one(&plan, board, &path, |bench, passive| {
                let (attached, nic) = bench.attach(passive).unwrap();
                bench.transfer(&nic, true, 0);
                bench.transfer(&nic, false, 0);
                bench.machine.raise(passive, |_| {
                    bench.transfer(&nic, false, LENGTH);
                    bench.transfer(&nic, true, 0);
                });
                drop(attached);
            });
            expect_clean(&run, board, &plan);
        }
    }
}

/// Proves: SEED-002-2, NDIS-002, NDIS-013, NDIS-030, NDIS-034, NDIS-035, NDIS-040, NDIS-052, NDIS-053.
#[test]
fn a_miniport_in_c_sends_and_receives_with_gcc() {
    transfers("gcc", "plain", &[]);
}

#[test]
fn a_miniport_in_c_sends_and_receives_with_clang() {
    transfers("clang", "plain", &[]);
}

/// Proves: NDIS-021.
#[test]
fn a_channel_that_the_description_does_not_name_is_the_assigned_one() {
    transfers("gcc", "assigned", &["-DNIC_UNSPECIFIED"]);
}

/// How many bytes were left, of all runs.
type Seen = Arc<Mutex<BTreeSet<u32>>>;

/// A transfer that is ended at some point. Of too few bytes nothing else ends it.
fn stopped(write: bool, offered: u32, seen: &Seen) -> impl Fn(&Bench, &mut Passive) + Send + Clone + 'static {
    let seen = seen.clone();
    move |bench: &Bench, passive: &mut Passive| {
        let (attached, nic) = bench.attach(passive).unwrap();
        bench.offer(write, offered);
        let striker = nic.clone();
        bench.machine.arm(move |_| striker.stop());
        assert_eq!(nic.start(write, LENGTH), NdisStatus::SUCCESS);
        bench.finish(&nic, LENGTH);
        bench.machine.disarm();
        bench.check_truth(&nic, write, 0);
        seen.lock().unwrap().insert(nic.look(LEFT));
        drop(attached);
        // The channel was released, and whoever comes next can have it.
        let (_again, nic) = bench.attach(passive).unwrap();
        bench.transfer(&nic, !write, 0);
    }
}

/// Strikes at each point in turn.
fn strike_everywhere(compiler: &'static str, offered: u32) {
    for board in BOARDS {
        let Some(path) = miniport(compiler, &format!("stop{offered}-{board:?}"), &[board.define()]) else {
            return;
        };
        for write in [false, true] {
            let seen = Seen::default();
            let scenario = stopped(write, offered, &seen);
            for plan in plans(1) {
                let quiet = one(&plan, board, &path, scenario.clone());
                expect_clean(&quiet, board, &plan);
                for point in 0..quiet.armed_points {
                    let plan = plan.clone().strike_at(point);
                    let run = one(&plan, board, &path, scenario.clone());
                    expect_clean(&run, board, &plan);
                    assert!(run.struck);
                }
            }
            // Ends before the first byte, after the last that there is, and in between where it goes by units.
            let seen = seen.lock().unwrap();
            let (most, least) = (seen.last().copied(), seen.first().copied());
            assert_eq!(
                (most, least),
                (Some(LENGTH), Some(LENGTH - offered)),
                "{board:?} {seen:?}"
            );
            assert!(board == Board::Reference || seen.len() > 2, "{board:?} {seen:?}");
        }
    }
}

/// Proves: NDIS-041, NDIS-042, NDIS-044, NDIS-046, NDIS-050, RL-09.
#[test]
fn a_completion_at_every_point_is_told_truthfully_with_gcc() {
    strike_everywhere("gcc", LENGTH);
    strike_everywhere("gcc", 10);
}

#[test]
fn a_completion_at_every_point_is_told_truthfully_with_clang() {
    strike_everywhere("clang", 10);
}
