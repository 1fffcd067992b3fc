//! The way from an append to its completion word allocates nothing: not for the submitter and not for the worker.
//!
//! Alone in its program, since the counter counts for all threads.
#![allow(unsafe_code)] // An allocator cannot be written without. It only counts and passes on.
#![allow(clippy::unwrap_used)] // the helpers of a test may panic as the test itself

mod support;

use longshore_core::machine::Machine as _;
use longshore_core::{AtMostDispatch, Passive};
use longshore_engines::cpu::{Config, CpuEngine, InlineChannel};
use longshore_hardware::netdma::{ControlFlags, Descriptor, offset};
use longshore_hardware::{BusAddress, DmaMemory, Lease};
use longshore_host::Machine;
use longshore_netdma::{ChannelParameters, Port, Version};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::*;

struct Counting;

static ALLOCATED: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const ENTRIES: u64 = 16;
const ROUNDS: u64 = 2_000;

/// A ring of descriptors that copy 64 bytes and ask for the word.
struct Ring {
    memory: Memory,
    counted: bool,
    descriptors: Lease<Memory>,
    word: Lease<Memory>,
    _data: Lease<Memory>,
}

impl Ring {
    fn new(machine: &Machine, version: Version) -> Self {
        let ring = Self {
            memory: machine.memory(),
            counted: version.counted(),
            descriptors: zeros(machine, ENTRIES * 64),
            word: zeros(machine, 64),
            _data: zeros(machine, 128),
        };
        let source = ring._data.address();
        let destination = source.checked_add(64).unwrap();
        for place in 0..ENTRIES {
            let mut descriptor = Descriptor::copy(destination, source, 64);
            descriptor.control = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
            if ring.counted {
                descriptor.next = ring.at(place + 1);
            }
            put(machine, ring.at(place), &descriptor);
        }
        ring
    }

    fn at(&self, place: u64) -> BusAddress {
        self.descriptors
            .address()
            .checked_add(place % ENTRIES * 64)
            .unwrap()
    }

    fn parameters(&self) -> ChannelParameters {
        ChannelParameters::new(self.word.address(), 0)
    }

    /// Gives one descriptor after the other and waits for each word.
    fn run(&self, port: &mut dyn Port, passive: &Passive) {
        let level = || AtMostDispatch::from(passive);
        for place in 0..ROUNDS {
            if !self.counted {
                self.memory.store_u64(self.link(place), 0).unwrap();
            }
            if place == 0 {
                port.start(level(), self.at(place), 1).unwrap();
            } else {
                if !self.counted {
                    let next = self.at(place).raw();
                    self.memory.store_u64(self.link(place - 1), next).unwrap();
                }
                port.append(level(), self.at(place), 1).unwrap();
            }
            self.wait_for(port, passive, place);
        }
    }

    fn link(&self, place: u64) -> BusAddress {
        self.at(place).checked_add(offset::NEXT).unwrap()
    }

    fn wait_for(&self, port: &mut dyn Port, passive: &Passive, place: u64) {
        let wanted = self.at(place).raw();
        until("the word", || {
            port.drive(passive.into());
            self.memory.load_u64(self.word.address()).unwrap() & !0x3f == wanted
        });
    }
}

#[test]
fn append_worker_and_word_allocate_nothing() {
    let host = host();
    let machine = host.machine();
    let passive = passive(machine);
    for version in [Version::V1_1, Version::V2_0] {
        let config = Config {
            version,
            ..Config::default()
        };
        let engine = CpuEngine::open(&passive, machine, config);
        let (shared, inline) = (Ring::new(machine, version), Ring::new(machine, version));
        let told = Arc::new(Listener::default());
        let (mut channel, _) = engine
            .allocate((&passive).into(), shared.parameters(), told)
            .unwrap();
        let mut own = InlineChannel::new(machine, config, inline.parameters()).unwrap();
        // Whatever the machine makes when it is first used.
        shared.run(&mut channel, &passive);
        let before = ALLOCATED.load(Ordering::Relaxed);
        assert!(before > 0, "nothing is counted");
        shared.run(&mut channel, &passive);
        assert_eq!(ALLOCATED.load(Ordering::Relaxed), before, "the shared channel");
        inline.run(&mut own, &passive);
        assert_eq!(ALLOCATED.load(Ordering::Relaxed), before, "the inline channel");
        Port::free(&mut channel, (&passive).into());
    }
}
