//! The total table of one channel: from state and call to state and answer, with every pair answered.
//!
//! A channel has one transfer at a time, and refuses a second one at once (NDIS-032). Between Idle and Up, and on
//! the way back, whoever made the call that led there has the channel to himself.

use longshore_core::Rule;

/// The name of the table in [`Transition`](longshore_core::Event::Transition) events.
pub const TABLE: &str = "NDIS channel";

/// Where a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing is set up.
    Idle,
    /// A transfer is being set up.
    Preparing,
    /// A transfer is set up.
    Up,
    /// It is being completed.
    Completing,
}

impl State {
    /// Every one of them.
    pub const ALL: &[Self] = &[Self::Idle, Self::Preparing, Self::Up, Self::Completing];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Preparing => "Preparing",
            Self::Up => "Up",
            Self::Completing => "Completing",
        }
    }
}

/// What can happen to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// NdisMSetupDmaTransfer.
    SetUp,
    /// The set-up succeeded.
    Started,
    /// The set-up failed.
    NotStarted,
    /// NdisMCompleteDmaTransfer.
    Complete,
    /// The completion is over.
    Released,
    /// The hardware does not stop, so nothing is completed.
    StillRuns,
    /// NdisMReadDmaCounter.
    ReadCounter,
    /// NdisMDeregisterDmaChannel.
    Deregister,
}

impl Input {
    /// Every one of them.
    pub const ALL: &[Self] = &[
        Self::SetUp,
        Self::Started,
        Self::NotStarted,
        Self::Complete,
        Self::Released,
        Self::StillRuns,
        Self::ReadCounter,
        Self::Deregister,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SetUp => "SetUp",
            Self::Started => "Started",
            Self::NotStarted => "NotStarted",
            Self::Complete => "Complete",
            Self::Released => "Released",
            Self::StillRuns => "StillRuns",
            Self::ReadCounter => "ReadCounter",
            Self::Deregister => "Deregister",
        }
    }
}

/// What the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is accepted.
    Accept,
    /// It changes nothing.
    Nothing,
    /// It is refused, and the caller did nothing wrong.
    Busy,
    /// It is refused, and the caller broke this rule.
    Misuse(Rule),
}

/// The table.
pub const fn next(state: State, input: Input) -> (State, Answer) {
    match (input, state) {
        (Input::SetUp, State::Idle) => (State::Preparing, Answer::Accept),
        (Input::SetUp, _) => (state, Answer::Busy),
        (Input::Started, State::Preparing) => (State::Up, Answer::Accept),
        (Input::NotStarted, State::Preparing) => (State::Idle, Answer::Accept),
        (Input::Complete, State::Up) => (State::Completing, Answer::Accept),
        (Input::Complete, _) => (state, Answer::Misuse(Rule("NDIS-045"))),
        (Input::Released, State::Completing) => (State::Idle, Answer::Accept),
        (Input::StillRuns, State::Completing) => (State::Up, Answer::Accept),
        (Input::Started | Input::NotStarted | Input::Released | Input::StillRuns, _) => {
            (state, Answer::Nothing)
        }
        (Input::ReadCounter, _) => (state, Answer::Accept),
        (Input::Deregister, State::Idle) => (state, Answer::Accept),
        (Input::Deregister, _) => (state, Answer::Misuse(Rule("NDIS-019"))),
    }
}

/// Why this input never comes in this state; nothing if it may.
pub const fn cannot_happen(state: State, input: Input) -> Option<&'static str> {
    match (input, state) {
        (Input::Started | Input::NotStarted, State::Preparing)
        | (Input::Released | Input::StillRuns, State::Completing) => None,
        (Input::Started | Input::NotStarted, _) => {
            Some("only who prepares a transfer has started it, or not")
        }
        (Input::Released | Input::StillRuns, _) => {
            Some("only who completes a transfer has released it, or not")
        }
        (Input::Deregister, State::Preparing) => {
            Some("a set-up borrows the handle until it is over, and deregistering takes it")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: NDIS-032, NDIS-045, NDIS-064.
    #[test]
    fn every_pair_is_answered_and_only_four_calls_move_the_channel() {
        for &state in State::ALL {
            for &input in Input::ALL {
                let (after, answer) = next(state, input);
                if answer != Answer::Accept {
                    assert_eq!(after, state, "{input:?} in {state:?}");
                }
                if answer == Answer::Nothing {
                    assert!(cannot_happen(state, input).is_some(), "{input:?} in {state:?}");
                }
            }
            let set_up = next(state, Input::SetUp).1;
            assert_eq!(set_up == Answer::Accept, state == State::Idle);
            assert!(matches!(set_up, Answer::Accept | Answer::Busy), "never queued");
            let complete = next(state, Input::Complete).1;
            assert_eq!(complete == Answer::Accept, state == State::Up);
        }
    }

    #[test]
    fn a_transfer_goes_round_once_and_hardware_that_does_not_stop_keeps_it() {
        let mut state = State::Idle;
        for input in [
            Input::SetUp,
            Input::Started,
            Input::Complete,
            Input::StillRuns,
            Input::Complete,
            Input::Released,
        ] {
            let (after, answer) = next(state, input);
            assert_eq!(answer, Answer::Accept);
            state = after;
        }
        assert_eq!(state, State::Idle);
    }
}
