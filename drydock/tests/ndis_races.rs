//! Who else completes, sets up, reads and deregisters meanwhile; and completions that are refused.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::STYLES;
use bench::nic::{
    COMPLETE, Loose, Nic, SUCCESS, broken, calls, inside, said, touches_hardware, wait_for_nic,
};
use bench::{Bench, explore, one, strike_everywhere};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{Dispatch, Passive, Rule};
use longshore_drydock::Plan;
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::DmaMemory;
use longshore_ndis::{Direction, NdisStatus, WhyNotSetUp};
use std::sync::{Arc, Mutex};

use Direction::{ReadFromDevice, WriteToDevice};

const HONEST: CancelStyle = CancelStyle::Honest;
const LENGTH: u32 = 12;

/// What an intruder brought back, once it is there.
struct Found<T>(Arc<Mutex<Option<T>>>);

impl<T: Send + 'static> Found<T> {
    /// Arms an intruder that finds something out.
    fn arm(bench: &Bench, intruder: impl FnOnce(&Dispatch) -> T + Send + 'static) -> Self {
        let found = Self(Arc::new(Mutex::new(None)));
        let inside = Arc::clone(&found.0);
        bench.machine.arm(move |dispatch| {
            let result = intruder(dispatch);
            *inside.lock().unwrap() = Some(result);
        });
        found
    }

    /// Waits until the intruder is through, if it came at all.
    fn take(&self, bench: &Bench) -> Option<T> {
        bench.machine.disarm();
        while bench.machine.struck() && self.0.lock().unwrap().is_none() && !bench.machine.is_over() {
            bench.machine.relax();
        }
        self.0.lock().unwrap().take()
    }
}

fn end(nic: Arc<Nic>, passive: &Passive) {
    Arc::into_inner(nic).unwrap().halt(passive);
}

/// A set-up on another CPU while a transfer is completed: in progress or granted, and nothing between. Whatever it was,
/// the channel works afterwards.
fn set_up_meanwhile(bench: &Bench, passive: &mut Passive) {
    let nic = Arc::new(Nic::start(bench, passive));
    let (one, two) = (bench.buffer(8), bench.buffer(8));
    let (first, second) = ([one.range()], [two.range()]);
    let set_up = nic
        .channel
        .set_up(&*passive, Loose::at(first), 0, 8, WriteToDevice)
        .unwrap();
    let other = Arc::clone(&nic);
    let found = Found::arm(bench, move |dispatch| {
        let result = other
            .channel
            .set_up(dispatch, Loose::at(second), 0, 8, WriteToDevice);
        result.map_err(|refused| refused.reason)
    });
    let _ = set_up.complete(&*passive).unwrap();
    match found.take(bench) {
        Some(Ok(second)) => {
            let busy = nic
                .channel
                .set_up(&*passive, Loose::at(first), 0, 8, WriteToDevice);
            assert_eq!(busy.unwrap_err().reason, WhyNotSetUp::InProgress);
            let _ = second.complete(&*passive).unwrap();
        }
        Some(Err(why)) => assert_eq!(why, WhyNotSetUp::InProgress),
        None => {}
    }
    let before = bench.port.moved();
    let third = nic
        .channel
        .set_up(&*passive, Loose::at(first), 0, 8, WriteToDevice)
        .unwrap();
    wait_for_nic(bench, before + 8);
    assert_eq!(said(third.complete(&*passive).unwrap()), SUCCESS);
    end(nic, passive);
}

/// Proves: NDIS-032, NDIS-041, NDIS-064.
#[test]
fn a_set_up_beside_a_completion_is_granted_whole_or_refused() {
    for style in STYLES {
        strike_everywhere(style, true, set_up_meanwhile);
    }
    explore(100, HONEST, true, set_up_meanwhile);
}

/// A counter that is read on another CPU at any point of a transfer's life tells what is left or what was left.
fn read_meanwhile(bench: &Bench, passive: &mut Passive) {
    let nic = Arc::new(Nic::start(bench, passive));
    let buffer = bench.buffer(u64::from(LENGTH));
    bench.port.supply(&[7; LENGTH as usize - 2]);
    let (other, port) = (Arc::clone(&nic), bench.port.clone());
    let found = Found::arm(bench, move |dispatch| {
        let before = port.moved() as u32;
        let left = other.channel.read_counter(dispatch);
        (before, left, port.moved() as u32)
    });
    let set_up = nic
        .channel
        .set_up(&*passive, buffer, 0, LENGTH, ReadFromDevice)
        .unwrap();
    wait_for_nic(bench, u64::from(LENGTH) - 2);
    let completed = set_up.complete(&*passive).unwrap();
    assert_eq!((completed.status, completed.residual), (NdisStatus::RESOURCES, 2));
    if let Some((before, left, after)) = found.take(bench) {
        // Zero: nothing was set up yet.
        let right = left >= LENGTH - after && left <= LENGTH - before;
        assert!(
            right || left == 0 && before == 0,
            "{left} between {before} and {after}"
        );
    }
    assert_eq!(nic.channel.read_counter(&*passive), 2);
    end(nic, passive);
}

/// Proves: NDIS-050, NDIS-051, NDIS-046, RL-09.
#[test]
fn the_counter_is_right_at_every_point() {
    // The one that takes an end back has nothing to say here: nothing ends.
    for style in STYLES {
        strike_everywhere(style, true, read_meanwhile);
    }
    explore(100, HONEST, true, read_meanwhile);
}

/// A transfer that somebody completes while its channel is deregistered: it goes when the transfer is over, not before.
fn deregistered_meanwhile(bench: &Bench, passive: &mut Passive) {
    let Nic { miniport, channel } = Nic::start(bench, passive);
    let buffer = bench.buffer(u64::from(LENGTH));
    let range = buffer.range();
    bench.port.supply(&[7; LENGTH as usize]);
    let set_up = channel
        .set_up(&*passive, buffer, 0, LENGTH, ReadFromDevice)
        .unwrap();
    wait_for_nic(bench, u64::from(LENGTH));
    // Disarmed without having acted, the intruder's transfer completes itself.
    let slot = Arc::new(Mutex::new(Some(set_up)));
    let theirs = Arc::clone(&slot);
    let found = Found::arm(bench, move |dispatch| {
        let set_up = theirs.lock().unwrap().take();
        set_up.map(|set_up| set_up.complete(dispatch).unwrap())
    });
    let completed = miniport.halt(passive, || {
        let mut channel = channel;
        // Two tries beside the intruder, and then it is waited for.
        for _ in 0..2 {
            match channel.deregister(passive) {
                Ok(()) => return None,
                Err(refused) => {
                    assert_eq!(refused.rule, Rule("NDIS-019"));
                    channel = refused.channel;
                }
            }
        }
        let theirs = found.take(bench).flatten();
        let rest = slot.lock().unwrap().take();
        let mine = rest.map(|set_up| set_up.complete(&*passive).unwrap());
        channel.deregister(passive).unwrap();
        theirs.or(mine)
    });
    // Where it was deregistered at once, the intruder was through, or has but to say so.
    let completed = completed.unwrap().or_else(|| found.take(bench).flatten());
    assert_eq!(said(completed.unwrap()), SUCCESS);
    assert!(!bench.machine.allocated().contains(&range), "the buffer is free");
    Nic::start(bench, passive).halt(passive);
}

/// Proves: NDIS-019, NDIS-018.
#[test]
fn a_channel_that_is_deregistered_beside_a_completion_goes_after_it() {
    for seed in 0..40 {
        let quiet = one(Plan::seed(seed), HONEST, true, deregistered_meanwhile);
        for point in 0..quiet.armed_points {
            let plan = Plan::seed(seed).strike_at(point);
            let run = one(plan.clone(), HONEST, true, deregistered_meanwhile);
            assert!(run.findings.is_empty(), "plan {plan}: {:#?}", run.findings);
            let refused = broken(&run);
            let early = refused.iter().all(|rule| *rule == "NDIS-019");
            assert!(refused.len() <= 2 && early, "plan {plan}: {refused:?}");
        }
    }
}

/// What is a value's is completed by the value alone: by its arguments it cannot be taken from under it, with the hardware
/// still at work on a buffer that comes back.
fn completed_by_arguments(bench: &Bench, passive: &mut Passive) {
    let nic = Arc::new(Nic::start(bench, passive));
    let buffer = bench.buffer(u64::from(LENGTH));
    let range = buffer.range();
    bench.port.supply(&[7; LENGTH as usize]);
    let set_up = nic
        .channel
        .set_up(&*passive, buffer, 0, LENGTH, ReadFromDevice)
        .unwrap();
    let other = Arc::clone(&nic);
    let found = Found::arm(bench, move |dispatch| {
        let segments = [range];
        other
            .channel
            .complete_dma_transfer(dispatch, Segments::new(&segments), 0, LENGTH, false)
    });
    bench.machine.point();
    let completed = set_up.complete(&*passive).unwrap();
    let mut bytes = [0; LENGTH as usize];
    // The dry dock finds it if it is still the device's.
    let memory = bench.machine.memory();
    memory.read(completed.buffer.address(), &mut bytes).unwrap();
    let moved = (LENGTH - completed.residual) as usize;
    assert!(bytes[..moved].iter().all(|byte| *byte == 7));
    drop(completed);
    if let Some(status) = found.take(bench) {
        assert_eq!(status, NdisStatus::RESOURCES);
    }
    end(nic, passive);
}

/// Proves: NDIS-043, NDIS-037, NDIS-045.
#[test]
fn a_value_is_not_completed_by_its_arguments() {
    for style in STYLES {
        strike_everywhere(style, true, completed_by_arguments);
    }
}

/// Mismatched, repeated, and without a set-up: each is refused and reaches neither WDM nor the hardware. Early: it is cut.
///
/// Proves: AMB-26, NDIS-043, NDIS-044, NDIS-045.
#[test]
fn a_completion_that_is_refused_touches_no_hardware() {
    let runs = explore(20, HONEST, true, |bench, passive| {
        let level = &*passive;
        let nic = Nic::start(bench, level);
        let (buffer, other) = (bench.buffer(16), bench.buffer(16));
        let (this, that) = ([buffer.range()], [other.range()]);
        let complete = |segments, offset, length, write| {
            let segments = Segments::new(segments);
            nic.channel
                .complete_dma_transfer(level, segments, offset, length, write)
        };
        let refused = [complete(&this, 0, 16, false)];
        assert_eq!(refused, [NdisStatus::RESOURCES], "without a set-up");
        bench.port.supply(&[7; 9]);
        let up = nic
            .channel
            .setup_dma_transfer(level, Segments::new(&this), 4, 10, false);
        assert_eq!(up, NdisStatus::SUCCESS);
        let mismatched = [
            complete(&that, 4, 10, false),
            complete(&this, 3, 10, false),
            complete(&this, 4, 11, false),
            complete(&this, 4, 10, true),
            complete(&[], 4, 10, false),
        ];
        assert_eq!(mismatched, [NdisStatus::RESOURCES; 5]);
        wait_for_nic(bench, 9);
        assert_eq!(complete(&this, 4, 10, false), NdisStatus::RESOURCES, "early");
        assert_eq!(nic.channel.read_counter(level), 1);
        assert_eq!(complete(&this, 4, 10, false), NdisStatus::RESOURCES, "repeated");
        assert_eq!(nic.channel.read_counter(level), 1);
        let bytes = bench.machine.look(buffer.range());
        assert_eq!(bytes[4..13], [7; 9]);
        assert_eq!(bytes[13], 0);
        nic.halt(level);
    });
    for run in runs {
        let rules = [&["NDIS-045"][..], &["NDIS-043"; 5], &["NDIS-045"]];
        assert_eq!(broken(&run), rules.concat());
        let completions = inside(&run, COMPLETE);
        let (cut, refused): (Vec<_>, Vec<_>) = completions.iter().partition(|steps| !calls(steps).is_empty());
        assert_eq!((cut.len(), refused.len()), (1, 7));
        assert!(touches_hardware(cut[0]));
        assert!(!refused.iter().any(|steps| touches_hardware(steps)));
    }
}

/// Length 0 is refused wherever it begins; the whole buffer is allowed, and one byte more is not. Nothing of what is
/// refused reaches WDM.
///
/// Proves: AMB-25, NDIS-033, NDIS-015.
#[test]
fn the_whole_buffer_may_be_set_up_and_nothing_beyond_or_none_of_it() {
    explore(10, HONEST, true, |bench, passive| {
        let level = &*passive;
        let nic = Nic::start(bench, level);
        let pieces = [bench.buffer(40), bench.buffer(24)];
        let ranges = pieces.each_ref().map(|piece| piece.range());
        let up = |offset, length| {
            nic.channel
                .set_up(level, Loose::at(ranges), offset, length, WriteToDevice)
        };
        for (offset, length) in [(0, 0), (64, 0), (65, 0), (u32::MAX, 0), (0, 65), (1, 64), (64, 1)] {
            let refused = up(offset, length).unwrap_err();
            assert_eq!(refused.reason, WhyNotSetUp::BadLength, "{length} from {offset}");
            assert_eq!(refused.status, NdisStatus::RESOURCES);
        }
        for overflow in [(1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
            let refused = up(overflow.0, overflow.1).unwrap_err();
            assert_eq!(refused.reason, WhyNotSetUp::BadLength);
        }
        let mut moved = 0;
        for (offset, length) in [(0, 64), (63, 1), (39, 2)] {
            let set_up = up(offset, length).unwrap();
            moved += u64::from(length);
            wait_for_nic(bench, moved);
            assert_eq!(said(set_up.complete(level).unwrap()), SUCCESS);
        }
        nic.halt(level);
    });
}
