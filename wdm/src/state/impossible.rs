//! What never meets: inputs that the system does not make in a state, and calls that cannot find a context there.

use super::{Input, State};

/// Why this input is never made in this state; nothing if it may be. What a driver calls with a context, it may call in
/// any state that contexts of its kind of adapter come to.
pub const fn cannot_happen(state: State, input: Input) -> Option<&'static str> {
    let waits = matches!(state, State::Wait | State::WaitX);
    let looped = matches!(state, State::Loop | State::LoopX);
    let once = matches!(state, State::Run | State::RunX);
    let keeps = matches!(state, State::Kept | State::KeptDone);
    // A run of map registers is there from the grant to the free, or as long as it is kept.
    let may_have_registers = state.holds_channel() || keeps;
    match input {
        Input::Grant if !waits => Some("only who waits is served"),
        Input::Ended if !state.is_running() => Some("only what runs ends"),
        Input::Period if !looped => Some("only a loop has periods"),
        Input::Configure | Input::Map | Input::MapLoop | Input::CancelMapped | Input::FreeKeeping
            if state.is_a_master_s() =>
        {
            Some("only a bus master's context comes here, and for those it is another event, or none")
        }
        Input::MapMaster | Input::CancelMaster | Input::MasterKeeping | Input::MasterLoose
            if state.is_a_subordinate_s() =>
        {
            Some("a bus master's transfer neither runs nor bears the mark of a cancel")
        }
        Input::Map if looped => Some("an adapter's transfers all loop, or none does"),
        Input::MapLoop if once => Some("an adapter's transfers all loop, or none does"),
        Input::AllocateNow if waits || state.holds_channel() => {
            Some("a channel that is held, or waited for, is not free")
        }
        Input::FreeRegisters if !may_have_registers => {
            Some("registers are named by their base, and no base leads to a context without any")
        }
        Input::FreeKeeping | Input::MasterKeeping if !may_have_registers => {
            Some("without registers to keep it is another event")
        }
        Input::MasterLoose if keeps => Some("with registers to keep it is another event"),
        Input::ReadCounter | Input::Put if is_unknown_to_its_adapter(state) => Some(
            "it is asked of the adapter, which knows who waits, holds or keeps, and who has something mapped",
        ),
        _ => None,
    }
}

/// An adapter of which nothing is out is as one whose context is ready.
const fn is_unknown_to_its_adapter(state: State) -> bool {
    matches!(
        state,
        State::Blank | State::ReadyX | State::Pre | State::PreX | State::Loose
    )
}

impl State {
    /// Whether contexts of bus masters alone come here.
    const fn is_a_master_s(self) -> bool {
        matches!(self, Self::KeptDone | Self::Loose | Self::LooseDone)
    }

    /// Whether contexts of a system controller's adapters alone come here: a bus master's map has no outcome, and
    /// cancelling it changes nothing.
    const fn is_a_subordinate_s(self) -> bool {
        self.is_running() || self.is_marked()
    }

    const fn is_marked(self) -> bool {
        matches!(
            self,
            Self::ReadyX | Self::PreX | Self::WaitX | Self::OwnX | Self::RunX | Self::LoopX | Self::DoneX
        )
    }
}
