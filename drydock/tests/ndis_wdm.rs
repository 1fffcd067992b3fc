//! What NDIS asks of WDM below it: which calls, in which order, at which level, and how many map registers.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::DEVICE;
use bench::driver::ready;
use bench::narrow::{Habits, Narrow, narrow, narrow_run};
use bench::nic::{
    COMPLETE, DEREGISTER, Loose, READ, REGISTER, SET_UP, SUCCESS, calls, inside, misuses, narrow_nic,
    receive, said, wait_for_port,
};
use longshore_core::machine::Machine as _;
use longshore_core::{Event, Irql, Passive};
use longshore_drydock::machine::{Step, What};
use longshore_drydock::{Plan, Run};
use longshore_hardware::BusRange;
use longshore_ndis::{Direction, NdisStatus, WhyNotSetUp};
use longshore_wdm::{Allocation, AllocationFlags, IoAllocationAction};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use Direction::{ReadFromDevice, WriteToDevice};

fn straight(scenario: impl Fn(&Narrow, &mut Passive) + Copy + Send + 'static) -> Run {
    narrow_run(Plan::straight(), Habits::default(), scenario)
}

/// One transfer that is waited for, and one that is completed early.
fn two_transfers(bench: &Narrow, passive: &mut Passive) {
    let nic = narrow_nic(bench, passive, 0);
    let buffer = bench.buffer(24, true, 0);
    receive(bench, passive, &nic, &[buffer.range()], 24);
    let set_up = nic
        .channel
        .set_up(&*passive, Loose::at([buffer.range()]), 0, 24, ReadFromDevice);
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
        let nic = narrow_nic(bench, passive, 0);
        let (near, far) = (bench.buffer(16, false, 0), bench.buffer(16, true, 0));
        // One descriptor of two pieces: one call all the same.
        receive(bench, passive, &nic, &[near.range(), far.range()], 32);
        receive(bench, passive, &nic, &[near.range()], 16);
        let refused = nic
            .channel
            .set_up(&*passive, Loose::at([near.range()]), 0, 17, ReadFromDevice);
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
        let nic = narrow_nic(bench, passive, 0);
        let buffer = bench.buffer(8192, true, 0);
        let set_up = nic
            .channel
            .set_up(&*passive, Loose::at([buffer.range()]), 0, 8192, ReadFromDevice);
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
        let nic = narrow_nic(bench, passive, 0);
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
        let set_up = nic
            .channel
            .set_up(&*passive, Loose::at(&packet), 0, 6010, WriteToDevice);
        take(16 + 6010);
        assert_eq!(said(set_up.unwrap().complete(&*passive).unwrap()), SUCCESS);
        let expected = [vec![1; 1000], vec![4; 10], vec![2; 5000]].concat();
        assert!(bench.port.taken()[16..] == expected, "every byte, in order");
        // Part of it, from the middle of one piece into the next.
        let boxed: Box<[BusRange]> = packet.into();
        let set_up = nic
            .channel
            .set_up(&*passive, Loose::at(boxed), 995, 20, WriteToDevice);
        take(16 + 6010 + 20);
        assert_eq!(said(set_up.unwrap().complete(&*passive).unwrap()), SUCCESS);
        let expected = [vec![1; 5], vec![4; 10], vec![2; 5]].concat();
        assert_eq!(bench.port.taken()[16 + 6010..], expected);
        nic.halt(passive);
    });
}
