//! How many scenarios a second the dry dock runs on one core: a chain of four descriptors on the CPU engine, under
//! random walks, with every oracle on.

use longshore_drydock::{Effort, check_provider};
use longshore_engines::cpu::{Config, CpuEngine};
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let mut target = check_provider(|bay| {
        let config = Config {
            piece: 64,
            cpu: bay.machine().engine_cpu(),
            patience: 1_000,
            ..Config::default()
        };
        Arc::new(CpuEngine::open(bay.passive(), bay.machine(), config))
    })
    .into_target();
    target.scenarios.retain(|scenario| &*scenario.name == "chain");
    let effort = Effort {
        seeds: 200_000,
        at_every_point: false,
    };
    let begin = Instant::now();
    let report = target.check(effort, &mut |_| {});
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{} scenarios of {} points each, {} violations: {:.0} scenarios a second",
        report.scenarios,
        report.points / report.scenarios,
        report.violations.len(),
        report.scenarios as f64 / seconds
    );
}
