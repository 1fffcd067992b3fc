//! A provider that stops, loses its power or leaves while clients are at work on other CPUs.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod life;

use life::spy::Spy;
use life::{ARRIVAL, CONFIG, Cargo, Ear, Life, PATIENCE, REGISTERED, REMOVAL, explore, meanwhile};
use longshore_core::completion::Outcome;
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_netdma::registry::{AllocationError, NetDma, PowerChange};
use longshore_netdma::{Refused, Version};
use std::sync::{Arc, Mutex};

const COPIES: usize = 4;

/// Submits on another CPU while `act` runs here. Every copy that was accepted must have an outcome in the end, and every
/// one that was refused must have been for one of these reasons.
fn against_a_submitter(name: &'static str, version: Version, act: fn(&Life, &longshore_core::Passive)) {
    explore(name, 1_000, move |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, version));
        let channel = Arc::new(life.channel(passive));
        let cargoes = Arc::new([(); COPIES].map(|()| Cargo::new(machine)));
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let over = {
            let (channel, cargoes, accepted) = (channel.clone(), cargoes.clone(), accepted.clone());
            meanwhile(machine, passive, move |passive| {
                for cargo in cargoes.iter() {
                    match cargo.copy(passive, &channel) {
                        Ok(handle) => accepted.lock().unwrap().push(handle),
                        Err(refused) => {
                            assert!(matches!(refused, Refused::Paused | Refused::Closed), "{refused}");
                        }
                    }
                }
            })
        };
        act(&life, passive);
        let _ = over.wait(passive);
        for handle in accepted.lock().unwrap().drain(..) {
            assert!(channel.take(handle).is_some(), "an accepted copy has no outcome");
        }
        if life.spy.out() > 0 {
            life.stop(passive);
        }
        life.registration.deregister(passive);
        assert_eq!(life.spy.out(), 0);
    });
}

/// Proves: NETDMA-014, RACE-9.
#[test]
fn a_stop_against_a_submitter_frees_the_channel_once_and_ends_every_copy() {
    for version in [Version::V1_0, Version::V2_1] {
        against_a_submitter("stop-against-submit", version, |life, passive| {
            life.stop(passive);
        });
    }
}

/// Proves: NETDMA-113, RACE-9.
#[test]
fn a_power_down_against_a_submitter_ends_every_copy_before_it_returns() {
    for version in [Version::V1_1, Version::V2_1] {
        against_a_submitter("power-against-submit", version, |life, passive| {
            life.registration.notify(passive, PowerChange::Down);
            life.spy.serve(false);
            // Whoever submits now is refused without the provider being asked: the spy would tell.
            for _ in 0..8 {
                life.machine.relax();
            }
            life.spy.serve(true);
            life.stop(passive);
        });
    }
}

/// Proves: NETDMA-014, NETDMA-043.
#[test]
fn a_client_that_goes_while_the_provider_stops_frees_nothing_twice() {
    explore("drop-against-stop", 1_000, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V2_1));
        let (first, second) = (life.channel(passive), life.channel(passive));
        let cargo = Cargo::new(machine);
        let copy = cargo.copy(passive, &second).unwrap();
        let Life {
            spy,
            registration,
            client,
            ..
        } = life;
        let over = meanwhile(machine, passive, move |_| {
            drop(first);
            drop(client);
        });
        registration.stop(passive);
        spy.serve(false);
        spy.has_all_back();
        let _ = over.wait(passive);
        assert!(second.take(copy).is_some(), "an accepted copy has no outcome");
        registration.deregister(passive);
    });
}

/// Proves: NETDMA-015, NETDMA-013.
#[test]
fn an_allocation_while_the_provider_leaves_gets_a_channel_that_is_freed_or_none() {
    explore("allocate-against-deregister", 1_000, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V2_1));
        let Life {
            spy,
            registration,
            client,
            ..
        } = life;
        let id = registration.id();
        let over = meanwhile(machine, passive, move |passive| {
            for _ in 0..3 {
                match client.allocate(passive, id, life::ring(4)) {
                    Ok(channel) => drop(channel),
                    Err(error) => assert!(
                        matches!(error, AllocationError::NotStarted | AllocationError::Unknown),
                        "{error}"
                    ),
                }
            }
        });
        registration.stop(passive);
        spy.serve(false);
        spy.has_all_back();
        registration.deregister(passive);
        let _ = over.wait(passive);
        assert_eq!(spy.out(), 0);
    });
}

/// Proves: NETDMA-014, NETDMA-043.
#[test]
fn a_channel_that_is_dropped_at_dispatch_at_any_point_of_a_stop_is_freed_once() {
    explore("drop-at-every-point", 50, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let channel = Arc::new(Mutex::new(Some(life.channel(passive))));
        let struck = channel.clone();
        machine.arm(move |_| {
            let channel = struck.lock().unwrap().take();
            drop(channel);
        });
        life.stop(passive);
        machine.disarm();
        let left = channel.lock().unwrap().take();
        drop(left);
        life.registration.deregister(passive);
    });
}

/// Proves: NETDMA-113, RACE-9.
#[test]
fn a_channel_that_is_allocated_while_the_power_goes_takes_no_work_before_it_is_back() {
    explore("allocate-against-power", 1_000, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let id = life.registration.id();
        let Life {
            spy,
            registration,
            client,
            ..
        } = life;
        let client = Arc::new(client);
        let got = Arc::new(Mutex::new(None));
        let over = {
            let (client, got) = (client.clone(), got.clone());
            meanwhile(machine, passive, move |passive| {
                match client.allocate(passive, id, life::ring(4)) {
                    Ok(channel) => *got.lock().unwrap() = Some(channel),
                    Err(error) => assert_eq!(error, AllocationError::NotStarted),
                }
            })
        };
        registration.notify(passive, PowerChange::Down);
        // From here to the power-up the spy finds fault with every call.
        spy.serve(false);
        let _ = over.wait(passive);
        let cargo = Cargo::new(machine);
        let channel = got.lock().unwrap().take();
        if let Some(channel) = &channel {
            assert_eq!(cargo.copy(passive, channel), Err(Refused::Paused));
        }
        spy.serve(true);
        registration.notify(passive, PowerChange::Up);
        if let Some(channel) = &channel {
            let copy = cargo.copy(passive, channel).unwrap();
            assert_eq!(channel.wait(passive, copy, PATIENCE), Ok(Outcome::COMPLETED));
        }
        registration.stop(passive);
        spy.has_all_back();
        registration.deregister(passive);
    });
}

/// Proves: NETDMA-201.
#[test]
fn a_client_that_comes_while_the_provider_starts_and_stops_misses_nothing_and_hears_nothing_twice() {
    explore("client-against-start", 1_000, |machine, passive| {
        let net = NetDma::new(passive, machine, CONFIG);
        let spy = Spy::new(machine, passive, Version::V1_1);
        spy.serve(true);
        let registration = net.register(passive, spy.clone()).unwrap();
        let first = Ear::new(machine);
        let there = net.register_client(passive, first.clone());
        let ear = Ear::new(machine);
        let slow = machine.clone();
        ear.on_each(move |_, _| (0..4).for_each(|_| slow.relax()));
        let over = {
            let (ear, machine) = (ear.clone(), machine.clone());
            meanwhile(&machine.clone(), passive, move |passive| {
                let client = net.register_client(passive, ear.clone());
                (0..10).for_each(|_| machine.relax());
                client.deregister(passive);
                assert!(
                    !ear.is_listening(),
                    "a client that is gone is still being told something"
                );
                let heard = ear.all().len();
                (0..10).for_each(|_| machine.relax());
                assert_eq!(ear.all().len(), heard, "a client that is gone was told something");
            })
        };
        // Whoever else tells the clients something just now, these calls return when it was heard.
        registration.start(passive, spy.attributes_now());
        assert_eq!(first.codes(registration.id()), [REGISTERED, ARRIVAL]);
        registration.stop(passive);
        assert_eq!(first.codes(registration.id()), [REGISTERED, ARRIVAL, REMOVAL]);
        let _ = over.wait(passive);
        drop(there);
        let codes = ear.codes(registration.id());
        assert!([REGISTERED, ARRIVAL, REMOVAL].starts_with(&codes), "{codes:?}");
        registration.deregister(passive);
    });
}

/// Proves: NETDMA-014.
#[test]
fn of_two_stops_at_once_one_works_and_the_other_is_refused() {
    explore("stop-against-stop", 1_000, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V2_1));
        let _channel = life.channel(passive);
        let Life {
            spy, registration, ..
        } = life;
        let registration = Arc::new(registration);
        let over = {
            let registration = registration.clone();
            meanwhile(machine, passive, move |passive| {
                registration.stop(passive);
            })
        };
        registration.stop(passive);
        let _ = over.wait(passive);
        spy.serve(false);
        spy.has_all_back();
    });
}

/// Proves: NETDMA-113, RACE-9.
#[test]
fn a_client_that_copies_on_while_the_power_comes_back_is_refused_for_nothing_else() {
    explore("copy-against-power-up", 1_000, |machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V1_1));
        let id = life.registration.id();
        // So small that the operation that starts the engine again is soon in the way.
        let channel = Arc::new(life.client.allocate(passive, id, life::ring(3)).unwrap());
        let cargo = Cargo::new(machine);
        let (copies, clock) = (channel.clone(), machine.clone());
        let over = meanwhile(machine, passive, move |passive| {
            let mut left = 4;
            while left > 0 {
                match cargo.copy(passive, &copies) {
                    Ok(copy) => {
                        assert_eq!(copies.wait(passive, copy, PATIENCE), Ok(Outcome::COMPLETED));
                        left -= 1;
                    }
                    Err(Refused::Paused) => clock.relax(),
                    Err(other) => panic!("{other}"),
                }
            }
        });
        life.registration.notify(passive, PowerChange::Down);
        life.spy.lose_power(passive);
        life.registration.notify(passive, PowerChange::Up);
        let _ = over.wait(passive);
        life.leave(passive);
    });
}
