//! Explorers: which plans a scenario is run under.
//!
//! *Seeds* are random walks. *At every point* runs a scenario once, counts its points, and runs it again with the
//! intruder striking at each of them; faults go the same way, one run for each place.

use crate::machine::{Config, Fault, Machine, Pairs, Plan, Run, run};
use crate::replay::ReplayCode;
use crate::report::{Report, Violation};
use longshore_core::Passive;
use std::sync::Arc;

/// The code of a scenario.
pub type Body = Arc<dyn Fn(&Machine, &mut Passive) + Send + Sync>;

/// Which faults a scenario knows how to judge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The bus fails at each byte that a device moves.
    pub bus_errors: bool,
    /// And each of them on a random walk too, so that it meets calls at other moments.
    pub bus_walks: bool,
    /// The engine stands still, at each point, for a while and for ever.
    pub stalls: bool,
    /// Interrupt handlers run at each point although nothing has happened.
    pub early_interrupts: bool,
}

/// A scenario: code that runs on the machine, makes what it checks, and judges it.
#[derive(Clone)]
pub struct Scenario {
    /// Its name in reports and replay codes.
    pub name: Arc<str>,
    /// Its code.
    pub body: Body,
    /// The faults it can judge.
    pub faults: Faults,
    /// The most random walks it gets. One of many that are alike needs fewer than one that stands alone.
    pub most_seeds: u64,
}

impl Scenario {
    /// A scenario without faults.
    pub fn new(
        name: impl Into<Arc<str>>,
        body: impl Fn(&Machine, &mut Passive) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            body: Arc::new(body),
            faults: Faults::default(),
            most_seeds: u64::MAX,
        }
    }

    /// The same, with the faults it can judge.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// The same, with no more random walks than this.
    #[must_use]
    pub fn with_at_most(mut self, seeds: u64) -> Self {
        self.most_seeds = seeds;
        self
    }

    /// Runs it once.
    pub fn run(&self, plan: &Plan, pairs: Pairs) -> Run {
        let body = Arc::clone(&self.body);
        run(&Config::default(), plan, pairs, move |machine, passive| {
            body(machine, passive)
        })
    }
}

/// How thoroughly to look.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Random walks per scenario, where the scenario does not set a limit of its own.
    pub seeds: u64,
    /// Whether strikes and faults are tried at every point.
    pub at_every_point: bool,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            seeds: 500,
            at_every_point: true,
        }
    }
}

/// Something to check: a name, and the scenarios of a suite around it.
#[derive(Clone)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// The suite that checks it.
    pub suite: &'static str,
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
}

/// How often progress is told, in runs.
const TELL_EVERY: u64 = 512;

impl Target {
    /// Runs every scenario under every plan of the effort. `progress` is told the number of runs so far.
    pub fn check(&self, effort: Effort, progress: &mut dyn FnMut(u64)) -> Report {
        let mut report = Report::new(&self.name, self.suite);
        for scenario in &self.scenarios {
            self.explore(scenario, effort, &mut report, progress);
        }
        progress(report.scenarios);
        report
    }

    fn explore(
        &self,
        scenario: &Scenario,
        effort: Effort,
        report: &mut Report,
        progress: &mut dyn FnMut(u64),
    ) {
        let mut go = |plan: Plan| {
            let run = scenario.run(&plan, std::mem::take(&mut report.pairs));
            let summary = (run.armed_points, run.device_bytes, run.points);
            self.judge(scenario, plan, run, report);
            if report.scenarios.is_multiple_of(TELL_EVERY) {
                progress(report.scenarios);
            }
            summary
        };
        let (points, bytes, all) = go(Plan::straight());
        if all >= Config::default().point_limit {
            // It does not end, which is found; to strike it at each of so many points would not end either.
            return;
        }
        for seed in 0..effort.seeds.min(scenario.most_seeds) {
            go(Plan::seed(seed));
        }
        if effort.at_every_point {
            every_point(points).for_each(|plan| {
                go(plan);
            });
            every_fault(scenario.faults, points, bytes).for_each(|plan| {
                go(plan);
            });
        }
    }

    /// Runs one plan again.
    pub fn replay(&self, code: &ReplayCode) -> Option<(Report, Run)> {
        let scenario = self
            .scenarios
            .iter()
            .find(|scenario| *scenario.name == *code.scenario)?;
        let mut report = Report::new(&self.name, self.suite);
        let shown = scenario.run(&code.plan, Pairs::default());
        let again = scenario.run(&code.plan, Pairs::default());
        self.judge(scenario, code.plan.clone(), again, &mut report);
        Some((report, shown))
    }

    fn judge(&self, scenario: &Scenario, plan: Plan, run: Run, report: &mut Report) {
        report.scenarios += 1;
        report.points += u64::from(run.points);
        for finding in &run.findings {
            let plan = plan.clone();
            let code = ReplayCode {
                target: self.name.clone(),
                scenario: scenario.name.to_string(),
                plan,
            };
            report.add(Violation::new(finding, &run.trace, &code));
        }
        report.pairs = run.pairs;
    }
}

fn every_point(points: u32) -> impl Iterator<Item = Plan> {
    (0..points).flat_map(|point| {
        // Straight on shows what the strike itself does; a walk shows what comes on top of it.
        [
            Plan::straight().strike_at(point),
            Plan::seed(u64::from(point)).strike_at(point),
        ]
    })
}

fn every_fault(faults: Faults, points: u32, bytes: u64) -> impl Iterator<Item = Plan> {
    // As with a strike, a walk shows what comes on top of the fault.
    let walks = (0..if faults.bus_walks { bytes } else { 0 })
        .map(|byte| Plan::seed(byte).with_fault(Fault::BusError(byte)));
    let bus = (0..if faults.bus_errors { bytes } else { 0 }).map(Fault::BusError);
    let stalls = (0..if faults.stalls { points } else { 0 }).flat_map(|at| {
        // A moment; longer than anybody has patience for; for ever.
        [50, 5_000, u32::MAX].map(|micros| Fault::Stall { at, micros })
    });
    let early = (0..if faults.early_interrupts { points } else { 0 }).map(Fault::InterruptEarly);
    bus.chain(stalls)
        .chain(early)
        .map(|fault| Plan::straight().with_fault(fault))
        .chain(walks)
}
