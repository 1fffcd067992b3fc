//! What clients have of providers at the NetDMA interface, and what they hear of them.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod life;

use life::spy::Spy;
use life::{
    ARRIVAL, CHANNEL, CONFIG, Cargo, DOWN, Ear, Life, PATIENCE, REGISTERED, REMOVAL, UP, explore, once,
};
use longshore_core::completion::Outcome;
use longshore_core::machine::{Cpu, Machine as _};
use longshore_drydock::machine::Machine;
use longshore_netdma::provider::GroupAffinity;
use longshore_netdma::registry::{AllocationError, NetDma, PowerChange};
use longshore_netdma::{Completion, OpenError, ProviderFlags, Request, RingOptions, Version};
use std::sync::{Arc, Mutex};

const OPTIONS: RingOptions = life::ring(8);

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
            (known[0].version, known[0].name.as_deref()),
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

#[test]
fn a_ring_that_cannot_be_opened_leaves_the_channel_free() {
    once(|machine: &Machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let tiny = life
            .client
            .allocate(passive, life.registration.id(), life::ring(1));
        assert_eq!(tiny.unwrap_err(), AllocationError::Open(OpenError::TooFewEntries));
        let info = &life.client.providers(passive)[0];
        assert_eq!(info.free_channels, 2);
        life.leave(passive);
    });
}
