//! A gallery of implementations that are wrong on purpose, each in one way.
//!
//! `longshore check` runs them behind the real ones: a checker that finds nothing wrong with these is worth
//! nothing.

pub mod provider;
pub mod stack;

use crate::explore::Target;
use crate::reference::CancelStyle;
use crate::suites::controller::{RealStack, Rig, check_stack};
use crate::suites::provider::check_provider;
use provider::{Flaw, Sketch};
use stack::{EagerStack, LyingController, reference_rig};
use std::sync::Arc;

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
        (
            Flaw::TellsNobody,
            "tells-nobody",
            "NetDmaIsr is never called",
            "SEED-003-14",
        ),
        (
            Flaw::NamesTheFirst,
            "names-the-first",
            "the deferred call always names the first descriptor",
            "SEED-003-14",
        ),
        (
            Flaw::ReportsOnItsOwnCpu,
            "reports-on-its-own-cpu",
            "the deferred call runs on another CPU than NetDmaIsr said",
            "NETDMA-100",
        ),
    ];
    let exhibit = |(flaw, name, words, rule)| Exhibit {
        target: sketch(flaw).named(name).into_target(),
        flaw: words,
        rule,
    };
    let eager = check_stack(|bay| {
        (
            reference_rig(bay, false, CancelStyle::Honest),
            EagerStack::build(bay),
        )
    });
    let lying = check_stack(|bay| {
        let rig = reference_rig(bay, true, CancelStyle::Honest);
        (
            Rig {
                controller: Arc::new(LyingController(rig.controller)),
                ..rig
            },
            Arc::new(RealStack),
        )
    });
    let stacks = [
        Exhibit {
            target: eager.named("callback-without-interrupt").into_target(),
            flaw: "the completion routine is called on a controller that cannot interrupt",
            rule: "SEED-001-10",
        },
        Exhibit {
            target: lying.named("cancel-lies").into_target(),
            flaw: "the controller says that it has cancelled, and goes on",
            rule: "PAIN-08",
        },
    ];
    providers.into_iter().map(exhibit).chain(stacks).collect()
}

/// The check of the gallery's provider with this flaw.
pub fn sketch(flaw: Flaw) -> crate::suites::Check {
    check_provider(move |bay| Sketch::build(bay, flaw))
}
