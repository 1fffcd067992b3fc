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
//! | Loop | the same, of a transfer that starts over at its end |
//! | Done | mapped, and the outcome is fixed; the callback may be to come, running or over |
//! | Kept | map registers are held, the channel is not |
//! | KeptDone | the same, and mapped |
//! | Loose | a bus master that needs no map registers gave its channel back, and may map all the same |
//! | LooseDone | the same, and mapped |
//!
//! Run and Loop become Done by the completion cell alone: who looks at a state first looks at the cell. A bus
//! master's map has no outcome, and so begins in Done. A context that is freed is Ready again.

mod impossible;
mod refusal;

pub use impossible::cannot_happen;
pub use refusal::Refusal;

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
        /// Mapped, running, and starting over at its end.
        Loop,
        /// Such a transfer, cancelled, and the outcome is not fixed yet.
        LoopX,
        /// Mapped, with a fixed outcome.
        Done,
        /// The same, and marked as cancelled.
        DoneX,
        /// Map registers are held, the channel is not.
        Kept,
        /// The same, and mapped.
        KeptDone,
        /// A bus master that holds nothing and may map.
        Loose,
        /// The same, and mapped.
        LooseDone,
    }
}

impl State {
    /// The state with this number, as [`State::ALL`] counts.
    pub(crate) fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Blank)
    }

    /// Whether the context holds its channel.
    pub const fn holds_channel(self) -> bool {
        matches!(self, Self::Own | Self::OwnX | Self::Done | Self::DoneX) || self.is_running()
    }

    /// Whether a mapping waits for its flush.
    pub const fn is_mapped(self) -> bool {
        matches!(self, Self::Done | Self::DoneX | Self::KeptDone | Self::LooseDone) || self.is_running()
    }

    /// Whether a mapping has no outcome yet.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Run | Self::RunX | Self::Loop | Self::LoopX)
    }

    /// The same state without the mark of a cancel.
    const fn unmarked(self) -> Self {
        match self {
            Self::ReadyX => Self::Ready,
            Self::PreX => Self::Pre,
            Self::WaitX => Self::Wait,
            Self::OwnX => Self::Own,
            Self::RunX => Self::Run,
            Self::LoopX => Self::Loop,
            Self::DoneX => Self::Done,
            other => other,
        }
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
        /// MapTransferEx of a transfer that starts over at its end.
        MapLoop,
        /// MapTransferEx of a bus master.
        MapMaster,
        /// CancelMappedTransfer.
        CancelMapped,
        /// CancelMappedTransfer of a bus master.
        CancelMaster,
        /// ReadDmaCounter.
        ReadCounter,
        /// FlushAdapterBuffersEx.
        Flush,
        /// FlushAdapterBuffersEx where it takes the mark of a cancel away.
        FlushForgets,
        /// FreeAdapterChannel, or FreeAdapterObject with DeallocateObject.
        Free,
        /// FreeAdapterObject with DeallocateObjectKeepRegisters.
        FreeKeeping,
        /// The same of a bus master.
        MasterKeeping,
        /// The same of a bus master that has no map registers, and needs none.
        MasterLoose,
        /// FreeMapRegisters.
        FreeRegisters,
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
        Input::Map => map(state, State::Run),
        Input::MapLoop => map(state, State::Loop),
        Input::MapMaster => map_master(state),
        Input::CancelMapped => cancel_mapped(state),
        //
        Input::CancelMaster => (state, Answer::Refuse(Refusal::NotCancellable)),
        Input::Flush => flush(state),
        Input::FlushForgets => {
            let (after, answer) = flush(state);
            match answer {
                Answer::Refuse(_) => (after, answer),
                // WDM-176.
                _ => (after.unmarked(), answer),
            }
        }
        Input::Free => free(state),
        Input::FreeKeeping => free_keeping(state),
        Input::MasterKeeping => master_gives_channel(state, State::Kept, State::KeptDone),
        Input::MasterLoose => master_gives_channel(state, State::Loose, State::LooseDone),
        Input::FreeRegisters => free_registers(state),
        Input::Put => (state, put(state)),
        // The counter can be read at any time; keeping has no effect in any state; a period changes none.
        Input::ReadCounter => (state, Answer::Accept),
        Input::Keep | Input::Period => (state, Answer::Nothing),
        Input::Ended => ended(state),
    }
}

const fn initialize(state: State) -> (State, Answer) {
    match state {
        State::Blank | State::Ready | State::ReadyX | State::Pre | State::PreX | State::Loose => {
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
        (State::Ready | State::ReadyX | State::Loose, Input::AllocateBusy) => {
            (state, Answer::Refuse(Refusal::Busy))
        }
        (State::Ready | State::Loose, Input::AllocateNow) => (State::Own, Answer::Accept),
        (State::ReadyX, Input::AllocateNow) => (State::OwnX, Answer::Accept),
        (State::Ready | State::Loose, _) => (State::Wait, Answer::Accept),
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

const fn map(state: State, running: State) -> (State, Answer) {
    match state {
        State::Own => (running, Answer::Accept),
        State::OwnX => (state, Answer::Refuse(Refusal::Cancelled)),
        //
        _ if state.is_mapped() => (state, Answer::Refuse(Refusal::NotFlushed)),
        _ => (state, Answer::Refuse(Refusal::NotAllocated)),
    }
}

/// Nobody tells when a bus master is done, so its mapping waits for nothing but its flush.
const fn map_master(state: State) -> (State, Answer) {
    match state {
        State::Kept => (State::KeptDone, Answer::Accept),
        State::Loose => (State::LooseDone, Answer::Accept),
        _ => map(state, State::Done),
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
        State::Loop => (State::LoopX, Answer::Stop),
        // the outcome is fixed, the mark is not.
        State::Done => (State::DoneX, Answer::Accept),
        // Without its channel nothing can be mapped that could be cancelled.
        State::Kept | State::KeptDone | State::Loose | State::LooseDone => {
            (state, Answer::Refuse(Refusal::NotAllocated))
        }
        _ => (state, Answer::Refuse(Refusal::AlreadyCancelled)),
    }
}

const fn flush(state: State) -> (State, Answer) {
    match state {
        // a map that never was.
        State::Own | State::OwnX | State::Kept | State::Loose => (state, Answer::Nothing),
        // The client did not cancel, so its context bears no mark.
        State::Run | State::Loop => (State::Own, Answer::Cut),
        // RL-03: straight after a cancel.
        State::RunX | State::LoopX => (State::OwnX, Answer::Settle),
        State::Done => (State::Own, Answer::Accept),
        State::KeptDone => (State::Kept, Answer::Accept),
        State::LooseDone => (State::Loose, Answer::Accept),
        // the mark stays.
        State::DoneX => (State::OwnX, Answer::Accept),
        _ => (state, Answer::Refuse(Refusal::NotAllocated)),
    }
}

const fn free(state: State) -> (State, Answer) {
    match state {
        // the release takes the mark away.
        State::Own | State::OwnX => (State::Ready, Answer::Accept),
        _ if state.holds_channel() => (state, Answer::Refuse(Refusal::StillMapped)),
        _ => (state, Answer::Refuse(Refusal::NotAllocated)),
    }
}

const fn free_keeping(state: State) -> (State, Answer) {
    match free(state) {
        (_, Answer::Accept) => (State::Kept, Answer::Accept),
        refused => refused,
    }
}

/// WDM-270: a bus master gives its channel back while its device still works.
const fn master_gives_channel(state: State, free: State, mapped: State) -> (State, Answer) {
    match state {
        State::Own | State::OwnX => (free, Answer::Accept),
        State::Done | State::DoneX => (mapped, Answer::Accept),
        _ if state.is_running() => (state, Answer::Refuse(Refusal::StillMapped)),
        _ => (state, Answer::Refuse(Refusal::NotAllocated)),
    }
}

const fn free_registers(state: State) -> (State, Answer) {
    match state {
        State::Kept => (State::Ready, Answer::Accept),
        State::KeptDone => (state, Answer::Refuse(Refusal::StillMapped)),
        _ => (state, Answer::Refuse(Refusal::NotKept)),
    }
}

const fn put(state: State) -> Answer {
    match state {
        State::Blank | State::Ready | State::ReadyX | State::Pre | State::PreX | State::Loose => {
            Answer::Accept
        }
        State::Kept | State::KeptDone => Answer::Refuse(Refusal::RegistersOut),
        _ => Answer::Refuse(Refusal::Outstanding),
    }
}

const fn ended(state: State) -> (State, Answer) {
    match state {
        State::Run | State::Loop => (State::Done, Answer::Accept),
        State::RunX | State::LoopX => (State::DoneX, Answer::Accept),
        _ => (state, Answer::Nothing),
    }
}

#[cfg(test)]
mod tests;
