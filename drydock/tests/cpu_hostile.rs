//! What the CPU engine does with hostile chains, and how it reaches memory.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod rig;

use longshore_core::completion::Cause;
use longshore_core::machine::Machine as _;
use longshore_drydock::Config as Dock;
use longshore_drydock::machine::{View, What};
use longshore_engines::cpu::Config;
use longshore_hardware::netdma::{ControlFlags, DESCRIPTOR_SIZE, Descriptor, TransferStatus};
use longshore_hardware::{BusAddress, BusRange, DmaMemory};
use longshore_netdma::state::State;
use rig::*;

/// Makes a descriptor evil. It says where the engine must stop, and why.
type Evil = fn(&Rig, &mut Descriptor) -> (BusAddress, Cause);

fn evils() -> [(&'static str, Evil); 12] {
    [
        ("a source outside of memory", |rig, d| {
            d.source = BusAddress::new(u64::MAX - 63);
            (rig.at(1), Cause::BUS)
        }),
        ("a destination outside of memory", |rig, d| {
            d.destination = BusAddress::new(1 << 40);
            (rig.at(1), Cause::BUS)
        }),
        ("a destination that memory ends in", |rig, d| {
            d.destination = BusAddress::new(Dock::default().memory - 8);
            (rig.at(1), Cause::BUS)
        }),
        ("4 GiB", |rig, d| {
            d.transfer_size = u32::MAX;
            (rig.at(1), Cause::PROGRAM)
        }),
        ("the completion word as destination", |rig, d| {
            d.destination = rig.word.address();
            (rig.at(1), Cause::PROGRAM)
        }),
        (
            "the completion word in the middle of the destination",
            |rig, d| {
                d.destination = BusAddress::new(rig.word.address().raw() - 32);
                (rig.at(1), Cause::PROGRAM)
            },
        ),
        ("the completion word behind a page break", |rig, d| {
            d.control |= ControlFlags::DESTINATION_PAGE_BREAK;
            d.destination = BusAddress::new(rig.word.address().raw() - 63);
            (rig.at(1), Cause::PROGRAM)
        }),
        ("a misaligned link", |_, d| {
            d.next = BusAddress::new(0x1001);
            (d.next, Cause::PROGRAM)
        }),
        ("a link of eight bytes' alignment", |rig, d| {
            d.next = BusAddress::new(rig.at(2).raw() + 8);
            (d.next, Cause::PROGRAM)
        }),
        ("a link outside of memory", |_, d| {
            d.next = BusAddress::new(1 << 40);
            (d.next, Cause::BUS)
        }),
        ("an unknown type of operation", |rig, d| {
            d.control = ControlFlags::from_bits_retain(0x4200_0000);
            (rig.at(1), Cause::PROGRAM)
        }),
        ("the next descriptor as destination", |rig, d| {
            // What is copied there is a pattern and no descriptor.
            d.destination = rig.at(2);
            d.next = rig.at(2);
            (rig.at(2), Cause::PROGRAM)
        }),
    ]
}

/// Proves: NETDMA-055, NETDMA-102, AMB-01, AMB-05, AMB-07.
///
/// An error with its cause, in bounded time, and no byte outside of the named destinations.
#[test]
fn a_hostile_descriptor_ends_in_an_error_and_touches_nothing_else() {
    for kind in KINDS {
        for (name, evil) in evils() {
            let (run, allowed) = once(kind, move |machine, passive, kind| {
                let mut rig = Rig::new(machine, passive, kind);
                rig.prepare(0..3, ControlFlags::empty());
                let mut descriptor = rig.plain(1, ControlFlags::empty());
                descriptor.next = rig.at(2);
                let (at, cause) = evil(&rig, &mut descriptor);
                rig.put(1, descriptor);
                rig.start(passive, 0..3);
                rig.settle(passive);
                assert_eq!(rig.fault(), Some((at, cause)), "{name}");
                assert_eq!(rig.state(), State::Error, "{name}");
                let good = if at == rig.at(1) { rig.at(0) } else { rig.at(1) };
                assert_eq!(rig.word(), (good, TransferStatus::HALTED), "{name}");
                assert_eq!(rig.told(), [BusAddress::NULL], "{name}");
                assert!(!rig.append(passive, 3), "{name}");
                let named = BusRange::new(descriptor.destination, SIZE).unwrap();
                let allowed = [
                    BusRange::new(rig.data(8), 2 * SIZE).unwrap(),
                    if cause == Cause::PROGRAM && at == rig.at(1) {
                        BusRange::EMPTY
                    } else {
                        named
                    },
                    BusRange::new(rig.word.address(), 8).unwrap(),
                ];
                rig.close(passive);
                allowed
            });
            for range in written(&run) {
                let inside = |to: &BusRange| to.contains(range.start()) && range.end() <= to.end();
                assert!(allowed.iter().any(inside), "{name}: {range:?} was written");
            }
            assert!(run.points < 5_000, "{name}: {} points", run.points);
        }
    }
}

/// A descriptor is read once, whole: what is copied over it while it is done changes nothing about it.
#[test]
fn a_copy_onto_its_own_descriptor_is_done_as_it_was_read() {
    for kind in KINDS {
        let (run, (own, word)) = once(kind, |machine, passive, kind| {
            let mut rig = Rig::new(machine, passive, kind);
            let mut descriptor = rig.plain(0, STATUS);
            descriptor.destination = rig.at(0);
            rig.put(0, descriptor);
            rig.start(passive, 0..1);
            rig.settle(passive);
            assert_eq!(rig.word(), (rig.at(0), TransferStatus::IDLE));
            assert_eq!(rig.fault(), None);
            let mut bytes = vec![0; 64];
            machine.memory().read(rig.at(0), &mut bytes).unwrap();
            assert_eq!(bytes, rig.bytes(0));
            let own = BusRange::new(rig.at(0), SIZE).unwrap();
            let word = rig.word.range();
            rig.close(passive);
            (own, word)
        });
        assert!(written(&run).all(|range| range.overlaps(own) || range.overlaps(word)));
        assert_eq!(reads(&run, own), 1);
    }
}

/// Proves: AMB-16.
#[test]
fn a_chain_that_loops_is_driven_for_a_bounded_time_and_can_be_aborted() {
    let (run, ()) = once((Kind::Inline, V1), |machine, passive, kind| {
        let mut rig = Rig::new(machine, passive, kind);
        let mut descriptor = rig.plain(0, STATUS);
        descriptor.next = rig.at(0);
        rig.put(0, descriptor);
        rig.start(passive, 0..1);
        rig.port().drive(passive.into());
        assert_eq!(rig.state(), State::Active);
        rig.port().abort(passive.into()).unwrap();
        assert_eq!(rig.word(), (rig.at(0), TransferStatus::HALTED));
        rig.close(passive);
    });
    let pieces = written(&run).filter(|range| range.len() == PIECE).count();
    assert_eq!(pieces, Config::default().budget as usize);
}

/// Proves: AMB-16.
#[test]
fn the_count_of_version_2_ends_a_chain_that_loops() {
    for kind in [Kind::Shared, Kind::Inline] {
        let (run, ()) = once((kind, V2), |machine, passive, kind| {
            let mut rig = Rig::new(machine, passive, kind);
            let mut descriptor = rig.plain(0, STATUS);
            descriptor.next = rig.at(0);
            rig.put(0, descriptor);
            let first = rig.at(0);
            rig.port().start(passive.into(), first, 5).unwrap();
            rig.settle(passive);
            assert_eq!(rig.word(), (rig.at(0), TransferStatus::IDLE));
            assert_eq!(rig.state(), State::Idle);
            rig.close(passive);
        });
        assert_eq!(words(&run).len(), 5, "{kind:?}");
    }
}

/// What is copied onto the next descriptor is that descriptor from then on, if it is a sound one.
#[test]
fn a_copy_onto_the_next_descriptor_is_what_is_done_next() {
    for kind in KINDS {
        let (run, allowed) = once(kind, |machine, passive, kind| {
            let mut rig = Rig::new(machine, passive, kind);
            rig.prepare(0..2, STATUS);
            let other = rig.plain(3, STATUS).emit();
            machine.memory().write(rig.data(0), &other).unwrap();
            let mut descriptor = rig.plain(0, STATUS);
            descriptor.destination = rig.at(1);
            descriptor.next = rig.at(1);
            rig.put(0, descriptor);
            rig.start(passive, 0..2);
            rig.settle(passive);
            assert_eq!(
                (rig.word(), rig.fault()),
                ((rig.at(1), TransferStatus::IDLE), None)
            );
            assert!(rig.is_copied(3) && !rig.is_copied(1));
            let next = BusRange::new(rig.at(1), SIZE).unwrap();
            let named = BusRange::new(rig.data(8 + 3), SIZE).unwrap();
            let word = rig.word.range();
            rig.close(passive);
            [next, named, word]
        });
        let inside = |range: BusRange| allowed.iter().any(|to| range.overlaps(*to));
        assert!(written(&run).all(inside), "{kind:?}");
        assert!(run.points < 5_000, "{kind:?}: {} points", run.points);
    }
}

/// Proves: NETDMA-054, NETDMA-073, AMB-24.
///
/// In both versions a descriptor is read once, whole. In version 1 an append makes the engine look at the tail's link once
/// more, in version 2 at nothing. The count of version 1 decides nothing.
#[test]
fn a_descriptor_is_read_once_and_a_tail_of_version_2_never_again() {
    for kind in KINDS {
        let (run, descriptors) = once(kind, |machine, passive, kind| {
            let mut rig = Rig::new(machine, passive, kind);
            rig.prepare(0..2, STATUS);
            let count = if rig.counted { 2 } else { 99 };
            let first = rig.at(0);
            rig.port().start(passive.into(), first, count).unwrap();
            rig.settle(passive);
            assert_eq!(rig.word(), (rig.at(1), TransferStatus::IDLE));
            rig.prepare(2..3, STATUS);
            assert!(rig.append(passive, 2));
            rig.settle(passive);
            assert_eq!(rig.word(), (rig.at(2), TransferStatus::IDLE));
            assert!((0..3).all(|slot| rig.is_copied(slot)));
            let descriptors = [0, 1, 2].map(|slot| BusRange::new(rig.at(slot), DESCRIPTOR_SIZE).unwrap());
            rig.close(passive);
            descriptors
        });
        let whole = |range| {
            let reads = |what| what == What::Read(View::Device, range);
            run.trace.iter().filter(|step| reads(step.what)).count()
        };
        assert_eq!(descriptors.map(whole), [1; 3]);
        let again = usize::from(!kind.1.counted());
        assert_eq!(
            descriptors.map(|range| reads(&run, range)),
            [1, 1 + again, 1],
            "{kind:?}"
        );
    }
}
