//! NetDMA's client side on the CPU engine, on the threaded machine.

mod support;

use longshore_core::Event;
use longshore_core::completion::{Cause, Outcome, Verdict};
use longshore_core::event::Operation;
use longshore_core::machine::{Deferred as _, Machine as _};
use longshore_engines::cpu::{Config, MAXIMUM_TRANSFER_SIZE};
use longshore_hardware::{BusAddress, DmaMemory, Lease};
use longshore_host::Host;
use longshore_netdma::{Channel, Completion, NoOutcome, OpenError, Refused, Version};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use support::*;

const VERSIONS: [Version; 2] = [Version::V1_1, Version::V2_0];

fn config(version: Version) -> Config {
    Config {
        version,
        piece: 4096,
        ..Config::default()
    }
}

/// Proves: NETDMA-080, NETDMA-084.
#[test]
fn copies_complete_in_order_however_they_are_told() {
    let ways = [
        Completion::STATUS,
        Completion::INTERRUPT,
        Completion::all(),
        Completion::empty(),
    ];
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let engine = engine(machine, config(version));
        let passive = passive(machine);
        let channel = Channel::open(&passive, machine, &engine, 4).unwrap();
        for round in 0..200u64 {
            let len = 1 + round * 37;
            let source = filled(machine, len, round as u8);
            let destination = zeros(machine, len);
            let copy = |completion| {
                channel
                    .copy(
                        (&passive).into(),
                        destination.address(),
                        source.address(),
                        len,
                        completion,
                    )
                    .unwrap()
            };
            let way = ways[round as usize % 4];
            let first = copy(way);
            let second = copy(Completion::all());
            assert_eq!(channel.wait(&passive, second, LIMIT), Ok(Outcome::COMPLETED));
            assert_eq!(channel.take(first), Some(Outcome::COMPLETED));
            assert_eq!(channel.take(first), None);
            assert_eq!(channel.wait(&passive, first, LIMIT), Err(NoOutcome::Unknown));
            assert_eq!(bytes(machine, &destination), bytes(machine, &source));
        }
    }
}

/// Proves: NETDMA-055.
#[test]
fn what_cannot_be_done_is_refused() {
    let host = host();
    let machine = host.machine();
    let engine = engine(machine, Config::default());
    let passive = passive(machine);
    let open = |entries| Channel::open(&passive, machine, &engine, entries);
    assert_eq!(open(1).unwrap_err(), OpenError::TooFewEntries);
    let channel = open(3).unwrap();
    assert!(matches!(open(3), Err(OpenError::Allocate(_))));
    let buffer = zeros(machine, 64);
    let copy = |to, len| channel.copy((&passive).into(), to, buffer.address(), len, Completion::STATUS);
    assert_eq!(copy(buffer.address(), 0), Err(Refused::Empty));
    let too_long = 2 * u64::from(MAXIMUM_TRANSFER_SIZE) + 1;
    assert_eq!(copy(buffer.address(), too_long), Err(Refused::TooManyDescriptors));
    assert_eq!(copy(BusAddress::new(u64::MAX), 2), Err(Refused::OutOfRange));
    let first = copy(buffer.address(), 64).unwrap();
    let second = copy(buffer.address(), 64).unwrap();
    until("both", || {
        channel.poll((&passive).into());
        channel.pending() == 0
    });
    let third = copy(buffer.address(), 64).unwrap();
    assert_eq!(copy(buffer.address(), 64), Err(Refused::OutcomeNotTaken));
    until("the third", || {
        channel.poll((&passive).into());
        channel.pending() == 0
    });
    for handle in [first, second, third] {
        assert_eq!(channel.take(handle), Some(Outcome::COMPLETED));
    }
    drop(channel);
    open(2).unwrap();
}

/// Proves: NETDMA-092, RACE-3.
#[test]
fn an_abort_completes_what_was_done_and_cancels_the_rest() {
    const LEN: u64 = 1 << 18;
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let engine = engine(machine, config(version));
        let passive = passive(machine);
        let channel = Channel::open(&passive, machine, &engine, 8).unwrap();
        let source = filled(machine, LEN, 3);
        let destinations: Vec<_> = (0..6).map(|_| zeros(machine, LEN)).collect();
        for round in 0..60u32 {
            let handles: Vec<_> = destinations
                .iter()
                .map(|to| {
                    channel
                        .copy(
                            (&passive).into(),
                            to.address(),
                            source.address(),
                            LEN,
                            Completion::all(),
                        )
                        .unwrap()
                })
                .collect();
            for _ in 0..round * 20 {
                machine.relax();
            }
            until("an answer", || channel.abort((&passive).into()).is_ok());
            let outcomes: Vec<_> = handles
                .iter()
                .map(|&handle| channel.take(handle).expect("all have ended"))
                .collect();
            let done = outcomes
                .iter()
                .take_while(|&&outcome| outcome == Outcome::COMPLETED)
                .count();
            for outcome in &outcomes[done..] {
                assert_eq!((outcome.verdict, outcome.residue), (Verdict::Cancelled, LEN));
            }
            for destination in &destinations[..done] {
                assert_eq!(bytes(machine, destination), bytes(machine, &source));
            }
            // All memory is ours again: nobody writes to it any more.
            for destination in &destinations {
                machine
                    .memory()
                    .write(destination.address(), &vec![0; LEN as usize])
                    .unwrap();
            }
            std::thread::yield_now();
            for destination in &destinations {
                assert!(bytes(machine, destination).iter().all(|&byte| byte == 0));
            }
        }
    }
}

/// Proves: NETDMA-092.
///
/// All of it runs on the worker's own CPU, whose deferred calls come one after the other: first all copies are
/// submitted, then the worker does as many as its budget allows, then comes the abort.
#[test]
fn an_abort_between_two_descriptors_cancels_exactly_those_behind_it() {
    const LEN: u64 = 5000;
    for (version, done) in VERSIONS
        .into_iter()
        .flat_map(|version| (1..6).map(move |done| (version, done)))
    {
        let host = host();
        let machine = host.machine();
        let config = Config {
            budget: done,
            ..config(version)
        };
        let engine = engine(machine, config);
        let passive = passive(machine);
        let channel = Arc::new(Channel::open(&passive, machine, &engine, 8).unwrap());
        let source = filled(machine, LEN, 3);
        let destinations: Vec<_> = (0..6).map(|_| zeros(machine, LEN)).collect();
        let aborted = Arc::new(Mutex::new(None));
        let abort = {
            let (channel, aborted) = (channel.clone(), aborted.clone());
            machine.deferred(&passive, "abort", config.cpu, move |dispatch| {
                *aborted.lock().unwrap() = Some(channel.abort(dispatch.into()));
            })
        };
        let abort = Arc::new(abort);
        let handles = Arc::new(Mutex::new(Vec::new()));
        let submit = {
            let (channel, abort, handles) = (channel.clone(), abort.clone(), handles.clone());
            let (from, to) = (source.address(), addresses(&destinations));
            machine.deferred(&passive, "submit", config.cpu, move |dispatch| {
                let copy = |&to| channel.copy(dispatch.into(), to, from, LEN, Completion::STATUS);
                handles.lock().unwrap().extend(to.iter().map(copy));
                abort.queue();
            })
        };
        submit.queue();
        until("the abort", || aborted.lock().unwrap().is_some());
        assert_eq!(*aborted.lock().unwrap(), Some(Ok(())));
        for (index, handle) in handles.lock().unwrap().iter().enumerate() {
            let outcome = channel.take(handle.unwrap()).expect("all have ended");
            if index < done as usize {
                assert_eq!(outcome, Outcome::COMPLETED);
                assert_eq!(bytes(machine, &destinations[index]), bytes(machine, &source));
            } else {
                assert_eq!((outcome.verdict, outcome.residue), (Verdict::Cancelled, LEN));
                assert_eq!(bytes(machine, &destinations[index]), vec![0; LEN as usize]);
            }
        }
    }
}

fn addresses(leases: &[Lease<Memory>]) -> Vec<BusAddress> {
    leases.iter().map(Lease::address).collect()
}

/// Proves: NETDMA-102, AMB-08.
#[test]
fn an_error_fails_the_operation_and_those_behind_it() {
    for version in VERSIONS {
        let host = host();
        let machine = host.machine();
        let engine = engine(machine, config(version));
        let passive = passive(machine);
        let channel = Channel::open(&passive, machine, &engine, 8).unwrap();
        let buffer = filled(machine, 256, 1);
        let target = zeros(machine, 256);
        for _ in 0..100 {
            let outside = BusAddress::new(u64::MAX - 0x1000);
            let copy = |from| {
                channel
                    .copy((&passive).into(), target.address(), from, 256, Completion::all())
                    .unwrap()
            };
            let good = copy(buffer.address());
            let bad = copy(outside);
            let behind = copy(buffer.address());
            assert_eq!(channel.wait(&passive, good, LIMIT), Ok(Outcome::COMPLETED));
            let bad = channel.wait(&passive, bad, LIMIT).unwrap();
            assert_eq!(bad.verdict, Verdict::Failed(Cause::DEVICE));
            assert_eq!(bad.residue, 256);
            // It came before the error was known, or behind it and began a new chain.
            let behind = channel.wait(&passive, behind, LIMIT).unwrap();
            assert!(
                [Verdict::Failed(Cause::HALTED), Verdict::Completed].contains(&behind.verdict),
                "{behind:?}"
            );
        }
    }
}

/// Three threads submit, and one aborts all the time. Every operation has one truthful outcome, recorded once and
/// delivered once, and the events say so.
#[test]
fn submitting_and_aborting_at_once_loses_nothing() {
    for version in VERSIONS {
        let ledger = Arc::new(Mutex::new(BTreeMap::new()));
        let host = observed_host(&ledger);
        let machine = host.machine();
        let engine = engine(machine, config(version));
        let channel = Channel::open(&passive(machine), machine, &engine, 4).unwrap();
        let source = filled(machine, 20_000, 9);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| submit(machine, &channel, source.address(), 400));
            }
            for _ in 0..100 {
                let _ = channel.abort((&passive(machine)).into());
                // Lets some copies be submitted between two aborts; how many does not matter.
                (0..2_000).for_each(|_| machine.relax());
            }
        });
        assert_eq!(channel.pending(), 0);
        let ledger = ledger.lock().unwrap();
        assert_eq!(ledger.len(), 1200);
        assert!(ledger.values().all(|counts| *counts == [1, 1, 1, 0]));
    }
}

/// Proves: NETDMA-043.
#[test]
fn a_dropped_channel_says_what_nobody_was_told() {
    let ledger = Arc::new(Mutex::new(BTreeMap::new()));
    let host = observed_host(&ledger);
    let machine = host.machine();
    let engine = engine(machine, config(Version::V2_0));
    let passive = passive(machine);
    let channel = Channel::open(&passive, machine, &engine, 4).unwrap();
    let buffer = zeros(machine, 1 << 20);
    for _ in 0..3 {
        channel
            .copy(
                (&passive).into(),
                buffer.address(),
                buffer.address(),
                1 << 20,
                Completion::all(),
            )
            .unwrap();
    }
    drop(channel);
    let ledger = ledger.lock().unwrap();
    assert_eq!(ledger.len(), 3);
    assert!(ledger.values().all(|counts| *counts == [1, 1, 0, 1]));
}

/// For each operation, how often it was accepted, ended, delivered and undelivered.
type Ledger = Mutex<BTreeMap<Operation, [u32; 4]>>;

fn observed_host(ledger: &Arc<Ledger>) -> Host {
    let ledger = ledger.clone();
    let observer = move |event: &Event| {
        let (operation, column) = match *event {
            Event::Accepted(operation) => (operation, 0),
            Event::Ended(operation, _) => (operation, 1),
            Event::Delivered(operation, _) => (operation, 2),
            Event::Undelivered(operation, _) => (operation, 3),
            _ => return,
        };
        let mut ledger = ledger.lock().expect("nobody panicked");
        ledger.entry(operation).or_default()[column] += 1;
    };
    Host::new(longshore_host::Config {
        observer: Some(Arc::new(observer)),
        ..longshore_host::Config::default()
    })
    .expect("a small machine")
}

fn submit(
    machine: &longshore_host::Machine,
    channel: &Channel<longshore_host::Machine>,
    source: BusAddress,
    count: u32,
) {
    let passive = passive(machine);
    let destination = zeros(machine, 20_000);
    let mut expected = vec![0; 20_000];
    machine.memory().read(source, &mut expected).expect("it works");
    let mut ended = 0;
    while ended < count {
        machine
            .memory()
            .write(destination.address(), &[0; 20_000])
            .expect("it works");
        let handle = match channel.copy(
            (&passive).into(),
            destination.address(),
            source,
            20_000,
            Completion::all(),
        ) {
            Ok(handle) => handle,
            Err(Refused::Full | Refused::OutcomeNotTaken) => {
                std::thread::yield_now();
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        let outcome = channel.wait(&passive, handle, LIMIT).expect("it works");
        match outcome.verdict {
            Verdict::Completed => assert!(bytes(machine, &destination) == expected),
            Verdict::Cancelled => assert_eq!(outcome.residue, 20_000),
            Verdict::Failed(cause) => panic!("{cause:?}"),
        }
        ended += 1;
    }
}
