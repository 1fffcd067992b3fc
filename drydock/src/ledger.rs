//! The exactly-once ledger: every accepted operation ends once and is told once.

use crate::machine::Breach;
use longshore_core::event::{Event, Operation, Rule};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Owed,
    Ended,
    Told,
}

/// What is owed, what ended and what was told.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Vec<(Operation, Entry)>,
}

impl Ledger {
    /// Takes an event in; says what is wrong with it.
    pub(crate) fn hear(&mut self, event: Event) -> Option<Breach> {
        let (operation, verb, before, after) = match event {
            Event::Accepted(operation) => {
                self.entries.push((operation, Entry::Owed));
                return None;
            }
            Event::Ended(operation, _) => (operation, "ends", Entry::Owed, Entry::Ended),
            Event::Delivered(operation, _) => (operation, "is told", Entry::Ended, Entry::Told),
            Event::Undelivered(operation, _) => {
                let what = format!("{operation:?} ended, but the right to tell was thrown away");
                return Some(Breach {
                    rule: Rule("PAIN-09"),
                    what,
                });
            }
            _ => return None,
        };
        let found = self
            .entries
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == operation);
        match found {
            Some((_, entry)) if *entry == before => {
                *entry = after;
                None
            }
            _ => Some(Breach {
                rule: Rule("PAIN-09"),
                what: format!(
                    "{operation:?} {verb} out of turn: once too often, or without having been accepted"
                ),
            }),
        }
    }

    /// The operations that never ended or were never told.
    pub(crate) fn open(&self) -> impl Iterator<Item = (Operation, &'static str)> {
        self.entries.iter().filter_map(|(operation, entry)| match entry {
            Entry::Owed => Some((*operation, "never ended")),
            Entry::Ended => Some((*operation, "ended, but was never told")),
            Entry::Told => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::completion::Outcome;

    const OPERATION: Operation = Operation {
        promise: 1,
        generation: 7,
    };

    #[test]
    fn an_operation_that_ends_twice_is_a_breach() {
        let mut ledger = Ledger::default();
        assert!(ledger.hear(Event::Accepted(OPERATION)).is_none());
        assert!(ledger.hear(Event::Ended(OPERATION, Outcome::COMPLETED)).is_none());
        assert!(ledger.hear(Event::Ended(OPERATION, Outcome::COMPLETED)).is_some());
    }

    #[test]
    fn what_was_never_told_stays_open() {
        let mut ledger = Ledger::default();
        ledger.hear(Event::Accepted(OPERATION));
        assert_eq!(ledger.open().next(), Some((OPERATION, "never ended")));
        ledger.hear(Event::Ended(OPERATION, Outcome::COMPLETED));
        assert_eq!(
            ledger.open().next(),
            Some((OPERATION, "ended, but was never told"))
        );
        assert!(
            ledger
                .hear(Event::Delivered(OPERATION, Outcome::COMPLETED))
                .is_none()
        );
        assert_eq!(ledger.open().next(), None);
    }

    #[test]
    fn an_outcome_of_something_never_accepted_is_a_breach() {
        assert!(
            Ledger::default()
                .hear(Event::Ended(OPERATION, Outcome::COMPLETED))
                .is_some()
        );
        assert!(
            Ledger::default()
                .hear(Event::Undelivered(OPERATION, Outcome::COMPLETED))
                .is_some()
        );
    }
}
