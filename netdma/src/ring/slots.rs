//! The operations of a ring: which are pending, which are over, and what was given with each.

use super::work::Work;
use crate::operation::Ticket;
use alloc::boxed::Box;
use longshore_core::Machine;
use longshore_core::completion::{self, Cell, Outcome, Owed, Seen};
use longshore_core::machine::{Instant, Promise};

/// What became of the operation that a ticket names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has no outcome yet.
    Pending,
    /// Its outcome waits to be taken.
    Over,
    /// There is no such operation, or its outcome was taken.
    Unknown,
}

enum State {
    Free,
    Pending(completion::Ticket),
    Over(Owed),
}

/// An operation, or the room for one.
pub(super) struct Slot<H> {
    cell: Cell,
    number: u32,
    state: State,
    pub(super) tag: u64,
    pub(super) held: Option<H>,
    /// Its first place, and the place behind its last one.
    pub(super) first: u64,
    pub(super) end: u64,
    /// What the CPU has to do for it. It has no places then.
    pub(super) work: Option<Work>,
    pub(super) deadline: Option<Instant>,
    /// It is among those that are being cancelled. Means something within that call only.
    pub(super) chosen: bool,
}

impl<H> Slot<H> {
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending(_))
    }

    /// Asks the operation to end. That alone does not end it.
    pub(super) fn request_cancel(&self) {
        if let State::Pending(ticket) = self.state {
            self.cell.request_cancel(ticket);
        }
    }

    pub(super) fn is_cancel_requested(&self) -> bool {
        match self.state {
            State::Pending(ticket) => {
                self.cell.look(ticket)
                    == Seen::Running {
                        cancel_requested: true,
                    }
            }
            _ => false,
        }
    }

    pub(super) fn is_past(&self, now: Instant) -> bool {
        self.is_pending() && self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// All operations of a ring, in the order in which they came. Operations are counted and never wrap; slots do.
pub(super) struct Slots<H> {
    slots: Box<[Slot<H>]>,
    /// The first operation whose descriptors the engine may still have.
    pub(super) oldest: u64,
    /// The number of the next operation.
    pub(super) newest: u64,
    /// How many have no outcome yet.
    pub(super) pending: u32,
    /// How many of those the CPU has to do.
    pub(super) work: u32,
    /// Slots whose outcomes are recorded and were not handed out, in a ring of its own.
    ended: Box<[u32]>,
    ended_from: u64,
    ended_to: u64,
}

impl<H> Slots<H> {
    pub(super) fn new(machine: &impl Machine, entries: u32) -> Self {
        let slots = (0..entries).map(|_| Slot {
            cell: Cell::new(),
            number: machine.number(),
            state: State::Free,
            tag: 0,
            held: None,
            first: 0,
            end: 0,
            work: None,
            deadline: None,
            chosen: false,
        });
        Self {
            slots: slots.collect(),
            oldest: 0,
            newest: 0,
            pending: 0,
            work: 0,
            ended: (0..entries).map(|_| 0).collect(),
            ended_from: 0,
            ended_to: 0,
        }
    }

    fn index(&self, number: u64) -> usize {
        (number % self.slots.len() as u64) as usize
    }

    pub(super) fn get(&self, number: u64) -> &Slot<H> {
        &self.slots[self.index(number)]
    }

    pub(super) fn get_mut(&mut self, number: u64) -> &mut Slot<H> {
        &mut self.slots[self.index(number)]
    }

    /// Whether the next operation has a slot: `Err(true)` if only an outcome that nobody took is in the way.
    pub(super) fn check_room(&self) -> Result<(), bool> {
        if self.newest - self.oldest >= self.slots.len() as u64 {
            return Err(false);
        }
        match self.get(self.newest).state {
            State::Free => Ok(()),
            State::Pending(_) => Err(false),
            State::Over(_) => Err(true),
        }
    }

    /// The next operation is accepted. It is owed one outcome from here on. There is room for it.
    pub(super) fn begin(
        &mut self,
        machine: &impl Machine,
        fill: impl FnOnce(&mut Slot<H>),
    ) -> Option<Ticket> {
        let index = self.index(self.newest);
        let slot = &mut self.slots[index];
        let promise = promise(machine, slot.number);
        let ticket = slot.cell.begin(&promise).ok()?;
        slot.state = State::Pending(ticket);
        fill(slot);
        self.work += u32::from(slot.work.is_some());
        self.newest += 1;
        self.pending += 1;
        Some(Ticket::new(index as u32, ticket))
    }

    /// Records the outcome of an operation, whose memory is back. Returns its slot.
    pub(super) fn end(&mut self, machine: &impl Machine, number: u64, outcome: Outcome) -> Option<u32> {
        let index = self.index(number);
        let slot = &mut self.slots[index];
        let State::Pending(ticket) = slot.state else {
            return None;
        };
        self.work -= u32::from(slot.work.take().is_some());
        slot.deadline = None;
        let promise = promise(machine, slot.number);
        // Alone by `&mut`.
        slot.state = match slot.cell.end_owned(ticket, outcome, &promise) {
            Ok(delivery) => State::Over(delivery.later()),
            Err(_) => State::Free,
        };
        self.pending -= 1;
        Some(index as u32)
    }

    /// This slot's outcome is to be handed out when its turn comes.
    pub(super) fn line_up(&mut self, slot: u32) {
        let at = (self.ended_to % self.ended.len() as u64) as usize;
        self.ended[at] = slot;
        self.ended_to += 1;
    }

    /// The next slot whose outcome is to be handed out.
    pub(super) fn next_in_line(&mut self) -> Option<u32> {
        if self.ended_from == self.ended_to {
            return None;
        }
        let at = (self.ended_from % self.ended.len() as u64) as usize;
        self.ended_from += 1;
        Some(self.ended[at])
    }

    /// Whether outcomes wait to be handed out.
    pub(super) fn has_line(&self) -> bool {
        self.ended_from != self.ended_to
    }

    /// Delivers the outcome of a slot, once, and what was given with the operation.
    pub(super) fn deliver(
        &mut self,
        machine: &impl Machine,
        slot: u32,
    ) -> Option<(Ticket, u64, Outcome, Option<H>)> {
        let index = slot;
        let slot = self.slots.get_mut(slot as usize)?;
        match core::mem::replace(&mut slot.state, State::Free) {
            State::Over(owed) => {
                let ticket = Ticket::new(index, owed.ticket());
                let promise = promise(machine, slot.number);
                let outcome = slot.cell.redeem(owed, &promise)?.deliver();
                Some((ticket, slot.tag, outcome, slot.held.take()))
            }
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// What became of an operation.
    pub(super) fn standing(&self, ticket: Ticket) -> Standing {
        match self.slots.get(ticket.slot as usize).map(|slot| &slot.state) {
            Some(State::Pending(turn)) if ticket.names(*turn) => Standing::Pending,
            Some(State::Over(owed)) if ticket.names(owed.ticket()) => Standing::Over,
            _ => Standing::Unknown,
        }
    }

    /// The number of the pending operation that a ticket names.
    pub(super) fn number_of(&self, ticket: Ticket) -> Option<u64> {
        if self.standing(ticket) != Standing::Pending {
            return None;
        }
        let len = self.slots.len() as u64;
        let ahead = (u64::from(ticket.slot) + len - self.oldest % len) % len;
        Some(self.oldest + ahead)
    }

    /// Outcomes that nobody will take are made public as undelivered.
    pub(super) fn abandon(&mut self, machine: &impl Machine) {
        for slot in &mut self.slots {
            if let State::Over(owed) = core::mem::replace(&mut slot.state, State::Free) {
                drop(slot.cell.redeem(owed, &promise(machine, slot.number)));
            }
        }
        self.ended_from = self.ended_to;
    }
}

fn promise<M: Machine>(machine: &M, number: u32) -> Promise<'_, M> {
    Promise { machine, number }
}
