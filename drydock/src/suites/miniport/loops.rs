//! A channel that starts over at the end. It has no end of its own, so being completed is how it succeeds.

use super::bench::{Bench, LENGTH, OFFSET, PATIENCE};
use super::intruder::Intruder;
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_ndis::NdisStatus;
use std::sync::Arc;

/// How many laps the NIC has bytes for.
const LAPS: u64 = 3;

/// Some laps, completed somewhere: success, the residual of the last lap, and every byte of each lap where it belongs.
pub(super) fn laps(bench: &Arc<Bench>, passive: &mut Passive) {
    let length = u64::from(LENGTH);
    bench.prepare(0, LAPS * length);
    let intruder = Intruder::arm(&bench.machine, |_| {});
    let arguments = bench.arguments();
    let up = bench.set_up((&*passive).into(), &arguments);
    bench.require(up == NdisStatus::SUCCESS, "NDIS-031", || {
        format!("a free channel was not set up: {up:?}")
    });
    for _ in 0..PATIENCE {
        let before = bench.moved();
        check_counter(bench, passive, before);
        if intruder.is_done() || bench.moved() == LAPS * length {
            break;
        }
        bench.machine.relax();
    }
    let before = bench.moved();
    let completed = bench.complete((&*passive).into(), &arguments);
    intruder.settle();
    bench.require(completed == NdisStatus::SUCCESS, "NDIS-041", || {
        format!("a loop that was completed gave {completed:?}")
    });
    // The count is read before the hardware is stopped, since that may wipe it (RL-21); and of two counts nobody knows
    // whether a lap has ended in between.
    check_counter(bench, passive, before);
    check_laps(bench);
}

/// The counter tells what is left of a lap, as it was at some time since `before` bytes were moved.
fn check_counter(bench: &Bench, passive: &Passive, before: u64) {
    let left = u64::from(bench.counter(passive.into()));
    let after = bench.moved();
    let length = u64::from(LENGTH);
    let of_lap = |moved: u64| length - moved % length;
    let true_then = (before..=after).any(|moved| left == of_lap(moved) || left == of_lap(moved) % length);
    bench.require(true_then, "NDIS-051", || {
        format!("the counter reads {left} of a lap of {length} when {before} to {after} bytes were moved")
    });
}

/// Of each place the last byte that came there is there.
fn check_laps(bench: &Bench) {
    let (length, moved) = (u64::from(LENGTH), bench.moved());
    let there = if bench.terms.write {
        let sent: Vec<u8> = (0..moved).map(|at| Bench::byte(at % length)).collect();
        bench.far.taken() == sent
    } else {
        let last = |place: u64| (0..moved).rev().find(|at| at % length == place).map(Bench::byte);
        let whole = bench.bytes();
        let part = &whole[OFFSET as usize..][..LENGTH as usize];
        (0..)
            .zip(part)
            .all(|(place, byte)| last(place).is_none_or(|last| last == *byte))
    };
    bench.require(there, "SEED-002-9", || {
        format!("{moved} bytes went round; memory holds {:x?}", bench.bytes())
    });
}
