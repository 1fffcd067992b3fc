//! Loops: periods, their counter, their configuration, and their one end.

use super::cancel::restart;
use super::client::{Client, LENGTH};
use longshore_core::machine::Machine as _;
use longshore_core::{NtStatus, Passive};
use longshore_wdm::DmaCompletionStatus;
use std::sync::Arc;

/// Bytes of a period, where it can be set.
const PERIOD: u32 = 8;

/// Laps that the device has bytes for.
const LAPS: u64 = 3;

/// A function that no controller has.
const UNKNOWN: u32 = 0x8fff;

/// Sets the period, where there is a function for it. Says how long a period of so many mapped bytes is then.
fn configure(client: &Client, passive: &Passive) -> Option<u32> {
    let call = |function, argument| {
        client
            .adapter
            .configure(passive, &client.context, function, argument)
    };
    let unknown = call(UNKNOWN, 0);
    client.require(unknown == Ok(NtStatus::NOT_IMPLEMENTED), "WDM-210", || {
        format!("a function that does not exist gave {unknown:?}")
    });
    let function = client.site.abilities.set_period?;
    let set = call(function, PERIOD as usize);
    client.require(set == Ok(NtStatus::SUCCESS), "WDM-323", || {
        format!("setting the period gave {set:?}")
    });
    let bad = call(function, 0);
    client.require(bad == Ok(NtStatus::INVALID_PARAMETER), "WDM-211", || {
        format!("setting no period gave {bad:?}")
    });
    Some(PERIOD)
}

/// The count is that of the current lap, at some moment between two looks at the device (WDM-213, RL-10).
fn check_counter(client: &Client, passive: &Passive, mapped: u32) {
    let Some(before) = client.far.moved() else { return };
    let left = client.adapter.read_counter(passive);
    let after = client.far.moved().unwrap_or(before);
    let lap = u64::from(mapped);
    // One access more or less is under way between the bytes and their count.
    let might = (before..=after)
        .any(|moved| u64::from(left) == lap - moved % lap || u64::from(left) == (lap - moved % lap) % lap);
    client.require(
        might || !client.site.counts() || client.is_cancelled(),
        "WDM-213",
        || format!("the counter reads {left} of {lap} when {before} to {after} bytes were moved"),
    );
}

/// A loop that runs for some laps, and is cancelled, here or by a strike at any point.
pub(super) fn looped(client: &Arc<Client>, passive: &mut Passive) {
    let period = configure(client, passive);
    client.arm();
    let Some(mapped) = client.start(passive, LAPS) else {
        client.settle(passive);
        return;
    };
    let enough = u64::from(mapped) * 2;
    for _ in 0..400 {
        check_counter(client, passive, mapped);
        if client.is_cancelled() || client.far.moved().is_none_or(|moved| moved >= enough) {
            break;
        }
        client.machine.relax();
    }
    if let Some(function) = client.site.abilities.set_period
        && !client.is_cancelled()
    {
        let running = client
            .adapter
            .configure(&*passive, &client.context, function, PERIOD as usize);
        let refused = running == Ok(NtStatus::INVALID_DEVICE_STATE) || client.is_cancelled();
        client.require(refused, "WDM-211", || {
            format!("configuring a running channel gave {running:?}")
        });
    }
    if client.claim() {
        client.cancel((&*passive).into());
    }
    client.settle(passive);
    end(client, passive, period.unwrap_or(mapped));
    restart(client, passive);
}

/// The one end, and what came before it.
fn end(client: &Arc<Client>, passive: &mut Passive, period: u32) {
    let status = client.wait(passive);
    client.require(status == Some(DmaCompletionStatus::CANCELLED), "A-31", || {
        format!("a loop that was cancelled ended with {status:?}")
    });
    let moved = client.far.moved();
    let told = client.told.of(client.last_map());
    let periods = told
        .iter()
        .filter(|status| **status == DmaCompletionStatus::COMPLETE)
        .count() as u64;
    if let (Some(moved), true) = (moved, client.interrupts()) {
        let real = moved / u64::from(period);
        // Periods that come faster than they are looked at are told of together (PAIN-16).
        client.require(periods <= real, "WDM-020", || {
            format!("{periods} periods of {period} bytes were told of, {moved} bytes were moved")
        });
        let heard = periods > 0 || real < 2 || client.is_cancelled();
        client.require(heard, "WDM-318", || {
            format!("{moved} bytes were moved in periods of {period}, and none was told of")
        });
        let fine = periods >= 2 || u64::from(period) == 0 || real < 6 || client.is_cancelled();
        client.require(fine, "WDM-323", || {
            format!("{real} periods of {period} bytes passed, but {periods} were told of")
        });
    }
    client.flush((&*passive).into());
    client.check_data(moved);
}

/// The device fails in the second lap: DmaError once, and the loop is over.
pub(super) fn error(client: &Arc<Client>, passive: &mut Passive) {
    if !client.site.abilities.errors {
        return;
    }
    client.far.fail_at(u64::from(LENGTH) + 4);
    if client.start(passive, LAPS).is_none() {
        return;
    }
    let status = client.wait(passive);
    client.require(status == Some(DmaCompletionStatus::ERROR), "A-32", || {
        format!("a loop whose device failed ended with {status:?}")
    });
    let moved = client.far.moved();
    client.flush((&*passive).into());
    client.check_data(moved);
}
