//! A dry dock for DMA code: a place where it runs without hardware, is struck at every point, and is told which
//! rule it broke.
//!
//! Bottom to top:
//! * [`machine`]: a deterministic computer on which every call is a point where anything else may come next;
//! * [`rules`]: the numbered rules, where each comes from and how it is held;
//! * [`replay`]: the short code under which a run can be seen again;
//! * [`explore`]: which plans a scenario is run under;
//! * [`suites`]: what a provider, a controller or a miniport's channel must do, as scenarios with oracles;
//! * [`report`]: what was found;
//! * [`coverage`]: which pairs of a table were seen.
//!
//! Checking a NetDMA provider of your own, in your own test:
//!
//! ```
//! use longshore_drydock::check_provider;
//! use longshore_engines::cpu::{Config, CpuEngine};
//! use std::sync::Arc;
//!
//! check_provider(|bay| {
//!     let config = Config { piece: 16, cpu: bay.machine().engine_cpu(), patience: 1_000, ..Config::default() };
//!     Arc::new(CpuEngine::open(bay.passive(), bay.machine(), config))
//! })
//! .seeds(20)
//! .at_every_point()
//! .assert();
//! ```

pub mod broken;
pub mod coverage;
pub mod explore;
mod ledger;
pub mod machine;
pub mod reference;
pub mod replay;
pub mod report;
pub mod rules;
pub mod suites;

pub use explore::{Effort, Scenario, Target};
pub use machine::{Breach, Config, Fault, Finding, Machine, Oracle, Plan, Run, Schedule, run};
pub use report::{Report, Violation};
pub use suites::controller::{check_bus_master, check_controller};
pub use suites::miniport::check_miniport;
pub use suites::provider::check_provider;
pub use suites::{Bay, Check};
