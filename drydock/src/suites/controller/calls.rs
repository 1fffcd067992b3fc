//! The states of a transfer context, and what can be called in them.

use longshore_wdm::State;

macro_rules! listed {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name {
            $($(#[$item])* $variant,)*
        }

        impl $name {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];
        }
    };
}

listed! {
    /// Where a context stands.
    At {
        Blank,
        Ready,
        ReadyX,
        Pre,
        PreX,
        Wait,
        WaitX,
        Own,
        OwnX,
        Run,
        RunLoop,
        RunX,
        LoopX,
        Done,
        DoneX,
        Free,
        Kept,
    }
}

listed! {
    /// What is called.
    Call {
        Initialize,
        /// It may wait.
        Allocate,
        /// Now or never, and the channel is free.
        AllocateNow,
        /// Now or never, and it is not.
        AllocateBusy,
        /// With another context, which may wait.
        OtherQueues,
        /// With another context, now or never.
        OtherNow,
        CancelAllocation,
        Configure,
        Map,
        /// The same of a transfer that starts over at its end.
        MapLoop,
        CancelMapped,
        ReadCounter,
        Flush,
        Free,
        /// FreeAdapterObject, DeallocateObject.
        Deallocate,
        /// FreeAdapterObject, DeallocateObjectKeepRegisters.
        KeepRegisters,
        FreeRegisters,
        /// FreeAdapterObject, KeepObject.
        Keep,
        Put,
    }
}

impl At {
    /// A request of the context is queued.
    pub(super) fn waits(self) -> bool {
        matches!(self, Self::Wait | Self::WaitX)
    }

    /// The context holds the channel.
    pub(super) fn holds(self) -> bool {
        matches!(self, Self::Own | Self::OwnX) || self.is_mapped()
    }

    pub(super) fn is_mapped(self) -> bool {
        matches!(
            self,
            Self::Run | Self::RunLoop | Self::RunX | Self::LoopX | Self::Done | Self::DoneX
        )
    }

    /// The context bears the cancelled mark.
    pub(super) fn is_marked(self) -> bool {
        matches!(
            self,
            Self::ReadyX | Self::PreX | Self::WaitX | Self::OwnX | Self::RunX | Self::LoopX | Self::DoneX
        )
    }

    /// Whether there is such a call in this state: a channel that the context holds, or waits for, is not free; an
    /// adapter's transfers all loop, or none does; and only a context that has registers can name them.
    pub(super) fn allows(self, call: Call) -> bool {
        match call {
            Call::AllocateNow => !(self.holds() || self.waits()),
            Call::Map => !matches!(self, Self::RunLoop | Self::LoopX),
            Call::MapLoop => !matches!(self, Self::Run | Self::RunX),
            Call::FreeRegisters => self.holds() || self == Self::Kept,
            _ => true,
        }
    }

    /// What polling shows. A cancelled transfer of a sound controller has ended when somebody looks.
    pub(super) fn state(self) -> State {
        match self {
            Self::Blank => State::Blank,
            Self::Ready | Self::Free => State::Ready,
            Self::ReadyX => State::ReadyX,
            Self::Pre => State::Pre,
            Self::PreX => State::PreX,
            Self::Wait => State::Wait,
            Self::WaitX => State::WaitX,
            Self::Own => State::Own,
            Self::OwnX => State::OwnX,
            Self::Kept => State::Kept,
            Self::Run => State::Run,
            Self::RunLoop => State::Loop,
            Self::Done => State::Done,
            Self::RunX | Self::LoopX | Self::DoneX => State::DoneX,
        }
    }
}
