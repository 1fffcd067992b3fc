//! The command `longshore`.
//!
//! Bottom to top:
//! * [`console`]: standard output and standard error, as commands reach them;
//! * [`targets`]: what is built in and can be checked;
//! * [`pages`]: the five pages that the project began with, acted out;
//! * [`engines`], [`explain`], [`demo`], [`check`]: the commands;
//! * [`arguments`]: the command line.
#![forbid(unsafe_code)]

mod arguments;
mod check;
mod console;
mod demo;
mod engines;
mod explain;
mod pages;
mod targets;

use arguments::{Arguments, Command};
use clap::Parser;
use console::{Console, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    // clap prints help and usage errors itself, and exits with 0 or 2.
    let arguments = Arguments::parse();
    let mut console = Console::new();
    let result = match arguments.command {
        Command::Demo(wanted) => demo::run(&wanted, &mut console),
        Command::Check(wanted) => check::run(&wanted, &mut console),
        Command::Engines => engines::run(&mut console),
        Command::Explain(wanted) => explain::run(&wanted, &mut console),
        Command::Worker(wanted) => check::worker::run(&wanted),
    };
    match result {
        Ok(verdict) => verdict.into(),
        Err(Failure(what)) => {
            console.complain(&what);
            ExitCode::from(2)
        }
    }
}
