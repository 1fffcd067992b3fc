//! Which pairs of state and input of a table some runs have seen, and which they have not.

use crate::machine::Pairs;
use longshore_ndis::{life, state as ndis};
use longshore_netdma::state as netdma;
use longshore_wdm::state as wdm;
use std::collections::HashSet;
use std::fmt;

/// A table whose pairs are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// A NetDMA channel's.
    Channel,
    /// A system DMA transfer's, and a bus master's.
    Transfer,
    /// A miniport's.
    Miniport,
    /// A miniport's channel's.
    MiniportChannel,
}

impl Table {
    /// Its name in [`Transition`](longshore_core::Event::Transition) events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Channel => netdma::TABLE,
            Self::Transfer => wdm::TABLE,
            Self::Miniport => life::TABLE,
            Self::MiniportChannel => ndis::TABLE,
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
                    wdm::Input::ALL.iter().map(move |&input| {
                        let can = wdm::cannot_happen(state, input).is_none();
                        (state.name(), input.name(), can)
                    })
                })
                .collect(),
            Self::Miniport => { life::Phase::ALL.iter() }
                .flat_map(|&phase| {
                    life::Input::ALL.iter().map(move |&input| {
                        let can = life::cannot_happen(phase, input).is_none();
                        (phase.name(), input.name(), can)
                    })
                })
                .collect(),
            Self::MiniportChannel => { ndis::State::ALL.iter() }
                .flat_map(|&state| {
                    ndis::Input::ALL.iter().map(move |&input| {
                        let can = ndis::cannot_happen(state, input).is_none();
                        (state.name(), input.name(), can)
                    })
                })
                .collect(),
        }
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
    /// Pairs that were seen though they cannot happen: the table claims too much.
    pub unexpected: Vec<String>,
}

impl Coverage {
    /// Compares these pairs of state and input with the table. Pairs of other tables may be among them.
    pub fn of<'a>(table: Table, pairs: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let seen: HashSet<_> = pairs
            .filter(|(of, ..)| *of == table.name())
            .map(|(_, state, input)| (state, input))
            .collect();
        let (possible, impossible): (Vec<_>, Vec<_>) = table.pairs().into_iter().partition(|(.., can)| *can);
        let those = |pairs: &[(&str, &str, bool)], were_seen: bool| -> Vec<String> {
            pairs
                .iter()
                .filter(|(state, input, _)| seen.contains(&(*state, *input)) == were_seen)
                .map(|(state, input, _)| format!("{state}/{input}"))
                .collect()
        };
        let missing = those(&possible, false);
        Self {
            seen: possible.len() - missing.len(),
            possible: possible.len(),
            impossible: impossible.len(),
            missing,
            unexpected: those(&impossible, true),
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
            unexpected,
        } = self;
        let every = if missing.is_empty() && unexpected.is_empty() {
            "every (state, event) pair seen"
        } else {
            "(state, event) pairs seen"
        };
        write!(f, "{every}: {seen} of {possible}, {impossible} cannot happen")?;
        if !missing.is_empty() {
            write!(f, "; missing: {}", missing.join(", "))?;
        }
        if !unexpected.is_empty() {
            write!(f, "; seen though they cannot happen: {}", unexpected.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_is_named() {
        for (table, first) in [
            (Table::Channel, "Fresh/Start"),
            (Table::Transfer, "Own/Map"),
            (Table::Miniport, "Running/Halt"),
            (Table::MiniportChannel, "Up/Complete"),
        ] {
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

    /// An event that the table says cannot come does not count, should an engine ever note it: it is named.
    #[test]
    fn what_cannot_happen_is_not_counted_and_is_named() {
        for (table, pair) in [
            (Table::Channel, "Free/DescriptorDone"),
            (Table::Transfer, "Own/Grant"),
            (Table::Miniport, "Running/Halted"),
            (Table::MiniportChannel, "Up/Started"),
        ] {
            let (state, input) = pair.split_once('/').unwrap();
            let odd = Coverage::of(table, [(table.name(), state, input)].into_iter());
            assert_eq!((odd.seen, &*odd.unexpected), (0, &[pair.to_owned()][..]));
            assert!(odd.to_string().ends_with(&format!("cannot happen: {pair}")));
            assert!(Coverage::of(table, std::iter::empty()).unexpected.is_empty());
        }
    }
}
