//! What a channel's user has alone: the ring, and the outcomes that were found and not handed out.

use crate::core::AtMostDispatch;
use crate::core::Machine as _;
use crate::core::machine::Instant;
use crate::engine::Engine;
use crate::hardware::BusRange;
use crate::host::{Machine, Memory};
use crate::job::{Buffers, Job, Kind};
use crate::mail::{Key, Letter, Mail};
use crate::netdma::ring::Done;
use crate::netdma::{Request, Ring, Ticket};
use crate::outcome::{Completion, Outcome, Reason, Refused};
use std::collections::{HashSet, VecDeque};

/// How many outcomes are had from the ring in one go.
const CHUNK: usize = 32;

/// Who gets an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Whoever polls. It is the operation with this number of those with tags.
    Tag(u64),
    /// The owner of this box.
    Mail(Key),
}

/// What the ring holds for an operation.
pub(crate) struct Held {
    owner: Owner,
    kind: Kind,
    len: u64,
    buffers: Buffers,
}

pub(crate) struct State<E: Engine> {
    pub(crate) ring: Ring<Machine, E::Port, Held>,
    memory: Memory,
    room: Box<[Done<Held>]>,
    /// Outcomes of operations with tags that nobody polled yet. It never grows.
    tagged: VecDeque<Completion>,
    /// How many operations with tags were not polled.
    tags: usize,
    /// The number of the next operation with a tag.
    next: u64,
    pub(crate) mail: Mail,
    /// Something came that a task may wait for.
    mailed: bool,
    from: Vec<BusRange>,
    to: Vec<BusRange>,
}

impl<E: Engine> State<E> {
    pub(crate) fn new(ring: Ring<Machine, E::Port, Held>, machine: &Machine) -> Self {
        Self {
            room: (0..CHUNK).map(|_| Done::default()).collect(),
            tagged: VecDeque::with_capacity(ring.capacity() as usize + 1),
            ring,
            memory: machine.memory(),
            tags: 0,
            next: 0,
            mail: Mail::default(),
            mailed: false,
            from: Vec::new(),
            to: Vec::new(),
        }
    }

    // ---- submitting ----

    /// Queues a job for whoever polls.
    #[inline]
    pub(crate) fn submit(&mut self, tag: u64, job: Job, now: impl Fn() -> Instant) -> Result<(), Refused> {
        if self.tags == self.tagged.capacity() {
            return Err(Refused {
                reason: Reason::Unpolled,
                given: job,
            });
        }
        self.queue(Owner::Tag(self.next), tag, job, now)?;
        self.tags += 1;
        self.next += 1;
        Ok(())
    }

    /// Queues a job whose outcome goes into a box.
    pub(crate) fn mail(&mut self, job: Job, now: impl Fn() -> Instant) -> Result<Key, Refused> {
        let key = self.mail.open();
        match self.queue(Owner::Mail(key), 0, job, now) {
            Ok(ticket) => {
                self.mail.name(key, ticket);
                Ok(key)
            }
            Err(refused) => {
                self.mail.withdraw(key);
                Err(refused)
            }
        }
    }

    /// Queues a request on memory that is lent, whose outcome goes into a box.
    pub(crate) fn mail_lent(&mut self, request: Request<'_>, kind: Kind, len: u64) -> Result<Key, Reason> {
        let key = self.mail.open();
        let held = Held {
            owner: Owner::Mail(key),
            kind,
            len,
            buffers: Buffers::None,
        };
        match self.ring.submit(request, 0, held) {
            Ok(ticket) => {
                self.mail.name(key, ticket);
                Ok(key)
            }
            Err(refusal) => {
                self.mail.withdraw(key);
                Err(refusal.why.into())
            }
        }
    }

    #[inline]
    fn queue(
        &mut self,
        owner: Owner,
        tag: u64,
        job: Job,
        now: impl Fn() -> Instant,
    ) -> Result<Ticket, Refused> {
        let memory = &self.memory;
        if !job.buffers.iter().all(|buffer| buffer.is_in(memory)) {
            return Err(Refused {
                reason: Reason::ForeignBuffer,
                given: job,
            });
        }
        let (from, to) = (&mut self.from, &mut self.to);
        let mut request = match (job.kind, &job.buffers) {
            (Kind::Compare, Buffers::Pair(pair)) => {
                Request::compare(pair.destination.bus_range(), pair.source.bus_range())
            }
            (_, Buffers::Pair(pair)) => Request::copy(pair.destination.bus_range(), pair.source.bus_range()),
            (_, Buffers::Lists(lists)) => {
                from.clear();
                to.clear();
                from.extend(lists.source.iter().map(|part| part.bus_range()));
                to.extend(lists.destination.iter().map(|part| part.bus_range()));
                Request::chain(to, from)
            }
            (Kind::Fill(pattern), Buffers::One(buffer)) => Request::fill(buffer.bus_range(), pattern),
            (_, Buffers::One(_) | Buffers::None) => Request::null(),
        };
        let limit = job.limit;
        if let Some(limit) = limit {
            let nanoseconds = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
            request = request.until(Instant(now().0.saturating_add(nanoseconds)));
        }
        let held = Held {
            owner,
            kind: job.kind,
            len: job.len(),
            buffers: job.buffers,
        };
        self.ring.submit(request, tag, held).map_err(|refusal| Refused {
            reason: refusal.why.into(),
            given: Job {
                kind: refusal.held.kind,
                buffers: refusal.held.buffers,
                limit,
            },
        })
    }

    // ---- cancelling ----

    /// Cancels the operations with this tag.
    pub(crate) fn cancel_tag(&mut self, level: AtMostDispatch<'_>, tag: u64) -> usize {
        let wanted = |other, held: &Held| other == tag && matches!(held.owner, Owner::Tag(_));
        self.ring.cancel_where(level, wanted)
    }

    /// The operations with tags that are not over, from the oldest on: their numbers and their tags.
    pub(crate) fn tagged_operations(&mut self, level: AtMostDispatch<'_>) -> Vec<(u64, u64)> {
        let mut pending = Vec::new();
        // Nothing is cancelled by this; it is how the ring shows what it holds.
        self.ring.cancel_where(level, |tag, held| {
            if let Owner::Tag(number) = held.owner {
                pending.push((number, tag));
            }
            false
        });
        pending
    }

    /// Cancels these of them, all in one go.
    pub(crate) fn cancel_chosen(&mut self, level: AtMostDispatch<'_>, chosen: &[(u64, u64)]) -> usize {
        self.ring.cancel_where(level, |_, held| match held.owner {
            Owner::Tag(number) => chosen
                .binary_search_by_key(&number, |&(number, _)| number)
                .is_ok(),
            Owner::Mail(_) => false,
        })
    }

    /// Cancels the operations with these boxes, all in one go.
    pub(crate) fn cancel_keys(&mut self, level: AtMostDispatch<'_>, keys: &[Key]) {
        let keys: HashSet<_> = keys.iter().collect();
        self.ring.cancel_where(level, |_, held| match &held.owner {
            Owner::Mail(key) => keys.contains(key),
            Owner::Tag(_) => false,
        });
    }

    // ---- holding ----

    /// Lets the engine go on if its user has held it.
    pub(crate) fn let_go(&mut self, level: AtMostDispatch<'_>) {
        if self.ring.is_suspended() {
            let _ = self.ring.resume(level);
        }
    }

    // ---- finding outcomes ----

    /// Hands outcomes out to whoever polls. Bounded work.
    #[inline]
    pub(crate) fn poll(&mut self, level: AtMostDispatch<'_>, out: &mut [Completion]) -> usize {
        let mut count = 0;
        while count < out.len()
            && let Some(completion) = self.tagged.pop_front()
        {
            out[count] = completion;
            count += 1;
        }
        while count < out.len() {
            let wanted = CHUNK.min(out.len() - count);
            let found = self.ring.poll(level, &mut self.room[..wanted]);
            for at in 0..found {
                if let Some(completion) = self.route(at) {
                    out[count] = completion;
                    count += 1;
                }
            }
            if found < wanted {
                break;
            }
        }
        self.tags -= count;
        count
    }

    /// Finds some outcomes, and keeps those with tags until somebody polls. Returns how many.
    pub(crate) fn collect(&mut self, level: AtMostDispatch<'_>) -> usize {
        let found = self.ring.poll(level, &mut self.room);
        for at in 0..found {
            if let Some(completion) = self.route(at) {
                self.tagged.push_back(completion);
            }
        }
        found
    }

    /// Puts an outcome that was found into its box, or returns it for whoever polls.
    #[inline]
    fn route(&mut self, at: usize) -> Option<Completion> {
        let done = std::mem::take(&mut self.room[at]);
        let held = done.held?;
        let outcome = Outcome::of(held.kind, held.len, done.outcome);
        let buffers = held.buffers;
        match held.owner {
            Owner::Tag(_) => Some(Completion {
                tag: done.tag,
                outcome,
                buffers,
            }),
            Owner::Mail(key) => {
                self.mailed |= self.mail.deliver(key, Letter { outcome, buffers });
                None
            }
        }
    }

    // ---- what is known ----

    /// Whether something came since the last time for which a task may wait.
    #[inline]
    pub(crate) fn take_mailed(&mut self) -> bool {
        std::mem::take(&mut self.mailed)
    }

    /// Whether outcomes wait for whoever polls.
    pub(crate) fn has_tagged(&self) -> bool {
        !self.tagged.is_empty()
    }

    /// How many operations with tags are not over, as far as is known.
    pub(crate) fn pending_tags(&self) -> usize {
        self.tags - self.tagged.len()
    }

    /// Whether the user holds the engine.
    pub(crate) fn is_held(&self) -> bool {
        self.ring.is_suspended()
    }

    /// Whether a look has something to find or to do without any news of the engine.
    pub(crate) fn is_busy(&self) -> bool {
        self.ring.has_work() || (!E::RUNS_BY_ITSELF && !self.is_held() && self.ring.is_engine_busy())
    }
}
