//! Why the table refuses a call.

use core::fmt;
use longshore_core::{NtStatus, Rule};

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The context was not initialised for this adapter.
    NotInitialized,
    /// The context belongs to another request that is not over.
    NotUnique,
    /// The context holds no channel.
    NotAllocated,
    /// The channel is taken.
    Busy,
    /// The context was cancelled.
    Cancelled,
    /// The last mapping was not flushed.
    NotFlushed,
    /// It is mapped, and must be flushed before its channel is freed.
    StillMapped,
    /// It was cancelled before.
    AlreadyCancelled,
    /// The allocation is past cancelling.
    TooLate,
    /// Something of the adapter is still under way.
    Outstanding,
    /// Map registers that were kept without their channel are not freed.
    RegistersOut,
    /// A common buffer of the adapter is not freed.
    CommonBufferOut,
    /// A list of the adapter is not put.
    ListOut,
    /// A call with a context is made for a request without one, or the other way round.
    OtherKind,
    /// The driver asked for an adapter of an earlier version, which has no such call.
    NotOffered,
    /// A device has another request of version 1 that waits, or whose routine runs.
    OneAtATime,
    /// A bus master's transfer is not the system's to cancel.
    NotCancellable,
    /// A bus master has no system controller to configure.
    NotConfigurable,
    /// There are no map registers that were kept without their channel.
    NotKept,
    /// It is not the number of map registers that was asked for.
    WrongCount,
}

impl Refusal {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Busy => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Cancelled => NtStatus::CANCELLED,
            Self::AlreadyCancelled | Self::NotCancellable => NtStatus::INVALID_DEVICE_STATE,
            Self::TooLate => NtStatus::UNSUCCESSFUL,
            Self::NotOffered => NtStatus::NOT_SUPPORTED,
            _ => NtStatus::INVALID_PARAMETER,
        }
    }

    /// The rule that the caller broke, if any.
    pub const fn broken_rule(self) -> Option<Rule> {
        match self {
            Self::NotInitialized => Some(Rule("WDM-114")),
            Self::NotUnique => Some(Rule("WDM-115")),
            Self::NotAllocated => Some(Rule("WDM-162")),
            Self::NotFlushed => Some(Rule("WDM-158")),
            Self::StillMapped => Some(Rule("WDM-190")),
            Self::Outstanding | Self::RegistersOut | Self::CommonBufferOut | Self::ListOut => {
                Some(Rule("WDM-106"))
            }
            Self::OtherKind => Some(Rule("A-34")),
            Self::NotOffered => Some(Rule("WDM-249")),
            Self::OneAtATime => Some(Rule("WDM-231")),
            Self::NotCancellable => Some(Rule("WDM-181")),
            Self::NotConfigurable => Some(Rule("WDM-210")),
            Self::NotKept | Self::WrongCount => Some(Rule("WDM-194")),
            Self::Busy | Self::Cancelled | Self::AlreadyCancelled | Self::TooLate => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInitialized => "the transfer context was not initialised for this adapter",
            Self::NotUnique => "the transfer context belongs to a request that is not over",
            Self::NotAllocated => "the transfer context holds no channel",
            Self::Busy => "the channel is taken",
            Self::Cancelled => "the transfer was cancelled",
            Self::NotFlushed => "the last mapping was not flushed",
            Self::StillMapped => "a mapping must be flushed before its channel is freed",
            Self::AlreadyCancelled => "the transfer was cancelled before",
            Self::TooLate => "the allocation is past cancelling",
            Self::Outstanding => "something of the adapter is still under way",
            Self::RegistersOut => "map registers of the adapter are not freed",
            Self::CommonBufferOut => "a common buffer of the adapter is not freed",
            Self::ListOut => "a list of the adapter is not put",
            Self::OtherKind => "requests with a context and those without do not mix",
            Self::OneAtATime => "the device has another request that waits, or whose routine runs",
            Self::NotOffered => "the driver asked for an adapter of an earlier version",
            Self::NotCancellable => "a bus master's transfer is not the system's to cancel",
            Self::NotConfigurable => "a bus master has no system controller to configure",
            Self::WrongCount => "not so many map registers were asked for",
            Self::NotKept => "no map registers were kept without their channel",
        })
    }
}

impl core::error::Error for Refusal {}
