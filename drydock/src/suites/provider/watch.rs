//! The oracle of the provider suite: it knows what each descriptor should do, and sees each byte move.

use crate::machine::{Breach, Oracle, Step, View, What};
use longshore_core::Rule;
use longshore_hardware::netdma::{CompletionWord, ControlFlags, TransferStatus};
use longshore_hardware::{BusAddress, BusRange};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one submitted descriptor should do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expect {
    pub(super) descriptor: BusAddress,
    pub(super) source: BusRange,
    pub(super) destination: BusRange,
    pub(super) control: ControlFlags,
    /// Bytes of the destination that were written.
    written: u64,
}

impl Expect {
    pub(super) fn new(
        descriptor: BusAddress,
        source: BusRange,
        destination: BusRange,
        control: ControlFlags,
    ) -> Self {
        Self {
            descriptor,
            source,
            destination,
            control,
            written: 0,
        }
    }

    pub(super) fn moves(&self) -> bool {
        !self.control.contains(ControlFlags::NULL_TRANSFER)
    }
}

/// What a call that stops the engine may still see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nobody stops it.
    No,
    /// A call to abort is under way and nothing ran between its begin and its request.
    Cutting,
    /// The engine is quiet: the call returned success.
    Quiet,
}

/// What the suite knows, shared with the oracle.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) word: BusAddress,
    /// Submitted descriptors in chain order, of this start and of those before it.
    pub(super) chain: Vec<Expect>,
    /// Where the chain of the last start begins.
    pub(super) first: usize,
    /// How many descriptors the completion word has covered.
    pub(super) covered: usize,
    /// How many descriptors the last interrupt covered.
    interrupted: usize,
    pub(super) stop: Stop,
    cut_writes: u32,
    /// An error was met, so an interrupt without a completed descriptor is right.
    pub(super) error: bool,
    /// Several starts may be under way at once, so the order of old and new words is open.
    pub(super) restarted: bool,
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
            stop: Stop::No,
            cut_writes: 0,
            error: false,
            restarted: false,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn breach(rule: &'static str, what: String) -> Option<Breach> {
    Some(Breach {
        rule: Rule(rule),
        what,
    })
}

impl Watch {
    /// The index of the newest submission of a descriptor.
    fn index_of(&self, descriptor: BusAddress) -> Option<usize> {
        self.chain
            .iter()
            .rposition(|expect| expect.descriptor == descriptor)
    }

    /// The completion word was written.
    fn word_written(&mut self, word: CompletionWord, memory: &dyn crate::machine::Bytes) -> Option<Breach> {
        if self.stop == Stop::Quiet {
            return breach(
                "RACE-3",
                format!("the completion word became {word:?} after the engine was stopped"),
            );
        }
        let normal = matches!(word.status(), TransferStatus::ACTIVE | TransferStatus::IDLE);
        if word.descriptor().is_null() && !normal {
            return None;
        }
        let Some(index) = self.index_of(word.descriptor()) else {
            return breach(
                "SEED-003-7",
                format!("the completion word {word:?} names no submitted descriptor"),
            );
        };
        if index + 1 < self.covered && !self.restarted {
            return breach("NETDMA-084", format!("the completion word went back to {word:?}"));
        }
        if normal
            && !self.chain[index]
                .control
                .contains(ControlFlags::STATUS_UPDATE_ON_COMPLETION)
        {
            return breach(
                "SEED-003-9",
                format!("{word:?} was written for a descriptor without the status flag"),
            );
        }
        let late = (self.first.min(index)..=index).find(|&at| !self.data_is_there(at, memory));
        if let Some(late) = late {
            let missing = self.chain[late].descriptor;
            return breach(
                "SEED-003-2",
                format!(
                    "the completion word became {word:?} before the data of descriptor {missing} was there"
                ),
            );
        }
        self.covered = self.covered.max(index + 1);
        None
    }

    /// Whether the newest submission of a descriptor has moved all of its data.
    pub(super) fn is_complete(&self, descriptor: BusAddress) -> bool {
        self.index_of(descriptor).is_some_and(|index| {
            let expect = &self.chain[index];
            !expect.moves() || expect.written >= expect.destination.len()
        })
    }

    pub(super) fn data_is_there(&self, index: usize, memory: &dyn crate::machine::Bytes) -> bool {
        let expect = &self.chain[index];
        !expect.moves() || memory.at(expect.source) == memory.at(expect.destination)
    }

    /// A device wrote bytes that are not the completion word.
    fn data_written(&mut self, range: BusRange) -> Option<Breach> {
        let index = self
            .chain
            .iter()
            .rposition(|expect| expect.destination.overlaps(range))?;
        let expect = &mut self.chain[index];
        let descriptor = expect.descriptor;
        if self.stop == Stop::Quiet {
            return breach(
                "SEED-004-5",
                format!("descriptor {descriptor} moved data after the engine was stopped"),
            );
        }
        expect.written += range.len();
        if expect.written > expect.destination.len() {
            return breach(
                "RACE-1",
                format!("descriptor {descriptor} was executed more than once"),
            );
        }
        if self.stop == Stop::Cutting {
            self.cut_writes += 1;
            if self.cut_writes > 1 {
                return breach(
                    "SEED-004-6",
                    format!(
                        "the abort went on with the data of descriptor {descriptor} instead of cutting it"
                    ),
                );
            }
        }
        None
    }

    /// The provider raised its line.
    fn interrupt_raised(&mut self, memory: &dyn crate::machine::Bytes) -> Option<Breach> {
        if self.error {
            return None;
        }
        let asks = |expect: &Expect| expect.control.contains(ControlFlags::INTERRUPT_ON_COMPLETION);
        let next = (self.interrupted.max(self.first)..self.chain.len()).find(|&at| asks(&self.chain[at]));
        let Some(next) = next else {
            return breach(
                "SEED-003-13",
                "an interrupt came that no descriptor asked for".to_owned(),
            );
        };
        let descriptor = self.chain[next].descriptor;
        if !self.data_is_there(next, memory) {
            let what = format!("the interrupt of descriptor {descriptor} came before its data was there");
            return breach("SEED-003-12", what);
        }
        let reports = self.chain[next]
            .control
            .contains(ControlFlags::STATUS_UPDATE_ON_COMPLETION);
        if reports && !self.word.is_null() && self.covered <= next && !self.restarted {
            let what = format!("the interrupt of descriptor {descriptor} came before its completion word");
            return breach("SEED-003-12", what);
        }
        // Everything that is complete by now is covered by this one interrupt.
        self.interrupted = next + 1;
        None
    }
}

impl Oracle for SharedWatch {
    fn observe(&mut self, step: &Step, memory: &dyn crate::machine::Bytes) -> Option<Breach> {
        match step.what {
            What::Stored(View::Device, at, value) => {
                let mut watch = self.lock();
                if at == watch.word {
                    return watch.word_written(CompletionWord::from_raw(value), memory);
                }
                watch.data_written(BusRange::new(at, 8)?)
            }
            What::Wrote(View::Device, range) => self.lock().data_written(range),
            What::Raised(_) => self.lock().interrupt_raised(memory),
            What::BusError(View::Device, _) => {
                self.lock().error = true;
                None
            }
            _ => None,
        }
    }
}
