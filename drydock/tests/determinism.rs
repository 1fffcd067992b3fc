//! The dry dock is deterministic: a plan decides every byte of its trace, in debug and in release.

use longshore_drydock::replay::SCHEDULE_VERSION;
use longshore_drydock::{Plan, Target, check_provider};
use longshore_engines::cpu::{Config, CpuEngine};
use std::sync::Arc;

fn target() -> Target {
    check_provider(|bay| {
        let config = Config {
            piece: 16,
            cpu: bay.machine().engine_cpu(),
            patience: 1_000,
            ..Config::default()
        };
        Arc::new(CpuEngine::open(bay.passive(), bay.machine(), config))
    })
    .into_target()
}

/// The trace of one run, as text.
fn trace(target: &Target, scenario: &str, plan: &Plan) -> String {
    let scenario = target
        .scenarios
        .iter()
        .find(|known| *known.name == *scenario)
        .expect("a known scenario");
    let run = scenario.run(plan, Default::default());
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    run.trace.iter().map(|step| format!("{step}\n")).collect()
}

/// FNV-1a: enough to tell traces apart, and the same everywhere.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn the_same_seed_gives_the_same_trace_twice() {
    let target = target();
    for seed in 0..100 {
        for scenario in ["chain", "append", "abort"] {
            let plan = Plan::seed(seed).strike_at(u32::try_from(seed).unwrap());
            assert_eq!(trace(&target, scenario, &plan), trace(&target, scenario, &plan));
        }
    }
}

#[test]
fn different_seeds_give_different_traces() {
    let target = target();
    let mut traces: Vec<String> = (0..50)
        .map(|seed| trace(&target, "append", &Plan::seed(seed)))
        .collect();
    traces.sort();
    traces.dedup();
    assert!(
        traces.len() >= 35,
        "only {} different traces from 50 seeds",
        traces.len()
    );
}

/// These stand for every build: debug and release must agree with them. Where a change of the machine or the engine
/// moves them on purpose, raise the schedule version if old replay codes no longer lead to the same run.
#[test]
fn known_plans_have_their_known_traces() {
    let target = target();
    let known = [
        ("chain", "straight", 0x0541a192c49d55b1),
        ("chain", "s1", 0xa52146485a8ad4aa),
        ("append", "s2", 0xc76164ec4a7febbd),
        ("abort", "straight@40", 0x6036e5bc4c6f4cb1),
        ("suspend", "s3@20", 0x4c2a99d181caaea8),
        ("bus-error", "straight!bus-error@100", 0xc42de8a05165588b),
        ("stall", "s4!stall@10+50", 0xb2c1a06267b14ba0),
    ];
    let found = known.map(|(scenario, plan, _)| {
        let parsed = Plan::parse(plan).expect("a plan");
        (scenario, plan, hash(&trace(&target, scenario, &parsed)))
    });
    assert_eq!(SCHEDULE_VERSION, 1);
    assert_eq!(found, known);
}
