//! Memory comes back only when the hardware is quiet, and a refusal leaves everything as it was.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{CONTEXT, Told, allocate, flush, free, ready, routine};
use bench::narrow::{Habits, narrow, request};
use bench::{Bench, explore};
use longshore_core::Passive;
use longshore_core::completion::Verdict;
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_drydock::reference::{CancelStyle, Stubborn};
use longshore_hardware::BusRange;
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, DmaCompletionStatus, FlushError, FlushRequest, MapError, MapRequest, ScatterGather, State,
    TransferContext,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A receive that is cancelled while the engine goes on. Then the device gives its last bytes, or the engine stops.
fn stubborn(bench: &Bench, passive: &mut Passive, ends: bool) {
    let goes_on = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&goes_on);
    let bench = Bench::wrapped(&bench.machine, passive, CancelStyle::Honest, true, |inner| {
        Arc::new(Stubborn::new(inner, goes_on))
    });
    let adapter = bench.adapter(passive, false);
    let context = ready(passive, &adapter);
    let buffer = bench.buffer(8);
    let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
    // With all its bytes the transfer ends by itself, some time; with seven it never does.
    bench.port.supply(&[5; 8][..if ends { 8 } else { 7 }]);
    allocate(&bench, passive, &adapter, &context).unwrap();
    let segments = [buffer.range()];
    let map = MapRequest {
        completion: Some(routine(&bench.machine, &told, &signal)),
        context: CONTEXT,
        ..MapRequest::new(Segments::new(&segments), 8, false)
    };
    adapter.map_transfer(&*passive, &context, map).unwrap();
    adapter.cancel_mapped(&*passive, &context).unwrap();
    let again = FlushRequest {
        buffer: Segments::new(&segments),
        offset: 0,
        length: 8,
        write_to_device: false,
    };
    if ends {
        // Before its end or after it: the flush never says that it is over while it is not.
        let verdict = loop {
            match adapter.flush(&*passive, &context, again) {
                Ok(outcome) => break outcome.map(|outcome| outcome.verdict),
                Err(why) => assert_eq!(why, FlushError::NotQuiet),
            }
            bench.machine.relax();
        };
        assert_eq!(verdict, Some(Verdict::Completed));
    } else {
        let refused = adapter.flush(&*passive, &context, again);
        assert_eq!(refused, Err(FlushError::NotQuiet));
        assert_eq!(adapter.poll(&*passive, &context).state, State::RunX);
        let kept = bench
            .machine
            .raise(passive, |dispatch| adapter.free_channel(dispatch, &context));
        assert_eq!(kept, Err(Refusal::StillMapped));
        assert_eq!(told.count(), 0, "it is not over");
        // It stops after all.
        switch.store(false, Ordering::Relaxed);
        let verdict = flush(&adapter, &*passive, &context, buffer.range(), 8, false);
        assert_eq!(verdict, Some(Verdict::Cancelled));
    }
    let _ = signal.wait(passive);
    let status = if ends {
        DmaCompletionStatus::COMPLETE
    } else {
        DmaCompletionStatus::CANCELLED
    };
    assert_eq!(told.list(), [status]);
    free(&bench, passive, &adapter, &context);
}

/// Proves: WDM-172, PAIN-08.
#[test]
fn an_engine_that_does_not_stop_keeps_its_memory() {
    for ends in [false, true] {
        explore(60, CancelStyle::Honest, true, move |bench, passive| {
            stubborn(bench, passive, ends);
        });
    }
}

/// Proves: WDM-115.
#[test]
fn a_context_that_goes_to_another_adapter_leaves_its_copies_where_they_are() {
    explore(30, CancelStyle::Honest, true, |bench, passive| {
        let other = Bench::wrapped(&bench.machine, passive, CancelStyle::Honest, true, |inner| {
            Arc::new(inner)
        });
        let (one, two) = (bench.adapter(passive, false), other.adapter(passive, false));
        let mut context = ready(passive, &one);
        let copy = context.clone();
        two.initialize_transfer_context(&*passive, &mut context).unwrap();
        allocate(bench, passive, &one, &copy).unwrap();
        allocate(&other, passive, &two, &context).unwrap();
        let busy = one.initialize_transfer_context(&*passive, &mut copy.clone());
        assert_eq!(busy, Err(Refusal::NotUnique));
        free(&other, passive, &two, &context);
        free(bench, passive, &one, &copy);
        two.put(&*passive).unwrap();
        one.put(&*passive).unwrap();
    });
}

/// Proves: WDM-170.
#[test]
fn a_flush_of_another_buffer_with_the_same_first_byte_is_refused() {
    explore(10, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(16);
        let (front, back) = (
            buffer.range().slice(0, 4).unwrap(),
            buffer.range().slice(8, 4).unwrap(),
        );
        let near = buffer.range().slice(4, 4).unwrap();
        bench.port.supply(&[1; 8]);
        allocate(bench, passive, &adapter, &context).unwrap();
        let mapped = adapter.map_transfer(
            &*passive,
            &context,
            MapRequest::new(Segments::new(&[front, back]), 8, false),
        );
        assert_eq!(mapped, Ok(8));
        while adapter.read_counter(&*passive) != 0 {
            bench.machine.relax();
        }
        let flush = |pieces: &[BusRange]| flush_of(&adapter, passive, &context, pieces);
        assert_eq!(flush(&[front, near]), Err(FlushError::Mismatch));
        // However the same bytes are cut, they are the same.
        let (begin, rest) = (front.slice(0, 1).unwrap(), front.slice(1, 3).unwrap());
        assert_eq!(flush(&[begin, rest, back]), Ok(()));
        free(bench, passive, &adapter, &context);
    });
}

fn flush_of(
    adapter: &Adapter<longshore_drydock::Machine>,
    passive: &Passive,
    context: &TransferContext,
    pieces: &[BusRange],
) -> Result<(), FlushError> {
    let request = FlushRequest {
        buffer: Segments::new(pieces),
        offset: 0,
        length: 8,
        write_to_device: false,
    };
    adapter.flush(passive, context, request).map(drop)
}

/// Proves: A-22.
#[test]
fn a_map_that_fails_takes_back_what_it_has_said() {
    narrow(1, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(8, false, 0);
        let segments = [buffer.range()];
        bench.allocate(passive, &adapter, &context, 0).unwrap();
        bench.controller.refuses.store(true, Ordering::Relaxed);
        let length = AtomicU32::new(77);
        let mut slots = [BusRange::EMPTY; 2];
        let mut list = ScatterGather::new(&mut slots);
        let map = MapRequest {
            mapped: Some(&length),
            list: Some(&mut list),
            ..request(&segments, 8, false)
        };
        let refused = adapter.map_transfer(&*passive, &context, map);
        assert_eq!(refused, Err(MapError::NotStarted));
        assert_eq!((length.load(Ordering::Relaxed), list.elements().len()), (77, 0));
        bench.free(passive, &adapter, &context);
    });
}
