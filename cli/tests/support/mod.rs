//! Running the built command and looking at what it says.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::process::{Command, Output, Stdio};

/// What the command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// The built command.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it.
pub(crate) fn longshore(arguments: &[&str]) -> Ran {
    command(arguments).output().expect("the command starts").into()
}

/// Runs it with a rehearsed accident of a worker.
pub(crate) fn with_accident(accident: &str, arguments: &[&str]) -> Ran {
    command(arguments)
        .env("LONGSHORE_TEST_WORKER", accident)
        .env("LONGSHORE_TEST_SILENCE", "3")
        .output()
        .expect("the command starts")
        .into()
}

impl Ran {
    /// The lines on standard output.
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }

    /// The last line on standard output.
    pub(crate) fn last(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }

    /// The finding that is shown with this replay code ahead.
    pub(crate) fn replay_code(&self) -> &str {
        let line = self.lines().into_iter().find(|line| line.starts_with("  again"));
        line.and_then(|line| line.split_whitespace().last())
            .expect("a finding is shown")
    }

    /// The number of the rule that the shown finding is about.
    pub(crate) fn rule(&self) -> &str {
        let line = self.lines().into_iter().find(|line| line.starts_with("  rule"));
        line.and_then(|line| line.split_whitespace().nth(1))
            .expect("a finding is shown")
    }
}
