//! What a miniport says of its channel when it registers it, and the four ways in which that ends.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::narrow::{Habits, narrow};
use bench::nic::{Loose, Nic, SUCCESS, assigned, broken, misuses, on_channel, said, wait_for_port};
use bench::{Bench, explore};
use longshore_core::{Event, Passive};
use longshore_drydock::Run;
use longshore_drydock::machine::What;
use longshore_drydock::reference::CancelStyle;
use longshore_ndis::{
    Assigned, Attributes, Direction, DmaDescription, NdisStatus, RegisterError, Registration,
};
use longshore_wdm::{AdapterError, DmaSpeed, DmaWidth, InterfaceType};

const HONEST: CancelStyle = CancelStyle::Honest;

/// Nobody has the channel: somebody can have it.
fn expect_free(bench: &Bench, passive: &Passive) {
    Nic::start(bench, passive).halt(passive);
}

fn notes(run: &Run) -> usize {
    let note = |what: What| matches!(what, What::Event(Event::Note(text)) if text.starts_with("error log"));
    run.trace.iter().filter(|step| note(step.what)).count()
}

/// The refusal of a registration, and its status.
fn refusal(
    bench: &Bench,
    passive: &Passive,
    attributes: Attributes,
    registration: Registration,
) -> (RegisterError, NdisStatus) {
    let refused = Nic::with(
        &bench.platform,
        passive,
        Some(assigned()),
        attributes,
        registration,
    );
    let why = refused.map(drop).unwrap_err();
    (why, why.status())
}

/// Only a channel that somebody has goes to the error log.
///
/// Proves: NDIS-016.
#[test]
fn a_registration_ends_in_one_of_four_ways() {
    let runs = explore(1, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let first = Nic::start(bench, passive);
        let refused = refusal(bench, passive, Attributes::SUBORDINATE, Registration::new(64));
        let conflict = (RegisterError::Conflict, NdisStatus(0xC001_001E));
        assert_eq!(refused, conflict);
        first.halt(passive);
        let failure = |why| (why, NdisStatus(0xC000_0001));
        for bus in [-1, 19, 77] {
            for bus_master in [false, true] {
                let bus = InterfaceType(bus);
                let attributes = Attributes { bus, bus_master };
                let refused = refusal(bench, passive, attributes, Registration::new(64));
                assert_eq!(refused, failure(RegisterError::Bus), "{attributes:?}");
            }
        }
        let pci = Attributes {
            bus: InterfaceType::PCI,
            bus_master: true,
        };
        let refused = refusal(bench, passive, pci, Registration::new(64));
        assert_eq!(refused, failure(RegisterError::Bus));
        // ISA with plug and play is ISA; but this controller lets no bus master ask.
        let plug_and_play = Attributes {
            bus: InterfaceType::PNP_ISA,
            ..pci
        };
        let refused = refusal(bench, passive, plug_and_play, Registration::new(64));
        let unserved = RegisterError::Unserved(AdapterError::NoCascade);
        assert_eq!(refused, failure(unserved));
        // One that the controller serves need not be on ISA.
        let served = Attributes {
            bus_master: false,
            ..pci
        };
        let registration = Registration::new(64);
        let nic = Nic::with(&bench.platform, passive, Some(assigned()), served, registration);
        nic.unwrap().halt(passive);
        let nothing = refusal(bench, passive, Attributes::SUBORDINATE, Registration::new(0));
        let unserved = RegisterError::Unserved(AdapterError::NoLength);
        assert_eq!(nothing, failure(unserved));
        expect_free(bench, passive);
    });
    for run in runs {
        assert_eq!(notes(&run), 1);
        assert_eq!(misuses(&run), []);
    }
}

/// As many map registers as the longest transfer may need, or none of it; with no bound each set-up is judged.
///
/// Proves: NDIS-016, NDIS-015, NDIS-017.
#[test]
fn a_registration_that_could_never_be_served_whole_is_refused_for_resources() {
    narrow(1, Habits::default(), |bench, passive| {
        let passive = &*passive;
        let on = |length| {
            let registration = Registration {
                description: DmaDescription {
                    width: DmaWidth::BITS_32,
                    ..DmaDescription::default()
                },
                ..Registration::new(length)
            };
            Nic::on(&bench.platform, passive, Some(on_channel(0)), registration)
        };
        // Four registers: four pages that do not begin a page touch five.
        let refused = on(3 * 4096 + 1).map(drop).unwrap_err();
        assert_eq!(refused, RegisterError::Resources);
        assert_eq!(refused.status(), NdisStatus(0xC000_009A));
        on(3 * 4096).unwrap().halt(passive);
        let nic = on(u32::MAX).unwrap();
        let buffer = bench.buffer(5 * 4096, true, 0);
        let refused = nic.channel.set_up(
            passive,
            Loose::at([buffer.range()]),
            0,
            5 * 4096,
            Direction::WriteToDevice,
        );
        assert_eq!(refused.unwrap_err().status, NdisStatus::RESOURCES);
        let set_up = nic.channel.set_up(
            passive,
            Loose::at([buffer.range()]),
            0,
            64,
            Direction::WriteToDevice,
        );
        wait_for_port(&bench.machine, &bench.port, 64);
        assert_eq!(said(set_up.unwrap().complete(passive).unwrap()), SUCCESS);
        nic.halt(passive);
    });
}

/// Proves: NDIS-020.
#[test]
fn a_description_is_zero_where_it_says_nothing_and_what_is_no_width_or_speed_is_refused() {
    let zero = DmaDescription {
        demand_mode: false,
        auto_initialize: false,
        channel: None,
        width: DmaWidth(0),
        speed: DmaSpeed(0),
        port: 0,
    };
    assert_eq!(DmaDescription::default(), zero);
    assert_eq!(Registration::new(7).description, zero);
    let widths = [DmaWidth::BITS_8, DmaWidth::BITS_16, DmaWidth::BITS_32];
    assert_eq!(widths.map(|width| width.0), [0, 1, 2]);
    let speeds = [
        DmaSpeed::COMPATIBLE,
        DmaSpeed::TYPE_A,
        DmaSpeed::TYPE_B,
        DmaSpeed::TYPE_C,
    ];
    assert_eq!(speeds.map(|speed| speed.0), [0, 1, 2, 3]);
    let wrong = [
        DmaDescription {
            width: DmaWidth(3),
            ..zero
        },
        DmaDescription {
            width: DmaWidth(u32::MAX),
            ..zero
        },
        DmaDescription {
            speed: DmaSpeed(4),
            ..zero
        },
        DmaDescription { port: 1, ..zero },
    ];
    let runs = explore(1, HONEST, true, move |bench, passive| {
        let passive = &*passive;
        for description in wrong {
            let registration = Registration {
                description,
                ..Registration::new(64)
            };
            let refused = refusal(bench, passive, Attributes::SUBORDINATE, registration);
            assert_eq!(refused, (RegisterError::Description, NdisStatus::FAILURE));
        }
        for (width, speed) in widths.into_iter().flat_map(|w| speeds.map(|s| (w, s))) {
            let description = DmaDescription { width, speed, ..zero };
            let nic = Nic::described(bench, passive, description).unwrap();
            nic.halt(passive);
        }
    });
    for run in runs {
        assert_eq!(broken(&run), ["NDIS-020"; 4]);
    }
}

/// Proves: NDIS-021, NDIS-013.
#[test]
fn the_description_names_the_channel_or_else_the_platform_does() {
    let runs = explore(1, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let on = |assigned: Option<Assigned>, channel| {
            let registration = Registration {
                description: DmaDescription {
                    channel,
                    ..DmaDescription::default()
                },
                ..Registration::new(64)
            };
            Nic::on(&bench.platform, passive, assigned, registration)
        };
        let nobody = on(None, None).map(drop).unwrap_err();
        assert_eq!(nobody, RegisterError::NoChannel);
        assert_eq!(nobody.status(), NdisStatus::FAILURE);
        // The platform gave channel 0: it is had by whoever names none, and the other one by whoever names that.
        let platforms = on(Some(assigned()), None).unwrap();
        let taken = |named| on(Some(assigned()), named).map(drop) == Err(RegisterError::Conflict);
        assert!(taken(Some(0)));
        let named = on(Some(assigned()), Some(1)).unwrap();
        // Without the platform's word the first controller with that channel serves.
        assert_eq!(on(None, Some(1)).map(drop), Err(RegisterError::Conflict));
        named.halt(passive);
        let own = on(None, Some(1)).unwrap();
        assert!(taken(Some(1)));
        let buffer = bench.buffer(8);
        let set_up = own.channel.set_up(
            passive,
            Loose::at([buffer.range()]),
            0,
            8,
            Direction::WriteToDevice,
        );
        wait_for_port(&bench.machine, &bench.port, 8);
        assert_eq!(said(set_up.unwrap().complete(passive).unwrap()), SUCCESS);
        let unserved = |why| Err(RegisterError::Unserved(why));
        let beyond = on(None, Some(2)).map(drop);
        assert_eq!(beyond, unserved(AdapterError::NoController));
        let nowhere = Assigned {
            request_line: 9,
            ..assigned()
        };
        assert_eq!(
            on(Some(nowhere), None).map(drop),
            unserved(AdapterError::NoController)
        );
        own.halt(passive);
        platforms.halt(passive);
    });
    for run in runs {
        assert_eq!(broken(&run), ["NDIS-021"]);
    }
}

/// A bus master can register its channel only where a controller lets it ask through one, and sets nothing up there.
///
/// Proves: NDIS-012, NDIS-016.
#[test]
fn a_controller_without_cascading_has_no_channel_for_a_bus_master() {
    let runs = explore(1, HONEST, true, |bench, passive| {
        let passive = &*passive;
        let refused = refusal(bench, passive, Attributes::ISA_BUS_MASTER, Registration::new(64));
        let why = RegisterError::Unserved(AdapterError::NoCascade);
        assert_eq!(refused, (why, NdisStatus::FAILURE));
        expect_free(bench, passive);
    });
    for run in runs {
        assert_eq!(misuses(&run), []);
    }
}
