//! Handing out outcomes.

use super::{Ring, Standing};
use crate::operation::Ticket;
use crate::port::Port;
use longshore_core::completion::Outcome;
use longshore_core::machine::Instant;
use longshore_core::{AtMostDispatch, Machine};
use longshore_hardware::BusAddress;

/// An operation that is over.
#[derive(Debug)]
pub struct Done<H> {
    /// What its user named it by.
    pub tag: u64,
    /// What the ring named it by.
    pub ticket: Ticket,
    /// How it ended.
    pub outcome: Outcome,
    /// What its user gave with it. `None` if an engine that does not answer still has it.
    pub held: Option<H>,
}

impl<H> Default for Done<H> {
    /// Room for one.
    fn default() -> Self {
        Self {
            tag: 0,
            ticket: Ticket::default(),
            outcome: Outcome::COMPLETED,
            held: None,
        }
    }
}

impl<M: Machine, P: Port, H> Ring<M, P, H> {
    /// Looks at the completion word, once, and hands out outcomes, as many as there is room for. Returns how many.
    ///
    /// This is bounded work (PAIN-22): besides that, the engine may be driven, a share of a fill or a compare is done,
    /// and operations whose deadline has passed are cancelled.
    pub fn poll(&mut self, level: AtMostDispatch<'_>, room: &mut [Done<H>]) -> usize {
        self.look(level);
        let count = self.hand(room);
        if !self.work(level) {
            return count;
        }
        count + self.hand(&mut room[count..])
    }

    /// Sees what the engine did, and gives it what it may have by now.
    pub(crate) fn look(&mut self, level: AtMostDispatch<'_>) {
        if self.closed {
            return;
        }
        if self.done < self.given {
            self.port.drive(level);
            self.look_at_word();
        }
        if self.deadline.is_some() {
            self.cancel_late(level);
        }
        if self.given < self.rung_end {
            // If that fails, the next poll tries again.
            let _ = self.advance(level);
        }
    }

    fn cancel_late(&mut self, level: AtMostDispatch<'_>) {
        let now = self.machine.now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.cancel_some(level, |_, slot| slot.is_past(now));
            let pending = (self.slots.oldest..self.slots.newest).map(|number| self.slots.get(number));
            self.deadline = pending
                .filter_map(|slot| slot.deadline)
                .filter(|&deadline| deadline > now)
                .min();
        }
    }

    /// Does a share of what the CPU has to do, if its turn has come. True if that is over now.
    pub(crate) fn work(&mut self, level: AtMostDispatch<'_>) -> bool {
        if !self.works() {
            return false;
        }
        let oldest = self.slots.oldest;
        let Some(work) = &mut self.slots.get_mut(oldest).work else {
            return false;
        };
        let Some(outcome) = work.share(self.memory.memory()) else {
            return false;
        };
        self.slots.oldest += 1;
        if let Some(slot) = self.slots.end(&self.machine, oldest, outcome) {
            self.slots.line_up(slot);
        }
        let _ = self.advance(level);
        self.port.drive(level);
        true
    }

    /// Whether the CPU has something to do just now.
    pub(crate) fn works(&self) -> bool {
        let oldest = self.slots.oldest;
        self.slots.work > 0 && !self.closed && oldest < self.rung && self.slots.get(oldest).work.is_some()
    }

    /// Whether a poll has something to hand out or to do already, without any news of the engine.
    pub fn has_work(&self) -> bool {
        let slots = &self.slots;
        let done = slots.oldest < slots.newest && self.is_done(slots.oldest);
        slots.has_line() || done || self.works() || (!self.closed && self.given < self.open_end())
    }

    /// Whether the engine has something that it is not known to be done with.
    pub fn is_engine_busy(&self) -> bool {
        !self.closed && self.done < self.given
    }

    /// The last descriptor that is known to be done, or NULL before the first.
    pub fn last_done(&self) -> BusAddress {
        match self.done.checked_sub(1) {
            Some(place) => self.memory.layout.descriptor(place).start(),
            None => BusAddress::NULL,
        }
    }

    /// No operation has an earlier deadline than this.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether somebody must look for things to go on: no interrupt tells of what the CPU does, or of the time.
    pub(crate) fn needs_looks(&self) -> bool {
        self.slots.work > 0 || self.deadline.is_some() || self.given < self.rung_end
    }

    fn hand(&mut self, room: &mut [Done<H>]) -> usize {
        let mut count = 0;
        while count < room.len() {
            let Some(slot) = self.next_ended() else { break };
            if let Some(done) = self.deliver(slot) {
                room[count] = done;
                count += 1;
            }
        }
        count
    }

    /// Delivers the outcome of a slot, once.
    pub(crate) fn deliver(&mut self, slot: u32) -> Option<Done<H>> {
        let (ticket, tag, outcome, held) = self.slots.deliver(&self.machine, slot)?;
        Some(Done {
            tag,
            ticket,
            outcome,
            held,
        })
    }

    /// What became of the operation that a ticket names.
    pub(crate) fn standing(&self, ticket: Ticket) -> Standing {
        self.slots.standing(ticket)
    }
}
