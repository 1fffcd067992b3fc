//! What NDIS asks of WDM below it: which calls, in which order, at which level, and how many map registers.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::ready;
use bench::narrow::{Habits, Narrow, narrow, narrow_run};
use bench::nic::{
    COMPLETE, DEREGISTER, Nic, READ, REGISTER, SET_UP, SUCCESS, calls, inside, misuses, on_channel, said,
    wait_for_port,
};
use bench::{DEVICE, one};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{Event, Irql, Passive};
use longshore_drydock::machine::{Machine, Step, What};
use longshore_drydock::reference::CancelStyle;
use longshore_drydock::{Plan, Run};
use longshore_hardware::{BusAddress, BusRange};
use longshore_ndis::{Direction, DmaDescription, NdisStatus, Registration, WhyNotSetUp};
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, DmaWidth, IoAllocationAction, MapError, TransferContext,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use Direction::{ReadFromDevice, WriteToDevice};

/// A NIC on a channel of the narrow bench, for transfers of up to two pages.
fn nic(bench: &Narrow, passive: &Passive, channel: u32) -> Nic {
    let registration = Registration {
        description: DmaDescription {
            width: DmaWidth::BITS_32,
            ..DmaDescription::default()
        },
        ..Registration::new(8192)
    };
    Nic::on(&bench.platform, passive, Some(on_channel(channel)), registration).unwrap()
}

/// A receive that goes through, of whatever is in the buffer's reach or not.
fn receive(bench: &Narrow, passive: &Passive, nic: &Nic, buffer: &[BusRange], length: u32) {
    let before = bench.port.moved();
    bench.port.supply(&vec![7; length as usize]);
    let set_up = nic.channel.set_up(passive, buffer, 0, length, ReadFromDevice);
    wait_for_port(&bench.machine, &bench.port, before + u64::from(length));
    assert_eq!(said(set_up.unwrap().complete(passive).unwrap()), SUCCESS);
    for range in buffer {
        assert!(bench.read(*range).iter().all(|byte| *byte == 7));
    }
}

/// Somebody else who has so many map registers.
struct Other {
    adapter: Adapter<Machine>,
    context: TransferContext,
}

impl Other {
    fn with(bench: &Narrow, passive: &mut Passive, registers: u32) -> Self {
        let adapter = bench.adapter(passive, 1);
        let context = ready(passive, &adapter);
        bench.allocate(passive, &adapter, &context, registers).unwrap();
        Self { adapter, context }
    }

    fn free(self, bench: &Narrow, passive: &mut Passive) {
        bench.free(passive, &self.adapter, &self.context);
    }
}

fn straight(scenario: impl Fn(&Narrow, &mut Passive) + Copy + Send + 'static) -> Run {
    narrow_run(Plan::straight(), Habits::default(), scenario)
}

/// One transfer that is waited for, and one that is completed early.
fn two_transfers(bench: &Narrow, passive: &mut Passive) {
    let nic = nic(bench, passive, 0);
    let buffer = bench.buffer(24, true, 0);
    receive(bench, passive, &nic, &[buffer.range()], 24);
    let set_up = nic
        .channel
        .set_up(&*passive, [buffer.range()], 0, 24, ReadFromDevice);
    assert_eq!(nic.channel.read_counter(&*passive), 24);
    let cut = said(set_up.unwrap().complete(&*passive).unwrap());
    assert_eq!(cut, (NdisStatus::RESOURCES, 24));
    nic.halt(passive);
}

/// Proves: NDIS-060.
#[test]
fn the_five_calls_become_wdm_s() {
    let run = straight(two_transfers);
    let below = |name| -> Vec<Vec<&str>> { inside(&run, name).iter().map(|steps| calls(steps)).collect() };
    let set_up = vec![
        "KeFlushIoBuffers",
        "InitializeDmaTransferContext",
        "AllocateAdapterChannelEx",
        "MapTransferEx",
    ];
    assert_eq!(below(REGISTER), [["IoGetDmaAdapter"]]);
    assert_eq!(below(SET_UP), [set_up.clone(), set_up]);
    assert_eq!(below(READ), [["ReadDmaCounter"]]);
    let completes = [
        vec!["FlushAdapterBuffersEx", "FreeAdapterChannel"],
        vec![
            "CancelMappedTransfer",
            "FlushAdapterBuffersEx",
            "FreeAdapterChannel",
        ],
    ];
    assert_eq!(below(COMPLETE), completes);
    assert_eq!(below(DEREGISTER), [["PutDmaAdapter"]]);
    assert_eq!(misuses(&run), [], "nor was WDM misused");
}

/// Once for each set-up, before the hardware is touched, and not for one that is refused for its length.
///
/// Proves: NDIS-062, NDIS-060.
#[test]
fn the_caches_are_flushed_once_just_before_the_transfer_starts() {
    let run = straight(|bench, passive| {
        let nic = nic(bench, passive, 0);
        let (near, far) = (bench.buffer(16, false, 0), bench.buffer(16, true, 0));
        // One descriptor of two pieces: one call all the same.
        receive(bench, passive, &nic, &[near.range(), far.range()], 32);
        receive(bench, passive, &nic, &[near.range()], 16);
        let refused = nic
            .channel
            .set_up(&*passive, [near.range()], 0, 17, ReadFromDevice);
        assert_eq!(refused.unwrap_err().reason, WhyNotSetUp::BadLength);
        nic.halt(passive);
    });
    let set_ups = inside(&run, SET_UP);
    let flushes = |steps: &[&Step]| {
        let flush = |step: &&&Step| step.what == What::Event(Event::Call("KeFlushIoBuffers"));
        steps.iter().filter(flush).count()
    };
    assert_eq!(
        set_ups.iter().map(|steps| flushes(steps)).collect::<Vec<_>>(),
        [1, 1, 0]
    );
    for steps in &set_ups[..2] {
        let starts = steps
            .iter()
            .position(|step| matches!(step.what, What::RegisterWritten(..)))
            .unwrap();
        assert_eq!(flushes(&steps[..starts]), 1, "it comes before the start");
    }
    let all: Vec<&Step> = run.trace.iter().collect();
    assert_eq!(flushes(&all), 2, "and nowhere else");
}

/// Whoever waits for map registers that NDIS has gets them when NDIS completes.
///
/// Proves: NDIS-061.
#[test]
fn a_request_of_wdm_s_that_waits_for_registers_is_granted_by_the_completion() {
    narrow(40, Habits::default(), |bench, passive| {
        let nic = nic(bench, passive, 0);
        let buffer = bench.buffer(8192, true, 0);
        let set_up = nic
            .channel
            .set_up(&*passive, [buffer.range()], 0, 8192, ReadFromDevice);
        assert_eq!(bench.pool.in_use(), 2);
        let other = bench.adapter(passive, 1);
        let context = ready(passive, &other);
        let granted = Arc::new(AtomicU32::new(0));
        let inside = Arc::clone(&granted);
        let request = Allocation {
            device_object: DEVICE,
            registers: 3,
            flags: AllocationFlags::ASYNCHRONOUS,
            routine: Some(Box::new(move |_, _, _| {
                inside.fetch_add(1, Ordering::Relaxed);
                IoAllocationAction::KEEP_OBJECT
            })),
        };
        bench.machine.raise(passive, |dispatch| {
            other.allocate_channel(dispatch, &context, request).unwrap();
        });
        assert_eq!(granted.load(Ordering::Relaxed), 0, "it waits");
        let _ = set_up.unwrap().complete(&*passive).unwrap();
        assert_eq!(granted.load(Ordering::Relaxed), 1);
        assert_eq!(bench.pool.in_use(), 3);
        bench.free(passive, &other, &context);
        nic.halt(passive);
    });
}

/// From PASSIVE too, the channel is asked for and freed at DISPATCH; and the flush, of the first address on, is over before
/// the registers go.
///
/// Proves: NDIS-061, NDIS-040.
#[test]
fn a_channel_is_freed_at_dispatch_after_its_flush() {
    let run = straight(two_transfers);
    let level_of = |wanted: &str| {
        let call = |step: &&Step| matches!(step.what, What::Event(Event::Call(name)) if name == wanted);
        let levels = run.trace.iter().filter(call).map(|step| step.level);
        levels.collect::<Vec<_>>()
    };
    assert_eq!(level_of(COMPLETE), [Irql::PASSIVE; 2]);
    assert_eq!(level_of("AllocateAdapterChannelEx"), [Irql::DISPATCH; 2]);
    assert_eq!(level_of("FreeAdapterChannel"), [Irql::DISPATCH; 2]);
    for steps in inside(&run, COMPLETE) {
        let place = |what: fn(What) -> bool| steps.iter().position(|step| what(step.what)).unwrap();
        let flushed = place(
            |what| matches!(what, What::Event(Event::Return("FlushAdapterBuffersEx", status)) if status.is_success()),
        );
        let freed = place(|what| what == What::Event(Event::Call("FreeAdapterChannel")));
        assert!(flushed < freed);
    }
}

/// Any one descriptor does: a lease, a borrowed list, ranges in a box; in one piece or scattered over pages in any order,
/// which go through map registers as one run.
///
/// Proves: NDIS-035, AMB-25.
#[test]
fn any_one_descriptor_can_be_set_up() {
    narrow(20, Habits::default(), |bench, passive| {
        let nic = nic(bench, passive, 0);
        let take = |length: u64| {
            let moved = bench.port.moved();
            wait_for_port(&bench.machine, &bench.port, moved.max(length));
        };
        // The driver's own staging buffer, which the transfer owns meanwhile.
        let lease = bench.buffer(16, false, 3);
        let set_up = nic.channel.set_up(&*passive, lease, 0, 16, WriteToDevice);
        take(16);
        let completed = set_up.unwrap().complete(&*passive).unwrap();
        assert_eq!((completed.status, completed.residual), SUCCESS);
        assert_eq!(bench.port.taken(), [3; 16]);
        assert_eq!(bench.read(completed.buffer.range()), [3; 16]);
        // A list that somebody else has, such as a packet's; out of reach and out of order.
        let (two, one) = (bench.buffer(5000, true, 2), bench.buffer(1000, true, 1));
        let near = bench.buffer(10, false, 4);
        let packet = vec![one.range(), near.range(), two.range()];
        let set_up = nic.channel.set_up(&*passive, &packet, 0, 6010, WriteToDevice);
        take(16 + 6010);
        assert_eq!(said(set_up.unwrap().complete(&*passive).unwrap()), SUCCESS);
        let expected = [vec![1; 1000], vec![4; 10], vec![2; 5000]].concat();
        assert!(bench.port.taken()[16..] == expected, "every byte, in order");
        // Part of it, from the middle of one piece into the next.
        let boxed: Box<[BusRange]> = packet.into();
        let set_up = nic.channel.set_up(&*passive, boxed, 995, 20, WriteToDevice);
        take(16 + 6010 + 20);
        assert_eq!(said(set_up.unwrap().complete(&*passive).unwrap()), SUCCESS);
        let expected = [vec![1; 5], vec![4; 10], vec![2; 5]].concat();
        assert_eq!(bench.port.taken()[16 + 6010..], expected);
        nic.halt(passive);
    });
}

/// Trap (a): counted by the length alone, one register would do for a page's worth that does not begin a page.
///
/// Proves: NDIS-063.
#[test]
fn trap_a_registers_are_counted_with_the_offset_in_the_page() {
    narrow(5, Habits::default(), |bench, passive| {
        let nic = nic(bench, passive, 0);
        let buffer = bench.buffer(3 * 4096, true, 0);
        for (offset, length, registers) in [
            (0, 4096, 1),
            (1, 4096, 2),
            (4095, 2, 2),
            (4096, 4096, 1),
            (100, 8192, 3),
            (0, 1, 1),
        ] {
            let set_up = nic
                .channel
                .set_up(&*passive, [buffer.range()], offset, length, WriteToDevice)
                .unwrap();
            assert_eq!(bench.pool.in_use(), registers, "{length} from {offset}");
            let _ = set_up.complete(&*passive);
            assert_eq!(bench.pool.in_use(), 0);
        }
        nic.halt(passive);
    });
}

/// Set-up while somebody else has all map registers: refused, at either level.
fn refused_while_taken(bench: &Narrow, passive: &mut Passive) {
    let nic = nic(bench, passive, 0);
    let buffer = bench.buffer(8192, true, 0);
    let segments = [buffer.range()];
    let others = Other::with(bench, passive, 3);
    let refused = nic.channel.set_up(&*passive, segments, 0, 8192, WriteToDevice);
    assert_eq!(refused.unwrap_err().reason, WhyNotSetUp::ChannelTaken);
    bench.machine.raise(passive, |dispatch| {
        let refused = nic.channel.set_up(dispatch, segments, 0, 8192, WriteToDevice);
        assert_eq!(refused.unwrap_err().reason, WhyNotSetUp::ChannelTaken);
    });
    assert_eq!(bench.pool.in_use(), 3, "they are still the other one's");
    others.free(bench, passive);
    for _ in 0..20 {
        bench.machine.relax();
    }
    assert_eq!(bench.pool.in_use(), 0, "nobody had queued");
    receive(bench, passive, &nic, &segments, 8192);
    nic.halt(passive);
}

/// Trap (b): a wait for the grant, which nobody may do at DISPATCH.
///
/// Proves: NDIS-063, NDIS-064, NDIS-030.
#[test]
fn trap_b_a_set_up_never_waits() {
    narrow(30, Habits::default(), refused_while_taken);
    let run = straight(refused_while_taken);
    let set_ups = inside(&run, SET_UP);
    assert_eq!(set_ups.len(), 3);
    let waits = |step: &&Step| matches!(step.what, What::Waits(_) | What::Armed(..) | What::Queued(_));
    assert_eq!(set_ups.iter().flatten().find(|step| waits(step)), None);
    // It asks once, and not until it is granted.
    let allocates = |steps: &Vec<&Step>| {
        let asked = calls(steps).into_iter();
        asked.filter(|name| *name == "AllocateAdapterChannelEx").count()
    };
    assert_eq!(set_ups.iter().map(allocates).collect::<Vec<_>>(), [1, 1, 1]);
}

/// Trap (c): the first grant's event is still signalled when the second set-up looks at it.
///
/// Proves: NDIS-063.
#[test]
fn trap_c_each_set_up_has_a_grant_of_its_own() {
    narrow(20, Habits::default(), |bench, passive| {
        let nic = nic(bench, passive, 0);
        let buffer = bench.buffer(8192, true, 0);
        let segments = [buffer.range()];
        receive(bench, passive, &nic, &segments, 8192);
        bench.programs();
        let others = Other::with(bench, passive, 3);
        let refused = nic.channel.set_up(&*passive, segments, 0, 8192, WriteToDevice);
        assert_eq!(refused.unwrap_err().reason, WhyNotSetUp::ChannelTaken);
        assert!(bench.programs().is_empty(), "it started on the old grant");
        others.free(bench, passive);
        receive(bench, passive, &nic, &segments, 8192);
        nic.halt(passive);
    });
}

/// Trap (d): the grant is taken for another channel's, so that its registers end up there.
///
/// Proves: NDIS-063.
#[test]
fn trap_d_the_grant_is_this_channel_s() {
    narrow(40, Habits::default(), |bench, passive| {
        let (first, second) = (nic(bench, passive, 0), nic(bench, passive, 1));
        let (one, two) = (bench.buffer(8, true, 0), bench.buffer(4096, true, 0));
        bench.port.supply(&[1; 8]);
        bench.second_port.supply(&[2; 4096]);
        let up = |nic: &Nic, range: BusRange| {
            let length = range.len() as u32;
            nic.channel
                .set_up(&*passive, [range], 0, length, ReadFromDevice)
                .unwrap()
        };
        let (first_up, second_up) = (up(&first, one.range()), up(&second, two.range()));
        assert_eq!(bench.pool.in_use(), 2);
        let lines = bench.controller.hints.lock().unwrap().clone();
        let lines: Vec<_> = lines.into_iter().map(|(line, ..)| line).collect();
        assert_eq!(lines, [0, 1]);
        wait_for_port(&bench.machine, &bench.second_port, 4096);
        assert_eq!(said(second_up.complete(&*passive).unwrap()), SUCCESS);
        assert_eq!(bench.pool.in_use(), 1, "the first one's is still its own");
        wait_for_port(&bench.machine, &bench.port, 8);
        assert_eq!(said(first_up.complete(&*passive).unwrap()), SUCCESS);
        assert_eq!(bench.read(one.range()), [1; 8]);
        assert!(bench.read(two.range()) == [2; 4096]);
        first.halt(passive);
        second.halt(passive);
    });
}

/// Trap (e): a second set-up queues behind the first and hangs, or is granted when nobody wants it any more.
///
/// Proves: NDIS-063, NDIS-032.
#[test]
fn trap_e_a_second_set_up_is_refused_and_leaves_nothing_behind() {
    let run = straight(|bench, passive| {
        let nic = nic(bench, passive, 0);
        let (buffer, other) = (bench.buffer(8, true, 0), bench.buffer(8192, true, 9));
        bench.port.supply(&[7; 8]);
        let set_up = nic
            .channel
            .set_up(&*passive, [buffer.range()], 0, 8, ReadFromDevice);
        let again = nic
            .channel
            .set_up(&*passive, [other.range()], 0, 8192, WriteToDevice);
        assert_eq!(again.unwrap_err().reason, WhyNotSetUp::InProgress);
        assert_eq!(bench.pool.in_use(), 1);
        wait_for_port(&bench.machine, &bench.port, 8);
        assert_eq!(said(set_up.unwrap().complete(&*passive).unwrap()), SUCCESS);
        for _ in 0..20 {
            bench.machine.relax();
        }
        assert_eq!(bench.pool.in_use(), 0);
        assert_eq!(bench.programs().len(), 1);
        assert_eq!(bench.read(buffer.range()), [7; 8]);
        nic.halt(passive);
    });
    let set_ups = inside(&run, SET_UP);
    assert_eq!(calls(&set_ups[1]), [""; 0], "it reached WDM");
}

/// Trap (f): the flush fails, and the channel stays taken for ever.
///
/// Proves: NDIS-063, NDIS-041, RL-09.
#[test]
fn trap_f_a_flush_that_fails_frees_the_channel_all_the_same() {
    let run = one(Plan::straight(), CancelStyle::Honest, true, |bench, passive| {
        let bench = Narrow::new(&bench.machine, passive, Habits::default());
        let nic = nic(&bench, passive, 0);
        let nowhere = BusRange::new(BusAddress::new(1 << 50), 8).unwrap();
        let there = bench.buffer(8, true, 0);
        bench.port.supply(&[7; 16]);
        let set_up = nic
            .channel
            .set_up(&*passive, [nowhere, there.range()], 0, 16, ReadFromDevice);
        wait_for_port(&bench.machine, &bench.port, 16);
        let completed = set_up.unwrap().complete(&*passive).unwrap();
        // The device has given them all, so the counter says so; that they are there, nobody says.
        assert_eq!(said(completed), (NdisStatus::RESOURCES, 0));
        assert_eq!(nic.channel.read_counter(&*passive), 0);
        assert_eq!(bench.read(there.range()), [7; 8], "the rest is there");
        bench.expect_nothing_held();
        receive(&bench, passive, &nic, &[there.range()], 8);
        nic.halt(passive);
    });
    let found: Vec<_> = run.findings.iter().map(|finding| finding.rule.0).collect();
    assert_eq!(found, ["WDM-171"], "{:#?}", run.findings);
}

/// Trap (g): a set-up that got no channel frees one, which is somebody else's.
///
/// Proves: NDIS-063.
#[test]
fn trap_g_a_set_up_that_got_nothing_frees_nothing() {
    let run = straight(refused_while_taken);
    let set_ups = inside(&run, SET_UP);
    let frees = |steps: &Vec<&Step>| calls(steps).contains(&"FreeAdapterChannel");
    assert_eq!(set_ups.iter().filter(|steps| frees(steps)).count(), 0);
    assert_eq!(misuses(&run), []);
}

/// A set-up that got the channel and could not start gives it back, and the next one works.
///
/// Proves: NDIS-031, NDIS-063.
#[test]
fn a_set_up_that_cannot_start_gives_the_channel_back() {
    narrow(20, Habits::default(), |bench, passive| {
        let nic = nic(bench, passive, 0);
        let buffer = bench.buffer(64, true, 0);
        bench.controller.refuses.store(true, Ordering::Relaxed);
        let refused = nic
            .channel
            .set_up(&*passive, [buffer.range()], 0, 64, WriteToDevice);
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason, WhyNotSetUp::NotMapped(MapError::NotStarted));
        assert_eq!(refused.status, NdisStatus::RESOURCES);
        bench.expect_nothing_held();
        let none =
            nic.channel
                .complete_dma_transfer(&*passive, Segments::new(&[buffer.range()]), 0, 64, true);
        assert_eq!(none, NdisStatus::RESOURCES);
        receive(bench, passive, &nic, &[buffer.range()], 64);
        nic.halt(passive);
    });
}
