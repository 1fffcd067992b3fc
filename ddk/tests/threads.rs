//! The provider in C on the machine of threads: the same code, without a seed.
#![allow(clippy::unwrap_used)] // helpers of tests

mod support;

use longshore_core::machine::{Cpu, Machine as _, Signal as _, Waited};
use longshore_core::{Device, Dispatch, Event, Passive};
use longshore_ddk::{Edge, Module};
use longshore_hardware::netdma::{CompletionWord, ControlFlags, DESCRIPTOR_SIZE, Descriptor, TransferStatus};
use longshore_hardware::{BusAddress, DmaMemory, Lease};
use longshore_host::{Config, Host, Machine, Memory, Signal};
use longshore_netdma::{ChannelInterface, ChannelParameters, NetDma, Provider, ProviderChannel, registry};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::module;

const CHAIN: u64 = 8;
const SIZE: u32 = 6000;

/// Longer than anything healthy takes, on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(20);

/// NetDMA's side of the channel.
struct Bell(Signal);

impl ChannelInterface for Bell {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(0)
    }

    fn interrupt_dpc(&self, _: &Dispatch, _: BusAddress) {
        self.0.set();
    }
}

/// A channel of the provider, with a chain of eight copies.
struct Bench {
    host: Host,
    memory: Memory,
    channel: Arc<dyn ProviderChannel>,
    bell: Arc<Bell>,
    word: Lease<Memory>,
    ring: Lease<Memory>,
    data: Lease<Memory>,
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn open(module: &Module) -> Self {
        let complaints: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = complaints.clone();
        let host = Host::new(Config {
            observer: Some(Arc::new(move |event: &Event| {
                if matches!(event, Event::Misuse(..) | Event::Note(_)) {
                    heard.lock().unwrap().push(format!("{event:?}"));
                }
            })),
            ..Config::default()
        })
        .unwrap();
        let machine: &Machine = host.machine();
        let passive = Passive::now(machine).unwrap();
        let memory = machine.memory();
        let lease = |len| Lease::new(machine.memory(), len, 64).unwrap();
        let word = lease(64);
        let bell = Arc::new(Bell(machine.signal(&passive, "told")));
        let net = NetDma::new(&passive, machine, registry::Config::default());
        let attached = Edge::open(&net, &passive, Cpu(1))
            .attach(&passive, module)
            .unwrap();
        let parameters = ChannelParameters::new(word.address(), 1);
        let allocated = attached
            .provider()
            .unwrap()
            .allocate_channel((&passive).into(), parameters, bell.clone())
            .unwrap();
        Self {
            memory,
            channel: allocated.channel,
            bell,
            word,
            ring: lease(CHAIN * DESCRIPTOR_SIZE),
            data: lease(2 * CHAIN * u64::from(SIZE)),
            complaints,
            host,
        }
    }

    fn descriptor(&self, slot: u64) -> BusAddress {
        self.ring
            .address()
            .checked_add(slot % CHAIN * DESCRIPTOR_SIZE)
            .unwrap()
    }

    fn buffer(&self, slot: u64) -> BusAddress {
        self.data.address().checked_add(slot * u64::from(SIZE)).unwrap()
    }

    /// Writes a chain that tells of its end, with bytes of this round in its sources.
    fn prepare(&self, round: u32, counted: bool) {
        self.memory.store_u64(self.word.address(), 0).unwrap();
        for slot in 0..CHAIN {
            let byte = (round * 8 + slot as u32) as u8 | 1;
            self.memory
                .write(self.buffer(slot), &[byte; SIZE as usize])
                .unwrap();
            let mut content = Descriptor::copy(self.buffer(CHAIN + slot), self.buffer(slot), SIZE);
            content.control = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
            if slot + 1 == CHAIN {
                content.control |= ControlFlags::INTERRUPT_ON_COMPLETION;
            }
            if counted || slot + 1 < CHAIN {
                content.next = self.descriptor(slot + 1);
            }
            self.memory.write(self.descriptor(slot), &content.emit()).unwrap();
        }
    }

    fn word(&self) -> CompletionWord {
        CompletionWord::from_raw(self.memory.load_u64(self.word.address()).unwrap())
    }

    /// Whether the copy of this slot is there, byte for byte.
    fn is_there(&self, slot: u64) -> bool {
        let read = |at| {
            let mut bytes = vec![0; SIZE as usize];
            self.memory.read(at, &mut bytes).unwrap();
            bytes
        };
        read(self.buffer(slot)) == read(self.buffer(CHAIN + slot))
    }

    /// One chain, to its end or until it is cut.
    fn round(&self, passive: &Passive, round: u32, counted: bool) {
        self.prepare(round, counted);
        self.bell.0.clear();
        let count = CHAIN as u32;
        self.channel
            .start(passive.into(), self.descriptor(0), count)
            .unwrap();
        if round % 3 == 2 {
            (0..round).for_each(|_| self.host.machine().relax());
            self.channel.abort(passive.into()).unwrap();
            assert_eq!(self.word().status(), TransferStatus::HALTED);
        } else {
            while self.word() != CompletionWord::new(self.descriptor(CHAIN - 1), TransferStatus::IDLE) {
                assert_eq!(self.bell.0.wait_for(passive, LONG), Waited::Signalled);
                self.bell.0.clear();
            }
        }
        let last = self.word().descriptor();
        let done = (0..CHAIN).find(|&slot| self.descriptor(slot) == last);
        let done = done.map_or(0, |slot| slot + 1);
        assert!((0..done).all(|slot| self.is_there(slot)), "round {round}");
    }
}

#[test]
fn chains_on_threads_end_with_their_data_and_nothing_is_left_behind() {
    for (output, version, counted) in [
        ("threads-1.so", "-DPROVIDER_VERSION=0x0101", false),
        ("threads-2.so", "-DPROVIDER_VERSION=0x0201", true),
    ] {
        let sources = ["tests/c/provider.c", "tests/c/engine.c"];
        let patient = "-DENGINE_PATIENCE=20000000"; // others may have the CPU
        let Some(path) = module("gcc", output, &sources, &[version, patient]) else {
            return;
        };
        let bench = Bench::open(&Module::load(path).unwrap());
        let passive = Passive::now(bench.host.machine()).unwrap();
        (0..600).for_each(|round| bench.round(&passive, round, counted));
        bench.channel.free((&passive).into());
        let Bench {
            channel,
            complaints,
            host,
            ..
        } = bench;
        drop(channel); // the last one that keeps the device attached
        assert_eq!(*complaints.lock().unwrap(), Vec::<String>::new());
        assert_eq!((host.machine().panics(), host.machine().storms()), (0, 0));
    }
}
