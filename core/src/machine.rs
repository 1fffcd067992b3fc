//! The computer, as a trait.
//!
//! Contract code sees levels, deferred calls, interrupts, timers, waits, locks and time only through [`Machine`].
//! There are two: threads on a real Linux machine, and the dry dock, where every call is a point at which
//! anything else may happen next and a seed decides what does.
//!
//! Objects are made at PASSIVE, where a machine may allocate. Triggering them never allocates.

use crate::completion::{Outcome, Ticket, Witness};
use crate::event::{Event, Operation};
use crate::irql::{Device, Dispatch, Irql, Passive};
use core::time::Duration;
use longshore_hardware::{DmaMemory, Interrupt};

/// The number of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cpu(pub u32);

/// A moment, counted in nanoseconds from when the machine was switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Waited {
    /// The event was signalled.
    Signalled,
    /// The time was up first.
    TimedOut,
    /// The machine is being switched off: nothing will come any more.
    Abandoned,
}

/// A routine that runs later, at DISPATCH, on one CPU. Dropping it forgets a queued call and returns once it no
/// longer runs.
pub trait Deferred: Send + Sync {
    /// Queues the routine on the CPU it was made for. False if it is queued already.
    fn queue(&self) -> bool;

    /// Queues the routine on another CPU. False if it is queued already.
    fn queue_on(&self, cpu: Cpu) -> bool;
}

/// A routine that runs at DISPATCH when a delay is over. Dropping it forgets it and returns once it no longer runs.
pub trait Timer: Send + Sync {
    /// Arms the timer, or arms it anew.
    fn set(&self, delay: Duration);

    /// Disarms the timer. False if it was not armed, which may mean that its routine runs just now.
    fn cancel(&self) -> bool;
}

/// Something a thread can wait for. It stays signalled until it is cleared.
pub trait Signal: Send + Sync {
    /// Signals the event and wakes all who wait. May be called at or below DISPATCH.
    fn set(&self);

    /// Takes the signal back.
    fn clear(&self);

    /// Waits until the event is signalled.
    fn wait(&self, passive: &Passive) -> Waited;

    /// Waits until the event is signalled or the time is up.
    fn wait_for(&self, passive: &Passive, limit: Duration) -> Waited;
}

/// Data that one CPU at a time may touch. Taking the lock raises to its level and spins by [`Machine::relax`].
pub trait Lock<T>: Send + Sync {
    /// Runs `section` with the data, alone.
    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R;

    /// Runs `section` with the data, alone, unless somebody has it just now. Never waits.
    fn try_with<R>(&self, section: impl FnOnce(&mut T) -> R) -> Option<R>;
}

/// A computer.
///
/// Raising the level never keeps another CPU out: that is what [`Machine::Lock`] is for.
pub trait Machine: Clone + Send + Sync + 'static {
    /// Its memory.
    type Memory: DmaMemory + Clone + 'static;
    /// An interrupt line.
    type Line: Interrupt + Clone + 'static;
    /// A deferred call.
    type Deferred: Deferred;
    /// A timer.
    type Timer: Timer;
    /// An event to wait for.
    type Signal: Signal;
    /// A lock.
    type Lock<T: Send + 'static>: Lock<T>;
    /// A connected interrupt handler. Dropping it disconnects, and returns once the handler no longer runs.
    type Connection: Send + Sync;

    /// The level the caller runs at.
    fn level(&self) -> Irql;

    /// The CPU the caller runs on.
    fn cpu(&self) -> Cpu;

    /// How many CPUs there are.
    fn cpus(&self) -> u32;

    /// The time.
    fn now(&self) -> Instant;

    /// Runs `section` at DISPATCH.
    fn raise<R>(&self, passive: &mut Passive, section: impl FnOnce(&Dispatch) -> R) -> R;

    /// Sets the level the caller runs at, and returns the one before. For the edge to a language without tokens,
    /// which answers for them: by the time anybody asks for a token again, the level must be what it was.
    fn set_level(&self, level: Irql) -> Irql;

    /// A point at which something else may come next.
    fn point(&self);

    /// One step of a bounded poll: lets others go first.
    fn relax(&self);

    /// Memory as software reaches it.
    fn memory(&self) -> Self::Memory;

    /// The same memory as a device or engine reaches it.
    fn device_memory(&self) -> Self::Memory;

    /// Makes a deferred call for `cpu`.
    fn deferred(
        &self,
        passive: &Passive,
        name: &'static str,
        cpu: Cpu,
        routine: impl Fn(&Dispatch) + Send + Sync + 'static,
    ) -> Self::Deferred;

    /// Makes a timer.
    fn timer(
        &self,
        passive: &Passive,
        name: &'static str,
        routine: impl Fn(&Dispatch) + Send + Sync + 'static,
    ) -> Self::Timer;

    /// Makes an interrupt line that interrupts `cpu` at the lowest device level.
    fn line(&self, passive: &Passive, name: &'static str, cpu: Cpu) -> Self::Line {
        self.line_at(passive, name, cpu, Irql::DEVICE)
    }

    /// Makes an interrupt line that interrupts `cpu` at `level`, which is a device's. It comes in between whatever
    /// runs there at a lower one, other handlers too.
    fn line_at(&self, passive: &Passive, name: &'static str, cpu: Cpu, level: Irql) -> Self::Line;

    /// Connects a handler to a line. It says whether the interrupt was its own.
    fn connect(
        &self,
        passive: &Passive,
        line: &Self::Line,
        handler: impl Fn(&Device) -> bool + Send + Sync + 'static,
    ) -> Self::Connection;

    /// Makes an event to wait for, not signalled.
    fn signal(&self, passive: &Passive, name: &'static str) -> Self::Signal;

    /// Makes a lock of this level.
    fn lock<T: Send + 'static>(&self, name: &'static str, level: Irql, value: T) -> Self::Lock<T>;

    /// The next serial number, so that events can name objects without naming addresses.
    fn number(&self) -> u32;

    /// Says what happened.
    fn emit(&self, event: Event);
}

/// One completion cell's voice on a machine: what happens to the cell becomes events.
#[derive(Clone, Copy, Debug)]
pub struct Promise<'a, M> {
    /// The machine that hears it.
    pub machine: &'a M,
    /// The cell's serial number.
    pub number: u32,
}

impl<M: Machine> Promise<'_, M> {
    fn operation(&self, ticket: Ticket) -> Operation {
        Operation {
            promise: self.number,
            generation: ticket.generation(),
        }
    }
}

impl<M: Machine> Witness for Promise<'_, M> {
    fn accepted(&self, ticket: Ticket) {
        self.machine.emit(Event::Accepted(self.operation(ticket)));
    }

    fn ended(&self, ticket: Ticket, outcome: Outcome) {
        self.machine.emit(Event::Ended(self.operation(ticket), outcome));
    }

    fn delivered(&self, ticket: Ticket, outcome: Outcome) {
        self.machine
            .emit(Event::Delivered(self.operation(ticket), outcome));
    }

    fn undelivered(&self, ticket: Ticket, outcome: Outcome) {
        self.machine
            .emit(Event::Undelivered(self.operation(ticket), outcome));
    }
}
