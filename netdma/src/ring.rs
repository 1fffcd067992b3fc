//! The operations of a channel: which are pending, which are over, and what the completion word says of them.
//!
//! A ring stands behind a lock that NetDMA's deferred call takes too. So nothing here calls the provider or
//! anybody else; one load of the completion word is all it does in memory.

use crate::layout::Layout;
use crate::operation::{Completion, OperationHandle, Refused};
use alloc::boxed::Box;
use longshore_core::completion::{Cause, Cell, Outcome, Owed, Ticket, Verdict};
use longshore_core::machine::Promise;
use longshore_core::{Event, Machine, NtStatus, Owner, Rule};
use longshore_hardware::BusRange;
use longshore_hardware::netdma::{CompletionWord, TransferStatus};

const MEMORY_RULE: Rule = Rule("NETDMA-079");

/// The two sides of a copy. They are equally long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) destination: BusRange,
    pub(crate) source: BusRange,
}

enum Place {
    Free,
    Pending(Ticket, Request),
    Over(Owed),
}

struct Slot {
    cell: Cell,
    number: u32,
    place: Place,
}

/// What became of the operation that a handle names.
pub(crate) enum Taken {
    Outcome(Outcome),
    Pending,
    Unknown,
}

/// The places between `from` and `to` are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Settled {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// All operations of a channel.
pub(crate) struct Ring<M: Machine> {
    machine: M,
    layout: Layout,
    counted: bool,
    slots: Box<[Slot]>,
    /// The next place to use.
    head: u64,
    /// The first place that is pending.
    tail: u64,
    /// The channel was started and did not stop since.
    running: bool,
    /// A call to stop or to submit is under way, so a stopped engine is not yet an error.
    calling: bool,
    /// The place whose link the engine may read although it is done, as a chain of version 1 may go on there.
    open_link: Option<u64>,
    /// The last word that named no descriptor of the ring.
    nonsense: CompletionWord,
}

impl<M: Machine> Ring<M> {
    pub(crate) fn new(machine: &M, layout: Layout, counted: bool) -> Self {
        let slots = (0..layout.entries()).map(|_| Slot {
            cell: Cell::new(),
            number: machine.number(),
            place: Place::Free,
        });
        Self {
            machine: machine.clone(),
            layout,
            counted,
            slots: slots.collect(),
            head: 0,
            tail: 0,
            running: false,
            calling: false,
            open_link: None,
            nonsense: CompletionWord::from_raw(0),
        }
    }

    fn slot(&mut self, place: u64) -> &mut Slot {
        &mut self.slots[self.layout.entry(place)]
    }

    fn hand_over(&self, range: BusRange, owner: Owner) {
        if !range.is_empty() {
            self.machine.emit(Event::Handover(range, owner, MEMORY_RULE));
        }
    }

    // ---- submitting ----

    /// The place for the next operation, and whether it continues a chain. The last completed descriptor stays
    /// untouched: the engine may read its link again, and the word goes on naming it.
    pub(crate) fn reserve(&mut self) -> Result<(u64, bool), Refused> {
        if self.head - self.tail + 1 >= self.layout.entries() {
            return Err(Refused::Full);
        }
        let head = self.head;
        match self.slot(head).place {
            Place::Free => Ok((head, self.running)),
            _ => Err(Refused::OutcomeNotTaken),
        }
    }

    /// The provider is about to be told of the next operation, or to be asked to stop.
    pub(crate) fn begin_call(&mut self) {
        self.calling = true;
    }

    /// The provider has answered, and nothing new is pending.
    pub(crate) fn end_call(&mut self) {
        self.calling = false;
    }

    /// The descriptor and both buffers go to the engine, before the provider hears of them.
    pub(crate) fn give(&mut self, place: u64, request: &Request) {
        self.hand_over(self.layout.descriptor(place), Owner::Device);
        if !self.counted {
            self.hand_over(self.layout.link(place), Owner::Both);
        }
        self.hand_over(request.source, Owner::Device);
        self.hand_over(request.destination, Owner::Device);
    }

    /// The provider did not take them.
    pub(crate) fn take_back(&mut self, place: u64, request: &Request) {
        self.hand_over(self.layout.descriptor(place), Owner::Cpu);
        self.hand_over(request.source, Owner::Cpu);
        self.hand_over(request.destination, Owner::Cpu);
        self.calling = false;
    }

    /// The provider has taken the next operation. From here on it is owed one outcome.
    pub(crate) fn accept(
        &mut self,
        request: Request,
        completion: Completion,
    ) -> Result<OperationHandle, Refused> {
        self.calling = false;
        self.running = true;
        let place = self.head;
        let machine = self.machine.clone();
        let slot = self.slot(place);
        let promise = promise(&machine, slot.number);
        // A free place has a cell whose last outcome was delivered.
        let ticket = slot.cell.begin(&promise).map_err(|_| Refused::OutcomeNotTaken)?;
        slot.place = Place::Pending(ticket, request);
        self.head += 1;
        let slot = self.layout.entry(place) as u32;
        Ok(OperationHandle {
            slot,
            ticket,
            interrupts: completion.contains(Completion::INTERRUPT),
        })
    }

    // ---- settling ----

    /// Ends what the word says is done. A word that says Halted on a channel that nobody asked to stop is an
    /// error: the engine is quiet, so the rest ends too.
    pub(crate) fn drain(&mut self, word: CompletionWord) -> Settled {
        let from = self.tail;
        let count = self.done(word);
        for _ in 0..count {
            self.end(Outcome::COMPLETED);
        }
        if self.running && !self.calling && word.status() == TransferStatus::HALTED {
            self.settle_rest(Verdict::Failed(Cause::DEVICE), Verdict::Failed(Cause::HALTED));
        }
        Settled { from, to: self.tail }
    }

    /// The provider says that its engine has stopped for good. The word tells how far it came.
    pub(crate) fn stopped(&mut self, word: CompletionWord) -> Settled {
        let from = self.tail;
        for _ in 0..self.done(word) {
            self.end(Outcome::COMPLETED);
        }
        self.settle_rest(Verdict::Cancelled, Verdict::Cancelled);
        self.calling = false;
        Settled { from, to: self.tail }
    }

    /// How many operations the word says are done. Its address comes from a device and is not trusted.
    fn done(&mut self, word: CompletionWord) -> u64 {
        let address = word.descriptor();
        if address.is_null() || !self.running {
            return 0;
        }
        let Some(place) = self.layout.place_of(address, self.tail) else {
            self.complain(word);
            return 0;
        };
        if place < self.head {
            place - self.tail + 1
        } else {
            // The last one that was done before, or one that is being submitted just now.
            0
        }
    }

    fn complain(&mut self, word: CompletionWord) {
        if self.nonsense != word {
            self.nonsense = word;
            self.machine.emit(Event::Misuse(
                "completion word",
                Rule("NETDMA-081"),
                NtStatus::UNSUCCESSFUL,
            ));
        }
    }

    fn settle_rest(&mut self, first: Verdict, others: Verdict) {
        self.running = false;
        let mut verdict = first;
        while self.tail < self.head {
            self.end_with(verdict);
            verdict = others;
        }
        self.close_link();
    }

    fn end_with(&mut self, verdict: Verdict) {
        let tail = self.tail;
        // No engine tells how many bytes of it were moved, so none is counted on.
        let residue = match &self.slot(tail).place {
            Place::Pending(_, request) => request.destination.len(),
            _ => 0,
        };
        self.end(Outcome { verdict, residue });
    }

    /// The oldest pending operation is over: its memory comes back, and then its outcome is recorded.
    fn end(&mut self, outcome: Outcome) {
        let place = self.tail;
        self.tail += 1;
        let Place::Pending(ticket, request) = self.slot(place).place else {
            return;
        };
        self.hand_back(place);
        self.hand_over(request.source, Owner::Cpu);
        self.hand_over(request.destination, Owner::Cpu);
        let machine = self.machine.clone();
        let slot = self.slot(place);
        let promise = promise(&machine, slot.number);
        // Alone by the ring's lock.
        slot.place = match slot.cell.end_owned(ticket, outcome, &promise) {
            Ok(delivery) => Place::Over(delivery.later()),
            Err(_) => Place::Free,
        };
    }

    fn hand_back(&mut self, place: u64) {
        self.close_link();
        if self.counted {
            self.hand_over(self.layout.descriptor(place), Owner::Cpu);
        } else {
            // A chain of version 1 may go on here, so the engine may read the link again.
            self.hand_over(self.layout.before_link(place), Owner::Cpu);
            self.hand_over(self.layout.behind_link(place), Owner::Cpu);
            self.open_link = Some(place);
        }
    }

    fn close_link(&mut self) {
        if let Some(place) = self.open_link.take() {
            self.hand_over(self.layout.link(place), Owner::Cpu);
        }
    }

    // ---- outcomes ----

    /// Delivers the outcome of an operation, once.
    pub(crate) fn take(&mut self, handle: OperationHandle) -> Taken {
        let machine = self.machine.clone();
        let Some(slot) = self.slots.get_mut(handle.slot as usize) else {
            return Taken::Unknown;
        };
        match &slot.place {
            Place::Pending(ticket, _) if *ticket == handle.ticket => Taken::Pending,
            Place::Over(owed) if owed.ticket() == handle.ticket => {
                slot.deliver(&machine).map_or(Taken::Unknown, Taken::Outcome)
            }
            _ => Taken::Unknown,
        }
    }

    /// How many operations are pending.
    pub(crate) fn pending(&self) -> u64 {
        self.head - self.tail
    }

    /// Whether the channel was started and did not stop since.
    pub(crate) fn running(&self) -> bool {
        self.running
    }

    /// Asks every pending operation to end. That alone ends none.
    pub(crate) fn request_cancel(&mut self) {
        for place in self.tail..self.head {
            let slot = self.slot(place);
            if let Place::Pending(ticket, _) = slot.place {
                slot.cell.request_cancel(ticket);
            }
        }
    }

    /// Outcomes that nobody will take are made public as undelivered.
    pub(crate) fn abandon(&mut self) {
        let machine = self.machine.clone();
        for slot in &mut self.slots {
            if let Place::Over(owed) = core::mem::replace(&mut slot.place, Place::Free) {
                drop(slot.cell.redeem(owed, &promise(&machine, slot.number)));
            }
        }
    }
}

impl Slot {
    fn deliver<M: Machine>(&mut self, machine: &M) -> Option<Outcome> {
        match core::mem::replace(&mut self.place, Place::Free) {
            Place::Over(owed) => {
                let promise = promise(machine, self.number);
                Some(self.cell.redeem(owed, &promise)?.deliver())
            }
            other => {
                self.place = other;
                None
            }
        }
    }
}

fn promise<M: Machine>(machine: &M, number: u32) -> Promise<'_, M> {
    Promise { machine, number }
}
