//! A channel of the CPU engine, of either kind, with its memory and its descriptors.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use longshore_core::completion::Cause;
use longshore_core::event::{Event, Owner};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{Device, Dispatch, Passive, Rule};
use longshore_drydock::machine::{Machine, Memory, View, What};
use longshore_drydock::{Config as Dock, Plan, Run, run};
use longshore_engines::cpu::{Config, CpuChannel, CpuEngine, InlineChannel};
use longshore_hardware::netdma::{
    CompletionWord, ControlFlags, DESCRIPTOR_SIZE, Descriptor, TransferStatus, offset,
};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_netdma::state::State;
use longshore_netdma::{ChannelInterface, ChannelParameters, Port, Version};
use std::sync::{Arc, Mutex};

pub(crate) const STATUS: ControlFlags = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
pub(crate) const INTERRUPT: ControlFlags = ControlFlags::INTERRUPT_ON_COMPLETION;
pub(crate) const SIZE: u64 = 64;
pub(crate) const PIECE: u64 = 16;
pub(crate) const V1: Version = Version::V1_1;
pub(crate) const V2: Version = Version::V2_0;

#[derive(Default)]
pub(crate) struct Told(pub(crate) Mutex<Vec<BusAddress>>);

impl ChannelInterface for Told {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(1)
    }
    fn interrupt_dpc(&self, _: &Dispatch, last: BusAddress) {
        self.0.lock().unwrap().push(last);
    }
}

/// The two kinds of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Shared,
    Inline,
}

pub(crate) const KINDS: [(Kind, Version); 4] = [
    (Kind::Shared, V1),
    (Kind::Shared, V2),
    (Kind::Inline, V1),
    (Kind::Inline, V2),
];

pub(crate) enum Channel {
    Shared(Arc<CpuChannel<Machine>>, Arc<Told>, CpuEngine<Machine>),
    Inline(Box<InlineChannel<Machine>>, Vec<BusAddress>),
}

/// A channel, its memory, and what it may write to.
pub(crate) struct Rig {
    pub(crate) machine: Machine,
    pub(crate) counted: bool,
    pub(crate) channel: Channel,
    pub(crate) descriptors: Lease<Memory>,
    pub(crate) word: Lease<Memory>,
    pub(crate) data: Lease<Memory>,
}

impl Rig {
    pub(crate) fn new(machine: &Machine, passive: &Passive, (kind, version): (Kind, Version)) -> Self {
        Self::with_word(machine, passive, (kind, version), true)
    }

    pub(crate) fn with_word(
        machine: &Machine,
        passive: &Passive,
        (kind, version): (Kind, Version),
        has_word: bool,
    ) -> Self {
        let lease = |len| Lease::new(machine.memory(), len, 64).unwrap();
        let (descriptors, word, data) = (lease(8 * DESCRIPTOR_SIZE), lease(64), lease(16 * SIZE));
        for lease in [&descriptors, &word, &data] {
            machine.emit(Event::Handover(lease.range(), Owner::Both, Rule("NETDMA-079")));
        }
        let pattern: Vec<u8> = (0..8 * SIZE).map(|at| at as u8 | 1).collect();
        let memory = machine.memory();
        memory.write(word.address(), &[0; 64]).unwrap();
        memory.write(data.address(), &[0; 16 * SIZE as usize]).unwrap();
        memory.write(data.address(), &pattern).unwrap();
        let config = Config {
            version,
            piece: PIECE,
            cpu: machine.engine_cpu(),
            patience: 1_000,
            ..Config::default()
        };
        let completion = if has_word {
            word.address()
        } else {
            BusAddress::NULL
        };
        let parameters = ChannelParameters::new(completion, 0);
        let channel = match kind {
            Kind::Inline => Channel::Inline(
                Box::new(InlineChannel::new(machine, config, parameters).unwrap()),
                Vec::new(),
            ),
            Kind::Shared => {
                let engine = CpuEngine::open(passive, machine, config);
                let told = Arc::new(Told::default());
                let (channel, _) = engine.allocate(passive.into(), parameters, told.clone()).unwrap();
                Channel::Shared(channel, told, engine)
            }
        };
        Self {
            machine: machine.clone(),
            counted: version.counted(),
            channel,
            descriptors,
            word,
            data,
        }
    }

    pub(crate) fn port(&mut self) -> &mut dyn Port {
        match &mut self.channel {
            Channel::Shared(channel, ..) => channel,
            Channel::Inline(channel, _) => &mut **channel,
        }
    }

    pub(crate) fn state(&self) -> State {
        match &self.channel {
            Channel::Shared(channel, ..) => channel.state(),
            Channel::Inline(channel, _) => channel.state(),
        }
    }

    pub(crate) fn fault(&self) -> Option<(BusAddress, Cause)> {
        match &self.channel {
            Channel::Shared(channel, ..) => channel.fault(),
            Channel::Inline(channel, _) => channel.fault(),
        }
    }

    pub(crate) fn context(&self) -> Option<u32> {
        match &self.channel {
            Channel::Shared(channel, ..) => channel.context(),
            Channel::Inline(channel, _) => channel.context(),
        }
    }

    pub(crate) fn lose_power(&mut self, passive: &Passive) {
        match &mut self.channel {
            Channel::Shared(_, _, engine) => engine.lose_power(passive.into()).unwrap(),
            Channel::Inline(channel, _) => channel.lose_power(),
        }
    }

    /// What the interrupts told, NULL for an error.
    pub(crate) fn told(&mut self) -> Vec<BusAddress> {
        match &mut self.channel {
            Channel::Shared(_, told, _) => told.0.lock().unwrap().clone(),
            Channel::Inline(channel, told) => {
                if let Some(report) = channel.take_report() {
                    told.extend(report.completed.then_some(report.last));
                    told.extend(report.error.then_some(BusAddress::NULL));
                }
                told.clone()
            }
        }
    }

    pub(crate) fn at(&self, slot: u64) -> BusAddress {
        self.descriptors
            .address()
            .checked_add(slot * DESCRIPTOR_SIZE)
            .unwrap()
    }

    pub(crate) fn data(&self, slot: u64) -> BusAddress {
        self.data.address().checked_add(slot * SIZE).unwrap()
    }

    /// Descriptor `slot` copies from its own source to its own destination.
    pub(crate) fn plain(&self, slot: u64, control: ControlFlags) -> Descriptor {
        let mut descriptor = Descriptor::copy(self.data(8 + slot), self.data(slot), SIZE as u32);
        descriptor.control = control;
        descriptor
    }

    pub(crate) fn put(&self, slot: u64, descriptor: Descriptor) {
        let bytes = descriptor.emit();
        self.machine.memory().write(self.at(slot), &bytes).unwrap();
    }

    /// Descriptors that copy, linked up to the last, which in version 2 says where to go on.
    pub(crate) fn prepare(&self, slots: std::ops::Range<u64>, control: ControlFlags) {
        for slot in slots.clone() {
            let mut descriptor = self.plain(slot, control);
            if self.counted || slot + 1 < slots.end {
                descriptor.next = self.at(slot + 1);
            }
            self.put(slot, descriptor);
        }
    }

    pub(crate) fn link(&self, slot: u64) {
        let link = self.at(slot).checked_add(offset::NEXT).unwrap();
        let next = self.at(slot + 1).raw();
        self.machine.memory().store_u64(link, next).unwrap();
    }

    pub(crate) fn start(&mut self, passive: &Passive, slots: std::ops::Range<u64>) {
        let (first, count) = (self.at(slots.start), (slots.end - slots.start) as u32);
        self.port().start(passive.into(), first, count).unwrap();
    }

    pub(crate) fn append(&mut self, passive: &Passive, slot: u64) -> bool {
        if !self.counted {
            self.link(slot - 1);
        }
        let first = self.at(slot);
        self.port().append(passive.into(), first, 1).is_ok()
    }

    /// Lets the engine run until it has nothing left to do.
    pub(crate) fn settle(&mut self, passive: &Passive) {
        for _ in 0..50 {
            self.port().drive(passive.into());
            (0..20).for_each(|_| self.machine.relax());
        }
    }

    /// Lets the engine work for a moment: it stands in the middle of the first descriptor, or near it.
    pub(crate) fn begin(&mut self, passive: &Passive) {
        if let Channel::Shared(..) = self.channel {
            let moved = |rig: &Self| rig.bytes(8)[0] != 0;
            while !moved(self) {
                self.machine.relax();
            }
        } else {
            self.port().drive(passive.into());
        }
    }

    pub(crate) fn word(&self) -> (BusAddress, TransferStatus) {
        let raw = self.machine.memory().load_u64(self.word.address()).unwrap();
        let word = CompletionWord::from_raw(raw);
        (word.descriptor(), word.status())
    }

    pub(crate) fn bytes(&self, slot: u64) -> Vec<u8> {
        let mut bytes = vec![0; SIZE as usize];
        self.machine.memory().read(self.data(slot), &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn is_copied(&self, slot: u64) -> bool {
        self.bytes(slot) == self.bytes(8 + slot)
    }

    pub(crate) fn close(mut self, passive: &Passive) {
        self.port().free(passive.into());
    }
}

/// Runs a scenario on each kind of channel, straight on and under random walks; none may find anything.
pub(crate) fn on_each(scenario: fn(&Machine, &Passive, (Kind, Version))) -> Vec<Run> {
    let plans = || std::iter::once(Plan::straight()).chain((0..40).map(Plan::seed));
    let mut runs = Vec::new();
    for kind in KINDS {
        for plan in plans() {
            let run = run(
                &Dock::default(),
                &plan,
                Default::default(),
                move |machine, passive| {
                    scenario(machine, passive, kind);
                },
            );
            clean(&run);
            runs.push(run);
        }
    }
    runs
}

pub(crate) fn clean(run: &Run) {
    let steps: Vec<String> = run.trace.iter().map(|step| format!("{step}\n")).collect();
    assert!(run.findings.is_empty(), "{:?}\n{}", run.findings, steps.concat());
}

/// What a device wrote, whichever way.
pub(crate) fn written(run: &Run) -> impl Iterator<Item = BusRange> + '_ {
    run.trace.iter().filter_map(|step| match step.what {
        What::Wrote(View::Device, range) => Some(range),
        What::Stored(View::Device, at, _) => BusRange::new(at, 8),
        _ => None,
    })
}

/// The completion words that were written, in order.
pub(crate) fn words(run: &Run) -> Vec<CompletionWord> {
    let word = |what| match what {
        What::Stored(View::Device, _, raw) => Some(CompletionWord::from_raw(raw)),
        _ => None,
    };
    run.trace.iter().filter_map(|step| word(step.what)).collect()
}

/// How often a device read something of a range.
pub(crate) fn reads(run: &Run, range: BusRange) -> usize {
    let read = |what| match what {
        What::Read(View::Device, from) => from.overlaps(range),
        What::Loaded(View::Device, at, _) => range.contains(at),
        _ => false,
    };
    run.trace.iter().filter(|step| read(step.what)).count()
}

pub(crate) fn misuses(run: &Run) -> Vec<&'static str> {
    let rule = |what| match what {
        What::Event(Event::Misuse(_, rule, _)) => Some(rule.0),
        _ => None,
    };
    run.trace.iter().filter_map(|step| rule(step.what)).collect()
}

/// One run on one kind, straight on, that tells something to the test.
pub(crate) fn once<T: Send + 'static>(
    kind: (Kind, Version),
    scenario: impl FnOnce(&Machine, &Passive, (Kind, Version)) -> T + Send + 'static,
) -> (Run, T) {
    let told = Arc::new(Mutex::new(None));
    let inside = told.clone();
    let run = run(
        &Dock::default(),
        &Plan::straight(),
        Default::default(),
        move |machine, passive| {
            *inside.lock().unwrap() = Some(scenario(machine, passive, kind));
        },
    );
    clean(&run);
    let told = told.lock().unwrap().take().unwrap();
    (run, told)
}
