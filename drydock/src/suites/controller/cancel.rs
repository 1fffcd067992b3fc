//! Cancelled at every point: one map, several for one buffer, and loops; both ways, in reach and beyond.

use super::basic::{judge, transfer};
use super::client::{Client, LENGTH};
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_wdm::{DmaCompletionStatus, State};
use std::sync::Arc;

/// The buffer is moved piece by piece, and a cancel strikes: each map ends once and truthfully, the mark stays until the
/// channel is freed, and the next transfer hears nothing of this one (PAIN-05, PAIN-16).
pub(super) fn pieces(client: &Arc<Client>, passive: &mut Passive) {
    client.arm();
    let whole = transfer(client, passive);
    let struck = client.settle(passive);
    client.require(whole || struck, "SEED-001-5", || {
        "the transfer was not whole, and nobody cancelled it".into()
    });
    if struck {
        let again = client.map((&*passive).into());
        client.require(again.is_err(), "RL-02", || {
            format!("a cancelled context was mapped: {again:?}")
        });
        let second = client.adapter.cancel_mapped(&*passive, &client.context);
        client.require(second.is_err(), "R8", || "a second cancel succeeded".into());
    }
    restart(client, passive);
}

/// Frees the channel, takes it again, and moves everything.
pub(super) fn restart(client: &Arc<Client>, passive: &mut Passive) {
    client.machine.disarm();
    client.release(passive);
    client.rewind(0);
    if !client.terms.write {
        client.fill(&[0; LENGTH as usize]);
    }
    let map = client.maps_so_far();
    if !client.take_channel(passive) || client.start(passive, 1).is_none() {
        return;
    }
    if client.terms.looped {
        // A loop that has taken the place of another tells of its own periods, and ends when it is cancelled.
        client.cancel((&*passive).into());
    }
    let status = client.wait(passive);
    let wanted = if client.terms.looped {
        DmaCompletionStatus::CANCELLED
    } else {
        DmaCompletionStatus::COMPLETE
    };
    client.require(status == Some(wanted), "PAIN-05", || {
        format!("the transfer after the cancelled one, map {map}, ended with {status:?}")
    });
}

/// Two CPUs cancel: one wins (R8).
pub(super) fn twice(client: &Arc<Client>, passive: &mut Passive) {
    let Some(mapped) = client.start(passive, 1) else {
        return;
    };
    let (striker, other) = (Arc::clone(client), Arc::clone(client));
    let answers = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (theirs, mine) = (Arc::clone(&answers), Arc::clone(&answers));
    client.machine.arm(move |dispatch| {
        let answer = striker.adapter.cancel_mapped(dispatch, &striker.context);
        if let Ok(mut list) = theirs.lock() {
            list.push(answer.is_ok());
        }
    });
    let answer = other.adapter.cancel_mapped(&*passive, &other.context);
    if let Ok(mut list) = mine.lock() {
        list.push(answer.is_ok());
    }
    let status = client.wait(passive);
    client.machine.disarm();
    let won = answers
        .lock()
        .map_or(1, |list| list.iter().filter(|won| **won).count());
    client.require(won == 1, "R8", || {
        format!("{won} cancels of one transfer succeeded")
    });
    let moved = client.far.moved();
    let cancelled = status == Some(DmaCompletionStatus::CANCELLED);
    if !cancelled {
        judge(client, status, mapped, moved);
    }
    client.flush((&*passive).into());
    client.check_data(moved);
}

/// The device fails, and a cancel strikes: an error, or cancelled, and never complete (R9).
pub(super) fn error(client: &Arc<Client>, passive: &mut Passive) {
    if !client.site.abilities.errors {
        return;
    }
    client.far.fail_at(4);
    client.arm();
    if client.start(passive, 1).is_none() {
        return;
    }
    let status = client.wait(passive);
    client.settle(passive);
    let right = match status {
        Some(DmaCompletionStatus::ERROR) => true,
        Some(DmaCompletionStatus::CANCELLED) => client.is_cancelled(),
        _ => false,
    };
    client.require(right, "R9", || {
        format!("a transfer that failed ended with {status:?}")
    });
    let moved = client.far.moved();
    client.flush((&*passive).into());
    client.check_data(moved);
}

/// Cancel, flush and free in one go, without waiting for the callback, which still comes exactly once (RL-03).
pub(super) fn flush_free(client: &Arc<Client>, passive: &mut Passive) {
    if client.start(passive, 1).is_none() {
        return;
    }
    (0..6).for_each(|_| client.machine.relax());
    client.machine.raise(passive, |dispatch| {
        client.cancel(dispatch.into());
        let again = client.adapter.cancel_mapped(dispatch, &client.context);
        client.require(again.is_err(), "RL-05", || "a second cancel succeeded".into());
        client.flush(dispatch.into());
        client.check_data(client.far.moved());
        let freed = client.adapter.free_channel(dispatch, &client.context);
        client.require(freed.is_ok(), "WDM-189", || format!("{freed:?}"));
    });
    restart(client, passive);
}

/// Flush instead of the callback: what runs is cut, flushed, and told once.
pub(super) fn flush_early(client: &Arc<Client>, passive: &mut Passive) {
    let early = Arc::clone(client);
    if client.start(passive, 1).is_none() {
        return;
    }
    client.machine.arm(move |dispatch| {
        if early.claim() {
            early.flush(dispatch.into());
            early.settled();
        }
    });
    let status = client.wait(passive);
    let struck = client.settle(passive);
    let told = status.is_some() || !client.interrupts();
    client.require(told, "A-12", || {
        "a transfer that was flushed early never told its end".into()
    });
    if !struck {
        client.flush((&*passive).into());
    }
    client.check_data(client.far.moved());
    let state = client.state(passive);
    client.require(state == State::Own, "A-06", || {
        format!("after a flush the context is {state:?}")
    });
    restart(client, passive);
}
