//! Every interleaving of those who race for a completion cell, under the C11 memory model.
//!
//! Run with `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target-loom cargo test --release -p longshore-core --test
//! completion_loom`. Each model tells how many executions it explored.
//!
//! Whatever the threads of a model say to each other beside the cell goes through relaxed atomics, so only the
//! cell's own orderings can make it visible. Counters that only judge are of the standard library, which loom does
//! not explore; so is `Arc`.
//!
//! The order of the acts in a model matters. To find out which orders are worth exploring, loom 0.7 compares an
//! access with the *last* one before it only: a thread that loads the word and then changes it hides that another
//! thread loaded it just before. What comes late has no such gap, because loom lets a load return every older value
//! that it could see. So whoever looks, and whoever begins anew, stands last, and the main thread only waits.
#![cfg(loom)]
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use longshore_core::completion::{
    CancelAnswer, Cause, Cell, NotEnded, Outcome, Owed, Seen, Ticket, Verdict, Witness,
};
use loom::sync::Mutex;
use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as Counter, Ordering::SeqCst};

const COMPLETED: Outcome = Outcome {
    verdict: Verdict::Completed,
    residue: 11,
};
const FAILED: Outcome = Outcome {
    verdict: Verdict::Failed(Cause::BUS),
    residue: 22,
};

/// Counts what a cell's voice says.
#[derive(Default)]
struct Count {
    accepted: Counter,
    ended: Counter,
    delivered: Counter,
    undelivered: Counter,
}

impl Count {
    fn all(&self) -> [u64; 4] {
        [&self.accepted, &self.ended, &self.delivered, &self.undelivered].map(|counter| counter.load(SeqCst))
    }
}

impl Witness for Count {
    fn accepted(&self, _: Ticket) {
        self.accepted.fetch_add(1, SeqCst);
    }
    fn ended(&self, _: Ticket, _: Outcome) {
        self.ended.fetch_add(1, SeqCst);
    }
    fn delivered(&self, _: Ticket, _: Outcome) {
        self.delivered.fetch_add(1, SeqCst);
    }
    fn undelivered(&self, _: Ticket, _: Outcome) {
        self.undelivered.fetch_add(1, SeqCst);
    }
}

/// A cell, who listens to it, and what its users write beside it.
struct Stage {
    cell: Cell,
    count: Count,
    /// The data of an operation that ends `COMPLETED`, and of one that ends `FAILED`.
    data: [AtomicU64; 2],
    /// Written before cancelling is asked for.
    asked: AtomicU64,
    /// Written by whoever holds the token, before the outcome is delivered.
    told: AtomicU64,
    /// Where an outcome waits that is to be delivered later.
    owed: Mutex<Option<Owed>>,
}

impl Stage {
    fn begun() -> (Arc<Self>, Ticket) {
        let stage = Arc::new(Self {
            cell: Cell::new(),
            count: Count::default(),
            data: [AtomicU64::new(0), AtomicU64::new(0)],
            asked: AtomicU64::new(0),
            told: AtomicU64::new(0),
            owed: Mutex::new(None),
        });
        let ticket = stage.cell.begin(&stage.count).unwrap();
        (stage, ticket)
    }

    fn data_of(&self, outcome: Outcome) -> &AtomicU64 {
        &self.data[usize::from(outcome == FAILED)]
    }

    /// Writes the data, tries to end, and delivers if it could.
    fn contend(&self, ticket: Ticket, outcome: Outcome) -> Did {
        self.data_of(outcome).store(1, Relaxed);
        match self.cell.end(ticket, outcome, &self.count) {
            Ok(delivery) => {
                let knew_of_request = self.asked.load(Relaxed) == 1;
                self.told.store(1, Relaxed);
                assert_eq!(delivery.deliver(), outcome);
                Did::Ended(outcome, knew_of_request)
            }
            Err(not) => Did::Lost(not),
        }
    }

    fn cancel(&self, ticket: Ticket) -> Did {
        self.asked.store(1, Relaxed);
        Did::Asked(self.cell.request_cancel(ticket))
    }

    /// What must hold of any look while `COMPLETED` and `FAILED` are the only outcomes there can be.
    fn check_look(&self, ticket: Ticket) -> Seen {
        let seen = self.cell.look(ticket);
        match seen {
            Seen::Running { cancel_requested } => {
                assert!(!cancel_requested || self.asked.load(Relaxed) == 1);
            }
            Seen::Ended(outcome) => {
                assert!(outcome == COMPLETED || outcome == FAILED, "{outcome:?}");
                assert_eq!(
                    self.data_of(outcome).load(Relaxed),
                    1,
                    "the data came after the end"
                );
            }
            Seen::Stale => panic!("nobody began anew"),
        }
        seen
    }

    /// Looks again and again: what was seen is not taken back.
    fn poll(&self, ticket: Ticket, looks: usize) -> Did {
        let mut before = self.check_look(ticket);
        for _ in 1..looks {
            let now = self.check_look(ticket);
            let taken_back = match before {
                Seen::Running { cancel_requested } => {
                    cancel_requested
                        && now
                            == (Seen::Running {
                                cancel_requested: false,
                            })
                }
                ended => now != ended,
            };
            assert!(!taken_back, "{before:?}, then {now:?}");
            before = now;
        }
        Did::Watched
    }

    /// Begins anew, if the last operation is over.
    fn begin_anew(&self) -> Option<Ticket> {
        let ticket = self.cell.begin(&self.count).ok()?;
        assert_eq!(self.told.load(Relaxed), 1, "the cell was given back too soon");
        let cancel_requested = false;
        assert_eq!(self.cell.look(ticket), Seen::Running { cancel_requested });
        Some(ticket)
    }

    fn end_anew(&self, ticket: Ticket) {
        let delivery = self.cell.end_owned(ticket, FAILED, &self.count).unwrap();
        assert_eq!(delivery.deliver(), FAILED);
    }

    fn recycle(&self) -> Did {
        let new = self.begin_anew().expect("the first operation is over");
        self.end_anew(new);
        Did::Recycled(new)
    }
}

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Did {
    /// Ended the operation. Did it see what the canceller had written before asking?
    Ended(Outcome, bool),
    /// Tried to end it.
    Lost(NotEnded),
    /// Asked to cancel.
    Asked(CancelAnswer),
    /// Used the cell again, under this ticket.
    Recycled(Ticket),
    /// Something that is judged where it is done.
    Watched,
}

type Act = fn(&Stage, Ticket) -> Did;
const COMPLETE: Act = |stage, ticket| stage.contend(ticket, COMPLETED);
const FAIL: Act = |stage, ticket| stage.contend(ticket, FAILED);
const CANCEL: Act = Stage::cancel;
const LOOK: Act = |stage, ticket| stage.poll(ticket, 1);
const LOOK_TWICE: Act = |stage, ticket| stage.poll(ticket, 2);

/// Explores a model and says how many executions that took. No bound means every interleaving.
fn explore(name: &str, bound: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(Counter::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.check(move || {
        counted.fetch_add(1, SeqCst);
        model();
    });
    // Straight to the stream: the test harness hides what passing tests print.
    let line = format!("{name}: {} executions\n", executions.load(SeqCst));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Lets the acts race, each on its own thread.
fn together<const N: usize>(stage: &Arc<Stage>, ticket: Ticket, acts: [Act; N]) -> [Did; N] {
    let started = acts.map(|act| {
        let stage = Arc::clone(stage);
        thread::spawn(move || act(&stage, ticket))
    });
    started.map(|thread| thread.join().unwrap())
}

/// Lets contenders and lookers race for one operation, and judges what they did.
fn race<const N: usize>(acts: [Act; N]) {
    let (stage, ticket) = Stage::begun();
    let did = together(&stage, ticket, acts);
    judge(&stage, ticket, &did);
}

fn judge(stage: &Stage, ticket: Ticket, did: &[Did]) {
    let count = |one: Did| did.iter().filter(|did| **did == one).count();
    let lost = count(Did::Lost(NotEnded::Already));
    let requests = count(Did::Asked(CancelAnswer::Requested));
    let ended: Vec<_> = did.iter().filter(|did| matches!(did, Did::Ended(..))).collect();
    let tried = did
        .iter()
        .filter(|did| matches!(did, Did::Ended(..) | Did::Lost(_)))
        .count();
    assert_eq!(count(Did::Asked(CancelAnswer::Stale)), 0);
    assert!(requests <= 1, "only the first request is the one that stands");
    let [Did::Ended(outcome, knew_of_request)] = ended[..] else {
        // Nobody tried to end it: cancelling is a request and no outcome.
        assert_eq!((ended.len(), tried, requests), (0, 0, 1), "{did:?}");
        let cancel_requested = true;
        assert_eq!(stage.cell.look(ticket), Seen::Running { cancel_requested });
        return;
    };
    assert_eq!(lost, tried - 1, "{did:?}");
    assert_eq!(stage.count.all(), [1, 1, 1, 0]);
    // Whoever ends after a request that stands, ends with all that was written before it.
    assert!(requests == 0 || *knew_of_request, "{did:?}");
    assert_eq!(stage.check_look(ticket), Seen::Ended(*outcome));
    assert_eq!(stage.cell.request_cancel(ticket), CancelAnswer::TooLate);
    assert_eq!(stage.cell.end(ticket, FAILED, &()).err(), Some(NotEnded::Already));
}

/// Proves: PAIN-09.
#[test]
fn of_two_contenders_one_wins() {
    explore("complete, fail", None, || race([COMPLETE, FAIL]));
    explore("complete, cancel", None, || race([COMPLETE, CANCEL]));
    explore("cancel, cancel", None, || race([CANCEL, CANCEL]));
}

/// Proves: PAIN-09.
#[test]
fn of_three_contenders_one_wins() {
    explore("complete, cancel, fail", None, || race([COMPLETE, CANCEL, FAIL]));
}

#[test]
fn who_looks_at_one_ender_sees_one_whole_outcome() {
    explore("complete, two looks", None, || race([COMPLETE, LOOK_TWICE]));
}

#[test]
fn who_looks_at_two_contenders_sees_one_whole_outcome() {
    explore("complete, fail, look", None, || race([COMPLETE, FAIL, LOOK]));
    explore("complete, cancel, two looks, bound 3", Some(3), || {
        race([COMPLETE, CANCEL, LOOK_TWICE])
    });
}

#[test]
fn who_looks_at_three_contenders_sees_one_whole_outcome() {
    explore("complete, cancel, fail, look, bound 3", Some(3), || {
        race([COMPLETE, CANCEL, FAIL, LOOK])
    });
}

/// The owner ends by claim, begins anew, and ends that otherwise.
const RECYCLE_BY_CLAIM: Act = |stage, old| {
    stage.data_of(COMPLETED).store(1, Relaxed);
    let delivery = stage.cell.end_owned(old, COMPLETED, &stage.count);
    stage.told.store(1, Relaxed);
    delivery.unwrap().deliver();
    stage.recycle()
};

/// The same, where others could have ended the first operation.
const RECYCLE_BY_RACE: Act = |stage, old| {
    stage.contend(old, COMPLETED);
    stage.recycle()
};

/// What somebody with the old ticket may see of a cell whose next operation ends otherwise.
const LOOK_WITH_OLD_TICKET: Act = |stage, old| {
    let seen = stage.cell.look(old);
    assert!(
        matches!(seen, Seen::Running { .. } | Seen::Stale | Seen::Ended(COMPLETED)),
        "{seen:?}"
    );
    if !matches!(seen, Seen::Running { .. }) {
        // Stale says that the old operation is over, so its data is there too.
        assert_eq!(stage.data_of(COMPLETED).load(Relaxed), 1, "{seen:?}");
    }
    Did::Watched
};

fn recycle_under<const N: usize>(acts: [Act; N]) {
    let (stage, old) = Stage::begun();
    let did = together(&stage, old, acts);
    let recycled = did.iter().filter_map(|did| match did {
        Did::Recycled(new) => Some(stage.cell.look(*new)),
        _ => None,
    });
    assert_eq!(recycled.collect::<Vec<_>>(), [Seen::Ended(FAILED)]);
    assert!(
        !did.contains(&Did::Asked(CancelAnswer::Already)),
        "nobody else asks"
    );
    assert_eq!(stage.count.all(), [2, 2, 2, 0]);
    assert_eq!(stage.cell.look(old), Seen::Stale);
    assert_eq!(stage.cell.request_cancel(old), CancelAnswer::Stale);
}

#[test]
fn an_old_ticket_sees_nothing_new() {
    explore("recycled by claim; old look", None, || {
        recycle_under([RECYCLE_BY_CLAIM, LOOK_WITH_OLD_TICKET])
    });
    explore("recycled by race; old look", None, || {
        recycle_under([RECYCLE_BY_RACE, LOOK_WITH_OLD_TICKET])
    });
}

#[test]
fn an_old_ticket_cancels_nothing_new() {
    explore("recycled by claim; old cancel", None, || {
        recycle_under([RECYCLE_BY_CLAIM, CANCEL])
    });
    explore("recycled by race; old cancel", None, || {
        recycle_under([RECYCLE_BY_RACE, CANCEL])
    });
}

#[test]
fn old_tickets_together_see_and_cancel_nothing_new() {
    explore(
        "recycled by claim; old cancel, old look, bound 3",
        Some(3),
        || recycle_under([RECYCLE_BY_CLAIM, CANCEL, LOOK_WITH_OLD_TICKET]),
    );
}

/// Tries to end the old operation; then begins anew, if it is over, and ends that otherwise.
const END_AND_RECYCLE: Act = |stage, old| {
    let did = stage.contend(old, COMPLETED);
    // Busy as long as somebody else holds the token.
    if let Some(new) = stage.begin_anew() {
        stage.end_anew(new);
    }
    did
};

fn late_under<const N: usize>(acts: [Act; N]) {
    let (stage, old) = Stage::begun();
    let did = together(&stage, old, acts);
    let won = did.iter().filter(|did| matches!(did, Did::Ended(..))).count();
    assert_eq!(won, 1, "{did:?}");
    let [uses, ended, delivered, undelivered] = stage.count.all();
    assert_eq!([ended, delivered, undelivered], [uses, uses, 0]);
}

/// Proves: PAIN-05.
#[test]
fn an_old_ticket_ends_nothing_new() {
    explore("latecomer, owner that recycles", None, || {
        late_under([COMPLETE, END_AND_RECYCLE])
    });
    explore(
        "latecomer, owner that recycles, old look, bound 3",
        Some(3),
        || late_under([COMPLETE, END_AND_RECYCLE, LOOK_WITH_OLD_TICKET]),
    );
}

const BEGIN_ANEW: Act = |stage, _| {
    stage.begin_anew();
    Did::Watched
};

#[test]
fn who_begins_anew_comes_after_the_delivery() {
    explore("complete; owner begins anew", None, || {
        let (stage, ticket) = Stage::begun();
        together(&stage, ticket, [COMPLETE, BEGIN_ANEW]);
    });
}

/// The owner of a ring ends what it drains.
const COMPLETE_BY_CLAIM: Act = |stage, ticket| {
    stage.data_of(COMPLETED).store(1, Relaxed);
    let delivery = stage.cell.end_owned(ticket, COMPLETED, &stage.count).unwrap();
    assert_eq!(stage.cell.request_cancel(ticket), CancelAnswer::TooLate);
    assert_eq!(delivery.deliver(), COMPLETED);
    Did::Watched
};

#[test]
fn an_owned_end_overrides_a_request_to_cancel() {
    explore("owned end, cancel, two looks", None, || {
        let (stage, ticket) = Stage::begun();
        let [_, asked, _] = together(&stage, ticket, [COMPLETE_BY_CLAIM, CANCEL, LOOK_TWICE]);
        let answers = [CancelAnswer::Requested, CancelAnswer::TooLate].map(Did::Asked);
        assert!(answers.contains(&asked), "{asked:?}");
        assert_eq!(stage.check_look(ticket), Seen::Ended(COMPLETED));
        assert_eq!(stage.count.all(), [1, 1, 1, 0]);
    });
}

const COMPLETE_AND_DROP: Act = |stage, ticket| {
    stage.data_of(COMPLETED).store(1, Relaxed);
    let delivery = stage.cell.end(ticket, COMPLETED, &stage.count).unwrap();
    stage.told.store(1, Relaxed);
    drop(delivery);
    Did::Watched
};

#[test]
fn a_dropped_token_still_publishes() {
    explore("token dropped, cancel, two looks, bound 3", Some(3), || {
        let (stage, ticket) = Stage::begun();
        together(&stage, ticket, [COMPLETE_AND_DROP, CANCEL, LOOK_TWICE]);
        assert_eq!(stage.check_look(ticket), Seen::Ended(COMPLETED));
        assert_eq!(stage.count.all(), [1, 1, 0, 1]);
    });
    explore("token dropped; owner begins anew", None, || {
        let (stage, ticket) = Stage::begun();
        together(&stage, ticket, [COMPLETE_AND_DROP, BEGIN_ANEW]);
        assert!(matches!(stage.count.all(), [1 | 2, 1, 0, 1]));
    });
}

/// Ends, and leaves the outcome for whoever takes it.
const FAIL_AND_OWE: Act = |stage, ticket| {
    stage.data_of(FAILED).store(1, Relaxed);
    let delivery = stage.cell.end(ticket, FAILED, &stage.count).unwrap();
    *stage.owed.lock().unwrap() = Some(delivery.later());
    TAKE_WHAT_IS_OWED(stage, ticket)
};

/// Takes what is owed, if it is there, and delivers it.
const TAKE_WHAT_IS_OWED: Act = |stage, _| {
    let Some(owed) = stage.owed.lock().unwrap().take() else {
        return Did::Watched;
    };
    let delivery = stage.cell.redeem(owed, &stage.count);
    stage.told.store(1, Relaxed);
    let outcome = delivery.expect("what is owed can be redeemed").deliver();
    Did::Ended(outcome, false)
};

#[test]
fn what_is_owed_is_delivered_once_on_another_stack() {
    explore("ender that owes, taker, owner begins anew", None, || {
        let (stage, ticket) = Stage::begun();
        let acts = [FAIL_AND_OWE, TAKE_WHAT_IS_OWED, BEGIN_ANEW];
        let did = together(&stage, ticket, acts);
        let told = did
            .iter()
            .filter(|did| **did == Did::Ended(FAILED, false))
            .count();
        assert_eq!(told, 1, "{did:?}");
        let [_, ended, delivered, undelivered] = stage.count.all();
        assert_eq!([ended, delivered, undelivered], [1, 1, 0]);
    });
    explore("ender that owes, taker, two looks", None, || {
        race([FAIL_AND_OWE, TAKE_WHAT_IS_OWED, LOOK_TWICE]);
    });
}
