//! The total table of one transfer: from state and call to state and answer, with every pair answered.
//!
//! The states are those of a transfer context. Those with an X also carry the cancelled mark, which keeps the
//! context from being mapped until it is initialised anew or its channel is freed.
//!
//! | State | What it means |
//! |---|---|
//! | Blank | never initialised |
//! | Ready | initialised, and asking for nothing |
//! | Pre | the next allocation was cancelled beforehand |
//! | Wait | an allocation is queued |
//! | Own | the channel is held, nothing is mapped |
//! | Run | mapped, and the outcome is not fixed |
//! | Done | mapped, and the outcome is fixed; the callback may be to come, running or over |
//!
//! Run becomes Done by the completion cell alone: who looks at a state first looks at the cell.

use core::fmt;
use longshore_core::{NtStatus, Rule};

/// The name of the table in [`Transition`](longshore_core::Event::Transition) events.
pub const TABLE: &str = "WDM transfer";

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$item])* $variant,)*
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }
        }
    };
}

named! {
    /// Where a transfer context stands.
    State {
        /// Never initialised.
        Blank,
        /// Initialised.
        Ready,
        /// Ready, and marked as cancelled.
        ReadyX,
        /// The next allocation was cancelled beforehand.
        Pre,
        /// The same, and marked as cancelled.
        PreX,
        /// An allocation is queued.
        Wait,
        /// The same, and marked as cancelled.
        WaitX,
        /// The channel is held, nothing is mapped.
        Own,
        /// The same, and marked as cancelled.
        OwnX,
        /// Mapped and running.
        Run,
        /// Mapped, cancelled, and the outcome is not fixed yet.
        RunX,
        /// Mapped, with a fixed outcome.
        Done,
        /// The same, and marked as cancelled.
        DoneX,
    }
}

impl State {
    /// The state with this number, as [`State::ALL`] counts.
    pub(crate) fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Blank)
    }

    /// Whether the context holds its channel.
    pub const fn holds_channel(self) -> bool {
        matches!(
            self,
            Self::Own | Self::OwnX | Self::Run | Self::RunX | Self::Done | Self::DoneX
        )
    }

    /// Whether a mapping waits for its flush.
    pub const fn is_mapped(self) -> bool {
        matches!(self, Self::Run | Self::RunX | Self::Done | Self::DoneX)
    }
}

named! {
    /// What can happen to a transfer: the calls of the contract, and what the system and the hardware do.
    Input {
        /// InitializeDmaTransferContext.
        Initialize,
        /// AllocateAdapterChannelEx, asynchronous.
        Allocate,
        /// AllocateAdapterChannelEx, synchronous, and the channel is free.
        AllocateNow,
        /// AllocateAdapterChannelEx, synchronous, and the channel is not free.
        AllocateBusy,
        /// A queued allocation is served.
        Grant,
        /// CancelAdapterChannel.
        CancelAllocation,
        /// ConfigureAdapterChannel.
        Configure,
        /// MapTransferEx.
        Map,
        /// CancelMappedTransfer.
        CancelMapped,
        /// ReadDmaCounter.
        ReadCounter,
        /// FlushAdapterBuffersEx.
        Flush,
        /// FreeAdapterChannel, or FreeAdapterObject with a deallocating action.
        Free,
        /// FreeAdapterObject with KeepObject.
        Keep,
        /// PutDmaAdapter.
        Put,
        /// One period of a loop is over.
        Period,
        /// The outcome was fixed.
        Ended,
    }
}

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
    /// A common buffer of the adapter is not freed.
    CommonBufferOut,
}

impl Refusal {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Busy => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Cancelled => NtStatus::CANCELLED,
            Self::AlreadyCancelled => NtStatus::INVALID_DEVICE_STATE,
            Self::TooLate => NtStatus::UNSUCCESSFUL,
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
            Self::Outstanding | Self::CommonBufferOut => Some(Rule("WDM-106")),
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
            Self::CommonBufferOut => "a common buffer of the adapter is not freed",
        })
    }
}

impl core::error::Error for Refusal {}

/// What the table says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is accepted.
    Accept,
    /// It is accepted: ask the hardware to stop.
    Stop,
    /// It is accepted: whatever is not over is cut, then flushed.
    Settle,
    /// The same, but the caller should have waited: misuse of WDM-174.
    Cut,
    /// It changes nothing, as it must.
    Nothing,
    /// It is refused, and changes nothing.
    Refuse(Refusal),
}

/// The table.
pub const fn next(state: State, input: Input) -> (State, Answer) {
    match input {
        Input::Initialize => initialize(state),
        Input::Allocate | Input::AllocateNow | Input::AllocateBusy => allocate(state, input),
        Input::Grant => grant(state),
        Input::CancelAllocation => cancel_allocation(state),
        Input::Configure => (state, needs_channel(state)),
        Input::Map => map(state),
        Input::CancelMapped => cancel_mapped(state),
        Input::Flush => flush(state),
        Input::Free => free(state),
        Input::Put => (state, put(state)),
        // The counter can be read at any time; keeping has no effect in any state; a period changes none.
        Input::ReadCounter => (state, Answer::Accept),
        Input::Keep | Input::Period => (state, Answer::Nothing),
        Input::Ended => ended(state),
    }
}

const fn initialize(state: State) -> (State, Answer) {
    match state {
        State::Blank | State::Ready | State::ReadyX | State::Pre | State::PreX => {
            (State::Ready, Answer::Accept)
        }
        _ => (state, Answer::Refuse(Refusal::NotUnique)),
    }
}

const fn allocate(state: State, input: Input) -> (State, Answer) {
    match (state, input) {
        (State::Blank, _) => (state, Answer::Refuse(Refusal::NotInitialized)),
        // the mark stays until the context is initialised anew.
        (State::Pre | State::PreX, _) => (state, Answer::Refuse(Refusal::Cancelled)),
        (State::Ready | State::ReadyX, Input::AllocateBusy) => (state, Answer::Refuse(Refusal::Busy)),
        (State::Ready, Input::AllocateNow) => (State::Own, Answer::Accept),
        (State::ReadyX, Input::AllocateNow) => (State::OwnX, Answer::Accept),
        (State::Ready, _) => (State::Wait, Answer::Accept),
        (State::ReadyX, _) => (State::WaitX, Answer::Accept),
        _ => (state, Answer::Refuse(Refusal::NotUnique)),
    }
}

const fn grant(state: State) -> (State, Answer) {
    match state {
        State::Wait => (State::Own, Answer::Accept),
        State::WaitX => (State::OwnX, Answer::Accept),
        _ => (state, Answer::Nothing),
    }
}

const fn cancel_allocation(state: State) -> (State, Answer) {
    match state {
        State::Blank => (state, Answer::Refuse(Refusal::NotInitialized)),
        State::Ready | State::Pre => (State::Pre, Answer::Accept),
        State::ReadyX | State::PreX => (State::PreX, Answer::Accept),
        State::Wait => (State::Ready, Answer::Accept),
        State::WaitX => (State::ReadyX, Answer::Accept),
        _ => (state, Answer::Refuse(Refusal::TooLate)),
    }
}

const fn needs_channel(state: State) -> Answer {
    if state.holds_channel() {
        Answer::Accept
    } else {
        Answer::Refuse(Refusal::NotAllocated)
    }
}

const fn map(state: State) -> (State, Answer) {
    match state {
        State::Own => (State::Run, Answer::Accept),
        State::OwnX => (state, Answer::Refuse(Refusal::Cancelled)),
        //
        State::Run | State::RunX | State::Done | State::DoneX => (state, Answer::Refuse(Refusal::NotFlushed)),
        _ => (state, Answer::Refuse(Refusal::NotAllocated)),
    }
}

const fn cancel_mapped(state: State) -> (State, Answer) {
    match state {
        State::Blank => (state, Answer::Refuse(Refusal::NotInitialized)),
        // it marks the context, and the later map fails.
        State::Ready => (State::ReadyX, Answer::Accept),
        State::Pre => (State::PreX, Answer::Accept),
        State::Wait => (State::WaitX, Answer::Accept),
        State::Own => (State::OwnX, Answer::Accept),
        State::Run => (State::RunX, Answer::Stop),
        // the outcome is fixed, the mark is not.
        State::Done => (State::DoneX, Answer::Accept),
        _ => (state, Answer::Refuse(Refusal::AlreadyCancelled)),
    }
}

const fn flush(state: State) -> (State, Answer) {
    match state {
        // a map that never was.
        State::Own | State::OwnX => (state, Answer::Nothing),
        // The client did not cancel, so its context bears no mark.
        State::Run => (State::Own, Answer::Cut),
        // RL-03: straight after a cancel.
        State::RunX => (State::OwnX, Answer::Settle),
        State::Done => (State::Own, Answer::Accept),
        // the mark stays.
        State::DoneX => (State::OwnX, Answer::Accept),
        _ => (state, Answer::Refuse(Refusal::NotAllocated)),
    }
}

const fn free(state: State) -> (State, Answer) {
    match state {
        // the release takes the mark away.
        State::Own | State::OwnX => (State::Ready, Answer::Accept),
        State::Run | State::RunX | State::Done | State::DoneX => {
            (state, Answer::Refuse(Refusal::StillMapped))
        }
        _ => (state, Answer::Refuse(Refusal::NotAllocated)),
    }
}

const fn put(state: State) -> Answer {
    match state {
        State::Blank | State::Ready | State::ReadyX | State::Pre | State::PreX => Answer::Accept,
        _ => Answer::Refuse(Refusal::Outstanding),
    }
}

const fn ended(state: State) -> (State, Answer) {
    match state {
        State::Run => (State::Done, Answer::Accept),
        State::RunX => (State::DoneX, Answer::Accept),
        _ => (state, Answer::Nothing),
    }
}

#[cfg(test)]
mod tests;
