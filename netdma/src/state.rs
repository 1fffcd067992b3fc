//! The total table of a NetDMA channel.
//!
//! [`step`] answers every pair of state and input. A provider decides nothing about a channel's state elsewhere.
//!
//! The table as text is in `docs/tables.md`, written from [`step`] itself.
//!
//! A call is put to the table when it takes effect: a suspend, for instance, when the current descriptor is done.

/// Where a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Allocated or reset, and not started since.
    Fresh,
    /// Started; no descriptor is done yet.
    Armed,
    /// Some descriptors are done, and some are pending.
    Active,
    /// Started, and nothing is pending.
    Idle,
    /// Held between two descriptors.
    Suspended,
    /// Cut; waits for a start.
    Aborted,
    /// Stopped by an error; waits for a start.
    Error,
    /// The engine lost power and with it its place; waits for a start.
    ContextLost,
    /// Given back.
    Free,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Fresh,
        Self::Armed,
        Self::Active,
        Self::Idle,
        Self::Suspended,
        Self::Aborted,
        Self::Error,
        Self::ContextLost,
        Self::Free,
    ];

    /// The name, for events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "Fresh",
            Self::Armed => "Armed",
            Self::Active => "Active",
            Self::Idle => "Idle",
            Self::Suspended => "Suspended",
            Self::Aborted => "Aborted",
            Self::Error => "Error",
            Self::ContextLost => "ContextLost",
            Self::Free => "Free",
        }
    }
}

/// What happens to a channel: a call of NetDMA, or something in the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// `ProviderStartDma`.
    Start,
    /// `ProviderAppendDma`.
    Append,
    /// `ProviderSuspendDma`, as it takes effect.
    Suspend,
    /// `ProviderResumeDma`.
    Resume,
    /// `ProviderAbortDma`, as it takes effect.
    Abort,
    /// `ProviderResetChannel`, as it takes effect.
    Reset,
    /// `ProviderFreeDmaChannel`.
    Free,
    /// A descriptor is done, and more are pending.
    DescriptorDone,
    /// A descriptor is done, and it was the last one pending.
    ChainEnd,
    /// The engine looked for more descriptors and found none, without having done one.
    RanDry,
    /// The engine stopped at an error.
    Error,
    /// The engine lost its power.
    PowerLost,
}

impl Input {
    /// Every input.
    pub const ALL: [Self; 12] = [
        Self::Start,
        Self::Append,
        Self::Suspend,
        Self::Resume,
        Self::Abort,
        Self::Reset,
        Self::Free,
        Self::DescriptorDone,
        Self::ChainEnd,
        Self::RanDry,
        Self::Error,
        Self::PowerLost,
    ];

    /// The name, for events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Append => "Append",
            Self::Suspend => "Suspend",
            Self::Resume => "Resume",
            Self::Abort => "Abort",
            Self::Reset => "Reset",
            Self::Free => "Free",
            Self::DescriptorDone => "DescriptorDone",
            Self::ChainEnd => "ChainEnd",
            Self::RanDry => "RanDry",
            Self::Error => "Error",
            Self::PowerLost => "PowerLost",
        }
    }
}

/// What a channel does about an input. Words are written only where the channel has a completion address (AMB-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Answer `STATUS_UNSUCCESSFUL` and do nothing else.
    Refuse,
    /// Answer success and do nothing else.
    Done,
    /// Finish the current descriptor, forget the rest, load the new chain and clear the last descriptor.
    Load,
    /// Look again at the tail, or add to the count.
    Extend,
    /// Remember the extension until the channel is resumed (AMB-09).
    Defer,
    /// Write the last descriptor with status Suspend.
    WriteSuspend,
    /// Answer the same last descriptor again, and write nothing (AMB-11).
    Repeat,
    /// Read the last descriptor's link again, and go on.
    Reload,
    /// Stop at once and write the last descriptor with status Halted.
    WriteHalted,
    /// Let go of everything.
    Release,
    /// Let go if nothing is pending. Otherwise as `CutAndRelease`.
    ReleaseIfDrained,
    /// The caller broke NETDMA-043. Stop at once, then let go.
    CutAndRelease,
    /// Write the descriptor with status Active if its flag asks for it.
    ReportActive,
    /// Write the descriptor with status Idle if its flag asks for it.
    ReportIdle,
    /// Write the last good descriptor with status Halted, and interrupt with an error.
    ReportError,
    /// Forget where the engine was; write nothing.
    Forget,
    /// It cannot happen here. Nothing changes.
    Ignore,
}

/// The name of the table, for events.
pub const TABLE: &str = "NetDMA channel";

/// The table: the state after an input, and what to do about it.
#[inline]
pub const fn step(state: State, input: Input) -> (State, Action) {
    match input {
        Input::Start => start(state),
        Input::Append => append(state),
        Input::Suspend => suspend(state),
        Input::Resume => resume(state),
        Input::Abort => abort(state),
        Input::Reset => reset(state),
        Input::Free => free(state),
        Input::DescriptorDone => running(state, State::Active, Action::ReportActive),
        Input::ChainEnd => running(state, State::Idle, Action::ReportIdle),
        Input::RanDry => running(state, State::Idle, Action::Done),
        Input::Error => error(state),
        Input::PowerLost => match state {
            State::Free => (State::Free, Action::Ignore),
            _ => (State::ContextLost, Action::Forget),
        },
    }
}

/// Why an input cannot come in a state, in any engine, or `None` if it can. The table answers these pairs too.
pub const fn cannot_happen(state: State, input: Input) -> Option<&'static str> {
    use Input::{ChainEnd, DescriptorDone, Error, PowerLost, RanDry};
    use State::{Aborted, Active, Armed, ContextLost, Free, Fresh, Idle, Suspended};
    match (state, input) {
        (Free, PowerLost) => Some("a channel that was given back has no place to lose"),
        (Armed, RanDry) => {
            Some("the first descriptor of a chain is given with the start, and never looked for")
        }
        (Armed | Active, DescriptorDone | ChainEnd) | (Active, RanDry) => None,
        (Idle, DescriptorDone | ChainEnd | RanDry) => Some("an engine that has run out does nothing"),
        (Suspended, DescriptorDone | ChainEnd | RanDry) => Some("an engine that is held does nothing"),
        (_, DescriptorDone | ChainEnd | RanDry) => Some("an engine that has stopped does nothing"),
        (Fresh | Aborted | State::Error | ContextLost | Free, Error) => {
            Some("an engine that has stopped meets no error")
        }
        _ => None,
    }
}

const fn start(state: State) -> (State, Action) {
    match state {
        State::Free => (State::Free, Action::Refuse),
        _ => (State::Armed, Action::Load),
    }
}

const fn append(state: State) -> (State, Action) {
    match state {
        State::Armed | State::Active => (state, Action::Extend),
        State::Idle => (State::Active, Action::Extend),
        State::Suspended => (state, Action::Defer),
        _ => (state, Action::Refuse),
    }
}

const fn suspend(state: State) -> (State, Action) {
    match state {
        State::Armed | State::Active | State::Idle => (State::Suspended, Action::WriteSuspend),
        State::Suspended => (state, Action::Repeat),
        _ => (state, Action::Refuse),
    }
}

const fn resume(state: State) -> (State, Action) {
    match state {
        State::Suspended => (State::Active, Action::Reload),
        _ => (state, Action::Refuse),
    }
}

const fn abort(state: State) -> (State, Action) {
    match state {
        State::Fresh | State::Armed | State::Active | State::Idle | State::Suspended => {
            (State::Aborted, Action::WriteHalted)
        }
        State::Aborted | State::Error | State::ContextLost => (State::Aborted, Action::Done),
        State::Free => (state, Action::Refuse),
    }
}

const fn reset(state: State) -> (State, Action) {
    match state {
        State::Armed | State::Active | State::Idle | State::Suspended => (State::Fresh, Action::WriteHalted),
        State::Fresh | State::Aborted | State::Error | State::ContextLost => (State::Fresh, Action::Done),
        State::Free => (state, Action::Refuse),
    }
}

const fn free(state: State) -> (State, Action) {
    let action = match state {
        State::Armed | State::Active => Action::CutAndRelease,
        State::Suspended => Action::ReleaseIfDrained,
        State::Free => Action::Refuse,
        _ => Action::Release,
    };
    (State::Free, action)
}

const fn running(state: State, after: State, action: Action) -> (State, Action) {
    match state {
        State::Armed | State::Active => (after, action),
        _ => (state, Action::Ignore),
    }
}

const fn error(state: State) -> (State, Action) {
    match state {
        State::Armed | State::Active | State::Idle | State::Suspended => (State::Error, Action::ReportError),
        _ => (state, Action::Ignore),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State, expected: [(State, Action); 7]) {
        for (input, expected) in Input::ALL.into_iter().zip(expected) {
            assert_eq!(step(state, input), expected, "{state:?} {input:?}");
        }
    }

    const REFUSED: fn(State) -> (State, Action) = |state| (state, Action::Refuse);
    const LOADED: (State, Action) = (State::Armed, Action::Load);
    const RELEASED: (State, Action) = (State::Free, Action::Release);
    const HALTED: (State, Action) = (State::Aborted, Action::WriteHalted);
    const RESET: (State, Action) = (State::Fresh, Action::WriteHalted);
    const SUSPENDED: (State, Action) = (State::Suspended, Action::WriteSuspend);

    /// Proves: NETDMA-076.
    #[test]
    fn a_fresh_channel_takes_only_a_start() {
        let no = REFUSED(State::Fresh);
        let reset = (State::Fresh, Action::Done);
        row(State::Fresh, [LOADED, no, no, no, HALTED, reset, RELEASED]);
    }

    /// Proves: NETDMA-077, NETDMA-090, NETDMA-092, NETDMA-093.
    #[test]
    fn a_running_channel_can_be_extended_held_and_cut() {
        for state in [State::Armed, State::Active] {
            let extended = (state, Action::Extend);
            let freed = (State::Free, Action::CutAndRelease);
            row(
                state,
                [LOADED, extended, SUSPENDED, REFUSED(state), HALTED, RESET, freed],
            );
        }
    }

    /// Proves: NETDMA-075, RACE-4.
    #[test]
    fn an_idle_channel_goes_on_with_an_append() {
        let extended = (State::Active, Action::Extend);
        let no = REFUSED(State::Idle);
        row(
            State::Idle,
            [LOADED, extended, SUSPENDED, no, HALTED, RESET, RELEASED],
        );
    }

    /// Proves: NETDMA-091, AMB-09, AMB-10, AMB-11.
    #[test]
    fn a_suspended_channel_defers_until_it_is_resumed() {
        let deferred = (State::Suspended, Action::Defer);
        let again = (State::Suspended, Action::Repeat);
        let resumed = (State::Active, Action::Reload);
        let freed = (State::Free, Action::ReleaseIfDrained);
        row(
            State::Suspended,
            [LOADED, deferred, again, resumed, HALTED, RESET, freed],
        );
    }

    /// Proves: NETDMA-076, NETDMA-092, AMB-08.
    #[test]
    fn a_stopped_channel_takes_no_append_until_it_is_started() {
        for state in [State::Aborted, State::Error, State::ContextLost] {
            let no = REFUSED(state);
            let aborted = (State::Aborted, Action::Done);
            let reset = (State::Fresh, Action::Done);
            row(state, [LOADED, no, no, no, aborted, reset, RELEASED]);
        }
        row(State::Free, [REFUSED(State::Free); 7]);
    }

    /// Proves: NETDMA-082, NETDMA-102.
    #[test]
    fn the_engine_s_events_count_only_while_it_runs() {
        for state in State::ALL {
            let runs = matches!(state, State::Armed | State::Active);
            let done = step(state, Input::DescriptorDone);
            let end = step(state, Input::ChainEnd);
            let dry = step(state, Input::RanDry);
            if runs {
                assert_eq!(done, (State::Active, Action::ReportActive));
                assert_eq!(end, (State::Idle, Action::ReportIdle));
                assert_eq!(dry, (State::Idle, Action::Done));
                assert_eq!(step(state, Input::Error), (State::Error, Action::ReportError));
            } else {
                for answer in [done, end, dry] {
                    assert_eq!(answer, (state, Action::Ignore));
                }
            }
        }
    }

    /// What cannot happen changes nothing where it is an event of the engine.
    #[test]
    fn what_cannot_happen_is_ignored() {
        let mut impossible = 0;
        for state in State::ALL {
            for input in Input::ALL {
                if cannot_happen(state, input).is_some() {
                    impossible += 1;
                    let (after, action) = step(state, input);
                    let dry = (State::Armed, Input::RanDry) == (state, input);
                    assert!(
                        dry || (after, action) == (state, Action::Ignore),
                        "{state:?} {input:?}"
                    );
                }
            }
        }
        assert_eq!(impossible, 28);
    }

    /// Every pair has an answer, a refusal changes nothing, and nothing leaves the end.
    #[test]
    fn the_table_is_total() {
        for state in State::ALL {
            assert!(!state.name().is_empty());
            for input in Input::ALL {
                assert!(!input.name().is_empty());
                let (after, action) = step(state, input);
                if matches!(
                    action,
                    Action::Refuse | Action::Ignore | Action::Defer | Action::Repeat
                ) {
                    assert_eq!(after, state);
                }
                if state == State::Free {
                    assert_eq!(after, State::Free);
                }
            }
        }
        assert_eq!(
            step(State::Idle, Input::PowerLost),
            (State::ContextLost, Action::Forget)
        );
    }
}
