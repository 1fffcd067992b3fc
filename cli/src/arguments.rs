//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Windows' DMA contracts, executable: completion and cancellation of DMA transfers, checked at every point on an
/// ordinary Linux machine without hardware.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, after_help = EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  longshore demo 004             see a transfer being aborted, step by step
  longshore check                check everything that is built in
  longshore check cpu-1.x        check one of it
  longshore explain SEED-004-6   what a rule says, and where it comes from
  longshore engines              what this machine has

Exit codes: 0 clean, 1 something breaks a rule, 2 wrong usage or input.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(Demo),
    Check(Check),
    /// Show which DMA engines this machine has
    Engines,
    Explain(Explain),
    #[command(hide = true)]
    Worker(Worker),
}

/// Act out the five documentation pages that longshore implements.
///
/// Each page is run in the dry dock, a computer that exists only in this program and does the same every time. You
/// see the calls, what memory and status show, and a timeline: time, CPU, level (IRQL), and what happened.
#[derive(Debug, Args)]
#[command(after_help = "Pages:
  000  DMA_COMPLETION_STATUS, what a completion routine is told
  001  DMA_COMPLETION_ROUTINE, when it is called and with what
  002  NdisMCompleteDmaTransfer, and data that is touched too early
  003  Completing a DMA Transfer (NetDMA): word, interrupt, both, neither
  004  DMA_ABORT_HANDLER (ProviderAbortDma)

Examples:
  longshore demo           all five pages
  longshore demo 003 004   two of them")]
pub(crate) struct Demo {
    /// Numbers of pages; all five if there are none
    #[arg(value_name = "PAGE")]
    pub(crate) pages: Vec<String>,
}

/// Check implementations of the contracts, and print which rules they break.
///
/// First the five pages are run, in the dry dock and on threads, and one line for each says what was observed. Then
/// every target is run in the dry dock: straight on, on random walks, and with a cancel and faults at every point.
/// Last, implementations that are broken on purpose show that the checker would notice.
#[derive(Debug, Args)]
#[command(
    after_help = "Each finding ends with a replay code. It names one run exactly, so the run can be seen again:
VERSION:TARGET/SCENARIO:SCHEDULE, then @POINT where the intruder acts, and !FAULT. The schedule is `straight`,
or `s` and the seed of a random walk in hexadecimal (s1f is seed 31); all other numbers are decimal.

Examples:
  longshore check                                    everything that is built in
  longshore check cpu-1.x                            one target
  longshore check cpu                                every target whose name begins with cpu-
  longshore check --seeds 10000                      look longer
  longshore check --json report.json                 for programs; - prints it instead of the text
  longshore check --replay 1:cpu-1.x/abort:straight@17
                                                     one run again, step by step

Exit codes: 0 clean, 1 a violation or a broken implementation that was not caught, 2 wrong usage or input."
)]
pub(crate) struct Check {
    /// Names of targets, or what stands before a dash in several names; all that are built in if there are none
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,

    /// How many random walks each scenario gets
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEEDS)]
    pub(crate) seeds: u64,

    /// Count warnings, which are broken rules that no document states, as violations
    #[arg(long)]
    pub(crate) strict: bool,

    /// Run one run again and print every step of it
    #[arg(long, value_name = "CODE", conflicts_with_all = ["targets", "seeds", "json"])]
    pub(crate) replay: Option<String>,

    /// Write the report as JSON to this file; - prints it instead of the text
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// So that the whole check takes less than a minute on one slow core.
const DEFAULT_SEEDS: u64 = 2_000;

/// Explain a rule by its number.
///
/// Prints what the rule says, what kind it is, where it comes from, and how longshore holds it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore explain SEED-004-6   a rule of one of the five pages
  longshore explain RACE-1       a rule about who may race with whom")]
pub(crate) struct Explain {
    /// The rule's number, as findings print it
    #[arg(value_name = "NUMBER")]
    pub(crate) number: String,
}

/// Do one job for `check` in a process of its own.
///
/// Messages go out as lines of JSON on standard output. The plan of each run is written to standard input if that is
/// a file.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// What to check, or the number of a page to observe, or the code to run again
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,

    /// The subject is a page
    #[arg(long, conflicts_with = "replay")]
    pub(crate) page: bool,

    /// The subject is a replay code
    #[arg(long)]
    pub(crate) replay: bool,

    /// End when this process is the parent no more
    #[arg(long, value_name = "ID")]
    pub(crate) parent: Option<u32>,

    /// How many random walks each scenario gets
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEEDS)]
    pub(crate) seeds: u64,
}
