//! Borrowed slices.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use longshore::{DmaChannel, Engine, InlineCpu, Job, Options, Outcome, Reason, ScopeError, WorkerCpu};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

fn everything_is_over_when_it_returns(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    let source: Vec<u8> = (0..3 << 20).map(|at| (at % 251) as u8).collect();
    let mut copies = vec![vec![0; source.len()]; 4];
    let mut filled = [0; 11];
    let waited = channel.scope(|scope| {
        let (first, others) = copies.split_first_mut().unwrap();
        for copy in others {
            scope.copy(&source, copy).unwrap();
        }
        scope.fill(&mut filled, u64::from_le_bytes(*b"pattern!")).unwrap();
        scope.copy(&source, first).unwrap().wait()
    });
    assert_eq!(waited, Ok(Outcome::Completed));
    assert!(copies.iter().all(|copy| *copy == source));
    assert_eq!(&filled, b"pattern!pat");
    assert_eq!(channel.pending(), 0);
}

#[test]
fn everything_is_over_when_it_returns_inline() {
    everything_is_over_when_it_returns(InlineCpu);
}

#[test]
fn everything_is_over_when_it_returns_from_the_worker() {
    everything_is_over_when_it_returns(WorkerCpu);
}

/// What the scope lent is quiet after a panic, whatever had begun.
#[test]
fn a_panic_cancels() {
    let channel = DmaChannel::open(WorkerCpu).unwrap();
    let _ = channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let (source, mut destination) = (vec![1; 1 << 20], vec![2; 1 << 20]);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        channel.scope(|scope| {
            scope.copy(&source, &mut destination).unwrap();
            panic!("in the middle");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(channel.pending(), 0);
    channel.resume().unwrap();
    let done = channel.start(Job::fence()).unwrap().wait();
    assert!(done.outcome.is_completed());
    assert!(
        destination.iter().all(|&byte| byte == 2),
        "it was held, and then cancelled"
    );
}

#[test]
fn what_did_not_complete_is_an_error() {
    let channel = DmaChannel::open(InlineCpu).unwrap();
    let (one, other) = (*b"same up to here", *b"same up to then");
    let unheard = channel.scope(|scope| scope.compare(&one, &other).map(drop).unwrap());
    assert_eq!(unheard, Err(ScopeError::Ended(Outcome::Differs { at: 11 })));
    let heard = channel.scope(|scope| scope.compare(&one, &other).unwrap().wait());
    assert_eq!(heard, Ok(Outcome::Differs { at: 11 }));
    let mut short = [0; 3];
    let refused = channel.scope(|scope| scope.copy(&one, &mut short).map(drop));
    assert_eq!(refused, Ok(Err(Reason::UnequalLengths)));
}

#[test]
fn an_operation_of_a_scope_can_be_cancelled() {
    let channel = DmaChannel::open(WorkerCpu).unwrap();
    let _ = channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let mut bytes = [1; 100];
    let outcome = channel.scope(|scope| {
        let fill = scope.fill(&mut bytes, 0).unwrap();
        assert!(fill.cancel());
        assert!(!fill.cancel());
        fill.wait()
    });
    assert_eq!(
        outcome,
        Ok(Outcome::Cancelled {
            moved: 0,
            residue: 100
        })
    );
    assert_eq!(bytes, [1; 100]);
}

/// The patience is that of the whole scope, and not of each of its operations.
#[test]
fn a_scope_is_patient_once() {
    let patience = Duration::from_millis(100);
    let channel = Options::new().patience(patience).open(WorkerCpu).unwrap();
    let _ = channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let (source, mut copies) = ([1; 50], [[2; 50]; 20]);
    let begin = Instant::now();
    let ended = channel.scope(|scope| {
        for copy in &mut copies {
            scope.copy(&source, copy).unwrap();
        }
    });
    let took = begin.elapsed();
    let cancelled = Outcome::Cancelled {
        moved: 0,
        residue: 50,
    };
    assert_eq!(ended, Err(ScopeError::Ended(cancelled)));
    assert!(patience <= took && took < 10 * patience, "{took:?}");
    assert_eq!((copies, channel.pending()), ([[2; 50]; 20], 0));
}
