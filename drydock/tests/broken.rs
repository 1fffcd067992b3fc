//! The gallery of broken implementations: each is caught under its rule, and its replay code shows it again.

use longshore_drydock::broken::layer::{self, flawed};
use longshore_drydock::broken::provider::Flaw;
use longshore_drydock::broken::{gallery, sketch};
use longshore_drydock::replay::ReplayCode;
use longshore_drydock::{Effort, rules};
use longshore_netdma::Version;

/// What the gallery breaks is the flaw and nothing else.
#[test]
fn the_sketch_without_a_flaw_is_clean() {
    for version in [Version::V1_0, Version::V2_0] {
        sketch(version, Flaw::None).seeds(50).at_every_point().assert();
    }
}

/// The same of the gallery's NDIS.
#[test]
fn the_layer_without_a_flaw_is_clean() {
    flawed(layer::Flaw::None).seeds(20).at_every_point().assert();
}

/// A user's own check replays its own codes.
#[test]
fn a_check_replays_what_it_found() {
    let check = sketch(Version::V1_0, Flaw::WordBeforeData).named("mine").seeds(5);
    let report = check.run();
    let code = &report.violations[0].replay;
    let (again, steps) = check.replay(code).unwrap();
    assert_eq!(again.violations[0].rule, "SEED-003-2");
    assert!(!steps.is_empty());
    assert!(check.replay(&code.replace("mine", "other")).is_err());
    assert!(check.replay("nonsense").is_err());
}

/// Proves: SEED-003-2, SEED-003-12, SEED-003-14, SEED-004-5, SEED-004-6, SEED-004-7, SEED-004-9, SEED-002-6, NDIS-032, NDIS-041, NDIS-043, NDIS-064, RL-09, NETDMA-065, NETDMA-066, NETDMA-073, NETDMA-076, NETDMA-085, NETDMA-087, NETDMA-088, NETDMA-090, NETDMA-091, NETDMA-100, NETDMA-103, RACE-1, RACE-2, RACE-7, RACE-10, AMB-03, AMB-04, AMB-05, AMB-06, AMB-07, AMB-17, AMB-22, AMB-24, PAIN-15.
///
/// Each of these rules has an implementation that breaks it, and the real ones pass where it is caught.
#[test]
fn each_broken_implementation_is_caught_under_its_rule_and_can_be_replayed() {
    for exhibit in gallery() {
        let name = exhibit.target.name.clone();
        let report = exhibit.target.check(
            Effort {
                seeds: 100,
                at_every_point: true,
            },
            &mut |_| {},
        );
        let caught = report
            .violations
            .iter()
            .chain(&report.warnings)
            .find(|violation| violation.rule == exhibit.rule);
        let Some(caught) = caught else {
            let rules: Vec<_> = report
                .violations
                .iter()
                .map(|v| (v.rule, &v.what, &v.replay))
                .collect();
            panic!("{name} was not caught under {}: {rules:?}", exhibit.rule);
        };
        assert!(
            rules::find(exhibit.rule).is_some(),
            "{} is not in the ledger",
            exhibit.rule
        );
        let code: ReplayCode = caught.replay.parse().unwrap();
        let (again, _) = exhibit.target.replay(&code).unwrap();
        let same = again
            .violations
            .iter()
            .chain(&again.warnings)
            .any(|v| v.rule == caught.rule && v.what == caught.what);
        assert!(same, "{name}: {} does not show it again", caught.replay);
    }
}
