//! The numbers of the contract. They are open: a number without a name is a value like any other.

use core::fmt;
use longshore_core::completion::Verdict;

/// How a transfer ended, as the completion routine is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias = "DMA_COMPLETION_STATUS")]
pub struct DmaCompletionStatus(pub u32);

impl DmaCompletionStatus {
    /// The transfer succeeded.
    #[doc(alias = "DmaComplete")]
    pub const COMPLETE: Self = Self(0);
    /// Not used: nothing here ever produces it. Whoever receives a status copes with it (WDM-003).
    #[doc(alias = "DmaAborted")]
    pub const ABORTED: Self = Self(1);
    /// An error kept the transfer from succeeding.
    #[doc(alias = "DmaError")]
    pub const ERROR: Self = Self(2);
    /// The client's cancel kept the transfer from succeeding.
    #[doc(alias = "DmaCancelled")]
    pub const CANCELLED: Self = Self(3);
}

impl From<Verdict> for DmaCompletionStatus {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Completed => Self::COMPLETE,
            Verdict::Cancelled => Self::CANCELLED,
            Verdict::Failed(_) => Self::ERROR,
        }
    }
}

impl fmt::Debug for DmaCompletionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::COMPLETE => f.write_str("DmaComplete"),
            Self::ABORTED => f.write_str("DmaAborted"),
            Self::ERROR => f.write_str("DmaError"),
            Self::CANCELLED => f.write_str("DmaCancelled"),
            Self(other) => write!(f, "DMA_COMPLETION_STATUS {other}"),
        }
    }
}

/// What an AdapterControl routine wants done with what it was granted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias = "IO_ALLOCATION_ACTION")]
pub struct IoAllocationAction(pub u32);

impl IoAllocationAction {
    /// Keep channel and map registers. The answer for system DMA (WDM-129).
    #[doc(alias = "KeepObject")]
    pub const KEEP_OBJECT: Self = Self(1);
    /// Free both.
    #[doc(alias = "DeallocateObject")]
    pub const DEALLOCATE_OBJECT: Self = Self(2);
    /// Free the channel, keep the map registers.
    #[doc(alias = "DeallocateObjectKeepRegisters")]
    pub const DEALLOCATE_OBJECT_KEEP_REGISTERS: Self = Self(3);
}

impl fmt::Debug for IoAllocationAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::KEEP_OBJECT => f.write_str("KeepObject"),
            Self::DEALLOCATE_OBJECT => f.write_str("DeallocateObject"),
            Self::DEALLOCATE_OBJECT_KEEP_REGISTERS => f.write_str("DeallocateObjectKeepRegisters"),
            Self(other) => write!(f, "IO_ALLOCATION_ACTION {other}"),
        }
    }
}

/// How an allocation is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct AllocationFlags(pub u32);

impl AllocationFlags {
    /// Queue the request if the channel is taken.
    pub const ASYNCHRONOUS: Self = Self(0);
    /// Grant the channel now, or refuse.
    #[doc(alias = "DMA_SYNCHRONOUS_CALLBACK")]
    pub const SYNCHRONOUS: Self = Self(1);
    /// In the header, and without a meaning: refused.
    #[doc(alias = "DMA_ZERO_BUFFERS")]
    pub const ZERO_BUFFERS: Self = Self(2);
    /// In the header, and without a meaning: refused.
    #[doc(alias = "DMA_FAIL_ON_BOUNCE")]
    pub const FAIL_ON_BOUNCE: Self = Self(4);

    /// Whether every flag has a documented meaning.
    pub const fn are_known(self) -> bool {
        self.0 & !Self::SYNCHRONOUS.0 == 0
    }

    /// Whether the request must not wait.
    pub const fn is_synchronous(self) -> bool {
        self.0 & Self::SYNCHRONOUS.0 != 0
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use longshore_core::completion::Cause;
    use std::format;

    /// Proves: SEED-000-1, WDM-001.
    #[test]
    fn the_completion_statuses_have_the_header_s_values() {
        let named = [
            (DmaCompletionStatus::COMPLETE, 0, "DmaComplete"),
            (DmaCompletionStatus::ABORTED, 1, "DmaAborted"),
            (DmaCompletionStatus::ERROR, 2, "DmaError"),
            (DmaCompletionStatus::CANCELLED, 3, "DmaCancelled"),
        ];
        for (status, value, name) in named {
            assert_eq!((status.0, format!("{status:?}").as_str()), (value, name));
        }
        assert_eq!(size_of::<DmaCompletionStatus>(), 4);
    }

    /// Proves: SEED-000-2, WDM-002, WDM-003, WDM-322.
    #[test]
    fn no_verdict_is_an_abort() {
        let told = |verdict| DmaCompletionStatus::from(verdict);
        assert_eq!(told(Verdict::Completed), DmaCompletionStatus::COMPLETE);
        assert_eq!(told(Verdict::Cancelled), DmaCompletionStatus::CANCELLED);
        for cause in [
            Cause::DEVICE,
            Cause::BUS,
            Cause::PROGRAM,
            Cause::HALTED,
            Cause::GONE,
        ] {
            assert_eq!(told(Verdict::Failed(cause)), DmaCompletionStatus::ERROR);
        }
    }

    /// Proves: WDM-039.
    #[test]
    fn the_actions_have_the_header_s_values() {
        assert_eq!(IoAllocationAction::KEEP_OBJECT.0, 1);
        assert_eq!(IoAllocationAction::DEALLOCATE_OBJECT.0, 2);
        assert_eq!(IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS.0, 3);
    }

    /// Proves: WDM-043.
    #[test]
    fn one_allocation_flag_has_a_meaning() {
        let flags = [
            (AllocationFlags::ASYNCHRONOUS, 0, true),
            (AllocationFlags::SYNCHRONOUS, 1, true),
            (AllocationFlags::ZERO_BUFFERS, 2, false),
            (AllocationFlags::FAIL_ON_BOUNCE, 4, false),
            (AllocationFlags(8), 8, false),
        ];
        for (flag, value, known) in flags {
            assert_eq!((flag.0, flag.are_known()), (value, known));
        }
    }
}
