//! How a provider stops at the NetDMA interface, and what happens out of turn.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod life;

use life::spy::Spy;
use life::{
    ARRIVAL, CONFIG, Cargo, Ear, LENGTH, Life, PATIENCE, REGISTERED, REMOVAL, explore, misuses, once,
};
use longshore_core::completion::{Outcome, Verdict};
use longshore_core::machine::Machine as _;
use longshore_core::{NtStatus, Passive};
use longshore_netdma::registry::{AllocationError, NetDma, PowerChange};
use longshore_netdma::{Refused, RingOptions, Version};
use std::sync::Arc;

const OPTIONS: RingOptions = life::ring(8);

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
