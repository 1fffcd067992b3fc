//! A gallery of implementations that are wrong on purpose, each in one way.
//!
//! `longshore check` runs them behind the real ones: a checker that finds nothing wrong with these is worth
//! nothing.

pub mod controller;
pub mod layer;
pub mod provider;
pub mod stack;

use crate::explore::Target;
use crate::reference::{Interrupts, Options};
use crate::suites::controller::{check_stack, reference_rig};
use crate::suites::provider::check_provider;
use longshore_netdma::Version;
use provider::{Flaw, Sketch};
use stack::EagerStack;

/// A broken implementation, and the rule that catches it.
pub struct Exhibit {
    /// What is checked.
    pub target: Target,
    /// What is wrong with it, in plain words.
    pub flaw: &'static str,
    /// The rule under which it must be caught.
    pub rule: &'static str,
}

/// A provider that is wrong: its version, what is wrong, its name, the scenario that shows it, what is wrong in words, and
/// the rule.
type Case = (
    Version,
    Flaw,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// The broken providers.
const PROVIDERS: [Case; 31] = [
    (
        Version::V1_0,
        Flaw::WordBeforeData,
        "word-before-data",
        "poll",
        "the completion word is written before the data",
        "SEED-003-2",
    ),
    (
        Version::V1_0,
        Flaw::InterruptBeforeWord,
        "interrupt-before-word",
        "chain",
        "the interrupt comes before the word",
        "SEED-003-12",
    ),
    (
        Version::V1_0,
        Flaw::AppendJumps,
        "executed-twice",
        "append-1-none",
        "append jumps where the engine has already gone",
        "RACE-1",
    ),
    (
        Version::V2_0,
        Flaw::AppendIsLost,
        "append-is-lost",
        "append-2-none",
        "append is accepted, but an engine at the end of its chain does not hear of it",
        "RACE-2",
    ),
    (
        Version::V1_0,
        Flaw::AppendLooksFirst,
        "refused-append-reads",
        "fresh",
        "append reads the descriptor before it looks whether it may",
        "NETDMA-076",
    ),
    (
        Version::V1_0,
        Flaw::AppendAfterAbort,
        "append-after-abort",
        "abort",
        "append is accepted after an abort",
        "SEED-004-9",
    ),
    (
        Version::V1_0,
        Flaw::AbortFinishes,
        "abort-finishes",
        "abort",
        "abort finishes the current descriptor",
        "SEED-004-6",
    ),
    (
        Version::V1_0,
        Flaw::NoHaltedWord,
        "no-halted-word",
        "abort",
        "abort does not write Halted",
        "SEED-004-7",
    ),
    (
        Version::V1_0,
        Flaw::AbortDoesNotWait,
        "abort-does-not-wait",
        "abort",
        "abort returns while the engine runs",
        "SEED-004-5",
    ),
    (
        Version::V1_0,
        Flaw::AbortInterrupts,
        "abort-interrupts",
        "abort",
        "abort raises an interrupt",
        "AMB-07",
    ),
    (
        Version::V1_0,
        Flaw::WritesPastTheEnd,
        "writes-past-the-end",
        "chain",
        "each copy is a piece too long",
        "PAIN-15",
    ),
    (
        Version::V2_0,
        Flaw::WritesPastThePage,
        "writes-past-the-page",
        "page-break",
        "what stands before a page break is a byte too long",
        "NETDMA-066",
    ),
    (
        Version::V1_0,
        Flaw::HaltedNamesTheBad,
        "halted-names-the-bad",
        "bad-type-1",
        "after an error the word names the descriptor that failed",
        "AMB-05",
    ),
    (
        Version::V1_0,
        Flaw::SuspendCuts,
        "suspend-cuts",
        "suspend",
        "suspend cuts the current descriptor",
        "NETDMA-090",
    ),
    (
        Version::V1_0,
        Flaw::ResumeKeepsWhatItRead,
        "resume-keeps-what-it-read",
        "held-replace",
        "resume goes on with a link that was read before the suspend",
        "NETDMA-091",
    ),
    (
        Version::V1_0,
        Flaw::StartKeepsTheLast,
        "start-keeps-the-last",
        "second",
        "start does not forget the old chain's last descriptor",
        "AMB-04",
    ),
    (
        Version::V1_0,
        Flaw::NullIsSilent,
        "null-is-silent",
        "null",
        "NULL transfers are not reported",
        "NETDMA-085",
    ),
    (
        Version::V2_0,
        Flaw::ContextInterrupts,
        "context-interrupts",
        "context",
        "a context change's bit 0 is taken for the interrupt flag",
        "AMB-17",
    ),
    (
        Version::V1_0,
        Flaw::TellsNobody,
        "tells-nobody",
        "chain",
        "NetDmaIsr is never called",
        "SEED-003-14",
    ),
    (
        Version::V1_0,
        Flaw::NamesTheFirst,
        "names-the-first",
        "chain",
        "the deferred call always names the first descriptor",
        "SEED-003-14",
    ),
    (
        Version::V1_0,
        Flaw::ReportsOnItsOwnCpu,
        "reports-on-its-own-cpu",
        "chain",
        "the deferred call runs on another CPU than NetDmaIsr said",
        "NETDMA-100",
    ),
    (
        Version::V1_0,
        Flaw::WordInHalves,
        "word-in-halves",
        "poll",
        "the completion word is written in two halves",
        "RACE-10",
    ),
    (
        Version::V1_0,
        Flaw::StartSaysArmed,
        "start-says-armed",
        "poll",
        "start writes Armed to memory",
        "AMB-06",
    ),
    (
        Version::V1_0,
        Flaw::AllocateWrites,
        "allocate-writes",
        "poll",
        "the completion word is written when the channel is allocated",
        "AMB-22",
    ),
    (
        Version::V1_0,
        Flaw::CountsLinks,
        "counts-links",
        "count",
        "the count is obeyed although the chain is linked",
        "AMB-24",
    ),
    (
        Version::V1_0,
        Flaw::SuspendIsSilent,
        "suspend-is-silent",
        "suspend",
        "suspend writes no word",
        "NETDMA-088",
    ),
    (
        Version::V1_0,
        Flaw::HaltedNeedsTheFlag,
        "halted-needs-the-flag",
        "abort-2-none",
        "abort writes Halted only if a descriptor has asked for the word",
        "AMB-03",
    ),
    (
        Version::V1_0,
        Flaw::OldChainIsIdle,
        "old-chain-is-idle",
        "restart",
        "the last descriptor of a replaced chain is said to be Idle",
        "RACE-7",
    ),
    (
        Version::V1_0,
        Flaw::HintsAreObeyed,
        "hints-are-obeyed",
        "hints",
        "a source that need not be snooped is not copied",
        "NETDMA-065",
    ),
    (
        Version::V2_0,
        Flaw::AppendReadsTheTail,
        "append-reads-the-tail",
        "append",
        "append reads the tail again although the chain is counted",
        "NETDMA-073",
    ),
    (
        Version::V1_0,
        Flaw::HandlerLooksAround,
        "handler-looks-around",
        "chain",
        "the interrupt handler reads the descriptor that is done",
        "NETDMA-103",
    ),
];

/// Every broken implementation.
pub fn gallery() -> Vec<Exhibit> {
    let exhibit = |(version, flaw, name, scenario, words, rule)| Exhibit {
        target: only(scenario, sketch(version, flaw).named(name).into_target()),
        flaw: words,
        rule,
    };
    let eager = check_stack(|bay| {
        (
            reference_rig(bay, Options::new().interrupts(Interrupts::None)),
            EagerStack::build(bay),
        )
    });
    let eager = Exhibit {
        target: only(
            "from-device",
            eager.named("callback-without-interrupt").into_target(),
        ),
        flaw: "the completion routine is called on a controller that cannot interrupt",
        rule: "SEED-001-10",
    };
    let providers = PROVIDERS.into_iter().map(exhibit);
    let below = controller::exhibits().chain([eager]);
    providers.chain(below).chain(layer::exhibits()).collect()
}

/// The target with the one scenario that shows what is wrong with it. The others would only take time.
fn only(scenario: &str, mut target: Target) -> Target {
    target.scenarios.retain(|known| *known.name == *scenario);
    target
}

/// The check of the gallery's provider with this flaw.
pub fn sketch(version: Version, flaw: Flaw) -> crate::suites::Check {
    check_provider(move |bay| Sketch::build(bay, version, flaw))
}
