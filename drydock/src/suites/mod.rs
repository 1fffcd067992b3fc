//! What an implementation of a contract must do, as scenarios with oracles.
//!
//! * [`client`]: NetDMA's client side, over a provider;
//! * [`controller`]: a system DMA controller, and the stack above it;
//! * [`miniport`]: NDIS system DMA, over a controller;
//! * [`provider`]: a NetDMA provider.

pub mod client;
pub mod controller;
pub mod miniport;
pub mod provider;

use crate::explore::{Effort, Target};
use crate::machine::Machine;
use crate::replay::{BadCode, ReplayCode};
use crate::report::Report;
use longshore_core::Passive;

/// The place where what is checked gets built: a machine, at PASSIVE.
pub struct Bay<'a> {
    machine: &'a Machine,
    passive: &'a Passive,
}

impl<'a> Bay<'a> {
    /// A bay of this machine.
    pub fn new(machine: &'a Machine, passive: &'a Passive) -> Self {
        Self { machine, passive }
    }

    /// The machine.
    pub fn machine(&self) -> &'a Machine {
        self.machine
    }

    /// The token that proves PASSIVE.
    pub fn passive(&self) -> &'a Passive {
        self.passive
    }
}

/// What a test does to see a finding again.
const AGAIN: &str = "`.replay(CODE)` in the place of `.assert()`, with the code ";

/// A check that is being put together.
#[must_use = "nothing is checked before `run` or `assert`"]
pub struct Check {
    target: Target,
    effort: Effort,
    strict: bool,
}

impl Check {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            effort: Effort {
                seeds: 500,
                at_every_point: false,
            },
            strict: false,
        }
    }

    /// Names the target in reports and replay codes.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.target.name);
        self
    }

    /// How many random walks each scenario gets.
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.effort.seeds = seeds;
        self
    }

    /// Strikes and breaks at every point of every scenario.
    pub fn at_every_point(mut self) -> Self {
        self.effort.at_every_point = true;
        self
    }

    /// Takes warnings as violations.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// What is checked, for use with other explorers.
    pub fn into_target(self) -> Target {
        self.target
    }

    /// Checks, and says what was found.
    pub fn run(&self) -> Report {
        let report = self.target.check(self.effort, &mut |_| {});
        if self.strict { report.strict() } else { report }
    }

    /// Checks, and panics with the findings if a rule is broken. Warnings go to standard error.
    #[track_caller]
    pub fn assert(&self) {
        let report = self.run();
        report
            .warnings
            .iter()
            .for_each(|warning| eprintln!("warning: {}\n", warning.explain(AGAIN)));
        assert!(
            report.violations.is_empty(),
            "{} broke {} rules in {} scenarios\n{}",
            report.target,
            report.violations.len(),
            report.scenarios,
            report
                .violations
                .iter()
                .map(|v| v.explain(AGAIN) + "\n\n")
                .collect::<String>()
        );
    }

    /// Runs one run again under the code that a finding printed, and returns what it found and every step of it in
    /// plain words. A code of another target or scenario is an error.
    pub fn replay(&self, code: &str) -> Result<(Report, Vec<String>), BadCode> {
        let code: ReplayCode = code.parse()?;
        if code.target != self.target.name {
            return Err(BadCode::Malformed);
        }
        let (report, run) = self.target.replay(&code).ok_or(BadCode::Malformed)?;
        Ok((report, run.trace.iter().map(ToString::to_string).collect()))
    }
}
