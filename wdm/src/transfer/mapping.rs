//! One mapping: what a successful map promised, with its own completion cell.
//!
//! A mapping outlives its flush and the freeing of its channel for as long as its callback is owed (A-12), and it
//! can never report on a newer one, which has a record and a cell of its own.

use crate::adapter::Adapter;
use crate::status::DmaCompletionStatus;
use crate::transfer::plan::Bounced;
use crate::verifier::{self, Code};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use longshore_core::completion::{CancelAnswer, Cell, Outcome, Owed, Seen, Ticket, Witness};
use longshore_core::event::{Event, Owner, Rule};
use longshore_core::machine::{Machine, Promise};
use longshore_core::{Dispatch, NtStatus};
use longshore_hardware::BusRange;

/// The device a transfer is for: whatever pointer the allocation was given (A-18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct DeviceObject(pub usize);

/// What a driver gave to a map for its completion routine, handed back bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct CompletionContext(pub usize);

/// What is called when a transfer has ended. It returns nothing (SEED-001-6), and it runs at DISPATCH: a routine
/// that answers, or that wants PASSIVE, does not compile.
///
/// ```compile_fail
/// use longshore_core::{Dispatch, Machine};
/// use longshore_wdm::{Adapter, CompletionContext, CompletionRoutine, DeviceObject, DmaCompletionStatus};
/// fn routine<M: Machine>() -> CompletionRoutine<M> {
///     std::sync::Arc::new(
///         |_: &Dispatch, _: &Adapter<M>, _: DeviceObject, _: CompletionContext, status: DmaCompletionStatus| status,
///     )
/// }
/// ```
///
/// ```
/// use longshore_core::{Dispatch, Machine};
/// use longshore_wdm::{Adapter, CompletionContext, CompletionRoutine, DeviceObject, DmaCompletionStatus};
/// fn routine<M: Machine>() -> CompletionRoutine<M> {
///     std::sync::Arc::new(
///         |_: &Dispatch, _: &Adapter<M>, _: DeviceObject, _: CompletionContext, _: DmaCompletionStatus| {},
///     )
/// }
/// ```
///
/// Nor can it call what is for PASSIVE, such as making an adapter, with the token it has:
///
/// ```compile_fail
/// use longshore_core::{Dispatch, Machine};
/// use longshore_wdm::{Adapter, CompletionContext, CompletionRoutine, DeviceObject, DmaCompletionStatus};
/// fn routine<M: Machine>() -> CompletionRoutine<M> {
///     std::sync::Arc::new(
///         |level: &Dispatch, adapter: &Adapter<M>, _: DeviceObject, _: CompletionContext, _: DmaCompletionStatus| {
///             adapter.wait_for_callbacks(level); // for PASSIVE
///         },
///     )
/// }
/// ```
///
/// ```
/// use longshore_core::{Dispatch, Machine};
/// use longshore_wdm::{Adapter, CompletionContext, CompletionRoutine, DeviceObject, DmaCompletionStatus};
/// fn routine<M: Machine>() -> CompletionRoutine<M> {
///     std::sync::Arc::new(
///         |level: &Dispatch, adapter: &Adapter<M>, _: DeviceObject, _: CompletionContext, _: DmaCompletionStatus| {
///             adapter.read_counter(level); // for DISPATCH, too
///         },
///     )
/// }
/// ```
///
/// A closure that has brought a PASSIVE token along is no completion routine either:
///
/// ```compile_fail
/// use longshore_core::{Dispatch, Machine, Passive};
/// use longshore_wdm::{Adapter, CompletionContext, CompletionRoutine, DeviceObject, DmaCompletionStatus};
/// fn routine<M: Machine>(passive: Passive) -> CompletionRoutine<M> {
///     std::sync::Arc::new(
///         move |_: &Dispatch, adapter: &Adapter<M>, _: DeviceObject, _: CompletionContext, _: DmaCompletionStatus| {
///             adapter.wait_for_callbacks(&passive);
///         },
///     )
/// }
/// ```
///
/// One that asks the machine for the token compiles, is refused, and is told as misuse: [`Passive::now`] says so.
///
/// [`Passive::now`]: longshore_core::Passive::now
#[doc(alias = "DMA_COMPLETION_ROUTINE")]
pub type CompletionRoutine<M> =
    Arc<dyn Fn(&Dispatch, &Adapter<M>, DeviceObject, CompletionContext, DmaCompletionStatus) + Send + Sync>;

/// A number that two pieces of memory have in common only if they are the same bytes in the same order, but for bad
/// luck: a flush that repeats its map is told from one that does not, and nothing depends on it.
pub(crate) fn digest(pieces: impl Iterator<Item = BusRange>) -> u64 {
    let mut last: Option<BusRange> = None;
    let mut sum = 0u64;
    let mut take = |range: BusRange| {
        for word in [range.start().raw(), range.len()] {
            sum = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
    };
    for piece in pieces {
        // However the same bytes are cut, they are the same.
        let joined = last
            .filter(|last| last.end() == piece.start())
            .and_then(|last| BusRange::new(last.start(), last.len() + piece.len()));
        if joined.is_none() {
            last.into_iter().for_each(&mut take);
        }
        last = joined.or(Some(piece));
    }
    last.into_iter().for_each(&mut take);
    sum
}

/// What a map promised.
pub(crate) struct Mapping<M: Machine> {
    pub(crate) adapter: Adapter<M>,
    pub(crate) device_object: DeviceObject,
    pub(crate) routine: Option<CompletionRoutine<M>>,
    pub(crate) context: CompletionContext,
    /// What the device was told.
    pub(crate) fragments: Vec<BusRange>,
    /// What is to be copied back, or was copied there.
    pub(crate) bounced: Vec<Bounced>,
    /// The [`digest`] of the piece of the buffer.
    pub(crate) digest: u64,
    pub(crate) offset: u64,
    pub(crate) mapped: u32,
    pub(crate) write_to_device: bool,
    pub(crate) looped: bool,
    pub(crate) handover: Rule,
    pub(crate) number: u32,
    pub(crate) cell: Cell,
    pub(crate) ticket: Ticket,
}

impl<M: Machine> Mapping<M> {
    pub(crate) fn promise<'a>(&self, machine: &'a M) -> Promise<'a, M> {
        Promise {
            machine,
            number: self.number,
        }
    }

    /// Says that the transfer is now owed an outcome. The cell began before anybody could see the mapping; this
    /// comes when its hardware has started, so that a refused map is never accepted.
    pub(crate) fn accept(&self, machine: &M) {
        self.promise(machine).accepted(self.ticket);
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self.cell.look(self.ticket) {
            Seen::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.cell.look(self.ticket), Seen::Running { .. })
    }

    pub(crate) fn cancel_requested(&self) -> bool {
        matches!(
            self.cell.look(self.ticket),
            Seen::Running {
                cancel_requested: true
            }
        )
    }

    pub(crate) fn request_cancel(&self) -> CancelAnswer {
        self.cell.request_cancel(self.ticket)
    }

    /// How many bytes a flush of so many is to copy back. Where the count is not to be relied upon, the caller's word
    /// counts alone. A loop may have written any of them; what it did not write is what the buffer held (WDM-359).
    pub(crate) fn came_back(&self, length: u32) -> u64 {
        let left = match self.outcome() {
            Some(outcome) if self.adapter.counts() && !self.looped => outcome.residue,
            _ => 0,
        };
        let moved = u64::from(self.mapped).saturating_sub(left);
        moved.min(u64::from(length))
    }

    /// Passes the bytes that the device is told of on. Those that are bounced stay the CPU's.
    pub(crate) fn hand_over(&self, machine: &M, owner: Owner) {
        for &range in &self.fragments {
            machine.emit(Event::Handover(range, owner, self.handover));
        }
    }

    fn call(&self, dispatch: &Dispatch, machine: &M, status: DmaCompletionStatus) {
        let Some(routine) = &self.routine else { return };
        machine.emit(Event::Callback("DmaCompletionRoutine", u64::from(status.0)));
        routine(dispatch, &self.adapter, self.device_object, self.context, status);
    }

    /// Tells of so many periods of a loop (WDM-020).
    pub(crate) fn tell_periods(&self, dispatch: &Dispatch, machine: &M, periods: u32) {
        for _ in 0..periods {
            self.call(dispatch, machine, DmaCompletionStatus::COMPLETE);
        }
    }

    /// Tells how the transfer ended. Who owns the right to, owns it once.
    pub(crate) fn tell_outcome(&self, dispatch: &Dispatch, machine: &M, owed: Owed) {
        // Also if the routine unwinds: who waits for it waits no longer.
        let _paid = Paid(&self.adapter.record().owed);
        if let Some(delivery) = self.cell.redeem(owed, &self.promise(machine)) {
            let outcome = delivery.deliver();
            self.call(dispatch, machine, outcome.verdict.into());
        }
    }
}

/// A callback that was owed, until it has run.
struct Paid<'a>(&'a AtomicU32);

impl Drop for Paid<'_> {
    fn drop(&mut self) {
        // Release: who sees that nothing is owed also sees what the routine did.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A mapping on its way through the hardware to its callback.
///
/// It lives in a list of one node that is made before the lock is taken, and moves from list to list without
/// allocating.
pub(crate) struct Job<M: Machine> {
    pub(crate) mapping: Arc<Mapping<M>>,
    pub(crate) owed: Option<Owed>,
    /// Periods that are over and not told yet.
    pub(crate) periods: u32,
    /// The least that was ever seen left: a controller may forget its count when it is stopped (RL-21).
    pub(crate) left: u32,
}

/// Runs a call of the contract, and says that it began, how the caller broke the contract, and how it returned.
pub(crate) fn called<M: Machine, T, E: Refused>(
    machine: &M,
    name: &'static str,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    machine.emit(Event::Call(name));
    let result = call();
    let status = match &result {
        Ok(_) => NtStatus::SUCCESS,
        Err(error) => error.status(),
    };
    if let Err(error) = &result {
        report(machine, name, error);
    }
    machine.emit(Event::Return(name, status));
    result
}

/// Says how the caller broke the contract, if that is why it was refused.
pub(crate) fn report<M: Machine>(machine: &M, call: &'static str, error: &impl Refused) {
    let Some(rule) = error.broken_rule() else { return };
    machine.emit(Event::Misuse(call, rule, error.status()));
    if let Some(code) = error.code(call) {
        stopped(machine, call, code, rule);
    }
}

/// Says what Windows' own verifier would have stopped for.
pub(crate) fn stopped<M: Machine>(machine: &M, call: &'static str, code: Code, rule: Rule) {
    let code = code.0;
    machine.emit(Event::VerifierStop { call, code, rule });
}

/// Why a call was refused, in the words of the contract.
pub trait Refused {
    /// The status the contract has for it.
    fn status(&self) -> NtStatus;

    /// The rule that the caller broke, if it broke one. The machine has heard of it.
    fn broken_rule(&self) -> Option<Rule>;

    /// What Windows' own verifier calls it, if the caller broke a rule in this call.
    fn code(&self, call: &'static str) -> Option<Code> {
        let _ = call;
        None
    }
}

impl Refused for crate::state::Refusal {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        (*self).broken_rule()
    }

    fn code(&self, call: &'static str) -> Option<Code> {
        verifier::of_refusal(*self, call)
    }
}
