//! Which pairs of state and input of the NetDMA channel's table some runs have seen, and which they have not.

use crate::machine::Pairs;
use longshore_netdma::state::{Input, State, TABLE, cannot_happen};
use std::collections::HashSet;
use std::fmt;

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
    pub fn of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let seen: HashSet<_> = pairs
            .filter(|(table, ..)| *table == TABLE)
            .map(|(_, state, input)| (state, input))
            .collect();
        let all = State::ALL
            .into_iter()
            .flat_map(|state| Input::ALL.into_iter().map(move |input| (state, input)));
        let (impossible, possible): (Vec<_>, Vec<_>) =
            all.partition(|(state, input)| cannot_happen(*state, *input).is_some());
        let missing: Vec<_> = possible
            .iter()
            .map(|(state, input)| (state.name(), input.name()))
            .filter(|pair| !seen.contains(pair))
            .map(|(state, input)| format!("{state}/{input}"))
            .collect();
        Self {
            seen: possible.len() - missing.len(),
            possible: possible.len(),
            impossible: impossible.len(),
            missing,
        }
    }

    /// Compares what runs have noted with the table.
    pub fn of_pairs(pairs: &Pairs) -> Self {
        Self::of(pairs.sorted().into_iter())
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
        let none = Coverage::of(std::iter::empty());
        assert_eq!((none.seen, none.missing.len()), (0, none.possible));
        let all = State::ALL.len() * Input::ALL.len();
        assert_eq!(none.possible + none.impossible, all);
        let one = Coverage::of([(TABLE, "Fresh", "Start"), ("another", "Fresh", "Append")].into_iter());
        assert_eq!(one.seen, 1);
        assert!(one.missing.contains(&"Fresh/Append".to_owned()));
        assert!(one.to_string().contains("Fresh/Append"));
    }

    /// An event that the table says cannot come does not count, should an engine ever note it.
    #[test]
    fn what_cannot_happen_is_not_counted() {
        let odd = Coverage::of([(TABLE, "Free", "DescriptorDone")].into_iter());
        assert_eq!(odd.seen, 0);
    }
}
