//! `longshore check`: the pages, the targets, and what is broken on purpose.
//!
//! Bottom to top:
//! * [`json`]: what was found, as structures;
//! * [`worker`]: one job, done in a process of its own;
//! * [`job`]: the parent's end of a job, with the watchdog;
//! * [`progress`]: how far it is;
//! * [`table`]: what was found, as text.

mod job;
mod json;
mod progress;
mod table;
pub(crate) mod worker;

use crate::arguments::Check;
use crate::console::{Console, Failure, Verdict};
use crate::pages::{PAGES, Page};
use crate::targets;
use job::{Ended, Job, run_all};
use json::{BrokenReport, Document, PageReport, TargetReport};
use longshore_drydock::Target;
use longshore_drydock::broken::{Exhibit, gallery};
use longshore_drydock::replay::ReplayCode;
use progress::Progress;
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::Path;

/// How many random walks what is broken on purpose gets, whatever was asked for: fewer may miss some of it, more show
/// nothing new.
const GALLERY_SEEDS: u64 = 100;

/// How many scenarios of a target are listed. A suite may have hundreds.
const SHOWN_SCENARIOS: usize = 40;

/// Checks what was asked for.
pub(crate) fn run(wanted: &Check, console: &mut Console) -> Result<Verdict, Failure> {
    if let Some(code) = &wanted.replay {
        return replay(code, wanted.strict, console);
    }
    let targets = targets::select(&wanted.targets)?;
    // Opened now, so that a path that cannot be written does not cost the whole check.
    let mut json = wanted.json.as_deref().map(Json::open).transpose()?;
    let only_json = matches!(json, Some(Json::Stdout));
    let pages = observe_pages();
    if !only_json {
        pages.iter().try_for_each(|page| table::page(page, console))?;
    }
    let (targets, broken) = check(targets, gallery(), wanted);
    let document = Document::new(pages, targets, broken);
    if !only_json {
        table::print(&document, console)?;
    }
    if let Some(json) = &mut json {
        json.write(&document, console)?;
    }
    Ok(Verdict::clean_if(document.is_clean()))
}

/// Where the JSON goes.
enum Json {
    Stdout,
    File(String, File),
}

impl Json {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let name = path.display().to_string();
        // What stands there stays until the new report is complete.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        match file {
            Ok(file) => Ok(Self::File(name, file)),
            Err(error) => Err(Failure::new(format!(
                "the JSON file {name:?} cannot be written ({error}); name a file in a directory that can be, or - for standard output"
            ))),
        }
    }

    fn write(&mut self, document: &Document, console: &mut Console) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(document)
            .map_err(|error| Failure::new(format!("the report cannot be written as JSON: {error}")))?;
        match self {
            Self::Stdout => console.line(text),
            Self::File(name, file) => {
                // What is no file, such as a pipe, has no length and no place.
                let _ = file.set_len(0).and_then(|()| file.rewind());
                writeln!(file, "{text}").map_err(|error| {
                    Failure::new(format!("the JSON file {name:?} cannot be written: {error}"))
                })
            }
        }
    }
}

fn observe_pages() -> Vec<PageReport> {
    const ALL: &[Page] = &PAGES;
    let jobs: Vec<Job> = ALL.iter().map(|page| Job::page(page.number)).collect();
    let ended = run_all(&jobs, &|_, _| {}, &|_, _| {});
    let told = |(page, ended): (&Page, Ended)| match ended {
        Ended::Page(report) => report,
        Ended::Lost { finding, .. } => unobserved(page, &finding.what),
        Ended::Target(_) | Ended::Again(_) => unobserved(page, "the worker process did another job"),
    };
    ALL.iter().zip(ended).map(told).collect()
}

fn unobserved(page: &Page, what: &str) -> PageReport {
    PageReport {
        number: page.number.to_owned(),
        name: page.name.to_owned(),
        observed: format!("NOT OBSERVED: {what}"),
        ok: false,
    }
}

/// Checks the targets and the gallery.
fn check(
    targets: Vec<Target>,
    exhibits: Vec<Exhibit>,
    wanted: &Check,
) -> (Vec<TargetReport>, Vec<BrokenReport>) {
    let real = targets
        .iter()
        .map(|target| Job::target(&target.name, wanted.seeds));
    let broken = exhibits
        .iter()
        .map(|exhibit| Job::target(&exhibit.target.name, GALLERY_SEEDS));
    let jobs: Vec<Job> = real.chain(broken).collect();
    let progress = Progress::new(jobs.len());
    let mut ended = run_all(
        &jobs,
        &|job, scenarios| progress.told(job, scenarios),
        &|job, ended| progress.done(job, ended),
    );
    progress.finish();
    let broken = ended.split_off(targets.len());
    let mut reports: Vec<_> = targets.iter().zip(ended).map(report).collect();
    if wanted.strict {
        reports.iter_mut().for_each(TargetReport::make_strict);
    }
    (reports, exhibits.iter().zip(broken).map(judge).collect())
}

fn report((target, ended): (&Target, Ended)) -> TargetReport {
    match ended {
        Ended::Target(report) => report,
        Ended::Lost { scenarios, finding } => {
            TargetReport::lost(&target.name, target.suite, scenarios, finding)
        }
        Ended::Page(_) | Ended::Again(_) => {
            let finding = json::Finding::lost("the worker process did another job", None);
            TargetReport::lost(&target.name, target.suite, 0, finding)
        }
    }
}

/// Whether something that is broken on purpose was caught, which it is only under its own rule.
fn judge((exhibit, ended): (&Exhibit, Ended)) -> BrokenReport {
    let report = report((&exhibit.target, ended));
    let finding = report
        .findings()
        .find(|finding| finding.rule == exhibit.rule)
        .cloned();
    BrokenReport {
        name: exhibit.target.name.clone(),
        suite: exhibit.target.suite.to_owned(),
        flaw: exhibit.flaw.to_owned(),
        caught: finding.is_some(),
        rule: exhibit.rule.to_owned(),
        finding,
        found: report.findings().map(|finding| finding.rule.clone()).collect(),
    }
}

/// Runs one run again and prints all of it.
fn replay(code: &str, strict: bool, console: &mut Console) -> Result<Verdict, Failure> {
    let code = known(code)?;
    let mut report = match Job::again(&code).run(&|_| {}) {
        Ended::Again(again) => {
            // A finding before that place is what a check prints with the same code, and stays one.
            if let (Some(missed), None) = (&again.missed, again.report.findings().next()) {
                return Err(Failure::new(format!("{code}: {missed}")));
            }
            for step in &again.trace {
                console.line(step)?;
            }
            again.report
        }
        Ended::Lost { finding, .. } => TargetReport::lost(&code, "", 1, finding),
        Ended::Target(report) => report,
        Ended::Page(page) => {
            return Err(Failure::new(format!(
                "the worker process observed page {}",
                page.number
            )));
        }
    };
    if strict {
        report.make_strict();
    }
    for finding in report.findings() {
        console.line("")?;
        console.line(&finding.explained)?;
    }
    if report.findings().next().is_none() {
        console.line("")?;
        console.line("no rule is broken")?;
    }
    console.line(format_args!("code {code}"))?;
    Ok(Verdict::clean_if(report.violations.is_empty()))
}

/// A replay code whose target and scenario there are.
fn known(text: &str) -> Result<String, Failure> {
    let code: ReplayCode = text
        .parse()
        .map_err(|bad| Failure::new(format!("{text:?} is no replay code: {bad}")))?;
    let target = targets::find(&code.target)?;
    let scenarios: Vec<&str> = target.scenarios.iter().map(|scenario| &*scenario.name).collect();
    if !scenarios.contains(&code.scenario.as_str()) {
        let shown = &scenarios[..scenarios.len().min(SHOWN_SCENARIOS)];
        let more = match scenarios.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        return Err(Failure::new(format!(
            "{} has no scenario {:?}; its scenarios are {}{more}",
            target.name,
            code.scenario,
            shown.join(", ")
        )));
    }
    Ok(code.to_string())
}
