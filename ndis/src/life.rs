//! The total table of a miniport's life: from phase and call to phase and answer, with every pair answered.
//!
//! Channels come only while it initialises, after its attributes; they go while it initialises or halts.

use crate::state::Answer;
use longshore_core::Rule;

/// The name of the table in [`Transition`](longshore_core::Event::Transition) events.
pub const TABLE: &str = "NDIS miniport";

/// Where a miniport stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It was not initialised, or it was halted.
    Stopped,
    /// It initialises, and has not said what its NIC is.
    Initializing,
    /// It initialises, and has said it.
    Attributed,
    /// It runs.
    Running,
    /// It halts.
    Halting,
}

impl Phase {
    /// Every one of them.
    pub const ALL: &[Self] = &[
        Self::Stopped,
        Self::Initializing,
        Self::Attributed,
        Self::Running,
        Self::Halting,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Initializing => "Initializing",
            Self::Attributed => "Attributed",
            Self::Running => "Running",
            Self::Halting => "Halting",
        }
    }
}

/// What can happen to a miniport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// MiniportInitializeEx begins.
    Initialize,
    /// NdisMSetMiniportAttributes.
    SetAttributes,
    /// NdisMRegisterDmaChannel.
    Register,
    /// NdisMDeregisterDmaChannel.
    Deregister,
    /// MiniportInitializeEx has succeeded.
    Initialized,
    /// MiniportInitializeEx has failed.
    Failed,
    /// MiniportHaltEx begins.
    Halt,
    /// MiniportHaltEx is over.
    Halted,
}

impl Input {
    /// Every one of them.
    pub const ALL: &[Self] = &[
        Self::Initialize,
        Self::SetAttributes,
        Self::Register,
        Self::Deregister,
        Self::Initialized,
        Self::Failed,
        Self::Halt,
        Self::Halted,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "Initialize",
            Self::SetAttributes => "SetAttributes",
            Self::Register => "Register",
            Self::Deregister => "Deregister",
            Self::Initialized => "Initialized",
            Self::Failed => "Failed",
            Self::Halt => "Halt",
            Self::Halted => "Halted",
        }
    }
}

/// The table.
pub const fn next(phase: Phase, input: Input) -> (Phase, Answer) {
    use Phase::{Attributed, Halting, Initializing, Running, Stopped};
    match (input, phase) {
        (Input::Initialize, Stopped) => (Initializing, Answer::Accept),
        (Input::SetAttributes, Initializing | Attributed) => (Attributed, Answer::Accept),
        (Input::Register, Attributed) => (phase, Answer::Accept),
        (Input::Initialize | Input::SetAttributes | Input::Register, _) => {
            (phase, Answer::Misuse(Rule("NDIS-011")))
        }
        (Input::Deregister, Initializing | Attributed | Halting) => (phase, Answer::Accept),
        (Input::Initialized, Initializing | Attributed) => (Running, Answer::Accept),
        (Input::Failed, Initializing | Attributed) => (Stopped, Answer::Accept),
        (Input::Halt, Running) => (Halting, Answer::Accept),
        (Input::Deregister | Input::Halt, _) => (phase, Answer::Misuse(Rule("NDIS-018"))),
        (Input::Halted, Halting) => (Stopped, Answer::Accept),
        (Input::Initialized | Input::Failed | Input::Halted, _) => (phase, Answer::Nothing),
    }
}

/// Why this input never comes in this phase; nothing if it may.
pub const fn cannot_happen(phase: Phase, input: Input) -> Option<&'static str> {
    use Phase::{Attributed, Halting, Initializing};
    match (input, phase) {
        (Input::Initialized | Input::Failed, Initializing | Attributed) | (Input::Halted, Halting) => None,
        (Input::Initialized | Input::Failed, _) => {
            Some("only what has begun to initialise comes to the end of it")
        }
        (Input::Halted, _) => Some("only what has begun to halt comes to the end of it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: NDIS-011, NDIS-018.
    #[test]
    fn every_pair_is_answered_and_channels_come_and_go_in_their_time() {
        for &phase in Phase::ALL {
            for &input in Input::ALL {
                let (after, answer) = next(phase, input);
                assert!(
                    answer == Answer::Accept || after == phase,
                    "{input:?} in {phase:?}"
                );
                let impossible = cannot_happen(phase, input).is_some();
                assert_eq!(answer == Answer::Nothing, impossible, "{input:?} in {phase:?}");
            }
            let register = next(phase, Input::Register).1;
            assert_eq!(register == Answer::Accept, phase == Phase::Attributed);
            let deregister = next(phase, Input::Deregister).1;
            let may = matches!(phase, Phase::Initializing | Phase::Attributed | Phase::Halting);
            assert_eq!(deregister == Answer::Accept, may);
        }
    }
}
