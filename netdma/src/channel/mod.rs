//! A channel that several may use at once.

mod life;
mod shared;

use crate::operation::{Completion, NoOutcome, OpenError, OperationHandle, Refused};
use crate::provider::{Characteristics, Provider, Unsuccessful};
use crate::ring::{Limits, Request, RequestFlags, Ring, RingOptions, Standing};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use longshore_core::completion::Outcome;
use longshore_core::machine::{Instant, Signal, Waited};
use longshore_core::{AtMostDispatch, Event, Machine, Passive, Rule};
use longshore_hardware::{BusAddress, BusRange};
use shared::{Shared, SharedRing};

/// How long a wait sleeps between two looks at an operation that raises no interrupt.
const LOOK: Duration = Duration::from_micros(50);

/// A channel of a NetDMA provider: a [`Ring`] behind one lock, for any thread and any deferred call.
///
/// Dropping it aborts what is pending. Where the engine does not answer, the channel's memory stays with it.
pub struct Channel<M: Machine> {
    shared: Arc<Shared<M>>,
    characteristics: Characteristics,
    paused: AtomicBool,
}

impl<M: Machine> Channel<M> {
    /// Opens a channel with a ring of this many descriptors, of which one is always kept back.
    pub fn open(
        passive: &Passive,
        machine: &M,
        provider: &dyn Provider,
        entries: u32,
    ) -> Result<Self, OpenError> {
        let options = RingOptions {
            entries,
            ..RingOptions::default()
        };
        Self::open_with(passive, machine, provider, options)
    }

    /// Opens a channel with these options.
    pub fn open_with(
        passive: &Passive,
        machine: &M,
        provider: &dyn Provider,
        options: RingOptions,
    ) -> Result<Self, OpenError> {
        let characteristics = provider.characteristics();
        let shared = Arc::new(Shared::new(passive, machine, options.entries));
        let limits = Limits::new(&characteristics, &provider.attributes());
        let interface = shared.clone();
        let ring = Ring::open(
            passive,
            machine,
            limits,
            options,
            interface,
            |level, parameters, interface| {
                let allocated = provider.allocate_channel(level, parameters, interface)?;
                Ok((allocated.channel, allocated.cpu))
            },
        )?;
        shared.set(ring);
        Ok(Self {
            shared,
            characteristics,
            paused: AtomicBool::new(false),
        })
    }

    /// What the provider says about itself.
    pub fn characteristics(&self) -> &Characteristics {
        &self.characteristics
    }

    // ---- submitting ----

    /// Copies `len` bytes, and says so as `completion` asks. From here until the outcome both buffers belong to
    /// the engine. What was queued before goes with it.
    ///
    /// The residue of a copy that did not complete is an upper bound, since an engine does not tell which bytes of a
    /// descriptor it moved before it stopped. The destination may hold any part of them.
    pub fn copy(
        &self,
        level: AtMostDispatch<'_>,
        destination: BusAddress,
        source: BusAddress,
        len: u64,
        completion: Completion,
    ) -> Result<OperationHandle, Refused> {
        let range = |start| {
            BusRange::new(start, len).ok_or_else(|| {
                let status = Refused::OutOfRange.status();
                let event = Event::Misuse("copy", Rule("NETDMA-055"), status);
                self.shared.machine.emit(event);
                Refused::OutOfRange
            })
        };
        let request = Request::copy(range(destination)?, range(source)?);
        self.submit(level, request, completion)
    }

    /// Copies between lists of buffers; see [`Request::chain`].
    pub fn copy_chain(
        &self,
        level: AtMostDispatch<'_>,
        destination: &[BusRange],
        source: &[BusRange],
        completion: Completion,
    ) -> Result<OperationHandle, Refused> {
        self.submit(level, Request::chain(destination, source), completion)
    }

    /// Moves nothing, and is done when everything before it is.
    #[doc(alias = "NetDmaNullTransfer")]
    pub fn null_transfer(
        &self,
        level: AtMostDispatch<'_>,
        completion: Completion,
    ) -> Result<OperationHandle, Refused> {
        self.submit(level, Request::null(), completion)
    }

    /// Gives an operation to the engine, and what was queued before.
    pub fn submit(
        &self,
        level: AtMostDispatch<'_>,
        request: Request<'_>,
        completion: Completion,
    ) -> Result<OperationHandle, Refused> {
        self.shared.look(level);
        let submitted = self.accept(level, request, completion, |ring, ticket| {
            ring.doorbell(level).inspect_err(|_| ring.retract(ticket))
        });
        // The engine may have been done before the operation was known to be accepted.
        self.shared.look(level);
        submitted
    }

    /// Queues an operation. The engine hears of it with the next [`flush`](Channel::flush).
    pub fn queue(
        &self,
        level: AtMostDispatch<'_>,
        request: Request<'_>,
        completion: Completion,
    ) -> Result<OperationHandle, Refused> {
        self.accept(level, request, completion, |_, _| Ok(()))
    }

    /// Gives all that is queued to the engine, at once. On failure it stays queued.
    #[doc(alias = "NetDmaFlushPendingDescriptors")]
    pub fn flush(&self, level: AtMostDispatch<'_>) -> Result<(), Refused> {
        let flushed = self.shared.with(level, |ring| ring.doorbell(level));
        self.shared.look(level);
        flushed.unwrap_or(Err(Refused::Closed))
    }

    fn accept(
        &self,
        level: AtMostDispatch<'_>,
        request: Request<'_>,
        completion: Completion,
        then: impl FnOnce(&mut SharedRing<M>, crate::Ticket) -> Result<(), Refused>,
    ) -> Result<OperationHandle, Refused> {
        let request = with_completion(request, completion);
        let accepted = self.shared.with(level, |ring| {
            // Within the lock: whoever pauses and then looks sees everything that was accepted before.
            if self.paused.load(Ordering::Acquire) {
                return Err(if ring.is_closed() {
                    Refused::Closed
                } else {
                    Refused::Paused
                });
            }
            let ticket = ring.submit(request, 0, ()).map_err(|refusal| refusal.why)?;
            then(ring, ticket).map(|()| ticket)
        });
        Ok(OperationHandle {
            ticket: accepted.unwrap_or(Err(Refused::Closed))?,
            interrupts: request.interrupts(),
        })
    }

    /// How many operations may be pending at once.
    #[doc(alias = "NetDmaGetMaxPendingDescriptors")]
    pub fn pending_limit(&self) -> u32 {
        self.shared.peek(|ring| ring.pending_limit()).unwrap_or(0)
    }

    /// Changes how many operations may be pending at once.
    #[doc(alias = "NetDmaSetMaxPendingDescriptors")]
    pub fn set_pending_limit(&self, limit: u32) {
        self.shared.peek(|ring| ring.set_pending_limit(limit));
    }

    // ---- ending ----

    /// Looks at the completion word and ends what is done. Returns how many operations ended.
    pub fn poll(&self, level: AtMostDispatch<'_>) -> u64 {
        self.shared.look(level)
    }

    /// Cancels an operation. False if it is over already; see [`Ring::cancel`].
    pub fn cancel(&self, level: AtMostDispatch<'_>, handle: OperationHandle) -> bool {
        let cancelled = self.shared.with(level, |ring| ring.cancel(level, handle.ticket));
        self.shared.look(level);
        cancelled.unwrap_or(false)
    }

    /// Ends everything that is pending; see [`Ring::abort`].
    pub fn abort(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let aborted = self.shared.with(level, |ring| ring.abort(level));
        self.shared.look(level);
        aborted.unwrap_or(Err(Unsuccessful))
    }

    /// As `abort`, and the channel is as if just allocated.
    pub fn reset(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let reset = self.shared.with(level, |ring| ring.reset(level));
        self.shared.look(level);
        reset.unwrap_or(Err(Unsuccessful))
    }

    /// How many operations have no outcome yet.
    pub fn pending(&self) -> u64 {
        self.shared.peek(|ring| ring.pending()).unwrap_or(0).into()
    }

    /// Whether an operation is over.
    #[doc(alias = "NetDmaIsDmaCopyComplete")]
    pub fn is_complete(&self, level: AtMostDispatch<'_>, handle: OperationHandle) -> bool {
        self.shared.look(level);
        self.standing(handle) != Standing::Pending
    }

    fn standing(&self, handle: OperationHandle) -> Standing {
        self.shared
            .peek(|ring| ring.standing(handle.ticket))
            .unwrap_or(Standing::Unknown)
    }

    /// Delivers the outcome of an operation, once. `None` if it has none yet or it was taken before.
    pub fn take(&self, handle: OperationHandle) -> Option<Outcome> {
        let taken = self.shared.peek(|ring| match ring.standing(handle.ticket) {
            Standing::Over => ring.deliver(handle.ticket.slot).map(|done| done.outcome),
            Standing::Pending | Standing::Unknown => None,
        });
        taken.flatten()
    }

    /// Waits for an outcome and delivers it.
    ///
    /// An operation that raises no interrupt is looked at again and again. One that raises an interrupt is looked
    /// at once more when the time is up, in case the interrupt was lost.
    pub fn wait(
        &self,
        passive: &Passive,
        handle: OperationHandle,
        limit: Duration,
    ) -> Result<Outcome, NoOutcome> {
        let signal = self.shared.signal(handle.ticket.slot).ok_or(NoOutcome::Unknown)?;
        let end = deadline(&self.shared.machine, limit);
        loop {
            // Cleared before the look: an operation that ends behind the look signals anew.
            signal.clear();
            self.shared.look(passive.into());
            if let Some(outcome) = self.take(handle) {
                return Ok(outcome);
            }
            if self.standing(handle) == Standing::Unknown {
                return Err(NoOutcome::Unknown);
            }
            let left = self.left(end).ok_or(NoOutcome::TimedOut)?;
            if self.works() {
                continue;
            }
            // What waits behind the CPU's work, or has a deadline, needs somebody who looks.
            let sleeps = handle.interrupts && !self.needs_looks();
            let nap = if sleeps { left } else { left.min(LOOK) };
            if signal.wait_for(passive, nap) == Waited::Abandoned {
                return Err(NoOutcome::Abandoned);
            }
        }
    }

    fn needs_looks(&self) -> bool {
        self.shared.peek(|ring| ring.needs_looks()).unwrap_or(false)
    }
}

fn with_completion(request: Request<'_>, completion: Completion) -> Request<'_> {
    if completion.contains(Completion::INTERRUPT) {
        request.and(RequestFlags::INTERRUPT)
    } else {
        request
    }
}

/// When a wait of this length is over.
fn deadline(machine: &impl Machine, limit: Duration) -> Instant {
    let nanos = limit.as_nanos().min(u128::from(u64::MAX)) as u64;
    Instant(machine.now().0.saturating_add(nanos))
}

impl<M: Machine> fmt::Debug for Channel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({:?})", self.characteristics)
    }
}
