//! WDM system DMA on the reference controller: allocating, mapping, flushing, and what is refused.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{CONTEXT, STYLES, Told, allocate, flush, free, misuses, ready, receive, routine};
use bench::{Bench, DEVICE, expect_clean, expect_finding, explore};
use longshore_core::completion::Verdict;
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{Dispatch, NtStatus, Passive};
use longshore_drydock::reference::CancelStyle;
use longshore_drydock::{Fault, Plan};
use longshore_hardware::{BusAddress, BusRange, DmaMemory};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    AllocateError, Allocation, AllocationFlags, DmaCompletionStatus, FlushRequest, IoAllocationAction,
    MapError, MapRequest, State,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Proves: SEED-000-3, SEED-000-6, SEED-001-1, SEED-001-2, SEED-001-3, SEED-001-4, SEED-001-5, SEED-001-7, SEED-001-9,
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

/// A driver that learns of the end from its device may flush before the controller's interrupt is handled. It gives no
/// completion routine, and nobody is called.
///
/// Proves: SEED-001-8.
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
            "WDM-162", "A-14", "A-14", "WDM-152", "WDM-158", "WDM-170", "WDM-190", "WDM-106",
        ];
        assert_eq!(misuses(&run), named);
    }
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
            registers: 0,
            flags: AllocationFlags::ASYNCHRONOUS,
            routine: Some(Box::new(move |dispatch: &Dispatch, adapter, granted| {
                assert_eq!((granted.device_object, granted.registers), (DEVICE, None));
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
                registers: 0,
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

/// A grant that is answered late frees no newer one.
#[test]
fn the_answer_to_an_old_grant_frees_nothing_newer() {
    explore(20, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let (first, second) = (
            Arc::new(ready(passive, &adapter)),
            Arc::new(ready(passive, &adapter)),
        );
        let (mine, next) = (Arc::clone(&first), Arc::clone(&second));
        let request = Allocation {
            device_object: DEVICE,
            registers: 0,
            flags: AllocationFlags::SYNCHRONOUS,
            routine: Some(Box::new(move |dispatch: &Dispatch, adapter, _| {
                adapter.free_channel(dispatch, &mine).unwrap();
                let request = Allocation {
                    device_object: DEVICE,
                    registers: 0,
                    flags: AllocationFlags::SYNCHRONOUS,
                    routine: None,
                };
                adapter.allocate_channel(dispatch, &next, request).unwrap();
                IoAllocationAction::DEALLOCATE_OBJECT
            })),
        };
        bench.machine.raise(passive, |dispatch| {
            adapter.allocate_channel(dispatch, &first, request).unwrap();
        });
        assert_eq!(adapter.poll(&*passive, &first).state, State::Ready);
        assert_eq!(adapter.poll(&*passive, &second).state, State::Own);
        free(bench, passive, &adapter, &second);
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
