//! Checks a NetDMA provider in C: `check MODULE.so`, or `check MODULE.so --replay CODE` to see one run again.

use longshore_ddk::{Edge, Module};
use longshore_drydock::{Check, check_provider};
use longshore_netdma::NetDma;
use longshore_netdma::registry::Config;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (path, code) = match arguments[..] {
        [path] => (path, None),
        [path, "--replay", code] => (path, Some(code)),
        _ => {
            eprintln!("usage: check MODULE.so [--replay CODE]");
            return ExitCode::FAILURE;
        }
    };
    let module = match Module::load(path) {
        Ok(module) => module,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
    let check = provider(module).named(&name);
    match code {
        Some(code) => replay(&check, code),
        None => run(&check, &format!("{} {path} --replay ", invoked())),
    }
}

/// The check of the provider that the module registers.
fn provider(module: Module) -> Check {
    check_provider(move |bay| {
        let net = NetDma::new(bay.passive(), bay.machine(), Config::default());
        let edge = Edge::open(&net, bay.passive(), bay.machine().engine_cpu());
        let machine = bay.machine().clone();
        edge.on_misuse(move |call, rule, status| {
            machine.find(
                rule,
                format!("{call} was called against the contract, and refused with {status}"),
            );
        });
        let attached = edge
            .attach(bay.passive(), &module)
            .expect("LsAttachDevice succeeds");
        attached.provider().expect("LsAttachDevice registers a provider")
    })
    .seeds(300)
    .at_every_point()
}

/// How this program was called.
fn invoked() -> String {
    std::env::args().next().unwrap_or_else(|| "check".to_owned())
}

/// Checks. `again` is what a person types before a code to see a finding again.
fn run(check: &Check, again: &str) -> ExitCode {
    let report = check.run();
    for warning in &report.warnings {
        println!("warning: {}\n", warning.explain(again));
    }
    for violation in &report.violations {
        println!("{}\n", violation.explain(again));
    }
    println!(
        "{}: {} scenarios, {} violations, {} warnings",
        report.target,
        report.scenarios,
        report.violations.len(),
        report.warnings.len()
    );
    ExitCode::from(u8::from(!report.violations.is_empty()))
}

/// Prints every step of one run.
fn replay(check: &Check, code: &str) -> ExitCode {
    match check.replay(code) {
        Ok((_, steps)) => {
            steps.iter().for_each(|step| println!("{step}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{code}: {error}");
            ExitCode::FAILURE
        }
    }
}
