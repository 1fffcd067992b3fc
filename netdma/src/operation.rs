//! What a client names an operation by, and what it is told when something does not work.

use crate::provider::{AllocateError, StartError, Unsuccessful};
use bitflags::bitflags;
use core::fmt;
use longshore_core::NtStatus;
use longshore_core::completion::Ticket;
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

/// Names one operation of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationHandle {
    pub(crate) slot: u32,
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
    /// More bytes than the provider moves at a time (NETDMA-055).
    TooLong,
    /// A range that does not lie in the address space.
    OutOfRange,
    /// The ring is full.
    Full,
    /// The operation that used this place before is over, but nobody took its outcome.
    OutcomeNotTaken,
    /// The provider stops, or its power goes.
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
            Self::Empty | Self::TooLong | Self::OutOfRange => NtStatus::INVALID_PARAMETER,
            Self::Full | Self::OutcomeNotTaken => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Memory(_) | Self::Paused | Self::Closed => NtStatus::UNSUCCESSFUL,
            Self::Start(error) => error.status(),
            Self::Append(error) => error.status(),
        }
    }
}

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
            Self::TooLong => f.write_str("more bytes than one descriptor may move"),
            Self::OutOfRange => f.write_str("the range does not lie in the address space"),
            Self::Full => f.write_str("the ring is full"),
            Self::OutcomeNotTaken => f.write_str("an earlier outcome was not taken"),
            Self::Paused => f.write_str("the provider stops, or its power goes"),
            Self::Closed => f.write_str("the channel is closed"),
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
