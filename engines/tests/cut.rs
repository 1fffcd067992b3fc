//! A copy is cut in the middle, at a place that the test chooses.

#![allow(clippy::unwrap_used)] // the helpers of a test may panic as the test itself

mod support;

use longshore_core::{Dispatch, Event, Rule};
use longshore_engines::cpu::{Config, CpuChannel, CpuEngine, MAXIMUM_TRANSFER_SIZE};
use longshore_hardware::netdma::Descriptor;
use longshore_host::{Host, Machine};
use longshore_netdma::state::State;
use longshore_netdma::{ChannelParameters, ProviderChannel};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use support::hooked::{Hooked, Place};
use support::*;

/// How many pieces are copied before the channel is freed.
const PIECES: u64 = 3;

type Rules = Arc<Mutex<Vec<Rule>>>;

/// A channel, once there is one.
type Channel = Arc<Mutex<Option<Arc<CpuChannel<Hooked>>>>>;

/// Proves: SEED-004-6, NETDMA-043, RACE-8.
///
/// The channel is freed between two pieces of one descriptor, by the very deferred call that copies. So the free
/// cannot wait for the worker, and must say so.
#[test]
fn a_copy_of_the_greatest_length_is_cut_between_two_pieces_by_default() {
    let rules = Rules::default();
    let host = listening_host(&rules);
    let machine = host.machine();
    let (channel, cut) = (Channel::default(), Arc::new(AtomicU64::new(0)));
    let hooked = freeing_machine(machine, &channel, &cut);
    // One look, as the one it waits for stands below it on the same stack.
    let config = Config {
        patience: 1,
        ..Config::default()
    };
    let engine = CpuEngine::open(&passive(machine), &hooked, config);
    let len = u64::from(MAXIMUM_TRANSFER_SIZE);
    let (source, destination) = (filled(machine, len, 5), zeros(machine, len));
    let (word, ring) = (zeros(machine, 64), zeros(machine, 64));
    let descriptor = Descriptor::copy(destination.address(), source.address(), MAXIMUM_TRANSFER_SIZE);
    put(machine, ring.address(), &descriptor);
    let parameters = ChannelParameters::new(word.address(), 1);
    let passive = passive(machine);
    let (held, _) = engine
        .allocate((&passive).into(), parameters, Arc::new(Listener::default()))
        .unwrap();
    *channel.lock().unwrap() = Some(held.clone());
    held.start((&passive).into(), ring.address(), 1).unwrap();
    let was_cut = || cut.load(Ordering::SeqCst) == PIECES;
    until("the end", || was_cut() || held.state() == State::Idle);
    assert!(was_cut(), "the copy had too few pieces");
    drop(engine); // waits for the worker
    assert_eq!(held.state(), State::Free);
    let copied = bytes(machine, &source);
    let (moved, rest) = copied.split_at((PIECES * config.piece) as usize);
    let found = bytes(machine, &destination);
    assert!(found.starts_with(moved));
    assert!(!rest.is_empty() && found[moved.len()..].iter().all(|&byte| byte == 0));
    let rules = rules.lock().unwrap();
    assert!(
        rules.contains(&Rule("RACE-8")),
        "a free that gave up was silent: {rules:?}"
    );
}

/// A machine whose worker frees the channel after some pieces.
fn freeing_machine(machine: &Machine, channel: &Channel, cut: &Arc<AtomicU64>) -> Hooked {
    let (inner, channel, cut) = (machine.clone(), channel.clone(), cut.clone());
    let points = AtomicU64::new(0);
    Hooked::new(machine, move |place| {
        if place != Place::Point || points.fetch_add(1, Ordering::SeqCst) + 1 != PIECES {
            return;
        }
        let channel = channel.lock().unwrap().take().expect("it was started");
        let dispatch = Dispatch::now(&inner).expect("the worker runs at DISPATCH");
        channel.free((&dispatch).into());
        cut.store(PIECES, Ordering::SeqCst);
    })
}

fn listening_host(rules: &Rules) -> Host {
    let rules = rules.clone();
    let observer = move |event: &Event| {
        if let Event::Misuse(_, rule, _) = *event {
            rules.lock().unwrap().push(rule);
        }
    };
    Host::new(longshore_host::Config {
        observer: Some(Arc::new(observer)),
        ..longshore_host::Config::default()
    })
    .expect("a small machine")
}
