//! A channel before its first chain and after its last, and what it is allocated with.

use super::berth::Berth;
use super::{INTERRUPT, STATUS};
use longshore_core::machine::Machine as _;
use longshore_core::{Dispatch, Passive};
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::{ControlFlags, TransferStatus};
use longshore_netdma::ChannelParameters;
use std::sync::Arc;

const BOTH: ControlFlags = STATUS.union(INTERRUPT);

/// A channel that was never started takes a start, and stops without a word about descriptors.
pub(super) fn fresh(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.machine.raise(passive, |dispatch| {
        berth.check_refusals(dispatch);
        if berth.can_reset() {
            let words = berth.watch.lock().words;
            berth.require(berth.reset(dispatch.into()), "NETDMA-093", || {
                "a fresh channel could not be reset".into()
            });
            berth.require(berth.watch.lock().words == words, "NETDMA-093", || {
                "the reset of a fresh channel wrote the completion word".into()
            });
            berth.watch.lock().started(0);
        }
        if berth.can_abort() {
            berth.require(berth.abort(dispatch.into()), "SEED-004-3", || {
                "a fresh channel could not be aborted".into()
            });
            berth.require_word(BusAddress::NULL, TransferStatus::HALTED, "AMB-04");
            berth.check_refusals(dispatch);
        }
        if berth.can_reset() {
            berth.require(berth.reset(dispatch.into()), "NETDMA-093", || {
                "an aborted channel could not be reset".into()
            });
        }
    });
    berth.check_starts_again(passive, 0..3, "NETDMA-076");
    berth.close((&*passive).into());
}

/// Addresses that no descriptor can have are refused before anything is read.
pub(super) fn misplaced(berth: &Arc<Berth>, passive: &mut Passive) {
    let wrong = berth
        .descriptor(0)
        .start()
        .checked_add(8)
        .unwrap_or(BusAddress::NULL);
    berth.machine.raise(passive, |dispatch: &Dispatch| {
        for first in [wrong, BusAddress::NULL] {
            berth.require(
                !berth.start_at(dispatch.into(), first, 0, 1),
                "NETDMA-052",
                || format!("a start at {first} was accepted"),
            );
        }
    });
    let word = berth.word_range().start().checked_add(4);
    let parameters = ChannelParameters::new(word.unwrap_or(BusAddress::NULL), berth.terms.cpus);
    let provider = &berth.subject.provider;
    let second = provider.allocate_channel((&*passive).into(), parameters, berth.interface.clone());
    berth.require(second.is_err(), "NETDMA-044", || {
        "a channel was allocated whose completion word is not aligned".into()
    });
    berth.check_starts_again(passive, 0..2, "NETDMA-076");
    berth.machine.raise(passive, |dispatch: &Dispatch| {
        for first in [wrong, BusAddress::NULL] {
            berth.require(!berth.append_at(dispatch.into(), first, 1), "NETDMA-052", || {
                format!("an append at {first} was accepted")
            });
        }
        if berth.counted() {
            let elsewhere = berth.descriptor(9).start();
            berth.require(
                !berth.append_at(dispatch.into(), elsewhere, 1),
                "NETDMA-074",
                || "an append that does not begin where the chain goes on was accepted".into(),
            );
        }
    });
    berth.prepare(2..4, |_| BOTH);
    let appended = berth.append((&*passive).into(), 2..4);
    berth.require(appended, "NETDMA-075", || {
        "an append to an idle channel was refused".into()
    });
    berth.wait_until_moved(passive, berth.append_rule());
    berth.check_ended(berth.append_rule());
    berth.close((&*passive).into());
}

/// A chain on a channel that was allocated on other terms: its interrupts go where the channel was told to send them.
pub(super) fn chain(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.check_starts_again(passive, 0..3, "NETDMA-041");
    berth.close((&*passive).into());
}
