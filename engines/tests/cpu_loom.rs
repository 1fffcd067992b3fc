//! Every interleaving of a submitter and the CPU engine's worker, under the C11 memory model.
//!
//! Run with `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target-loom cargo test --release -p longshore-engines --test
//! cpu_loom`. Each model tells how many executions it explored.
//!
//! It is the engine itself that runs here, on a machine whose words and locks are explored. Data moves by relaxed
//! accesses, so only the engine's own orderings can show it to anybody.
#![cfg(loom)]
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

#[path = "support/explored.rs"]
mod explored;

use explored::Explored;
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{Device, Dispatch, Passive};
use longshore_engines::cpu::{Config, CpuChannel, CpuEngine};
use longshore_hardware::netdma::{CompletionWord, ControlFlags, Descriptor, TransferStatus, offset};
use longshore_hardware::{BusAddress, DmaMemory};
use longshore_netdma::state::State;
use longshore_netdma::{ChannelInterface, ChannelParameters, ProviderChannel, Version};
use loom::thread;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as Counter, Ordering::SeqCst};

const WORD: BusAddress = BusAddress::new(8);
const SOURCE: BusAddress = BusAddress::new(16);
const DATA: u64 = 77;

struct Deaf;

impl ChannelInterface for Deaf {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(0)
    }
    fn interrupt_dpc(&self, _: &Dispatch, _: BusAddress) {}
}

fn descriptor(number: u64) -> BusAddress {
    BusAddress::new(64 * number)
}

fn destination(number: u64) -> BusAddress {
    BusAddress::new(24 + 8 * (number - 1))
}

/// A channel with descriptors 1 to 3 of one word each, of which none is submitted.
struct Stage {
    machine: Explored,
    dispatch: Dispatch,
    channel: Arc<CpuChannel<Explored>>,
    _engine: CpuEngine<Explored>,
}

impl Stage {
    fn new(version: Version) -> Self {
        let machine = Explored::new();
        let memory = machine.memory();
        memory.store_u64(SOURCE, DATA).unwrap();
        for number in 1..=3 {
            let mut content = Descriptor::copy(destination(number), SOURCE, 8);
            content.control = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
            if version.counted() {
                content.next = descriptor(number + 1);
            }
            memory.write(descriptor(number), &content.emit()).unwrap();
        }
        let passive = Passive::now(&machine).unwrap();
        let config = Config {
            version,
            patience: 1,
            ..Config::default()
        };
        let engine = CpuEngine::open(&passive, &machine, config);
        let parameters = ChannelParameters::new(WORD, 1);
        let (channel, _) = engine
            .allocate((&passive).into(), parameters, Arc::new(Deaf))
            .unwrap();
        let dispatch = machine.opened();
        Self {
            machine,
            dispatch,
            channel,
            _engine: engine,
        }
    }

    fn start(&self) {
        self.channel
            .start((&self.dispatch).into(), descriptor(1), 1)
            .unwrap();
    }

    /// Links the one before, where the version wants it, and appends.
    fn append(&self, number: u64, version: Version) {
        if !version.counted() {
            let link = descriptor(number - 1).checked_add(offset::NEXT).unwrap();
            let next = descriptor(number).raw();
            self.machine.memory().store_u64(link, next).unwrap();
        }
        self.channel
            .append((&self.dispatch).into(), descriptor(number), 1)
            .unwrap();
    }

    fn word(&self) -> CompletionWord {
        CompletionWord::from_raw(self.machine.memory().load_u64(WORD).unwrap())
    }

    fn data(&self, number: u64) -> u64 {
        let mut bytes = [0; 8];
        self.machine
            .memory()
            .read(destination(number), &mut bytes)
            .unwrap();
        u64::from_le_bytes(bytes)
    }

    /// A look at the word. What it names is there, whatever it is.
    fn look(&self) -> u64 {
        let named = self.word().descriptor().raw() / 64;
        for number in 1..=named {
            assert_eq!(self.data(number), DATA, "the word came before the data");
        }
        named
    }

    /// Whatever was appended is done, and nobody has to call again.
    fn is_over(&self, last: u64) {
        while self.machine.run_first_call() {}
        assert_eq!(self.look(), last, "a wake-up was lost");
        assert_eq!(self.word().status(), TransferStatus::IDLE);
        assert_eq!(self.channel.state(), State::Idle);
    }
}

/// A worker on its own CPU, which runs as often as `times` while it is called.
fn worker(machine: &Explored, times: u32) -> thread::JoinHandle<()> {
    let machine = machine.clone();
    thread::spawn(move || {
        for _ in 0..times {
            machine.run_first_call();
        }
    })
}

fn explore(name: &str, model: impl Fn(Version) + Send + Sync + 'static) {
    let model = Arc::new(model);
    for version in [Version::V1_1, Version::V2_0] {
        let count = Arc::new(Counter::new(0));
        let (inner, counted) = (model.clone(), count.clone());
        let mut builder = loom::model::Builder::new();
        builder.max_branches = 10_000;
        builder.check(move || {
            counted.fetch_add(1, SeqCst);
            inner(version);
        });
        let executions = count.load(SeqCst);
        writeln!(std::io::stderr(), "{name} {version:?}: {executions} executions").unwrap();
        assert!(executions > 1, "nothing was explored");
    }
}

/// Proves: RACE-1, RACE-2.
///
/// The worker does the first descriptor, finds nothing behind it and lies down, while the second is appended.
#[test]
fn an_append_against_the_end_of_the_chain_is_neither_lost_nor_done_twice() {
    explore("append against end", |version| {
        let stage = Stage::new(version);
        stage.start();
        let worker = worker(&stage.machine, 2);
        stage.append(2, version);
        worker.join().unwrap();
        stage.is_over(2);
    });
}

/// The worker sleeps already, or is about to: of several appends at least one calls it.
#[test]
fn a_worker_that_lies_down_is_woken_up() {
    explore("park against wake", |version| {
        let stage = Stage::new(version);
        stage.start();
        while stage.machine.run_first_call() {}
        stage.append(2, version);
        let worker = worker(&stage.machine, 2);
        stage.append(3, version);
        worker.join().unwrap();
        stage.is_over(3);
    });
}

/// Proves: NETDMA-086, NETDMA-087, RACE-10.
///
/// Whoever sees a completion word sees all data of the descriptors up to the one it names.
#[test]
fn the_word_comes_behind_the_data() {
    explore("word after data", |version| {
        let stage = Stage::new(version);
        stage.start();
        let worker = worker(&stage.machine, 1);
        let seen = stage.look();
        stage.append(2, version);
        assert!(stage.look() >= seen, "the word went back");
        worker.join().unwrap();
        stage.is_over(2);
    });
}
