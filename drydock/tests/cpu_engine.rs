//! The CPU engine keeps the NetDMA contract, in both generations.

use longshore_drydock::{Check, check_provider};
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_netdma::Version;
use std::sync::Arc;

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
        Arc::new(CpuEngine::open(bay.passive(), bay.machine(), config))
    })
}

#[test]
fn linked_chains_keep_the_contract_at_every_point() {
    engine(Version::V1_1)
        .named("cpu-1.x")
        .seeds(300)
        .at_every_point()
        .assert();
}

#[test]
fn counted_chains_keep_the_contract_at_every_point() {
    engine(Version::V2_1)
        .named("cpu-2.x")
        .seeds(300)
        .at_every_point()
        .assert();
}
