//! In which order a request's calls and callbacks come, from where they may, and what a cancel of one leaves.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{CONTEXT, Told, allocate, flush, free, misuses, ready, receive_again, routine};
use bench::master::{Lists, Masters, apart};
use bench::{Bench, DEVICE, explore, strike_everywhere};
use longshore_core::completion::Verdict;
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{Dispatch, Irql, Passive};
use longshore_drydock::machine::{Machine, Signal};
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::{BusRange, DmaMemory};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, AdapterControl, Allocation, AllocationFlags, CompletionRoutine, DmaCompletionStatus,
    FlushRequest, IoAllocationAction, ListBuffer, ListRequest, MapError, MapRequest, State, TransferContext,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

fn request(flags: AllocationFlags, routine: AdapterControl<Machine>) -> Allocation<Machine> {
    Allocation {
        device_object: DEVICE,
        registers: 0,
        flags,
        routine: Some(routine),
    }
}

fn ask(
    bench: &Bench,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    request: Allocation<Machine>,
) {
    bench.machine.raise(passive, |dispatch| {
        let asked = adapter.allocate_channel(dispatch, context, request);
        asked.map_err(|refused| refused.why).unwrap();
    });
}

fn map_of<'a>(
    segments: &'a [BusRange],
    offset: u64,
    length: u32,
    routine: CompletionRoutine<Machine>,
) -> MapRequest<'a, Machine> {
    MapRequest {
        offset,
        completion: Some(routine),
        context: CONTEXT,
        ..MapRequest::new(Segments::new(segments), length, false)
    }
}

/// A request that waits while another holds the channel, which another CPU frees while an intruder takes the request
/// back, or stops its transfer if it is too late for that.
fn taken_back(bench: &Bench, passive: &mut Passive) {
    let adapter = bench.adapter(passive, false);
    let (holder, waiter) = (ready(passive, &adapter), Arc::new(ready(passive, &adapter)));
    let buffer = bench.buffer(8);
    let range = buffer.range();
    let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
    allocate(bench, passive, &adapter, &holder).unwrap();
    let mapped = Arc::new(Mutex::new(None));
    let control: AdapterControl<Machine> = {
        let (context, mapped) = (Arc::clone(&waiter), Arc::clone(&mapped));
        let routine = routine(&bench.machine, &told, &signal);
        Box::new(move |dispatch: &Dispatch, adapter, _| {
            let map = adapter.map_transfer(dispatch, &context, map_of(&[range], 0, 8, routine));
            *mapped.lock().unwrap() = Some(map);
            IoAllocationAction::KEEP_OBJECT
        })
    };
    ask(
        bench,
        passive,
        &adapter,
        &waiter,
        request(AllocationFlags::ASYNCHRONOUS, control),
    );
    let answer = Arc::new(Mutex::new(None));
    {
        let (adapter, context, answer) = (adapter.clone(), Arc::clone(&waiter), Arc::clone(&answer));
        bench.machine.arm(move |dispatch| {
            let taken = adapter.cancel_adapter_channel(dispatch, &context, DEVICE);
            let stopped = !taken && adapter.cancel_mapped(dispatch, &context).is_ok();
            *answer.lock().unwrap() = Some((taken, stopped));
        });
    }
    let freed = Arc::new(bench.machine.signal(passive, "freed"));
    let (machine, freer, inside) = (bench.machine.clone(), adapter.clone(), Arc::clone(&freed));
    bench.machine.spawn(Cpu(1), "freer", move |passive| {
        machine.raise(passive, |dispatch| freer.free_channel(dispatch, &holder).unwrap());
        inside.set();
    });
    let _ = freed.wait(passive);
    bench.machine.disarm();
    // In any case the driver cancels, too. If it is refused, then the intruder came first, and knows what became of it.
    let mut taken = adapter.cancel_adapter_channel(&*passive, &waiter, DEVICE);
    let mut stopped = !taken && adapter.cancel_mapped(&*passive, &waiter).is_ok();
    while !taken && !stopped {
        bench.machine.relax();
        (taken, stopped) = answer.lock().unwrap().unwrap_or_default();
    }
    let mapped = mapped.lock().unwrap().take();
    match mapped {
        // Nothing was mapped, so nobody is called.
        None => {
            assert!(taken, "too late, and yet never granted");
            adapter.wait_for_callbacks(passive);
            assert_eq!(told.count(), 0);
        }
        // It came between the grant and the map.
        Some(Err(why)) => {
            assert!(stopped, "{why:?}");
            assert_eq!(why, MapError::Refused(Refusal::Cancelled));
            assert_eq!(told.count(), 0);
            free(bench, passive, &adapter, &waiter);
        }
        Some(Ok(_)) => {
            assert!(stopped && !taken, "what is taken back is never granted");
            let _ = signal.wait(passive);
            assert_eq!(told.list(), [DmaCompletionStatus::CANCELLED]);
            flush(&adapter, &*passive, &waiter, range, 8, false);
            free(bench, passive, &adapter, &waiter);
        }
    }
    receive_again(bench, passive, &adapter);
}

/// Proves: WDM-014, WDM-145.
#[test]
fn a_request_is_taken_back_and_tells_nobody_or_its_transfer_is_stopped() {
    strike_everywhere(CancelStyle::Honest, true, taken_back);
    explore(200, CancelStyle::Honest, true, taken_back);
}

/// Proves: WDM-144.
#[test]
fn requests_of_each_of_three_calls_are_taken_back() {
    let runs = explore(60, CancelStyle::Honest, true, |bench, passive| {
        let masters = Masters::new(bench, passive);
        let adapter = masters.adapter(passive);
        let (_buffers, ranges) = apart(bench, &[64]);
        let holder = ready(passive, &adapter);
        let waiters = [(); 3].map(|()| ready(passive, &adapter));
        let (lists, grants) = (Lists::default(), Arc::new(AtomicU32::new(0)));
        allocate(bench, passive, &adapter, &holder).unwrap();
        let memory = ListBuffer::with_size(passive, 200);
        let list = || {
            let routine = lists.keeper(&bench.machine);
            ListRequest::new(Segments::new(&ranges), 64, true).in_turn(DEVICE, routine)
        };
        let counted = Arc::clone(&grants);
        let control: AdapterControl<Machine> = Box::new(move |_: &Dispatch, _, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            IoAllocationAction::DEALLOCATE_OBJECT
        });
        let plain = request(AllocationFlags::ASYNCHRONOUS, control);
        ask(bench, passive, &adapter, &waiters[0], plain);
        bench.machine.raise(passive, |dispatch| {
            let got = adapter.get_scatter_gather_list_ex(dispatch, &waiters[1], list());
            assert!(got.unwrap().is_none());
            let request = ListRequest {
                memory: Some(memory),
                ..list()
            };
            let built = adapter.build_scatter_gather_list_ex(dispatch, &waiters[2], request);
            assert!(built.unwrap().is_none());
        });
        for waiter in &waiters {
            assert_eq!(adapter.poll(&*passive, waiter).state, State::Wait);
            assert!(adapter.cancel_adapter_channel(&*passive, waiter, DEVICE));
            assert_eq!(adapter.poll(&*passive, waiter).state, State::Ready);
        }
        free(bench, passive, &adapter, &holder);
        assert_eq!((lists.count(), grants.load(Ordering::Relaxed)), (0, 0));
        assert_eq!(masters.pool.in_use(), 0);
        adapter.put(&*passive).unwrap();
    });
    for run in runs {
        assert_eq!(misuses(&run), [""; 0]);
    }
}

/// Proves: WDM-125.
#[test]
fn a_synchronous_request_s_routine_has_run_when_the_call_returns() {
    explore(60, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let (context, other) = (ready(passive, &adapter), ready(passive, &adapter));
        let ran = Arc::new(Mutex::new(Vec::new()));
        let control = |machine: &Machine| -> AdapterControl<Machine> {
            let (ran, machine) = (Arc::clone(&ran), machine.clone());
            Box::new(move |_: &Dispatch, _, _| {
                let here = (machine.cpu(), machine.level());
                ran.lock().unwrap().push(here);
                IoAllocationAction::KEEP_OBJECT
            })
        };
        bench.machine.raise(passive, |dispatch| {
            let granted = request(AllocationFlags::SYNCHRONOUS, control(&bench.machine));
            assert!(adapter.allocate_channel(dispatch, &context, granted).is_ok());
            // At DISPATCH nothing else runs here meanwhile: it was this very thread.
            let here = (bench.machine.cpu(), Irql::DISPATCH);
            assert_eq!(*ran.lock().unwrap(), [here]);
            let refused = request(AllocationFlags::SYNCHRONOUS, control(&bench.machine));
            let refused = adapter.allocate_channel(dispatch, &other, refused).unwrap_err();
            assert!(refused.request.routine.is_some());
        });
        free(bench, passive, &adapter, &context);
        assert_eq!(ran.lock().unwrap().len(), 1);
    });
}

/// All that a request needs, and its routine lets go of.
struct Requester {
    context: TransferContext,
    buffer: bench::Buffer,
}

/// The whole transfer happens inside of AdapterControl, on the stack of the call.
///
/// Proves: WDM-130.
#[test]
fn a_requester_may_be_gone_before_the_allocation_returns() {
    explore(100, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let requester = Requester {
            context: ready(passive, &adapter),
            buffer: bench.buffer(4),
        };
        let context = requester.context.clone();
        let place = requester.buffer.address();
        let owner = Arc::new(Mutex::new(Some(requester)));
        let gone = Arc::downgrade(&owner);
        bench.port.supply(&[6; 4]);
        let machine = bench.machine.clone();
        let control: AdapterControl<Machine> = Box::new(move |dispatch: &Dispatch, adapter, _| {
            let requester = owner.lock().unwrap().take().unwrap();
            let segments = [requester.buffer.range()];
            let map = MapRequest::new(Segments::new(&segments), 4, false);
            adapter.map_transfer(dispatch, &requester.context, map).unwrap();
            while adapter.poll(dispatch, &requester.context).outcome.is_none() {
                machine.relax();
            }
            let range = requester.buffer.range();
            let verdict = flush(adapter, dispatch, &requester.context, range, 4, false);
            assert_eq!(verdict, Some(Verdict::Completed));
            adapter.free_channel(dispatch, &requester.context).unwrap();
            drop(requester);
            IoAllocationAction::KEEP_OBJECT
        });
        bench.machine.raise(passive, |dispatch| {
            let asked = request(AllocationFlags::ASYNCHRONOUS, control);
            assert!(adapter.allocate_channel(dispatch, &context, asked).is_ok());
        });
        assert!(gone.upgrade().is_none());
        // Its memory is somebody else's now, and nothing touches it any more.
        let next = bench.buffer(4);
        assert_eq!(next.address(), place);
        bench.machine.memory().write(place, &[1; 4]).unwrap();
        assert_eq!(adapter.poll(&*passive, &context).state, State::Ready);
        receive_again(bench, passive, &adapter);
        adapter.put(&*passive).unwrap();
    });
}

/// A routine that ends one piece and maps the next.
fn second_piece(
    context: &Arc<TransferContext>,
    range: BusRange,
    told: &Told,
    last: CompletionRoutine<Machine>,
    done: &Arc<Signal>,
) -> CompletionRoutine<Machine> {
    let (context, told, done) = (Arc::clone(context), told.clone(), Arc::clone(done));
    Arc::new(
        move |dispatch: &Dispatch, adapter: &Adapter<Machine>, _, _, status| {
            told.0.lock().unwrap().push(status);
            piece_over(adapter, dispatch, &context, range, 0);
            let map = map_of(std::slice::from_ref(&range), 4, 4, Arc::clone(&last));
            assert_eq!(adapter.map_transfer(dispatch, &context, map), Ok(4));
            done.set();
        },
    )
}

fn piece_over<'l>(
    adapter: &Adapter<Machine>,
    level: impl Into<longshore_core::AtMostDispatch<'l>>,
    context: &TransferContext,
    range: BusRange,
    offset: u64,
) {
    let segments = [range];
    let request = FlushRequest {
        buffer: Segments::new(&segments),
        offset,
        length: 4,
        write_to_device: false,
    };
    let outcome = adapter.flush(level, context, request).unwrap();
    assert_eq!(outcome.map(|outcome| outcome.verdict), Some(Verdict::Completed));
}

/// From AdapterControl, from a completion routine, and from the thread that allocated.
///
/// Proves: WDM-162.
#[test]
fn a_map_comes_from_three_places() {
    let runs = explore(100, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = Arc::new(ready(passive, &adapter));
        let buffer = bench.buffer(12);
        let range = buffer.range();
        let told = Told::default();
        let [chained, last] = ["chained", "last"].map(|name| Arc::new(bench.machine.signal(passive, name)));
        bench.port.supply(&(0..12).collect::<Vec<u8>>());
        let second = routine(&bench.machine, &told, &last);
        let first = second_piece(&context, range, &told, second, &chained);
        let inside = Arc::clone(&context);
        let control: AdapterControl<Machine> = Box::new(move |dispatch: &Dispatch, adapter, _| {
            let map = map_of(std::slice::from_ref(&range), 0, 4, first);
            assert_eq!(adapter.map_transfer(dispatch, &inside, map), Ok(4));
            IoAllocationAction::KEEP_OBJECT
        });
        let asked = request(AllocationFlags::SYNCHRONOUS, control);
        ask(bench, passive, &adapter, &context, asked);
        let _ = chained.wait(passive);
        let _ = last.wait(passive);
        piece_over(&adapter, &*passive, &context, range, 4);
        let third = Arc::new(bench.machine.signal(passive, "third"));
        let map = map_of(
            std::slice::from_ref(&range),
            8,
            4,
            routine(&bench.machine, &told, &third),
        );
        assert_eq!(adapter.map_transfer(&*passive, &context, map), Ok(4));
        let _ = third.wait(passive);
        piece_over(&adapter, &*passive, &context, range, 8);
        free(bench, passive, &adapter, &context);
        assert_eq!(told.list(), [DmaCompletionStatus::COMPLETE; 3]);
        let mut bytes = [0; 12];
        bench.machine.memory().read(range.start(), &mut bytes).unwrap();
        assert!(bytes.iter().copied().eq(0..12));
    });
    for run in runs {
        assert_eq!(misuses(&run), [""; 0]);
    }
}

/// Proves: WDM-116.
#[test]
fn a_context_is_initialised_anew_once_its_request_is_over() {
    explore(30, CancelStyle::Honest, true, |bench, passive| {
        let (adapter, other) = (bench.adapter(passive, false), bench.adapter(passive, false));
        let mut context = TransferContext::new();
        // The same memory, also for another adapter of the driver's.
        for adapter in [&adapter, &adapter, &other, &adapter] {
            adapter
                .initialize_transfer_context(&*passive, &mut context)
                .unwrap();
            allocate(bench, passive, adapter, &context).unwrap();
            let early = adapter.initialize_transfer_context(&*passive, &mut context);
            assert_eq!(early, Err(Refusal::NotUnique));
            // The mark of a cancel goes with the release, or with the next initialisation.
            adapter.cancel_mapped(&*passive, &context).unwrap();
            free(bench, passive, adapter, &context);
            adapter.cancel_mapped(&*passive, &context).unwrap();
            assert_eq!(adapter.poll(&*passive, &context).state, State::ReadyX);
        }
        adapter
            .initialize_transfer_context(&*passive, &mut context)
            .unwrap();
        let buffer = bench.buffer(4);
        let segments = [buffer.range()];
        bench.port.supply(&[3; 4]);
        allocate(bench, passive, &adapter, &context).unwrap();
        let map = MapRequest::new(Segments::new(&segments), 4, false);
        adapter.map_transfer(&*passive, &context, map).unwrap();
        while adapter.poll(&*passive, &context).outcome.is_none() {
            bench.machine.relax();
        }
        let verdict = flush(&adapter, &*passive, &context, buffer.range(), 4, false);
        assert_eq!(verdict, Some(Verdict::Completed));
        free(bench, passive, &adapter, &context);
    });
}
