//! What calls and flags do to a chain on the CPU engine.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod rig;

use longshore_core::completion::Cause;
use longshore_core::machine::Machine as _;
use longshore_core::{Event, Irql};
use longshore_drydock::Run;
use longshore_drydock::machine::{Step, View, What};
use longshore_hardware::netdma::{CompletionWord, ControlFlags, TransferStatus};
use longshore_hardware::{BusAddress, BusRange};
use longshore_netdma::state::State;
use rig::*;

const FENCE: ControlFlags = ControlFlags::SERIALIZE_TRANSFER;

/// Proves: NETDMA-083, NETDMA-087, NETDMA-088, RACE-10, AMB-03, AMB-06, AMB-07, AMB-13, AMB-22.
///
/// Descriptors without the status flag, and a channel that is suspended, resumed, aborted and reset. The word is written
/// for the calls alone, always in one access, and never says Armed; no call raises an interrupt.
#[test]
fn calls_write_the_word_and_descriptors_only_where_they_ask_for_it() {
    let runs = on_each(|machine, passive, kind| {
        let mut rig = Rig::new(machine, passive, kind);
        assert_eq!(rig.word().0, BusAddress::NULL);
        rig.prepare(0..3, ControlFlags::empty());
        rig.start(passive, 0..3);
        rig.begin(passive);
        let last = rig.port().suspend(passive.into()).unwrap();
        assert_eq!(rig.word(), (last, TransferStatus::SUSPEND));
        assert_eq!(rig.port().suspend(passive.into()), Ok(last));
        rig.port().resume(passive.into()).unwrap();
        rig.settle(passive);
        assert_eq!(rig.state(), State::Idle);
        assert_eq!(
            rig.word(),
            (last, TransferStatus::SUSPEND),
            "nobody asked for a word"
        );
        rig.port().abort(passive.into()).unwrap();
        assert_eq!(rig.word(), (rig.at(2), TransferStatus::HALTED));
        rig.prepare(4..5, STATUS);
        rig.start(passive, 4..5);
        rig.settle(passive);
        assert_eq!(rig.word(), (rig.at(4), TransferStatus::IDLE));
        rig.port().reset(passive.into()).unwrap();
        assert_eq!(rig.word(), (rig.at(4), TransferStatus::HALTED));
        assert_eq!((rig.state(), rig.told()), (State::Fresh, vec![]));
        rig.close(passive);
    });
    for run in runs {
        assert!(
            words(&run)
                .iter()
                .all(|word| word.status() != TransferStatus::ARMED)
        );
        let stored = |what| match what {
            What::Stored(View::Device, at, _) => BusRange::new(at, 8),
            _ => None,
        };
        let word = run.trace.iter().find_map(|step| stored(step.what)).unwrap();
        let torn = |what| matches!(what, What::Wrote(View::Device, range) if range.overlaps(word));
        assert!(!run.trace.iter().any(|step| torn(step.what)));
    }
}

/// Proves: AMB-03.
#[test]
fn a_channel_without_a_word_is_stopped_all_the_same() {
    let runs = on_each(|machine, passive, kind| {
        let mut rig = Rig::with_word(machine, passive, kind, false);
        rig.prepare(0..3, STATUS);
        rig.start(passive, 0..3);
        rig.begin(passive);
        rig.port().suspend(passive.into()).unwrap();
        rig.port().resume(passive.into()).unwrap();
        rig.settle(passive);
        assert_eq!(rig.state(), State::Idle);
        rig.port().abort(passive.into()).unwrap();
        assert!((0..3).all(|slot| rig.is_copied(slot)));
        rig.close(passive);
    });
    for run in runs {
        assert_eq!(words(&run), []);
    }
}

/// Proves: NETDMA-064, NETDMA-065, NETDMA-120, AMB-17.
///
/// Only the context change asks for the word, so the word that stands there is its own.
#[test]
fn hints_change_nothing_about_a_copy_and_a_context_is_no_interrupt() {
    let runs = on_each(|machine, passive, kind| {
        let mut rig = Rig::new(machine, passive, kind);
        let hints = ControlFlags::SOURCE_NO_SNOOP
            | ControlFlags::DESTINATION_NO_SNOOP
            | ControlFlags::DESTINATION_DCA_ENABLE
            | ControlFlags::SERIALIZE_TRANSFER;
        rig.prepare(0..3, hints);
        // Version 1 knows no page breaks.
        let broken = ControlFlags::SOURCE_PAGE_BREAK | ControlFlags::DESTINATION_PAGE_BREAK;
        let mut descriptor = rig.plain(0, if rig.counted { hints } else { hints | broken });
        descriptor.next = rig.at(1);
        descriptor.next_source = BusAddress::new(1);
        rig.put(0, descriptor);
        let mut change = rig.plain(
            1,
            STATUS | FENCE | INTERRUPT | ControlFlags::from_bits_retain(0xff00_0000),
        );
        change.transfer_size = 5;
        change.next = rig.at(2);
        rig.put(1, change);
        rig.start(passive, 0..3);
        rig.settle(passive);
        assert!(rig.is_copied(0) && !rig.is_copied(1));
        if rig.counted {
            assert_eq!((rig.context(), rig.told()), (Some(5), vec![]));
            assert!(rig.is_copied(2));
            assert_eq!(rig.word(), (rig.at(1), TransferStatus::ACTIVE));
        } else {
            assert_eq!(rig.fault(), Some((rig.at(1), Cause::PROGRAM)));
            assert_eq!(rig.context(), None);
        }
        rig.close(passive);
    });
    let changes = runs.iter().filter(|run| is_fenced_at_the_change(run)).count();
    assert_eq!(changes, runs.len() / 2, "version 1 knows no context change");
}

/// Whether a context change was done, between two copies. If so, all of the first is moved by then, and nothing of the
/// second is read yet.
fn is_fenced_at_the_change(run: &Run) -> bool {
    let is_change = |word: CompletionWord| word.status() == TransferStatus::ACTIVE;
    let is_told = |step: &Step| match step.what {
        What::Stored(View::Device, _, raw) => is_change(CompletionWord::from_raw(raw)),
        _ => false,
    };
    let Some(change) = run.trace.iter().position(is_told) else {
        return false;
    };
    let is_piece = |step: &&Step| match step.what {
        What::Read(View::Device, range) | What::Wrote(View::Device, range) => range.len() == PIECE,
        _ => false,
    };
    let (before, behind) = run.trace.split_at(change);
    let pieces = |steps: &[Step]| steps.iter().filter(is_piece).count() as u64;
    let one_copy = 2 * SIZE / PIECE;
    assert_eq!((pieces(before), pieces(behind)), (one_copy, one_copy));
    true
}

/// Proves: NETDMA-056, NETDMA-057, AMB-15.
///
/// What is wrong with a descriptor is said, and what can be done of it is done.
#[test]
fn an_overlap_and_a_null_transfer_without_sense_are_misuse() {
    for kind in KINDS {
        let (run, ()) = once(kind, |machine, passive, kind| {
            let mut rig = Rig::new(machine, passive, kind);
            rig.prepare(0..4, STATUS);
            let mut equal = rig.plain(0, STATUS);
            equal.destination = equal.source;
            let mut overlap = rig.plain(1, STATUS);
            overlap.destination = BusAddress::new(overlap.source.raw() + 8);
            let mut null = rig.plain(2, STATUS | ControlFlags::NULL_TRANSFER);
            null.transfer_size = u32::MAX;
            for (slot, mut descriptor) in [(0, equal), (1, overlap), (2, null)] {
                descriptor.next = rig.at(slot + 1);
                rig.put(slot, descriptor);
            }
            let mut moved = rig.bytes(1);
            moved.truncate(56);
            rig.start(passive, 0..4);
            rig.settle(passive);
            assert_eq!(rig.word(), (rig.at(3), TransferStatus::IDLE));
            assert_eq!(rig.bytes(1)[8..], moved, "as if the source had been read first");
            rig.close(passive);
        });
        assert_eq!(misuses(&run), ["NETDMA-057", "NETDMA-056"], "{kind:?}");
    }
}

/// Proves: NETDMA-078.
#[test]
fn a_start_that_succeeds_says_nothing_about_the_data() {
    for kind in KINDS {
        once(kind, |machine, passive, kind| {
            let mut rig = Rig::new(machine, passive, kind);
            rig.prepare(0..2, STATUS);
            rig.start(passive, 0..2);
            assert!(!rig.is_copied(1), "accepted, not done");
            assert_eq!(rig.word().0, BusAddress::NULL);
            rig.settle(passive);
            assert!(rig.is_copied(1));
            rig.close(passive);
        });
    }
}

/// Proves: NETDMA-077, RACE-7.
///
/// The first descriptor of the old chain is the current one: it is finished as flagged, and says Active; the second is
/// dropped.
#[test]
fn a_start_over_a_running_chain_finishes_the_current_descriptor() {
    let runs = on_each(|machine, passive, kind| {
        let mut rig = Rig::new(machine, passive, kind);
        // Long enough for the start to come in the middle of it.
        let long = |rig: &Rig, slot: u64| {
            let mut descriptor = rig.plain(0, STATUS);
            descriptor.transfer_size = 8 * SIZE as u32;
            if rig.counted || slot < 2 {
                descriptor.next = rig.at(slot + 1);
            }
            rig.put(slot, descriptor);
        };
        (0..3).for_each(|slot| long(&rig, slot));
        rig.prepare(4..5, STATUS);
        rig.start(passive, 0..3);
        rig.begin(passive);
        rig.start(passive, 4..5);
        rig.settle(passive);
        assert_eq!(rig.word(), (rig.at(4), TransferStatus::IDLE));
        assert_eq!((rig.state(), rig.is_copied(4)), (State::Idle, true));
        rig.close(passive);
    });
    let mut overtaken = 0;
    for run in &runs {
        let mut words = words(run);
        assert_eq!(words.pop().unwrap().status(), TransferStatus::IDLE);
        assert!(!words.is_empty(), "the current descriptor was not finished");
        // Fewer than three: the start came before the last one was done.
        let running = words.len() < 3;
        overtaken += usize::from(running);
        assert!(!running || words.iter().all(|word| word.status() == TransferStatus::ACTIVE));
    }
    assert!(overtaken > runs.len() / 2, "{overtaken} of {}", runs.len());
}

/// The engine's power goes in the middle of a copy: nothing is written and nothing told, and the channel waits for a
/// start.
#[test]
fn a_channel_whose_engine_lost_its_power_waits_for_a_start() {
    let runs = on_each(|machine, passive, kind| {
        let mut rig = Rig::new(machine, passive, kind);
        rig.prepare(0..4, INTERRUPT);
        let mut long = rig.plain(0, STATUS | INTERRUPT);
        long.transfer_size = 8 * SIZE as u32;
        rig.put(0, long);
        rig.start(passive, 0..1);
        rig.machine.point();
        rig.lose_power(passive);
        let word = rig.word();
        assert_eq!(rig.state(), State::ContextLost);
        let told = rig.told();
        rig.settle(passive);
        assert_eq!((rig.word(), rig.state()), (word, State::ContextLost));
        assert!(
            rig.told().len() <= told.len().max(1),
            "only what was latched before"
        );
        assert!(!rig.append(passive, 1));
        assert!(rig.port().suspend(passive.into()).is_err());
        assert!(rig.port().resume(passive.into()).is_err());
        rig.prepare(5..6, STATUS);
        rig.start(passive, 5..6);
        rig.settle(passive);
        assert_eq!(rig.word(), (rig.at(5), TransferStatus::IDLE));
        rig.close(passive);
    });
    // The long descriptor has 32 pieces, and the one behind the start four.
    let cut = |run: &Run| {
        let pieces = written(run).filter(|range| range.len() == PIECE).count();
        (5..36).contains(&pieces)
    };
    assert!(runs.iter().any(cut), "no copy was cut in the middle");
}

/// Proves: NETDMA-103.
///
/// While the handler runs, its CPU touches no memory of the channel and calls nobody but NetDmaIsr.
#[test]
fn the_interrupt_handler_leaves_all_else_to_the_deferred_call() {
    let kind = (Kind::Shared, V1);
    let (run, ()) = once(kind, |machine, passive, kind| {
        let mut rig = Rig::new(machine, passive, kind);
        rig.prepare(0..3, STATUS | INTERRUPT);
        rig.start(passive, 0..3);
        rig.settle(passive);
        assert_eq!(rig.told().last(), Some(&rig.at(2)));
        rig.close(passive);
    });
    let handler = |step: &&longshore_drydock::machine::Step| step.level > Irql::DISPATCH;
    let mut calls = 0;
    for step in run.trace.iter().filter(handler) {
        match step.what {
            What::Event(Event::Callback(name, _)) => {
                assert_eq!(name, "NetDmaIsr");
                calls += 1;
            }
            What::Read(..) | What::Wrote(..) | What::Loaded(..) | What::Stored(..) => {
                panic!("the handler touches memory: {step}");
            }
            _ => {}
        }
    }
    assert!(calls > 0, "there was no interrupt");
}
