//! What an exclusive ring must do.

use super::dock::Dock;
use super::job::Kind;
use crate::explore::{Faults, Scenario};
use crate::machine::{Machine, Random};
use crate::suites::provider::Build;
use longshore_core::Passive;
use longshore_core::completion::{Outcome, Verdict};
use longshore_core::machine::{Instant, Machine as _};
use longshore_netdma::Handlers;
use longshore_netdma::ring::RequestFlags;
use std::sync::Arc;

const ALL: Handlers = Handlers::all();
const NO_SUSPEND: Handlers = Handlers::ABORT.union(Handlers::RESET);
const NO_ABORT: Handlers = Handlers::SUSPEND_RESUME.union(Handlers::RESET);
const NONE: Handlers = Handlers::empty();

/// The scenarios of a ring.
pub(super) fn scenarios(build: &Build) -> Vec<Scenario> {
    let scenario = |name, left: Handlers, act: fn(Dock, &mut Passive, Handlers)| {
        let build = Arc::clone(build);
        Scenario::new(name, move |machine: &Machine, passive| {
            if let Some(dock) = Dock::open(machine, passive, &build, left) {
                act(dock, passive, left);
            }
        })
    };
    let bus = Faults {
        bus_errors: true,
        ..Faults::default()
    };
    vec![
        scenario("ring-cancel", ALL, cancel),
        scenario("ring-cancel-by-abort", NO_SUSPEND, cancel),
        scenario("ring-cancel-by-reset", Handlers::RESET, cancel),
        scenario("ring-cancel-in-vain", NONE, cancel),
        scenario("ring-abort", ALL, abort),
        scenario("ring-abort-by-reset", NO_ABORT, abort),
        scenario("ring-restart", ALL, restart),
        scenario("ring-restart-by-abort", NO_SUSPEND, restart),
        scenario("ring-order", ALL, order),
        scenario("ring-mix", ALL, mix),
        scenario("ring-mix-no-suspend", NO_SUSPEND, mix),
        scenario("ring-mix-no-abort", NO_ABORT, mix),
        scenario("ring-mix-no-handlers", NONE, mix),
        scenario("ring-bus-error", ALL, bus_error).with_faults(bus),
    ]
}

/// Polls until the intruder has struck, or no more than so many are pending.
fn until_struck(dock: &mut Dock, passive: &Passive, queued: u32) {
    while !dock.is_struck() && dock.ring.pending() > queued && !dock.machine.is_over() {
        dock.poll(passive.into(), 1);
        dock.machine.relax();
    }
}

/// Two of four are cancelled at some moment, in one go. They are cancelled or done, and the others are done.
fn cancel(mut dock: Dock, passive: &mut Passive, left: Handlers) {
    dock.arm();
    dock.submit_all(&[Kind::Copy, Kind::Chain]);
    dock.doorbell((&*passive).into());
    dock.submit_all(&[Kind::Copy, Kind::Chain]);
    dock.doorbell((&*passive).into());
    until_struck(&mut dock, passive, 0);
    let asked = dock
        .ring
        .cancel_where((&*passive).into(), |tag, _| tag == 1 || tag == 2);
    let finished = dock.finish(passive);
    dock.require(finished, "PAIN-23", || "something never ends".into());
    let held = left.contains(Handlers::SUSPEND_RESUME);
    let mut cancelled = 0;
    for index in 0..4 {
        let outcome = dock.jobs[index].outcome;
        if matches!(index, 1 | 2) && outcome.is_some_and(|outcome| outcome.verdict == Verdict::Cancelled) {
            dock.jobs[index].untouched = held;
            cancelled += 1;
        } else {
            dock.require(outcome == Some(Outcome::COMPLETED), "RACE-6", || {
                format!("operation {index} ended with {outcome:?}")
            });
        }
    }
    let as_asked = if left.is_empty() {
        cancelled == 0
    } else {
        cancelled == asked
    };
    dock.require(as_asked, "RACE-6", || {
        format!("{asked} were asked to end, and {cancelled} are cancelled")
    });
    dock.end(passive);
}

/// Everything is aborted at some moment: what was done is completed, in order, and the rest cancelled.
fn abort(mut dock: Dock, passive: &mut Passive, _: Handlers) {
    dock.arm();
    dock.submit_all(&[Kind::Copy, Kind::Chain, Kind::Null]);
    dock.doorbell((&*passive).into());
    dock.submit_all(&[Kind::Fill, Kind::Copy]);
    dock.doorbell((&*passive).into());
    dock.submit_all(&[Kind::Chain]);
    until_struck(&mut dock, passive, 1);
    let aborted = dock.ring.abort((&*passive).into());
    dock.require(aborted.is_ok(), "SEED-004-3", || {
        "the abort of a healthy channel failed".into()
    });
    let pending = dock.ring.pending();
    dock.require(pending == 0, "PAIN-23", || format!("{pending} outlive an abort"));
    dock.finish(passive);
    let cut = dock.jobs.iter().position(|job| {
        job.outcome
            .is_none_or(|outcome| outcome.verdict != Verdict::Completed)
    });
    let whole = dock.jobs[cut.unwrap_or(dock.jobs.len())..].iter().all(|job| {
        job.outcome
            .is_some_and(|outcome| outcome.verdict == Verdict::Cancelled)
    });
    dock.require(whole, "PAIN-23", || {
        "something is done behind what was cut".into()
    });
    dock.end(passive);
}

/// A new chain is started over the old one at some moment: the old one is done or cancelled, the new one is done.
fn restart(mut dock: Dock, passive: &mut Passive, _: Handlers) {
    dock.arm();
    dock.submit_all(&[Kind::Copy, Kind::Chain, Kind::Copy]);
    dock.doorbell((&*passive).into());
    until_struck(&mut dock, passive, 0);
    dock.submit_all(&[Kind::Chain, Kind::Copy]);
    let started = dock.ring.restart((&*passive).into());
    dock.require(started.is_ok(), "NETDMA-077", || {
        format!("a healthy channel was not started again: {started:?}")
    });
    dock.finish(passive);
    for index in [3, 4] {
        let outcome = dock.jobs[index].outcome;
        dock.require(outcome == Some(Outcome::COMPLETED), "NETDMA-077", || {
            format!("operation {index} of the new chain ended with {outcome:?}")
        });
    }
    dock.end(passive);
}

/// What the CPU does waits for what is before it, and holds back what is behind.
fn order(mut dock: Dock, passive: &mut Passive, _: Handlers) {
    dock.arm();
    dock.submit_all(&[Kind::Copy, Kind::Compare, Kind::Chain, Kind::Fill, Kind::Fill]);
    dock.doorbell((&*passive).into());
    dock.submit_all(&[Kind::Null, Kind::Compare, Kind::Copy]);
    dock.doorbell((&*passive).into());
    let finished = dock.finish(passive);
    let all_done = dock.jobs.iter().all(|job| {
        job.outcome
            .is_some_and(|outcome| outcome.verdict == Verdict::Completed)
    });
    dock.require(finished && all_done, "NETDMA-084", || {
        "something did not complete".into()
    });
    dock.end(passive);
}

/// A random walk through everything that a user may do.
fn mix(mut dock: Dock, passive: &mut Passive, left: Handlers) {
    let mut walk = Random::new(dock.seed());
    dock.arm();
    for _ in 0..14 + walk.below(10) {
        step(&mut dock, passive, left, &mut walk);
        if walk.below(3) == 0 {
            dock.rest(passive);
        }
    }
    // A channel that is held goes on; one that is not says no.
    let _ = dock.ring.resume((&*passive).into());
    let _ = dock.ring.doorbell((&*passive).into());
    dock.end(passive);
}

fn step(dock: &mut Dock, passive: &Passive, left: Handlers, walk: &mut Random) {
    let level = passive.into();
    match walk.below(20) {
        0..=7 => {
            let kinds = [
                Kind::Copy,
                Kind::Chain,
                Kind::Copy,
                Kind::Null,
                Kind::Fill,
                Kind::Compare,
            ];
            let kind = kinds[walk.below(kinds.len())];
            let flags = RequestFlags::from_bits_truncate(walk.below(4) as u32);
            let soon = Instant(dock.machine.now().0 + walk.below(4_000) as u64);
            let deadline = (walk.below(8) == 0).then_some(soon);
            dock.submit(kind, flags, deadline);
        }
        8..=11 => dock.doorbell(level),
        12..=14 => {
            let room = walk.below(4);
            dock.poll(level, room);
        }
        15 | 16 if !dock.jobs.is_empty() => {
            let index = walk.below(dock.jobs.len());
            dock.cancel(level, index);
        }
        17 => {
            let odd = walk.below(2) as u64;
            dock.ring.cancel_where(level, |tag, _| tag % 2 == odd);
        }
        18 => {
            // Where there is no such handler, or the channel was never started, the answer is no.
            let _ = dock.ring.suspend(level);
            if walk.below(2) == 0 {
                let _ = dock.ring.resume(level);
            }
        }
        _ if left.is_empty() => {}
        _ => match walk.below(3) {
            0 => drop(dock.ring.abort(level)),
            1 => drop(dock.ring.reset(level)),
            _ => drop(dock.ring.restart(level)),
        },
    }
}

/// The bus fails at some byte: what was done is completed, the rest failed, and the channel goes on.
fn bus_error(mut dock: Dock, passive: &mut Passive, _: Handlers) {
    dock.arm();
    dock.submit_all(&[Kind::Copy, Kind::Chain, Kind::Copy]);
    let _ = dock.ring.doorbell((&*passive).into());
    if !dock.finish(passive) {
        // Where the completion word itself could not be written, only an abort proves that the engine is quiet.
        let _ = dock.ring.abort((&*passive).into());
    }
    dock.end(passive);
}
