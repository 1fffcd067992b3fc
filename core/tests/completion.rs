//! The completion cell as one thread sees it: each transition, stale tickets, and what the witness hears.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use longshore_core::completion::{
    Busy, CancelAnswer, Cause, Cell, NotEnded, Outcome, Seen, Ticket, Verdict, Witness,
};
use std::cell::RefCell;

const FAILED: Outcome = Outcome {
    verdict: Verdict::Failed(Cause::BUS),
    residue: 22,
};

const RUNNING: Seen = Seen::Running {
    cancel_requested: false,
};

const RUNNING_CANCELLED: Seen = Seen::Running {
    cancel_requested: true,
};

/// What a witness heard.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Heard {
    Accepted(Ticket),
    Ended(Ticket, Outcome),
    Delivered(Ticket, Outcome),
    Undelivered(Ticket, Outcome),
}

/// Writes down what it hears.
#[derive(Default)]
struct Notes(RefCell<Vec<Heard>>);

impl Notes {
    fn take(&self) -> Vec<Heard> {
        self.0.take()
    }
}

impl Witness for Notes {
    fn accepted(&self, ticket: Ticket) {
        self.0.borrow_mut().push(Heard::Accepted(ticket));
    }
    fn ended(&self, ticket: Ticket, outcome: Outcome) {
        self.0.borrow_mut().push(Heard::Ended(ticket, outcome));
    }
    fn delivered(&self, ticket: Ticket, outcome: Outcome) {
        self.0.borrow_mut().push(Heard::Delivered(ticket, outcome));
    }
    fn undelivered(&self, ticket: Ticket, outcome: Outcome) {
        self.0.borrow_mut().push(Heard::Undelivered(ticket, outcome));
    }
}

/// A cell whose first operation runs.
fn begun() -> (Cell, Ticket) {
    let cell = Cell::new();
    let ticket = cell.begin(&()).unwrap();
    (cell, ticket)
}

/// A cell whose second operation runs, and the ticket of the first.
fn recycled() -> (Cell, Ticket, Ticket) {
    let (cell, old) = begun();
    cell.end_owned(old, Outcome::COMPLETED, &()).unwrap().deliver();
    let new = cell.begin(&()).unwrap();
    (cell, old, new)
}

#[test]
fn a_cell_is_two_words() {
    assert_eq!(size_of::<Cell>(), 16);
}

#[test]
fn an_operation_runs_until_it_is_ended() {
    let (cell, ticket) = begun();
    assert_eq!(cell.look(ticket), RUNNING);
    let delivery = cell.end(ticket, FAILED, &()).unwrap();
    assert_eq!(cell.look(ticket), Seen::Ended(FAILED));
    assert_eq!(delivery.outcome(), FAILED);
    assert_eq!(delivery.deliver(), FAILED);
    assert_eq!(cell.look(ticket), Seen::Ended(FAILED));
}

#[test]
fn a_cell_is_busy_until_its_outcome_is_delivered() {
    let (cell, ticket) = begun();
    assert_eq!(cell.begin(&()), Err(Busy));
    assert_eq!(cell.request_cancel(ticket), CancelAnswer::Requested);
    assert_eq!(cell.begin(&()), Err(Busy));
    let delivery = cell.end(ticket, FAILED, &()).unwrap();
    assert_eq!(cell.begin(&()), Err(Busy));
    delivery.deliver();
    assert!(cell.begin(&()).is_ok());
}

#[test]
fn an_operation_ends_once_either_way() {
    let (cell, ticket) = begun();
    let delivery = cell.end_owned(ticket, FAILED, &()).unwrap();
    let again = |cell: &Cell| {
        [
            cell.end(ticket, Outcome::COMPLETED, &()).err(),
            cell.end_owned(ticket, Outcome::COMPLETED, &()).err(),
        ]
    };
    assert_eq!(again(&cell), [Some(NotEnded::Already); 2]);
    delivery.deliver();
    assert_eq!(again(&cell), [Some(NotEnded::Already); 2]);
    assert_eq!(cell.look(ticket), Seen::Ended(FAILED));
}

#[test]
fn cancelling_is_a_request_and_no_outcome() {
    let (cell, ticket) = begun();
    assert_eq!(cell.request_cancel(ticket), CancelAnswer::Requested);
    assert_eq!(cell.look(ticket), RUNNING_CANCELLED);
    assert_eq!(cell.request_cancel(ticket), CancelAnswer::Already);
    cell.end(ticket, Outcome::COMPLETED, &()).unwrap().deliver();
    assert_eq!(cell.look(ticket), Seen::Ended(Outcome::COMPLETED));
}

#[test]
fn an_owned_end_may_follow_a_request_to_cancel() {
    let (cell, ticket) = begun();
    assert_eq!(cell.request_cancel(ticket), CancelAnswer::Requested);
    let cancelled = Outcome {
        verdict: Verdict::Cancelled,
        residue: 7,
    };
    cell.end_owned(ticket, cancelled, &()).unwrap().deliver();
    assert_eq!(cell.look(ticket), Seen::Ended(cancelled));
}

#[test]
fn cancelling_comes_too_late_once_the_outcome_is_fixed() {
    let (cell, ticket) = begun();
    let delivery = cell.end(ticket, FAILED, &()).unwrap();
    assert_eq!(cell.request_cancel(ticket), CancelAnswer::TooLate);
    delivery.deliver();
    assert_eq!(cell.request_cancel(ticket), CancelAnswer::TooLate);
}

/// Proves: PAIN-05.
#[test]
fn a_stale_ticket_changes_nothing() {
    let (cell, old, new) = recycled();
    assert_eq!(cell.look(old), Seen::Stale);
    assert_eq!(cell.request_cancel(old), CancelAnswer::Stale);
    assert_eq!(cell.end(old, FAILED, &()).err(), Some(NotEnded::Stale));
    assert_eq!(cell.end_owned(old, FAILED, &()).err(), Some(NotEnded::Stale));
    assert_eq!(cell.look(new), RUNNING);
    cell.end(new, FAILED, &()).unwrap().deliver();
    assert_eq!(cell.look(old), Seen::Stale);
    assert_eq!(cell.look(new), Seen::Ended(FAILED));
}

#[test]
fn tickets_count_upwards() {
    let (_, old, new) = recycled();
    assert_eq!((old.generation(), new.generation()), (1, 2));
}

#[test]
fn an_unused_cell_knows_no_ticket() {
    let (_, ticket) = begun();
    let unused = Cell::default();
    assert_eq!(unused.look(ticket), Seen::Stale);
    assert_eq!(unused.request_cancel(ticket), CancelAnswer::Stale);
    assert_eq!(unused.end(ticket, FAILED, &()).err(), Some(NotEnded::Stale));
}

#[test]
fn what_is_owed_can_be_redeemed_and_owed_again() {
    let (cell, ticket) = begun();
    let owed = cell.end(ticket, FAILED, &()).unwrap().later();
    assert_eq!(owed.ticket(), ticket);
    assert_eq!(cell.look(ticket), Seen::Ended(FAILED));
    assert_eq!(cell.begin(&()), Err(Busy));
    let owed = cell.redeem(owed, &()).unwrap().later();
    assert_eq!(cell.redeem(owed, &()).unwrap().deliver(), FAILED);
    assert!(cell.begin(&()).is_ok());
}

#[test]
fn what_one_cell_owes_another_does_not_redeem() {
    let owe = || {
        let (cell, ticket) = begun();
        cell.end(ticket, FAILED, &()).unwrap().later()
    };
    let (running, _) = begun();
    assert!(running.redeem(owe(), &()).is_none(), "it has not ended");
    let (ended, _, new) = recycled();
    let delivery = ended.end(new, FAILED, &()).unwrap();
    assert!(ended.redeem(owe(), &()).is_none(), "it is of another generation");
    delivery.deliver();
}

#[test]
fn a_witness_hears_each_step_in_order() {
    let (cell, notes) = (Cell::new(), Notes::default());
    let ticket = cell.begin(&notes).unwrap();
    assert_eq!(notes.take(), [Heard::Accepted(ticket)]);
    let delivery = cell.end(ticket, FAILED, &notes).unwrap();
    assert_eq!(notes.take(), [Heard::Ended(ticket, FAILED)]);
    delivery.deliver();
    assert_eq!(notes.take(), [Heard::Delivered(ticket, FAILED)]);
}

#[test]
fn a_witness_hears_nothing_of_what_is_refused() {
    let (cell, notes) = (Cell::new(), Notes::default());
    let ticket = cell.begin(&()).unwrap();
    assert_eq!(cell.begin(&notes), Err(Busy));
    cell.end_owned(ticket, FAILED, &()).unwrap().deliver();
    assert!(cell.end(ticket, Outcome::COMPLETED, &notes).is_err());
    assert!(cell.end_owned(ticket, Outcome::COMPLETED, &notes).is_err());
    assert_eq!(notes.take(), []);
}

#[test]
fn a_dropped_token_is_heard_and_gives_the_cell_back() {
    let (cell, notes) = (Cell::new(), Notes::default());
    let ticket = cell.begin(&notes).unwrap();
    drop(cell.end_owned(ticket, FAILED, &notes).unwrap());
    let expected = [
        Heard::Accepted(ticket),
        Heard::Ended(ticket, FAILED),
        Heard::Undelivered(ticket, FAILED),
    ];
    assert_eq!(notes.take(), expected);
    assert_eq!(cell.look(ticket), Seen::Ended(FAILED));
    assert!(cell.begin(&notes).is_ok());
}

#[test]
fn an_outcome_kept_for_later_is_heard_when_it_is_delivered() {
    let (cell, notes) = (Cell::new(), Notes::default());
    let ticket = cell.begin(&notes).unwrap();
    let owed = cell.end(ticket, FAILED, &notes).unwrap().later();
    assert_eq!(
        notes.take(),
        [Heard::Accepted(ticket), Heard::Ended(ticket, FAILED)]
    );
    cell.redeem(owed, &notes).unwrap().deliver();
    assert_eq!(notes.take(), [Heard::Delivered(ticket, FAILED)]);
}

/// Tries to use the cell again while it hears the last of an operation.
struct Greedy<'a>(&'a Cell, RefCell<Vec<Result<Ticket, Busy>>>);

impl Witness for Greedy<'_> {
    fn accepted(&self, _: Ticket) {}
    fn ended(&self, _: Ticket, _: Outcome) {}
    fn delivered(&self, _: Ticket, _: Outcome) {
        self.1.borrow_mut().push(self.0.begin(&()));
    }
    fn undelivered(&self, _: Ticket, _: Outcome) {
        self.1.borrow_mut().push(self.0.begin(&()));
    }
}

#[test]
fn the_last_is_heard_before_the_cell_can_be_used_again() {
    let cell = Cell::new();
    let greedy = Greedy(&cell, RefCell::default());
    let ticket = cell.begin(&greedy).unwrap();
    cell.end(ticket, FAILED, &greedy).unwrap().deliver();
    let ticket = cell.begin(&greedy).unwrap();
    drop(cell.end(ticket, FAILED, &greedy).unwrap());
    assert_eq!(greedy.1.take(), [Err(Busy), Err(Busy)]);
}

#[test]
fn debug_output_names_generation_and_phase() {
    let (cell, ticket) = begun();
    assert_eq!(format!("{cell:?}"), "Cell(generation 1, Running)");
    let delivery = cell.end(ticket, FAILED, &()).unwrap();
    assert_eq!(format!("{cell:?}"), "Cell(generation 1, Ended)");
    assert!(format!("{delivery:?}").starts_with("Delivery(Ticket(1)"));
}
