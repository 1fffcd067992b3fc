//! A driver's habits: the calls of a transfer, one by one, and a completion routine that notes what it is told.

use super::{Bench, DEVICE};
use longshore_core::completion::Verdict;
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Event, Irql, Passive};
use longshore_drydock::Run;
use longshore_drydock::machine::{Machine, Signal, Step, What};
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::{BusRange, DmaMemory};
use longshore_wdm::{
    Adapter, AllocateError, Allocation, AllocationFlags, CompletionContext, CompletionRoutine,
    DmaCompletionStatus, FlushRequest, MapRequest, State, TransferContext,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// What the completion routine gets back.
pub(crate) const CONTEXT: CompletionContext = CompletionContext(0xfeed_beef);

/// Every way of cancelling.
pub(crate) const STYLES: [CancelStyle; 4] = [
    CancelStyle::Honest,
    CancelStyle::LatchedReportsCompletion,
    CancelStyle::LatchedReportsCancelled,
    CancelStyle::AlwaysTrue,
];

/// What the completion routine saw.
#[derive(Clone, Default)]
pub(crate) struct Told(pub(crate) Arc<Mutex<Vec<DmaCompletionStatus>>>);

impl Told {
    pub(crate) fn list(&self) -> Vec<DmaCompletionStatus> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.list().len()
    }
}

/// A routine that checks how it is called, notes the status and signals.
pub(crate) fn routine(machine: &Machine, told: &Told, signal: &Arc<Signal>) -> CompletionRoutine<Machine> {
    let (machine, told, signal) = (machine.clone(), told.clone(), Arc::clone(signal));
    Arc::new(move |_: &Dispatch, adapter, device, context, status| {
        assert_eq!(machine.level(), Irql::DISPATCH);
        assert_eq!((device, context), (DEVICE, CONTEXT));
        assert_eq!(adapter.description().channel, 0);
        told.0.lock().unwrap().push(status);
        signal.set();
    })
}

pub(crate) fn allocate(
    bench: &Bench,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
) -> Result<(), AllocateError> {
    let request = Allocation {
        device_object: DEVICE,
        registers: 0,
        flags: AllocationFlags::SYNCHRONOUS,
        routine: None,
    };
    bench.machine.raise(passive, |dispatch| {
        adapter
            .allocate_channel(dispatch, context, request)
            .map(drop)
            .map_err(|refused| refused.why)
    })
}

pub(crate) fn free(
    bench: &Bench,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
) {
    bench.machine.raise(passive, |dispatch| {
        adapter.free_channel(dispatch, context).unwrap();
    });
}

pub(crate) fn ready(passive: &Passive, adapter: &Adapter<Machine>) -> TransferContext {
    let mut context = TransferContext::new();
    adapter
        .initialize_transfer_context(passive, &mut context)
        .unwrap();
    context
}

pub(crate) fn flush<'l>(
    adapter: &Adapter<Machine>,
    level: impl Into<AtMostDispatch<'l>>,
    context: &TransferContext,
    range: BusRange,
    length: u32,
    write_to_device: bool,
) -> Option<Verdict> {
    flush_all(adapter, level, context, &[range], length, write_to_device)
}

/// The same for a buffer of several pieces.
pub(crate) fn flush_all<'l>(
    adapter: &Adapter<Machine>,
    level: impl Into<AtMostDispatch<'l>>,
    context: &TransferContext,
    pieces: &[BusRange],
    length: u32,
    write_to_device: bool,
) -> Option<Verdict> {
    let request = FlushRequest {
        buffer: Segments::new(pieces),
        offset: 0,
        length,
        write_to_device,
    };
    let outcome = adapter.flush(level, context, request).unwrap();
    outcome.map(|outcome| outcome.verdict)
}

/// A receive of 24 bytes, from the allocation to the free.
pub(crate) fn receive(bench: &Bench, passive: &mut Passive) {
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

pub(crate) fn receive_again(bench: &Bench, passive: &mut Passive, adapter: &Adapter<Machine>) {
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

/// Each rule that a run says its driver broke.
pub(crate) fn misuses(run: &Run) -> Vec<&'static str> {
    let misuse = |step: &Step| match step.what {
        What::Event(Event::Misuse(_, rule, _)) => Some(rule.0),
        _ => None,
    };
    run.trace.iter().filter_map(misuse).collect()
}
