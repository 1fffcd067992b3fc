//! The total table of a provider's life.
//!
//! | | Start | Stop | Power down | Power up | Done |
//! |---|---|---|---|---|---|
//! | Stopped | → Started | refuse | refuse | refuse | refuse |
//! | Started | refuse | → Stopping | → Powering down | refuse | refuse |
//! | Asleep | refuse | → Stopping | refuse | → Powering up | refuse |
//! | Stopping | refuse | refuse | refuse | refuse | → Stopped |
//! | Powering down | refuse | refuse | refuse | refuse | → Asleep |
//! | Powering up | refuse | refuse | refuse | refuse | → Started |
//!
//! *Done* is the end of what a call began. So two calls for one provider never overlap: the second is refused.

/// Where a provider stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Registered. None of its services may be used (NETDMA-013).
    Stopped,
    /// Its channels can be had.
    Started,
    /// Its channels are being given back.
    Stopping,
    /// Its channels run dry.
    PoweringDown,
    /// It has no power; its channels refuse work.
    Asleep,
    /// Its channels are being started again.
    PoweringUp,
}

/// What happens to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// `NetDmaProviderStart`, with good attributes.
    Start,
    /// `NetDmaProviderStop`.
    Stop,
    /// The power will go.
    PowerDown,
    /// The power is back.
    PowerUp,
    /// What the last call began is over.
    Done,
}

/// The table: where the provider stands next, or `None` if the call is refused.
pub const fn step(phase: Phase, change: Change) -> Option<Phase> {
    match (phase, change) {
        (Phase::Stopped, Change::Start) | (Phase::PoweringUp, Change::Done) => Some(Phase::Started),
        (Phase::Started | Phase::Asleep, Change::Stop) => Some(Phase::Stopping),
        (Phase::Started, Change::PowerDown) => Some(Phase::PoweringDown),
        (Phase::Asleep, Change::PowerUp) => Some(Phase::PoweringUp),
        (Phase::Stopping, Change::Done) => Some(Phase::Stopped),
        (Phase::PoweringDown, Change::Done) => Some(Phase::Asleep),
        (Phase::Stopped, _)
        | (Phase::Started, Change::Start | Change::PowerUp | Change::Done)
        | (Phase::Asleep, Change::Start | Change::PowerDown | Change::Done)
        | (Phase::Stopping | Phase::PoweringDown | Phase::PoweringUp, _) => None,
    }
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 6] = [
        Self::Stopped,
        Self::Started,
        Self::Stopping,
        Self::PoweringDown,
        Self::Asleep,
        Self::PoweringUp,
    ];

    /// The name, for events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Started => "Started",
            Self::Stopping => "Stopping",
            Self::PoweringDown => "PoweringDown",
            Self::Asleep => "Asleep",
            Self::PoweringUp => "PoweringUp",
        }
    }
}

impl Change {
    /// Every change.
    pub const ALL: [Self; 5] = [
        Self::Start,
        Self::Stop,
        Self::PowerDown,
        Self::PowerUp,
        Self::Done,
    ];

    /// The name, for events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Stop => "Stop",
            Self::PowerDown => "PowerDown",
            Self::PowerUp => "PowerUp",
            Self::Done => "Done",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_begins_is_over_before_anything_else_begins() {
        for phase in Phase::ALL {
            let busy = step(phase, Change::Done).is_some();
            for change in Change::ALL.into_iter().filter(|&change| change != Change::Done) {
                assert!(!busy || step(phase, change).is_none(), "{phase:?} {change:?}");
            }
            assert_eq!(
                busy,
                matches!(phase, Phase::Stopping | Phase::PoweringDown | Phase::PoweringUp)
            );
        }
    }

    #[test]
    fn start_and_stop_and_power_go_round_for_ever() {
        let walk = |from, changes: &[Change]| {
            changes
                .iter()
                .try_fold(from, |phase, &change| step(phase, change))
        };
        let round = [Change::PowerDown, Change::Done, Change::PowerUp, Change::Done];
        assert_eq!(walk(Phase::Started, &round), Some(Phase::Started));
        let asleep = [
            Change::Start,
            Change::PowerDown,
            Change::Done,
            Change::Stop,
            Change::Done,
        ];
        assert_eq!(walk(Phase::Stopped, &asleep), Some(Phase::Stopped));
    }
}
