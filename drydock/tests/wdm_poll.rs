//! Finding the end of a transfer by a timer, where the controller does not interrupt.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{Told, allocate, flush, free, misuses, ready, routine};
use bench::{Bench, explore, strike_everywhere};
use longshore_core::completion::Verdict;
use longshore_core::machine::{Machine as _, Signal as _, Waited};
use longshore_core::scatter::Segments;
use longshore_core::{Irql, Passive};
use longshore_drydock::machine::{Machine, Signal};
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::BusRange;
use longshore_wdm::{Adapter, MapRequest, Progress, State, TransferContext, TransferWatch};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PERIOD: Duration = Duration::from_micros(50);

/// What the watch's routine was told.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<Progress>>>);

impl Ends {
    fn list(&self) -> Vec<Progress> {
        self.0.lock().unwrap().clone()
    }
}

fn watch(
    bench: &Bench,
    passive: &Passive,
    adapter: &Adapter<Machine>,
    ends: &Ends,
    signal: &Arc<Signal>,
) -> TransferWatch<Machine> {
    let (machine, ends, signal) = (bench.machine.clone(), ends.clone(), Arc::clone(signal));
    let routine = move |_: &_, _: &_, progress| {
        assert_eq!(machine.level(), Irql::DISPATCH);
        ends.0.lock().unwrap().push(progress);
        signal.set();
    };
    TransferWatch::new(passive, adapter, Box::new(routine))
}

/// Maps a receive, with a completion routine that must not be called.
fn map(
    bench: &Bench,
    passive: &Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    range: BusRange,
    told: &Told,
) {
    let segments = [range];
    let never = Arc::new(bench.machine.signal(passive, "never"));
    let request = MapRequest {
        completion: Some(routine(&bench.machine, told, &never)),
        ..MapRequest::new(Segments::new(&segments), 8, false)
    };
    adapter.map_transfer(passive, context, request).unwrap();
}

/// Proves: SEED-001-10, WDM-012, A-13.
#[test]
fn a_watch_finds_the_end_and_tells_it_once() {
    explore(200, CancelStyle::Honest, false, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let (context, buffer) = (ready(passive, &adapter), bench.buffer(8));
        let (told, ends) = (Told::default(), Ends::default());
        let signal = Arc::new(bench.machine.signal(passive, "ended"));
        let watch = watch(bench, passive, &adapter, &ends, &signal);
        allocate(bench, passive, &adapter, &context).unwrap();
        // Two transfers, one after the other, for a watch can be used again.
        for number in 1..=2 {
            signal.clear();
            bench.port.supply(&[7; 8]);
            map(bench, passive, &adapter, &context, buffer.range(), &told);
            assert!(watch.start(&*passive, &context, PERIOD));
            assert_eq!(signal.wait(passive), Waited::Signalled);
            let progress = ends.list()[number - 1];
            assert_eq!((progress.state, progress.remaining), (State::Done, 0));
            assert_eq!(progress.outcome.unwrap().verdict, Verdict::Completed);
            assert!(!watch.stop(&*passive), "it stopped by itself");
            flush(&adapter, &*passive, &context, buffer.range(), 8, false);
            assert_eq!(ends.list().len(), number);
        }
        free(bench, passive, &adapter, &context);
        assert!(!watch.start(&*passive, &context, PERIOD), "nothing is mapped");
        assert_eq!(told.count(), 0, "no completion routine is made up");
    });
}

/// Proves: A-13.
#[test]
fn a_watch_sees_a_cancel() {
    explore(100, CancelStyle::Honest, false, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let (context, buffer) = (ready(passive, &adapter), bench.buffer(8));
        let (told, ends) = (Told::default(), Ends::default());
        let signal = Arc::new(bench.machine.signal(passive, "ended"));
        let watch = watch(bench, passive, &adapter, &ends, &signal);
        allocate(bench, passive, &adapter, &context).unwrap();
        bench.port.supply(&[7; 3]);
        map(bench, passive, &adapter, &context, buffer.range(), &told);
        assert!(watch.start(&*passive, &context, PERIOD));
        assert!(!watch.start(&*passive, &context, PERIOD), "it watches already");
        while bench.port.moved() < 3 {
            bench.machine.relax();
        }
        adapter.cancel_mapped(&*passive, &context).unwrap();
        assert_eq!(signal.wait(passive), Waited::Signalled);
        let outcome = ends.list()[0].outcome.unwrap();
        assert_eq!((outcome.verdict, outcome.residue), (Verdict::Cancelled, 5));
        flush(&adapter, &*passive, &context, buffer.range(), 3, false);
        free(bench, passive, &adapter, &context);
        assert_eq!((told.count(), ends.list().len()), (0, 1));
    });
}

/// A stop that says TRUE is kept, at whatever point it comes; one that says FALSE comes behind the call, or just before.
#[test]
fn a_watch_that_was_stopped_tells_nothing() {
    strike_everywhere(CancelStyle::Honest, false, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let (context, buffer) = (ready(passive, &adapter), bench.buffer(8));
        let (told, ends) = (Told::default(), Ends::default());
        let signal = Arc::new(bench.machine.signal(passive, "ended or stopped"));
        let watch = Arc::new(watch(bench, passive, &adapter, &ends, &signal));
        allocate(bench, passive, &adapter, &context).unwrap();
        bench.port.supply(&[7; 8]);
        map(bench, passive, &adapter, &context, buffer.range(), &told);
        assert!(watch.start(&*passive, &context, PERIOD));
        let stopped = Arc::new(AtomicBool::new(false));
        {
            let (watch, stopped, signal) = (Arc::clone(&watch), Arc::clone(&stopped), Arc::clone(&signal));
            bench.machine.arm(move |dispatch| {
                stopped.store(watch.stop(dispatch), Ordering::Relaxed);
                signal.set();
            });
        }
        let _ = signal.wait(passive);
        let stopped = stopped.load(Ordering::Relaxed);
        while !stopped && ends.list().is_empty() {
            bench.machine.relax();
        }
        bench.machine.disarm();
        let later = Arc::new(bench.machine.signal(passive, "later"));
        let _ = later.wait_for(passive, PERIOD * 3);
        assert_eq!(ends.list().len(), usize::from(!stopped));
        while adapter.poll(&*passive, &context).outcome.is_none() {
            bench.machine.relax();
        }
        flush(&adapter, &*passive, &context, buffer.range(), 8, false);
        free(bench, passive, &adapter, &context);
    });
}

/// Whoever flushes knows the end already, and the next mapping is none of this watch's.
#[test]
fn a_watch_leaves_other_mappings_alone() {
    explore(100, CancelStyle::Honest, false, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let (context, buffer) = (ready(passive, &adapter), bench.buffer(8));
        let (told, ends) = (Told::default(), Ends::default());
        let signal = Arc::new(bench.machine.signal(passive, "ended"));
        let watch = watch(bench, passive, &adapter, &ends, &signal);
        allocate(bench, passive, &adapter, &context).unwrap();
        bench.port.supply(&[7; 8]);
        map(bench, passive, &adapter, &context, buffer.range(), &told);
        // Far away, so that it is the flush that comes first.
        assert!(watch.start(&*passive, &context, Duration::from_secs(1)));
        while adapter.poll(&*passive, &context).outcome.is_none() {
            bench.machine.relax();
        }
        flush(&adapter, &*passive, &context, buffer.range(), 8, false);
        bench.port.supply(&[7; 8]);
        map(bench, passive, &adapter, &context, buffer.range(), &told);
        let waited = signal.wait_for(passive, Duration::from_secs(3));
        assert_eq!(waited, Waited::TimedOut);
        assert_eq!(ends.list().len(), 0);
        while adapter.poll(&*passive, &context).outcome.is_none() {
            bench.machine.relax();
        }
        flush(&adapter, &*passive, &context, buffer.range(), 8, false);
        free(bench, passive, &adapter, &context);
        assert!(!watch.stop(&*passive), "it stopped by itself");
    })
    .iter()
    .for_each(|run| assert_eq!(misuses(run), [""; 0]));
}
