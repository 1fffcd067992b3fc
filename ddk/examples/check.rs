//! Checks a NetDMA provider in C: `check MODULE.so [SEEDS]`.

use longshore_ddk::{Edge, Module};
use longshore_drydock::check_provider;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: check MODULE.so [SEEDS]");
        return ExitCode::FAILURE;
    };
    let seeds = arguments
        .next()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(300);
    let module = match Module::load(&path) {
        Ok(module) => module,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let report = check_provider(move |bay| {
        let edge = Edge::open(bay.machine(), bay.passive(), bay.machine().engine_cpu());
        let attached = edge
            .attach(bay.passive(), &module)
            .expect("LsAttachDevice succeeds");
        attached.provider().expect("LsAttachDevice registers a provider")
    })
    .named(&path)
    .seeds(seeds)
    .at_every_point()
    .run();
    report
        .violations
        .iter()
        .for_each(|violation| println!("{}\n", violation.explain()));
    println!(
        "{path}: {} scenarios, {} violations",
        report.scenarios,
        report.violations.len()
    );
    ExitCode::from(u8::from(!report.violations.is_empty()))
}
