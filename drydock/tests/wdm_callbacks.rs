//! What a completion routine is told of a loop, and what it may do: map on.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{CONTEXT, Told, allocate, flush, free, ready, routine};
use bench::{Bench, Buffer, expect_clean, explore, one};
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Event, Passive};
use longshore_drydock::machine::{Machine, Signal, Step, What};
use longshore_drydock::reference::{CancelStyle, SET_PERIOD};
use longshore_drydock::{Plan, Run};
use longshore_hardware::DmaMemory;
use longshore_wdm::{
    Adapter, CompletionRoutine, DmaCompletionStatus, FlushRequest, MapRequest, TransferContext,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Stands between two loops in a trace.
const NEXT: Event = Event::Note("the next loop");

/// A loop of three periods, which this CPU looks at so that its routine has to wait.
fn loop_for_a_while(bench: &Bench, passive: &mut Passive, adapter: &Adapter<Machine>) {
    let context = ready(passive, adapter);
    let buffer = bench.buffer(24);
    let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
    allocate(bench, passive, adapter, &context).unwrap();
    assert!(adapter.configure(&*passive, &context, SET_PERIOD, 8).is_ok());
    bench.port.supply(&[7; 96]);
    let segments = [buffer.range()];
    let request = MapRequest {
        completion: Some(routine(&bench.machine, &told, &signal)),
        context: CONTEXT,
        ..MapRequest::new(Segments::new(&segments), 24, false)
    };
    adapter.map_transfer(&*passive, &context, request).unwrap();
    for _ in 0..4 {
        bench.machine.raise(passive, |dispatch| {
            for _ in 0..12 {
                adapter.poll(dispatch, &context);
                bench.machine.relax();
            }
        });
    }
    adapter.cancel_mapped(&*passive, &context).unwrap();
    adapter.wait_for_callbacks(passive);
    flush(adapter, &*passive, &context, buffer.range(), 24, false);
    free(bench, passive, adapter, &context);
}

/// Periods that were reported, routines that were told of one, routines that were told of another end; and the most
/// periods that were reported without a routine between.
fn counted(part: &[Step]) -> [u64; 4] {
    let [mut periods, mut told, mut ends, mut waiting, mut most] = [0; 5];
    for step in part {
        match step.what {
            What::Event(Event::Transition { event: "Period", .. }) => {
                periods += 1;
                waiting += 1;
                most = waiting.max(most);
            }
            What::Event(Event::Callback("DmaCompletionRoutine", status)) => {
                let complete = status == u64::from(DmaCompletionStatus::COMPLETE.0);
                *if complete { &mut told } else { &mut ends } += 1;
                waiting = 0;
            }
            _ => {}
        }
    }
    [periods, told, ends, most]
}

/// Each period that the controller has reported is told of, also where several were reported before the routine could
/// run; and the second loop tells of its own alone.
///
/// Proves: PAIN-16, WDM-020.
#[test]
fn periods_that_are_reported_before_the_routine_runs_are_each_told() {
    let mut most = 0;
    for seed in 0..60 {
        let run: Run = one(Plan::seed(seed), CancelStyle::Honest, true, |bench, passive| {
            let adapter = bench.adapter(passive, true);
            loop_for_a_while(bench, passive, &adapter);
            bench.machine.emit(NEXT);
            loop_for_a_while(bench, passive, &adapter);
        });
        expect_clean(&run);
        let is_next =
            |step: &Step| matches!(step.what, What::Event(Event::Note(note)) if note == "the next loop");
        let parts: Vec<_> = run.trace.split(is_next).map(counted).collect();
        assert_eq!(parts.len(), 2);
        for [periods, told, ends, waiting] in parts {
            assert_eq!((told, ends), (periods, 1), "seed {seed}");
            most = waiting.max(most);
        }
    }
    assert!(
        most >= 2,
        "no two periods were ever reported before a routine ran"
    );
}

/// A buffer that is mapped piece by piece, each but the first from the completion routine of the one before.
struct Chain {
    machine: Machine,
    context: TransferContext,
    buffer: Buffer,
    /// Where the piece begins that is mapped.
    at: AtomicU32,
    told: Mutex<Vec<DmaCompletionStatus>>,
    over: Signal,
}

/// Bytes of a piece.
const PIECE: u32 = 8;

impl Chain {
    fn map<'l>(self: &Arc<Self>, level: impl Into<AtMostDispatch<'l>>, adapter: &Adapter<Machine>) {
        let segments = [self.buffer.range()];
        let request = MapRequest {
            offset: u64::from(self.at.load(Ordering::Relaxed)),
            completion: Some(self.routine()),
            ..MapRequest::new(Segments::new(&segments), PIECE, false)
        };
        let mapped = adapter.map_transfer(level, &self.context, request);
        assert_eq!(mapped, Ok(PIECE), "at {:?}", self.machine.level());
    }

    fn routine(self: &Arc<Self>) -> CompletionRoutine<Machine> {
        let chain = Arc::clone(self);
        Arc::new(move |dispatch: &Dispatch, adapter, _, _, status| {
            chain.told.lock().unwrap().push(status);
            let at = chain.at.fetch_add(PIECE, Ordering::Relaxed);
            let segments = [chain.buffer.range()];
            let request = FlushRequest {
                buffer: Segments::new(&segments),
                offset: u64::from(at),
                length: PIECE,
                write_to_device: false,
            };
            assert!(adapter.flush(dispatch, &chain.context, request).is_ok());
            if at + PIECE < 24 {
                chain.map(dispatch, adapter);
            } else {
                chain.over.set();
            }
        })
    }
}

/// Proves: WDM-151, WDM-154, WDM-162.
#[test]
fn a_completion_routine_maps_the_next_piece() {
    explore(100, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let chain = Arc::new(Chain {
            machine: bench.machine.clone(),
            context: ready(passive, &adapter),
            buffer: bench.buffer(24),
            at: AtomicU32::new(0),
            told: Mutex::default(),
            over: bench.machine.signal(passive, "over"),
        });
        bench.port.supply(&(0..24).collect::<Vec<u8>>());
        allocate(bench, passive, &adapter, &chain.context).unwrap();
        chain.map(&*passive, &adapter);
        let _ = chain.over.wait(passive);
        assert_eq!(*chain.told.lock().unwrap(), [DmaCompletionStatus::COMPLETE; 3]);
        let mut bytes = [0; 24];
        let memory = bench.machine.memory();
        memory.read(chain.buffer.address(), &mut bytes).unwrap();
        assert!(bytes.iter().copied().eq(0..24), "{bytes:?}");
        free(bench, passive, &adapter, &chain.context);
        adapter.clone().put(&*passive).unwrap();
    });
}
