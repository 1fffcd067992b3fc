//! Which pairs of state and input of a table some runs have seen, and which they have not.

use crate::machine::Pairs;
use longshore_netdma::state as netdma;
use longshore_wdm::state as wdm;
use std::collections::HashSet;
use std::fmt;

/// A table whose pairs are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// A NetDMA channel's.
    Channel,
    /// A system DMA transfer's. A bus master's pairs are in the same table, and are not counted here.
    Transfer,
}

impl Table {
    /// Its name in [`Transition`](longshore_core::Event::Transition) events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Channel => netdma::TABLE,
            Self::Transfer => wdm::TABLE,
        }
    }

    /// Each pair of state and input, and whether it can happen.
    fn pairs(self) -> Vec<(&'static str, &'static str, bool)> {
        match self {
            Self::Channel => { netdma::State::ALL.into_iter() }
                .flat_map(|state| {
                    netdma::Input::ALL.into_iter().map(move |input| {
                        let can = netdma::cannot_happen(state, input).is_none();
                        (state.name(), input.name(), can)
                    })
                })
                .collect(),
            Self::Transfer => { wdm::State::ALL.iter() }
                .flat_map(|&state| {
                    wdm::Input::ALL
                        .iter()
                        .map(move |&input| (state.name(), input.name(), happens_to_transfers(state, input)))
                })
                .collect(),
        }
    }
}

/// Whether a system DMA transfer on a sound controller can be asked this in this state.
fn happens_to_transfers(state: wdm::State, input: wdm::Input) -> bool {
    use wdm::{Input, State};
    if wdm::cannot_happen(state, input) {
        return false;
    }
    let looped = matches!(state, State::Loop | State::LoopX);
    let once = matches!(state, State::Run | State::RunX);
    let cancelled = matches!(state, State::RunX | State::LoopX);
    match (state, input) {
        // A bus master's alone.
        (State::KeptDone | State::Loose | State::LooseDone, _)
        | (_, Input::MapMaster | Input::CancelMaster | Input::MasterKeeping | Input::MasterLoose) => false,
        // Only under the policy that is exactly Windows'.
        (_, Input::FlushForgets) => false,
        // These are asked of the adapter, which has no context or that of its request.
        (_, Input::ReadCounter) => false,
        (_, Input::Put) => {
            state.holds_channel() || matches!(state, State::Ready | State::Wait | State::WaitX | State::Kept)
        }
        // They name the registers of a context that has some.
        (_, Input::FreeRegisters) => state.holds_channel() || state == State::Kept,
        // A channel that is held, or waited for, is not free.
        (_, Input::AllocateNow) => !state.holds_channel() && !matches!(state, State::Wait | State::WaitX),
        // An adapter's transfers all loop, or none does.
        (_, Input::Map) => !looped,
        (_, Input::MapLoop) => !once,
        // Both look whether it is over first, and a transfer that was stopped is.
        (_, Input::CancelMapped | Input::Flush) => !cancelled,
        // A loop that was stopped has ended with the period that is reported then.
        (_, Input::Period) => !cancelled,
        // Without registers to keep it is the plain one.
        (_, Input::FreeKeeping) => state.holds_channel(),
        _ => true,
    }
}

/// What of the table was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// How many pairs were seen.
    pub seen: usize,
    /// How many pairs can happen.
    pub possible: usize,
    /// How many pairs cannot happen in any engine.
    pub impossible: usize,
    /// Pairs that can happen and were not seen, each as `State/Input`.
    pub missing: Vec<String>,
}

impl Coverage {
    /// Compares these pairs of state and input with the table. Pairs of other tables may be among them.
    pub fn of<'a>(table: Table, pairs: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let seen: HashSet<_> = pairs
            .filter(|(of, ..)| *of == table.name())
            .map(|(_, state, input)| (state, input))
            .collect();
        let (possible, impossible): (Vec<_>, Vec<_>) = table.pairs().into_iter().partition(|(.., can)| *can);
        let missing: Vec<_> = possible
            .iter()
            .filter(|(state, input, _)| !seen.contains(&(*state, *input)))
            .map(|(state, input, _)| format!("{state}/{input}"))
            .collect();
        Self {
            seen: possible.len() - missing.len(),
            possible: possible.len(),
            impossible: impossible.len(),
            missing,
        }
    }

    /// Compares what runs have noted with the table.
    pub fn of_pairs(table: Table, pairs: &Pairs) -> Self {
        Self::of(table, pairs.sorted().into_iter())
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seen,
            possible,
            impossible,
            missing,
        } = self;
        if missing.is_empty() {
            write!(
                f,
                "every (state, event) pair seen: {seen} of {possible}, {impossible} cannot happen"
            )
        } else {
            let missing = missing.join(", ");
            write!(
                f,
                "(state, event) pairs seen: {seen} of {possible}, {impossible} cannot happen; missing: {missing}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_is_named() {
        for (table, first) in [(Table::Channel, "Fresh/Start"), (Table::Transfer, "Own/Map")] {
            let none = Coverage::of(table, std::iter::empty());
            assert_eq!((none.seen, none.missing.len()), (0, none.possible));
            assert_eq!(none.possible + none.impossible, table.pairs().len());
            let (state, input) = first.split_once('/').unwrap();
            let pairs = [(table.name(), state, input), ("another", "Blank", "Initialize")];
            let one = Coverage::of(table, pairs.into_iter());
            assert_eq!(one.seen, 1);
            assert!(!one.missing.contains(&first.to_owned()));
            assert!(one.to_string().contains(&one.missing[0]));
        }
    }

    /// An event that the table says cannot come does not count, should an engine ever note it.
    #[test]
    fn what_cannot_happen_is_not_counted() {
        let odd = Coverage::of(
            Table::Channel,
            [(netdma::TABLE, "Free", "DescriptorDone")].into_iter(),
        );
        assert_eq!(odd.seen, 0);
    }
}
