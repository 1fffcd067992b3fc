//! The three floors, on both engines.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use longshore::{Completion, DmaChannel, Engine, InlineCpu, Job, Options, Outcome, Pair, Reason, WorkerCpu};
use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// Runs a test on both engines.
macro_rules! on_both {
    ($($(#[$doc:meta])* $name:ident)*) => {
        mod inline { $(#[test] fn $name() { super::$name(super::InlineCpu) })* }
        mod worker { $(#[test] fn $name() { super::$name(super::WorkerCpu) })* }
    };
}

on_both! {
    a_copy_moves_its_bytes
    fills_compares_and_lists
    what_is_refused_comes_back
    many_tags_each_end_once
    queued_jobs_are_cancelled_untouched
    cancel_all_takes_everything
    an_operation_behind_others_is_cancelled
    a_time_limit_cancels
    dropping_an_operation_frees_its_buffers
    forgetting_an_operation_leaks_buffers_only
    a_timeout_gives_the_operation_back
    the_channel_goes_on_after_an_abort
    a_held_engine_does_nothing
    a_wait_without_a_limit_lets_the_engine_go_on
    a_wait_with_a_limit_does_not
    tags_and_operations_do_not_mix
    dropping_a_channel_frees_what_is_pending
    buffers_outlive_their_channel
    the_channel_can_be_sent
    whoever_chooses_may_use_the_channel
    whoever_chooses_may_wait_in_a_scope
    each_of_two_with_the_same_tag_is_chosen
    outcomes_wait_for_whoever_polls
    a_future_is_ready_once
}

fn pair<E: Engine>(channel: &DmaChannel<E>, len: usize, byte: u8) -> (longshore::Buffer, longshore::Buffer) {
    let source = channel.buffer_from(&vec![byte; len]).unwrap();
    (source, channel.buffer_from(&vec![!byte; len]).unwrap())
}

fn poll_all<E: Engine>(channel: &DmaChannel<E>, count: usize) -> Vec<Completion> {
    let end = Instant::now() + LONG;
    let mut all = Vec::new();
    while all.len() < count {
        assert!(Instant::now() < end, "{} of {count} came", all.len());
        let mut room = [Completion::EMPTY; 7];
        let found = channel.poll(&mut room);
        all.extend(room.into_iter().take(found));
    }
    assert_eq!(
        channel.poll(&mut [Completion::EMPTY]),
        0,
        "no outcome comes twice"
    );
    all
}

fn a_copy_moves_its_bytes(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    for len in [1, 63, 64, 4096, 70_000, (3 << 20) + 5] {
        let (source, destination) = pair(&channel, len, 0xa5);
        let done = channel.copy(source, destination).unwrap().wait();
        assert_eq!(done.outcome, Outcome::Completed);
        assert_eq!(done.buffers.destination.to_vec(), vec![0xa5; len]);
        assert_eq!(done.buffers.source.len(), len);
    }
}

fn fills_compares_and_lists(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    let filled = channel
        .fill(channel.buffer(9_001).unwrap(), 0x0807_0605_0403_0201)
        .unwrap();
    let done = filled.wait();
    assert!(done.outcome.is_completed());
    let expected: Vec<u8> = (0..9_001).map(|at| (at % 8) as u8 + 1).collect();
    assert_eq!(done.buffers.to_vec(), expected);

    let mut other = channel.buffer_from(&expected).unwrap();
    let same = channel.compare(done.buffers, other).unwrap().wait();
    assert_eq!(same.outcome, Outcome::Completed);
    other = same.buffers.destination;
    other.write(5_000, &[0]).unwrap();
    let different = channel.compare(same.buffers.source, other).unwrap().wait();
    assert_eq!(different.outcome, Outcome::Differs { at: 5_000 });

    let (head, tail) = channel.buffer(10).unwrap().split_at(3).unwrap();
    let sources = ["ab", "cde", "fghij"].map(|text| channel.buffer_from(text.as_bytes()).unwrap());
    let listed = channel
        .copy_list(sources.into(), vec![tail, head])
        .unwrap()
        .wait();
    assert_eq!(listed.outcome, Outcome::Completed);
    let parts: Vec<_> = listed
        .buffers
        .destination
        .iter()
        .map(|part| part.to_vec())
        .collect();
    assert_eq!(parts, [&b"abcdefg"[..], b"hij"]);

    let fence = channel.start(Job::fence()).unwrap().wait();
    assert!(fence.outcome.is_completed() && matches!(fence.buffers, longshore::Buffers::None));
}

fn what_is_refused_comes_back(engine: impl Engine + Copy) {
    let channel = Options::new().entries(4).open(engine).unwrap();
    let stranger = DmaChannel::open(engine).unwrap();
    let refuse = |source: &[u8], destination: &longshore::DmaChannel<_>, len: usize| {
        let source = channel.buffer_from(source).unwrap();
        let refused = channel
            .copy(source, destination.buffer(len).unwrap())
            .unwrap_err();
        assert_eq!(
            (refused.given.source.len(), refused.given.destination.len()),
            (source_len(&refused.given), len)
        );
        refused.reason
    };
    assert_eq!(refuse(b"", &channel, 0), Reason::Empty);
    assert_eq!(refuse(b"12", &channel, 3), Reason::UnequalLengths);
    assert_eq!(refuse(b"12", &stranger, 2), Reason::ForeignBuffer);
    let (source, destination) = pair(&channel, 5 << 20, 1);
    let refused = channel.copy(source, destination).unwrap_err();
    assert_eq!(refused.reason, Reason::TooLong);
    assert!(refused.to_string().contains("more entries"), "it says what to do");

    for tag in 0..3 {
        let (source, destination) = pair(&channel, 8, tag as u8);
        channel.submit(tag, Job::copy(source, destination)).unwrap();
    }
    let (source, destination) = pair(&channel, 8, 9);
    let refused = channel.submit(3, Job::copy(source, destination)).unwrap_err();
    assert_eq!(refused.reason, Reason::Full);
    let Pair { source, .. } = refused.given.into_buffers().pair().unwrap();
    assert_eq!(source.to_vec(), [9; 8]);
    channel.doorbell().unwrap();
    assert_eq!(poll_all(&channel, 3).len(), 3);
}

fn source_len(pair: &Pair) -> usize {
    pair.source.len()
}

fn many_tags_each_end_once(engine: impl Engine) {
    let channel = Options::new().entries(64).open(engine).unwrap();
    let mut seen = vec![0; 500];
    let (mut next, mut over) = (0, 0);
    let end = Instant::now() + LONG;
    while over < seen.len() {
        assert!(Instant::now() < end);
        while next < seen.len() {
            let (source, destination) = pair(&channel, 1 + next % 300, next as u8);
            if channel
                .submit(next as u64, Job::copy(source, destination))
                .is_err()
            {
                break;
            }
            next += 1;
        }
        channel.doorbell().unwrap();
        let mut room = [Completion::EMPTY; 16];
        let found = channel.poll(&mut room);
        for done in room.into_iter().take(found) {
            assert_eq!(done.outcome, Outcome::Completed);
            let copied = done.buffers.pair().unwrap().destination.to_vec();
            assert_eq!(copied, vec![done.tag as u8; 1 + done.tag as usize % 300]);
            seen[done.tag as usize] += 1;
            over += 1;
        }
    }
    assert!(seen.iter().all(|&times| times == 1));
    assert_eq!(channel.pending(), 0);
}

fn queued_jobs_are_cancelled_untouched(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    for tag in 0..10 {
        let (source, destination) = pair(&channel, 100, tag as u8);
        channel.submit(tag, Job::copy(source, destination)).unwrap();
    }
    assert_eq!(channel.cancel(3), 1);
    assert_eq!(channel.cancel(3), 0, "it is over");
    assert_eq!(channel.cancel(77), 0, "there is none");
    assert_eq!(channel.cancel_where(|tag| tag > 6), 3);
    channel.doorbell().unwrap();
    for done in poll_all(&channel, 10) {
        let cancelled = done.tag == 3 || done.tag > 6;
        let buffers = done.buffers.pair().unwrap();
        if cancelled {
            assert_eq!(
                done.outcome,
                Outcome::Cancelled {
                    moved: 0,
                    residue: 100
                }
            );
            assert_eq!(buffers.destination.to_vec(), [!(done.tag as u8); 100]);
        } else {
            assert_eq!(done.outcome, Outcome::Completed);
            assert_eq!(buffers.destination.to_vec(), [done.tag as u8; 100]);
        }
    }
}

fn cancel_all_takes_everything(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    channel.suspend().ok();
    let (source, destination) = pair(&channel, 100, 1);
    channel.submit(1, Job::copy(source, destination)).unwrap();
    channel
        .submit(2, Job::fill(channel.buffer(10).unwrap(), 0))
        .unwrap();
    assert_eq!(channel.cancel_all(), 2);
    assert!(
        poll_all(&channel, 2)
            .iter()
            .all(|done| done.outcome.is_cancelled())
    );
    assert_eq!(channel.cancel_all(), 0);
    assert_eq!(channel.pending(), 0);
}

/// Many long copies are in flight; one of the last is cut out, and the others complete.
fn an_operation_behind_others_is_cancelled(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    let len = 1 << 20;
    let mut buffers: Vec<_> = (0..12).map(|byte| pair(&channel, len, byte)).collect();
    // The engine may be done before the call comes, but not each time.
    for _ in 0..100 {
        for (tag, (source, mut destination)) in buffers.drain(..).enumerate() {
            destination.write(0, &[!(tag as u8); 100]).unwrap();
            channel
                .submit(tag as u64, Job::copy(source, destination))
                .unwrap();
        }
        channel.doorbell().unwrap();
        let cancelled = channel.cancel(10);
        let mut done = poll_all(&channel, 12);
        done.sort_by_key(|done| done.tag);
        for done in done {
            let cut = done.tag == 10 && cancelled == 1;
            let residue = len as u64;
            let expected = if cut {
                Outcome::Cancelled { moved: 0, residue }
            } else {
                Outcome::Completed
            };
            assert_eq!(done.outcome, expected);
            let Pair { source, destination } = done.buffers.pair().unwrap();
            let byte = if cut { !(done.tag as u8) } else { done.tag as u8 };
            assert!(destination.to_vec()[..100].iter().all(|&other| other == byte));
            buffers.push((source, destination));
        }
        if cancelled == 1 {
            return;
        }
    }
    panic!("ten copies of 1 MiB take longer than a call");
}

fn a_time_limit_cancels(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    let first = channel.start(Job::fence()).unwrap().wait();
    assert!(first.outcome.is_completed());
    channel.suspend().unwrap();
    let begin = Instant::now();
    let (source, destination) = pair(&channel, 100, 1);
    channel
        .submit(
            5,
            Job::copy(source, destination).within(Duration::from_millis(20)),
        )
        .unwrap();
    let (source, destination) = pair(&channel, 100, 2);
    channel
        .submit(6, Job::copy(source, destination).within(LONG * 100))
        .unwrap();
    assert!(channel.wait(Some(LONG)));
    assert!(begin.elapsed() >= Duration::from_millis(20) && begin.elapsed() < LONG / 2);
    let late = poll_all(&channel, 1);
    assert_eq!(
        (late[0].tag, late[0].outcome),
        (
            5,
            Outcome::Cancelled {
                moved: 0,
                residue: 100
            }
        )
    );
    channel.resume().unwrap();
    assert_eq!(poll_all(&channel, 1)[0].outcome, Outcome::Completed);
}

/// A channel whose memory has room for its ring and two buffers of this size.
fn small<E: Engine>(engine: E) -> (DmaChannel<E>, usize) {
    let channel = Options::new().entries(16).memory(1 << 20).open(engine).unwrap();
    (channel, 400 << 10)
}

fn has_room_for_two<E: Engine>(channel: &DmaChannel<E>, len: usize) -> bool {
    let buffers = (channel.buffer(len), channel.buffer(len));
    buffers.0.is_ok() && buffers.1.is_ok()
}

fn dropping_an_operation_frees_its_buffers(engine: impl Engine) {
    let (channel, len) = small(engine);
    assert!(has_room_for_two(&channel, len));
    for _ in 0..10 {
        let (source, destination) = pair(&channel, len, 1);
        drop(channel.copy(source, destination).unwrap());
        channel.start(Job::fence()).unwrap().wait();
        assert!(has_room_for_two(&channel, len));
    }
    assert_eq!(channel.pending(), 0);
    channel.suspend().unwrap();
    let (source, destination) = pair(&channel, len, 1);
    drop(channel.copy(source, destination).unwrap());
    assert_eq!(channel.pending(), 0, "it was cancelled");
    assert!(has_room_for_two(&channel, len));
}

fn forgetting_an_operation_leaks_buffers_only(engine: impl Engine) {
    let (channel, len) = small(engine);
    let host = channel.host().clone();
    let (source, destination) = pair(&channel, len, 1);
    std::mem::forget(channel.copy(source, destination).unwrap());
    channel.start(Job::fence()).unwrap().wait();
    assert_eq!(channel.pending(), 0);
    assert!(
        !has_room_for_two(&channel, len),
        "they are gone as long as the channel is there"
    );
    for _ in 0..100 {
        let (source, destination) = pair(&channel, 8, 1);
        assert!(
            channel
                .copy(source, destination)
                .unwrap()
                .wait()
                .outcome
                .is_completed()
        );
    }
    drop(channel);
    let next = Options::new().host(host).open(WorkerCpu).unwrap();
    assert!(has_room_for_two(&next, len));
}

fn a_timeout_gives_the_operation_back(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let (source, destination) = pair(&channel, 100, 3);
    let copy = channel.copy(source, destination).unwrap();
    let copy = copy.wait_for(Duration::ZERO).unwrap_err();
    let copy = copy.wait_for(Duration::from_millis(30)).unwrap_err();
    assert!(!copy.is_over());
    channel.resume().unwrap();
    let done = copy.wait_for(LONG).unwrap();
    assert_eq!(done.buffers.destination.to_vec(), [3; 100]);
}

fn the_channel_goes_on_after_an_abort(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    let len = 8 << 20;
    let (mut source, mut destination) = pair(&channel, len, 3);
    // The engine may be done before the call comes, but not each time.
    for _ in 0..100 {
        destination = channel.fill(destination, u64::MAX).unwrap().wait().buffers;
        channel.submit(1, Job::fence()).unwrap();
        let long = channel.copy(source, destination).unwrap();
        channel.abort().unwrap();
        let done = long.wait();
        assert_eq!(poll_all(&channel, 1).len(), 1);
        (source, destination) = (done.buffers.source, done.buffers.destination);
        if let Outcome::Cancelled { moved, residue } = done.outcome {
            assert_eq!(moved + residue, len as u64);
            let bytes = destination.to_vec();
            assert!(
                bytes[..moved as usize].iter().all(|&byte| byte == 3),
                "what was moved is there"
            );
            assert!(bytes.iter().all(|&byte| byte == 3 || byte == 0xff));
            let again = channel.copy(source, destination).unwrap().wait();
            assert_eq!(again.outcome, Outcome::Completed);
            assert_eq!(again.buffers.destination.to_vec(), vec![3; len]);
            return;
        }
    }
    panic!("eight copies of 1 MiB take longer than a call");
}

fn a_held_engine_does_nothing(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let (source, destination) = pair(&channel, 8, 3);
    channel.submit(1, Job::copy(source, destination)).unwrap();
    channel.doorbell().unwrap();
    assert!(!channel.wait(Some(Duration::from_millis(20))));
    assert_eq!(channel.poll(&mut [Completion::EMPTY]), 0);
    channel.resume().unwrap();
    assert!(channel.wait(Some(LONG)));
    assert_eq!(channel.poll(&mut [Completion::EMPTY]), 1);
    assert!(!channel.wait(None), "nothing is pending, so nothing will come");
}

/// It could not end otherwise. The test ends also if it does not.
fn a_wait_without_a_limit_lets_the_engine_go_on(engine: impl Engine + Send + 'static) {
    let (tell, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        waits_without_a_limit(engine);
        tell.send(()).unwrap();
    });
    assert_eq!(hear.recv_timeout(LONG), Ok(()), "a wait did not end, or not well");
}

fn waits_without_a_limit(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let (source, destination) = pair(&channel, 8, 3);
    let done = channel.copy(source, destination).unwrap().wait();
    assert_eq!(done.outcome, Outcome::Completed);

    channel.suspend().unwrap();
    channel.submit(1, Job::fence()).unwrap();
    assert!(channel.wait(None));
    assert_eq!(channel.poll(&mut [Completion::EMPTY]), 1);

    channel.suspend().unwrap();
    let mut bytes = [1; 8];
    let copied = channel.scope(|scope| scope.copy(b"borrowed", &mut bytes).unwrap().wait());
    assert_eq!((copied, &bytes), (Ok(Outcome::Completed), b"borrowed"));
}

/// Nor does it keep its CPU busy: it sleeps, and wakes for the time limit of an operation.
fn a_wait_with_a_limit_does_not(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let operation = channel.start(Job::fence()).unwrap();
    let before = cpu_time();
    let operation = operation.wait_for(Duration::from_millis(300)).unwrap_err();
    let used = cpu_time() - before;
    assert!(used < Duration::from_millis(100), "{used:?} of 300 ms");

    let late = channel
        .start(Job::fence().within(Duration::from_millis(20)))
        .unwrap();
    let begin = Instant::now();
    assert!(late.wait_for(LONG).unwrap().outcome.is_cancelled());
    assert!(begin.elapsed() < LONG / 2, "the alarm wakes it");
    assert!(!operation.is_over());
    channel.resume().unwrap();
    assert_eq!(operation.wait().outcome, Outcome::Completed);
}

/// How long this thread has run.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// The tag of an operation and the name of another never meet.
fn tags_and_operations_do_not_mix(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let (source, destination) = pair(&channel, 8, 3);
    let owned = channel.copy(source, destination).unwrap();
    let (source, destination) = pair(&channel, 8, 4);
    channel.submit(0, Job::copy(source, destination)).unwrap();
    assert_eq!(channel.cancel_where(|_| true), 1);
    channel.resume().unwrap();
    assert_eq!(owned.wait().outcome, Outcome::Completed);
    assert!(poll_all(&channel, 1)[0].outcome.is_cancelled());
}

fn dropping_a_channel_frees_what_is_pending(engine: impl Engine + Copy) {
    let (channel, len) = small(engine);
    let host = channel.host().clone();
    let (source, destination) = pair(&channel, len, 4);
    channel.submit(0, Job::copy(source, destination)).unwrap();
    channel.doorbell().unwrap();
    drop(channel);
    let next = Options::new().entries(16).host(host).open(engine).unwrap();
    assert!(has_room_for_two(&next, len));
}

fn buffers_outlive_their_channel(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    let (source, destination) = pair(&channel, 50, 4);
    let done = channel.copy(source, destination).unwrap().wait();
    drop(channel);
    assert_eq!(done.buffers.destination.to_vec(), [4; 50]);
}

fn the_channel_can_be_sent(engine: impl Engine<Port: 'static> + 'static) {
    let channel = DmaChannel::open(engine).unwrap();
    let (source, destination) = pair(&channel, 50, 4);
    channel.submit(1, Job::copy(source, destination)).unwrap();
    channel.doorbell().unwrap();
    let there = std::thread::spawn(move || poll_all(&channel, 1));
    assert_eq!(there.join().unwrap()[0].outcome, Outcome::Completed);
}

/// The closure that chooses what to cancel runs while nothing is borrowed.
fn whoever_chooses_may_use_the_channel(engine: impl Engine) {
    let (channel, len) = small(engine);
    channel.start(Job::fence()).unwrap().wait();
    channel.submit(0, Job::fence()).unwrap();
    let mut calls = 0;
    let asked = channel.cancel_where(|_| {
        calls += 1;
        assert_eq!(channel.pending(), 1);
        let (source, destination) = pair(&channel, len, 7);
        let done = channel.copy(source, destination).unwrap().wait_for(LONG).unwrap();
        assert!(done.outcome.is_completed());
        channel.suspend().unwrap();
        let (source, destination) = (done.buffers.source, done.buffers.destination);
        drop(channel.copy(source, destination).unwrap());
        assert!(has_room_for_two(&channel, len), "what is dropped is cancelled");
        channel.resume().unwrap();
        channel.submit(1, Job::fence()).unwrap();
        true
    });
    assert_eq!(calls, 1, "what was submitted meanwhile is not asked for");
    assert_eq!(asked, 0, "it was over before the answer");
    channel.doorbell().unwrap();
    let outcomes = poll_all(&channel, 2);
    assert!(outcomes.iter().all(|done| done.outcome.is_completed()));
    assert_eq!(channel.pending(), 0);
}

/// Waiting for what a scope lent is possible there too.
fn whoever_chooses_may_wait_in_a_scope(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    channel.submit(3, Job::fence()).unwrap();
    let mut bytes = [0; 8];
    channel.cancel_where(|_| {
        let filled = channel.scope(|scope| scope.fill(&mut bytes, 0x0101_0101_0101_0101).unwrap().wait());
        assert_eq!(filled, Ok(Outcome::Completed));
        true
    });
    assert_eq!(bytes, [1; 8]);
    assert_eq!(poll_all(&channel, 1)[0].tag, 3);
}

/// Tags need not differ: each operation is chosen for itself.
fn each_of_two_with_the_same_tag_is_chosen(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    for _ in 0..2 {
        channel.submit(5, Job::fence()).unwrap();
    }
    let mut seen = 0;
    let asked = channel.cancel_where(|_| {
        seen += 1;
        seen == 2
    });
    assert_eq!((seen, asked), (2, 1));
    channel.doorbell().unwrap();
    let cancelled: Vec<_> = poll_all(&channel, 2)
        .iter()
        .map(|done| done.outcome.is_cancelled())
        .collect();
    assert!(cancelled.contains(&true) && cancelled.contains(&false));
}

/// An operation's wait finds the outcomes of tags too, and keeps them.
fn outcomes_wait_for_whoever_polls(engine: impl Engine) {
    let channel = Options::new().entries(8).open(engine).unwrap();
    let mut accepted = 0;
    let refused = loop {
        if let Err(refused) = channel.submit(accepted, Job::fence()) {
            break refused;
        }
        accepted += 1;
        channel.start(Job::fence()).unwrap().wait();
    };
    assert_eq!(refused.reason, Reason::Unpolled);
    let tags: Vec<_> = poll_all(&channel, accepted as usize)
        .iter()
        .map(|done| done.tag)
        .collect();
    assert_eq!(tags, (0..accepted).collect::<Vec<_>>());
}

/// As other futures, it panics then; the channel goes on.
fn a_future_is_ready_once(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    let mut fence = Box::pin(channel.start(Job::fence()).unwrap());
    let mut context = Context::from_waker(Waker::noop());
    let end = Instant::now() + LONG;
    while fence.as_mut().poll(&mut context).is_pending() {
        assert!(Instant::now() < end, "it is never ready");
    }
    let again = catch_unwind(AssertUnwindSafe(|| fence.as_mut().poll(&mut context).is_ready()));
    assert!(again.is_err());
    drop(fence);
    let done = channel.start(Job::fence()).unwrap().wait();
    assert_eq!(done.outcome, Outcome::Completed);
}

#[test]
fn a_future_of_the_inline_engine_works_in_its_polls() {
    let channel = DmaChannel::open(InlineCpu).unwrap();
    let (source, destination) = pair(&channel, 4 << 20, 4);
    let mut copy = pin!(channel.copy(source, destination).unwrap());
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0;
    let done = loop {
        polls += 1;
        if let Poll::Ready(done) = copy.as_mut().poll(&mut context) {
            break done;
        }
    };
    assert_eq!(done.outcome, Outcome::Completed);
    assert!(polls > 1, "each does a bounded amount");
}
