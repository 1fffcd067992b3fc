//! Who waits for a channel, and in which order it is granted.

use super::client::{Client, LENGTH, Terms};
use super::site::Site;
use super::told::DEVICE;
use longshore_core::Passive;
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_wdm::{DmaCompletionStatus, IoAllocationAction, State};
use std::sync::{Arc, Mutex, PoisonError};

/// Who was granted the channel, in order.
#[derive(Clone, Default)]
struct Order(Arc<Mutex<Vec<usize>>>);

impl Order {
    fn list(&self) -> Vec<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, who: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(who);
    }
}

fn clients(site: &Arc<Site>, passive: &Passive, count: usize) -> Option<Vec<Arc<Client>>> {
    (0..count)
        .map(|_| Client::new(site, passive, Terms::RECEIVE))
        .collect()
}

/// One holds the channel, four wait. A cancel strikes the third: TRUE, and it is never granted; FALSE, and it is
/// (R5). The others come in their order, each inside of the free before it, and each frees at once (R11).
pub(super) fn in_turn(site: &Arc<Site>, passive: &mut Passive) {
    let Some(clients) = clients(site, passive, 5) else {
        return;
    };
    let order = Order::default();
    if !clients[0].take_channel(passive) {
        return;
    }
    let victim = Arc::clone(&clients[2]);
    let taken = Arc::new(Mutex::new(false));
    let so_far = order.clone();
    let note = Arc::clone(&taken);
    let over = Arc::clone(&clients[2]);
    site.machine.arm(move |dispatch| {
        let answer = victim
            .adapter
            .cancel_adapter_channel(dispatch, &victim.context, DEVICE);
        // A request that was granted and is over is none any more: then it is the next one that is cancelled.
        let waited = !so_far.list().contains(&2);
        *note.lock().unwrap_or_else(PoisonError::into_inner) = answer && waited;
        over.settled();
    });
    for (who, client) in clients.iter().enumerate().skip(1) {
        let order = order.clone();
        site.machine.raise(passive, |dispatch| {
            // A request that was cancelled beforehand is refused.
            let _ = client.queue(dispatch, move |_| {
                order.note(who);
                IoAllocationAction::DEALLOCATE_OBJECT
            });
        });
    }
    let before = order.list();
    site.require(before.is_empty(), "WDM-120", || {
        format!("{before:?} were granted a channel that was held")
    });
    site.machine.raise(passive, |dispatch| {
        let freed = clients[0].adapter.free_channel(dispatch, &clients[0].context);
        site.require(freed.is_ok(), "WDM-190", || format!("{freed:?}"));
        let granted = order.list();
        let all = granted.contains(&4) && granted.contains(&1);
        site.require(all, "R11", || {
            format!("when the channel was free again, {granted:?} had been granted it")
        });
    });
    site.machine.disarm();
    if site.machine.struck() {
        clients[2].wait_settled(passive);
    }
    let cancelled = *taken.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted: &[usize] = if cancelled { &[1, 3, 4] } else { &[1, 2, 3, 4] };
    let granted = order.list();
    site.require(granted == wanted, "A-16", || {
        format!("the channel was granted to {granted:?}, in this order, which should be {wanted:?}")
    });
    clients.iter().for_each(|client| client.leave(passive));
}

/// Whoever waits with a mark is granted the channel, and its map is refused.
pub(super) fn marked(site: &Arc<Site>, passive: &mut Passive) {
    let Some(clients) = clients(site, passive, 2) else {
        return;
    };
    if !clients[0].take_channel(passive) {
        return;
    }
    let order = Order::default();
    let inside = order.clone();
    site.machine.raise(passive, |dispatch| {
        let queued = clients[1].queue(dispatch, move |_| {
            inside.note(1);
            IoAllocationAction::KEEP_OBJECT
        });
        site.require(queued.is_ok(), "WDM-120", || format!("{queued:?}"));
    });
    clients[1].cancel((&*passive).into());
    clients[0].release(passive);
    let state = clients[1].state(passive);
    let granted = order.list() == [1] && state == State::OwnX;
    site.require(granted, "A-10", || {
        format!("a cancelled request that waits became {state:?}")
    });
    let mapped = clients[1].map((&*passive).into());
    site.require(mapped.is_err(), "RL-02", || format!("{mapped:?}"));
    clients.iter().for_each(|client| client.leave(passive));
}

/// Two CPUs ask for a free channel: each is granted it in turn, perhaps on the other CPU and before its own call
/// returns (R6), and maps from its AdapterControl (WDM-162).
pub(super) fn from_two_cpus(site: &Arc<Site>, passive: &mut Passive) {
    let Some(both) = clients(site, passive, 2) else {
        return;
    };
    let done = Arc::new(site.machine.signal(passive, "the other CPU"));
    let (theirs, told) = (Arc::clone(&both[1]), Arc::clone(&done));
    site.machine.spawn(Cpu(1), "the other client", move |passive| {
        granted_transfer(&theirs, passive);
        told.set();
    });
    granted_transfer(&both[0], passive);
    let _ = done.wait_for(passive, super::client::LONG);
    both.iter().for_each(|client| client.leave(passive));
}

/// Asks for the channel, maps from AdapterControl, waits, and gives the channel back.
fn granted_transfer(client: &Arc<Client>, passive: &mut Passive) {
    let inside = Arc::clone(client);
    let granted = Arc::new(client.machine.signal(passive, "granted"));
    let told = Arc::clone(&granted);
    let queued = client.machine.raise(passive, |dispatch| {
        client.queue(dispatch, move |dispatch| {
            inside.far.begin();
            inside.far.supply(&Client::pattern(0..u64::from(LENGTH)));
            let mapped = inside.map(dispatch.into());
            inside.require(mapped.is_ok(), "WDM-162", || {
                format!("a map from AdapterControl gave {mapped:?}")
            });
            told.set();
            IoAllocationAction::KEEP_OBJECT
        })
    });
    client.require(queued.is_ok(), "WDM-120", || format!("{queued:?}"));
    let _ = granted.wait_for(passive, super::client::LONG);
    let status = client.wait(passive);
    client.require(status == Some(DmaCompletionStatus::COMPLETE), "R6", || {
        format!("what was mapped from AdapterControl ended with {status:?}")
    });
    let moved = client.far.moved();
    client.flush((&*passive).into());
    client.check_data(moved);
    client.release(passive);
}
