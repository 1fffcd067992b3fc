//! Transfers that nobody completes: thrown away, left behind, or on hardware that does not stop.

use super::bench::{Bench, LENGTH};
use super::intruder::Intruder;
use super::told::{DEREGISTER, HALT, SET_UP};
use super::whole::{Value, value};
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_ndis::{NdisStatus, StillRuns};
use std::sync::{Arc, Mutex, PoisonError};

/// What is set up and thrown away is completed all the same, and told (NDIS-040).
pub(super) fn dropped(bench: &Arc<Bench>, passive: &mut Passive) {
    bench.prepare(0, u64::from(LENGTH));
    let intruder = Intruder::arm(&bench.machine, |_| {});
    let Some(set_up) = value(bench, passive) else {
        return;
    };
    bench.wait(passive, || intruder.is_done());
    bench.site.misuses.expect(SET_UP, &["NDIS-040"]);
    if bench.terms.write {
        bench.machine.raise(passive, |_| drop(set_up));
    } else {
        drop(set_up);
    }
    intruder.settle();
    bench.check_rest(passive);
    bench.again(passive);
}

/// A channel that is dropped with a transfer on it, at any point: that is told, and the transfer is completed.
pub(super) fn channel_dropped(mut bench: Bench, passive: &mut Passive) {
    bench.prepare(0, u64::from(LENGTH));
    let set_up = bench.set_up((&*passive).into(), &bench.arguments());
    bench.require(set_up == NdisStatus::SUCCESS, "NDIS-031", || {
        format!("a free channel was not set up: {set_up:?}")
    });
    let intruder = Intruder::arm(&bench.machine, |_| {});
    bench.wait(passive, || intruder.is_done());
    let misuses = &bench.site.misuses;
    misuses.expect(DEREGISTER, &["NDIS-019"]);
    misuses.expect(DEREGISTER, &["NDIS-018"]);
    drop(bench.channel.take());
    let moved = bench.moved();
    intruder.settle();
    (0..8).for_each(|_| bench.machine.relax());
    bench.require(bench.moved() == moved, "PAIN-08", || {
        format!(
            "{} bytes were moved behind a channel that is gone",
            bench.moved() - moved
        )
    });
    bench.check_data(0, moved);
    bench.leave(passive);
}

type Slot = Arc<Mutex<Option<Value>>>;

fn taken(slot: &Slot) -> Option<Value> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A miniport halts and gives its channel back, and another CPU completes what is set up there, at any point: it is
/// refused for as long as that is not over (NDIS-019).
pub(super) fn deregistered(mut bench: Bench, passive: &mut Passive) {
    bench.prepare(0, u64::from(LENGTH));
    let slot = Slot::default();
    let Some(set_up) = value(&bench, passive) else {
        return;
    };
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(set_up);
    let theirs = Arc::clone(&slot);
    let intruder = Intruder::arm(&bench.machine, move |dispatch| {
        if let Some(set_up) = taken(&theirs) {
            let _ = set_up.complete(dispatch);
        }
    });
    let miniport = bench.miniport.clone();
    let Some(channel) = bench.channel.take() else {
        return;
    };
    miniport.halt(passive, || {
        let Err(refused) = channel.deregister(passive) else {
            let over = taken(&slot).is_none();
            bench.require(over, "NDIS-019", || {
                "a channel was deregistered with a transfer set up".into()
            });
            // Whoever has completed it may still be on the way back.
            return;
        };
        bench.require(refused.rule.0 == "NDIS-019", "NDIS-019", || {
            format!(
                "deregistering a channel with a transfer set up broke {}",
                refused.rule
            )
        });
        bench.site.misuses.expect(DEREGISTER, &["NDIS-019"]);
        intruder.settle();
        if let Some(set_up) = taken(&slot) {
            let _ = set_up.complete(&*passive);
        }
        bench.channel = Some(refused.channel);
        bench.check_rest(passive);
        let again = bench.channel.take().map(|channel| channel.deregister(passive));
        let again = again.map(|result| result.map_err(|refused| refused.rule));
        bench.require(again == Some(Ok(())), "NDIS-018", || {
            format!("an idle channel was not deregistered: {again:?}")
        });
    });
    intruder.settle();
    bench.check_data(0, bench.moved());
    bench.site.leave();
}

/// A miniport halts and leaves its channel behind: that is told, and so is that it is given back too late, which does
/// not happen then (NDIS-018).
pub(super) fn left_behind(mut bench: Bench, passive: &mut Passive) {
    let Some(channel) = bench.channel.take() else {
        return;
    };
    bench.site.misuses.expect(HALT, &["NDIS-018"]);
    bench.miniport.halt(passive, || ());
    bench.site.misuses.expect(DEREGISTER, &["NDIS-018"]);
    let late = channel.deregister(passive);
    bench.require(late.is_err(), "NDIS-018", || {
        "a channel was deregistered behind its miniport's halt".into()
    });
    // Dropped, it is gone all the same, and somebody else may have it.
    bench.site.misuses.expect(DEREGISTER, &["NDIS-018"]);
    drop(late);
    bench.channel = bench
        .site
        .start(passive, &bench.miniport, bench.site.registration());
    bench.again(passive);
    bench.leave(passive);
}

/// Hardware that does not stop when it is told to: nothing comes back and nobody gets the channel before it has, and then
/// the residual is the truth.
pub(super) fn does_not_stop(bench: &Arc<Bench>, passive: &mut Passive) {
    let half = u64::from(LENGTH / 2);
    bench.prepare(0, half);
    let Some(mut set_up) = value(bench, passive) else {
        return;
    };
    let intruder = Intruder::on(bench, |bench, dispatch| {
        let left = bench.counter(dispatch.into());
        bench.require(left >= LENGTH / 2, "NDIS-050", || {
            format!("the counter reads {left}, but half of the bytes were never given")
        });
    });
    bench.wait(passive, || bench.moved() == half);
    let mut refusals = 0;
    let completed = loop {
        match set_up.complete(&*passive) {
            Ok(completed) => break completed,
            Err(StillRuns(again)) => set_up = again,
        }
        refusals += 1;
        let second = bench.set_up((&*passive).into(), &bench.arguments());
        bench.require(second == NdisStatus::RESOURCES, "NDIS-032", || {
            format!("a second set-up gave {second:?}")
        });
        if refusals > 8 {
            bench.require(false, "NDIS-041", || {
                "hardware that has stopped is not completed".into()
            });
            return;
        }
    };
    intruder.settle();
    bench.require(refusals > 0, "PAIN-08", || {
        "a transfer that runs still was completed".into()
    });
    let cut = completed.status == NdisStatus::RESOURCES && u64::from(completed.residual) == half;
    bench.require(cut, "NDIS-044", || {
        format!(
            "half a transfer ended with {:?}, {} left",
            completed.status, completed.residual
        )
    });
    bench.check_rest(passive);
    bench.again(passive);
}
