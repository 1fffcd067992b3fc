//! What the oracle says to a completion word.

use super::watch::{Stop, Watch, breach};
use crate::machine::{Breach, Bytes};
use longshore_hardware::netdma::{CompletionWord, TransferStatus};

impl Watch {
    /// The completion word was written.
    pub(super) fn word_written(&mut self, word: CompletionWord, memory: &dyn Bytes) -> Option<Breach> {
        self.words += 1;
        if self.blind {
            let what = format!("{word:?} was written, but the channel has no completion address");
            return breach("AMB-03", what);
        }
        match self.stop {
            Stop::Quiet => {
                let what = format!("the completion word became {word:?} after the engine was stopped");
                return breach("RACE-3", what);
            }
            Stop::Held => {
                let what = format!("the completion word became {word:?} although the channel is suspended");
                return breach("NETDMA-090", what);
            }
            Stop::No | Stop::Cutting => {}
        }
        self.misshapen(word).or_else(|| {
            if word.descriptor().is_null() {
                return self.named_nothing(word);
            }
            let Some(index) = self.index_of(word.descriptor()) else {
                let what = format!("the completion word {word:?} names no submitted descriptor");
                return breach("SEED-003-7", what);
            };
            let wrong = self.named(index, word, memory);
            self.chain[index].reported = true;
            self.covered = self.covered.max(index + 1);
            wrong
        })
    }

    /// A word that nobody may write, whatever has happened.
    fn misshapen(&self, word: CompletionWord) -> Option<Breach> {
        if word.raw() & 0x38 != 0 {
            return breach(
                "NETDMA-053",
                format!("bits 3 to 5 of the word {:#x} are not zero", word.raw()),
            );
        }
        match word.status() {
            TransferStatus::ARMED => breach("AMB-06", format!("{word:?} was written to memory")),
            status if status.raw() > TransferStatus::ARMED.raw() => {
                breach("NETDMA-082", format!("{word:?} has a status that is not defined"))
            }
            _ => None,
        }
    }

    /// A word without a descriptor: nothing of this start is complete.
    fn named_nothing(&self, word: CompletionWord) -> Option<Breach> {
        if is_normal(word) {
            return breach(
                "SEED-003-7",
                format!("the completion word {word:?} names no descriptor"),
            );
        }
        if self.covered > self.first {
            return breach("NETDMA-084", format!("the completion word went back to {word:?}"));
        }
        None
    }

    /// A word with the descriptor of this index.
    fn named(&self, index: usize, word: CompletionWord, memory: &dyn Bytes) -> Option<Breach> {
        let expect = &self.chain[index];
        if index < self.first && !is_normal(word) {
            return breach(
                "AMB-04",
                format!("{word:?} names a descriptor from before the last start"),
            );
        }
        if index + 1 < self.covered && !self.loops {
            return breach("NETDMA-084", format!("the completion word went back to {word:?}"));
        }
        if is_normal(word) && !expect.wants_word() {
            let what = format!("{word:?} was written for a descriptor without the status flag");
            return breach("SEED-003-9", what);
        }
        let from = self.first.min(index);
        if let Some(late) = (from..=index).find(|&at| !self.chain[at].is_there(memory)) {
            let missing = self.chain[late].descriptor.start();
            if word.status() == TransferStatus::HALTED && self.has_failed() {
                return breach(
                    "AMB-05",
                    format!("{word:?} does not name the last good descriptor"),
                );
            }
            let what = format!(
                "the completion word became {word:?} before the data of descriptor {missing} was there"
            );
            return breach("SEED-003-2", what);
        }
        self.wrong_status(index, word)
    }

    /// Active means that more is pending, Idle that nothing is.
    fn wrong_status(&self, index: usize, word: CompletionWord) -> Option<Breach> {
        if self.loops {
            return None;
        }
        if index < self.first {
            // It was replaced at that very moment.
            let early = word.status() == TransferStatus::IDLE && !self.chain[index].tail;
            let what = format!("{word:?} was written for a chain that was replaced before its end");
            return early.then(|| breach("RACE-7", what)).flatten();
        }
        let more = self.chain[index + 1..].iter().any(|expect| !expect.dropped);
        match word.status() {
            TransferStatus::ACTIVE if !more => breach(
                "NETDMA-082",
                format!("{word:?} was written, but nothing is pending"),
            ),
            // What was a tail may be told as idle although it is linked on by now (RACE-1).
            TransferStatus::IDLE if more && !self.chain[index].tail => {
                breach("NETDMA-082", format!("{word:?} was written, but more is pending"))
            }
            _ => None,
        }
    }
}

fn is_normal(word: CompletionWord) -> bool {
    matches!(word.status(), TransferStatus::ACTIVE | TransferStatus::IDLE)
}
