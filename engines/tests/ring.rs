//! The exclusive ring on an engine that moves by hand: what it asks of the engine, and when.

#![allow(clippy::unwrap_used)] // the helpers of a test may panic as the test itself

mod support;

use longshore_core::completion::{Cause, Outcome, Verdict};
use longshore_core::machine::{Instant, Machine as _};
use longshore_hardware::netdma::ControlFlags;
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_host::Machine;
use longshore_netdma::operation::Refused;
use longshore_netdma::ring::{Done, Request, RequestFlags, Ring};
use longshore_netdma::{Handlers, Version};
use support::manual::{Asked, Manual, manual_ring};
use support::*;

const VERSIONS: [Version; 2] = [Version::V1_0, Version::V2_0];

type TestRing = Ring<Machine, Manual, u32>;

fn open(machine: &Machine, version: Version) -> (TestRing, Manual) {
    manual_ring(machine, version, Handlers::all(), 16)
}

/// Polls once. Returns the tags and outcomes.
fn poll(machine: &Machine, ring: &mut TestRing, room: usize) -> Vec<(u64, Outcome)> {
    let mut dones: Vec<Done<u32>> = (0..room).map(|_| Done::default()).collect();
    let count = ring.poll((&passive(machine)).into(), &mut dones);
    dones.truncate(count);
    for done in &dones {
        assert_eq!(done.held, Some(done.tag as u32), "what was given comes back");
    }
    dones.iter().map(|done| (done.tag, done.outcome)).collect()
}

fn done(tags: std::ops::Range<u64>) -> Vec<(u64, Outcome)> {
    tags.map(|tag| (tag, Outcome::COMPLETED)).collect()
}

fn cancelled(tag: u64, residue: u64) -> (u64, Outcome) {
    let verdict = Verdict::Cancelled;
    (tag, Outcome { verdict, residue })
}

fn submit(ring: &mut TestRing, request: Request<'_>, tag: u64) {
    ring.submit(request, tag, tag as u32).unwrap();
}

fn doorbell(machine: &Machine, ring: &mut TestRing) {
    ring.doorbell((&passive(machine)).into()).unwrap();
}

fn part(lease: &Lease<Memory>, from: u64, len: u64) -> BusRange {
    lease.range().slice(from, len).unwrap()
}

/// Proves: NETDMA-070, NETDMA-073, NETDMA-074, NETDMA-202.
#[test]
fn one_doorbell_gives_all_that_is_queued() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let (mut ring, manual) = open(machine, version);
        let (source, destination) = (filled(machine, 64, 1), zeros(machine, 64));
        let copy = Request::copy(destination.range(), source.range());
        for tag in 0..3 {
            submit(&mut ring, copy, tag);
        }
        assert_eq!((manual.asked(), ring.queued(), ring.in_flight()), (vec![], 3, 0));
        doorbell(machine, &mut ring);
        let asked = manual.asked();
        let [Asked::Start(first, 3)] = asked[..] else {
            panic!("{asked:?}");
        };
        assert_eq!((ring.queued(), ring.in_flight()), (0, 3));
        let tail = BusAddress::new(first.raw() + 2 * 64);
        let tail_bytes = || {
            let mut bytes = [0; 64];
            machine.memory().read(tail, &mut bytes).unwrap();
            bytes
        };
        let before = tail_bytes();
        submit(&mut ring, Request::null(), 3);
        submit(&mut ring, copy, 4);
        doorbell(machine, &mut ring);
        assert_eq!(
            manual.asked(),
            [Asked::Append(BusAddress::new(first.raw() + 3 * 64), 2)]
        );
        assert_eq!(tail_bytes() == before, version.counted());
        // Nothing more to give, so nobody is asked.
        doorbell(machine, &mut ring);
        assert_eq!(manual.asked(), []);
        manual.steps(5);
        assert_eq!(poll(machine, &mut ring, 8), done(0..5));
        assert_eq!(bytes(machine, &destination), bytes(machine, &source));
        assert!(ring.close((&passive(machine)).into()).is_ok());
        assert_eq!(manual.asked(), [Asked::Free]);
    }
}

/// Proves: NETDMA-078, NETDMA-083, AMB-22.
#[test]
fn an_engine_may_be_done_before_it_has_answered() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        // What the ring gets was somebody else's before.
        drop(filled(machine, 1 << 16, 0xff));
        let (mut ring, manual) = open(machine, version);
        let word = manual.engine().word;
        assert_eq!(machine.memory().load_u64(word), Ok(0));
        let buffer = zeros(machine, 64);
        for tag in 0..40 {
            manual.engine().eager = tag % 3 > 0;
            submit(&mut ring, Request::copy(buffer.range(), buffer.range()), tag);
            doorbell(machine, &mut ring);
            while manual.engine().step() {}
            assert_eq!(poll(machine, &mut ring, 2), done(tag..tag + 1));
            // A word of zero says nothing, and does not take anything back.
            machine.memory().store_u64(word, 0).unwrap();
            assert_eq!(poll(machine, &mut ring, 2), []);
        }
    }
}

/// Proves: PAIN-12, PAIN-22, NETDMA-101.
#[test]
fn a_list_ends_once_after_its_last_part_and_a_poll_is_bounded() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let (mut ring, manual) = open(machine, version);
        let (source, destination) = (filled(machine, 96, 1), zeros(machine, 96));
        let to = [part(&destination, 0, 32), part(&destination, 32, 64)];
        let from = [part(&source, 0, 48), part(&source, 48, 0), part(&source, 48, 48)];
        let chain = Request::chain(&to, &from).and(RequestFlags::INTERRUPT);
        for tag in 0..4 {
            submit(&mut ring, chain, tag);
        }
        doorbell(machine, &mut ring);
        manual.steps(1);
        assert_eq!(poll(machine, &mut ring, 4), []);
        manual.steps(11);
        let interrupts: Vec<_> = manual
            .engine()
            .done
            .iter()
            .map(|descriptor| descriptor.control.contains(ControlFlags::INTERRUPT_ON_COMPLETION))
            .collect();
        assert_eq!(interrupts, [false, false, true].repeat(4));
        // One word names the last of them, and covers all.
        assert_eq!(poll(machine, &mut ring, 3), done(0..3));
        assert_eq!(ring.pending(), 1);
        assert_eq!(poll(machine, &mut ring, 3), done(3..4));
        assert_eq!(bytes(machine, &destination), bytes(machine, &source));
    }
}

/// Proves: NETDMA-064, NETDMA-066, NETDMA-067.
#[test]
fn a_chain_of_pages_breaks_where_the_provider_can() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let (mut ring, manual) = open(machine, version);
        let lease = |len| Lease::new(machine.memory(), len, 4096).unwrap();
        let (source, destination) = (lease(5 * 4096), lease(5 * 4096));
        let pattern: Vec<u8> = (0..5 * 4096u32).map(|at| (at % 249) as u8).collect();
        machine.memory().write(source.address(), &pattern).unwrap();
        // Page-wise and back to front on one side, from the middle of a page on the other.
        let from = [
            part(&source, 3 * 4096 + 96, 4000),
            part(&source, 0, 4096),
            part(&source, 4096, 100),
        ];
        let to = [part(&destination, 4096, 4096), part(&destination, 3 * 4096, 4100)];
        submit(&mut ring, Request::chain(&to, &from), 0);
        doorbell(machine, &mut ring);
        while manual.engine().step() {}
        assert_eq!(poll(machine, &mut ring, 1), done(0..1));
        let (source, destination) = (bytes(machine, &source), bytes(machine, &destination));
        let moved = |bytes: &[u8], parts: &[BusRange], base: BusAddress| -> Vec<u8> {
            let start = |range: &BusRange| (range.start().raw() - base.raw()) as usize;
            parts
                .iter()
                .flat_map(|range| bytes[start(range)..][..range.len() as usize].to_vec())
                .collect()
        };
        let base = |parts: &[BusRange], offset| BusAddress::new(parts[0].start().raw() - offset);
        assert_eq!(
            moved(&source, &from, base(&from, 3 * 4096 + 96)),
            moved(&destination, &to, base(&to, 4096))
        );
        let engine = manual.engine();
        let breaks = ControlFlags::SOURCE_PAGE_BREAK | ControlFlags::DESTINATION_PAGE_BREAK;
        if version.counted() {
            assert_eq!(engine.done.len(), 2);
            assert!(engine.done[0].control.contains(breaks));
        } else {
            assert_eq!(engine.done.len(), 4);
            assert!(
                engine
                    .done
                    .iter()
                    .all(|descriptor| !descriptor.control.intersects(breaks))
            );
        }
    }
}

/// Proves: NETDMA-064.
///
/// Every kind of request with every flag, and one that is emptied by a cancel: none becomes a context change or any other
/// operation than a copy, and none asks for a hint.
#[test]
fn no_request_becomes_a_context_change() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let (mut ring, manual) = open(machine, version);
        let (source, destination) = (filled(machine, 64, 1), zeros(machine, 64));
        let (to, from) = ([destination.range()], [source.range()]);
        let copy = Request::copy(to[0], from[0]);
        let requests = [copy, Request::chain(&to, &from), Request::null(), copy];
        for (tag, request) in (0..).zip(requests) {
            submit(&mut ring, request.and(RequestFlags::all()), tag);
        }
        doorbell(machine, &mut ring);
        let level = passive(machine);
        assert_eq!(ring.cancel_where((&level).into(), |tag, _| tag == 3), 1);
        doorbell(machine, &mut ring);
        while manual.engine().step() {}
        let engine = manual.engine();
        assert_eq!(engine.done.len(), 4);
        for descriptor in &engine.done {
            assert_eq!(descriptor.control.op_type(), 0);
            let hint = ControlFlags::DESTINATION_DCA_ENABLE;
            assert!(!descriptor.control.intersects(hint), "{descriptor:?}");
        }
    }
}

/// Proves: NETDMA-056.
#[test]
fn a_null_transfer_harms_nobody_who_takes_it_for_a_copy() {
    let host = host();
    let machine = host.machine();
    let (mut ring, manual) = open(machine, Version::V2_0);
    let (source, destination) = (filled(machine, 64, 1), zeros(machine, 64));
    submit(&mut ring, Request::null().and(RequestFlags::FENCE), 0);
    submit(&mut ring, Request::copy(destination.range(), source.range()), 1);
    submit(&mut ring, Request::null(), 2);
    assert_eq!(
        ring.cancel_where((&passive(machine)).into(), |tag, _| tag == 1),
        1
    );
    doorbell(machine, &mut ring);
    manual.steps(3);
    let word = manual.engine().word;
    for descriptor in &manual.engine().done {
        assert!(descriptor.control.contains(ControlFlags::NULL_TRANSFER));
        let range = |start| BusRange::new(start, descriptor.transfer_size.into()).unwrap();
        for side in [range(descriptor.source), range(descriptor.destination)] {
            assert!(!side.is_empty() && !side.contains(word));
            assert!(!side.overlaps(source.range()) && !side.overlaps(destination.range()));
        }
        assert_eq!(descriptor.source, descriptor.destination);
    }
    assert!(
        manual.engine().done[0]
            .control
            .contains(ControlFlags::SERIALIZE_TRANSFER)
    );
    assert_eq!(
        poll(machine, &mut ring, 4),
        [cancelled(1, 64), done(0..1)[0], done(2..3)[0]]
    );
}

/// Proves: NETDMA-057.
#[test]
fn what_cannot_be_is_refused_with_what_was_given() {
    let host = host();
    let machine = host.machine();
    let (mut ring, manual) = open(machine, Version::V2_0);
    let buffer = zeros(machine, 256);
    let (low, high) = (part(&buffer, 0, 64), part(&buffer, 63, 64));
    let (left, right) = (part(&buffer, 0, 64), part(&buffer, 64, 64));
    let many = [part(&buffer, 0, 1); 17];
    let (there, back) = ([left, right], [right, left]);
    let reversed = Request::chain(&there, &back);
    let long = Request::chain(&many, &many);
    let refusals = [
        (Request::copy(high, low), Refused::Overlap),
        (reversed, Refused::Overlap),
        (Request::copy(left, part(&buffer, 0, 0)), Refused::UnequalLengths),
        (Request::chain(&[], &[]), Refused::Empty),
        (Request::fill(part(&buffer, 9, 0), 0), Refused::Empty),
        (
            Request::compare(left, part(&buffer, 0, 9)),
            Refused::UnequalLengths,
        ),
        (long, Refused::TooManyDescriptors),
    ];
    for (request, why) in refusals {
        let refusal = ring.submit(request, 0, 77).unwrap_err();
        assert_eq!((refusal.why, refusal.held), (why, 77));
    }
    assert_eq!((ring.pending(), manual.asked()), (0, vec![]));
    ring.set_pending_limit(2);
    submit(&mut ring, Request::copy(low, low), 0);
    submit(&mut ring, Request::null(), 1);
    let refusal = ring.submit(Request::null(), 2, 2).unwrap_err();
    assert_eq!(refusal.why, Refused::PendingLimit);
    ring.set_pending_limit(100);
    for tag in 2..15 {
        submit(&mut ring, Request::null(), tag);
    }
    assert_eq!(
        ring.submit(Request::null(), 15, 15).unwrap_err().why,
        Refused::Full
    );
    doorbell(machine, &mut ring);
    manual.steps(15);
    assert_eq!(poll(machine, &mut ring, 20), done(0..15));
}

/// What is queued is taken out without a word to the engine, and its places are free again.
#[test]
fn what_is_queued_is_cancelled_at_once() {
    let host = host();
    let machine = host.machine();
    let (mut ring, manual) = open(machine, Version::V1_0);
    let (source, destination) = (filled(machine, 64, 1), zeros(machine, 64));
    for round in 0..10 {
        for tag in 0..15 {
            submit(&mut ring, Request::copy(destination.range(), source.range()), tag);
        }
        assert_eq!(ring.cancel_all((&passive(machine)).into()), 15, "round {round}");
        let all: Vec<_> = (0..15).map(|tag| cancelled(tag, 64)).collect();
        assert_eq!(poll(machine, &mut ring, 20), all);
    }
    assert_eq!((manual.asked(), ring.queued()), (vec![], 0));
}

/// Proves: RACE-6.
#[test]
fn several_in_flight_are_cancelled_in_one_suspend() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let (mut ring, manual) = open(machine, version);
        let source = filled(machine, 64, 1);
        let destinations: Vec<_> = (0..4).map(|_| zeros(machine, 64)).collect();
        for (tag, to) in destinations.iter().enumerate() {
            let parts = [part(to, 0, 16), part(to, 16, 48)];
            submit(&mut ring, Request::chain(&parts, &[source.range()]), tag as u64);
        }
        doorbell(machine, &mut ring);
        manual.steps(3);
        manual.asked();
        let asked = ring.cancel_where((&passive(machine)).into(), |tag, _| tag != 2);
        assert_eq!(manual.asked(), [Asked::Suspend, Asked::Resume]);
        // The first one is done, the second one by a third, and the last one was not begun.
        assert_eq!(asked, 2);
        assert_eq!(
            poll(machine, &mut ring, 4),
            [cancelled(1, 48), cancelled(3, 64), done(0..1)[0]]
        );
        // The engine still has what became of them.
        let Err(mut ring) = ring.close((&passive(machine)).into()) else {
            panic!("closed");
        };
        manual.steps(5);
        assert_eq!(manual.engine().done.len(), 8, "the number of descriptors stays");
        assert_eq!(poll(machine, &mut ring, 4), done(2..3));
        assert_eq!(bytes(machine, &destinations[2]), bytes(machine, &source));
        assert_eq!(bytes(machine, &destinations[3]), vec![0; 64]);
        assert_eq!(bytes(machine, &destinations[1])[16..], [0; 48]);
    }
}

/// A deadline that has passed cancels by the next poll, and one that has not does nothing.
#[test]
fn a_deadline_cancels() {
    let host = host();
    let machine = host.machine();
    let (mut ring, manual) = open(machine, Version::V2_0);
    let buffer = zeros(machine, 64);
    let copy = Request::copy(buffer.range(), buffer.range());
    submit(&mut ring, copy.until(Instant(u64::MAX)), 0);
    submit(&mut ring, copy.until(machine.now()), 1);
    doorbell(machine, &mut ring);
    assert_eq!(poll(machine, &mut ring, 4), [cancelled(1, 64)]);
    manual.steps(2);
    assert_eq!(poll(machine, &mut ring, 4), done(0..1));
}

/// Proves: PAIN-23.
///
/// What the engine did is completed first, the one that it failed at has its cause, the others that they were not
/// reached; what it was not given is not concerned, and starts the channel again.
#[test]
fn an_error_ends_what_the_engine_had() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let (mut ring, manual) = open(machine, version);
        let buffer = zeros(machine, 64);
        let copy = Request::copy(buffer.range(), buffer.range());
        (0..4).for_each(|tag| submit(&mut ring, copy, tag));
        doorbell(machine, &mut ring);
        submit(&mut ring, copy, 4);
        manual.steps(1);
        manual.engine().fail();
        let failed = |tag, cause| {
            let verdict = Verdict::Failed(cause);
            (tag, Outcome { verdict, residue: 64 })
        };
        assert_eq!(poll(machine, &mut ring, 2).len(), 2);
        assert_eq!(
            poll(machine, &mut ring, 4),
            [failed(2, Cause::HALTED), failed(3, Cause::HALTED)]
        );
        manual.asked();
        doorbell(machine, &mut ring);
        assert!(matches!(manual.asked()[..], [Asked::Start(_, 1)]));
        manual.steps(1);
        assert_eq!(poll(machine, &mut ring, 4), done(4..5));
    }
}

/// Proves: AMB-14, PAIN-08.
///
/// An engine that never answers keeps what it was given, and everything has its outcome all the same.
#[test]
fn a_dead_engine_keeps_what_it_has() {
    let host = host();
    let machine = host.machine();
    let (mut ring, manual) = open(machine, Version::V2_0);
    let buffer = zeros(machine, 64);
    let copy = Request::copy(buffer.range(), buffer.range());
    submit(&mut ring, copy, 0);
    doorbell(machine, &mut ring);
    submit(&mut ring, copy, 1);
    manual.engine().dead = true;
    let level = passive(machine);
    assert!(ring.doorbell((&level).into()).is_err());
    assert_eq!(ring.queued(), 1);
    assert!(ring.abort((&level).into()).is_err());
    assert_eq!(ring.pending(), 2);
    assert!(!ring.shut_down((&level).into()));
    let mut dones: Vec<Done<u32>> = (0..4).map(|_| Done::default()).collect();
    assert_eq!(ring.poll((&level).into(), &mut dones), 2);
    let halted = Outcome {
        verdict: Verdict::Failed(Cause::HALTED),
        residue: 64,
    };
    assert_eq!((dones[0].outcome, dones[0].held), (halted, None));
    assert_eq!((dones[1].outcome, dones[1].held), (halted, Some(1)));
    assert_eq!(ring.submit(copy, 2, 2).unwrap_err().why, Refused::Closed);
    assert!(!manual.asked().contains(&Asked::Free));
    let word = manual.engine().word;
    drop(ring);
    let others: Vec<_> = (0..100).map(|_| zeros(machine, 256)).collect();
    assert!(others.iter().all(|lease| !lease.range().contains(word)));
}

/// Proves: NETDMA-113, NETDMA-114.
///
/// After a loss of power an append fails; a start with an operation that moves nothing gives the engine its place again.
#[test]
fn an_engine_that_lost_its_power_is_started_again() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let (mut ring, manual) = open(machine, version);
        let buffer = zeros(machine, 64);
        let copy = Request::copy(buffer.range(), buffer.range());
        (0..2).for_each(|tag| submit(&mut ring, copy, tag));
        doorbell(machine, &mut ring);
        manual.steps(2);
        assert_eq!(poll(machine, &mut ring, 4), done(0..2));
        manual.engine().lose_power();
        manual.asked();
        submit(&mut ring, Request::null(), 2);
        ring.restart_after_power((&passive(machine)).into()).unwrap();
        assert!(matches!(manual.asked()[..], [Asked::Start(_, 1)]));
        submit(&mut ring, copy, 3);
        doorbell(machine, &mut ring);
        assert!(matches!(manual.asked()[..], [Asked::Append(_, 1)]));
        manual.steps(2);
        assert_eq!(poll(machine, &mut ring, 4), done(2..4));
    }
}

/// A ring whose engine has four copies and does none of them.
fn four_in_flight(machine: &Machine, version: Version) -> (TestRing, Manual) {
    let (mut ring, manual) = open(machine, version);
    let (source, destination) = (filled(machine, 256, 1), zeros(machine, 256));
    for tag in 0..4u64 {
        let copy = Request::copy(part(&destination, tag * 64, 64), part(&source, tag * 64, 64));
        submit(&mut ring, copy, tag);
    }
    doorbell(machine, &mut ring);
    (ring, manual)
}

/// Proves: PAIN-13.
///
/// An engine that does not stop leaves everything as it was: what is cancelled later is that alone.
#[test]
fn a_stop_that_fails_marks_nothing() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let (mut ring, manual) = four_in_flight(machine, version);
        let passive = passive(machine);
        manual.engine().dead = true;
        assert!(ring.abort((&passive).into()).is_err());
        assert!(ring.reset((&passive).into()).is_err());
        manual.engine().dead = false;
        assert_eq!(ring.cancel_where((&passive).into(), |tag, _| tag == 3), 1);
        assert_eq!(poll(machine, &mut ring, 8), [cancelled(3, 64)]);
        manual.steps(4);
        assert_eq!(poll(machine, &mut ring, 8), done(0..3));
    }
}

/// Whoever chooses what to cancel may panic; then nothing was chosen.
#[test]
fn a_choice_that_panics_chooses_nothing() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let (mut ring, manual) = four_in_flight(machine, version);
        let passive = passive(machine);
        let panics = |tag, _: &u32| match tag {
            2 => panic!("on purpose"),
            tag => tag < 2,
        };
        let cancel = std::panic::AssertUnwindSafe(|| ring.cancel_where((&passive).into(), panics));
        assert!(std::panic::catch_unwind(cancel).is_err());
        assert_eq!(ring.cancel_where((&passive).into(), |tag, _| tag == 3), 1);
        assert_eq!(poll(machine, &mut ring, 8), [cancelled(3, 64)]);
        manual.steps(4);
        assert_eq!(poll(machine, &mut ring, 8), done(0..3));
    }
}
