//! What may be done to a channel while it is suspended, at whatever point that happened; and what a call does to a
//! second chain.

use super::berth::Berth;
use super::expect::Expect;
use super::judge::Next;
use super::matrix::{abort, check_cut, check_failed, hold, leave_error};
use super::{INTERRUPT, STATUS};
use longshore_core::event::Owner;
use longshore_core::machine::Machine as _;
use longshore_core::{Dispatch, Passive};
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::{ControlFlags, TransferStatus};
use std::sync::Arc;

const BOTH: ControlFlags = STATUS.union(INTERRUPT);

/// Descriptors of the chain that is suspended.
const LENGTH: usize = 4;

/// What is done while the channel is suspended.
type Act = fn(&Berth, &Dispatch, BusAddress);

/// Every scenario, with its name and what is done.
pub(super) const ALL: [(&str, Act); 6] = [
    ("held-append", append),
    ("held-start", start),
    ("held-abort", cut_short),
    ("held-reset", reset),
    ("held-null", make_null),
    ("held-replace", replace),
];

/// Suspends wherever the intruder strikes, does something, and goes on.
pub(super) fn run(act: Act, berth: &Arc<Berth>, passive: &mut Passive) {
    if !berth.can_suspend() {
        return berth.close((&*passive).into());
    }
    berth.prepare(0..LENGTH, |_| BOTH);
    berth.start((&*passive).into(), 0..LENGTH);
    berth.strike(
        passive,
        |berth| berth.watch.lock().is_moved_up_to(LENGTH - 1),
        move |berth, dispatch| {
            if let Some(last) = hold(berth, dispatch) {
                act(berth, dispatch, last);
            }
        },
    );
    // Whatever was done, a chain that is started now is done whole.
    berth.wait_until_moved(passive, "NETDMA-091");
    berth.check_ended("NETDMA-091");
    berth.check_starts_again(passive, 20..22, "NETDMA-076");
    berth.close((&*passive).into());
}

fn resume(berth: &Berth, dispatch: &Dispatch) {
    let resumed = berth.resume(dispatch.into());
    berth.require(resumed, "NETDMA-091", || {
        "a suspended channel was not resumed".into()
    });
}

/// What is appended waits for the resume.
fn append(berth: &Berth, dispatch: &Dispatch, last: BusAddress) {
    berth.prepare(LENGTH..LENGTH + 2, |_| BOTH);
    let appended = berth.append(dispatch.into(), LENGTH..LENGTH + 2);
    berth.require(appended, "AMB-09", || {
        "a suspended channel refused an append".into()
    });
    berth.rest();
    berth.check_memory(last, Next::Untouched, "AMB-09");
    resume(berth, dispatch);
}

/// A start ends the suspension, and what was pending is dropped.
fn start(berth: &Berth, dispatch: &Dispatch, _: BusAddress) {
    for expect in &mut berth.watch.lock().chain {
        expect.dropped = !expect.is_moved();
    }
    berth.prepare(12..14, |_| BOTH);
    let started = berth.start(dispatch.into(), 12..14);
    berth.require(started, "AMB-10", || "a suspended channel refused a start".into());
    berth.require(!berth.resume(dispatch.into()), "AMB-10", || {
        "a start did not end the suspension".into()
    });
}

fn cut_short(berth: &Berth, dispatch: &Dispatch, last: BusAddress) {
    if berth.can_abort() {
        abort(berth, dispatch);
        berth.check_memory(last, Next::Untouched, "SEED-004-5");
    }
    begin_anew(berth, dispatch);
}

fn reset(berth: &Berth, dispatch: &Dispatch, last: BusAddress) {
    if berth.can_reset() {
        let reset = berth.reset(dispatch.into());
        berth.require(reset, "NETDMA-093", || {
            "a suspended channel refused a reset".into()
        });
        check_cut(berth, "NETDMA-093");
        berth.check_memory(last, Next::Untouched, "NETDMA-093");
        berth.check_refusals(dispatch);
    }
    begin_anew(berth, dispatch);
}

fn begin_anew(berth: &Berth, dispatch: &Dispatch) {
    berth.prepare(12..14, |_| BOTH);
    let started = berth.start(dispatch.into(), 12..14);
    berth.require(started, "SEED-004-8", || "the channel did not start again".into());
}

/// Whatever the engine has not begun becomes a NULL transfer in its place. That keeps the number of descriptors.
fn make_null(berth: &Berth, dispatch: &Dispatch, last: BusAddress) {
    let from = berth.behind(last);
    let end = berth.watch.lock().chain.len();
    for index in from..end {
        berth.edit(index, |expect| {
            expect.content.control |= ControlFlags::NULL_TRANSFER;
            expect.kept = std::mem::take(&mut expect.parts);
        });
    }
    resume(berth, dispatch);
}

/// The descriptor behind the last completed one gives way to another, which goes on where that one would have.
fn replace(berth: &Berth, dispatch: &Dispatch, last: BusAddress) {
    let from = berth.behind(last);
    let gone = berth.watch.lock().chain.get(from).cloned();
    if let Some(gone) = gone.filter(|_| !last.is_null()) {
        let slot = 10;
        let mut content = berth.slots.content(slot, false);
        content.control = BOTH;
        content.next = gone.content.next;
        let mut added = Expect::new(berth.descriptor(slot), content);
        added.tail = gone.tail;
        berth.write_sources(&added);
        berth.give(&added);
        berth.edit(from - 1, |last| last.content.next = added.descriptor.start());
        let mut watch = berth.watch.lock();
        watch.chain[from].dropped = true;
        watch.chain.insert(from + 1, added);
    }
    resume(berth, dispatch);
}

/// The bus fails at some byte while the channel is being suspended, or before, or after, or nowhere.
pub(super) fn error(berth: &Arc<Berth>, passive: &mut Passive) {
    if !berth.can_suspend() {
        return berth.close((&*passive).into());
    }
    berth.machine.arm(|_| {});
    berth.prepare(0..LENGTH, |_| BOTH);
    berth.start((&*passive).into(), 0..LENGTH);
    berth.wait_until(passive, |berth| {
        let watch = berth.watch.lock();
        watch.error || watch.chain[0].written > 0
    });
    let held = berth
        .machine
        .raise(passive, |dispatch| berth.suspend(dispatch.into()));
    if held.is_some() {
        let resumed = berth.resume((&*passive).into());
        let failed = berth.watch.lock().error;
        berth.require(resumed || failed, "NETDMA-091", || {
            "a suspended channel was not resumed".into()
        });
    }
    berth.leap(passive);
    berth.machine.disarm();
    if berth.interface.errors() > 0 {
        check_failed(berth, passive);
        berth
            .machine
            .raise(passive, |dispatch| leave_error(berth, dispatch, 0));
    } else {
        // An engine that cannot say that it is suspended may be suspended all the same.
        berth.require(held.is_some() || !berth.watch.lock().error, "NETDMA-102", || {
            "the suspend failed, and no error was reported".into()
        });
        berth.wait_until_moved(passive, "NETDMA-091");
    }
    berth.check_starts_again(passive, 20..22, "AMB-08");
    berth.close((&*passive).into());
}

/// A suspend and then an abort of a second chain know nothing of the first one.
pub(super) fn second(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.prepare(0..2, |_| BOTH);
    berth.start((&*passive).into(), 0..2);
    berth.wait_until_moved(passive, "SEED-003-8");
    berth.check_ended("SEED-003-8");
    berth.prepare(2..5, |_| BOTH);
    berth.start((&*passive).into(), 2..5);
    berth.strike(
        passive,
        |berth| berth.watch.lock().is_moved_up_to(4),
        |berth, dispatch| {
            if berth.can_suspend() {
                hold(berth, dispatch);
            }
            if berth.can_abort() {
                abort(berth, dispatch);
                berth.last_of(TransferStatus::HALTED, "SEED-004-7");
            }
        },
    );
    berth.close((&*passive).into());
}

impl Berth {
    /// The index of the descriptor behind this one, or of the first of this start.
    fn behind(&self, last: BusAddress) -> usize {
        let watch = self.watch.lock();
        match watch.index_of(last) {
            Some(index) => index + 1,
            None => watch.first,
        }
    }

    /// Rewrites a descriptor in its place, which its owner may do while the channel is suspended (RACE-6).
    fn edit(&self, index: usize, change: impl FnOnce(&mut Expect)) {
        let (descriptor, content) = {
            let mut watch = self.watch.lock();
            let expect = &mut watch.chain[index];
            change(expect);
            (expect.descriptor, expect.content)
        };
        self.hand_over(descriptor, Owner::Cpu);
        self.write_descriptor(descriptor, &content);
    }
}
