//! Scenarios that stand alone: they are about a mixture, a race or a fault, and not about one call.

use super::berth::Berth;
use super::waits::{LONG, Look};
use super::{INTERRUPT, STATUS};
use crate::machine::Fault;
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_hardware::netdma::{ControlFlags, TransferStatus};
use std::sync::Arc;

/// Status and interrupt on the last of four descriptors; the others ask for one, the other and nothing.
fn mixed(slot: usize) -> ControlFlags {
    match slot % 4 {
        0 => ControlFlags::empty(),
        1 => STATUS,
        2 => INTERRUPT,
        _ => STATUS | INTERRUPT,
    }
}

/// Starts the chain in slots `0..4`, or says that it was refused.
fn start(berth: &Berth, passive: &Passive) -> bool {
    let started = berth.start(passive.into(), 0..4);
    berth.require(started, "NETDMA-076", || "the start was refused".into())
}

/// A chain of four with every combination of the two completion methods ends with word, data and interrupts.
pub(super) fn chain(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.machine.arm(|_| {});
    berth.prepare(0..4, mixed);
    if start(berth, passive) {
        let there = berth.wait_for(passive, 3, Look::Interrupt);
        berth.require(there, "SEED-003-12", || {
            "the chain ended without its last word".into()
        });
        let told = berth.wait_until_told(passive, 3);
        berth.require(told, "SEED-003-14", || {
            "NetDmaIsr and NetDmaInterruptDpc were never told of the last descriptor".into()
        });
        berth.check_ended("NETDMA-082");
    }
    berth.close((&*passive).into());
}

/// Only completion words: the end is found by polling, and no interrupt comes.
pub(super) fn poll(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.prepare(0..4, |_| STATUS);
    if start(berth, passive) {
        let there = berth.wait_for(passive, 3, Look::Poll);
        berth.require(there, "SEED-003-8", || {
            "the last completion word never came".into()
        });
        berth.check_ended("NETDMA-082");
    }
    berth.close((&*passive).into());
}

/// Neither word nor interrupt: the data moves and nothing else happens. A last descriptor tells the end.
pub(super) fn silent(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.prepare(0..4, |slot| {
        if slot == 3 {
            STATUS | ControlFlags::NULL_TRANSFER
        } else {
            ControlFlags::empty()
        }
    });
    if start(berth, passive) {
        let there = berth.wait_for(passive, 3, Look::Poll);
        berth.require(there, "NETDMA-085", || {
            "the word of the NULL transfer never came".into()
        });
        berth.check_ended("NETDMA-082");
    }
    berth.close((&*passive).into());
}

/// Descriptors appended while the engine runs, ends, or has ended: each is executed once.
pub(super) fn append(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.prepare(0..1, |_| STATUS);
    let mut going = berth.start((&*passive).into(), 0..1);
    for next in 1..5 {
        berth.prepare(next..next + 1, |slot| {
            if slot == 4 { STATUS | INTERRUPT } else { STATUS }
        });
        going = going && berth.append((&*passive).into(), next..next + 1);
    }
    if berth.require(going, "NETDMA-075", || {
        "an append to a running channel was refused".into()
    }) {
        let rule = berth.append_rule();
        let there = berth.wait_for(passive, 4, Look::Poll);
        berth.require(there, rule, || "an appended descriptor was never executed".into());
        berth.wait_until_told(passive, 4);
        berth.check_ended(rule);
    }
    berth.close((&*passive).into());
}

/// The engine stands still. For a while: everything ends. For ever: the abort says so in a bounded time, or proves
/// that the engine is quiet; it never claims a stop that it cannot know of.
pub(super) fn stall(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.machine.arm(|_| {});
    berth.prepare(0..4, |_| STATUS);
    if !start(berth, passive) {
        return berth.close((&*passive).into());
    }
    match berth.machine.fault() {
        Some(Fault::Stall { micros: u32::MAX, .. }) => stalled_for_ever(berth, passive),
        Some(Fault::Stall {
            micros: LONG_STALL, ..
        }) => stalled_for_long(berth, passive),
        _ => {
            let ended = berth.wait_for(passive, 3, Look::Poll);
            berth.require(ended, "SEED-003-8", || {
                "the chain never ended, though the engine goes on".into()
            });
            berth.close((&*passive).into());
        }
    }
}

/// How long an engine stands still that nobody has the patience for, in microseconds.
const LONG_STALL: u32 = 5_000;

/// An abort that comes while the engine stands still. If it claims success the engine is quiet, and moves nothing when
/// it wakes up; if it does not, the chain goes on.
fn stalled_for_long(berth: &Arc<Berth>, passive: &mut Passive) {
    debug_assert!(u128::from(LONG_STALL) < LONG.as_micros());
    (0..40).for_each(|_| berth.machine.relax());
    let aborted = berth.can_abort() && berth.abort((&*passive).into());
    let look = if aborted {
        Look::PollUntilHalted
    } else {
        Look::Poll
    };
    let ended = berth.wait_for(passive, 3, look);
    // Longer than the engine stands still: the oracle sees whether it moves anything when it wakes up.
    berth.leap(passive);
    berth.require(aborted || ended, "SEED-003-8", || {
        "the abort did not succeed, and the chain never ended".into()
    });
    berth.close((&*passive).into());
}

fn stalled_for_ever(berth: &Arc<Berth>, passive: &mut Passive) {
    let ended = berth.wait_for(passive, 3, Look::Poll);
    if !ended {
        // Whatever becomes of it, the call returns (AMB-21).
        berth.prepare(4..6, |_| STATUS);
        berth.start((&*passive).into(), 4..6);
    }
    if !ended && berth.can_abort() {
        berth.abort((&*passive).into());
    }
    berth.require(
        berth.word().status() != TransferStatus::IDLE || ended,
        "SEED-003-8",
        || "a chain that stands still was said to be idle".into(),
    );
    // Even an engine that proved to be quiet may stand in its own code; taking it apart would wait for ever.
    berth.abandon();
}
