//! What NetDMA's client side must do over a provider: every accepted operation has one truthful outcome, whatever
//! happens to the channel.

mod dock;
mod job;
mod mask;
mod rings;
mod shared;

use super::provider::Build;
use super::{Bay, Check};
use crate::explore::Target;
use longshore_netdma::Provider;
use std::sync::Arc;

/// Checks NetDMA's client side over a provider. `build` makes the provider anew for each run.
pub fn check_client(build: impl Fn(&Bay<'_>) -> Arc<dyn Provider> + Send + Sync + 'static) -> Check {
    let build: Build = Arc::new(build);
    let mut scenarios = shared::scenarios(&build);
    scenarios.extend(rings::scenarios(&build));
    Check::new(Target {
        name: "client".to_owned(),
        suite: "client",
        scenarios,
    })
}
