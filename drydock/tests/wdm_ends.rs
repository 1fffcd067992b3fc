//! How transfers end on the reference controller: cancelled at every point, with an error, and as loops.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{CONTEXT, STYLES, Told, allocate, flush, free, ready, receive_again, routine};
use bench::{Bench, explore, strike_everywhere};
use longshore_core::completion::Verdict;
use longshore_core::machine::{Lock as _, Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{Dispatch, Event, Irql, Passive};
use longshore_drydock::machine::What;
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::DmaMemory;
use longshore_wdm::state::Refusal;
use longshore_wdm::{DmaCompletionStatus, MapError, MapRequest};
use std::sync::Arc;

/// A transfer that an intruder cancels at some point, and the one that follows it on the same channel.
fn cancelled(bench: &Bench, passive: &mut Passive, wait: bool, supply: usize) {
    let adapter = bench.adapter(passive, false);
    let context = Arc::new(ready(passive, &adapter));
    let buffer = bench.buffer(12);
    let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
    bench.port.supply(&vec![7; supply]);
    allocate(bench, passive, &adapter, &context).unwrap();
    {
        let (adapter, context) = (adapter.clone(), Arc::clone(&context));
        bench.machine.arm(move |dispatch| {
            let _ = adapter.cancel_mapped(dispatch, &context);
        });
    }
    let segments = [buffer.range()];
    let request = MapRequest {
        completion: Some(routine(&bench.machine, &told, &signal)),
        context: CONTEXT,
        ..MapRequest::new(Segments::new(&segments), 12, false)
    };
    let mapped = adapter.map_transfer(&*passive, &context, request);
    if mapped == Err(MapError::Refused(Refusal::Cancelled)) {
        // R2: the cancel came first, so nothing runs and nobody is called.
        assert_eq!(
            flush(&adapter, &*passive, &context, buffer.range(), 12, false),
            None
        );
        free(bench, passive, &adapter, &context);
        adapter.wait_for_callbacks(passive);
        assert_eq!(told.count(), 0);
        return;
    }
    mapped.unwrap();
    if supply < 12 {
        let _ = adapter.cancel_mapped(&*passive, &context);
    }
    if wait {
        let _ = signal.wait(passive);
    }
    let running = adapter.poll(&*passive, &context).outcome.is_none();
    if !wait && running {
        let _ = adapter.cancel_mapped(&*passive, &context);
    }
    let verdict = flush(&adapter, &*passive, &context, buffer.range(), 3, false).unwrap();
    let mut bytes = [0; 12];
    bench.machine.memory().read(buffer.address(), &mut bytes).unwrap();
    let moved = bench.port.moved() as usize;
    assert!(bytes[..moved].iter().all(|byte| *byte == 7) && bytes[moved..].iter().all(|byte| *byte == 0));
    assert_eq!(
        adapter.read_counter(&*passive) as usize,
        12 - moved,
        "exact residual"
    );
    free(bench, passive, &adapter, &context);
    adapter.wait_for_callbacks(passive);
    assert_eq!(told.list(), [DmaCompletionStatus::from(verdict)]);
    if verdict == Verdict::Completed {
        assert_eq!(moved, 12, "complete means that all has moved");
    }
    assert!(!matches!(verdict, Verdict::Failed(_)), "nothing failed");
    // The channel serves a new transfer, and nothing late reports on it.
    receive_again(bench, passive, &adapter);
    assert_eq!(told.count(), 1);
}

/// Proves: SEED-000-5, R1, R2, A-23, RL-02, RL-20, RL-22, WDM-013, WDM-016, WDM-183, WDM-185, WDM-188, WDM-315,
/// WDM-317, WDM-321.
#[test]
fn cancel_at_every_point_gives_one_truthful_callback() {
    for style in STYLES {
        strike_everywhere(style, true, |bench, passive| cancelled(bench, passive, true, 12));
    }
}

/// Proves: A-12, R7, RL-03, WDM-184, WDM-186, WDM-189, WDM-177, A-17.
#[test]
fn cancel_flush_free_without_waiting() {
    for style in STYLES {
        strike_everywhere(style, true, |bench, passive| cancelled(bench, passive, false, 12));
        explore(100, style, true, |bench, passive| {
            cancelled(bench, passive, false, 12)
        });
    }
}

/// Proves: PAIN-14, R8, RL-05.
#[test]
fn a_device_that_starves_can_be_cancelled() {
    for style in STYLES {
        strike_everywhere(style, true, |bench, passive| cancelled(bench, passive, true, 5));
    }
}

/// A polled controller, with a cancel somewhere.
#[test]
fn a_polled_transfer_can_be_cancelled_at_every_point() {
    for style in STYLES {
        strike_everywhere(style, false, |bench, passive| {
            let adapter = bench.adapter(passive, false);
            let context = Arc::new(ready(passive, &adapter));
            let buffer = bench.buffer(8);
            bench.port.supply(&[5; 8]);
            allocate(bench, passive, &adapter, &context).unwrap();
            let (striker, struck) = (adapter.clone(), Arc::clone(&context));
            bench.machine.arm(move |dispatch| {
                let _ = striker.cancel_mapped(dispatch, &struck);
            });
            let segments = [buffer.range()];
            let request = MapRequest::new(Segments::new(&segments), 8, false);
            if adapter.map_transfer(&*passive, &context, request).is_ok() {
                while adapter.poll(&*passive, &context).outcome.is_none() {
                    bench.machine.relax();
                }
                let verdict = flush(&adapter, &*passive, &context, buffer.range(), 8, false);
                let moved = bench.port.moved();
                assert!(verdict != Some(Verdict::Completed) || moved == 8);
            }
            free(bench, passive, &adapter, &context);
        });
    }
}

/// Proves: SEED-000-4, R9, WDM-322.
#[test]
fn an_error_is_told_once_also_against_a_cancel() {
    for style in STYLES {
        strike_everywhere(style, true, |bench, passive| {
            let adapter = bench.adapter(passive, false);
            let context = Arc::new(ready(passive, &adapter));
            let buffer = bench.buffer(12);
            let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
            bench.port.supply(&[7; 12]);
            bench.port.fail_at(6);
            allocate(bench, passive, &adapter, &context).unwrap();
            let (striker, struck) = (adapter.clone(), Arc::clone(&context));
            bench.machine.arm(move |dispatch| {
                let _ = striker.cancel_mapped(dispatch, &struck);
            });
            let segments = [buffer.range()];
            let request = MapRequest {
                completion: Some(routine(&bench.machine, &told, &signal)),
                context: CONTEXT,
                ..MapRequest::new(Segments::new(&segments), 12, false)
            };
            if adapter.map_transfer(&*passive, &context, request).is_ok() {
                let _ = signal.wait(passive);
                flush(&adapter, &*passive, &context, buffer.range(), 0, false);
                let expected = if bench.machine.struck() {
                    &[DmaCompletionStatus::ERROR, DmaCompletionStatus::CANCELLED][..]
                } else {
                    &[DmaCompletionStatus::ERROR][..]
                };
                assert_eq!(told.count(), 1);
                assert!(expected.contains(&told.list()[0]));
            }
            free(bench, passive, &adapter, &context);
        });
    }
}

/// A loop that is cancelled after some periods.
fn looped(bench: &Bench, passive: &mut Passive) {
    let adapter = bench.adapter(passive, true);
    let context = Arc::new(ready(passive, &adapter));
    let buffer = bench.buffer(8);
    let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
    allocate(bench, passive, &adapter, &context).unwrap();
    let (striker, struck) = (adapter.clone(), Arc::clone(&context));
    bench.machine.arm(move |dispatch| {
        let _ = striker.cancel_mapped(dispatch, &struck);
    });
    let segments = [buffer.range()];
    let request = MapRequest {
        completion: Some(routine(&bench.machine, &told, &signal)),
        context: CONTEXT,
        ..MapRequest::new(Segments::new(&segments), 8, true)
    };
    if adapter.map_transfer(&*passive, &context, request).is_ok() {
        for _ in 0..3 {
            let _ = signal.wait(passive);
            signal.clear();
            if bench.machine.struck() {
                break;
            }
        }
        let _ = adapter.cancel_mapped(&*passive, &context);
        while told.list().last() != Some(&DmaCompletionStatus::CANCELLED) && !bench.machine.is_over() {
            bench.machine.relax();
        }
        flush(&adapter, &*passive, &context, buffer.range(), 8, true);
        adapter.wait_for_callbacks(passive);
        let list = told.list();
        let (last, periods) = list.split_last().unwrap();
        assert_eq!(*last, DmaCompletionStatus::CANCELLED);
        assert!(
            periods
                .iter()
                .all(|status| *status == DmaCompletionStatus::COMPLETE)
        );
    }
    free(bench, passive, &adapter, &context);
}

/// Proves: A-31, R10, WDM-020, WDM-318.
#[test]
fn a_loop_tells_each_period_and_ends_once() {
    for style in STYLES {
        for run in explore(60, style, true, looped) {
            let count = |wanted: fn(&Event) -> bool| {
                let events = run.trace.iter().filter_map(|step| match &step.what {
                    What::Event(event) => Some(event),
                    _ => None,
                });
                events.filter(|event| wanted(event)).count()
            };
            let periods = count(|event| matches!(event, Event::Transition { event: "Period", .. }));
            let told = count(|event| matches!(event, Event::Callback("DmaCompletionRoutine", 0)));
            assert_eq!(told, periods);
        }
        strike_everywhere(style, true, looped);
    }
}

/// Proves: A-32.
#[test]
fn an_error_ends_a_loop_once() {
    explore(60, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, true);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(8);
        let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
        bench.port.fail_at(21);
        allocate(bench, passive, &adapter, &context).unwrap();
        let segments = [buffer.range()];
        let request = MapRequest {
            completion: Some(routine(&bench.machine, &told, &signal)),
            context: CONTEXT,
            ..MapRequest::new(Segments::new(&segments), 8, true)
        };
        adapter.map_transfer(&*passive, &context, request).unwrap();
        while told.list().last() != Some(&DmaCompletionStatus::ERROR) && !bench.machine.is_over() {
            bench.machine.relax();
        }
        let again = MapRequest::new(Segments::new(&segments), 8, true);
        assert_eq!(
            adapter.map_transfer(&*passive, &context, again),
            Err(MapError::Refused(Refusal::NotFlushed))
        );
        flush(&adapter, &*passive, &context, buffer.range(), 8, true);
        free(bench, passive, &adapter, &context);
        let errors = told.list().into_iter();
        assert_eq!(
            errors
                .filter(|status| *status == DmaCompletionStatus::ERROR)
                .count(),
            1
        );
    });
}

/// Proves: RL-04.
#[test]
fn a_cancel_under_the_callback_s_own_lock_does_not_deadlock() {
    explore(150, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(16);
        let signal = Arc::new(bench.machine.signal(passive, "told"));
        let lock = Arc::new(bench.machine.lock("driver", Irql::DISPATCH, 0u32));
        allocate(bench, passive, &adapter, &context).unwrap();
        let segments = [buffer.range()];
        let (inside, done) = (Arc::clone(&lock), Arc::clone(&signal));
        let request = MapRequest {
            completion: Some(Arc::new(move |_: &Dispatch, _, _, _, _| {
                inside.with(|calls| *calls += 1);
                done.set();
            })),
            ..MapRequest::new(Segments::new(&segments), 16, true)
        };
        adapter.map_transfer(&*passive, &context, request).unwrap();
        lock.with(|calls| {
            let level = Dispatch::now(&bench.machine).unwrap();
            let before = *calls;
            adapter.cancel_mapped(&level, &context).unwrap();
            assert_eq!(*calls, before, "nothing is called back on this stack");
        });
        let _ = signal.wait(passive);
        flush(&adapter, &*passive, &context, buffer.range(), 16, true);
        free(bench, passive, &adapter, &context);
        assert_eq!(lock.with(|calls| *calls), 1);
    });
}
