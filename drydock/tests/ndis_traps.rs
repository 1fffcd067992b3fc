//! Mistakes of an older set-up and completion, one by one, and that none of them is made here.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::ready;
use bench::narrow::{Habits, Narrow, narrow, narrow_run};
use bench::nic::{
    Loose, Nic, SET_UP, SUCCESS, calls, inside, misuses, narrow_nic, receive, said, wait_for_port,
};
use bench::one;
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_drydock::machine::{Machine, Step, What};
use longshore_drydock::reference::CancelStyle;
use longshore_drydock::{Plan, Run};
use longshore_hardware::{BusAddress, BusRange};
use longshore_ndis::{Direction, NdisStatus, WhyNotSetUp};
use longshore_wdm::{Adapter, MapError, TransferContext};
use std::sync::atomic::Ordering;

use Direction::{ReadFromDevice, WriteToDevice};

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

/// Trap (a): counted by the length alone, one register would do for a page's worth that does not begin a page.
///
/// Proves: NDIS-063.
#[test]
fn trap_a_registers_are_counted_with_the_offset_in_the_page() {
    narrow(5, Habits::default(), |bench, passive| {
        let nic = narrow_nic(bench, passive, 0);
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
                .set_up(
                    &*passive,
                    Loose::at([buffer.range()]),
                    offset,
                    length,
                    WriteToDevice,
                )
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
    let nic = narrow_nic(bench, passive, 0);
    let buffer = bench.buffer(8192, true, 0);
    let segments = [buffer.range()];
    let others = Other::with(bench, passive, 3);
    let refused = nic
        .channel
        .set_up(&*passive, Loose::at(segments), 0, 8192, WriteToDevice);
    assert_eq!(refused.unwrap_err().reason, WhyNotSetUp::NoRegisters);
    bench.machine.raise(passive, |dispatch| {
        let refused = nic
            .channel
            .set_up(dispatch, Loose::at(segments), 0, 8192, WriteToDevice);
        assert_eq!(refused.unwrap_err().reason, WhyNotSetUp::NoRegisters);
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
        let nic = narrow_nic(bench, passive, 0);
        let buffer = bench.buffer(8192, true, 0);
        let segments = [buffer.range()];
        receive(bench, passive, &nic, &segments, 8192);
        bench.programs();
        let others = Other::with(bench, passive, 3);
        let refused = nic
            .channel
            .set_up(&*passive, Loose::at(segments), 0, 8192, WriteToDevice);
        assert_eq!(refused.unwrap_err().reason, WhyNotSetUp::NoRegisters);
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
        let (first, second) = (narrow_nic(bench, passive, 0), narrow_nic(bench, passive, 1));
        let (one, two) = (bench.buffer(8, true, 0), bench.buffer(4096, true, 0));
        bench.port.supply(&[1; 8]);
        bench.second_port.supply(&[2; 4096]);
        let up = |nic: &Nic, range: BusRange| {
            let length = range.len() as u32;
            nic.channel
                .set_up(&*passive, Loose::at([range]), 0, length, ReadFromDevice)
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
        let nic = narrow_nic(bench, passive, 0);
        let (buffer, other) = (bench.buffer(8, true, 0), bench.buffer(8192, true, 9));
        bench.port.supply(&[7; 8]);
        let set_up = nic
            .channel
            .set_up(&*passive, Loose::at([buffer.range()]), 0, 8, ReadFromDevice);
        let again = nic
            .channel
            .set_up(&*passive, Loose::at([other.range()]), 0, 8192, WriteToDevice);
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
        let nic = narrow_nic(&bench, passive, 0);
        let nowhere = BusRange::new(BusAddress::new(1 << 50), 8).unwrap();
        let there = bench.buffer(8, true, 0);
        bench.port.supply(&[7; 16]);
        let set_up = nic.channel.set_up(
            &*passive,
            Loose::at([nowhere, there.range()]),
            0,
            16,
            ReadFromDevice,
        );
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
        let nic = narrow_nic(bench, passive, 0);
        let buffer = bench.buffer(64, true, 0);
        bench.controller.refuses.store(true, Ordering::Relaxed);
        let refused = nic
            .channel
            .set_up(&*passive, Loose::at([buffer.range()]), 0, 64, WriteToDevice);
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
