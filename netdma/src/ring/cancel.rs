//! Cancelling some of the operations.
//!
//! What the engine was not given is simply over. What it was given becomes descriptors that move nothing, in place,
//! while the engine is held: so the number of descriptors stays what it was (RACE-6). Several are cancelled in one
//! suspend.

use super::Ring;
use super::slots::Slot;
use crate::operation::Ticket;
use crate::port::Port;
use crate::provider::Unsuccessful;
use core::ops::Range;
use longshore_core::completion::Verdict;
use longshore_core::{AtMostDispatch, Machine};
use longshore_hardware::MemoryError;

impl<M: Machine, P: Port, H> Ring<M, P, H> {
    /// Cancels an operation. False if it is over already.
    ///
    /// Its outcome is cancelled, unless the engine turns out to be done with it, or can neither be held nor stopped:
    /// then the outcome is what really happens. The residue of one that was cut is what the descriptors that are not
    /// done would have moved.
    pub fn cancel(&mut self, level: AtMostDispatch<'_>, ticket: Ticket) -> bool {
        match self.slots.number_of(ticket) {
            Some(wanted) => self.cancel_some(level, |number, _| number == wanted) > 0,
            None => false,
        }
    }

    /// Cancels some of the operations, chosen by their tag and what was given with them, all in one go. Returns how
    /// many were asked to end and are not done.
    pub fn cancel_where(
        &mut self,
        level: AtMostDispatch<'_>,
        mut wanted: impl FnMut(u64, &H) -> bool,
    ) -> usize {
        self.cancel_some(level, |_, slot| {
            slot.held.as_ref().is_some_and(|held| wanted(slot.tag, held))
        })
    }

    /// Cancels everything that is pending. The channel keeps running.
    pub fn cancel_all(&mut self, level: AtMostDispatch<'_>) -> usize {
        self.cancel_some(level, |_, _| true)
    }

    pub(super) fn cancel_some(
        &mut self,
        level: AtMostDispatch<'_>,
        mut wanted: impl FnMut(u64, &Slot<H>) -> bool,
    ) -> usize {
        self.look_at_word();
        // Chosen first, as a whole: whoever chooses may panic.
        for number in self.operations() {
            let slot = self.slots.get(number);
            let chosen = slot.is_pending() && !self.is_done(number) && wanted(number, slot);
            self.slots.get_mut(number).chosen = chosen;
        }
        let (mut over, mut asked) = (0, false);
        for number in self.operations() {
            let slot = self.slots.get(number);
            if !slot.chosen {
                continue;
            }
            if self.is_in_engine(number) {
                slot.request_cancel();
                asked = true;
            } else {
                self.end_early(number, Verdict::Cancelled);
                over += 1;
            }
        }
        if asked {
            over += self.cut(level);
        }
        self.trim();
        over
    }

    /// Gets what is asked to end out of the engine. Returns how many ended by that, or will if they can.
    fn cut(&mut self, level: AtMostDispatch<'_>) -> usize {
        if let Ok(ended) = self.cut_held(level) {
            return ended;
        }
        // An engine that stopped with an error cannot be held, and is quiet.
        self.look_at_word();
        if let Ok(ended) = self.cut_stopped(level) {
            return ended;
        }
        let stands = |number: &u64| self.is_asked(*number);
        self.operations().filter(stands).count()
    }

    /// Holds the engine, empties the descriptors in place, and lets it go on.
    fn cut_held(&mut self, level: AtMostDispatch<'_>) -> Result<usize, Unsuccessful> {
        if self.suspended {
            return self.empty_in_place().map_err(|_| Unsuccessful);
        }
        self.hold(level)?;
        let ended = self.empty_in_place();
        self.let_go(level)?;
        ended.map_err(|_| Unsuccessful)
    }

    fn empty_in_place(&mut self) -> Result<usize, MemoryError> {
        let mut ended = 0;
        for number in self.operations() {
            if self.is_asked(number) {
                let slot = self.slots.get(number);
                let undone = slot.first.max(self.done)..slot.end;
                self.memory.rewrite_empty(undone, self.given)?;
                self.end_early(number, Verdict::Cancelled);
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Stops the engine, and starts it again with what is left.
    fn cut_stopped(&mut self, level: AtMostDispatch<'_>) -> Result<usize, Unsuccessful> {
        if self.running {
            self.halt(level, self.stopper().ok_or(Unsuccessful)?)?;
            self.memory.take_back(self.done..self.given);
            self.memory.close_link();
            self.given = self.done;
            self.running = false;
            self.suspended = false;
        }
        let mut ended = 0;
        for number in self.operations() {
            let slot = self.slots.get(number);
            if slot.is_cancel_requested() && !self.is_done(number) {
                self.end_early(number, Verdict::Cancelled);
                ended += 1;
            }
        }
        self.trim();
        // If that fails, the next poll tries again.
        let _ = self.advance(level);
        Ok(ended)
    }

    fn is_asked(&self, number: u64) -> bool {
        self.is_in_engine(number) && self.slots.get(number).is_cancel_requested()
    }

    /// Gives up the places behind the last operation that is pending, as far as the engine does not have them.
    pub(super) fn trim(&mut self) {
        let mut from = self.slots.newest;
        while from > self.slots.oldest {
            let slot = self.slots.get(from - 1);
            if slot.is_pending() || slot.first < self.given {
                break;
            }
            self.head = slot.first;
            from -= 1;
        }
        for number in from..self.slots.newest {
            let slot = self.slots.get_mut(number);
            (slot.first, slot.end) = (self.head, self.head);
        }
        self.rung_end = self.rung_end.min(self.head);
    }

    pub(super) fn operations(&self) -> Range<u64> {
        self.slots.oldest..self.slots.newest
    }
}
