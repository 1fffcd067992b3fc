//! How a controller is called: one call at a time, at its level, and a flush only of what is quiet.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::Bench;
use bench::driver::{CONTEXT, STYLES, Told, allocate, flush, free, ready, receive_again, routine};
use bench::watched::{Called, explore_watched, strike_watched};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::scatter::Segments;
use longshore_core::{Irql, NtStatus, Passive};
use longshore_drydock::reference::CancelStyle;
use longshore_wdm::{DmaCompletionStatus, MapRequest};
use std::sync::Arc;

/// A transfer that an intruder cancels while its interrupt comes and a third CPU asks how far it is.
fn cancelled(bench: &Bench, passive: &mut Passive, supply: usize, looped: bool) {
    let adapter = bench.adapter(passive, looped);
    let context = Arc::new(ready(passive, &adapter));
    let buffer = bench.buffer(8);
    let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
    bench.port.supply(&vec![7; supply]);
    allocate(bench, passive, &adapter, &context).unwrap();
    let (striker, struck) = (adapter.clone(), Arc::clone(&context));
    bench.machine.arm(move |dispatch| {
        let _ = striker.cancel_mapped(dispatch, &struck);
    });
    let (reader, read) = (adapter.clone(), Arc::clone(&context));
    bench.machine.spawn(Cpu(1), "reader", move |passive| {
        reader.read_counter(&*passive);
        reader.poll(&*passive, &read);
    });
    let segments = [buffer.range()];
    let request = MapRequest {
        completion: Some(routine(&bench.machine, &told, &signal)),
        context: CONTEXT,
        ..MapRequest::new(Segments::new(&segments), 8, false)
    };
    let mapped = adapter.map_transfer(&*passive, &context, request);
    if mapped.is_ok() {
        while bench.port.moved() < supply as u64 && adapter.poll(&*passive, &context).outcome.is_none() {
            bench.machine.relax();
        }
        if looped || supply < 8 {
            let _ = adapter.cancel_mapped(&*passive, &context);
        }
        flush(&adapter, &*passive, &context, buffer.range(), 8, false);
    }
    bench.machine.disarm();
    free(bench, passive, &adapter, &context);
    adapter.wait_for_callbacks(passive);
}

/// Proves: WDM-314, WDM-319.
#[test]
fn cancel_and_interrupt_never_meet_and_only_the_quiet_is_flushed() {
    for style in STYLES {
        for interrupts in [true, false] {
            strike_watched((style, interrupts), |bench, passive, _| {
                cancelled(bench, passive, 8, false);
            });
        }
        strike_watched((style, true), |bench, passive, _| {
            cancelled(bench, passive, 5, false)
        });
        strike_watched((style, true), |bench, passive, _| {
            cancelled(bench, passive, 20, true)
        });
        explore_watched(100, (style, true), |bench, passive, _| {
            cancelled(bench, passive, 8, false);
        });
    }
}

/// A device's error, and a flush that comes too early: the channel is stopped first.
///
/// Proves: WDM-319.
#[test]
fn what_runs_is_stopped_before_it_is_flushed() {
    for style in STYLES {
        explore_watched(60, (style, true), |bench, passive, watch| {
            let adapter = bench.adapter(passive, false);
            let context = ready(passive, &adapter);
            let buffer = bench.buffer(8);
            let segments = [buffer.range()];
            let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
            let request = || MapRequest {
                completion: Some(routine(&bench.machine, &told, &signal)),
                context: CONTEXT,
                ..MapRequest::new(Segments::new(&segments), 8, false)
            };
            allocate(bench, passive, &adapter, &context).unwrap();
            // Nothing is supplied, so it runs when it is flushed.
            adapter.map_transfer(&*passive, &context, request()).unwrap();
            flush(&adapter, &*passive, &context, buffer.range(), 8, false);
            let mut names = watch.calls().into_iter().map(|called| called.name);
            assert!(names.any(|name| name == "CancelTransfer"));
            assert!(names.any(|name| name == "FlushChannel"));
            adapter.wait_for_callbacks(passive);
            assert_eq!(told.list(), [DmaCompletionStatus::CANCELLED]);
            // The next one ends in an error.
            bench.port.supply(&[1; 8]);
            bench.port.fail_at(3);
            adapter.map_transfer(&*passive, &context, request()).unwrap();
            while adapter.poll(&*passive, &context).outcome.is_none() {
                bench.machine.relax();
            }
            flush(&adapter, &*passive, &context, buffer.range(), 8, false);
            adapter.wait_for_callbacks(passive);
            assert_eq!(told.list()[1], DmaCompletionStatus::ERROR);
            free(bench, passive, &adapter, &context);
            // A map that never was has nothing to be flushed.
            assert_eq!(watch.channels("FlushChannel"), [Some(0); 2]);
        });
    }
}

/// The level each entry was called at, and no other.
fn levels(calls: &[Called], name: &str) -> Vec<Irql> {
    let mut levels: Vec<Irql> = calls
        .iter()
        .filter(|called| called.name == name)
        .map(|called| called.level)
        .collect();
    levels.dedup();
    levels
}

/// Each entry as it is for: the ends of the interrupt are asked for one by one, until there is none.
///
/// Proves: WDM-310.
#[test]
fn every_entry_is_called_at_its_level() {
    explore_watched(60, (CancelStyle::Honest, true), |bench, passive, watch| {
        let adapter = bench.adapter(passive, false);
        let calls = watch.calls();
        assert_eq!(levels(&calls, "InitializeController"), [Irql::PASSIVE]);
        assert_eq!(levels(&calls, "ValidateRequestLineBinding"), [Irql::PASSIVE]);
        let context = ready(passive, &adapter);
        allocate(bench, passive, &adapter, &context).unwrap();
        let configured = adapter.configure(&*passive, &context, 0x7fff_ffff, 0);
        assert_eq!(configured, Ok(NtStatus::NOT_IMPLEMENTED));
        let buffer = bench.buffer(8);
        let segments = [buffer.range()];
        let request = MapRequest::new(Segments::new(&segments), 8, false);
        adapter.map_transfer(&*passive, &context, request).unwrap();
        assert_eq!(adapter.read_counter(&*passive), 8);
        adapter.cancel_mapped(&*passive, &context).unwrap();
        // TRUE: it was active, and no interrupt comes, so the end is known at once.
        assert!(adapter.poll(&*passive, &context).outcome.is_some());
        flush(&adapter, &*passive, &context, buffer.range(), 8, false);
        free(bench, passive, &adapter, &context);
        receive_again(bench, passive, &adapter);
        let calls = watch.calls();
        let under_lock = [
            "QueryMaxFragments",
            "ProgramChannel",
            "ConfigureChannel",
            "FlushChannel",
            "HandleInterrupt",
            "ReadDmaCounter",
            "CancelTransfer",
        ];
        for name in under_lock {
            assert_eq!(levels(&calls, name), [Irql::DEVICE], "{name}");
        }
        // It reports one channel, and is asked again until it reports none.
        let reports = calls.iter().zip(&calls[1..]);
        let reports: Vec<_> = reports.filter(|(first, _)| first.name == "a report").collect();
        assert_eq!(reports.len(), 1);
        assert!(reports.iter().all(|(_, next)| next.name == "HandleInterrupt"));
    });
}
