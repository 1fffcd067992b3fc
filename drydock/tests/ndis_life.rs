//! A miniport's life: when it may register and deregister, what it must say of its channel, and how that ends.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::nic::{
    DEREGISTER, Loose, Nic, SET_UP, SUCCESS, assigned, broken, calls, inside, misuses, said,
    touches_hardware, wait_for_nic,
};
use bench::{Bench, explore};
use longshore_core::scatter::Segments;
use longshore_core::{Passive, Rule};
use longshore_drydock::machine::Machine;
use longshore_drydock::reference::CancelStyle;
use longshore_ndis::life::Phase;
use longshore_ndis::{
    Attributes, Direction, DmaChannel, DmaDescription, Miniport, NdisStatus, NotInitialized, RegisterError,
    Registration, WhyNotSetUp,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const HONEST: CancelStyle = CancelStyle::Honest;

fn register(miniport: &Miniport<Machine>, passive: &Passive) -> Result<DmaChannel<Machine>, RegisterError> {
    miniport.register_dma_channel(passive, Registration::new(64))
}

/// A miniport that initialises, runs this when its attributes are set, and fails.
fn fails_after<R>(miniport: &Miniport<Machine>, passive: &Passive, body: impl FnOnce() -> R) -> R {
    let result = Cell::new(None);
    let failed: Result<(), _> = miniport.initialize(passive, || {
        miniport.set_attributes(passive, Attributes::SUBORDINATE);
        result.set(Some(body()));
        Err(RegisterError::NotNow)
    });
    let why = Some(RegisterError::NotNow);
    assert_eq!(failed, Err(NotInitialized { why }));
    result.into_inner().unwrap()
}

/// Nobody has the channel: somebody can have it.
fn expect_free(bench: &Bench, passive: &Passive) {
    let other = Miniport::new(&bench.platform, Some(assigned()));
    fails_after(&other, passive, || drop(register(&other, passive).unwrap()));
}

/// What belongs into another phase is refused, and leaves the miniport where it is.
fn expect_refused(bench: &Bench, passive: &Passive, miniport: &Miniport<Machine>, phase: Phase) {
    assert_eq!(miniport.phase(), phase);
    if !matches!(phase, Phase::Initializing | Phase::Attributed) {
        assert!(!miniport.set_attributes(passive, Attributes::ISA_BUS_MASTER));
    }
    if phase != Phase::Attributed {
        assert_eq!(register(miniport, passive).err(), Some(RegisterError::NotNow));
    }
    if phase != Phase::Stopped {
        let refused = miniport.initialize(passive, || -> Result<(), ()> { panic!("not called") });
        assert_eq!(refused, Err(NotInitialized { why: None }));
    }
    if phase != Phase::Running {
        assert_eq!(miniport.halt(passive, || panic!("not called")), None::<()>);
    }
    assert_eq!(miniport.phase(), phase);
    if matches!(phase, Phase::Initializing | Phase::Stopped) {
        expect_free(bench, passive);
    }
}

/// Proves: NDIS-011, NDIS-018.
#[test]
fn what_belongs_into_another_phase_is_refused_and_told() {
    let runs = explore(1, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let miniport = Miniport::new(&bench.platform, Some(assigned()));
        let check = |phase| expect_refused(bench, passive, &miniport, phase);
        check(Phase::Stopped);
        let channel = miniport.initialize(passive, || {
            check(Phase::Initializing);
            assert!(miniport.set_attributes(passive, Attributes::SUBORDINATE));
            check(Phase::Attributed);
            register(&miniport, passive)
        });
        check(Phase::Running);
        // Not now: the channel comes back, and works.
        let refused = channel.unwrap().deregister(passive).unwrap_err();
        assert_eq!(refused.rule, Rule("NDIS-018"));
        let channel = refused.channel;
        let buffer = bench.buffer(8);
        let set_up = channel.set_up(
            passive,
            Loose::at([buffer.range()]),
            0,
            8,
            Direction::WriteToDevice,
        );
        wait_for_nic(bench, 8);
        assert_eq!(said(set_up.unwrap().complete(passive).unwrap()), SUCCESS);
        let halted = miniport.halt(passive, || {
            check(Phase::Halting);
            channel.deregister(passive).is_ok()
        });
        assert_eq!(halted, Some(true));
        check(Phase::Stopped);
        expect_free(bench, passive);
    });
    let stopped = ["NDIS-011", "NDIS-011", "NDIS-018"];
    let expected = [
        &stopped[..],
        // The refused registration before the attributes counts, since the miniport goes on as if nothing were.
        &["NDIS-011", "NDIS-011", "NDIS-018"],
        &["NDIS-011", "NDIS-018"],
        &["NDIS-017"],
        &["NDIS-011", "NDIS-011", "NDIS-011"],
        &["NDIS-018"],
        &["NDIS-011", "NDIS-011", "NDIS-011", "NDIS-018"],
        &stopped,
    ];
    for run in runs {
        assert_eq!(broken(&run), expected.concat());
    }
}

/// A channel goes also while its miniport initialises, and then another one can be had.
///
/// Proves: NDIS-018, NDIS-017.
#[test]
fn a_channel_can_be_given_back_before_initialising_is_over() {
    let runs = explore(1, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let miniport = Miniport::new(&bench.platform, Some(assigned()));
        fails_after(&miniport, passive, || {
            register(&miniport, passive).unwrap().deregister(passive).unwrap();
            let again = register(&miniport, passive).unwrap();
            again.deregister(passive).unwrap();
        });
        assert_eq!(miniport.phase(), Phase::Stopped);
    });
    for run in runs {
        assert_eq!(misuses(&run), []);
    }
}

/// Proves: NDIS-017, NDIS-011.
#[test]
fn a_miniport_whose_initialising_unwinds_is_stopped_and_has_nothing() {
    let runs = explore(1, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let miniport = Miniport::new(&bench.platform, Some(assigned()));
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            miniport.initialize(passive, || -> Result<(), ()> {
                miniport.set_attributes(passive, Attributes::SUBORDINATE);
                let _channel = register(&miniport, passive);
                resume_unwind(Box::new("of its own"))
            })
        }));
        assert!(unwound.is_err());
        assert_eq!(miniport.phase(), Phase::Stopped);
        expect_free(bench, passive);
        // The same for one that halts.
        let nic = Nic::start(bench, passive);
        let Nic { miniport, channel } = nic;
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            miniport.halt(passive, || {
                let _channel = channel;
                resume_unwind(Box::new("of its own"))
            })
        }));
        assert!(unwound.is_err());
        assert_eq!(miniport.phase(), Phase::Stopped);
        expect_free(bench, passive);
    });
    for run in runs {
        assert_eq!(misuses(&run), []);
    }
}

/// Proves: NDIS-017.
#[test]
fn a_failed_registration_gives_back_what_there_is_and_fails_the_miniport() {
    let runs = explore(1, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let miniport = Miniport::new(&bench.platform, Some(assigned()));
        let failed = miniport.initialize(passive, || {
            miniport.set_attributes(passive, Attributes::SUBORDINATE);
            let first = register(&miniport, passive)?;
            let second = register(&miniport, passive)?;
            Ok((first, second))
        });
        let why = failed.map(drop).unwrap_err().why;
        assert_eq!(why, Some(RegisterError::Conflict));
        assert_eq!(miniport.phase(), Phase::Stopped);
        expect_free(bench, passive);
    });
    for run in runs {
        assert_eq!(misuses(&run), []);
    }
}

/// One that keeps its channel though it fails, one that succeeds though it was refused, one that keeps it though it has
/// halted: each is told, and what is kept is told again when it goes.
///
/// Proves: NDIS-017, NDIS-018.
#[test]
fn what_a_miniport_keeps_against_the_rules_is_told() {
    let runs = explore(1, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let miniport = Miniport::new(&bench.platform, Some(assigned()));
        let kept = fails_after(&miniport, passive, || register(&miniport, passive).unwrap());
        drop(kept);
        expect_free(bench, passive);
        let succeeded = miniport.initialize(passive, || {
            miniport.set_attributes(passive, Attributes::SUBORDINATE);
            let channel = register(&miniport, passive)?;
            assert_eq!(register(&miniport, passive).err(), Some(RegisterError::Conflict));
            Ok::<_, RegisterError>(channel)
        });
        let channel = succeeded.unwrap();
        miniport.halt(passive, || {}).unwrap();
        drop(channel);
        expect_free(bench, passive);
    });
    for run in runs {
        let expected = [
            ("MiniportInitializeEx", "NDIS-017"),
            (DEREGISTER, "NDIS-018"),
            ("MiniportInitializeEx", "NDIS-017"),
            ("MiniportHaltEx", "NDIS-018"),
            (DEREGISTER, "NDIS-018"),
        ];
        assert_eq!(misuses(&run), expected);
    }
}

/// Proves: NDIS-053.
#[test]
fn the_alignment_is_known_while_there_is_a_channel_and_not_else() {
    let runs = explore(1, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let miniport = Miniport::new(&bench.platform, Some(assigned()));
        let unknown = || assert_eq!(miniport.dma_alignment(passive), None);
        unknown();
        fails_after(&miniport, passive, || {
            unknown();
            let channel = register(&miniport, passive).unwrap();
            assert_eq!(miniport.dma_alignment(passive), Some(1));
            channel.deregister(passive).unwrap();
            unknown();
        });
        unknown();
    });
    for run in runs {
        assert_eq!(misuses(&run), [("NdisMGetDmaAlignment", "NDIS-053"); 4]);
    }
}

/// The three families are apart: a miniport registers a channel and transfers without a word of the others, and theirs is
/// no part of it. What stands below is one adapter that is no bus master's, without a list and without shared memory.
///
/// Proves: NDIS-001.
#[test]
fn a_channel_needs_nothing_of_the_other_two_families() {
    let runs = explore(5, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let nic = Nic::start(bench, passive);
        let buffer = bench.buffer(8);
        let allocated = bench.machine.allocated();
        let set_up = nic.channel.set_up(
            passive,
            Loose::at([buffer.range()]),
            0,
            8,
            Direction::WriteToDevice,
        );
        wait_for_nic(bench, 8);
        let _ = set_up.unwrap().complete(passive).unwrap();
        assert_eq!(bench.machine.allocated(), allocated, "no memory is shared");
        nic.halt(passive);
    });
    let others = ["ScatterGather", "CommonBuffer", "SharedMemory", "SGList"];
    for run in runs {
        let called = calls(&run.trace.iter().collect::<Vec<_>>());
        assert!(called.contains(&SET_UP));
        let foreign = |name: &&&str| others.iter().any(|other| name.contains(other));
        assert_eq!(called.iter().find(foreign), None);
    }
}

/// Deregistering with a transfer set up is refused, by value and by arguments, and disturbs it not.
///
/// Proves: NDIS-019.
#[test]
fn a_channel_with_a_transfer_set_up_stays_registered() {
    let runs = explore(20, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let Nic { miniport, channel } = Nic::start(bench, passive);
        let buffer = bench.buffer(8);
        bench.port.supply(&[7; 8]);
        let set_up = channel.set_up(
            passive,
            Loose::at([buffer.range()]),
            0,
            8,
            Direction::ReadFromDevice,
        );
        let set_up = set_up.unwrap();
        let channel = miniport.halt(passive, || {
            let refused = channel.deregister(passive).unwrap_err();
            assert_eq!(refused.rule, Rule("NDIS-019"));
            let again = refused.channel.set_up(
                passive,
                Loose::at([buffer.range()]),
                0,
                1,
                Direction::ReadFromDevice,
            );
            assert_eq!(again.unwrap_err().reason, WhyNotSetUp::InProgress);
            wait_for_nic(bench, 8);
            assert_eq!(said(set_up.complete(passive).unwrap()), SUCCESS);
            refused.channel.deregister(passive)
        });
        assert!(channel.unwrap().is_ok());
        assert_eq!(bench.machine.look(buffer.range()), [7; 8]);
        expect_free(bench, passive);
    });
    for run in runs {
        assert_eq!(misuses(&run), [(DEREGISTER, "NDIS-019")]);
        let calls = inside(&run, DEREGISTER);
        assert!(!touches_hardware(&calls[0]), "it reached the hardware");
    }
}

/// A transfer that outlives its channel's handle is told of, ends truthfully, and keeps the channel until then.
///
/// Proves: NDIS-019, NDIS-018, NDIS-041.
#[test]
fn a_transfer_that_outlives_its_handle_keeps_the_channel_until_it_is_completed() {
    let runs = explore(30, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let Nic { miniport, channel } = Nic::start(bench, passive);
        let buffer = bench.buffer(8);
        bench.port.supply(&[7; 8]);
        let set_up = channel.set_up(passive, buffer, 0, 8, Direction::ReadFromDevice);
        let set_up = set_up.unwrap();
        miniport.halt(passive, || drop(channel)).unwrap();
        let taken = Nic::described(bench, passive, DmaDescription::default());
        assert_eq!(taken.map(drop), Err(RegisterError::Conflict));
        wait_for_nic(bench, 8);
        let completed = set_up.complete(passive).unwrap();
        assert_eq!((completed.status, completed.residual), SUCCESS);
        assert_eq!(bench.machine.look(completed.buffer.range()), [7; 8]);
        expect_free(bench, passive);
    });
    for run in runs {
        let expected = [(DEREGISTER, "NDIS-019"), ("MiniportHaltEx", "NDIS-018")];
        assert_eq!(misuses(&run), expected);
    }
}

/// Set up by arguments, nobody but the handle knows of it: that it goes completes the transfer.
#[test]
fn a_transfer_that_only_its_handle_knows_of_is_completed_with_it() {
    let runs = explore(20, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let Nic { miniport, channel } = Nic::start(bench, passive);
        let buffer = bench.buffer(8);
        let segments = [buffer.range()];
        let segments = Segments::new(&segments);
        let up = channel.setup_dma_transfer(passive, segments, 0, 8, false);
        assert_eq!(up, NdisStatus::SUCCESS);
        miniport.halt(passive, || drop(channel)).unwrap();
        expect_free(bench, passive);
    });
    for run in runs {
        assert_eq!(misuses(&run), [(DEREGISTER, "NDIS-019")]);
    }
}
