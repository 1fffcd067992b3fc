//! A provider's life at the NetDMA interface, and what clients have of it.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod life;

use life::spy::Spy;
use life::{
    ARRIVAL, CHANNEL, CONFIG, Cargo, DOWN, Ear, LENGTH, Life, PATIENCE, REGISTERED, REMOVAL, UP, explore,
    misuses, once,
};
use longshore_core::completion::{Outcome, Verdict};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{NtStatus, Passive};
use longshore_drydock::machine::Machine;
use longshore_netdma::provider::{ChannelAffinity, GroupAffinity};
use longshore_netdma::registry::phase::Phase;
use longshore_netdma::registry::{AllocationError, Config, NetDma, PowerChange, RegisterError};
use longshore_netdma::{
    Attributes, Completion, Handlers, OpenError, ProviderFlags, Refused, Request, RingOptions, Version,
};
use std::sync::{Arc, Mutex};

const OPTIONS: RingOptions = life::ring(8);

/// Proves: NETDMA-010, NETDMA-011, NETDMA-012, NETDMA-013, NETDMA-030, NETDMA-031, AMB-18.
#[test]
fn registering_uses_no_service_but_the_affinity_call_and_that_only_where_there_are_messages() {
    explore("register", 20, |machine, passive| {
        for message_interrupts in [true, false] {
            let config = Config {
                message_interrupts,
                ..CONFIG
            };
            let net = NetDma::new(passive, machine, config);
            let ear = Ear::new(machine);
            let client = net.register_client(passive, ear.clone());
            let spy = Spy::told(machine, passive, Version::V2_1, |told| told.max_channels = 5);
            let registration = net.register(passive, spy.clone()).unwrap();
            let steered: Vec<_> = spy.affinity.lock().unwrap().clone();
            if message_interrupts {
                assert_eq!(spy.log(), ["affinity"]);
                let channels = steered.iter().map(|one: &ChannelAffinity| one.channel);
                assert!(channels.eq(0..5), "one entry for each channel: {steered:?}");
                assert!(steered.iter().all(|one| one.cpu.0 < machine.cpus()));
            } else {
                assert!(spy.log().is_empty() && steered.is_empty());
            }
            // The spy finds fault with whatever comes before the start.
            let refused = client.allocate(passive, registration.id(), OPTIONS);
            assert_eq!(refused.unwrap_err(), AllocationError::NotStarted);
            spy.serve(true);
            registration.start(passive, spy.attributes_now());
            drop(client.allocate(passive, registration.id(), OPTIONS).unwrap());
            registration.stop(passive);
            spy.serve(false);
            let refused = client.allocate(passive, registration.id(), OPTIONS);
            assert_eq!(refused.unwrap_err(), AllocationError::NotStarted);
            let id = registration.id();
            registration.deregister(passive);
            let refused = client.allocate(passive, id, OPTIONS);
            assert_eq!(refused.unwrap_err(), AllocationError::Unknown);
            assert!(client.providers(passive).is_empty());
            assert_eq!(ear.codes(id), [REGISTERED, ARRIVAL, REMOVAL]);
        }
    });
}

/// Proves: NETDMA-012, NETDMA-021, NETDMA-130, AMB-19.
#[test]
fn a_bad_provider_is_refused_with_its_status_and_nobody_hears_of_it() {
    let run = once(|machine, passive| {
        let config = Config {
            version: Version::V2_0,
            message_interrupts: true,
            ..CONFIG
        };
        let net = NetDma::new(passive, machine, config);
        let ear = Ear::new(machine);
        let client = net.register_client(passive, ear.clone());
        let above = Spy::new(machine, passive, Version::V2_1);
        let half = Spy::told(machine, passive, Version::V2_0, |told| {
            told.handlers -= Handlers::RESUME;
        });
        let dca = Spy::told(machine, passive, Version::V1_1, |told| {
            told.flags = ProviderFlags::DCA
        });
        let channelless = Spy::told(machine, passive, Version::V1_1, |told| told.max_channels = 0);
        for (spy, error) in [
            (above, RegisterError::Version),
            (half, RegisterError::Handlers),
            (dca, RegisterError::Flags),
            (
                channelless,
                RegisterError::Affinity(longshore_netdma::provider::AllocateError::Resources),
            ),
        ] {
            assert_eq!(net.register(passive, spy).unwrap_err(), error);
        }
        assert!(client.providers(passive).is_empty() && ear.all().is_empty());
    });
    let (bad, resources) = (NtStatus::UNSUCCESSFUL, NtStatus::INSUFFICIENT_RESOURCES);
    let name = "NetDmaRegisterProvider";
    assert_eq!(
        misuses(&run),
        [
            (name, "NETDMA-016", bad),
            (name, "NETDMA-021", bad),
            (name, "NETDMA-020", bad),
            (name, "NETDMA-030", resources),
        ]
    );
}

/// Proves: NETDMA-016.
#[test]
fn the_interface_tells_its_version_packed() {
    once(|machine, passive| {
        let version = |version| NetDma::new(passive, machine, Config { version, ..CONFIG }).version(passive);
        assert_eq!(version(Version::V1_1), 0x0001_0001);
        assert_eq!(version(Version::V2_1), 0x0002_0001);
    });
}

/// Proves: NETDMA-014, NETDMA-023.
#[test]
fn each_start_brings_new_attributes_and_bad_ones_leave_the_provider_unavailable() {
    let run = once(|machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V2_1));
        let id = life.registration.id();
        let (first, second) = (life.channel(passive), life.channel(passive));
        let none_left = life.client.allocate(passive, id, OPTIONS);
        assert_eq!(none_left.unwrap_err(), AllocationError::NoChannel);
        life.stop(passive);
        for channel in [&first, &second] {
            let cargo = Cargo::new(machine);
            assert_eq!(cargo.copy(passive, channel), Err(Refused::Closed));
        }
        let good = life.spy.attributes_now();
        let starts = |attributes| life.registration.start(passive, attributes);
        let unavailable = || life.client.allocate(passive, id, OPTIONS).unwrap_err();
        starts(Attributes { channels: 3, ..good });
        assert_eq!(unavailable(), AllocationError::NotStarted);
        starts(Attributes {
            maximum_transfer_size: 4095,
            ..good
        });
        assert_eq!(unavailable(), AllocationError::NotStarted);
        for channels in [1, 2, 1] {
            life.spy.serve(true);
            starts(Attributes { channels, ..good });
            let info = life.client.providers(passive)[0];
            assert_eq!((info.phase, info.free_channels), (Phase::Started, channels));
            assert_eq!(
                info.attributes.map(|attributes| attributes.channels),
                Some(channels)
            );
            let all: Vec<_> = (0..channels).map(|_| life.channel(passive)).collect();
            assert_eq!(unavailable(), AllocationError::NoChannel);
            life.stop(passive);
            drop(all);
        }
        life.registration.deregister(passive);
    });
    let bad = ("NetDmaProviderStart", "NETDMA-023", NtStatus::INVALID_PARAMETER);
    assert_eq!(misuses(&run), [bad, bad]);
}

/// Proves: NETDMA-001, NETDMA-002, NETDMA-042, AMB-20.
#[test]
fn clients_providers_and_channels_live_side_by_side_and_each_channel_is_one_clients() {
    explore("many", 40, |machine, passive| {
        let groups =
            |told: &mut longshore_netdma::Characteristics| told.flags = ProviderFlags::PROCESSOR_GROUPS;
        let life = Life::new(
            machine,
            passive,
            Spy::told(machine, passive, Version::V2_1, groups),
        );
        let other = Spy::new(machine, passive, Version::V1_0);
        other.serve(true);
        let registration = life.net.register(passive, other.clone()).unwrap();
        registration.start(passive, other.attributes_now());
        let second = life.net.register_client(passive, Ear::new(machine));
        let options = RingOptions {
            priority: 7,
            cpus: 2,
            ..OPTIONS
        };
        let ids = [life.registration.id(), registration.id()];
        let channels = [
            life.client.allocate(passive, ids[0], options).unwrap(),
            second.allocate(passive, ids[0], OPTIONS).unwrap(),
            life.client.allocate(passive, ids[1], options).unwrap(),
            second.allocate(passive, ids[1], OPTIONS).unwrap(),
        ];
        let free: Vec<u32> = second
            .providers(passive)
            .iter()
            .map(|info| info.free_channels)
            .collect();
        assert_eq!(free, [0, 0]);
        let asked = |spy: &Spy| {
            let asked = spy.asked.lock().unwrap();
            let told = asked
                .iter()
                .map(|one| (one.flags, one.priority, one.cpus, one.group));
            told.collect::<Vec<_>>()
        };
        let every = (1 << machine.cpus()) - 1;
        let group = |mask| Some(GroupAffinity { mask, group: 0 });
        assert_eq!(
            asked(&life.spy),
            [(0, 7, 2, group(2)), (0, 0, every, group(u64::from(every)))]
        );
        let given = |spy: &Spy| spy.given.lock().unwrap().clone();
        assert_eq!(given(&life.spy), [Cpu(1), machine.engine_cpu()]);
        assert_eq!(asked(&other), [(0, 7, 2, None), (0, 0, every, None)]);
        let cargoes = channels.each_ref().map(|_| Cargo::new(machine));
        let copies = [0, 1, 2, 3].map(|at| cargoes[at].copy(passive, &channels[at]).unwrap());
        for at in 0..4 {
            let outcome = channels[at].wait(passive, copies[at], PATIENCE);
            assert_eq!(outcome, Ok(Outcome::COMPLETED));
            assert!(cargoes[at].arrived());
        }
        drop(second);
        let free = life.client.providers(passive);
        assert!(
            free.iter().all(|info| info.free_channels == 1),
            "what a client had is closed with it"
        );
        registration.stop(passive);
        other.serve(false);
        registration.deregister(passive);
        life.leave(passive);
    });
}

/// Proves: NETDMA-202.
#[test]
fn a_client_enumerates_owns_a_channel_fences_flushes_and_asks() {
    explore("client", 100, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V2_1));
        let known = life.client.providers(passive);
        assert_eq!(known.len(), 1);
        assert_eq!(
            (known[0].version, known[0].name),
            (Version::V2_1, Some("CPU engine"))
        );
        let channel = life.client.allocate(passive, known[0].id, OPTIONS).unwrap();
        let cargo = Cargo::new(machine);
        let level = || (&*passive).into();
        let copy = channel
            .queue(level(), cargo.request(), Completion::empty())
            .unwrap();
        let fence = channel
            .queue(level(), Request::null(), Completion::INTERRUPT)
            .unwrap();
        assert!(!channel.is_complete(level(), copy), "nobody was told of it");
        channel.flush(level()).unwrap();
        assert_eq!(channel.wait(passive, fence, PATIENCE), Ok(Outcome::COMPLETED));
        assert!(channel.is_complete(level(), copy), "it came before the fence");
        assert_eq!(channel.take(copy), Some(Outcome::COMPLETED));
        assert!(cargo.arrived());
        drop(channel);
        life.leave(passive);
    });
}

/// Proves: NETDMA-112, NETDMA-201.
#[test]
fn clients_hear_all_six_codes_in_order_also_of_what_was_before_them() {
    explore("codes", 20, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let id = life.registration.id();
        let late = |expected: &[u32]| {
            let ear = Ear::new(machine);
            let client = life.net.register_client(passive, ear.clone());
            assert_eq!(ear.codes(id), expected);
            (ear, client)
        };
        let started = late(&[REGISTERED, ARRIVAL]);
        let channels = (life.channel(passive), life.channel(passive));
        drop(channels.0);
        drop(channels.1);
        life.registration.notify(passive, PowerChange::Down);
        let asleep = late(&[REGISTERED, ARRIVAL, DOWN]);
        life.registration.notify(passive, PowerChange::Up);
        life.stop(passive);
        let stopped = late(&[REGISTERED]);
        let (ear, net) = (life.ear.clone(), life.net.clone());
        life.registration.deregister(passive);
        assert_eq!(ear.codes(id), [REGISTERED, ARRIVAL, CHANNEL, DOWN, UP, REMOVAL]);
        assert_eq!(started.0.codes(id), ear.codes(id));
        assert_eq!(asleep.0.codes(id), [REGISTERED, ARRIVAL, DOWN, UP, REMOVAL]);
        assert_eq!(stopped.0.codes(id), [REGISTERED]);
        let gone = Ear::new(machine);
        net.register_client(passive, gone.clone()).deregister(passive);
        assert!(gone.all().is_empty());
        assert_eq!(
            [REGISTERED, ARRIVAL, REMOVAL, CHANNEL, DOWN, UP],
            [1, 2, 3, 4, 5, 6]
        );
    });
}

/// Proves: NETDMA-013.
#[test]
fn a_client_may_allocate_and_let_go_inside_what_it_hears() {
    explore("inside-start", 50, |machine, passive| {
        let net = NetDma::new(passive, machine, CONFIG);
        let spy = Spy::new(machine, passive, Version::V2_1);
        let registration = net.register(passive, spy.clone()).unwrap();
        let ear = Ear::new(machine);
        let client = Arc::new(net.register_client(passive, ear.clone()));
        let held = Arc::new(Mutex::new(None));
        let (asks, holds) = (Arc::downgrade(&client), held.clone());
        ear.on_each(move |passive, told| match told.code as u32 {
            ARRIVAL => {
                let channel = asks.upgrade().unwrap().allocate(passive, told.provider, OPTIONS);
                *holds.lock().unwrap() = Some(channel.unwrap());
            }
            REMOVAL => drop(holds.lock().unwrap().take()),
            _ => {}
        });
        for _ in 0..2 {
            spy.serve(true);
            registration.start(passive, spy.attributes_now());
            assert_eq!(spy.out(), 1, "the allocation came inside the start");
            assert!(held.lock().unwrap().is_some());
            registration.stop(passive);
            spy.serve(false);
            assert!(held.lock().unwrap().is_none());
            spy.has_all_back();
        }
        registration.deregister(passive);
    });
}

/// Proves: NETDMA-110, NETDMA-113, RACE-9.
#[test]
fn clients_are_told_before_the_power_goes_and_after_every_channel_was_started_again() {
    explore("power", 50, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let channels = [life.channel(passive), life.channel(passive)];
        let cargoes = [(); 4].map(|()| Cargo::new(machine));
        let copies = [0, 1].map(|at| cargoes[at].copy(passive, &channels[at]).unwrap());
        let spy = life.spy.clone();
        life.ear.on_each(move |_, told| match told.code as u32 {
            DOWN => spy.note("told: down"),
            UP => spy.note("told: up"),
            _ => {}
        });
        life.spy.log();
        life.registration.notify(passive, PowerChange::Down);
        assert_eq!(life.spy.log(), ["told: down"], "nothing had to be cut");
        life.spy.serve(false);
        for at in [0, 1] {
            assert_eq!(channels[at].take(copies[at]), Some(Outcome::COMPLETED));
            assert_eq!(cargoes[2 + at].copy(passive, &channels[at]), Err(Refused::Paused));
        }
        let refused = life.client.allocate(passive, life.registration.id(), OPTIONS);
        assert_eq!(refused.unwrap_err(), AllocationError::NotStarted);
        life.spy.lose_power(passive);
        life.spy.serve(true);
        life.registration.notify(passive, PowerChange::Up);
        assert_eq!(life.spy.log(), ["start", "start", "told: up"]);
        for at in [0, 1] {
            let copy = cargoes[2 + at].copy(passive, &channels[at]).unwrap();
            assert_eq!(channels[at].wait(passive, copy, PATIENCE), Ok(Outcome::COMPLETED));
        }
        life.ear.deaf();
        life.leave(passive);
    });
}

/// Proves: NETDMA-113.
#[test]
fn a_channel_whose_outcomes_nobody_took_works_again_after_the_power_came_back() {
    explore("full", 50, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let id = life.registration.id();
        let channel = life.client.allocate(passive, id, life::ring(4)).unwrap();
        let cargoes = [(); 5].map(|()| Cargo::new(machine));
        let full: Vec<_> = cargoes
            .iter()
            .map_while(|cargo| cargo.copy(passive, &channel).ok())
            .collect();
        life.registration.notify(passive, PowerChange::Down);
        life.spy.lose_power(passive);
        life.registration.notify(passive, PowerChange::Up);
        for copy in full {
            assert_eq!(channel.take(copy), Some(Outcome::COMPLETED));
        }
        let copy = cargoes[4].copy(passive, &channel).unwrap();
        assert_eq!(channel.wait(passive, copy, PATIENCE), Ok(Outcome::COMPLETED));
        life.leave(passive);
    });
}

/// Proves: NETDMA-110, NETDMA-114.
#[test]
fn a_provider_of_version_1_0_cannot_tell_and_is_started_again_when_the_computer_wakes() {
    let run = once(|machine, passive| {
        let old = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_0));
        let new = Spy::new(machine, passive, Version::V1_1);
        let registration = old.net.register(passive, new.clone()).unwrap();
        new.serve(true);
        registration.start(passive, new.attributes_now());
        let channel = old.channel(passive);
        let other = old.client.allocate(passive, registration.id(), OPTIONS).unwrap();
        old.registration.notify(passive, PowerChange::Down);
        let cargoes = [(); 2].map(|()| Cargo::new(machine));
        let copy = cargoes[0].copy(passive, &channel).unwrap();
        assert_eq!(channel.wait(passive, copy, PATIENCE), Ok(Outcome::COMPLETED));
        drop((old.spy.log(), new.log()));
        old.spy.lose_power(passive);
        old.net.woke(passive);
        assert_eq!(old.spy.log(), ["start"]);
        assert!(new.log().is_empty(), "it tells by itself");
        let copy = cargoes[1].copy(passive, &channel).unwrap();
        assert_eq!(channel.wait(passive, copy, PATIENCE), Ok(Outcome::COMPLETED));
        drop(other);
        registration.stop(passive);
        registration.deregister(passive);
        old.leave(passive);
    });
    let state = NtStatus::INVALID_DEVICE_STATE;
    assert_eq!(misuses(&run), [("NetDmaPnPEventNotify", "NETDMA-110", state)]);
}

/// Proves: NETDMA-014, NETDMA-015.
#[test]
fn calls_out_of_turn_are_refused_and_reported_and_a_started_provider_is_stopped_before_it_goes() {
    let run = once(|machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let id = life.registration.id();
        life.registration.start(passive, life.spy.attributes_now());
        life.registration.notify(passive, PowerChange::Up);
        life.stop(passive);
        life.registration.stop(passive);
        life.registration.notify(passive, PowerChange::Down);
        life.start(passive);
        let channel = life.channel(passive);
        life.registration.deregister(passive);
        life.spy.serve(false);
        life.spy.has_all_back();
        assert_eq!(Cargo::new(machine).copy(passive, &channel), Err(Refused::Closed));
        assert_eq!(
            life.ear.codes(id),
            [REGISTERED, ARRIVAL, REMOVAL, ARRIVAL, REMOVAL]
        );
        drop(life.net.register(passive, life.spy.clone()).unwrap());
        assert!(
            life.client.providers(passive).is_empty(),
            "dropping it deregisters it too"
        );
    });
    let calls = [
        ("NetDmaProviderStart", "NETDMA-014"),
        ("NetDmaPnPEventNotify", "NETDMA-113"),
        ("NetDmaProviderStop", "NETDMA-014"),
        ("NetDmaPnPEventNotify", "NETDMA-113"),
        ("NetDmaDeregisterProvider", "NETDMA-014"),
        ("NetDmaDeregisterProvider", "NETDMA-015"),
    ];
    let expected = calls.map(|(name, rule)| (name, rule, NtStatus::INVALID_DEVICE_STATE));
    assert_eq!(misuses(&run), expected);
}

/// Proves: AMB-14.
#[test]
fn a_stop_over_a_dead_engine_resets_it_after_a_bounded_time_and_every_copy_has_an_outcome() {
    explore("dead", 50, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V2_1));
        let channels = [life.channel(passive), life.channel(passive)];
        life.spy.die();
        let cargoes = [(); 2].map(|()| Cargo::new(machine));
        let copies = [0, 1].map(|at| cargoes[at].copy(passive, &channels[at]).unwrap());
        life.spy.log();
        let before = machine.now();
        life.stop(passive);
        let took = machine.now().0 - before.0;
        assert!(took < 4 * PATIENCE.as_nanos() as u64, "{took} ns");
        assert_eq!(life.spy.log(), ["reset", "free", "reset", "free"]);
        for at in [0, 1] {
            let outcome = channels[at].take(copies[at]).expect("an outcome");
            assert!(outcome.verdict != Verdict::Completed && outcome.residue == LENGTH);
            assert!(!cargoes[at].arrived());
        }
        life.registration.deregister(passive);
    });
}

/// Proves: AMB-14.
#[test]
fn a_stop_over_an_engine_that_answers_nothing_leaves_it_the_memory_and_ends_too() {
    once(|machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V2_1));
        let channel = life.channel(passive);
        life.spy.die_for_good();
        let cargo = Cargo::new(machine);
        let copy = cargo.copy(passive, &channel).unwrap();
        let before = machine.now();
        life.registration.stop(passive);
        let took = machine.now().0 - before.0;
        assert!(took < 4 * PATIENCE.as_nanos() as u64, "{took} ns");
        let outcome = channel.take(copy).expect("an outcome");
        assert!(outcome.verdict != Verdict::Completed && outcome.residue == LENGTH);
        assert_eq!(life.spy.out(), 1, "what is not quiet is not freed");
        assert_eq!(Cargo::new(machine).copy(passive, &channel), Err(Refused::Closed));
        life.registration.deregister(passive);
        drop(channel);
        machine.keep((cargo, life.spy));
    });
}

/// Proves: NETDMA-014, RACE-9.
#[test]
fn a_stop_refuses_new_work_first_and_then_waits_for_what_is_outstanding() {
    explore("stop", 100, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V2_1));
        let channels = Arc::new([life.channel(passive), life.channel(passive)]);
        let cargoes = Arc::new([(); 4].map(|()| Cargo::new(machine)));
        let copies = [0, 1].map(|at| cargoes[at].copy(passive, &channels[at]).unwrap());
        let (tries, more) = (channels.clone(), cargoes.clone());
        life.ear.on_each(move |passive, told| {
            assert_eq!(told.code as u32, REMOVAL);
            for at in [0, 1] {
                assert_eq!(more[2 + at].copy(passive, &tries[at]), Err(Refused::Paused));
            }
        });
        life.stop(passive);
        for at in [0, 1] {
            assert_eq!(channels[at].take(copies[at]), Some(Outcome::COMPLETED));
            assert_eq!(cargoes[2 + at].copy(passive, &channels[at]), Err(Refused::Closed));
        }
        life.ear.deaf();
        life.registration.deregister(passive);
    });
}

/// Proves: NETDMA-014, AMB-14.
#[test]
fn a_provider_that_stops_and_starts_inside_an_allocation_waits_for_itself_only_so_long() {
    once(|machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let Life {
            spy,
            registration,
            client,
            ..
        } = life;
        let registration = Arc::new(registration);
        let (calls, inside, attributes) = (registration.clone(), machine.clone(), spy.attributes_now());
        spy.inside_allocation(move || {
            let passive = Passive::now(&inside).unwrap();
            calls.stop(&passive);
            calls.start(&passive, attributes);
        });
        let of_the_last_start = client.allocate(passive, registration.id(), OPTIONS);
        assert_eq!(of_the_last_start.unwrap_err(), AllocationError::NotStarted);
        assert_eq!(spy.out(), 0);
        assert_eq!(client.providers(passive)[0].free_channels, 2);
        drop(client.allocate(passive, registration.id(), OPTIONS).unwrap());
        registration.stop(passive);
        Arc::into_inner(registration).unwrap().deregister(passive);
    });
}

#[test]
fn a_client_that_calls_its_provider_from_its_ear_holds_nobody_up_for_ever() {
    once(|machine, passive| {
        let net = NetDma::new(passive, machine, CONFIG);
        let spy = Spy::new(machine, passive, Version::V1_1);
        spy.serve(true);
        let registration = Arc::new(net.register(passive, spy.clone()).unwrap());
        let ear = Ear::new(machine);
        let client = net.register_client(passive, ear.clone());
        let (calls, id) = (registration.clone(), registration.id());
        ear.on_each(move |passive, told| {
            if told.code as u32 == ARRIVAL {
                calls.stop(passive);
            }
        });
        registration.start(passive, spy.attributes_now());
        assert_eq!(ear.codes(id), [REGISTERED, ARRIVAL, REMOVAL]);
        ear.deaf();
        drop(client);
        Arc::into_inner(registration).unwrap().deregister(passive);
    });
}

#[test]
fn a_ring_that_cannot_be_opened_leaves_the_channel_free() {
    once(|machine: &Machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let tiny = life
            .client
            .allocate(passive, life.registration.id(), life::ring(1));
        assert_eq!(tiny.unwrap_err(), AllocationError::Open(OpenError::TooFewEntries));
        let info = life.client.providers(passive)[0];
        assert_eq!(info.free_channels, 2);
        life.leave(passive);
    });
}
