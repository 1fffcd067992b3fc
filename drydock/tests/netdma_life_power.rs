//! Providers whose power goes and comes back.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod life;

use life::spy::Spy;
use life::{Cargo, DOWN, Life, PATIENCE, UP, explore, misuses, once};
use longshore_core::NtStatus;
use longshore_core::completion::Outcome;
use longshore_netdma::registry::{AllocationError, PowerChange};
use longshore_netdma::{Refused, RingOptions, Version};

const OPTIONS: RingOptions = life::ring(8);

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
