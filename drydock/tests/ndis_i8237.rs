//! A miniport on the real 8237A's driver and model: bytes and words, cascading, and how far it reaches.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod at;
mod bench;

use at::{Hardware, LENGTH, SEATS, pattern, width};
use bench::nic::{COMPLETE, Loose, Nic, READ, SET_UP, SUCCESS, broken, inside, misuses, touches_hardware};
use bench::{Bench, explore_runs, go, strike_runs};
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_drydock::Run;
use longshore_drydock::machine::{Machine, Memory};
use longshore_hardware::{DmaMemory, Lease};
use longshore_models::i8237::Quirks;
use longshore_ndis::{
    Attributes, Direction, DmaDescription, Miniport, NdisStatus, RegisterError, Registration, WhyNotSetUp,
};
use longshore_wdm::{AdapterError, MapError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use Direction::{ReadFromDevice, WriteToDevice};

/// What a NIC on this channel registers.
fn registration(channel: u32) -> Registration {
    Registration {
        description: DmaDescription {
            channel: Some(channel),
            width: width(channel),
            ..DmaDescription::default()
        },
        ..Registration::new(0x1_0000)
    }
}

fn nic(bench: &Bench, passive: &Passive, channel: u32) -> Nic {
    Nic::on(&bench.platform, passive, None, registration(channel)).unwrap()
}

fn bus_master(bench: &Bench, passive: &Passive, channel: u32) -> Result<Nic, RegisterError> {
    let attributes = Attributes::ISA_BUS_MASTER;
    let registration = registration(channel);
    Nic::with(&bench.platform, passive, None, attributes, registration)
}

fn buffer(machine: &Machine) -> Lease<Memory> {
    Lease::new(machine.memory(), u64::from(LENGTH), 64).unwrap()
}

/// Runs a scenario on the controllers of the data sheet, under so many seeds.
fn on_pair(seeds: u64, scenario: impl Fn(&Bench, &Hardware, &Passive) + Copy + Send + 'static) -> Vec<Run> {
    explore_runs(seeds, "", |plan| {
        go(plan, move |machine, passive| {
            let hardware = Hardware::new(machine, Quirks::empty());
            let bench = hardware.bench(machine, passive);
            scenario(&bench, &hardware, passive);
        })
    })
}

/// A NIC that asks too early is not heard: the channel is masked until it is set up, and then all is moved.
///
/// Proves: NDIS-036, NDIS-031.
#[test]
fn a_nic_that_asks_before_its_set_up_gets_nothing_moved() {
    on_pair(30, |bench, hardware, passive| {
        for channel in SEATS {
            let nic = nic(bench, passive, channel);
            let machine = &bench.machine;
            let buffer = buffer(machine);
            let before = machine.look(buffer.range());
            hardware.device(channel).supply(&pattern(LENGTH));
            for _ in 0..50 {
                machine.relax();
                assert_eq!(machine.look(buffer.range()), before);
            }
            let set_up = nic.channel.set_up(passive, buffer, 0, LENGTH, ReadFromDevice);
            let set_up = set_up.unwrap();
            while set_up.remaining(passive) > 0 {
                machine.relax();
            }
            let completed = set_up.complete(passive).unwrap();
            assert_eq!((completed.status, completed.residual), SUCCESS);
            assert_eq!(machine.look(completed.buffer.range()), pattern(LENGTH));
            // Between two transfers too it is masked.
            hardware.device(channel).supply(&pattern(LENGTH));
            machine
                .memory()
                .write(completed.buffer.address(), &[0; 24])
                .unwrap();
            for _ in 0..50 {
                machine.relax();
            }
            assert_eq!(machine.look(completed.buffer.range()), [0; 24]);
            hardware.device(channel).clear();
            nic.halt(passive);
        }
    });
}

/// What the counter says is what has not arrived, in bytes: before, meanwhile and after.
///
/// Proves: NDIS-052, NDIS-050, NDIS-051, NDIS-046, RL-09.
#[test]
fn counter_and_residual_are_bytes_on_a_channel_of_words() {
    on_pair(40, |bench, hardware, passive| {
        for (channel, given) in [(5, 10), (7, LENGTH), (2, 11)] {
            let nic = nic(bench, passive, channel);
            let machine = &bench.machine;
            let buffer = buffer(machine);
            let range = buffer.range();
            machine.memory().write(buffer.address(), &[0; 24]).unwrap();
            assert_eq!(nic.channel.read_counter(passive), 0);
            hardware
                .device(channel)
                .supply(&pattern(LENGTH)[..given as usize]);
            let set_up = nic.channel.set_up(passive, buffer, 0, LENGTH, ReadFromDevice);
            let set_up = set_up.unwrap();
            let arrived = || {
                let bytes = machine.look(range);
                bytes.iter().take_while(|byte| **byte != 0).count() as u32
            };
            let mut last = LENGTH;
            while last > LENGTH - given {
                let not_before = LENGTH - arrived();
                let left = set_up.remaining(passive);
                assert!(left <= not_before && left >= LENGTH - arrived(), "{left} bytes");
                assert!(left <= last && left.is_multiple_of(1 << (channel / 4)));
                last = left;
                machine.relax();
            }
            assert_eq!(last, LENGTH - given);
            let completed = set_up.complete(passive).unwrap();
            let status = if given == LENGTH {
                NdisStatus::SUCCESS
            } else {
                NdisStatus::RESOURCES
            };
            assert_eq!((completed.status, completed.residual), (status, LENGTH - given));
            assert_eq!(nic.channel.read_counter(passive), LENGTH - given);
            hardware.device(channel).clear();
            nic.halt(passive);
        }
    });
}

/// Cut at any point by somebody else, in bytes or words: the residual is what did not arrive.
fn cut_anywhere(machine: &Machine, passive: &Passive, channel: u32) {
    let hardware = Hardware::new(machine, Quirks::empty());
    let bench = hardware.bench(machine, passive);
    let nic = Arc::new(nic(&bench, passive, channel));
    let buffer = buffer(machine);
    machine.memory().write(buffer.address(), &[0; 24]).unwrap();
    hardware.device(channel).supply(&pattern(LENGTH));
    let segments = [buffer.range()];
    let up = nic
        .channel
        .setup_dma_transfer(passive, Segments::new(&segments), 0, LENGTH, false);
    assert_eq!(up, NdisStatus::SUCCESS);
    let (other, over) = (Arc::clone(&nic), Arc::new(AtomicBool::new(false)));
    let done = Arc::clone(&over);
    machine.arm(move |dispatch| {
        let segments = Segments::new(&segments);
        let _ = other
            .channel
            .complete_dma_transfer(dispatch, segments, 0, LENGTH, false);
        done.store(true, Ordering::Relaxed);
    });
    while nic.channel.read_counter(passive) > 0 && !machine.struck() {
        machine.relax();
    }
    machine.disarm();
    let _ = nic
        .channel
        .complete_dma_transfer(passive, Segments::new(&segments), 0, LENGTH, false);
    // Who is refused has not got the buffer back: that is the winner's to say.
    while machine.struck() && !over.load(Ordering::Relaxed) {
        machine.relax();
    }
    let left = nic.channel.read_counter(passive);
    let arrived = (LENGTH - left) as usize;
    let bytes = machine.look(buffer.range());
    assert_eq!(bytes[..arrived], pattern(LENGTH)[..arrived]);
    assert!(
        bytes[arrived..].iter().all(|byte| *byte == 0),
        "{left}: {bytes:?}"
    );
}

/// Proves: NDIS-044, NDIS-052, RL-09, AMB-26.
#[test]
fn an_early_completion_is_exact_at_every_point() {
    for channel in [1, 5] {
        strike_runs(&format!("{channel}"), |plan| {
            go(plan, move |machine, passive| {
                cut_anywhere(machine, passive, channel)
            })
        });
    }
}

/// The widest alignment of those registered; a channel of words wants words.
///
/// Proves: NDIS-053.
#[test]
fn the_alignment_is_that_of_the_widest_channel() {
    let runs = on_pair(1, |bench, _, passive| {
        let miniport = Miniport::new(&bench.platform, None);
        let _ = miniport.initialize(passive, || {
            miniport.set_attributes(passive, Attributes::SUBORDINATE);
            let register = |channel| {
                miniport
                    .register_dma_channel(passive, registration(channel))
                    .unwrap()
            };
            let alignment = || miniport.dma_alignment(passive);
            let bytes = register(1);
            assert_eq!(alignment(), Some(1));
            let words = register(5);
            assert_eq!(alignment(), Some(2));
            bytes.deregister(passive).unwrap();
            assert_eq!(alignment(), Some(2));
            words.deregister(passive).unwrap();
            assert_eq!(alignment(), None);
            Err::<(), ()>(())
        });
    });
    for run in runs {
        assert_eq!(broken(&run), ["NDIS-053"]);
    }
}

/// A bus master is granted the bus while its channel is registered, and not before nor after. It sets nothing up, and what
/// it asks for meanwhile reaches no hardware.
///
/// Proves: NDIS-012, NDIS-018.
#[test]
fn a_bus_master_is_heard_while_its_channel_is_registered() {
    let runs = on_pair(30, |bench, hardware, passive| {
        for channel in SEATS {
            let (machine, device) = (&bench.machine, hardware.device(channel));
            let deaf = || {
                let before = device.acknowledged();
                for _ in 0..50 {
                    machine.relax();
                    assert_eq!(device.acknowledged(), before);
                }
            };
            device.make_room(2);
            deaf();
            let nic = bus_master(bench, passive, channel).unwrap();
            for _ in 0..3 {
                let before = device.acknowledged();
                while device.acknowledged() == before {
                    machine.relax();
                }
            }
            let buffer = buffer(machine);
            let refused = nic
                .channel
                .set_up(passive, buffer, 0, LENGTH, WriteToDevice)
                .unwrap_err();
            assert_eq!(refused.reason, WhyNotSetUp::BusMaster);
            assert_eq!(refused.status, NdisStatus::RESOURCES);
            let segments = [refused.buffer.range()];
            let nothing =
                nic.channel
                    .complete_dma_transfer(passive, Segments::new(&segments), 0, LENGTH, true);
            assert_eq!(nothing, NdisStatus::RESOURCES);
            assert_eq!(nic.channel.read_counter(passive), 0);
            let before = device.acknowledged();
            while device.acknowledged() == before {
                machine.relax();
            }
            nic.halt(passive);
            deaf();
            assert_eq!(device.taken(), [], "the controller moved nothing");
            device.clear();
        }
    });
    for run in runs {
        let refused = ("NdisMCompleteDmaTransfer", "NDIS-045");
        assert_eq!(misuses(&run), [refused; 4]);
        for call in [SET_UP, COMPLETE, READ] {
            assert!(!inside(&run, call).iter().any(|steps| touches_hardware(steps)));
        }
    }
}

/// Proves: NDIS-012, NDIS-016.
#[test]
fn a_channel_is_a_bus_master_s_or_the_controller_s_and_never_both() {
    let runs = on_pair(1, |bench, hardware, passive| {
        let conflict = Err(RegisterError::Conflict);
        let subordinate = |channel| Nic::on(&bench.platform, passive, None, registration(channel)).map(drop);
        let master = |channel| bus_master(bench, passive, channel).map(drop);
        let device = hardware.device(5);
        device.make_room(2);
        let first = bus_master(bench, passive, 5).unwrap();
        assert_eq!((subordinate(5), master(5)), (conflict, conflict));
        // It is still heard.
        let before = device.acknowledged();
        while device.acknowledged() == before {
            bench.machine.relax();
        }
        device.clear();
        first.halt(passive);
        let second = nic(bench, passive, 5);
        assert_eq!((subordinate(5), master(5)), (conflict, conflict));
        second.halt(passive);
        bus_master(bench, passive, 5).unwrap().halt(passive);
        // The one through which the pair itself cascades is nobody's.
        let nobody_s = Err(RegisterError::Unserved(AdapterError::BadBinding));
        assert_eq!((subordinate(4), master(4)), (nobody_s, nobody_s));
    });
    for run in runs {
        assert_eq!(misuses(&run), []);
    }
}

/// What is no whole number of words, or does not begin at one, is refused where there are no registers to bring it there:
/// the bytes around it are nobody's to move.
///
/// Proves: NDIS-033, NDIS-052.
#[test]
fn a_channel_of_words_moves_whole_words() {
    on_pair(5, |bench, _, passive| {
        let nic = nic(bench, passive, 5);
        let buffer = buffer(&bench.machine);
        let unreached = WhyNotSetUp::NotMapped(MapError::Unreachable);
        let odd = [
            (0, 7, WhyNotSetUp::BadLength),
            (0, 1, WhyNotSetUp::BadLength),
            (1, 8, unreached),
        ];
        for (offset, length, why) in odd {
            let refused = nic
                .channel
                .set_up(passive, Loose::at(&buffer), offset, length, WriteToDevice);
            assert_eq!(refused.unwrap_err().reason, why);
        }
        let set_up = nic
            .channel
            .set_up(passive, Loose::at(&buffer), 2, 8, WriteToDevice);
        let cut = set_up.unwrap().complete(passive).unwrap();
        assert_eq!((cut.status, cut.residual), (NdisStatus::RESOURCES, 8));
        nic.halt(passive);
    });
}
