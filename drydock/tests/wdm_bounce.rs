//! Map registers at work: what a controller does not reach goes through them, and comes back.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::DEVICE;
use bench::driver::{STYLES, flush, flush_all, ready};
use bench::narrow::{Habits, Narrow, REACH, narrow, narrow_run, request};
use longshore_core::Passive;
use longshore_core::completion::Verdict;
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_drydock::Plan;
use longshore_drydock::machine::{Machine, Signal};
use longshore_hardware::BusRange;
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, ChannelAttributes, CompletionRoutine, DeviceDescription,
    ElementList, FlushRequest, MapError, MapRequest, ScatterGather, State, TransferContext,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

fn pattern(len: u32) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + 1).to_le_bytes()[0]).collect()
}

fn in_reach(programs: &[Vec<BusRange>]) -> bool {
    let mut fragments = programs.iter().flatten();
    fragments.all(|fragment| fragment.end().raw() <= REACH)
}

fn receive(bench: &Narrow, passive: &mut Passive) {
    let adapter = bench.adapter(passive, 0);
    let context = ready(passive, &adapter);
    let buffer = bench.buffer(24, true, 0xee);
    bench.port.supply(&pattern(24));
    let base = bench.allocate(passive, &adapter, &context, 2).unwrap();
    assert!(base.is_some() && bench.pool.in_use() == 2);
    let segments = [buffer.range()];
    let mapped = bench.map_and_wait(passive, &adapter, &context, request(&segments, 24, false));
    assert_eq!(mapped, 24);
    assert!(in_reach(&bench.programs()));
    // The device's bytes are not there before the flush.
    assert_eq!(bench.read(buffer.range()), [0xee; 24]);
    let verdict = flush(&adapter, &*passive, &context, buffer.range(), 24, false);
    assert_eq!(verdict, Some(Verdict::Completed));
    assert_eq!(bench.read(buffer.range()), pattern(24));
    bench.free(passive, &adapter, &context);
    adapter.put(&*passive).unwrap();
}

fn send(bench: &Narrow, passive: &mut Passive) {
    let adapter = bench.adapter(passive, 0);
    let context = ready(passive, &adapter);
    let buffer = bench.buffer(24, true, 0);
    bench.write(buffer.range(), &pattern(24));
    bench.allocate(passive, &adapter, &context, 2).unwrap();
    let segments = [buffer.range()];
    bench.map_and_wait(passive, &adapter, &context, request(&segments, 24, true));
    assert!(in_reach(&bench.programs()));
    flush(&adapter, &*passive, &context, buffer.range(), 24, true);
    assert_eq!(bench.port.taken(), pattern(24));
    bench.free(passive, &adapter, &context);
}

/// Proves: WDM-171, WDM-260, WDM-262, WDM-276.
#[test]
fn memory_out_of_reach_is_moved_through_map_registers() {
    narrow(60, Habits::default(), receive);
    narrow(60, Habits::default(), send);
}

/// A buffer of three pieces, the second of them out of reach and longer than the registers: piece by piece.
///
/// Proves: WDM-152, WDM-153, WDM-154, WDM-164, WDM-261.
#[test]
fn a_buffer_is_mapped_piece_by_piece_with_what_registers_there_are() {
    narrow(10, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let (near, far, last) = (
            bench.buffer(16, false, 0),
            bench.buffer(6000, true, 0),
            bench.buffer(8, false, 0),
        );
        let segments = [near.range(), far.range(), last.range()];
        let total = 16 + 6000 + 8;
        bench.port.supply(&pattern(total));
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        let (mut offset, mut pieces) = (0, Vec::new());
        while offset < total {
            let piece = MapRequest {
                offset: u64::from(offset),
                ..request(&segments, total - offset, false)
            };
            let mapped = bench.map_and_wait(passive, &adapter, &context, piece);
            let again = FlushRequest {
                buffer: Segments::new(&segments),
                offset: u64::from(offset),
                length: mapped,
                write_to_device: false,
            };
            adapter.flush(&*passive, &context, again).unwrap();
            pieces.push(mapped);
            offset += mapped;
        }
        assert_eq!(pieces, [16 + 4096, 6000 - 4096 + 8]);
        let programs = bench.programs();
        assert_eq!(programs.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        assert!(in_reach(&programs));
        let bytes = segments.map(|range| bench.read(range)).concat();
        assert!(bytes == pattern(total), "every byte came back in its place");
        bench.free(passive, &adapter, &context);
    });
}

/// The device stops in the middle and the transfer is cancelled: what moved comes back, and nothing else is touched.
fn cut_short(bench: &Narrow, passive: &mut Passive, flushed: u32, ignore_count: bool) -> Vec<u8> {
    let description = DeviceDescription {
        ignore_count,
        ..DeviceDescription::system(0, 0)
    };
    let adapter = bench.adapter_of(passive, description);
    let context = ready(passive, &adapter);
    let buffer = bench.buffer(24, true, 0xee);
    bench.allocate(passive, &adapter, &context, 1).unwrap();
    // The registers are not clean.
    let (dirt, segments) = (bench.buffer(24, true, 0xdd), [buffer.range()]);
    bench.map_and_wait(passive, &adapter, &context, request(&[dirt.range()], 24, true));
    flush(&adapter, &*passive, &context, dirt.range(), 24, true);
    bench.port.supply(&pattern(12));
    adapter
        .map_transfer(&*passive, &context, request(&segments, 24, false))
        .unwrap();
    while bench.port.moved() < 24 + 12 {
        bench.machine.relax();
    }
    adapter.cancel_mapped(&*passive, &context).unwrap();
    let counts = bench.system.attributes().counter_available && !ignore_count;
    let left = if counts { 12 } else { 0 };
    assert_eq!(adapter.read_counter(&*passive), left);
    let verdict = flush(&adapter, &*passive, &context, buffer.range(), flushed, false);
    assert_eq!(verdict, Some(Verdict::Cancelled));
    bench.free(passive, &adapter, &context);
    bench.read(buffer.range())
}

/// Proves: WDM-023, A-17, A-19, WDM-177, RL-08.
#[test]
fn only_what_moved_is_copied_back() {
    let expect = |moved: u32, rest: u8| {
        let mut bytes = pattern(moved);
        bytes.resize(24, rest);
        bytes
    };
    narrow(10, Habits::default(), move |bench, passive| {
        assert_eq!(cut_short(bench, passive, 24, false), expect(12, 0xee));
    });
    narrow(5, Habits::default(), move |bench, passive| {
        assert_eq!(cut_short(bench, passive, 8, false), expect(8, 0xee));
    });
    narrow(5, Habits::default(), move |bench, passive| {
        assert_eq!(cut_short(bench, passive, 0, false), expect(0, 0xee));
    });
    // Nobody can tell how much moved: the driver's word counts, and what the device did not write is zero.
    narrow(5, Habits::default(), move |bench, passive| {
        let mut bytes = expect(12, 0);
        bytes[20..].fill(0xee);
        assert_eq!(cut_short(bench, passive, 20, true), bytes);
    });
    let countless = Habits {
        countless: true,
        ..Habits::default()
    };
    narrow(5, countless, move |bench, passive| {
        assert_eq!(cut_short(bench, passive, 24, false), expect(12, 0));
    });
}

/// A cancel at any point of a bounced transfer, on controllers with every habit: what memory holds is what moved.
fn cancelled_anywhere(bench: &Narrow, passive: &mut Passive) {
    let adapter = bench.adapter(passive, 0);
    let context = ready(passive, &adapter);
    let buffer = bench.buffer(24, true, 0xee);
    bench.port.supply(&pattern(24));
    bench.allocate(passive, &adapter, &context, 1).unwrap();
    let (striker, struck) = (adapter.clone(), context.clone());
    bench.machine.arm(move |dispatch| {
        let _ = striker.cancel_mapped(dispatch, &struck);
    });
    let signal = Arc::new(bench.machine.signal(passive, "ended"));
    let inside = Arc::clone(&signal);
    let segments = [buffer.range()];
    let wanted = MapRequest {
        completion: Some(Arc::new(move |_, _, _, _, _| inside.set())),
        ..request(&segments, 24, false)
    };
    let mut moved = 0;
    if adapter.map_transfer(&*passive, &context, wanted).is_ok() {
        let _ = signal.wait(passive);
        bench.machine.disarm();
        moved = bench.port.moved() as u32;
        flush(&adapter, &*passive, &context, buffer.range(), 24, false);
    }
    bench.machine.disarm();
    let mut bytes = pattern(moved);
    bytes.resize(24, 0xee);
    assert_eq!(bench.read(buffer.range()), bytes);
    bench.free(passive, &adapter, &context);
}

/// Proves: R2, PAIN-18.
#[test]
fn a_bounced_transfer_is_cancelled_at_every_point_and_memory_is_truthful() {
    // Always TRUE takes the end back without a trace, also where all had moved, and the count says so.
    for style in STYLES {
        let habits = Habits {
            style: Some(style),
            ..Habits::default()
        };
        let quiet = narrow_run(Plan::straight(), habits, cancelled_anywhere);
        assert!(quiet.armed_points > 0);
        for point in 0..quiet.armed_points {
            narrow_run(Plan::straight().strike_at(point), habits, cancelled_anywhere);
        }
    }
}

/// Proves.
#[test]
fn a_map_that_fails_leaves_nothing_behind() {
    narrow(10, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(8192, true, 0xee);
        let segments = [buffer.range()];
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        let map = |request| adapter.map_transfer(&*passive, &context, request);
        bench.controller.refuses.store(true, Ordering::Relaxed);
        assert_eq!(map(request(&segments, 8192, true)), Err(MapError::NotStarted));
        let whole = MapRequest {
            whole: true,
            ..request(&segments, 8192, false)
        };
        assert_eq!(map(whole), Err(MapError::NotWhole));
        let mut list = ScatterGather::new(&mut []);
        let listed = MapRequest {
            list: Some(&mut list),
            ..request(&segments, 24, false)
        };
        assert_eq!(map(listed), Err(MapError::NoRoom));
        assert_eq!(adapter.poll(&*passive, &context).state, State::Own);
        // Nothing was mapped and nothing handed over: it can all be used.
        bench.port.supply(&pattern(24));
        bench.map_and_wait(passive, &adapter, &context, request(&segments, 24, false));
        flush(&adapter, &*passive, &context, buffer.range(), 24, false);
        assert_eq!(bench.read(buffer.range())[..24], pattern(24));
        bench.free(passive, &adapter, &context);
    });
}

/// Without registers nothing out of reach is moved, and a NULL base is nothing to free.
///
/// Proves: RL-06, WDM-132.
#[test]
fn who_asks_for_no_registers_gets_none_and_moves_what_is_in_reach() {
    narrow(10, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let (near, far) = (bench.buffer(8, false, 0), bench.buffer(8, true, 0));
        let segments = [near.range(), far.range()];
        assert_eq!(bench.allocate(passive, &adapter, &context, 0), Ok(None));
        bench.port.supply(&pattern(8));
        let mapped = bench.map_and_wait(passive, &adapter, &context, request(&segments, 16, false));
        assert_eq!(mapped, 8, "up to the first byte that is out of reach");
        flush(&adapter, &*passive, &context, near.range(), 8, false);
        let rest = MapRequest {
            offset: 8,
            ..request(&segments, 8, false)
        };
        let refused = adapter.map_transfer(&*passive, &context, rest);
        assert_eq!(refused, Err(MapError::Unreachable));
        bench.free(passive, &adapter, &context);
    });
}

/// The list is what the hardware was told, and a short one makes the map short.
///
/// Proves: A-04.
#[test]
fn a_short_list_makes_the_map_short() {
    narrow(60, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let (one, two) = (bench.buffer(8, false, 0), bench.buffer(8, true, 0));
        let segments = [one.range(), two.range()];
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        for room in 1..3 {
            bench.port.supply(&pattern(8 * room as u32));
            let mut slots = vec![BusRange::EMPTY; room];
            let mut list = ScatterGather::new(&mut slots);
            let listed = MapRequest {
                list: Some(&mut list),
                ..request(&segments, 16, false)
            };
            let mapped = bench.map_and_wait(passive, &adapter, &context, listed);
            assert_eq!(mapped as usize, 8 * room);
            assert_eq!(bench.programs(), [list.elements().to_vec()]);
            assert_eq!(list.elements()[0], one.range());
            flush_all(&adapter, &*passive, &context, &segments, mapped, false);
        }
        bench.free(passive, &adapter, &context);
    });
}

/// A list that the completion routine looks at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<BusRange>>>);

impl ElementList for Shared {
    fn room(&self) -> usize {
        4
    }

    fn write(&mut self, elements: &[BusRange]) {
        *self.0.lock().unwrap() = elements.to_vec();
    }
}

/// The routine may run before the map returns, and finds length and list written.
///
/// Proves: R3, RL-01, WDM-018, WDM-161.
#[test]
fn a_routine_that_comes_before_the_map_returns_finds_everything_written() {
    static EARLY: AtomicBool = AtomicBool::new(false);
    narrow(200, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(4, true, 0);
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        bench.port.supply(&pattern(4));
        let (length, shared) = (Arc::new(AtomicU32::new(0)), Shared::default());
        let returned = Arc::new(AtomicBool::new(false));
        let [told, done] = ["told", "returned"].map(|name| Arc::new(bench.machine.signal(passive, name)));
        let inside = (length.clone(), shared.clone(), returned.clone(), told.clone());
        let routine: CompletionRoutine<Machine> = Arc::new(move |_, _, _, _, _| {
            let (length, list, returned, told) = &inside;
            assert_eq!(length.load(Ordering::Relaxed), 4);
            assert_eq!(list.0.lock().unwrap().len(), 1);
            EARLY.fetch_or(!returned.load(Ordering::Relaxed), Ordering::Relaxed);
            told.set();
        });
        // On another CPU than the one that calls routines.
        let (mapper, mapped, range) = (adapter.clone(), context.clone(), buffer.range());
        let (mut list, finished) = (shared.clone(), done.clone());
        bench.machine.spawn(Cpu(1), "mapper", move |passive| {
            let segments = [range];
            let wanted = MapRequest {
                mapped: Some(&length),
                list: Some(&mut list),
                completion: Some(routine),
                ..request(&segments, 4, false)
            };
            mapper.map_transfer(&*passive, &mapped, wanted).unwrap();
            returned.store(true, Ordering::Relaxed);
            finished.set();
        });
        let _ = told.wait(passive);
        let _ = done.wait(passive);
        flush(&adapter, &*passive, &context, buffer.range(), 4, false);
        bench.free(passive, &adapter, &context);
    });
    assert!(
        EARLY.load(Ordering::Relaxed),
        "no seed let the routine come first"
    );
}

/// What does not begin on the channel's unit is bounced, and no fragment crosses the channel's boundary.
#[test]
fn a_channel_s_own_unit_and_boundary_are_kept() {
    let habits = Habits {
        channel: ChannelAttributes {
            minimum_unit: 4,
            boundary: 64,
            ..ChannelAttributes::default()
        },
        ..Habits::default()
    };
    narrow(10, habits, |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(128, false, 0xee);
        let odd = buffer.range().slice(1, 101).unwrap();
        let even = buffer.range().slice(104, 3).unwrap();
        let segments = [odd, even];
        bench.port.supply(&pattern(104));
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        let mapped = bench.map_and_wait(passive, &adapter, &context, request(&segments, 104, false));
        assert_eq!(mapped, 104);
        for fragment in bench.programs().concat() {
            let (start, last) = (fragment.start().raw(), fragment.end().raw() - 1);
            assert!(start % 4 == 0 && fragment.len() % 4 == 0 && start / 64 == last / 64);
        }
        let back = FlushRequest {
            buffer: Segments::new(&segments),
            offset: 0,
            length: mapped,
            write_to_device: false,
        };
        adapter.flush(&*passive, &context, back).unwrap();
        assert_eq!(segments.map(|range| bench.read(range)).concat(), pattern(104));
        bench.free(passive, &adapter, &context);
    });
}

/// Proves: RL-12, WDM-318.
#[test]
fn a_bounced_loop_brings_back_all_of_it() {
    narrow(10, Habits::default(), |bench, passive| {
        let description = DeviceDescription {
            auto_initialize: true,
            ..DeviceDescription::system(0, 0)
        };
        let adapter = bench.adapter_of(passive, description);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(16, true, 0xee);
        let segments = [buffer.range()];
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        // Once around, and half of it again.
        let bytes = pattern(24);
        bench.port.supply(&bytes);
        bench.map_and_wait(passive, &adapter, &context, request(&segments, 16, false));
        assert_eq!(adapter.poll(&*passive, &context).state, State::Loop);
        while bench.port.moved() < 24 {
            bench.machine.relax();
        }
        adapter.cancel_mapped(&*passive, &context).unwrap();
        flush(&adapter, &*passive, &context, buffer.range(), 16, false);
        assert_eq!(bench.read(buffer.range()), [&bytes[16..], &bytes[8..16]].concat());
        bench.free(passive, &adapter, &context);
        adapter.wait_for_callbacks(passive);
    });
}

/// Frees the channel of a context as soon as it can on another CPU, takes it with the same registers, and sends bytes
/// of its own through them.
fn thief(
    bench: &Narrow,
    passive: &Passive,
    adapter: &Adapter<Machine>,
    victim: &TransferContext,
) -> Arc<Signal> {
    let context = ready(passive, adapter);
    let loot = bench.buffer(24, true, 0x55);
    let done = Arc::new(bench.machine.signal(passive, "the thief is done"));
    let (adapter, victim, inside, machine) = (
        adapter.clone(),
        victim.clone(),
        Arc::clone(&done),
        bench.machine.clone(),
    );
    bench.machine.spawn(Cpu(1), "thief", move |passive| {
        let free = |passive: &mut Passive, context: &TransferContext| {
            machine.raise(passive, |dispatch| {
                adapter.free_channel(dispatch, context).is_ok()
            })
        };
        while !free(passive, &victim) {
            machine.relax();
        }
        let wanted = Allocation {
            device_object: DEVICE,
            registers: 1,
            flags: AllocationFlags::SYNCHRONOUS,
            routine: None,
        };
        machine.raise(passive, |dispatch| {
            adapter.allocate_channel(dispatch, &context, wanted).unwrap();
        });
        let segments = [loot.range()];
        adapter
            .map_transfer(&*passive, &context, request(&segments, 24, true))
            .unwrap();
        while adapter.poll(&*passive, &context).outcome.is_none() {
            machine.relax();
        }
        flush(&adapter, &*passive, &context, loot.range(), 24, true);
        assert!(free(passive, &context));
        inside.set();
    });
    done
}

/// The registers of a mapping are nobody else's until its flush has copied them out.
///
/// Proves: WDM-173.
#[test]
fn nobody_frees_registers_that_a_flush_still_copies() {
    narrow(200, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(24, true, 0xee);
        let segments = [buffer.range()];
        bench.port.supply(&pattern(24));
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        bench.map_and_wait(passive, &adapter, &context, request(&segments, 24, false));
        let done = thief(bench, passive, &adapter, &context);
        flush(&adapter, &*passive, &context, buffer.range(), 24, false);
        assert_eq!(bench.read(buffer.range()), pattern(24));
        let _ = done.wait(passive);
        assert_eq!(bench.port.taken(), [0x55; 24]);
    });
}

/// Nor while a map copies into them.
#[test]
fn nobody_frees_registers_that_a_map_still_fills() {
    narrow(200, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(24, true, 0xee);
        let segments = [buffer.range()];
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        let done = thief(bench, passive, &adapter, &context);
        let mapped = adapter.map_transfer(&*passive, &context, request(&segments, 24, true));
        let mut sent = Vec::new();
        if mapped.is_ok() {
            while adapter.poll(&*passive, &context).outcome.is_none() {
                bench.machine.relax();
            }
            sent = vec![0xee; 24];
            flush(&adapter, &*passive, &context, buffer.range(), 24, true);
        }
        let _ = done.wait(passive);
        sent.extend([0x55; 24]);
        assert_eq!(bench.port.taken(), sent);
    });
}
