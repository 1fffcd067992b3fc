//! What stays with a machine whose engine never became quiet, and runs that once were judged wrongly.
#![allow(clippy::unwrap_used)] // helpers of tests

use longshore_core::machine::Machine as _;
use longshore_drydock::reference::{Counter, Options};
use longshore_drydock::suites::controller::reference_rig;
use longshore_drydock::{Config, Plan, check_controller, run};
use std::sync::Arc;

/// It stays until the machine is switched off, and no longer, though it has the machine itself.
#[test]
fn what_is_kept_goes_with_its_machine() {
    let there = Arc::new(());
    let kept = Arc::downgrade(&there);
    let still = kept.clone();
    let run = run(
        &Config::default(),
        &Plan::straight(),
        Default::default(),
        move |machine, _| {
            machine.keep((machine.clone(), there));
            machine.point();
            assert!(still.upgrade().is_some());
        },
    );
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(
        kept.upgrade().is_none(),
        "the machine and what it keeps hold each other"
    );
}

/// A request for a channel that is granted, gives it back and is then cancelled is cancelled beforehand for the next time:
/// TRUE does not say that it was never granted. A checker that took it so found a rule broken here.
#[test]
fn a_request_that_is_over_when_it_is_cancelled_was_granted() {
    let check = check_controller(|bay| reference_rig(bay, Options::new()));
    let (report, _) = check.replay("1:controller/in-turn:s5@5").unwrap();
    assert!(report.violations.is_empty() && report.warnings.is_empty());
}

/// A cancel takes the count away, and what went through a map register since it was last read cannot be known to have
/// moved: it is not copied out, and nothing else is missing.
#[test]
fn a_wiped_count_copies_out_what_was_known() {
    let options = Options {
        counter: Counter::Wiped,
        ..Options::new()
    };
    let check = check_controller(move |bay| reference_rig(bay, options));
    let (report, _) = check.replay("1:controller/cancel-from-mixed:s9@9").unwrap();
    assert!(report.violations.is_empty(), "{:?}", report.violations);
}
