//! What must hold of a channel and its memory once a call has returned or a chain has ended.

use super::berth::Berth;
use super::expect::Expect;
use super::slots::{SLOTS, pattern};
use longshore_core::{Dispatch, Passive};
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::{CompletionWord, TransferStatus};

/// What the first descriptor behind the last completed one may have done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the engine stopped between two descriptors.
    Untouched,
    /// Each byte is old or new: it was cut.
    Torn,
}

impl Berth {
    pub(super) fn require_word(&self, last: BusAddress, status: TransferStatus, rule: &'static str) {
        let wanted = CompletionWord::new(last, status);
        let word = self.word();
        self.require(!self.terms.completion || word == wanted, rule, || {
            format!("the completion word is {word:?}, not {wanted:?}")
        });
    }

    /// The engine has stopped: what came before the last completed descriptor is whole, what comes behind is as
    /// `next` says, and nothing else was touched. `last` is NULL if nothing of this start is complete.
    pub(super) fn check_memory(&self, last: BusAddress, next: Next, rule: &'static str) {
        let (chain, first) = {
            let watch = self.watch.lock();
            (watch.chain.clone(), watch.first)
        };
        let named = chain.iter().rposition(|expect| expect.descriptor.start() == last);
        let done = match named.filter(|_| !last.is_null()) {
            Some(index) => index + 1,
            None => first,
        };
        for (index, expect) in chain.iter().enumerate() {
            let kept = expect.has_kept(|range| self.machine.look(range));
            let unmoved = if expect.bad { "PAIN-15" } else { "NETDMA-091" };
            self.require(kept, unmoved, || {
                format!(
                    "{} is bad or a NULL transfer, but moved data",
                    expect.descriptor.start()
                )
            });
            let state = expect.state(|range| self.machine.look(range));
            let descriptor = expect.descriptor.start();
            if expect.dropped {
                self.require(state.old, "NETDMA-091", || {
                    format!("{descriptor} was taken out of the chain, but its data was moved")
                });
            } else if (first..done).contains(&index) {
                self.require(state.new, "SEED-003-2", || {
                    format!("{descriptor} is said to be done, but its data is not there")
                });
            } else if index == done && next == Next::Torn {
                self.require(state.mixed, rule, || {
                    format!("the destination of {descriptor} holds bytes that are neither old nor new")
                });
            } else if index >= done {
                self.require(state.old, rule, || {
                    format!("{descriptor} lies behind where the engine stopped, but its data was moved")
                });
            }
        }
        self.check_surroundings(&chain);
    }

    /// As `check_memory`, where the channel has a completion word that says where it stopped.
    pub(super) fn check_memory_if_known(&self, last: BusAddress, next: Next, rule: &'static str) {
        if self.terms.completion {
            self.check_memory(last, next, rule);
        } else {
            let chain = self.watch.lock().chain.clone();
            self.check_surroundings(&chain);
        }
    }

    /// Nothing was written but destinations: guard bytes, sources and descriptors are what they were.
    fn check_surroundings(&self, chain: &[Expect]) {
        let scratch = !self.counted();
        for expect in chain {
            let descriptor = expect.descriptor;
            let untouched = expect.is_untouched(&self.machine.look(descriptor), scratch);
            // An older submission of the same slot was overwritten by us.
            let newest = self.watch.lock().index_of(descriptor.start());
            let is_newest = newest.is_some_and(|newest| chain[newest].content == expect.content);
            self.require(untouched || !is_newest, "NETDMA-050", || {
                format!("the provider wrote descriptor {}", descriptor.start())
            });
            let kept = |part: &super::expect::Part| self.machine.look(part.from) == pattern(part.from);
            self.require(expect.parts.iter().all(kept), "PAIN-15", || {
                format!("the source of {} was written", descriptor.start())
            });
        }
        self.check_guards();
    }

    /// The bytes around the destinations are as they were.
    pub(super) fn check_guards(&self) {
        for slot in 0..=SLOTS {
            let guard = self.slots.guard(slot);
            let kept = self.machine.look(guard).iter().all(|&byte| byte == 0);
            self.require(kept, "PAIN-15", || {
                format!("bytes outside every destination were written: {guard:?}")
            });
        }
    }

    /// The last completed descriptor of this start, from the word that a stop has left.
    pub(super) fn last_of(&self, status: TransferStatus, rule: &'static str) -> BusAddress {
        if !self.terms.completion {
            return self.last_moved();
        }
        let word = self.word();
        // The flag of a descriptor says nothing about how a channel stops.
        let flagged = self.watch.lock().chain.iter().any(Expect::wants_word);
        let rule = if flagged { rule } else { "AMB-03" };
        self.require(word.status() == status, rule, || {
            format!("the completion word is {word:?}, not {status:?}")
        });
        word.descriptor()
    }

    /// The last descriptor of the first ones of this start that have moved all their data.
    pub(super) fn last_moved(&self) -> BusAddress {
        let watch = self.watch.lock();
        let run = &watch.chain[watch.first..];
        let moved = run.iter().take_while(|expect| expect.is_moved()).last();
        moved.map_or(BusAddress::NULL, |expect| expect.descriptor.start())
    }

    /// Waits until the chain of the last start has moved all its data, and then until nothing is under way.
    pub(super) fn wait_until_moved(&self, passive: &Passive, rule: &'static str) -> bool {
        let moved = self.wait_until(passive, |berth| {
            let watch = berth.watch.lock();
            let mut run = watch.chain[watch.first..].iter();
            run.all(|expect| expect.dropped || expect.is_moved())
        });
        self.leap(passive);
        self.require(moved, rule, || "the chain never moved all its data".into())
    }

    /// The chain of the last start has ended: all data, each word and interrupt that was asked for, and no other.
    pub(super) fn check_ended(&self, rule: &'static str) {
        let (last, word, flagged, held) = {
            let watch = self.watch.lock();
            let run = || watch.chain[watch.first..].iter().filter(|expect| !expect.dropped);
            let address = |expect: Option<&Expect>| expect.map_or(BusAddress::NULL, |e| e.descriptor.start());
            (
                address(run().next_back()),
                address(run().rfind(|expect| expect.wants_word())),
                address(run().rfind(|expect| expect.wants_interrupt())),
                watch.held,
            )
        };
        self.check_memory(last, Next::Untouched, rule);
        self.check_reported();
        if !word.is_null() {
            let status = match word {
                // A resume that finds nothing to do leaves the word as the suspend wrote it (RACE-5).
                _ if word == held => TransferStatus::SUSPEND,
                _ if word == last => TransferStatus::IDLE,
                _ => TransferStatus::ACTIVE,
            };
            self.require_word(word, status, "NETDMA-082");
        }
        let told = flagged.is_null() || self.interface.was_told(flagged);
        self.require(told, "SEED-003-14", || {
            format!("NetDmaIsr and NetDmaInterruptDpc were never told of {flagged}")
        });
    }

    /// Forgets what was submitted: it wrote over itself, and nobody can say any more what it should have done.
    pub(super) fn forget(&self) {
        self.take_back();
        self.watch.lock().forget();
    }

    /// Each descriptor of the last start that asked for the word was named by it.
    pub(super) fn check_reported(&self) {
        let watch = self.watch.lock();
        let missed = watch.chain[watch.first..]
            .iter()
            .find(|expect| expect.wants_word() && !expect.reported && !expect.dropped);
        if let Some(missed) = missed.filter(|_| self.terms.completion) {
            let rule = if missed.parts.is_empty() {
                "NETDMA-085"
            } else {
                "SEED-003-8"
            };
            let what = format!("no completion word named {}", missed.descriptor.start());
            drop(watch);
            self.require(false, rule, || what);
        }
    }

    /// A channel that has stopped takes no call but those that the table allows, and refuses the others without a
    /// trace.
    pub(super) fn check_refusals(&self, dispatch: &Dispatch) {
        let words = self.watch.lock().words;
        self.require(
            !self.append_at(dispatch.into(), self.descriptor(SLOTS - 1).start(), 1),
            "SEED-004-9",
            || "an append was accepted before the next start".into(),
        );
        if self.can_suspend() {
            self.require(self.suspend(dispatch.into()).is_none(), "RACE-4", || {
                "a channel that does not run was suspended".into()
            });
            self.require(!self.resume(dispatch.into()), "AMB-11", || {
                "a channel that is not suspended was resumed".into()
            });
        }
        self.require(self.watch.lock().words == words, "RACE-3", || {
            "a refused call wrote the completion word".into()
        });
    }

    /// The channel takes a new chain and does it.
    pub(super) fn check_starts_again(
        &self,
        passive: &Passive,
        slots: std::ops::Range<usize>,
        rule: &'static str,
    ) {
        let both = super::STATUS | super::INTERRUPT;
        self.prepare(slots.clone(), |_| both);
        let started = self.start(passive.into(), slots);
        if self.require(started, rule, || "the channel did not start again".into())
            && self.wait_until_moved(passive, rule)
        {
            self.check_ended(rule);
        }
    }
}
