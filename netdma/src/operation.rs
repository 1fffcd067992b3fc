//! What a client names an operation by, and what it is told when something does not work.

use crate::provider::{AllocateError, StartError, Unsuccessful};
use bitflags::bitflags;
use core::fmt;
use longshore_core::NtStatus;
use longshore_core::completion;
use longshore_hardware::MemoryError;

bitflags! {
    /// How the engine is to tell that an operation is done (NETDMA-080).
    ///
    /// With neither, it becomes known with the next operation that is told of.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Completion: u32 {
        /// By the completion word.
        const STATUS = 0x1;
        /// By an interrupt, and by the completion word: the address that comes with an interrupt may be of an
        /// earlier lap of the ring (NETDMA-101), so the word alone says what is done.
        const INTERRUPT = 0x2;
    }
}

/// Names one operation of one ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(crate) slot: u32,
    /// The use of the slot's cell. The first one is 1, so that the default names nothing.
    turn: u64,
}

impl Ticket {
    pub(crate) const fn new(slot: u32, turn: completion::Ticket) -> Self {
        let turn = turn.generation();
        Self { slot, turn }
    }

    /// Whether it is for this use of its slot.
    pub(crate) const fn names(self, turn: completion::Ticket) -> bool {
        self.turn == turn.generation()
    }
}

/// Names one operation of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationHandle {
    pub(crate) ticket: Ticket,
    pub(crate) interrupts: bool,
}

/// Why a channel was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// A ring needs two entries at least: the last completed descriptor stays in place.
    TooFewEntries,
    /// The provider moves less than a page at a time (NETDMA-022), or more entries than it can count.
    BadProvider,
    /// There is no memory for the ring.
    Memory(MemoryError),
    /// The provider gave no channel.
    Allocate(AllocateError),
}

impl OpenError {
    /// The status as the contract returns it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::TooFewEntries => NtStatus::INVALID_PARAMETER,
            Self::BadProvider => NtStatus::UNSUCCESSFUL,
            Self::Memory(_) => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Allocate(error) => error.status(),
        }
    }
}

/// Why an operation was not accepted. Nothing of it will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No bytes. Some engines cannot do that.
    Empty,
    /// The two sides are not equally long.
    UnequalLengths,
    /// A range that does not lie in the address space, or that the engine does not reach.
    OutOfRange,
    /// Source and destination share bytes, and are not the same (NETDMA-057).
    Overlap,
    /// More descriptors than the ring has.
    TooManyDescriptors,
    /// As many operations as are allowed have no outcome yet.
    PendingLimit,
    /// The ring is full.
    Full,
    /// The operation that used this place before is over, but nobody took its outcome.
    OutcomeNotTaken,
    /// Nothing is accepted for now: the provider is about to stop or to lose its power (RACE-9).
    Paused,
    /// The channel is closed.
    Closed,
    /// The ring could not be written.
    Memory(MemoryError),
    /// The provider did not start.
    Start(StartError),
    /// The provider did not go on.
    Append(Unsuccessful),
}

impl Refused {
    /// The status as the contract returns it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Empty
            | Self::UnequalLengths
            | Self::OutOfRange
            | Self::Overlap
            | Self::TooManyDescriptors => NtStatus::INVALID_PARAMETER,
            Self::Full | Self::PendingLimit | Self::OutcomeNotTaken => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Paused | Self::Closed => NtStatus::INVALID_DEVICE_STATE,
            Self::Memory(_) => NtStatus::UNSUCCESSFUL,
            Self::Start(error) => error.status(),
            Self::Append(error) => error.status(),
        }
    }
}

/// An operation that was not accepted, with what was given with it.
pub struct Refusal<H> {
    /// Why.
    pub why: Refused,
    /// What was given.
    pub held: H,
}

impl<H> fmt::Debug for Refusal<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({:?})", self.why)
    }
}

impl<H> fmt::Display for Refusal<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.why, f)
    }
}

impl<H> core::error::Error for Refusal<H> {}

/// Why a wait brought no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoOutcome {
    /// The time was up first. The operation goes on.
    TimedOut,
    /// The machine is being switched off.
    Abandoned,
    /// There is no such operation, or its outcome was taken before.
    Unknown,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewEntries => f.write_str("a ring needs two entries at least"),
            Self::BadProvider => f.write_str("the provider's characteristics make no sense"),
            Self::Memory(error) => write!(f, "no memory for the ring: {error}"),
            Self::Allocate(error) => write!(f, "the provider gave no channel: {error}"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is nothing to copy"),
            Self::UnequalLengths => f.write_str("source and destination are not equally long"),
            Self::OutOfRange => f.write_str("the range is out of reach"),
            Self::Overlap => f.write_str("source and destination overlap"),
            Self::TooManyDescriptors => f.write_str("more descriptors than the ring has"),
            Self::Full => f.write_str("the ring is full"),
            Self::PendingLimit => f.write_str("as many operations as are allowed are pending"),
            Self::Paused => f.write_str("nothing is accepted for now"),
            Self::Closed => f.write_str("the channel is closed"),
            Self::OutcomeNotTaken => f.write_str("an earlier outcome was not taken"),
            Self::Memory(error) => write!(f, "the ring cannot be written: {error}"),
            Self::Start(error) => write!(f, "the provider did not start: {error}"),
            Self::Append(error) => write!(f, "the provider did not go on: {error}"),
        }
    }
}

impl fmt::Display for NoOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the time was up first",
            Self::Abandoned => "the machine is being switched off",
            Self::Unknown => "there is no such operation",
        })
    }
}

impl core::error::Error for OpenError {}
impl core::error::Error for Refused {}
impl core::error::Error for NoOutcome {}
