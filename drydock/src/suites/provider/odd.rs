//! Descriptors of every kind that do what they say.

use super::berth::Berth;
use super::expect::{Expect, Part};
use super::slots::SIZE;
use super::{INTERRUPT, STATUS};
use longshore_core::machine::Machine as _;
use longshore_core::{Dispatch, Passive};
use longshore_hardware::netdma::{ControlFlags, TransferStatus};
use longshore_hardware::{BusAddress, BusRange};
use longshore_netdma::ProviderFlags;
use std::sync::Arc;

const BOTH: ControlFlags = STATUS.union(INTERRUPT);

type Run = fn(&Arc<Berth>, &mut Passive);

/// Every scenario, with its name.
pub(super) const ALL: [(&str, Run); 8] = [
    ("null", null),
    ("zero", zero),
    ("fence", fence),
    ("hints", hints),
    ("page-break", page_break),
    ("context", context),
    ("loop", looped),
    ("count", count),
];

/// Starts this chain, and sees it end as each of its descriptors says.
fn run(berth: &Arc<Berth>, passive: &mut Passive, chain: Vec<Expect>, rule: &'static str) {
    let count = chain.len();
    let first = chain[0].descriptor.start();
    berth.submit(chain);
    let started = berth.start_at((&*passive).into(), first, count, count as u32);
    if berth.require(started, "NETDMA-076", || "the start was refused".into()) {
        berth.wait_until_moved(passive, rule);
        berth.check_ended(rule);
    }
    berth.close((&*passive).into());
}

/// NULL transfers are reported like any other, and nothing else of them is looked at.
fn null(berth: &Arc<Berth>, passive: &mut Passive) {
    let mut chain = berth.plain(0..5, |slot| {
        let null = if slot % 2 == 1 {
            ControlFlags::NULL_TRANSFER
        } else {
            ControlFlags::empty()
        };
        BOTH | null
    });
    // A NULL transfer's own fields count for nothing, whatever they say.
    let content = &mut chain[3].content;
    content.control |= ControlFlags::SOURCE_PAGE_BREAK | ControlFlags::DESTINATION_PAGE_BREAK;
    content.transfer_size = u32::MAX;
    run(berth, passive, chain, "NETDMA-085");
}

/// Copies of no bytes end like any other.
fn zero(berth: &Arc<Berth>, passive: &mut Passive) {
    let mut chain = berth.plain(0..4, |_| BOTH);
    for expect in chain.iter_mut().skip(1).step_by(2) {
        expect.content.transfer_size = 0;
        expect.parts.clear();
    }
    run(berth, passive, chain, "NETDMA-055");
}

/// Behind a fence a copy reads what the one before has written.
fn fence(berth: &Arc<Berth>, passive: &mut Passive) {
    let mut chain = berth.plain(0..3, |_| BOTH | ControlFlags::SERIALIZE_TRANSFER);
    for index in 1..3 {
        chain[index].content.source = chain[index - 1].content.destination;
        chain[index].parts[0].from = chain[0].parts[0].from;
    }
    run(berth, passive, chain, "NETDMA-086");
}

/// No-snoop and the hints for caches change nothing.
fn hints(berth: &Arc<Berth>, passive: &mut Passive) {
    let hints = [
        ControlFlags::SOURCE_NO_SNOOP,
        ControlFlags::DESTINATION_NO_SNOOP,
        ControlFlags::DESTINATION_DCA_ENABLE,
    ];
    let chain = berth.plain(0..4, |slot| {
        BOTH | hints.get(slot).copied().unwrap_or(hints[0] | hints[1] | hints[2])
    });
    run(berth, passive, chain, "NETDMA-065");
}

/// The page of the page-break flags.
const PAGE: u64 = 4096;

/// Bytes of a copy that breaks.
const BROKEN: u64 = 160;

/// Each side breaks where its own page ends: at different points, on one side only, or not at all.
fn page_break(berth: &Arc<Berth>, passive: &mut Passive) {
    if !berth.counted() {
        return berth.close((&*passive).into());
    }
    // How many bytes of each side stand before its break. What is as long as the copy does not break.
    let cases = [(40, 100), (100, 40), (64, 64), (BROKEN, 33), (7, BROKEN)];
    let mut chain = berth.plain(0..cases.len(), |_| BOTH);
    let pages = berth.lease(PAGE * 4 * cases.len() as u64, PAGE);
    for (index, (expect, (source, destination))) in chain.iter_mut().zip(cases).enumerate() {
        let page = |number: u64| {
            pages
                .checked_add((4 * index as u64 + number) * PAGE)
                .unwrap_or(pages)
        };
        let from = Side::new(page(0), page(2), source);
        let to = Side::new(page(1), page(3), destination);
        expect.content.transfer_size = BROKEN as u32;
        (expect.content.source, expect.content.next_source) = (from.start, from.second);
        (expect.content.destination, expect.content.next_destination) = (to.start, to.second);
        expect.content.control |= ControlFlags::SOURCE_PAGE_BREAK | ControlFlags::DESTINATION_PAGE_BREAK;
        expect.parts = parts(&from, &to);
    }
    run(berth, passive, chain, "NETDMA-066");
}

/// One side of a copy that breaks.
struct Side {
    start: BusAddress,
    second: BusAddress,
    /// Bytes before the break.
    before: u64,
}

impl Side {
    fn new(first: BusAddress, second: BusAddress, before: u64) -> Self {
        let start = first.checked_add(PAGE - before).unwrap_or(first);
        Self {
            start,
            second,
            before,
        }
    }

    fn range(&self, at: u64, len: u64) -> BusRange {
        let start = if at < self.before {
            self.start.checked_add(at)
        } else {
            self.second.checked_add(at - self.before)
        };
        BusRange::new(start.unwrap_or(self.start), len).unwrap_or(BusRange::EMPTY)
    }
}

/// The parts of a copy between two sides that break.
fn parts(from: &Side, to: &Side) -> Vec<Part> {
    let mut ends = [from.before, to.before, BROKEN];
    ends.sort_unstable();
    let mut at = 0;
    let mut parts = Vec::new();
    for end in ends {
        if end > at {
            let len = end - at;
            parts.push(Part {
                from: from.range(at, len),
                to: to.range(at, len),
            });
            at = end;
        }
    }
    parts
}

/// A context change is reported where its flag asks, and its bit 0 is no interrupt.
fn context(berth: &Arc<Berth>, passive: &mut Passive) {
    // No other provider gets one (NETDMA-064).
    if !berth.characteristics.flags.contains(ProviderFlags::DCA) {
        return berth.close((&*passive).into());
    }
    let change = ControlFlags::OP_TYPE_CONTEXT_CHANGE | ControlFlags::DCA_CONTEXT_CHANGE;
    let chain = berth.plain(0..4, |slot| {
        if slot % 2 == 1 {
            STATUS | ControlFlags::from_bits_retain(change)
        } else {
            STATUS
        }
    });
    run(berth, passive, chain, "AMB-17");
}

/// A chain that loops: in 2.x the counter ends it, in 1.x an abort does, and nothing runs away in the meantime.
fn looped(berth: &Arc<Berth>, passive: &mut Passive) {
    const RING: usize = 3;
    const ROUNDS: usize = 3;
    let mut chain = berth.plain(0..RING, |_| STATUS);
    chain[RING - 1].content.next = berth.descriptor(0).start();
    berth.watch.lock().loops = true;
    berth.submit(chain);
    let first = berth.descriptor(0).start();
    let count = (RING * ROUNDS - 1) as u32;
    let started = berth.start_at((&*passive).into(), first, RING, count);
    berth.require(started, "AMB-16", || "the start was refused".into());
    if berth.counted() {
        let last = berth.descriptor(RING - 2).start();
        berth.wait_until(passive, |berth| berth.word().status() == TransferStatus::IDLE);
        berth.leap(passive);
        berth.require_word(last, TransferStatus::IDLE, "AMB-16");
        let moved: u64 = berth.watch.lock().chain.iter().map(|expect| expect.written).sum();
        let wanted = u64::from(count) * u64::from(SIZE);
        berth.require(moved == wanted, "AMB-16", || {
            format!("{moved} bytes were moved, not the {wanted} that were counted")
        });
    } else if berth.can_abort() {
        // No intruder: such a chain has no end of points where one could strike.
        berth.wait_until(passive, |berth| berth.watch.lock().words > 2 * RING as u32);
        berth.machine.raise(passive, |dispatch: &Dispatch| {
            let aborted = berth.abort(dispatch.into());
            berth.require(aborted, "AMB-16", || {
                "a chain that loops could not be aborted".into()
            });
        });
        let last = berth.last_of(TransferStatus::HALTED, "SEED-004-7");
        let done = last.is_null() || berth.watch.lock().is_complete(last);
        berth.require(done, "AMB-05", || {
            format!("{last} is said to be done, but is not")
        });
    }
    berth.watch.lock().loops = false;
    berth.check_starts_again(passive, 8..10, "SEED-004-8");
    berth.close((&*passive).into());
}

/// What the count of a submission means: nothing in 1.x; in 2.x zero starts nothing and adds nothing.
fn count(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.prepare(0..2, |_| BOTH);
    let first = berth.descriptor(0).start();
    if berth.counted() {
        let started = berth.start_at((&*passive).into(), first, 2, 0);
        berth.require(!started, "RACE-2", || {
            "a start of no descriptors was accepted".into()
        });
        berth.start((&*passive).into(), 0..2);
        let second = berth.descriptor(2).start();
        let appended = berth.append_at((&*passive).into(), second, 0);
        berth.require(appended, "RACE-2", || {
            "an append of no descriptors was refused".into()
        });
    } else {
        let started = berth.start_at((&*passive).into(), first, 2, 1);
        berth.require(started, "AMB-24", || {
            "a count that means nothing was refused".into()
        });
    }
    berth.wait_until_moved(passive, "AMB-24");
    berth.check_ended("AMB-24");
    berth.close((&*passive).into());
}
