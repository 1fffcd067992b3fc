//! The project's own chores.

mod citations;
mod codes;
mod links;
mod rules;
mod seeds;
mod tables;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask rules|tables [--update]

  rules            counts how each rule of the ledger is held, lists the open ones, and fails when a test cites a
                   number that does not exist, a claim has no test, a code of the verifier has none that bears its
                   number, a page links to something that is not there, or the page of the tables is not
                   what they say
  rules --update   first turns `open` into `test` for every rule that a test cites
  tables           prints the tables of the state machines
  tables --update  writes them to their page";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["rules"] => rules::check(&root()),
        ["rules", "--update"] => match rules::update(&root()) {
            Ok(()) => rules::check(&root()),
            Err(error) => failed(&error),
        },
        ["tables"] => tables::print().map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS),
        ["tables", "--update"] => {
            tables::update(&root()).map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn failed(error: &std::io::Error) -> ExitCode {
    eprintln!("xtask: {error}");
    ExitCode::FAILURE
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Every file of the project below `folder` with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && !name.starts_with('.') && !name.starts_with("target") {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
