//! What the completion word says, and what that means for the operations.

use super::Ring;
use crate::port::Port;
use longshore_core::completion::{Cause, Outcome, Verdict};
use longshore_core::{Event, Machine, NtStatus, Rule};
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::{CompletionWord, TransferStatus};

impl<M: Machine, P: Port, H> Ring<M, P, H> {
    // ---- the word ----

    /// Reads the completion word and notes what it says. A word that says Halted on a channel that nobody asked to
    /// stop is an error: the engine is quiet, so whatever it had ends.
    pub(super) fn look_at_word(&mut self) {
        if !self.running {
            return;
        }
        let word = self.memory.load_word();
        self.reach(word.descriptor());
        if word.status() == TransferStatus::HALTED {
            self.settle(Verdict::Failed(Cause::DEVICE), Verdict::Failed(Cause::HALTED));
        }
    }

    /// This descriptor and all before it are done. The address comes from a device and is not trusted.
    pub(super) fn reach(&mut self, address: BusAddress) {
        if address.is_null() || !self.running {
            return;
        }
        let Some(place) = self.memory.layout.place_of(address, self.tail) else {
            return self.complain(address);
        };
        // Otherwise it is known already, or was the last one before the ring's oldest.
        if place >= self.done && place < self.given {
            self.done = place + 1;
        }
    }

    fn complain(&mut self, address: BusAddress) {
        let word = CompletionWord::new(address, TransferStatus::ACTIVE);
        if self.nonsense != word {
            self.nonsense = word;
            self.machine.emit(Event::Misuse(
                "completion word",
                Rule("NETDMA-081"),
                NtStatus::UNSUCCESSFUL,
            ));
        }
    }

    // ---- settling ----

    /// The engine has stopped for good: what it did is completed first, then whatever else it had ends, in order.
    pub(super) fn settle(&mut self, first: Verdict, others: Verdict) {
        self.running = false;
        self.suspended = false;
        self.line_up_done();
        let mut verdict = first;
        for number in self.operations() {
            let slot = self.slots.get(number);
            if slot.first >= self.given {
                break;
            }
            if slot.is_pending() {
                self.end_early(number, verdict);
                verdict = others;
            }
        }
        self.done = self.given;
        self.line_up_done();
        self.memory.close_link();
    }

    /// Ends an operation that is not done. The engine does not work on it.
    pub(super) fn end_early(&mut self, number: u64, verdict: Verdict) {
        let slot = self.slots.get(number);
        let (first, end) = (slot.first, slot.end);
        let undone = first.max(self.done)..end;
        // No engine tells how many bytes of a descriptor were moved, so none is counted on.
        let residue = match &slot.work {
            Some(work) => work.left(),
            None => self.memory.bytes(undone.clone()),
        };
        self.memory.take_back_buffers(first..end);
        self.memory.empty(undone);
        if let Some(slot) = self
            .slots
            .end(&self.machine, number, Outcome { verdict, residue })
        {
            self.slots.line_up(slot);
        }
    }

    // ---- handing out ----

    fn line_up_done(&mut self) {
        while let Some(slot) = self.retire_next() {
            self.slots.line_up(slot);
        }
    }

    /// The next slot whose outcome is recorded. Ends operations as it goes, one at a time.
    pub(crate) fn next_ended(&mut self) -> Option<u32> {
        self.slots.next_in_line().or_else(|| self.retire_next())
    }

    /// Takes the descriptors of the oldest operations back, up to one whose outcome is recorded by this.
    fn retire_next(&mut self) -> Option<u32> {
        while self.slots.oldest < self.slots.newest && self.is_done(self.slots.oldest) {
            let number = self.slots.oldest;
            let slot = self.slots.get(number);
            let (pending, first, end) = (slot.is_pending(), slot.first, slot.end);
            for place in first..end {
                self.memory.retire(place);
            }
            self.tail = end;
            self.slots.oldest += 1;
            if pending {
                self.memory.take_back_buffers(first..end);
                return self.slots.end(&self.machine, number, Outcome::COMPLETED);
            }
        }
        None
    }
}
