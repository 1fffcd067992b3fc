//! The oracle of the provider suite: it knows what each descriptor should do, and sees each byte move.

use super::expect::{Expect, holds};
use crate::machine::{Breach, Bytes, Oracle, Step, View, What};
use longshore_core::{Irql, Rule};
use longshore_hardware::netdma::{CompletionWord, offset};
use longshore_hardware::{BusAddress, BusRange};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a call that stops the engine may still see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nobody stops it.
    No,
    /// A call to abort is under way and nothing ran between its begin and its request.
    Cutting,
    /// It is suspended.
    Held,
    /// The engine is quiet, as a call said that returned success, or an error that was reported.
    Quiet,
}

/// CPUs that a machine of a suite has, the intruder's among them.
const CPUS: usize = 8;

/// What the suite knows, shared with the oracle.
#[derive(Debug)]
pub(super) struct Watch {
    /// Where the completion word stands. The channel may not know it.
    pub(super) word: BusAddress,
    /// Submitted descriptors in chain order, of this start and of those before it.
    pub(super) chain: Vec<Expect>,
    /// Where the chain of the last start begins.
    pub(super) first: usize,
    /// How many descriptors the completion word has covered.
    pub(super) covered: usize,
    /// How many descriptors the last interrupt covered.
    interrupted: usize,
    /// The last descriptor before the last suspend of this start.
    pub(super) held: BusAddress,
    /// Some suspend was tried.
    pub(super) was_held: bool,
    /// How often the word was written.
    pub(super) words: u32,
    pub(super) stop: Stop,
    cut_writes: u32,
    /// The bus failed under the chain of the last start.
    pub(super) error: bool,
    /// Where it failed.
    pub(super) error_at: BusAddress,
    /// The chain loops, so each descriptor may be executed many times.
    pub(super) loops: bool,
    /// The channel was not told where the word stands.
    pub(super) blind: bool,
    /// Version 1.x, in which an engine may keep something of its own in a descriptor.
    pub(super) scratch: bool,
    /// How often each CPU did an engine's work: touched memory as a device does, or raised a line.
    worked: [u32; CPUS],
}

/// A handle on what the suite knows.
#[derive(Clone, Debug)]
pub(super) struct SharedWatch(Arc<Mutex<Watch>>);

impl SharedWatch {
    pub(super) fn new(word: BusAddress) -> Self {
        Self(Arc::new(Mutex::new(Watch {
            word,
            chain: Vec::new(),
            first: 0,
            covered: 0,
            interrupted: 0,
            held: BusAddress::NULL,
            was_held: false,
            words: 0,
            stop: Stop::No,
            cut_writes: 0,
            error: false,
            error_at: BusAddress::NULL,
            loops: false,
            blind: false,
            scratch: false,
            worked: [0; CPUS],
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn breach(rule: &'static str, what: String) -> Option<Breach> {
    let rule = Rule(rule);
    Some(Breach { rule, what })
}

impl Watch {
    /// The last `count` descriptors are a new chain.
    pub(super) fn started(&mut self, count: usize) {
        self.first = self.chain.len() - count;
        self.stop = Stop::No;
        self.cut_writes = 0;
        self.held = BusAddress::NULL;
        self.error = false;
    }

    /// Nothing was submitted yet.
    pub(super) fn forget(&mut self) {
        self.chain.clear();
        self.started(0);
        self.covered = 0;
        self.interrupted = 0;
    }

    /// The index of the newest submission of a descriptor.
    pub(super) fn index_of(&self, descriptor: BusAddress) -> Option<usize> {
        let is = |expect: &Expect| expect.descriptor.start() == descriptor;
        self.chain.iter().rposition(is)
    }

    /// Whether the newest submission of a descriptor has moved all of its data.
    pub(super) fn is_complete(&self, descriptor: BusAddress) -> bool {
        self.index_of(descriptor)
            .is_some_and(|index| self.chain[index].is_moved())
    }

    /// Whether each descriptor of the last start up to this one has moved all of its data.
    pub(super) fn is_moved_up_to(&self, index: usize) -> bool {
        let run = self.chain.get(self.first..=index);
        run.is_some_and(|run| run.iter().all(Expect::is_moved))
    }

    /// Whether the engine has met an error in the chain of the last start: the bus failed, or it has come to a
    /// descriptor that makes no sense.
    pub(super) fn has_failed(&self) -> bool {
        let run = &self.chain[self.first..];
        let bad = run.iter().position(|expect| expect.bad || !expect.aim.is_empty());
        self.error || bad.is_some_and(|bad| run[..bad].iter().all(Expect::is_moved))
    }

    /// How often this CPU did an engine's work.
    pub(super) fn worked(&self, cpu: u32) -> u32 {
        self.worked.get(cpu as usize).copied().unwrap_or(0)
    }

    /// A device wrote bytes that are not the completion word.
    fn data_written(&mut self, range: BusRange) -> Option<Breach> {
        if self.chain.iter().any(|expect| expect.aim.overlaps(range)) {
            return None;
        }
        if range.overlaps(BusRange::new(self.word, 8).unwrap_or(BusRange::EMPTY)) {
            return breach(
                "RACE-10",
                format!("{range:?} of the completion word was written, not all of it"),
            );
        }
        let Some(index) = self.chain.iter().rposition(|expect| expect.writes(range)) else {
            return self.strayed(range);
        };
        let (stop, loops, expect) = (self.stop, self.loops, &mut self.chain[index]);
        let descriptor = expect.descriptor.start();
        if stop == Stop::Quiet {
            let what = format!("descriptor {descriptor} moved data after the engine was stopped");
            return breach("SEED-004-5", what);
        }
        if stop == Stop::Held {
            let what = format!("descriptor {descriptor} moved data although the channel is suspended");
            return breach("NETDMA-090", what);
        }
        if expect.dropped {
            let what = format!("descriptor {descriptor} was executed, but was taken out of the chain before");
            return breach("NETDMA-091", what);
        }
        if !expect.contains(range) {
            let rule = if expect.is_broken() {
                "NETDMA-066"
            } else {
                "PAIN-15"
            };
            return breach(
                rule,
                format!("{range:?} reaches beyond what descriptor {descriptor} names"),
            );
        }
        expect.written += range.len();
        if expect.written > expect.len() && !loops {
            return breach(
                "RACE-1",
                format!("descriptor {descriptor} was executed more than once"),
            );
        }
        self.cut_written(descriptor)
    }

    fn cut_written(&mut self, descriptor: BusAddress) -> Option<Breach> {
        if self.stop != Stop::Cutting {
            return None;
        }
        self.cut_writes += 1;
        if self.cut_writes == 1 {
            return None;
        }
        let what =
            format!("the abort went on with the data of descriptor {descriptor} instead of cutting it");
        breach("SEED-004-6", what)
    }

    /// A device wrote where no descriptor told it to. Memory that is not its own at all is found by its owner.
    fn strayed(&self, range: BusRange) -> Option<Breach> {
        let kept = |expect: &&Expect| expect.kept.iter().any(|part| part.to.overlaps(range));
        if let Some(expect) = self.chain.iter().find(kept) {
            let descriptor = expect.descriptor.start();
            let what = format!("descriptor {descriptor} moved data, but is bad or a NULL transfer");
            return breach(if expect.bad { "PAIN-15" } else { "NETDMA-091" }, what);
        }
        let expect = self
            .chain
            .iter()
            .rfind(|expect| expect.descriptor.overlaps(range));
        let Some(expect) = expect else {
            let reads = self.chain.iter().any(|expect| expect.reads(range));
            return reads
                .then(|| breach("PAIN-15", format!("{range:?} of a source was written")))
                .flatten();
        };
        let own = expect.descriptor.slice(offset::NEXT_SOURCE, 16);
        if self.scratch && own.is_some_and(|own| holds(own, range)) {
            return None;
        }
        breach(
            "NETDMA-050",
            format!("the provider wrote {range:?} of a descriptor"),
        )
    }

    /// A device read memory.
    fn data_read(&self, range: BusRange) -> Option<Breach> {
        if self.stop != Stop::Quiet {
            return self.tail_read_again(range);
        }
        let old = self.chain.iter().any(|expect| expect.descriptor.overlaps(range));
        old.then(|| {
            breach(
                "NETDMA-093",
                format!("a descriptor at {range:?} was read after the engine was stopped"),
            )
        })
        .flatten()
    }

    /// In 2.x nobody looks again at a descriptor that is done, unless a suspend has let its link change.
    fn tail_read_again(&self, range: BusRange) -> Option<Breach> {
        if self.scratch || self.loops || self.was_held {
            return None;
        }
        let done = |expect: &&Expect| expect.reported && expect.descriptor.overlaps(range);
        let expect = self.chain.iter().find(done)?;
        let what = format!(
            "descriptor {} was read again after it was done",
            expect.descriptor.start()
        );
        breach("NETDMA-073", what)
    }

    /// The provider raised its line.
    fn interrupt_raised(&mut self, memory: &dyn Bytes) -> Option<Breach> {
        if self.stop == Stop::Quiet {
            return breach(
                "AMB-07",
                "an interrupt was raised after the engine was stopped".to_owned(),
            );
        }
        if self.has_failed() {
            return None;
        }
        let asks = |at: &usize| self.chain[*at].wants_interrupt() && !self.chain[*at].dropped;
        let from = if self.loops { 0 } else { self.interrupted };
        let mut asking = (from..self.chain.len()).filter(asks);
        let there = |at: &usize| self.chain[*at].is_there(memory);
        if let Some(at) = asking.clone().find(there) {
            // Everything that is complete by now may be covered by this one interrupt.
            self.interrupted = at + 1;
            return self.interrupted_before_word(at);
        }
        if self.stop != Stop::No {
            return breach(
                "AMB-07",
                "a call that stops the engine raised an interrupt".to_owned(),
            );
        }
        match asking.find(|&at| at >= self.first) {
            Some(at) => {
                let descriptor = self.chain[at].descriptor.start();
                let what = format!("the interrupt of descriptor {descriptor} came before its data was there");
                breach("SEED-003-12", what)
            }
            None => {
                let context = self.chain[self.first..].iter().any(|expect| expect.context);
                let rule = if context { "AMB-17" } else { "SEED-003-13" };
                breach(rule, "an interrupt came that no descriptor asked for".to_owned())
            }
        }
    }

    fn interrupted_before_word(&self, at: usize) -> Option<Breach> {
        let expect = &self.chain[at];
        if !expect.wants_word() || self.blind || self.covered > at || self.loops {
            return None;
        }
        let descriptor = expect.descriptor.start();
        let what = format!("the interrupt of descriptor {descriptor} came before its completion word");
        breach("SEED-003-12", what)
    }
}

/// Whether a device touched memory other than the completion word.
fn moves_data(what: &What, word: BusAddress) -> bool {
    match *what {
        What::Read(View::Device, _) | What::Wrote(View::Device, _) => true,
        What::Loaded(View::Device, at, _) | What::Stored(View::Device, at, _) => at != word,
        _ => false,
    }
}

impl Oracle for SharedWatch {
    fn observe(&mut self, step: &Step, memory: &dyn Bytes) -> Option<Breach> {
        let mut watch = self.lock();
        let device = !matches!(
            step.what,
            What::Wrote(View::Cpu, _) | What::Stored(View::Cpu, ..) | What::Lowered(_)
        );
        if device && let Some(worked) = step.cpu.and_then(|cpu| watch.worked.get_mut(cpu as usize)) {
            *worked += 1;
        }
        if step.level > Irql::DISPATCH && moves_data(&step.what, watch.word) {
            let what = "an interrupt handler did the engine's work".to_owned();
            return breach("NETDMA-103", what);
        }
        match step.what {
            What::Stored(View::Device, at, value) if at == watch.word => {
                watch.word_written(CompletionWord::from_raw(value), memory)
            }
            What::Stored(View::Device, at, _) => watch.data_written(BusRange::new(at, 8)?),
            What::Wrote(View::Device, range) => watch.data_written(range),
            What::Read(View::Device, range) => watch.data_read(range),
            What::Loaded(View::Device, at, _) => watch.data_read(BusRange::new(at, 8)?),
            What::Raised(_) => watch.interrupt_raised(memory),
            What::BusError(View::Device, at) => {
                watch.error = true;
                watch.error_at = at;
                None
            }
            _ => None,
        }
    }
}
