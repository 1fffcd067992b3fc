//! The other end of a job: one subject, checked in a process of its own.
//!
//! Whatever spins, overflows its stack or aborts brings down this process and nothing else. Messages go out as
//! lines of JSON. Before each run its plan is written to the *logbook*, a file that stands in for standard input, so
//! that the parent still has it when this process is gone.

use super::json::{Again, PageReport, TargetReport};
use crate::arguments::Worker;
use crate::console::{Failure, Verdict};
use crate::{pages, targets};
use longshore_drydock::replay::ReplayCode;
use longshore_drydock::{Effort, Fault, Plan, Run, Scenario, Target};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::parent_id;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What a worker tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// So many runs are done.
    Scenarios(u64),
    /// The target is checked.
    Target(TargetReport),
    /// The page is observed.
    Page(PageReport),
    /// The run was run again.
    Again(Again),
}

/// Only for the tests of this command: `die` or `hang`, a colon and a target make a worker of that target abort, or
/// fall silent, in the middle of its work.
const REHEARSAL: &str = "LONGSHORE_TEST_WORKER";

/// In which run of a scenario a rehearsed accident happens.
const ACCIDENT: u64 = 5;

/// How often a worker looks whether its parent is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Does the job.
pub(crate) fn run(wanted: &Worker) -> Result<Verdict, Failure> {
    if let Some(parent) = wanted.parent {
        thread::spawn(move || end_with(parent));
    }
    if wanted.page {
        observe(&wanted.subject)
    } else if wanted.replay {
        run_again(&wanted.subject)
    } else {
        check(&wanted.subject, wanted.seeds)
    }?;
    Ok(Verdict::Clean)
}

/// Ends this process soon after its parent, also when it is silent and never finds its pipe closed: the watchdog that
/// would end it is gone too. A process whose parent has died gets another one.
fn end_with(parent: u32) {
    while parent_id() == parent {
        thread::sleep(LOOK_EVERY);
    }
    exit(2);
}

fn send(message: &Message) -> Result<(), Failure> {
    let line = serde_json::to_string(message)
        .map_err(|error| Failure::new(format!("a message cannot be written: {error}")))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn observe(number: &str) -> Result<(), Failure> {
    let page = pages::find(number).ok_or_else(|| Failure::new(format!("there is no page {number:?}")))?;
    let (observed, ok) = page.observe();
    send(&Message::Page(PageReport {
        number: page.number.to_owned(),
        name: page.name.to_owned(),
        observed,
        ok,
    }))
}

fn run_again(code: &str) -> Result<(), Failure> {
    let code: ReplayCode = code
        .parse()
        .map_err(|bad| Failure::new(format!("{code:?} is no replay code: {bad}")))?;
    let target = targets::find(&code.target)?;
    let (report, run) = target
        .replay(&code)
        .ok_or_else(|| Failure::new(format!("{} has no scenario {:?}", target.name, code.scenario)))?;
    send(&Message::Again(Again {
        trace: run.trace.iter().map(ToString::to_string).collect(),
        report: TargetReport::from(&report),
        missed: missed(&code.plan, &run),
    }))
}

/// What a plan names that never came: its place lies behind the end of the run.
fn missed(plan: &Plan, run: &Run) -> Option<String> {
    let (points, bytes) = (run.armed_points, run.device_bytes);
    let never = |what| {
        Some(format!(
            "{what}: this run has only {points} points where it could"
        ))
    };
    if plan.strike.is_some() && !run.struck {
        return never("the intruder never acted");
    }
    match plan.fault? {
        Fault::BusError(byte) if byte >= bytes => Some(format!(
            "the bus error never came: this run has only {bytes} bytes where it could"
        )),
        Fault::Stall { at, .. } if at >= points => never("the engine never stood still"),
        Fault::InterruptEarly(at) if at >= points => never("the early interrupt never came"),
        _ => None,
    }
}

fn check(name: &str, seeds: u64) -> Result<(), Failure> {
    let logbook = Arc::new(Logbook::of_this_process());
    let target = announce(targets::find(name)?, &logbook);
    let effort = Effort {
        seeds,
        at_every_point: true,
    };
    let report = target.check(effort, &mut |scenarios| {
        if send(&Message::Scenarios(scenarios)).is_err() {
            // The parent is gone, and nobody is left to tell.
            exit(2);
        }
    });
    send(&Message::Target(TargetReport::from(&report)))
}

/// The target, which writes each plan into the logbook before it runs it.
fn announce(target: Target, logbook: &Arc<Logbook>) -> Target {
    let accident = Accident::rehearsed_for(&target.name);
    let scenarios = target.scenarios.into_iter().map(|scenario| {
        let body = scenario.body;
        let (name, owner, logbook) = (scenario.name.clone(), target.name.clone(), Arc::clone(logbook));
        let runs = AtomicU64::new(0);
        let announced = Scenario::new(scenario.name, move |machine, passive| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            logbook.write(&ReplayCode {
                target: owner.clone(),
                scenario: name.to_string(),
                plan: machine.plan(),
            });
            if run == ACCIDENT {
                accident.happen();
            }
            body(machine, passive);
        });
        announced
            .with_faults(scenario.faults)
            .with_at_most(scenario.most_seeds)
    });
    Target {
        scenarios: scenarios.collect(),
        ..target
    }
}

/// What a rehearsal does to this worker.
#[derive(Clone, Copy)]
enum Accident {
    None,
    Die,
    Hang,
}

impl Accident {
    fn rehearsed_for(target: &str) -> Self {
        let asked = std::env::var(REHEARSAL).unwrap_or_default();
        match asked.split_once(':') {
            Some(("die", name)) if name == target => Self::Die,
            Some(("hang", name)) if name == target => Self::Hang,
            _ => Self::None,
        }
    }

    fn happen(self) {
        match self {
            Self::None => {}
            Self::Die => std::process::abort(),
            Self::Hang => loop {
                thread::park();
            },
        }
    }
}

/// The file in which the parent finds the plan that a worker runs.
pub(super) struct Logbook(Option<File>);

impl Logbook {
    /// How long an entry is. A longer one is cut off.
    pub(super) const ENTRY: usize = 192;

    /// The file that stands in for standard input. A worker that was not started by a parent has none.
    fn of_this_process() -> Self {
        let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        let is_file = |file: &File| file.metadata().is_ok_and(|metadata| metadata.is_file());
        Self(file.ok().filter(is_file))
    }

    fn write(&self, code: &ReplayCode) {
        let Some(file) = &self.0 else { return };
        let mut entry = [b' '; Self::ENTRY];
        let text = code.to_string();
        let len = text.len().min(Self::ENTRY);
        entry[..len].copy_from_slice(&text.as_bytes()[..len]);
        // Without a logbook a dead worker's last plan is unknown, and that is all.
        let _ = file.write_all_at(&entry, 0);
    }

    /// Reads the last entry.
    pub(super) fn read(file: &File) -> Option<String> {
        let mut entry = [0; Self::ENTRY];
        file.read_exact_at(&mut entry, 0).ok()?;
        let text = std::str::from_utf8(&entry).ok()?.trim_end();
        // One that was cut off is no code any more.
        text.parse::<ReplayCode>().ok()?;
        Some(text.to_owned())
    }
}
