//! A channel as a client holds it.
//!
//! There are two locks. The *submission* lock serialises the calls to the provider and is taken by callers only.
//! The *ring* lock is inside of it; it is taken by the provider's deferred call too, and nobody is called under
//! it. So a provider may call back while it is being called, on this CPU or another, and always gets through.

use crate::interface::Interface;
use crate::layout::Layout;
use crate::operation::{Completion, NoOutcome, OpenError, OperationHandle, Refused};
use crate::provider::{
    Attributes, ChannelParameters, Characteristics, Handlers, Provider, ProviderChannel, Unsuccessful,
};
use crate::ring::{Request, Ring, Taken};
use crate::submission::Submission;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use longshore_core::completion::Outcome;
use longshore_core::machine::{Lock, Signal, Waited};
use longshore_core::{AtMostDispatch, Dispatch, Event, Irql, Machine, NtStatus, Owner, Passive, Rule};
use longshore_hardware::netdma::{DESCRIPTOR_ALIGNMENT, DESCRIPTOR_SIZE};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};

/// The completion word has a cache line of its own (NETDMA-044).
const LINE: u64 = 64;

/// How long a wait sleeps between two looks at an operation that raises no interrupt.
const LOOK: Duration = Duration::from_micros(50);

/// How often an engine that has its power back is looked at before it counts as dead.
const LOOKS: u32 = 100_000;

/// A channel of a NetDMA provider, with a ring of descriptors.
///
/// Dropping it aborts what is pending. Where the engine does not answer, the channel's memory stays with it.
pub struct Channel<M: Machine> {
    interface: Arc<Interface<M>>,
    submission: M::Lock<Submission<M>>,
    /// The ring and the word. `None` once they are given back, or left to the engine.
    memory: Option<[Lease<M::Memory>; 2]>,
    characteristics: Characteristics,
    attributes: Attributes,
}

impl<M: Machine> Channel<M> {
    /// Opens a channel with a ring of this many descriptors, of which one is always kept back.
    pub fn open(
        passive: &Passive,
        machine: &M,
        provider: &dyn Provider,
        entries: u32,
    ) -> Result<Self, OpenError> {
        let (characteristics, attributes) = (provider.characteristics(), provider.attributes());
        if entries < 2 {
            return Err(OpenError::TooFewEntries);
        }
        if attributes.maximum_transfer_size < Attributes::LEAST_TRANSFER {
            return Err(OpenError::BadProvider);
        }
        let memory = machine.memory();
        let lease = |len, align| Lease::new(memory.clone(), len, align).map_err(OpenError::Memory);
        let ring_lease = lease(u64::from(entries) * DESCRIPTOR_SIZE, DESCRIPTOR_ALIGNMENT)?;
        let word_lease = lease(LINE, LINE)?;
        // Zeroed before the provider hears of it (AMB-22).
        memory
            .store_u64(word_lease.address(), 0)
            .map_err(OpenError::Memory)?;
        machine.emit(Event::Handover(
            word_lease.range(),
            Owner::Both,
            Rule("NETDMA-081"),
        ));

        let layout = Layout::new(ring_lease.range());
        let counted = characteristics.version.counted();
        let ring = machine.lock("NetDMA ring", Irql::DISPATCH, Ring::new(machine, layout, counted));
        let signals = (0..entries).map(|_| machine.signal(passive, "NetDMA operation"));
        let interface = Arc::new(Interface::new(
            machine,
            word_lease.address(),
            ring,
            signals.collect(),
        ));
        let channel = allocate(passive, machine, provider, &interface).inspect_err(|_| {
            let word = word_lease.range();
            machine.emit(Event::Handover(word, Owner::Cpu, Rule("NETDMA-081")));
        })?;
        let submission = Submission::new(interface.clone(), channel, layout, counted);
        Ok(Self {
            interface,
            submission: machine.lock("NetDMA submission", Irql::DISPATCH, submission),
            memory: Some([ring_lease, word_lease]),
            characteristics,
            attributes,
        })
    }

    /// What the provider says about itself.
    pub fn characteristics(&self) -> Characteristics {
        self.characteristics
    }

    /// Copies `len` bytes, and says so as `completion` asks. From here until the outcome both buffers belong to
    /// the engine.
    ///
    /// For a copy that did not complete, the outcome's residue is its whole length: an upper bound, since an engine
    /// does not tell which bytes it moved before it stopped. The destination may hold any part of them.
    pub fn copy(
        &self,
        level: AtMostDispatch<'_>,
        destination: BusAddress,
        source: BusAddress,
        len: u64,
        completion: Completion,
    ) -> Result<OperationHandle, Refused> {
        let request = self
            .check(destination, source, len)
            .inspect_err(|refused| self.misused("copy", refused.status()))?;
        self.interface.drain();
        let submitted = self
            .submission
            .with(|submission| submission.copy(level, request, completion));
        // The engine may have been done before the operation was known to be accepted.
        self.interface.drain();
        submitted
    }

    fn check(&self, destination: BusAddress, source: BusAddress, len: u64) -> Result<Request, Refused> {
        if len == 0 {
            return Err(Refused::Empty);
        }
        if len > u64::from(self.attributes.maximum_transfer_size) {
            return Err(Refused::TooLong);
        }
        let range = |start| BusRange::new(start, len).ok_or(Refused::OutOfRange);
        Ok(Request {
            destination: range(destination)?,
            source: range(source)?,
        })
    }

    fn misused(&self, name: &'static str, status: NtStatus) {
        let event = Event::Misuse(name, Rule("NETDMA-055"), status);
        self.interface.machine.emit(event);
    }

    /// Looks at the completion word and ends what is done. Returns how many operations ended.
    pub fn poll(&self, _: AtMostDispatch<'_>) -> u64 {
        self.interface.drain()
    }

    /// Ends everything that is pending: what the engine has done is completed, the rest is cancelled. If the
    /// provider does not succeed nothing ends, and the memory stays with the engine.
    ///
    /// A copy that was cut in the middle is cancelled with its whole length as the residue: which of its bytes were
    /// moved is not known.
    ///
    /// Where the provider has no abort, its reset serves (AMB-12).
    pub fn abort(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let handlers = self.characteristics.handlers;
        if handlers.contains(Handlers::ABORT) {
            self.stop(|submission| {
                submission.still_open()?;
                submission.stop("ProviderAbortDma", |channel| channel.abort(level))
            })
        } else {
            self.reset(level)
        }
    }

    /// As `abort`, and the channel is as if just allocated.
    pub fn reset(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        if !self.characteristics.handlers.contains(Handlers::RESET) {
            return Err(Unsuccessful);
        }
        self.stop(|submission| {
            submission.still_open()?;
            submission.stop("ProviderResetChannel", |channel| channel.reset(level))
        })
    }

    /// The last stop of a channel: whichever handler there is.
    fn cut(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let has = |handler| self.characteristics.handlers.contains(handler);
        let abort =
            || self.stop(|submission| submission.stop("ProviderAbortDma", |channel| channel.abort(level)));
        let reset = || {
            self.stop(|submission| submission.stop("ProviderResetChannel", |channel| channel.reset(level)))
        };
        if has(Handlers::ABORT) && abort().is_ok() {
            return Ok(());
        }
        if has(Handlers::RESET) {
            reset()
        } else {
            Err(Unsuccessful)
        }
    }

    fn stop(
        &self,
        stop: impl FnOnce(&mut Submission<M>) -> Result<crate::ring::Settled, Unsuccessful>,
    ) -> Result<(), Unsuccessful> {
        let settled = self.submission.with(stop)?;
        self.interface.announce(settled);
        Ok(())
    }

    /// How many operations have no outcome yet.
    pub fn pending(&self) -> u64 {
        self.interface.ring(|ring| ring.pending())
    }

    /// Delivers the outcome of an operation, once. `None` if it has none yet or it was taken before.
    ///
    /// The residue is nothing or the whole copy; see [`Channel::copy`].
    pub fn take(&self, handle: OperationHandle) -> Option<Outcome> {
        match self.interface.ring(|ring| ring.take(handle)) {
            Taken::Outcome(outcome) => Some(outcome),
            Taken::Pending | Taken::Unknown => None,
        }
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
        let machine = &self.interface.machine;
        let signal = self.interface.signal(handle.slot).ok_or(NoOutcome::Unknown)?;
        let end = machine
            .now()
            .0
            .saturating_add(limit.as_nanos().min(u128::from(u64::MAX)) as u64);
        loop {
            // Cleared before the look: an operation that ends behind the look signals anew.
            signal.clear();
            self.interface.drain();
            match self.interface.ring(|ring| ring.take(handle)) {
                Taken::Outcome(outcome) => return Ok(outcome),
                Taken::Unknown => return Err(NoOutcome::Unknown),
                Taken::Pending => {}
            }
            let left = Duration::from_nanos(end.saturating_sub(machine.now().0));
            if left.is_zero() {
                return Err(NoOutcome::TimedOut);
            }
            let nap = if handle.interrupts { left } else { left.min(LOOK) };
            if signal.wait_for(passive, nap) == Waited::Abandoned {
                return Err(NoOutcome::Abandoned);
            }
        }
    }

    /// From here on copies are refused, until the channel is started again.
    pub(crate) fn pause(&self) {
        self.submission
            .with(|submission| submission.refuse(Refused::Paused));
    }

    /// Waits until nothing is pending. False if the time was up first.
    pub(crate) fn drain(&self, passive: &Passive, limit: Duration) -> bool {
        let machine = &self.interface.machine;
        let end = machine.now().0.saturating_add(limit.as_nanos() as u64);
        let nap = machine.signal(passive, "NetDMA drain");
        loop {
            self.interface.drain();
            if self.pending() == 0 {
                return true;
            }
            let left = Duration::from_nanos(end.saturating_sub(machine.now().0));
            if left.is_zero() || nap.wait_for(passive, left.min(LOOK)) == Waited::Abandoned {
                return false;
            }
        }
    }

    /// Ends what was pending when the engine lost its power, starts it with a NULL transfer and takes work again.
    pub(crate) fn restart_after_power(&self, level: AtMostDispatch<'_>) -> Result<(), Refused> {
        let settled = self
            .interface
            .ring(|ring| ring.stopped(self.interface.load_word()));
        self.interface.announce(settled);
        let nothing = BusRange::new(self.interface.word, 0).ok_or(Refused::OutOfRange)?;
        let request = Request {
            destination: nothing,
            source: nothing,
        };
        let handle = self.submission.with(|submission| {
            if !submission.accept_again() {
                return Err(Refused::Closed);
            }
            submission.copy(level, request, Completion::STATUS)
        })?;
        for _ in 0..LOOKS {
            self.interface.drain();
            if self.take(handle).is_some() {
                return Ok(());
            }
            self.interface.machine.relax();
        }
        Err(Refused::Start(crate::provider::StartError::Unsuccessful))
    }

    /// Aborts what is pending and closes the channel, once. False if the engine did not answer: then everything it
    /// may still write to is left to it for good.
    pub(crate) fn close(&self, level: AtMostDispatch<'_>) -> bool {
        if !self
            .submission
            .with(|submission| submission.refuse(Refused::Closed))
        {
            return true;
        }
        if self.pending() > 0 && self.cut(level).is_err() {
            return false;
        }
        let machine = &self.interface.machine;
        let channel = self.submission.with(|submission| submission.channel());
        machine.emit(Event::Call("ProviderFreeDmaChannel"));
        channel.free(level);
        machine.emit(Event::Return("ProviderFreeDmaChannel", NtStatus::SUCCESS));
        if let Some([_, word]) = &self.memory {
            machine.emit(Event::Handover(word.range(), Owner::Cpu, Rule("NETDMA-081")));
        }
        true
    }

    fn close_at_any_level(&self) -> bool {
        let machine = &self.interface.machine;
        if let Some(passive) = Passive::now(machine) {
            return self.close((&passive).into());
        }
        Dispatch::now(machine).is_some_and(|dispatch| self.close((&dispatch).into()))
    }
}

fn allocate<M: Machine>(
    passive: &Passive,
    machine: &M,
    provider: &dyn Provider,
    interface: &Arc<Interface<M>>,
) -> Result<Arc<dyn ProviderChannel>, OpenError> {
    let cpus = u32::MAX.unbounded_shr(32u32.saturating_sub(machine.cpus()));
    let parameters = ChannelParameters::new(interface.word, cpus);
    machine.emit(Event::Call("ProviderAllocateDmaChannel"));
    let allocated = provider.allocate_channel(passive.into(), parameters, interface.clone());
    let status = match &allocated {
        Ok(_) => NtStatus::SUCCESS,
        Err(error) => error.status(),
    };
    machine.emit(Event::Return("ProviderAllocateDmaChannel", status));
    let allocated = allocated.map_err(OpenError::Allocate)?;
    interface.set_cpu(allocated.cpu);
    Ok(allocated.channel)
}

impl<M: Machine> Drop for Channel<M> {
    fn drop(&mut self) {
        let quiet = self.close_at_any_level() && self.pending() == 0;
        if quiet {
            self.interface.ring(|ring| ring.abandon());
        }
        let memory = self.memory.take();
        if !quiet {
            core::mem::forget(memory);
        }
    }
}

impl<M: Machine> fmt::Debug for Channel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({:?})", self.characteristics)
    }
}
