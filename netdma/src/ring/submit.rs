//! Taking operations in.

use super::request::{Request, RequestFlags, What};
use super::split::split;
use super::work::Work;
use super::{Refusal, Ring};
use crate::operation::{Refused, Ticket};
use crate::port::Port;
use longshore_core::completion::{Outcome, Verdict};
use longshore_core::scatter::Segments;
use longshore_core::{Event, Machine, Rule};
use longshore_hardware::BusRange;
use longshore_hardware::netdma::ControlFlags;

impl<M: Machine, P: Port, H> Ring<M, P, H> {
    /// Queues an operation, whole or not at all. The engine hears of it at the [doorbell](Ring::doorbell). From here
    /// until its outcome is handed out, its buffers are not the user's.
    pub fn submit(&mut self, request: Request<'_>, tag: u64, held: H) -> Result<Ticket, Refusal<H>> {
        match self.prepare(&request) {
            Ok((end, work)) => self.accept(end, work, &request, tag, held),
            Err(why) => Err(Refusal { why, held }),
        }
    }

    /// Takes the newest operation out again, which the engine was not given. Nobody hears of it.
    pub(crate) fn retract(&mut self, ticket: Ticket) {
        let number = self.slots.number_of(ticket);
        let newest = |&number: &u64| number + 1 == self.slots.newest && !self.is_in_engine(number);
        let Some(number) = number.filter(newest) else {
            return;
        };
        let slot = self.slots.get(number);
        let outcome = Outcome {
            verdict: Verdict::Cancelled,
            residue: self.memory.bytes(slot.first..slot.end),
        };
        if let Some(slot) = self.slots.end(&self.machine, number, outcome) {
            self.slots.deliver(&self.machine, slot);
        }
        // Nothing came behind it, so its places are given up.
        self.trim();
        self.slots.newest = self.slots.newest.min(number);
        self.rung = self.rung.min(self.slots.newest);
    }

    fn accept(
        &mut self,
        end: u64,
        work: Option<Work>,
        request: &Request<'_>,
        tag: u64,
        held: H,
    ) -> Result<Ticket, Refusal<H>> {
        let first = self.head;
        let mut held = Some(held);
        let begun = self.slots.begin(&self.machine, |slot| {
            slot.tag = tag;
            slot.held = held.take();
            (slot.first, slot.end) = (first, end);
            slot.work = work;
            slot.deadline = request.deadline;
        });
        match (begun, held) {
            (None, Some(held)) => Err(Refusal {
                why: Refused::OutcomeNotTaken,
                held,
            }),
            (ticket, _) => {
                self.head = end;
                if let Some(deadline) = request.deadline {
                    self.deadline = Some(self.deadline.map_or(deadline, |first| first.min(deadline)));
                }
                // A slot that takes what is held has begun.
                Ok(ticket.unwrap_or_default())
            }
        }
    }

    /// Checks a request and writes down its pieces. Nothing counts before it is accepted. Returns the place behind its
    /// last one, or what the CPU has to do.
    fn prepare(&mut self, request: &Request<'_>) -> Result<(u64, Option<Work>), Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        match request.what {
            What::Copy { destination, source } => {
                let (destination, source) = (destination.segments(), source.segments());
                self.check_copy(destination, source)?;
                self.check_room()?;
                Ok((self.place_copy(destination, source, request.flags)?, None))
            }
            What::Null => {
                self.check_room()?;
                Ok((self.place_null(request.flags)?, None))
            }
            What::Fill { destination, pattern } => {
                self.check_reach(destination)?;
                self.check_room()?;
                Ok((self.head, Some(Work::fill(destination, pattern))))
            }
            What::Compare { left, right } => {
                if left.len() != right.len() {
                    return Err(self.misused("NETDMA-055", Refused::UnequalLengths));
                }
                self.check_reach(left)?;
                self.check_reach(right)?;
                self.check_room()?;
                Ok((self.head, Some(Work::compare(left, right))))
            }
        }
    }

    // ---- checks ----

    fn misused(&self, rule: &'static str, refused: Refused) -> Refused {
        let event = Event::Misuse("submit", Rule(rule), refused.status());
        self.machine.emit(event);
        refused
    }

    fn check_reach(&self, range: BusRange) -> Result<(), Refused> {
        if range.is_empty() {
            return Err(self.misused("NETDMA-055", Refused::Empty));
        }
        if range.end().raw() - 1 > self.limits.maximum_address.raw() {
            return Err(self.misused("NETDMA-055", Refused::OutOfRange));
        }
        Ok(())
    }

    fn check_copy(&self, destination: Segments<'_>, source: Segments<'_>) -> Result<(), Refused> {
        if destination.is_empty() && source.is_empty() {
            return Err(self.misused("NETDMA-055", Refused::Empty));
        }
        let (to, from) = (destination.len(), source.len());
        if to.is_none() || to != from {
            return Err(self.misused("NETDMA-055", Refused::UnequalLengths));
        }
        for segment in destination.iter().chain(source.iter()) {
            if !segment.is_empty() {
                self.check_reach(segment)?;
            }
        }
        // More segments than descriptors could ever move are not looked at one against the other.
        if destination.count().max(source.count()) as u64 > self.memory.layout.entries() * 2 {
            return Err(self.misused("NETDMA-055", Refused::TooManyDescriptors));
        }
        let meets = |to: BusRange| source.iter().any(|from| from.overlaps(to));
        if destination != source && destination.iter().any(meets) {
            return Err(self.misused("NETDMA-057", Refused::Overlap));
        }
        Ok(())
    }

    fn check_room(&self) -> Result<(), Refused> {
        if self.slots.pending >= self.pending_limit {
            return Err(Refused::PendingLimit);
        }
        match self.slots.check_room() {
            Ok(()) => Ok(()),
            Err(true) => Err(Refused::OutcomeNotTaken),
            Err(false) => Err(Refused::Full),
        }
    }

    // ---- pieces ----

    /// The place behind the last one that may be used. The last completed descriptor stays untouched: the engine may
    /// read its link again, and the word goes on naming it.
    fn limit(&self) -> u64 {
        self.tail + self.memory.layout.entries() - 1
    }

    fn place_copy(
        &mut self,
        destination: Segments<'_>,
        source: Segments<'_>,
        flags: RequestFlags,
    ) -> Result<u64, Refused> {
        let (head, limit) = (self.head, self.limit());
        let (maximum, counted) = (self.limits.maximum_transfer_size, self.memory.counted);
        let mut end = head;
        for piece in split(destination, source, maximum, counted, flags.control()) {
            if end == limit {
                let most = head + self.memory.layout.entries() - 1;
                return Err(if limit == most {
                    self.misused("NETDMA-055", Refused::TooManyDescriptors)
                } else {
                    Refused::Full
                });
            }
            self.memory.set_piece(end, piece);
            end += 1;
        }
        self.interrupt_at(end - 1, flags);
        Ok(end)
    }

    fn place_null(&mut self, flags: RequestFlags) -> Result<u64, Refused> {
        let place = self.head;
        if place == self.limit() {
            return Err(Refused::Full);
        }
        let piece = self.memory.null_piece(flags.control());
        self.memory.set_piece(place, piece);
        self.interrupt_at(place, flags);
        Ok(place + 1)
    }

    /// Only the last descriptor of an operation interrupts (PAIN-12).
    fn interrupt_at(&mut self, place: u64, flags: RequestFlags) {
        if flags.contains(RequestFlags::INTERRUPT) {
            let mut piece = *self.memory.piece(place);
            piece.control |= ControlFlags::INTERRUPT_ON_COMPLETION;
            self.memory.set_piece(place, piece);
        }
    }
}
