//! The CPU engine keeps the NetDMA contract, in both generations.

use longshore_drydock::coverage::{Coverage, Table};
use longshore_drydock::suites::provider::Subject;
use longshore_drydock::{Check, Report, check_provider};
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_netdma::Version;
use std::sync::Arc;

/// The engine with everything that can be done to it: its power can go, and it keeps to the table where NetDMA does not.
fn engine(version: Version) -> Check {
    check_provider(move |bay| {
        let cpu = bay.machine().engine_cpu();
        let config = Config {
            version,
            piece: 16,
            cpu,
            patience: 1_000,
            ..Config::default()
        };
        let engine = Arc::new(CpuEngine::open(bay.passive(), bay.machine(), config));
        let power = Arc::clone(&engine);
        Subject::new(engine)
            .with_power(move |level| {
                // An engine that does not answer is found by what it does afterwards.
                let _ = power.lose_power(level);
            })
            .tolerant()
    })
}

fn sees_the_table(report: &Report) {
    let found = report.violations.iter().chain(&report.warnings);
    let found: String = found.map(|found| found.explain("") + "\n\n").collect();
    assert!(found.is_empty(), "{found}");
    let Coverage {
        missing, unexpected, ..
    } = Coverage::of_pairs(Table::Channel, &report.pairs);
    assert_eq!(unexpected, Vec::<String>::new());
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

/// Proves: NETDMA-003, NETDMA-044, AMB-21, PAIN-21.
///
/// Each call and each error at every point of chains of one to eight descriptors, with each way of completion, and every
/// pair of the channel's table; and a start over an engine that stands still for ever. That the oracles notice what is wrong is shown by the gallery.
#[test]
fn linked_chains_keep_the_contract_at_every_point() {
    let check = engine(Version::V1_1).named("cpu-1.x").seeds(100);
    sees_the_table(&check.at_every_point().run());
}

/// Proves: NETDMA-003, PAIN-21.
#[test]
fn counted_chains_keep_the_contract_at_every_point() {
    let check = engine(Version::V2_1).named("cpu-2.x").seeds(100);
    sees_the_table(&check.at_every_point().run());
}
