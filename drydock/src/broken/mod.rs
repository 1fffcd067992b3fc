//! A gallery of implementations that are wrong on purpose, each in one way.
//!
//! `longshore check` runs them behind the real ones: a checker that finds nothing wrong with these is worth
//! nothing.

pub mod provider;

use crate::explore::Target;
use crate::suites::provider::check_provider;
use provider::{Flaw, Sketch};

/// A broken implementation, and the rule that catches it.
pub struct Exhibit {
    /// What is checked.
    pub target: Target,
    /// What is wrong with it, in plain words.
    pub flaw: &'static str,
    /// The rule under which it must be caught.
    pub rule: &'static str,
}

/// Every broken implementation.
pub fn gallery() -> Vec<Exhibit> {
    let providers = [
        (
            Flaw::WordBeforeData,
            "word-before-data",
            "the completion word is written before the data",
            "SEED-003-2",
        ),
        (
            Flaw::InterruptBeforeWord,
            "interrupt-before-word",
            "the interrupt comes before the word",
            "SEED-003-12",
        ),
        (
            Flaw::AppendJumps,
            "executed-twice",
            "append jumps where the engine has already gone",
            "RACE-1",
        ),
        (
            Flaw::AbortFinishes,
            "abort-finishes",
            "abort finishes the current descriptor",
            "SEED-004-6",
        ),
        (
            Flaw::NoHaltedWord,
            "no-halted-word",
            "abort does not write Halted",
            "SEED-004-7",
        ),
        (
            Flaw::AppendAfterAbort,
            "append-after-abort",
            "append is accepted after an abort",
            "SEED-004-9",
        ),
        (
            Flaw::WritesPastTheEnd,
            "writes-past-the-end",
            "each copy is a piece too long",
            "PAIN-15",
        ),
        (
            Flaw::AbortDoesNotWait,
            "abort-does-not-wait",
            "abort returns while the engine runs",
            "SEED-004-5",
        ),
    ];
    let exhibit = |(flaw, name, words, rule)| Exhibit {
        target: sketch(flaw).named(name).into_target(),
        flaw: words,
        rule,
    };
    providers.into_iter().map(exhibit).collect()
}

/// The check of the gallery's provider with this flaw.
pub fn sketch(flaw: Flaw) -> crate::suites::Check {
    check_provider(move |bay| Sketch::build(bay, flaw))
}
