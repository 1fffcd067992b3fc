//! WDM system DMA on the reference controller, under many schedules and with a cancel at every point.

mod bench;

use bench::{Bench, DEVICE, expect_clean, expect_finding, explore, strike_everywhere};
use longshore_core::completion::Verdict;
use longshore_core::machine::{Cpu, Lock as _, Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Event, Irql, NtStatus, Passive};
use longshore_drydock::machine::{Device, Machine, Signal, What};
use longshore_drydock::reference::{CancelStyle, ReferenceController};
use longshore_drydock::{Fault, Plan, Run};
use longshore_hardware::{BusAddress, BusRange, DmaMemory};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, AllocateError, Allocation, AllocationFlags, CompletionContext, CompletionRoutine, Controller,
    ControllerAttributes, DmaCompletionStatus, FlushRequest, InterruptType, IoAllocationAction, MapError,
    MapRequest, Program, ProgramError, State, TransferContext,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

const CONTEXT: CompletionContext = CompletionContext(0xfeed_beef);

/// What the completion routine saw.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<DmaCompletionStatus>>>);

impl Told {
    fn list(&self) -> Vec<DmaCompletionStatus> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.list().len()
    }
}

/// A routine that checks how it is called, notes the status and signals.
fn routine(machine: &Machine, told: &Told, signal: &Arc<Signal>) -> CompletionRoutine<Machine> {
    let (machine, told, signal) = (machine.clone(), told.clone(), Arc::clone(signal));
    Arc::new(move |_: &Dispatch, adapter, device, context, status| {
        assert_eq!(machine.level(), Irql::DISPATCH);
        assert_eq!((device, context), (DEVICE, CONTEXT));
        assert_eq!(adapter.description().channel, 0);
        told.0.lock().unwrap().push(status);
        signal.set();
    })
}

fn allocate(
    bench: &Bench,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
) -> Result<(), AllocateError> {
    let request = Allocation {
        device_object: DEVICE,
        flags: AllocationFlags::SYNCHRONOUS,
        routine: None,
    };
    bench.machine.raise(passive, |dispatch| {
        adapter
            .allocate_channel(dispatch, context, request)
            .map_err(|refused| refused.why)
    })
}

fn free(bench: &Bench, passive: &mut Passive, adapter: &Adapter<Machine>, context: &TransferContext) {
    bench.machine.raise(passive, |dispatch| {
        adapter.free_channel(dispatch, context).unwrap();
    });
}

fn ready(passive: &Passive, adapter: &Adapter<Machine>) -> TransferContext {
    let mut context = TransferContext::new();
    adapter
        .initialize_transfer_context(passive, &mut context)
        .unwrap();
    context
}

fn flush<'l>(
    adapter: &Adapter<Machine>,
    level: impl Into<AtMostDispatch<'l>>,
    context: &TransferContext,
    range: BusRange,
    length: u32,
    write_to_device: bool,
) -> Option<Verdict> {
    let segments = [range];
    let request = FlushRequest {
        buffer: Segments::new(&segments),
        offset: 0,
        length,
        write_to_device,
    };
    let outcome = adapter.flush(level, context, request).unwrap();
    outcome.map(|outcome| outcome.verdict)
}

/// A receive of 24 bytes, from the allocation to the free.
fn receive(bench: &Bench, passive: &mut Passive) {
    let adapter = bench.adapter(passive, false);
    let context = ready(passive, &adapter);
    let buffer = bench.buffer(24);
    let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
    bench.port.supply(&(0..24).collect::<Vec<u8>>());
    allocate(bench, passive, &adapter, &context).unwrap();
    let length = AtomicU32::new(0);
    let segments = [buffer.range()];
    let request = MapRequest {
        completion: Some(routine(&bench.machine, &told, &signal)),
        context: CONTEXT,
        mapped: Some(&length),
        ..MapRequest::new(Segments::new(&segments), 24, false)
    };
    let mapped = adapter.map_transfer(&*passive, &context, request).unwrap();
    assert_eq!((mapped, length.load(Ordering::Relaxed)), (24, 24));
    let _ = signal.wait(passive);
    let done = adapter.poll(&*passive, &context);
    assert_eq!((done.state, done.remaining), (State::Done, 0));
    let verdict = flush(&adapter, &*passive, &context, buffer.range(), mapped, false);
    assert_eq!(verdict, Some(Verdict::Completed));
    assert_eq!(told.list(), [DmaCompletionStatus::COMPLETE]);
    let mut bytes = [0; 24];
    bench.machine.memory().read(buffer.address(), &mut bytes).unwrap();
    assert!(bytes.iter().copied().eq(0..24));
    free(bench, passive, &adapter, &context);
    adapter.put(&*passive).unwrap();
}

/// Proves: SEED-000-3, SEED-000-6, SEED-001-1, SEED-001-2, SEED-001-4, SEED-001-5, SEED-001-7, SEED-001-9,
/// WDM-006, WDM-007, WDM-009, WDM-010, WDM-017, WDM-019, WDM-022, WDM-126, A-18.
#[test]
fn map_completes_and_calls_back_once() {
    explore(300, CancelStyle::Honest, true, receive);
}

/// Proves: SEED-001-1, WDM-166.
#[test]
fn a_send_reaches_the_device_in_pieces() {
    explore(100, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = ready(passive, &adapter);
        let (first, second) = (bench.buffer(10), bench.buffer(7));
        let memory = bench.machine.memory();
        memory.write(first.address(), b"from two p").unwrap();
        memory.write(second.address(), b"laces..").unwrap();
        let segments = [first.range(), second.range()];
        let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
        allocate(bench, passive, &adapter, &context).unwrap();
        for (offset, length) in [(5, 10u32), (15, 2)] {
            signal.clear();
            let request = MapRequest {
                completion: Some(routine(&bench.machine, &told, &signal)),
                context: CONTEXT,
                offset,
                ..MapRequest::new(Segments::new(&segments), length, true)
            };
            let mapped = adapter.map_transfer(&*passive, &context, request);
            assert_eq!(mapped, Ok(length));
            let _ = signal.wait(passive);
            let request = FlushRequest {
                buffer: Segments::new(&segments),
                offset,
                length,
                write_to_device: true,
            };
            adapter.flush(&*passive, &context, request).unwrap();
        }
        assert_eq!(bench.port.taken(), b"two places..");
        assert_eq!(told.count(), 2);
        free(bench, passive, &adapter, &context);
    });
}

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

fn receive_again(bench: &Bench, passive: &mut Passive, adapter: &Adapter<Machine>) {
    let context = ready(passive, adapter);
    let buffer = bench.buffer(4);
    let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "again")));
    bench.port.supply(&[9; 4]);
    allocate(bench, passive, adapter, &context).unwrap();
    let segments = [buffer.range()];
    let request = MapRequest {
        completion: Some(routine(&bench.machine, &told, &signal)),
        context: CONTEXT,
        ..MapRequest::new(Segments::new(&segments), 4, false)
    };
    adapter.map_transfer(&*passive, &context, request).unwrap();
    let _ = signal.wait(passive);
    assert_eq!(
        flush(adapter, &*passive, &context, buffer.range(), 4, false),
        Some(Verdict::Completed)
    );
    free(bench, passive, adapter, &context);
    assert_eq!(told.list(), [DmaCompletionStatus::COMPLETE]);
}

const STYLES: [CancelStyle; 4] = [
    CancelStyle::Honest,
    CancelStyle::LatchedReportsCompletion,
    CancelStyle::LatchedReportsCancelled,
    CancelStyle::AlwaysTrue,
];

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

/// Proves: SEED-001-10, SEED-001-11, WDM-011, WDM-012, A-13.
#[test]
fn a_controller_without_interrupts_never_calls_back() {
    for style in STYLES {
        explore(100, style, false, |bench, passive| {
            let adapter = bench.adapter(passive, false);
            let context = ready(passive, &adapter);
            let buffer = bench.buffer(8);
            let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
            bench.port.supply(&[5; 8]);
            allocate(bench, passive, &adapter, &context).unwrap();
            let segments = [buffer.range()];
            let request = MapRequest {
                completion: Some(routine(&bench.machine, &told, &signal)),
                ..MapRequest::new(Segments::new(&segments), 8, false)
            };
            adapter.map_transfer(&*passive, &context, request).unwrap();
            while adapter.poll(&*passive, &context).outcome.is_none() {
                bench.machine.relax();
            }
            let progress = adapter.poll(&*passive, &context);
            assert_eq!((progress.state, progress.remaining), (State::Done, 0));
            flush(&adapter, &*passive, &context, buffer.range(), 8, false);
            free(bench, passive, &adapter, &context);
            assert_eq!(told.count(), 0);
        });
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
        explore(60, style, true, looped);
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

/// Proves: A-06, WDM-174.
#[test]
fn a_flush_of_a_running_transfer_cuts_it_and_is_misuse() {
    for style in STYLES {
        explore(60, style, true, |bench, passive| {
            let adapter = bench.adapter(passive, false);
            let context = ready(passive, &adapter);
            let buffer = bench.buffer(8);
            let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
            bench.port.supply(&[1; 5]);
            allocate(bench, passive, &adapter, &context).unwrap();
            let segments = [buffer.range()];
            let request = MapRequest {
                completion: Some(routine(&bench.machine, &told, &signal)),
                context: CONTEXT,
                ..MapRequest::new(Segments::new(&segments), 8, false)
            };
            adapter.map_transfer(&*passive, &context, request).unwrap();
            let verdict = flush(&adapter, &*passive, &context, buffer.range(), 8, false);
            assert_eq!(verdict, Some(Verdict::Cancelled));
            // The client did not cancel, so its context can be mapped again.
            assert_eq!(adapter.poll(&*passive, &context).state, State::Own);
            free(bench, passive, &adapter, &context);
            adapter.wait_for_callbacks(passive);
            assert_eq!(told.list(), [DmaCompletionStatus::CANCELLED]);
        })
        .iter()
        .for_each(|run| assert_eq!(misuses(run), ["WDM-174"]));
    }
}

fn misuses(run: &Run) -> Vec<&'static str> {
    let misuse = |step: &longshore_drydock::machine::Step| match step.what {
        What::Event(Event::Misuse(_, rule, _)) => Some(rule.0),
        _ => None,
    };
    run.trace.iter().filter_map(misuse).collect()
}

/// Proves, WDM-158, WDM-170, A-08, A-11.
#[test]
fn what_breaks_the_contract_is_refused_and_named() {
    let runs = explore(20, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(8);
        let segments = [buffer.range()];
        let map = |length| {
            let request = MapRequest::new(Segments::new(&segments), length, true);
            let level = Passive::now(&bench.machine).unwrap();
            adapter.map_transfer(&level, &context, request)
        };
        assert_eq!(map(8), Err(MapError::Refused(Refusal::NotAllocated)));
        allocate(bench, passive, &adapter, &context).unwrap();
        assert_eq!(map(0), Err(MapError::NoBytes));
        assert_eq!(map(0).unwrap_err().status(), NtStatus::INVALID_PARAMETER);
        assert_eq!(map(9), Err(MapError::OutsideBuffer));
        assert_eq!(map(8), Ok(8));
        assert_eq!(map(8), Err(MapError::Refused(Refusal::NotFlushed)));
        while adapter.poll(&*passive, &context).outcome.is_none() {
            bench.machine.relax();
        }
        let wrong = FlushRequest {
            buffer: Segments::new(&segments),
            offset: 0,
            length: 8,
            write_to_device: false,
        };
        assert!(adapter.flush(&*passive, &context, wrong).is_err());
        bench.machine.raise(passive, |dispatch| {
            assert_eq!(
                adapter.free_channel(dispatch, &context),
                Err(Refusal::StillMapped)
            );
        });
        adapter.cancel_mapped(&*passive, &context).unwrap();
        assert_eq!(
            adapter.cancel_mapped(&*passive, &context),
            Err(Refusal::AlreadyCancelled)
        );
        flush(&adapter, &*passive, &context, buffer.range(), 8, true);
        assert_eq!(map(8), Err(MapError::Refused(Refusal::Cancelled)));
        let refused = adapter.clone().put(&*passive).unwrap_err();
        assert_eq!(refused.why, Refusal::Outstanding);
        drop(refused);
        free(bench, passive, &adapter, &context);
    });
    for run in runs {
        let named = [
            "WDM-162", "A-14", "A-14", "WDM-151", "WDM-158", "WDM-170", "WDM-190", "WDM-106",
        ];
        assert_eq!(misuses(&run), named);
    }
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

/// Requests of several contexts, the first of which is freed on another thread.
fn queue(bench: &Bench, passive: &mut Passive) {
    const WAITERS: usize = 4;
    let adapter = bench.adapter(passive, false);
    let order = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::new(bench.machine.signal(passive, "all served"));
    let contexts: Vec<_> = (0..WAITERS).map(|_| Arc::new(ready(passive, &adapter))).collect();
    let first = ready(passive, &adapter);
    allocate(bench, passive, &adapter, &first).unwrap();
    assert_eq!(
        allocate(bench, passive, &adapter, &ready(passive, &adapter)),
        Err(AllocateError::Refused(Refusal::Busy))
    );
    let depth = Arc::new(AtomicU32::new(0));
    for (index, context) in contexts.iter().enumerate() {
        let (order, mine, all) = (Arc::clone(&order), Arc::clone(context), Arc::clone(&all));
        let depth = Arc::clone(&depth);
        let request = Allocation {
            device_object: DEVICE,
            flags: AllocationFlags::ASYNCHRONOUS,
            routine: Some(Box::new(move |dispatch: &Dispatch, adapter, device| {
                assert_eq!(device, DEVICE);
                assert_eq!(depth.fetch_add(1, Ordering::Relaxed), 0, "grants never nest");
                order.lock().unwrap().push(index);
                // One that frees at once, from inside, and one that leaves it to the answer.
                let action = if index % 2 == 0 {
                    adapter.free_channel(dispatch, &mine).unwrap();
                    IoAllocationAction::KEEP_OBJECT
                } else {
                    IoAllocationAction::DEALLOCATE_OBJECT
                };
                depth.fetch_sub(1, Ordering::Relaxed);
                if index == WAITERS - 1 {
                    all.set();
                }
                action
            })),
        };
        bench.machine.raise(passive, |dispatch| {
            adapter
                .allocate_channel(dispatch, context, request)
                .map_err(|refused| refused.why)
                .unwrap();
        });
    }
    let taken_back = adapter.cancel_adapter_channel(&*passive, &contexts[1], DEVICE);
    assert!(taken_back, "it was waiting");
    let (freer, machine) = (adapter.clone(), bench.machine.clone());
    bench.machine.spawn(Cpu(1), "freer", move |passive| {
        machine.raise(passive, |dispatch| freer.free_channel(dispatch, &first).unwrap());
    });
    let _ = all.wait(passive);
    assert_eq!(*order.lock().unwrap(), [0, 2, 3]);
}

/// Proves: A-16, R11, WDM-120, WDM-124, WDM-128, WDM-131, WDM-140.
#[test]
fn waiting_requests_are_served_in_turn_and_grants_never_nest() {
    explore(200, CancelStyle::Honest, true, queue);
}

/// Proves: A-05, WDM-134, A-25, A-35.
#[test]
fn a_request_cancelled_beforehand_and_unknown_flags_are_refused() {
    explore(5, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = ready(passive, &adapter);
        assert!(adapter.cancel_adapter_channel(&*passive, &context, DEVICE));
        let error = allocate(bench, passive, &adapter, &context).unwrap_err();
        assert_eq!(error.status(), NtStatus::CANCELLED);
        let context = ready(passive, &adapter);
        for flags in [2, 4, 5] {
            let request = Allocation {
                device_object: DEVICE,
                flags: AllocationFlags(flags),
                routine: None,
            };
            bench.machine.raise(passive, |dispatch| {
                let refused = adapter.allocate_channel(dispatch, &context, request).unwrap_err();
                assert_eq!(refused.why, AllocateError::UnknownFlags);
            });
        }
        allocate(bench, passive, &adapter, &context).unwrap();
        assert!(!adapter.cancel_adapter_channel(&*passive, &context, DEVICE));
        free(bench, passive, &adapter, &context);
    });
}

/// Proves: WDM-024.
#[test]
fn touching_a_mapped_buffer_before_the_flush_is_a_finding() {
    let run = bench::one(Plan::straight(), CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(8);
        allocate(bench, passive, &adapter, &context).unwrap();
        let segments = [buffer.range()];
        let request = MapRequest::new(Segments::new(&segments), 8, true);
        adapter.map_transfer(&*passive, &context, request).unwrap();
        bench.machine.memory().write(buffer.address(), &[1]).unwrap();
        let _ = adapter.cancel_mapped(&*passive, &context);
        flush(&adapter, &*passive, &context, buffer.range(), 8, true);
        free(bench, passive, &adapter, &context);
    });
    expect_finding(&run, "WDM-024");
}

/// A bus error at each byte, and an interrupt out of the blue at each point.
#[test]
fn faults_of_the_machine_end_as_errors_or_change_nothing() {
    let scenario = |bench: &Bench, passive: &mut Passive| {
        let adapter = bench.adapter(passive, false);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(8);
        let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
        allocate(bench, passive, &adapter, &context).unwrap();
        bench.machine.arm(|_| ());
        let segments = [buffer.range()];
        let request = MapRequest {
            completion: Some(routine(&bench.machine, &told, &signal)),
            context: CONTEXT,
            ..MapRequest::new(Segments::new(&segments), 8, true)
        };
        adapter.map_transfer(&*passive, &context, request).unwrap();
        let _ = signal.wait(passive);
        flush(&adapter, &*passive, &context, buffer.range(), 8, true);
        free(bench, passive, &adapter, &context);
        let expected = match bench.machine.fault() {
            Some(Fault::BusError(_)) => DmaCompletionStatus::ERROR,
            _ => DmaCompletionStatus::COMPLETE,
        };
        assert_eq!(told.list(), [expected]);
    };
    for byte in 0..8 {
        let plan = Plan::straight().with_fault(Fault::BusError(byte));
        expect_clean(&bench::one(plan, CancelStyle::Honest, true, scenario));
    }
    let points = bench::one(Plan::straight(), CancelStyle::Honest, true, scenario).armed_points;
    for point in 0..points {
        let plan = Plan::straight().with_fault(Fault::InterruptEarly(point));
        expect_clean(&bench::one(plan, CancelStyle::Honest, true, scenario));
    }
}

/// What is out of the controller's reach is refused, not truncated.
#[test]
fn a_buffer_out_of_reach_is_refused() {
    explore(1, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = ready(passive, &adapter);
        allocate(bench, passive, &adapter, &context).unwrap();
        let far = [BusRange::new(BusAddress::new(1 << 32), 8).unwrap()];
        let request = MapRequest::new(Segments::new(&far), 8, true);
        let error = adapter.map_transfer(&*passive, &context, request).unwrap_err();
        assert_eq!(error.status(), NtStatus::INSUFFICIENT_RESOURCES);
        free(bench, passive, &adapter, &context);
    });
}

/// A controller with the habits of some that were seen in the field.
struct Odd {
    inner: ReferenceController<Device>,
    /// The count is gone once a channel was cancelled (RL-21).
    forgets_count: bool,
    cancelled: AtomicBool,
    /// A flush does nothing (RL-26).
    never_flushes: bool,
    /// A cancel says FALSE, and no interrupt follows.
    mute: bool,
    /// Channels beyond the last one interrupt, without end.
    babbles: bool,
}

impl Odd {
    fn new(inner: ReferenceController<Device>) -> Self {
        Self {
            inner,
            forgets_count: false,
            cancelled: AtomicBool::new(false),
            never_flushes: false,
            mute: false,
            babbles: false,
        }
    }
}

impl Controller for Odd {
    fn attributes(&self) -> ControllerAttributes {
        self.inner.attributes()
    }

    fn initialize(&self) {
        self.inner.initialize();
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        self.inner.validate_request_line_binding(request_line, channel)
    }

    fn query_max_fragments(&self, channel: u32, requested: u32) -> u32 {
        self.inner.query_max_fragments(channel, requested)
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        self.cancelled.store(false, Ordering::Relaxed);
        self.inner.program(channel, program)
    }

    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus {
        self.inner.configure(channel, function, context)
    }

    fn flush(&self, channel: u32) {
        if !self.never_flushes {
            self.inner.flush(channel);
        }
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        let babble = self.babbles.then_some((77, InterruptType::Completion));
        self.inner.interrupt().or(babble)
    }

    fn remaining(&self, channel: u32) -> u32 {
        if self.forgets_count && self.cancelled.load(Ordering::Relaxed) {
            return u32::MAX;
        }
        self.inner.remaining(channel)
    }

    fn poll(&self, channel: u32) -> Option<InterruptType> {
        self.inner.poll(channel)
    }

    fn cancel(&self, channel: u32) -> bool {
        self.cancelled.store(true, Ordering::Relaxed);
        self.inner.cancel(channel) && !self.mute
    }
}

/// Runs a scenario on an odd controller.
fn on_odd(
    odd: impl Fn(&mut Odd) + Copy + Send + 'static,
    scenario: impl Fn(&Bench, &mut Passive) + Copy + Send + 'static,
) {
    explore(60, CancelStyle::Honest, true, move |bench, passive| {
        let style = CancelStyle::Honest;
        let bench = Bench::wrapped(&bench.machine, passive, style, true, |inner| {
            let mut controller = Odd::new(inner);
            odd(&mut controller);
            Arc::new(controller)
        });
        scenario(&bench, passive);
    });
}

/// A device that starves, and a driver that cancels and flushes.
fn starved(bench: &Bench, passive: &mut Passive) {
    let adapter = bench.adapter(passive, false);
    let context = ready(passive, &adapter);
    let buffer = bench.buffer(8);
    let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
    bench.port.supply(&[1; 5]);
    allocate(bench, passive, &adapter, &context).unwrap();
    let segments = [buffer.range()];
    let request = MapRequest {
        completion: Some(routine(&bench.machine, &told, &signal)),
        context: CONTEXT,
        ..MapRequest::new(Segments::new(&segments), 8, false)
    };
    adapter.map_transfer(&*passive, &context, request).unwrap();
    while bench.port.moved() < 5 {
        bench.machine.relax();
    }
    adapter.cancel_mapped(&*passive, &context).unwrap();
    flush(&adapter, &*passive, &context, buffer.range(), 5, false);
    assert_eq!(adapter.read_counter(&*passive), 3);
    free(bench, passive, &adapter, &context);
    adapter.wait_for_callbacks(passive);
    assert_eq!(told.list(), [DmaCompletionStatus::CANCELLED]);
    receive_again(bench, passive, &adapter);
}

/// Proves: RL-21.
#[test]
fn a_count_that_is_gone_after_the_cancel_was_taken_before() {
    on_odd(|odd| odd.forgets_count = true, starved);
}

/// A cancel that says FALSE without an interrupt behind it still ends in one callback, at the flush.
#[test]
fn a_mute_controller_loses_no_outcome() {
    on_odd(|odd| odd.mute = true, starved);
}

/// An interrupt of nobody's that never ceases hangs nothing: what there is to find is found, and the rest is left.
#[test]
fn a_babbling_controller_hangs_nothing() {
    on_odd(|odd| odd.babbles = true, receive);
}

/// Proves: PAIN-05.
#[test]
fn a_latched_interrupt_is_not_taken_for_the_next_transfer_s() {
    on_odd(
        |odd| odd.never_flushes = true,
        |bench, passive| {
            let adapter = bench.adapter(passive, false);
            for round in 0..3u8 {
                let context = ready(passive, &adapter);
                let buffer = bench.buffer(8);
                let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
                bench.port.supply(&[round; 8]);
                allocate(bench, passive, &adapter, &context).unwrap();
                let segments = [buffer.range()];
                let request = MapRequest {
                    completion: Some(routine(&bench.machine, &told, &signal)),
                    context: CONTEXT,
                    ..MapRequest::new(Segments::new(&segments), 8, false)
                };
                let before = bench.port.moved();
                adapter.map_transfer(&*passive, &context, request).unwrap();
                let _ = adapter.cancel_mapped(&*passive, &context);
                let verdict = flush(&adapter, &*passive, &context, buffer.range(), 8, false);
                let moved = bench.port.moved() - before;
                assert!(verdict != Some(Verdict::Completed) || moved == 8);
                // The rest must not reach the next round.
                bench.port.drop_supply();
                free(bench, passive, &adapter, &context);
                adapter.wait_for_callbacks(passive);
                assert_eq!(told.count(), 1);
            }
        },
    );
}

/// A driver that learns of the end from its device may flush before the controller's interrupt is handled.
#[test]
fn a_flush_on_the_device_s_own_word_is_no_misuse() {
    let runs = explore(100, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(8);
        allocate(bench, passive, &adapter, &context).unwrap();
        let segments = [buffer.range()];
        let request = MapRequest::new(Segments::new(&segments), 8, true);
        adapter.map_transfer(&*passive, &context, request).unwrap();
        while bench.port.moved() < 8 {
            bench.machine.relax();
        }
        let verdict = flush(&adapter, &*passive, &context, buffer.range(), 8, true);
        assert_eq!(verdict, Some(Verdict::Completed));
        free(bench, passive, &adapter, &context);
    });
    for run in runs {
        assert_eq!(misuses(&run), [""; 0]);
    }
}
