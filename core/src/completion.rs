//! The completion cell: the one place where finishing, failing and cancelling race.
//!
//! A cell belongs to whoever made the promise. It is one atomic word of generation, verdict and phase, and a
//! residue that the word publishes. Each use of a cell is one generation:
//!
//! ```text
//! Idle/Delivered --begin--> Running --request_cancel--> CancelRequested
//!       Running | CancelRequested --end--> Ending --> Ended --deliver--> Delivered
//!       Running | CancelRequested --end_owned--------> Ended
//! ```
//!
//! * Cancelling is a *request*. Only who has proof that the hardware is quiet ends the operation.
//! * [`Cell::end`] is for contexts that may race: exactly one of them wins and gets the [`Delivery`] token.
//! * [`Cell::end_owned`] is for a caller that is alone by claim, as the drain of a ring is: it stores and does
//!   not read-modify-write.
//! * A [`Ticket`] names one generation. Whoever comes late with an old ticket changes nothing.
//! * The outcome is delivered by the token, once. A token that is dropped instead still publishes the outcome,
//!   and says so to the [`Witness`].

use core::fmt;

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering};

const PHASE_BITS: u32 = 8;
const VERDICT_BITS: u32 = 8;
const GENERATION_SHIFT: u32 = PHASE_BITS + VERDICT_BITS;
const GENERATION_MASK: u64 = u64::MAX >> GENERATION_SHIFT;

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    Idle,
    Running,
    CancelRequested,
    Ending,
    Ended,
    Delivered,
}

impl Phase {
    fn of(word: u64) -> Self {
        match word & 0xff {
            0 => Self::Idle,
            1 => Self::Running,
            2 => Self::CancelRequested,
            3 => Self::Ending,
            4 => Self::Ended,
            _ => Self::Delivered,
        }
    }
}

fn word(generation: u64, verdict: u8, phase: Phase) -> u64 {
    (generation & GENERATION_MASK) << GENERATION_SHIFT | u64::from(verdict) << PHASE_BITS | phase as u64
}

fn generation_of(word: u64) -> u64 {
    word >> GENERATION_SHIFT
}

fn verdict_of(word: u64) -> u8 {
    (word >> PHASE_BITS & 0xff) as u8
}

/// Why an operation failed: an open number with named values.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cause(u8);

impl Cause {
    /// The device reported an error of its own.
    pub const DEVICE: Self = Self(0);
    /// The bus reported an error, or an address was out of reach.
    pub const BUS: Self = Self(1);
    /// What the device was told to do makes no sense.
    pub const PROGRAM: Self = Self(2);
    /// The device stopped before it came to this operation.
    pub const HALTED: Self = Self(3);
    /// The device is gone.
    pub const GONE: Self = Self(4);
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DEVICE => f.write_str("device error"),
            Self::BUS => f.write_str("bus error"),
            Self::PROGRAM => f.write_str("bad programming"),
            Self::HALTED => f.write_str("halted before"),
            Self::GONE => f.write_str("device gone"),
            Self(other) => write!(f, "cause {other}"),
        }
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It did what was asked.
    Completed,
    /// It stopped because its owner asked for that.
    Cancelled,
    /// It stopped for another reason.
    Failed(Cause),
}

impl Verdict {
    fn to_byte(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Cancelled => 1,
            Self::Failed(Cause(cause)) => cause.saturating_add(2),
        }
    }

    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Completed,
            1 => Self::Cancelled,
            cause => Self::Failed(Cause(cause - 2)),
        }
    }
}

/// The one truthful outcome of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// How many bytes were not moved.
    pub residue: u64,
}

impl Outcome {
    /// Everything was done.
    pub const COMPLETED: Self = Self {
        verdict: Verdict::Completed,
        residue: 0,
    };
}

/// Names one use of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// The generation of the cell that this ticket is for.
    pub const fn generation(self) -> u64 {
        self.0
    }
}

/// The right to deliver an outcome later, on another stack. Redeem it with [`Cell::redeem`].
#[derive(Debug)]
#[must_use = "an outcome that is owed must be delivered"]
pub struct Owed(u64);

impl Owed {
    /// The ticket of the operation whose outcome is owed.
    pub const fn ticket(&self) -> Ticket {
        Ticket(self.0)
    }
}

/// Why a cell could not begin: its last operation is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Why a caller did not end an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEnded {
    /// Somebody else ended it.
    Already,
    /// The ticket is of another generation.
    Stale,
}

/// The answer to a request to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    /// The request stands. The outcome may still be another one.
    Requested,
    /// Somebody asked before.
    Already,
    /// The outcome is fixed, or about to be.
    TooLate,
    /// The ticket is of another generation.
    Stale,
}

/// What a look at a cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No outcome yet.
    Running {
        /// Whether somebody asked to cancel.
        cancel_requested: bool,
    },
    /// The outcome is recorded.
    Ended(Outcome),
    /// The ticket is of another generation.
    Stale,
}

/// Hears what happens to a cell.
pub trait Witness {
    /// An operation began.
    fn accepted(&self, ticket: Ticket);
    /// Its outcome was recorded.
    fn ended(&self, ticket: Ticket, outcome: Outcome);
    /// Its outcome was delivered.
    fn delivered(&self, ticket: Ticket, outcome: Outcome);
    /// The token was dropped: the outcome is public, but nobody was told.
    fn undelivered(&self, ticket: Ticket, outcome: Outcome);
}

/// Nobody listens.
impl Witness for () {
    fn accepted(&self, _: Ticket) {}
    fn ended(&self, _: Ticket, _: Outcome) {}
    fn delivered(&self, _: Ticket, _: Outcome) {}
    fn undelivered(&self, _: Ticket, _: Outcome) {}
}

/// One promise: at any time, at most one operation and its outcome.
pub struct Cell {
    word: AtomicU64,
    residue: AtomicU64,
}

impl Cell {
    /// A cell that was never used.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            residue: AtomicU64::new(0),
        }
    }

    /// A cell that was never used.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            residue: AtomicU64::new(0),
        }
    }

    /// Begins an operation. Only the owner of the cell calls this, one call at a time.
    pub fn begin(&self, witness: &impl Witness) -> Result<Ticket, Busy> {
        // Acquire: whatever the last operation's deliverer still did happened before. It may have been another
        // thread, and what it worked on is about to be used again.
        let now = self.word.load(Ordering::Acquire);
        if !matches!(Phase::of(now), Phase::Idle | Phase::Delivered) {
            return Err(Busy);
        }
        let ticket = Ticket(generation_of(now).wrapping_add(1) & GENERATION_MASK);
        // Release: whoever finds an old ticket stale also sees all that the old operation did. (Whoever has the new
        // ticket was given it by the owner, and so sees what the owner prepared.) The residue is left as it is;
        // nobody reads it before this generation ends.
        self.word
            .store(word(ticket.0, 0, Phase::Running), Ordering::Release);
        witness.accepted(ticket);
        Ok(ticket)
    }

    /// Asks that the operation be cancelled. Changes no outcome by itself.
    pub fn request_cancel(&self, ticket: Ticket) -> CancelAnswer {
        let mut now = self.word.load(Ordering::Relaxed);
        loop {
            if generation_of(now) != ticket.0 {
                return CancelAnswer::Stale;
            }
            match Phase::of(now) {
                Phase::Running => {}
                Phase::CancelRequested => return CancelAnswer::Already,
                _ => return CancelAnswer::TooLate,
            }
            let wanted = word(ticket.0, 0, Phase::CancelRequested);
            // Release: who acts on the request also sees what was written before it was made.
            match self
                .word
                .compare_exchange_weak(now, wanted, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return CancelAnswer::Requested,
                Err(actual) => now = actual,
            }
        }
    }

    /// Records the outcome, where several may try. Exactly one caller per operation gets the token.
    pub fn end<'a, W: Witness>(
        &'a self,
        ticket: Ticket,
        outcome: Outcome,
        witness: &'a W,
    ) -> Result<Delivery<'a, W>, NotEnded> {
        let mut now = self.word.load(Ordering::Relaxed);
        loop {
            check_unended(now, ticket)?;
            let claimed = word(ticket.0, u8::from(is_cancel_requested(now)), Phase::Ending);
            // Acquire: whoever ends after a request that stands sees what was written before it was made.
            match self
                .word
                .compare_exchange_weak(now, claimed, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Ok(self.publish(ticket, outcome, witness)),
                Err(actual) => now = actual,
            }
        }
    }

    /// Records the outcome, where the caller alone may end this operation, by claim or by `&mut`.
    ///
    /// A request to cancel may still come in between; it is overwritten, as a request may be.
    pub fn end_owned<'a, W: Witness>(
        &'a self,
        ticket: Ticket,
        outcome: Outcome,
        witness: &'a W,
    ) -> Result<Delivery<'a, W>, NotEnded> {
        // Relaxed: whoever has the ticket sees what its owner prepared, and whoever wants to see what a canceller
        // wrote has to look first.
        check_unended(self.word.load(Ordering::Relaxed), ticket)?;
        Ok(self.publish(ticket, outcome, witness))
    }

    fn publish<'a, W: Witness>(
        &'a self,
        ticket: Ticket,
        outcome: Outcome,
        witness: &'a W,
    ) -> Delivery<'a, W> {
        // Release: a reader that sees this residue also sees the generation it belongs to, and so finds out that
        // its own look at an older one is void.
        self.residue.store(outcome.residue, Ordering::Release);
        // Release: a reader that sees the end also sees the residue, and the data before it.
        self.overwrite(
            word(ticket.0, outcome.verdict.to_byte(), Phase::Ended),
            Ordering::Release,
        );
        witness.ended(ticket, outcome);
        Delivery {
            cell: self,
            ticket,
            outcome,
            witness,
            told: false,
        }
    }

    /// Stores a word over one that a canceller may be changing just now.
    #[cfg(not(loom))]
    fn overwrite(&self, word: u64, order: Ordering) {
        self.word.store(word, order);
    }

    /// The same for loom, which would let a compare-and-swap succeed on a word that was plainly stored over before:
    /// it keeps a read-modify-write whole against others of its kind only.
    #[cfg(loom)]
    fn overwrite(&self, word: u64, order: Ordering) {
        self.word.swap(word, order);
    }

    /// Looks at an operation.
    pub fn look(&self, ticket: Ticket) -> Seen {
        let now = self.word.load(Ordering::Acquire);
        if generation_of(now) != ticket.0 {
            return Seen::Stale;
        }
        match Phase::of(now) {
            Phase::Idle => Seen::Stale,
            Phase::Running | Phase::CancelRequested | Phase::Ending => Seen::Running {
                cancel_requested: is_cancel_requested(now),
            },
            Phase::Ended | Phase::Delivered => self.read_outcome(now, ticket),
        }
    }

    fn read_outcome(&self, seen: u64, ticket: Ticket) -> Seen {
        // Acquire: if this is already a later generation's residue, the look at the word below sees that
        // generation.
        let residue = self.residue.load(Ordering::Acquire);
        if generation_of(self.word.load(Ordering::Relaxed)) != ticket.0 {
            return Seen::Stale;
        }
        Seen::Ended(Outcome {
            verdict: Verdict::from_byte(verdict_of(seen)),
            residue,
        })
    }

    /// Turns a right that was kept for later into the token it stands for.
    pub fn redeem<'a, W: Witness>(&'a self, owed: Owed, witness: &'a W) -> Option<Delivery<'a, W>> {
        let ticket = owed.ticket();
        // Relaxed: what is owed was handed over after the end, so the word and the residue are there.
        let now = self.word.load(Ordering::Relaxed);
        if generation_of(now) != ticket.0 || Phase::of(now) != Phase::Ended {
            return None;
        }
        let residue = self.residue.load(Ordering::Relaxed);
        let outcome = Outcome {
            verdict: Verdict::from_byte(verdict_of(now)),
            residue,
        };
        Some(Delivery {
            cell: self,
            ticket,
            outcome,
            witness,
            told: false,
        })
    }
}

/// Whether a request to cancel stands. While an operation is ending, its verdict is not known yet, and the verdict's
/// place remembers the request.
fn is_cancel_requested(now: u64) -> bool {
    match Phase::of(now) {
        Phase::CancelRequested => true,
        Phase::Ending => verdict_of(now) != 0,
        _ => false,
    }
}

fn check_unended(now: u64, ticket: Ticket) -> Result<(), NotEnded> {
    if generation_of(now) != ticket.0 {
        return Err(NotEnded::Stale);
    }
    match Phase::of(now) {
        Phase::Running | Phase::CancelRequested => Ok(()),
        _ => Err(NotEnded::Already),
    }
}

impl Default for Cell {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.word.load(Ordering::Relaxed);
        write!(f, "Cell(generation {}, {:?})", generation_of(now), Phase::of(now))
    }
}

/// The right to deliver one outcome. Not `Clone`: an outcome is delivered once.
///
/// ```compile_fail
/// use longshore_core::completion::{Cell, Outcome};
/// let cell = Cell::new();
/// let ticket = cell.begin(&()).unwrap();
/// let delivery = cell.end(ticket, Outcome::COMPLETED, &()).unwrap();
/// delivery.deliver();
/// delivery.deliver();
/// ```
///
/// ```
/// use longshore_core::completion::{Cell, Outcome};
/// let cell = Cell::new();
/// let ticket = cell.begin(&()).unwrap();
/// let delivery = cell.end(ticket, Outcome::COMPLETED, &()).unwrap();
/// delivery.deliver();
/// ```
#[must_use = "an outcome must be delivered"]
pub struct Delivery<'a, W: Witness> {
    cell: &'a Cell,
    ticket: Ticket,
    outcome: Outcome,
    witness: &'a W,
    told: bool,
}

impl<W: Witness> Delivery<'_, W> {
    /// The outcome that is to be delivered.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The outcome, now delivered.
    pub fn deliver(mut self) -> Outcome {
        self.told = true;
        self.witness.delivered(self.ticket, self.outcome);
        self.close();
        self.outcome
    }

    /// Keeps the right for another stack.
    pub fn later(mut self) -> Owed {
        self.told = true;
        Owed(self.ticket.0)
    }

    fn close(&self) {
        // Release: the next `begin` may use again what the deliverer still worked on, and a reader that sees this
        // word instead of the end also sees the residue and the data.
        let closed = word(self.ticket.0, self.outcome.verdict.to_byte(), Phase::Delivered);
        self.cell.word.store(closed, Ordering::Release);
    }
}

impl<W: Witness> fmt::Debug for Delivery<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({:?}, {:?})", self.ticket, self.outcome)
    }
}

impl<W: Witness> Drop for Delivery<'_, W> {
    fn drop(&mut self) {
        if !self.told {
            // As in `deliver`: first this operation's last event, then the next operation may begin.
            self.witness.undelivered(self.ticket, self.outcome);
            self.close();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_byte_reads_back_as_it_was_written() {
        for byte in 0..=u8::MAX {
            assert_eq!(Verdict::from_byte(byte).to_byte(), byte);
        }
    }

    #[test]
    fn named_verdicts_are_told_apart() {
        let causes = [
            Cause::DEVICE,
            Cause::BUS,
            Cause::PROGRAM,
            Cause::HALTED,
            Cause::GONE,
        ];
        let failed = causes.map(Verdict::Failed);
        for verdict in [Verdict::Completed, Verdict::Cancelled].into_iter().chain(failed) {
            assert_eq!(Verdict::from_byte(verdict.to_byte()), verdict);
        }
    }

    #[test]
    fn a_word_keeps_its_parts_apart() {
        let word = word(GENERATION_MASK, 0xff, Phase::Delivered);
        assert_eq!(generation_of(word), GENERATION_MASK);
        assert_eq!((verdict_of(word), Phase::of(word)), (0xff, Phase::Delivered));
    }

    #[test]
    fn the_generation_wraps_without_touching_the_rest() {
        let cell = Cell::new();
        let last = word(GENERATION_MASK - 1, 0, Phase::Delivered);
        cell.word.store(last, Ordering::Relaxed);
        let old = cell.begin(&()).unwrap();
        assert_eq!(old.generation(), GENERATION_MASK);
        cell.end(old, Outcome::COMPLETED, &()).unwrap().deliver();
        let new = cell.begin(&()).unwrap();
        assert_eq!(new.generation(), 0);
        assert_eq!(cell.look(old), Seen::Stale);
        cell.end(new, Outcome::COMPLETED, &()).unwrap().deliver();
        assert_eq!(cell.look(new), Seen::Ended(Outcome::COMPLETED));
    }

    #[test]
    fn a_request_to_cancel_is_not_forgotten_while_an_operation_ends() {
        let cell = Cell::new();
        let ticket = cell.begin(&()).unwrap();
        for requested in [false, true] {
            let ending = word(ticket.0, u8::from(requested), Phase::Ending);
            cell.word.store(ending, Ordering::Relaxed);
            let cancel_requested = requested;
            assert_eq!(cell.look(ticket), Seen::Running { cancel_requested });
            assert_eq!(cell.request_cancel(ticket), CancelAnswer::TooLate);
            assert_eq!(
                cell.end(ticket, Outcome::COMPLETED, &()).err(),
                Some(NotEnded::Already)
            );
        }
    }
}
