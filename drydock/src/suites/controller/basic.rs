//! Healthy transfers, failing ones, and the device that never gives.

use super::client::{Client, LENGTH, Terms};
use super::site::Site;
use crate::machine::Fault;
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_wdm::DmaCompletionStatus;
use std::sync::Arc;

/// Moves the whole buffer, piece by piece as the maps come out, and judges each piece. Says whether all was well.
pub(super) fn transfer(client: &Client, passive: &Passive) -> bool {
    loop {
        let Some(mapped) = client.start(passive, 1) else {
            return false;
        };
        let status = client.wait(passive);
        let moved = client.far.moved();
        client.flush(passive.into());
        client.check_data(moved);
        if !judge(client, status, mapped, moved) {
            return false;
        }
        if client.window().1 == LENGTH {
            return true;
        }
    }
}

/// A healthy end is complete; one that was struck may also be cancelled (WDM-185).
pub(super) fn judge(
    client: &Client,
    status: Option<DmaCompletionStatus>,
    mapped: u32,
    moved: Option<u64>,
) -> bool {
    let struck = client.is_cancelled();
    let whole = moved.is_none_or(|moved| moved == u64::from(mapped));
    match status {
        Some(DmaCompletionStatus::COMPLETE) => client.require(whole, "SEED-000-3", || {
            format!("complete, but {moved:?} of {mapped} bytes were moved")
        }),
        Some(DmaCompletionStatus::CANCELLED) => {
            client.require(struck, "WDM-185", || {
                "nobody cancelled, and it was cancelled".into()
            });
            false
        }
        None if moved == Some(0) && !struck => client.require(false, "WDM-320", || {
            "the map succeeded, nothing was moved, and it never ended: the controller did not start".into()
        }),
        None => client.require(false, "SEED-001-5", || {
            format!("{moved:?} of {mapped} bytes were moved, and the end was never told")
        }),
        Some(status) => client.require(false, "SEED-001-5", || {
            format!("a healthy transfer ended with {status:?}")
        }),
    }
}

/// Both ways: complete, and every byte is there; and no other device got or gave one (WDM-310).
pub(super) fn healthy(client: &Arc<Client>, passive: &mut Passive) {
    client.machine.arm(|_| {});
    transfer(client, passive);
    for (other, wired) in client.site.devices.iter().enumerate() {
        let quiet = other == client.terms.device || wired.far.moved().unwrap_or(0) == 0;
        client.require(quiet, "WDM-310", || {
            format!("the device on line {} was served", wired.request_line)
        });
    }
}

/// The device fails in the middle: DmaError, once, and nothing behind it is moved (PAIN-12).
pub(super) fn device_error(client: &Arc<Client>, passive: &mut Passive) {
    if !client.site.abilities.errors {
        return;
    }
    let mut before = 0;
    while client.window().1 < LENGTH {
        // A map that ends before that byte is well, and the device begins to count anew with the next one.
        client.far.fail_at(u64::from(LENGTH / 2 - before));
        let Some(mapped) = client.start(passive, 1) else {
            return;
        };
        let well = before + mapped <= LENGTH / 2;
        let wanted = if well {
            DmaCompletionStatus::COMPLETE
        } else {
            DmaCompletionStatus::ERROR
        };
        let status = client.wait(passive);
        client.require(status == Some(wanted), "SEED-000-4", || {
            format!("{mapped} bytes from {before} on ended with {status:?}")
        });
        let moved = client.far.moved();
        client.flush((&*passive).into());
        client.check_data(moved);
        if !well {
            return;
        }
        before += mapped;
    }
}

/// The bus fails at some byte: DmaError, or complete where all went well before.
pub(super) fn bus_error(client: &Arc<Client>, passive: &mut Passive) {
    if !client.site.abilities.bus_errors {
        return;
    }
    client.machine.arm(|_| {});
    while client.window().1 < LENGTH {
        if client.start(passive, 1).is_none() {
            return;
        }
        let status = client.wait(passive);
        client.flush((&*passive).into());
        let broken = matches!(client.machine.fault(), Some(Fault::BusError(_)));
        if status == Some(DmaCompletionStatus::COMPLETE) {
            continue;
        }
        let right = broken && status == Some(DmaCompletionStatus::ERROR);
        client.require(right, "SEED-000-4", || {
            format!("the transfer ended with {status:?}")
        });
        return;
    }
    let last = client.window().1 == LENGTH && client.bytes() == Client::pattern(0..u64::from(LENGTH));
    client.require(last, "SEED-000-3", || {
        format!("complete, but memory holds {:?}", client.bytes())
    });
}

/// The device never gives its last bytes: the transfer goes on until it is cancelled, and then ends (PAIN-14).
pub(super) fn starved(client: &Arc<Client>, passive: &mut Passive) {
    if !client.site.abilities.starves {
        return;
    }
    let Some(mapped) = client.start(passive, 0) else {
        return;
    };
    let given = u64::from(mapped) - 4;
    client.far.supply(&Client::pattern(0..given));
    // Whatever is asked of the controller shows it that there is something now.
    for _ in 0..30 {
        let _ = client.adapter.read_counter(&*passive);
        client.machine.relax();
    }
    let early = client.told.count();
    client.require(early == 0, "SEED-001-9", || {
        "told of the end before all bytes were moved".into()
    });
    let left = client.adapter.read_counter(&*passive);
    client.require(left >= 4 || !client.site.counts(), "WDM-212", || {
        format!("the counter reads {left}, but 4 bytes were never given")
    });
    client.cancel((&*passive).into());
    let again = client.adapter.cancel_mapped(&*passive, &client.context);
    client.require(again.is_err(), "RL-05", || "a second cancel succeeded".into());
    let status = client.wait(passive);
    client.require(
        status == Some(DmaCompletionStatus::CANCELLED),
        "SEED-000-5",
        || format!("a cancelled transfer that was not complete ended with {status:?}"),
    );
    let moved = client.far.moved();
    let left = client.adapter.read_counter(&*passive);
    client.flush((&*passive).into());
    client.check_data(moved);
    let kept = client.adapter.read_counter(&*passive);
    let right = if client.site.counts() {
        kept == left && left >= 4
    } else {
        kept == 0
    };
    client.require(right, "A-19", || {
        format!("the counter read {left} before the flush and {kept} after it")
    });
}

/// A device that is given back and taken up anew has its channel again (RL-26).
pub(super) fn bound_again(site: &Arc<Site>, passive: &mut Passive) {
    let Some(wired) = site.devices.first() else { return };
    for _ in 0..2 {
        let description = Site::description(wired, false);
        let Some(adapter) = site.adapter(passive, description, "RL-26") else {
            return;
        };
        let put = adapter.put(&*passive);
        site.require(put.is_ok(), "WDM-106", || format!("{put:?}"));
    }
}

/// Two transfers on two channels at once: each ends once, with its own bytes.
pub(super) fn two_channels(site: &Arc<Site>, passive: &mut Passive) {
    let client = |passive: &Passive, device, write| {
        let terms = Terms {
            device,
            write,
            ..Terms::RECEIVE
        };
        Client::new(site, passive, terms)
    };
    if site.devices.len() < 2 {
        return;
    }
    let (Some(one), Some(two)) = (client(passive, 0, false), client(passive, 1, true)) else {
        return;
    };
    if !(one.take_channel(passive) && two.take_channel(passive)) {
        return;
    }
    let both = [&one, &two];
    // The second one is cancelled at some point, which is nothing to the first.
    two.arm();
    while one.window().1 < LENGTH {
        let Some(mapped) = one.start(passive, 1) else {
            return;
        };
        let other = if two.window().1 < LENGTH {
            two.start(passive, 1)
        } else {
            None
        };
        let status = one.wait(passive);
        let moved = one.far.moved();
        one.flush((&*passive).into());
        one.check_data(moved);
        one.require(
            status == Some(DmaCompletionStatus::COMPLETE),
            "SEED-001-5",
            || format!("{moved:?} of {mapped} bytes: {status:?}"),
        );
        if let Some(mapped) = other {
            let status = two.wait(passive);
            let moved = two.far.moved();
            two.flush((&*passive).into());
            two.check_data(moved);
            judge(&two, status, mapped, moved);
        }
    }
    two.settle(passive);
    both.iter().for_each(|client| client.leave(passive));
}
