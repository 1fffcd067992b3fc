//! Standard output and standard error, as commands reach them.

use anstyle::{AnsiColor, Style};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything is as it must be.
    Clean,
    /// Something is not.
    Violated,
}

impl Verdict {
    /// Clean if it holds.
    pub(crate) fn clean_if(holds: bool) -> Self {
        if holds { Self::Clean } else { Self::Violated }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => Self::SUCCESS,
            Verdict::Violated => Self::from(1),
        }
    }
}

/// Why a command could not do its work: one line that names the thing and says what would be right.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    /// A failure in these words.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(format!("standard output cannot be written: {error}"))
    }
}

/// Bold, where the terminal can.
pub(crate) const BOLD: Style = Style::new().bold();

const RED: Style = AnsiColor::Red.on_default().bold();

/// Standard output. A reader who has gone away, as `head` does, is no error: the work goes on without output, so
/// that the exit code still tells the truth.
pub(crate) struct Console {
    out: anstream::Stdout,
    closed: bool,
}

impl Console {
    /// The console of this process.
    pub(crate) fn new() -> Self {
        Self {
            out: anstream::stdout(),
            closed: false,
        }
    }

    /// Prints a line.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        self.text(format_args!("{line}\n"))
    }

    /// Prints a line in bold.
    pub(crate) fn heading(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        self.line(format_args!("{BOLD}{line}{BOLD:#}"))
    }

    fn text(&mut self, text: fmt::Arguments<'_>) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        match self.out.write_fmt(text).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => Ok(result?),
        }
    }

    /// Prints one line on standard error. If that cannot be done there is nobody left to tell.
    pub(crate) fn complain(&self, what: &str) {
        let _ = writeln!(anstream::stderr(), "{RED}error:{RED:#} {what}");
    }
}
