//! NetDMA's client side and the NDIS channel keep their promises at every point.

use longshore_drydock::broken::stack::reference_rig;
use longshore_drydock::reference::CancelStyle;
use longshore_drydock::suites::client::check_client;
use longshore_drydock::suites::miniport::check_miniport;
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_netdma::Version;
use std::sync::Arc;

/// Proves: NETDMA-002, RACE-6, RACE-9, AMB-12, PAIN-08, PAIN-09, PAIN-13, PAIN-23.
///
/// A ring of one user and a channel of several, in both generations, with and without the optional handlers: random
/// mixes, cancels, aborts and restarts at every point. Each operation ends once, in order, and as memory shows.
#[test]
fn every_operation_has_one_truthful_outcome() {
    for version in [Version::V1_1, Version::V2_1] {
        let check = check_client(move |bay| {
            let cpu = bay.machine().engine_cpu();
            let config = Config {
                version,
                piece: 16,
                cpu,
                patience: 1_000,
                ..Config::default()
            };
            Arc::new(CpuEngine::open(bay.passive(), bay.machine(), config))
        });
        check.seeds(1_000).at_every_point().assert();
    }
}

#[test]
fn set_up_and_complete_keep_the_contract_at_every_point() {
    for interrupts in [true, false] {
        let check = check_miniport(move |bay| reference_rig(bay, interrupts, CancelStyle::Honest));
        check.seeds(200).at_every_point().assert();
    }
}
