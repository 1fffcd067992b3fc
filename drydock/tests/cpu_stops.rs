//! Calls that stop the CPU engine before it has begun, and while it stands still for ever.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod rig;

use longshore_core::machine::Machine as _;
use longshore_drydock::{Config as Dock, Fault, Plan, Run, run};
use longshore_hardware::netdma::TransferStatus;
use longshore_netdma::state::State;
use rig::*;
use std::sync::{Arc, Mutex};

/// Proves: AMB-21.
///
/// The engine stands still for ever at one of many moments. A start over it returns, and so does an abort: where it
/// succeeds the engine is quiet, where it fails nothing has ended and the channel says so. Both come about.
#[test]
fn nobody_waits_for_ever_for_a_descriptor_that_never_ends() {
    let aborted = (1..40)
        .filter(|&at| aborts_an_engine_that_stands_still(at))
        .count();
    assert!((1..39).contains(&aborted), "{aborted} of 39 aborts succeeded");
}

fn aborts_an_engine_that_stands_still(at: u32) -> bool {
    let plan = Plan::straight().with_fault(Fault::Stall { at, micros: u32::MAX });
    let answer = Arc::new(Mutex::new(None));
    let inside = answer.clone();
    let run = run(
        &Dock::default(),
        &plan,
        Default::default(),
        move |machine, passive| {
            let mut rig = Rig::new(machine, passive, (Kind::Shared, V1));
            machine.arm(|_| {});
            rig.prepare(0..4, STATUS);
            rig.prepare(4..5, STATUS);
            rig.start(passive, 0..4);
            (0..40).for_each(|_| machine.relax());
            rig.start(passive, 4..5);
            let before = (rig.word(), rig.state());
            let aborted = rig.port().abort((&*passive).into()).is_ok();
            let after = (rig.word(), rig.state(), rig.bytes(12));
            (0..200).for_each(|_| machine.relax());
            assert_eq!(
                (rig.word(), rig.state(), rig.bytes(12)),
                after,
                "it was not quiet"
            );
            if aborted {
                assert_eq!((after.0.1, after.1), (TransferStatus::HALTED, State::Aborted));
                assert!(!rig.append(passive, 5));
            } else {
                assert_eq!((after.0, after.1), before, "a failed abort ends nothing");
            }
            assert_eq!((rig.fault(), rig.told()), (None, vec![]));
            assert!(!rig.is_copied(4), "the chain has not ended by itself");
            assert_eq!(rig.port().abort((&*passive).into()).is_ok(), aborted);
            assert_eq!((rig.word(), rig.state(), rig.bytes(12)), after);
            *inside.lock().unwrap() = Some(aborted);
            machine.keep(rig.descriptors);
            machine.keep(rig.word);
            machine.keep(rig.data);
            if let Channel::Shared(channel, told, engine) = rig.channel {
                machine.keep((channel, told, engine));
            }
        },
    );
    let others: Vec<_> = run.findings.iter().filter(|f| f.rule.0 != "RL-13").collect();
    assert!(others.is_empty(), "stall at {at}: {others:?}");
    assert!(run.points < 20_000, "stall at {at}: {} points", run.points);
    let answer = answer.lock().unwrap().take();
    answer.expect("both calls returned")
}

/// Proves: RACE-4.
///
/// A suspend comes right after the start. What the engine had begun by then is finished and named; if that was nothing,
/// the address is 0 and nothing is copied until the channel is resumed.
#[test]
fn a_suspend_of_an_armed_channel_finishes_what_has_begun_or_stops_at_nothing() {
    let runs = on_each(|machine, passive, kind| {
        let mut rig = Rig::new(machine, passive, kind);
        rig.prepare(0..3, STATUS);
        rig.start(passive, 0..3);
        let last = rig.port().suspend(passive.into()).unwrap();
        assert_eq!(rig.word(), (last, TransferStatus::SUSPEND));
        assert_eq!(rig.state(), State::Suspended);
        (0..200).for_each(|_| machine.relax());
        for slot in 0..3 {
            let begun = !last.is_null() && rig.at(slot).raw() <= last.raw();
            assert_eq!(rig.is_copied(slot), begun, "{slot} of {last:?}");
        }
        rig.port().resume(passive.into()).unwrap();
        rig.settle(passive);
        assert!((0..3).all(|slot| rig.is_copied(slot)));
        rig.close(passive);
    });
    let is_at_nothing = |run: &&Run| {
        let first = words(run)[0];
        first.descriptor().is_null() && first.status() == TransferStatus::SUSPEND
    };
    let at_nothing = runs.iter().filter(is_at_nothing).count();
    assert!(
        at_nothing > 0 && at_nothing < runs.len(),
        "{at_nothing} of {}",
        runs.len()
    );
}
