//! A provider that comes and goes on the threaded machine while clients copy.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod support;

use longshore_core::Passive;
use longshore_core::completion::Verdict;
use longshore_core::machine::Cpu;
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_host::Machine;
use longshore_netdma::registry::{
    AllocationError, ClientEvents, Config as Interface, NetDma, Notification, NotificationCode, PowerChange,
};
use longshore_netdma::{Completion, Provider, Refused, RingOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::{LIMIT, bytes, filled, host, passive, until, zeros};

const ROUNDS: u32 = 100;
const LENGTH: u64 = 4096;

/// Counts arrivals against removals.
#[derive(Default)]
struct Balance(AtomicU64, AtomicU64);

impl ClientEvents for Balance {
    fn notify(&self, _: &Passive, notification: Notification) {
        match notification.code {
            NotificationCode::ProviderArrival => self.0.fetch_add(1, Ordering::SeqCst),
            NotificationCode::ProviderRemoval => self.1.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
    }
}

/// Copies again and again whenever the provider is there, and counts the copies that complete.
fn copy_on(machine: &Machine, net: &NetDma<Machine>, over: &AtomicBool, completed: &AtomicU64) {
    let at = passive(machine);
    let balance = Arc::new(Balance::default());
    let client = net.register_client(&at, balance.clone());
    let (source, destination) = (filled(machine, LENGTH, 9), zeros(machine, LENGTH));
    while !over.load(Ordering::SeqCst) {
        let Some(provider) = client.providers(&at).first().map(|info| info.id) else {
            continue;
        };
        let channel = match client.allocate(&at, provider, RingOptions::default()) {
            Ok(channel) => channel,
            Err(AllocationError::NotStarted | AllocationError::Unknown | AllocationError::NoChannel) => {
                std::thread::yield_now();
                continue;
            }
            // The last user of a channel may still be in a callback of its own.
            Err(AllocationError::Open(_)) => continue,
        };
        loop {
            let (to, from) = (destination.address(), source.address());
            match channel.copy((&at).into(), to, from, LENGTH, Completion::all()) {
                Ok(copy) => {
                    let outcome = channel.wait(&at, copy, LIMIT).expect("an outcome");
                    if outcome.verdict == Verdict::Completed {
                        assert_eq!(bytes(machine, &source), bytes(machine, &destination));
                        completed.fetch_add(1, Ordering::SeqCst);
                    }
                }
                Err(Refused::Paused) if !over.load(Ordering::SeqCst) => std::thread::yield_now(),
                Err(Refused::Paused | Refused::Closed) => break,
                Err(other) => panic!("{other}"),
            }
        }
    }
    drop(client);
    let (came, went) = (balance.0.load(Ordering::SeqCst), balance.1.load(Ordering::SeqCst));
    assert!(came > 0 && came == went, "{came} arrivals, {went} removals");
}

/// Two clients copy while the provider starts, sleeps, wakes and stops all the time: no copy is lost, nobody hangs, and
/// the engine has every channel back.
///
/// Proves: NETDMA-001, NETDMA-014, RACE-9.
#[test]
fn a_provider_comes_and_goes_while_two_clients_copy() {
    let host = host();
    let machine = host.machine();
    let at = passive(machine);
    let config = Config {
        channels: 2,
        cpu: Cpu(1),
        ..Config::default()
    };
    let engine = Arc::new(CpuEngine::open(&at, machine, config));
    let net = NetDma::new(&at, machine, Interface::default());
    let registration = net.register(&at, engine.clone()).unwrap();
    let (over, completed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _clients = [(); 2].map(|()| scope.spawn(|| copy_on(machine, &net, &over, &completed)));
        for round in 0..ROUNDS {
            let before = completed.load(Ordering::SeqCst);
            registration.start(&at, engine.attributes());
            until("a copy", || completed.load(Ordering::SeqCst) > before);
            if round % 2 == 0 {
                registration.notify(&at, PowerChange::Down);
                engine.lose_power((&at).into()).unwrap();
                registration.notify(&at, PowerChange::Up);
            }
            if round + 1 == ROUNDS {
                over.store(true, Ordering::SeqCst);
            }
            registration.stop(&at);
        }
    });
    registration.deregister(&at);
}
