//! A gallery of implementations that are wrong on purpose, each in one way.
//!
//! `longshore check` runs them behind the real ones: a checker that finds nothing wrong with these is worth
//! nothing.

pub mod provider;
pub mod stack;

use crate::explore::Target;
use crate::reference::CancelStyle;
use crate::suites::controller::{RealStack, Rig, check_stack};
use crate::suites::provider::check_up_to;
use longshore_netdma::Version;
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

/// What is wrong with a provider, under which name and rule.
type Case = (Version, Flaw, &'static str, &'static str, &'static str);

/// The broken providers.
const PROVIDERS: [Case; 29] = [
    (
        Version::V1_0,
        Flaw::WordBeforeData,
        "word-before-data",
        "the completion word is written before the data",
        "SEED-003-2",
    ),
    (
        Version::V1_0,
        Flaw::InterruptBeforeWord,
        "interrupt-before-word",
        "the interrupt comes before the word",
        "SEED-003-12",
    ),
    (
        Version::V1_0,
        Flaw::AppendJumps,
        "executed-twice",
        "append jumps where the engine has already gone",
        "RACE-1",
    ),
    (
        Version::V2_0,
        Flaw::AppendIsLost,
        "append-is-lost",
        "append is accepted, but an engine at the end of its chain does not hear of it",
        "RACE-2",
    ),
    (
        Version::V1_0,
        Flaw::AppendLooksFirst,
        "refused-append-reads",
        "append reads the descriptor before it looks whether it may",
        "NETDMA-076",
    ),
    (
        Version::V1_0,
        Flaw::AppendAfterAbort,
        "append-after-abort",
        "append is accepted after an abort",
        "SEED-004-9",
    ),
    (
        Version::V1_0,
        Flaw::AbortFinishes,
        "abort-finishes",
        "abort finishes the current descriptor",
        "SEED-004-6",
    ),
    (
        Version::V1_0,
        Flaw::NoHaltedWord,
        "no-halted-word",
        "abort does not write Halted",
        "SEED-004-7",
    ),
    (
        Version::V1_0,
        Flaw::AbortDoesNotWait,
        "abort-does-not-wait",
        "abort returns while the engine runs",
        "SEED-004-5",
    ),
    (
        Version::V1_0,
        Flaw::AbortInterrupts,
        "abort-interrupts",
        "abort raises an interrupt",
        "AMB-07",
    ),
    (
        Version::V1_0,
        Flaw::WritesPastTheEnd,
        "writes-past-the-end",
        "each copy is a piece too long",
        "PAIN-15",
    ),
    (
        Version::V2_0,
        Flaw::WritesPastThePage,
        "writes-past-the-page",
        "what stands before a page break is a byte too long",
        "NETDMA-066",
    ),
    (
        Version::V1_0,
        Flaw::HaltedNamesTheBad,
        "halted-names-the-bad",
        "after an error the word names the descriptor that failed",
        "AMB-05",
    ),
    (
        Version::V1_0,
        Flaw::SuspendCuts,
        "suspend-cuts",
        "suspend cuts the current descriptor",
        "NETDMA-090",
    ),
    (
        Version::V1_0,
        Flaw::ResumeKeepsWhatItRead,
        "resume-keeps-what-it-read",
        "resume goes on with a link that was read before the suspend",
        "NETDMA-091",
    ),
    (
        Version::V1_0,
        Flaw::StartKeepsTheLast,
        "start-keeps-the-last",
        "start does not forget the old chain's last descriptor",
        "AMB-04",
    ),
    (
        Version::V1_0,
        Flaw::NullIsSilent,
        "null-is-silent",
        "NULL transfers are not reported",
        "NETDMA-085",
    ),
    (
        Version::V2_0,
        Flaw::ContextInterrupts,
        "context-interrupts",
        "a context change's bit 0 is taken for the interrupt flag",
        "AMB-17",
    ),
    (
        Version::V1_0,
        Flaw::TellsNobody,
        "tells-nobody",
        "NetDmaIsr is never called",
        "SEED-003-14",
    ),
    (
        Version::V1_0,
        Flaw::NamesTheFirst,
        "names-the-first",
        "the deferred call always names the first descriptor",
        "SEED-003-14",
    ),
    (
        Version::V1_0,
        Flaw::ReportsOnItsOwnCpu,
        "reports-on-its-own-cpu",
        "the deferred call runs on another CPU than NetDmaIsr said",
        "NETDMA-100",
    ),
    (
        Version::V1_0,
        Flaw::WordInHalves,
        "word-in-halves",
        "the completion word is written in two halves",
        "RACE-10",
    ),
    (
        Version::V1_0,
        Flaw::StartSaysArmed,
        "start-says-armed",
        "start writes Armed to memory",
        "AMB-06",
    ),
    (
        Version::V1_0,
        Flaw::AllocateWrites,
        "allocate-writes",
        "the completion word is written when the channel is allocated",
        "AMB-22",
    ),
    (
        Version::V1_0,
        Flaw::CountsLinks,
        "counts-links",
        "the count is obeyed although the chain is linked",
        "AMB-24",
    ),
    (
        Version::V1_0,
        Flaw::SuspendIsSilent,
        "suspend-is-silent",
        "suspend writes no word",
        "NETDMA-088",
    ),
    (
        Version::V1_0,
        Flaw::HaltedNeedsTheFlag,
        "halted-needs-the-flag",
        "abort writes Halted only if a descriptor has asked for the word",
        "AMB-03",
    ),
    (
        Version::V1_0,
        Flaw::OldChainIsIdle,
        "old-chain-is-idle",
        "the last descriptor of a replaced chain is said to be Idle",
        "RACE-7",
    ),
    (
        Version::V1_0,
        Flaw::HintsAreObeyed,
        "hints-are-obeyed",
        "a source that need not be snooped is not copied",
        "NETDMA-065",
    ),
];

/// Every broken implementation.
pub fn gallery() -> Vec<Exhibit> {
    let exhibit = |(version, flaw, name, words, rule)| Exhibit {
        target: sketch(version, flaw).named(name).into_target(),
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
    PROVIDERS.into_iter().map(exhibit).chain(stacks).collect()
}

/// What is wrong shows in short chains.
const LONGEST: usize = 2;

/// The check of the gallery's provider with this flaw.
pub fn sketch(version: Version, flaw: Flaw) -> crate::suites::Check {
    check_up_to(LONGEST, move |bay| Sketch::build(bay, version, flaw))
}
