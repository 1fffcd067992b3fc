//! WDM system DMA on controllers with habits that were seen in the field, and worse ones.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{CONTEXT, Told, allocate, flush, free, ready, receive, receive_again, routine};
use bench::{Bench, explore};
use longshore_core::Passive;
use longshore_core::completion::{Cause, Verdict};
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_drydock::machine::Device;
use longshore_drydock::reference::{CancelStyle, ReferenceController};
use longshore_wdm::{
    Controller, DmaCompletionStatus, Front, InterruptType, MapRequest, Program, ProgramError,
};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A controller with the habits of some that were seen in the field.
struct Odd {
    inner: ReferenceController<Device>,
    /// The count is gone once a channel was cancelled (RL-21).
    forgets_count: bool,
    cancelled: AtomicBool,
    /// A flush does nothing (RL-26), and the interrupt of the transfer before it comes behind it.
    late: bool,
    stale: AtomicBool,
    /// A cancel says FALSE, and no interrupt follows.
    mute: bool,
    /// Each end is reported as that of a cancel.
    confused: bool,
    /// Channels beyond the last one interrupt, without end.
    babbles: bool,
    /// Ends are told of only two at a time. One register read quiets the line for both (RL-24).
    pairs: bool,
    read: Mutex<VecDeque<(u32, InterruptType)>>,
    told_one: AtomicBool,
}

impl Odd {
    fn new(inner: ReferenceController<Device>) -> Self {
        Self {
            inner,
            forgets_count: false,
            cancelled: AtomicBool::new(false),
            late: false,
            stale: AtomicBool::new(false),
            mute: false,
            confused: false,
            babbles: false,
            pairs: false,
            read: Mutex::default(),
            told_one: AtomicBool::new(false),
        }
    }
}

impl Odd {
    /// One of two ends, or the second where the first was told already. Until there are two there is none.
    fn one_of_a_pair(&self) -> Option<(u32, InterruptType)> {
        let mut read = self.read.lock().unwrap();
        read.extend(std::iter::from_fn(|| self.inner.interrupt()));
        let told_one = self.told_one.load(Ordering::Relaxed);
        if read.len() < 2 && !told_one {
            return None;
        }
        self.told_one.store(!told_one, Ordering::Relaxed);
        read.pop_front()
    }
}

impl Front for Odd {
    fn behind(&self) -> &dyn Controller {
        &self.inner
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        self.cancelled.store(false, Ordering::Relaxed);
        self.inner.program(channel, program)
    }

    fn flush(&self, channel: u32) {
        if self.late {
            self.stale.store(true, Ordering::Relaxed);
        } else {
            self.inner.flush(channel);
        }
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        if self.pairs {
            return self.one_of_a_pair();
        }
        if self.stale.swap(false, Ordering::Relaxed) {
            return Some((0, InterruptType::Completion));
        }
        let babble = self.babbles.then_some((77, InterruptType::Completion));
        let told = self.inner.interrupt().or(babble);
        told.map(|(channel, kind)| {
            let kind = if self.confused {
                InterruptType::Cancelled
            } else {
                kind
            };
            (channel, kind)
        })
    }

    fn remaining(&self, channel: u32) -> u32 {
        if self.forgets_count && self.cancelled.load(Ordering::Relaxed) {
            return u32::MAX;
        }
        self.inner.remaining(channel)
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
        |odd| odd.late = true,
        |bench, passive| {
            let adapter = bench.adapter(passive, false);
            for _ in 0..3 {
                let context = ready(passive, &adapter);
                let buffer = bench.buffer(8);
                let told = Told::default();
                let signal = Arc::new(bench.machine.signal(passive, "told"));
                allocate(bench, passive, &adapter, &context).unwrap();
                let segments = [buffer.range()];
                let request = MapRequest {
                    completion: Some(routine(&bench.machine, &told, &signal)),
                    context: CONTEXT,
                    ..MapRequest::new(Segments::new(&segments), 8, false)
                };
                adapter.map_transfer(&*passive, &context, request).unwrap();
                // The device gives nothing, so nothing can have ended.
                assert_eq!(adapter.poll(&*passive, &context).outcome, None);
                adapter.cancel_mapped(&*passive, &context).unwrap();
                flush(&adapter, &*passive, &context, buffer.range(), 0, false);
                free(bench, passive, &adapter, &context);
                adapter.wait_for_callbacks(passive);
                assert_eq!(told.list(), [DmaCompletionStatus::CANCELLED]);
            }
        },
    );
}

/// A controller that says cancelled where nobody cancelled: that is an error of the device's, and no cancel.
#[test]
fn a_cancel_that_nobody_asked_for_is_an_error() {
    on_odd(
        |odd| odd.confused = true,
        |bench, passive| {
            let adapter = bench.adapter(passive, false);
            let context = ready(passive, &adapter);
            let buffer = bench.buffer(8);
            let (told, signal) = (Told::default(), Arc::new(bench.machine.signal(passive, "told")));
            bench.port.supply(&[1; 8]);
            allocate(bench, passive, &adapter, &context).unwrap();
            let segments = [buffer.range()];
            let request = MapRequest {
                completion: Some(routine(&bench.machine, &told, &signal)),
                context: CONTEXT,
                ..MapRequest::new(Segments::new(&segments), 8, false)
            };
            adapter.map_transfer(&*passive, &context, request).unwrap();
            let _ = signal.wait(passive);
            let verdict = flush(&adapter, &*passive, &context, buffer.range(), 8, false);
            assert_eq!(verdict, Some(Verdict::Failed(Cause::DEVICE)));
            assert_eq!(told.list(), [DmaCompletionStatus::ERROR]);
            free(bench, passive, &adapter, &context);
        },
    );
}

/// Two channels that one interrupt tells of: the line is quiet after the first report, and the second comes all the same.
///
/// Proves: RL-24.
#[test]
fn one_interrupt_tells_of_every_channel() {
    on_odd(
        |odd| odd.pairs = true,
        |bench, passive| {
            let channels = [bench.adapter(passive, false), bench.other_adapter(passive)];
            let buffers = [bench.buffer(8), bench.buffer(8)];
            let contexts = channels.each_ref().map(|adapter| ready(passive, adapter));
            let told = channels
                .each_ref()
                .map(|_| Arc::new(bench.machine.signal(passive, "told")));
            bench.port.supply(&[1; 8]);
            bench.other.supply(&[2; 8]);
            for (index, adapter) in channels.iter().enumerate() {
                allocate(bench, passive, adapter, &contexts[index]).unwrap();
                let signal = Arc::clone(&told[index]);
                let segments = [buffers[index].range()];
                let request = MapRequest {
                    completion: Some(Arc::new(move |_, _, _, _, status| {
                        assert_eq!(status, DmaCompletionStatus::COMPLETE);
                        signal.set();
                    })),
                    ..MapRequest::new(Segments::new(&segments), 8, false)
                };
                adapter
                    .map_transfer(&*passive, &contexts[index], request)
                    .unwrap();
            }
            // Nobody asks the controller from here on but the handler of its interrupt.
            for signal in &told {
                let _ = signal.wait(passive);
            }
            for ((adapter, context), buffer) in channels.iter().zip(&contexts).zip(&buffers) {
                let verdict = flush(adapter, &*passive, context, buffer.range(), 8, false);
                assert_eq!(verdict, Some(Verdict::Completed));
                free(bench, passive, adapter, context);
            }
        },
    );
}
