//! A ring of descriptors that belongs to one user.
//!
//! Exclusiveness makes it free of locks: a provider's interrupt routines do not reach it, and the completion word alone
//! says what is done. Submitting only queues; the [doorbell](Ring::doorbell) gives what is queued to the engine, and
//! [poll](Ring::poll) hands out the outcomes. From opening to closing nothing is allocated.
//!
//! Operations are executed in the order in which they were submitted, and their outcomes come in this order too, except
//! that one which is cancelled may be reported before earlier ones that still run.
//!
//! Places of descriptors are counted from zero and never wrap:
//!
//! ```text
//!  tail ............ done ............ given ............ head
//!       not handed out    in the engine      queued
//! ```

mod cancel;
mod doorbell;
mod memory;
mod options;
mod piece;
mod poll;
mod request;
mod settle;
mod slots;
mod split;
mod stops;
mod submit;
mod work;

pub use options::{Limits, RingOptions};
pub use poll::Done;
pub use request::{Request, RequestFlags};
pub(crate) use slots::Standing;

use crate::operation::{OpenError, Refusal, Ticket};
use crate::port::Port;
use crate::provider::{AllocateError, ChannelInterface, ChannelParameters};
use alloc::sync::Arc;
use core::fmt;
use longshore_core::machine::{Cpu, Instant};
use longshore_core::{AtMostDispatch, Event, Machine, NtStatus, Passive};
use longshore_hardware::netdma::CompletionWord;
use memory::RingMemory;
use slots::Slots;

/// The least that a provider moves with one descriptor (NETDMA-022).
const LEAST_TRANSFER: u32 = 4096;

/// A ring of descriptors on a channel, for one user.
///
/// `H` is what the user gives with an operation, such as its buffers; it comes back with the outcome, or with the
/// refusal.
///
/// Dropping a ring aborts what is pending. Where the engine does not answer, its memory stays with it, and so does what
/// was given with the operations.
pub struct Ring<M: Machine, P: Port, H = ()> {
    machine: M,
    port: P,
    cpu: Cpu,
    limits: Limits,
    memory: RingMemory<M>,
    slots: Slots<H>,
    /// The first place that is not handed out.
    tail: u64,
    /// The place behind the last one that is known to be done.
    done: u64,
    /// The place behind the last one that the engine was given.
    given: u64,
    /// The next place to use.
    head: u64,
    /// The operation behind the last one that the doorbell was rung for.
    rung: u64,
    /// The place behind that operation.
    rung_end: u64,
    /// The channel was started and did not stop since.
    running: bool,
    /// The engine is held between two descriptors, as the user asked.
    suspended: bool,
    /// The channel is given back, or left to an engine that does not answer.
    closed: bool,
    pending_limit: u32,
    /// No operation has an earlier deadline.
    deadline: Option<Instant>,
    /// The last word that named no descriptor of the ring.
    nonsense: CompletionWord,
}

impl<M: Machine, P: Port, H> Ring<M, P, H> {
    /// Opens a ring. `allocate` makes the channel beneath it, with the interface that its interrupt routines are to
    /// call; they reach nothing of the ring.
    pub fn open(
        passive: &Passive,
        machine: &M,
        limits: Limits,
        options: RingOptions,
        interface: Arc<dyn ChannelInterface>,
        allocate: impl FnOnce(
            AtMostDispatch<'_>,
            ChannelParameters,
            Arc<dyn ChannelInterface>,
        ) -> Result<(P, Cpu), AllocateError>,
    ) -> Result<Self, OpenError> {
        if options.entries < 2 {
            return Err(OpenError::TooFewEntries);
        }
        if limits.maximum_transfer_size < LEAST_TRANSFER {
            return Err(OpenError::BadProvider);
        }
        let counted = limits.version.counted();
        let mut memory = RingMemory::new(
            machine,
            options.entries,
            limits.maximum_address,
            counted,
            options.interrupts,
        )
        .map_err(OpenError::Memory)?;
        let slots = Slots::new(machine, options.entries);
        let cpus = options.cpus & u32::MAX.unbounded_shr(32u32.saturating_sub(machine.cpus()));
        let parameters = ChannelParameters {
            priority: options.priority,
            ..ChannelParameters::new(memory.word(), cpus)
        };
        machine.emit(Event::Call("ProviderAllocateDmaChannel"));
        let allocated = allocate(passive.into(), parameters, interface);
        let status = match &allocated {
            Ok(_) => NtStatus::SUCCESS,
            Err(error) => error.status(),
        };
        machine.emit(Event::Return("ProviderAllocateDmaChannel", status));
        let (port, cpu) = allocated.map_err(|error| {
            memory.release();
            OpenError::Allocate(error)
        })?;
        Ok(Self {
            machine: machine.clone(),
            port,
            cpu,
            limits,
            memory,
            slots,
            tail: 0,
            done: 0,
            given: 0,
            head: 0,
            rung: 0,
            rung_end: 0,
            running: false,
            suspended: false,
            closed: false,
            pending_limit: options.pending_limit,
            deadline: None,
            nonsense: CompletionWord::from_raw(0),
        })
    }

    /// What the channel can do.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The CPU that the channel's deferred call runs on.
    pub fn cpu(&self) -> Cpu {
        self.cpu
    }

    /// The channel beneath.
    pub fn port(&self) -> &P {
        &self.port
    }

    /// How many descriptors can be under way at once.
    pub fn capacity(&self) -> u32 {
        // Made of a number of this width.
        (self.memory.layout.entries() - 1) as u32
    }

    /// How many operations may be without an outcome at once.
    #[doc(alias = "NetDmaGetMaxPendingDescriptors")]
    pub fn pending_limit(&self) -> u32 {
        self.pending_limit
    }

    /// Changes how many operations may be without an outcome at once. Those that are stay.
    #[doc(alias = "NetDmaSetMaxPendingDescriptors")]
    pub fn set_pending_limit(&mut self, limit: u32) {
        self.pending_limit = limit;
    }

    /// How many operations have no outcome yet.
    pub fn pending(&self) -> u32 {
        self.slots.pending
    }

    /// Whether the user holds the engine, and it has not stopped since.
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// How many of them the engine has.
    pub fn in_flight(&self) -> u32 {
        let given = |number: &u64| self.is_in_engine(*number) && self.slots.get(*number).is_pending();
        (self.slots.oldest..self.slots.newest).filter(given).count() as u32
    }

    /// How many of them the engine does not have: they wait for the doorbell, for the CPU, or for their turn behind
    /// what the CPU does.
    pub fn queued(&self) -> u32 {
        self.pending() - self.in_flight()
    }

    /// Whether an operation is over, as far as the last look at the completion word tells. One whose outcome was handed
    /// out is over.
    #[doc(alias = "NetDmaIsDmaCopyComplete")]
    pub fn is_complete(&self, ticket: Ticket) -> bool {
        self.slots
            .number_of(ticket)
            .is_none_or(|number| self.is_done(number))
    }

    /// Whether nothing is pending, and the engine is known to have nothing to do. It may have something although
    /// nothing is pending: what became of operations that were cancelled.
    pub fn is_quiet(&self) -> bool {
        self.slots.pending == 0 && !(self.running && self.done < self.given)
    }

    /// Whether the engine has descriptors of a pending operation.
    fn is_in_engine(&self, number: u64) -> bool {
        let slot = self.slots.get(number);
        self.running && slot.first < self.given && !self.is_done(number)
    }

    /// Whether the engine is known to have done all of an operation.
    fn is_done(&self, number: u64) -> bool {
        let slot = self.slots.get(number);
        slot.work.is_none() && slot.end <= self.done
    }
}

impl<M: Machine, P: Port, H> fmt::Debug for Ring<M, P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} of {} pending)", self.pending(), self.capacity())
    }
}
