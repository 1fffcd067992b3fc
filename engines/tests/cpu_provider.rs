//! The CPU engine as a bare provider, on the threaded machine.

mod support;

use longshore_core::completion::Cause;
use longshore_core::machine::{Deferred as _, Machine as _};
use longshore_engines::cpu::{Config, CpuChannel, CpuEngine};
use longshore_hardware::netdma::{ControlFlags, Descriptor, TransferStatus};
use longshore_hardware::{BusAddress, DmaMemory, Lease};
use longshore_host::{Host, Machine};
use longshore_netdma::state::State;
use longshore_netdma::{ChannelParameters, ProviderChannel, Version};
use std::sync::{Arc, Mutex};
use support::*;

const BOTH: ControlFlags =
    ControlFlags::STATUS_UPDATE_ON_COMPLETION.union(ControlFlags::INTERRUPT_ON_COMPLETION);

/// A channel with its descriptors, its word and two buffers.
struct Bench {
    listener: Arc<Listener>,
    channel: Arc<CpuChannel<Machine>>,
    word: Lease<Memory>,
    ring: Lease<Memory>,
    source: Lease<Memory>,
    destination: Lease<Memory>,
    engine: CpuEngine<Machine>,
    host: Host,
}

impl Bench {
    fn new(config: Config, len: u64) -> Self {
        let host = host();
        let machine = host.machine();
        let engine = engine(machine, config);
        let listener = Arc::new(Listener::default());
        let word = zeros(machine, 64);
        let parameters = ChannelParameters::new(word.address(), 3);
        let (channel, cpu) = engine
            .allocate((&passive(machine)).into(), parameters, listener.clone())
            .expect("a channel is free");
        assert_eq!(cpu, config.cpu);
        Self {
            listener,
            channel,
            word,
            ring: zeros(machine, 16 * 64),
            source: filled(machine, len, 7),
            destination: zeros(machine, len),
            engine,
            host,
        }
    }

    fn at(&self, index: u64) -> BusAddress {
        self.ring
            .address()
            .checked_add(index * 64)
            .expect("a small index")
    }

    /// Descriptor `index` copies everything and is followed by `next`.
    fn describe(&self, index: u64, next: Option<u64>, flags: ControlFlags) {
        let mut descriptor = self.whole();
        descriptor.control = flags;
        descriptor.next = next.map_or(BusAddress::NULL, |next| self.at(next));
        put(self.host.machine(), self.at(index), &descriptor);
    }

    fn whole(&self) -> Descriptor {
        let len = self.source.len() as u32;
        Descriptor::copy(self.destination.address(), self.source.address(), len)
    }

    fn link(&self, index: u64, next: u64) {
        let link = self.at(index).checked_add(0x18).expect("a small index");
        let next = self.at(next).raw();
        self.host
            .machine()
            .memory()
            .store_u64(link, next)
            .expect("the ring is there");
    }

    fn word_is(&self, index: u64, status: TransferStatus) {
        until("the word", || {
            let word = word(self.host.machine(), &self.word);
            (word.descriptor(), word.status()) == (self.at(index), status)
        });
    }

    fn start(&self, index: u64, count: u32) {
        let passive = passive(self.host.machine());
        self.channel
            .start((&passive).into(), self.at(index), count)
            .expect("a start is accepted");
    }

    fn append(&self, index: u64, count: u32) -> bool {
        let passive = passive(self.host.machine());
        let answer = self.channel.append((&passive).into(), self.at(index), count);
        answer.is_ok()
    }
}

/// Proves: NETDMA-071, NETDMA-075, NETDMA-076, NETDMA-080, NETDMA-086, NETDMA-100, NETDMA-102, RACE-1.
#[test]
fn a_chain_of_version_1_runs_and_is_extended() {
    let bench = Bench::new(Config::default(), 5000);
    assert!(!bench.append(0, 1), "nothing was started");
    bench.describe(0, Some(1), ControlFlags::empty());
    bench.describe(1, None, BOTH);
    bench.start(0, 0);
    bench.word_is(1, TransferStatus::IDLE);
    let machine = bench.host.machine();
    assert_eq!(bytes(machine, &bench.destination), bytes(machine, &bench.source));
    until("the interrupt", || !bench.listener.told().is_empty());
    assert_eq!(bench.listener.told(), [bench.at(1)]);
    bench.describe(2, None, ControlFlags::STATUS_UPDATE_ON_COMPLETION);
    bench.link(1, 2);
    assert!(bench.append(2, 1));
    bench.word_is(2, TransferStatus::IDLE);
    bench.channel.free((&passive(machine)).into());
    assert_eq!(bench.channel.state(), State::Free);
    assert!(!bench.append(2, 1));
}

/// Proves: NETDMA-072, NETDMA-074, AMB-23, RACE-2.
#[test]
fn a_counted_chain_stops_at_its_count_and_goes_on_where_it_said() {
    let config = Config {
        version: Version::V2_0,
        ..Config::default()
    };
    let bench = Bench::new(config, 100);
    let machine = bench.host.machine();
    for index in 0..4 {
        bench.describe(index, Some(index + 1), ControlFlags::STATUS_UPDATE_ON_COMPLETION);
    }
    let none = bench.channel.start((&passive(machine)).into(), bench.at(0), 0);
    assert!(none.is_err());
    bench.start(0, 2);
    bench.word_is(1, TransferStatus::IDLE);
    assert!(!bench.append(3, 1), "the tail said 2");
    assert!(bench.append(2, 0));
    assert!(bench.append(2, 1));
    bench.word_is(2, TransferStatus::IDLE);
    // The chain ends, but the count does not.
    bench.describe(3, None, ControlFlags::STATUS_UPDATE_ON_COMPLETION);
    assert!(bench.append(3, 2));
    bench.word_is(3, TransferStatus::HALTED);
    until("the error", || bench.listener.told() == [BusAddress::NULL]);
    assert_eq!(bench.channel.fault(), Some((BusAddress::NULL, Cause::PROGRAM)));
}

/// Proves: NETDMA-090, NETDMA-091, AMB-09, AMB-11, RACE-4, RACE-5.
#[test]
fn a_suspended_channel_waits_for_resume() {
    let bench = Bench::new(Config::default(), 100);
    let machine = bench.host.machine();
    let passive = passive(machine);
    let level = || (&passive).into();
    assert!(bench.channel.suspend(level()).is_err());
    bench.describe(0, None, ControlFlags::STATUS_UPDATE_ON_COMPLETION);
    bench.start(0, 1);
    bench.word_is(0, TransferStatus::IDLE);
    assert!(bench.channel.resume(level()).is_err());
    assert_eq!(bench.channel.suspend(level()), Ok(bench.at(0)));
    bench.word_is(0, TransferStatus::SUSPEND);
    assert_eq!(bench.channel.suspend(level()), Ok(bench.at(0)));
    bench.describe(1, None, ControlFlags::STATUS_UPDATE_ON_COMPLETION);
    bench.link(0, 1);
    assert!(bench.append(1, 1));
    assert_eq!(bench.channel.state(), State::Suspended);
    assert!(bench.channel.resume(level()).is_ok());
    bench.word_is(1, TransferStatus::IDLE);
}

/// Proves: NETDMA-092, NETDMA-093, AMB-16.
#[test]
fn an_endless_loop_can_be_aborted_again_and_again() {
    let config = Config {
        piece: 512,
        budget: 3,
        ..Config::default()
    };
    let bench = Bench::new(config, 1 << 16);
    let machine = bench.host.machine();
    let passive = passive(machine);
    bench.describe(0, Some(0), BOTH);
    for round in 0..200 {
        bench.start(0, 1);
        if round % 2 == 0 {
            bench.word_is(0, TransferStatus::ACTIVE);
        }
        let stopped = if round % 3 == 0 {
            bench.channel.reset((&passive).into())
        } else {
            bench.channel.abort((&passive).into())
        };
        if stopped.is_err() {
            // The machine was too busy to answer in time. It stopped nothing, so ask again.
            until("an answer", || bench.channel.abort((&passive).into()).is_ok());
        }
        let after = word(machine, &bench.word);
        assert_eq!(after.status(), TransferStatus::HALTED);
        std::thread::yield_now();
        assert_eq!(word(machine, &bench.word), after, "a write after the abort");
        assert!(!bench.append(0, 1));
    }
}

/// Proves: NETDMA-102, AMB-01, AMB-05, AMB-08.
#[test]
fn nonsense_ends_in_an_error_and_a_start_clears_it() {
    let bench = Bench::new(Config::default(), 64);
    let machine = bench.host.machine();
    let mut far = bench.whole();
    far.source = BusAddress::new(u64::MAX - 63);
    let mut unknown = bench.whole();
    unknown.control = ControlFlags::from_bits_retain(0x4200_0000);
    let mut astray = bench.whole();
    astray.next = BusAddress::new(0x1001);
    let ones = Descriptor::parse(&[0xff; 64]);
    for (bad, cause) in [
        (far, Cause::BUS),
        (unknown, Cause::PROGRAM),
        (ones, Cause::PROGRAM),
    ] {
        let before = bench.listener.told().len();
        bench.describe(0, Some(1), ControlFlags::empty());
        put(machine, bench.at(1), &bad);
        bench.start(0, 1);
        bench.word_is(0, TransferStatus::HALTED);
        until("the error", || bench.listener.told().len() > before);
        assert_eq!(bench.listener.told().last(), Some(&BusAddress::NULL));
        assert_eq!(bench.channel.fault(), Some((bench.at(1), cause)));
        assert_eq!(bench.channel.state(), State::Error);
        assert!(!bench.append(1, 1));
    }
    put(machine, bench.at(1), &astray);
    bench.start(1, 1);
    bench.word_is(1, TransferStatus::HALTED);
    assert_eq!(
        bench.channel.fault(),
        Some((BusAddress::new(0x1001), Cause::PROGRAM))
    );
    let refused = bench
        .channel
        .start((&passive(machine)).into(), BusAddress::new(0x1008), 1);
    assert!(refused.is_err());
    bench.describe(2, None, ControlFlags::STATUS_UPDATE_ON_COMPLETION);
    bench.start(2, 1);
    bench.word_is(2, TransferStatus::IDLE);
    assert_eq!(bench.channel.fault(), None);
}

/// Proves: NETDMA-077, AMB-10.
#[test]
fn a_start_replaces_a_running_chain() {
    let config = Config {
        piece: 256,
        budget: 2,
        ..Config::default()
    };
    let bench = Bench::new(config, 1 << 16);
    bench.describe(0, Some(0), ControlFlags::STATUS_UPDATE_ON_COMPLETION);
    bench.describe(1, None, ControlFlags::STATUS_UPDATE_ON_COMPLETION);
    bench.start(0, 1);
    bench.word_is(0, TransferStatus::ACTIVE);
    bench.start(1, 1);
    bench.word_is(1, TransferStatus::IDLE);
    assert_eq!(bench.channel.state(), State::Idle);
}

/// Proves: NETDMA-043, RACE-8.
#[test]
fn an_engine_can_be_dropped_while_it_copies() {
    let config = Config {
        piece: 64,
        channels: 2,
        ..Config::default()
    };
    let bench = Bench::new(config, 1 << 16);
    bench.describe(0, Some(0), BOTH);
    bench.start(0, 1);
    bench.word_is(0, TransferStatus::ACTIVE);
    let told = Arc::downgrade(&bench.listener);
    let Bench {
        channel,
        engine,
        listener,
        host,
        ..
    } = bench;
    drop(engine);
    drop(listener);
    assert!(told.upgrade().is_none(), "somebody still holds the interface");
    let refused = channel.append((&passive(host.machine())).into(), BusAddress::new(64), 1);
    assert!(refused.is_err());
}

/// A deferred call on the worker's own CPU cannot wait for the worker: it stops the channel itself.
#[test]
fn a_channel_can_be_stopped_at_dispatch_on_the_worker_s_cpu() {
    let config = Config {
        piece: 512,
        budget: 3,
        ..Config::default()
    };
    let bench = Bench::new(config, 1 << 16);
    let machine = bench.host.machine();
    bench.describe(0, Some(0), BOTH);
    let answers = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..50 {
        bench.start(0, 1);
        bench.word_is(0, TransferStatus::ACTIVE);
        let (channel, heard) = (bench.channel.clone(), answers.clone());
        let before = answers.lock().unwrap().len();
        let stop = machine.deferred(&passive(machine), "stop", config.cpu, move |dispatch| {
            let suspended = channel.suspend(dispatch.into());
            let aborted = channel.abort(dispatch.into());
            heard.lock().unwrap().push((suspended, aborted));
        });
        stop.queue();
        until("the stop", || answers.lock().unwrap().len() > before);
        bench.word_is(0, TransferStatus::HALTED);
        assert_eq!(bench.channel.state(), State::Aborted);
    }
    let answers = answers.lock().unwrap();
    assert!(answers.iter().all(|answer| *answer == (Ok(bench.at(0)), Ok(()))));
}
