//! What stays with a machine whose engine never became quiet.
#![allow(clippy::unwrap_used)] // helpers of tests

use longshore_core::machine::Machine as _;
use longshore_drydock::{Config, Plan, run};
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
