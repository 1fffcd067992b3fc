//! A channel's own calls: functions of its controller, and its counter.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{CONTEXT, Told, allocate, flush, free, misuses, ready, routine};
use bench::{Bench, explore};
use longshore_core::completion::Verdict;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::machine::Device;
use longshore_drydock::reference::{CancelStyle, ReferenceController};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Controller, ControllerAttributes, Front, InfoVersion, MapRequest, Program, ProgramError,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// The function a vendor gave his channels, and another one.
const WATERMARK: u32 = 0x8001;
const UNKNOWN: u32 = 0x8002;

/// What a special controller was told, and what it is like.
#[derive(Default)]
struct Special {
    told: Mutex<Vec<(u32, u32, usize)>>,
    programs: AtomicU32,
    runs: AtomicBool,
    /// Its count moves only when all is done (WDM-214).
    coarse: bool,
    /// It has no count.
    blind: bool,
}

/// A controller with a function of its own.
struct Vendor {
    inner: ReferenceController<Device>,
    special: Arc<Special>,
}

impl Front for Vendor {
    fn behind(&self) -> &dyn Controller {
        &self.inner
    }

    fn attributes(&self) -> ControllerAttributes {
        ControllerAttributes {
            counter_available: !self.special.blind,
            ..self.inner.attributes()
        }
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        self.special.programs.fetch_add(1, Ordering::Relaxed);
        self.special.runs.store(true, Ordering::Relaxed);
        self.inner.program(channel, program)
    }

    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus {
        let called = (channel, function, context);
        self.special.told.lock().unwrap().push(called);
        match (function, context) {
            (WATERMARK, _) if self.special.runs.load(Ordering::Relaxed) => NtStatus::INVALID_DEVICE_STATE,
            (WATERMARK, 1..=64) => NtStatus::SUCCESS,
            (WATERMARK, _) => NtStatus::INVALID_PARAMETER,
            _ => NtStatus::NOT_IMPLEMENTED,
        }
    }

    fn flush(&self, channel: u32) {
        self.special.runs.store(false, Ordering::Relaxed);
        self.inner.flush(channel);
    }

    fn remaining(&self, channel: u32) -> u32 {
        match self.inner.remaining(channel) {
            left if left > 0 && self.special.coarse => u32::MAX,
            left => left,
        }
    }
}

/// Runs a scenario on such a controller, and hands it what the controller was told.
fn on_vendor(
    special: impl Fn() -> Special + Copy + Send + 'static,
    scenario: impl Fn(&Bench, &mut Passive, &Special) + Copy + Send + 'static,
) -> Vec<longshore_drydock::Run> {
    explore(60, CancelStyle::Honest, true, move |bench, passive| {
        let special = Arc::new(special());
        let inside = Arc::clone(&special);
        let bench = Bench::wrapped(&bench.machine, passive, CancelStyle::Honest, true, |inner| {
            Arc::new(Vendor {
                inner,
                special: inside,
            })
        });
        scenario(&bench, passive, &special);
    })
}

/// Proves: WDM-210, WDM-211, RL-11.
#[test]
fn a_function_of_the_controller_s_own_is_called_between_allocation_and_map() {
    let runs = on_vendor(Special::default, |bench, passive, special| {
        let adapter = bench.adapter(passive, false);
        let (context, buffer) = (ready(passive, &adapter), bench.buffer(8));
        let configure = |function, argument| {
            let level = Passive::now(&bench.machine).unwrap();
            adapter.configure(&level, &context, function, argument)
        };
        assert_eq!(configure(WATERMARK, 8), Err(Refusal::NotAllocated));
        assert!(special.told.lock().unwrap().is_empty());
        allocate(bench, passive, &adapter, &context).unwrap();
        assert_eq!(configure(WATERMARK, 8), Ok(NtStatus::SUCCESS));
        assert_eq!(configure(WATERMARK, 65), Ok(NtStatus::INVALID_PARAMETER));
        assert_eq!(configure(UNKNOWN, 0), Ok(NtStatus::NOT_IMPLEMENTED));
        assert_eq!(special.programs.load(Ordering::Relaxed), 0);
        let told = [(0, WATERMARK, 8), (0, WATERMARK, 65), (0, UNKNOWN, 0)];
        assert_eq!(*special.told.lock().unwrap(), told, "as they came");
        let segments = [buffer.range()];
        let request = MapRequest::new(Segments::new(&segments), 8, true);
        adapter.map_transfer(&*passive, &context, request).unwrap();
        assert_eq!(configure(WATERMARK, 8), Ok(NtStatus::INVALID_DEVICE_STATE));
        while adapter.poll(&*passive, &context).outcome.is_none() {
            bench.machine.relax();
        }
        flush(&adapter, &*passive, &context, buffer.range(), 8, true);
        assert_eq!(configure(WATERMARK, 64), Ok(NtStatus::SUCCESS));
        free(bench, passive, &adapter, &context);
    });
    for run in runs {
        assert_eq!(misuses(&run), ["WDM-162"]);
    }
}

/// The counter, read at any moment of a loop, is that of a moment between before and after: so it never goes back
/// within a lap, and new bytes can be told modulo the buffer.
///
/// Proves: WDM-212, WDM-213, RL-10.
#[test]
fn the_counter_of_a_loop_is_the_rest_of_its_lap() {
    const LAP: u64 = 16;
    explore(200, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, true);
        let (context, buffer) = (ready(passive, &adapter), bench.buffer(LAP));
        let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
        bench.port.supply(&[3; 5 * LAP as usize - 6]);
        allocate(bench, passive, &adapter, &context).unwrap();
        let segments = [buffer.range()];
        let request = MapRequest {
            completion: Some(routine(&bench.machine, &told, &signal)),
            context: CONTEXT,
            ..MapRequest::new(Segments::new(&segments), LAP as u32, false)
        };
        adapter.map_transfer(&*passive, &context, request).unwrap();
        let mut before = bench.port.moved();
        while before < 5 * LAP - 6 {
            let left = u64::from(adapter.read_counter(&*passive));
            let after = bench.port.moved();
            let at = |moved: u64| left == LAP - moved % LAP;
            assert!(
                (before..=after).any(at),
                "{left} left between {before} and {after}"
            );
            before = after;
            bench.machine.relax();
        }
        assert_eq!(adapter.read_counter(&*passive), 6);
        adapter.cancel_mapped(&*passive, &context).unwrap();
        flush(&adapter, &*passive, &context, buffer.range(), LAP as u32, false);
        assert_eq!(
            adapter.read_counter(&*passive),
            6,
            "as it was when it was stopped"
        );
        free(bench, passive, &adapter, &context);
        adapter.wait_for_callbacks(passive);
    });
}

/// Proves: WDM-214.
#[test]
fn a_count_that_moves_by_whole_transfers_is_good_enough() {
    let coarse = || Special {
        coarse: true,
        ..Special::default()
    };
    on_vendor(coarse, |bench, passive, _| {
        let adapter = bench.adapter(passive, false);
        let (context, buffer) = (ready(passive, &adapter), bench.buffer(8));
        let segments = [buffer.range()];
        for supplied in [8, 5] {
            bench.port.supply(&[1; 8][..supplied]);
            allocate(bench, passive, &adapter, &context).unwrap();
            let before = bench.port.moved();
            let request = MapRequest::new(Segments::new(&segments), 8, false);
            adapter.map_transfer(&*passive, &context, request).unwrap();
            while bench.port.moved() < before + supplied as u64 {
                assert!([0, 8].contains(&adapter.read_counter(&*passive)));
                bench.machine.relax();
            }
            if supplied < 8 {
                adapter.cancel_mapped(&*passive, &context).unwrap();
            }
            let verdict = flush(
                &adapter,
                &*passive,
                &context,
                buffer.range(),
                supplied as u32,
                false,
            );
            let expected = if supplied == 8 {
                (Some(Verdict::Completed), 0)
            } else {
                (Some(Verdict::Cancelled), 8)
            };
            assert_eq!((verdict, adapter.read_counter(&*passive)), expected);
            free(bench, passive, &adapter, &context);
        }
    });
}

/// Proves: WDM-215.
#[test]
fn a_count_that_means_nothing_is_said_to_and_reads_zero() {
    let blind = || Special {
        blind: true,
        ..Special::default()
    };
    on_vendor(blind, |bench, passive, _| {
        let adapter = bench.adapter(passive, false);
        let info = adapter.info(&*passive, InfoVersion::VERSION1).unwrap();
        assert!(!info.read_counter_available);
        let (context, buffer) = (ready(passive, &adapter), bench.buffer(8));
        allocate(bench, passive, &adapter, &context).unwrap();
        let segments = [buffer.range()];
        let request = MapRequest::new(Segments::new(&segments), 8, false);
        adapter.map_transfer(&*passive, &context, request).unwrap();
        assert_eq!(adapter.read_counter(&*passive), 0, "though all is left");
        adapter.cancel_mapped(&*passive, &context).unwrap();
        flush(&adapter, &*passive, &context, buffer.range(), 0, false);
        free(bench, passive, &adapter, &context);
    });
}
