//! A dry dock for DMA code.
//!
//! Bottom to top:
//! * [`machine`]: a deterministic computer on which every call is a point where anything else may come next;
//! * its ledgers and oracles: who owns each byte, that every operation ends once and is told once, that nothing
//!   is left behind.

mod ledger;
pub mod machine;
pub mod reference;

pub use machine::{Breach, Config, Fault, Finding, Machine, Oracle, Plan, Run, Schedule, run};
