//! How far a check is, on standard error: a bar on a terminal, a line for each target elsewhere.

use super::job::{Ended, Job};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};

/// How far a check is.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Nothing is done yet of so many jobs.
    pub(super) fn new(jobs: usize) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(jobs as u64);
        // A template that is not understood leaves the bar's own.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// A job has done so many runs.
    pub(super) fn told(&self, job: &Job, scenarios: u64) {
        if let Some(bar) = &self.0 {
            bar.set_message(format!("{}: {scenarios} scenarios", job.subject));
        }
    }

    /// A job has ended.
    pub(super) fn done(&self, job: &Job, ended: &Ended) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
            return;
        }
        let what = match ended {
            Ended::Target(report) => format!("{} scenarios", report.scenarios),
            Ended::Page(_) | Ended::Again(_) => "done".to_owned(),
            Ended::Lost { finding, .. } => finding.what.clone(),
        };
        // If it cannot be told, nobody wants to know.
        let _ = writeln!(io::stderr(), "checked {}: {what}", job.subject);
    }

    /// Everything is done.
    pub(super) fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
