//! How operations end, and why some do not begin.

use crate::core::completion::{self, Cause, Verdict};
use crate::job::{Buffers, Job, Kind};
use crate::netdma;
use std::fmt;

/// How an operation ended. Everything that was accepted ends in exactly one of these ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked. Two buffers that were compared are the same.
    Completed,
    /// The comparison found a difference.
    Differs {
        /// The offset of the first byte that differs.
        at: u64,
    },
    /// It ended because its user wanted that, or its time was up.
    ///
    /// `moved` is what the engine is known to have done, from the front: 0 if it never began. Of the residue every byte
    /// of the destination is either as before or as it was to become; after an [abort](crate::DmaChannel::abort) both
    /// may occur.
    Cancelled {
        /// How many bytes were moved for certain.
        moved: u64,
        /// How many bytes were not, or not for certain.
        residue: u64,
    },
    /// It ended for another reason. The destination is as after a cancel.
    Failed {
        /// The reason.
        cause: Cause,
        /// How many bytes were not moved, or not for certain.
        residue: u64,
    },
}

impl Outcome {
    /// Whether it did what was asked.
    pub fn is_completed(self) -> bool {
        self == Self::Completed
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// What the ring said about an operation of this kind and length.
    pub(crate) fn of(kind: Kind, len: u64, outcome: completion::Outcome) -> Self {
        let residue = outcome.residue;
        let moved = len.saturating_sub(residue);
        match outcome.verdict {
            Verdict::Completed if kind == Kind::Compare && residue > 0 => Self::Differs { at: moved },
            Verdict::Completed => Self::Completed,
            Verdict::Cancelled => Self::Cancelled { moved, residue },
            Verdict::Failed(cause) => Self::Failed { cause, residue },
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Differs { at } => write!(f, "differs at byte {at}"),
            Self::Cancelled { moved: 0, .. } => f.write_str("cancelled, nothing known to be moved"),
            Self::Cancelled { moved, residue } => write!(f, "cancelled after {moved} bytes, {residue} left"),
            Self::Failed { cause, residue } => write!(f, "failed ({cause:?}), {residue} bytes left"),
        }
    }
}

/// An operation with a tag that is over.
#[derive(Debug)]
pub struct Completion {
    /// What its user named it by.
    pub tag: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The buffers it was given.
    pub buffers: Buffers,
}

impl Completion {
    /// Room for one, to be polled into: `[Completion::EMPTY; 32]`. A poll overwrites what lies in the room: buffers that were
    /// not taken out are freed.
    pub const EMPTY: Self = Self {
        tag: 0,
        outcome: Outcome::Completed,
        buffers: Buffers::None,
    };
}

/// An operation that is over, with its buffers in the form in which they were given.
#[derive(Debug)]
pub struct Finished<B> {
    /// How it ended.
    pub outcome: Outcome,
    /// The buffers it was given.
    pub buffers: B,
}

/// Why something was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There are no bytes to work on.
    Empty,
    /// Source and destination are not equally long.
    UnequalLengths,
    /// A buffer belongs to another machine's memory.
    ForeignBuffer,
    /// It needs more descriptors than the ring has.
    TooLong,
    /// The ring is full.
    Full,
    /// Outcomes that nobody has polled fill the channel.
    Unpolled,
    /// The channel was used from an interrupt handler, or from inside one of its own calls, as by its engine.
    NotHere,
    /// The engine did not take it.
    Engine(netdma::Refused),
}

impl From<netdma::Refused> for Reason {
    fn from(refused: netdma::Refused) -> Self {
        use netdma::Refused;
        match refused {
            Refused::Empty => Self::Empty,
            Refused::UnequalLengths => Self::UnequalLengths,
            Refused::TooManyDescriptors => Self::TooLong,
            Refused::Full | Refused::PendingLimit => Self::Full,
            Refused::OutcomeNotTaken => Self::Unpolled,
            other => Self::Engine(other),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there are no bytes to work on: give buffers that are not empty"),
            Self::UnequalLengths => {
                f.write_str("source and destination are not equally long: split the longer one")
            }
            Self::ForeignBuffer => {
                f.write_str("a buffer of another machine: get it from this channel, or share one host")
            }
            Self::TooLong => {
                f.write_str("longer than the whole ring: split it, or open the channel with more entries")
            }
            Self::Full => f.write_str("the ring is full: poll or wait for an earlier operation first"),
            Self::Unpolled => f.write_str("outcomes that were not polled fill the channel: poll first"),
            Self::NotHere => {
                f.write_str("a channel cannot be used in an interrupt handler or in its own calls")
            }
            Self::Engine(refused) => write!(f, "the engine did not take it: {refused}"),
        }
    }
}

impl std::error::Error for Reason {}

/// An operation that was not accepted, with everything that was given. Nothing of it will happen.
#[derive(Debug)]
pub struct Refused<B = Job> {
    /// Why.
    pub reason: Reason,
    /// What was given.
    pub given: B,
}

impl<B> fmt::Display for Refused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

impl<B: fmt::Debug> std::error::Error for Refused<B> {}

/// The engine did not answer in time, or cannot do this. What is pending stays pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the engine does not answer: wait, or drop the channel to give it up")
    }
}

impl std::error::Error for Unanswered {}
