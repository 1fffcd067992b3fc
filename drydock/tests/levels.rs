//! Levels where the types end: code that asks the machine for a token.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{CONTEXT, allocate, flush, free, ready};
use bench::{Bench, expect_clean, expect_finding, one};
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{Dispatch, Passive};
use longshore_drydock::machine::Plan;
use longshore_drydock::reference::CancelStyle;
use longshore_wdm::{CompletionRoutine, MapRequest};
use std::sync::Arc;

type Routine = CompletionRoutine<longshore_drydock::Machine>;

/// A receive whose completion routine does `act` first.
fn receive(
    bench: &Bench,
    passive: &mut Passive,
    act: impl Fn(&longshore_drydock::Machine) + Send + Sync + 'static,
) {
    let adapter = bench.adapter(passive, false);
    let context = ready(passive, &adapter);
    let buffer = bench.buffer(8);
    let told = Arc::new(bench.machine.signal(passive, "told"));
    let (machine, signal) = (bench.machine.clone(), Arc::clone(&told));
    let routine: Routine = Arc::new(move |_: &Dispatch, _, _, _, _| {
        act(&machine);
        signal.set();
    });
    bench.port.supply(&[7; 8]);
    allocate(bench, passive, &adapter, &context).unwrap();
    let segments = [buffer.range()];
    let request = MapRequest {
        completion: Some(routine),
        context: CONTEXT,
        ..MapRequest::new(Segments::new(&segments), 8, false)
    };
    adapter.map_transfer(&*passive, &context, request).unwrap();
    let _ = told.wait(passive);
    flush(&adapter, &*passive, &context, buffer.range(), 8, false);
    free(bench, passive, &adapter, &context);
}

/// Proves: WDM-010, WDM-090.
#[test]
fn a_completion_routine_that_asks_for_passive_is_refused_and_found() {
    let run = one(Plan::straight(), CancelStyle::Honest, true, |bench, passive| {
        receive(bench, passive, |machine| assert!(Passive::now(machine).is_none()));
    });
    expect_finding(&run, "WDM-090");
}

#[test]
fn one_that_only_looks_where_it_runs_is_right() {
    let run = one(Plan::straight(), CancelStyle::Honest, true, |bench, passive| {
        receive(bench, passive, |machine| {
            assert!(Passive::probe(machine).is_none())
        });
    });
    expect_clean(&run);
}
