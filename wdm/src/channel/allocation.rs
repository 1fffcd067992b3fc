//! Asking for a channel.

use crate::adapter::Adapter;
use crate::channel::grants::Grant;
use crate::registers::{MapRegisters, RegisterBase, Run, Waiting};
use crate::state::{self, Answer, Input, Refusal};
use crate::status::{AllocationFlags, IoAllocationAction};
use crate::system::board::{Board, Holder, Waiter};
use crate::transfer::TransferContext;
use crate::transfer::mapping::{DeviceObject, Refused, called};
use crate::verifier::{self, Code};
use alloc::boxed::Box;
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use core::fmt;
use longshore_core::event::Rule;
use longshore_core::machine::Machine;
use longshore_core::{Dispatch, NtStatus};

/// So many may wait for one channel.
const MOST_WAITERS: usize = 1024;

/// What was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The device the request was for.
    pub device_object: DeviceObject,
    /// The map registers. None where the device reaches everything, or none were asked for: a NULL base, and nothing
    /// to be freed (WDM-132).
    pub registers: Option<RegisterBase>,
}

/// What runs when a channel is granted. It says what is to be done with the channel then.
#[doc(alias = "DRIVER_CONTROL")]
pub type AdapterControl<M> = Box<dyn FnOnce(&Dispatch, &Adapter<M>, Granted) -> IoAllocationAction + Send>;

/// A request for a channel.
pub struct Allocation<M: Machine> {
    /// The device it is for. The completion routine gets it back.
    pub device_object: DeviceObject,
    /// How many map registers its transfers need: not more than the adapter has ([`Adapter::map_registers`]).
    pub registers: u32,
    /// Whether the request may wait.
    pub flags: AllocationFlags,
    /// What runs when the channel is granted. A request that may wait must have one.
    pub routine: Option<AdapterControl<M>>,
}

impl<M: Machine> fmt::Debug for Allocation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Allocation({:?}, {:?})", self.device_object, self.flags)
    }
}

/// Why a channel was not allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateError {
    /// A flag has no documented meaning.
    UnknownFlags,
    /// A request that may wait needs a routine (WDM-123).
    NoRoutine,
    /// The adapter never has so many map registers (WDM-122).
    TooManyRegisters,
    /// The context, or the channel, is not free for it.
    Refused(Refusal),
}

impl AllocateError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::UnknownFlags | Self::NoRoutine => NtStatus::INVALID_PARAMETER,
            Self::TooManyRegisters => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Refused(refusal) => refusal.status(),
        }
    }
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFlags => f.write_str("a flag has no documented meaning"),
            Self::NoRoutine => f.write_str("a request that may wait needs a routine"),
            Self::TooManyRegisters => f.write_str("the adapter never has so many map registers"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl core::error::Error for AllocateError {}

/// A request that was refused, handed back, and why.
#[derive(Debug)]
pub struct AllocationRefused<M: Machine> {
    /// Why.
    pub why: AllocateError,
    /// The request.
    pub request: Allocation<M>,
}

impl<M: Machine> Refused for AllocationRefused<M> {
    fn status(&self) -> NtStatus {
        self.why.status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        match self.why {
            AllocateError::UnknownFlags => None,
            AllocateError::NoRoutine => Some(Rule("WDM-123")),
            AllocateError::TooManyRegisters => Some(Rule("WDM-122")),
            AllocateError::Refused(refusal) => refusal.broken_rule(),
        }
    }

    fn code(&self, call: &'static str) -> Option<Code> {
        verifier::of_allocation(self.why, call)
    }
}

impl<M: Machine> Adapter<M> {
    /// Asks for the channel, and for map registers. A synchronous request is granted now or refused; it gets the base
    /// of its registers back. Any other one is granted when its turn comes, perhaps before this returns: nothing of the
    /// request is touched afterwards (R6).
    #[doc(alias = "AllocateAdapterChannelEx")]
    pub fn allocate_channel(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        request: Allocation<M>,
    ) -> Result<Option<RegisterBase>, AllocationRefused<M>> {
        called(self.machine(), "AllocateAdapterChannelEx", || {
            self.allocate(dispatch, context, request)
        })
    }

    pub(crate) fn allocate(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        request: Allocation<M>,
    ) -> Result<Option<RegisterBase>, AllocationRefused<M>> {
        let refuse = |why, request| Err(AllocationRefused { why, request });
        if !request.flags.are_known() {
            return refuse(AllocateError::UnknownFlags, request);
        }
        if request.registers > self.map_registers() {
            return refuse(AllocateError::TooManyRegisters, request);
        }
        if request.flags.is_synchronous() {
            return self.allocate_now(dispatch, context, request);
        }
        if request.routine.is_none() {
            return refuse(AllocateError::NoRoutine, request);
        }
        self.allocate_in_turn(dispatch, context, request).map(|()| None)
    }

    /// From which pool so many map registers come; none if the device reaches everything, or none are wanted.
    fn pool_for(&self, registers: u32) -> Option<&MapRegisters<M>> {
        self.bounces_through().filter(|_| registers > 0)
    }

    fn allocate_now(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        request: Allocation<M>,
    ) -> Result<Option<RegisterBase>, AllocationRefused<M>> {
        let device_object = request.device_object;
        let mut holder = Holder::node(context.record(), self.record().number, device_object);
        let granted = self
            .system()
            .with(|board| self.grant_now(board, context, &request, &mut holder));
        match granted {
            Ok((grant, _loose)) => {
                if let Some(routine) = request.routine {
                    self.run_control(dispatch, grant, device_object, routine);
                    self.serve(dispatch);
                }
                Ok(grant.registers)
            }
            Err(refusal) => Err(AllocationRefused {
                why: AllocateError::Refused(refusal),
                request,
            }),
        }
    }

    /// Gives the channel and registers away if both are free. Under the lock.
    fn grant_now(
        &self,
        board: &mut Board<M>,
        context: &TransferContext,
        request: &Allocation<M>,
        holder: &mut LinkedList<Holder<M>>,
    ) -> Result<(Grant, LinkedList<Holder<M>>), Refusal> {
        let channel = board.channel(self.channel_number()).ok_or(Refusal::Busy)?;
        let state = self.stored_state(context.record());
        // Registers are taken for a request that will have them, so that none are given back where nobody is served.
        let accepted = !matches!(state::next(state, Input::AllocateNow).1, Answer::Refuse(_));
        let count = request.registers;
        let pool = self.pool_for(count).filter(|_| accepted && channel.is_free());
        let run = pool.map(|pool| pool.take(count).ok_or(()));
        let input = if channel.is_free() && !matches!(run, Some(Err(()))) {
            Input::AllocateNow
        } else {
            Input::AllocateBusy
        };
        self.step(context, input)?;
        let loose = self.take_loose(board, context.record(), state);
        let run = run.and_then(Result::ok);
        let registers = run.as_ref().map(Run::base);
        let channel = board.channel(self.channel_number()).ok_or(Refusal::Busy)?;
        let number = channel.grant(holder, run);
        channel.controls += u32::from(request.routine.is_some());
        Ok((Grant { number, registers }, loose))
    }

    fn allocate_in_turn(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        request: Allocation<M>,
    ) -> Result<(), AllocationRefused<M>> {
        let Allocation {
            device_object,
            registers,
            flags,
            routine,
        } = request;
        let mut waiter = LinkedList::new();
        if let Some(routine) = routine {
            waiter.push_back(self.waiter(context, device_object, registers, routine));
        }
        let queued = self.system().with(|board| {
            let channel = board.channel(self.channel_number()).ok_or(Refusal::Busy)?;
            let input = if channel.waiters.len() < MOST_WAITERS {
                Input::Allocate
            } else {
                Input::AllocateBusy
            };
            let state = self.stored_state(context.record());
            self.step(context, input)?;
            let loose = self.take_loose(board, context.record(), state);
            if let Some(channel) = board.channel(self.channel_number()) {
                channel.waiters.append(&mut waiter);
            }
            Ok(loose)
        });
        if let Err(refusal) = queued {
            return Err(AllocationRefused {
                why: AllocateError::Refused(refusal),
                request: Allocation {
                    device_object,
                    registers,
                    flags,
                    routine: waiter.pop_front().map(|waiter| waiter.routine),
                },
            });
        }
        self.serve(dispatch);
        Ok(())
    }

    /// A waiter, with everything that it will need: nothing is allocated when its turn comes.
    fn waiter(
        &self,
        context: &TransferContext,
        device_object: DeviceObject,
        registers: u32,
        routine: AdapterControl<M>,
    ) -> Waiter<M> {
        let mut place = LinkedList::new();
        if self.pool_for(registers).is_some() {
            place.push_back(Waiting {
                adapter: self.clone(),
                grant: 0,
                count: registers,
            });
        }
        Waiter {
            context: Arc::clone(context.record()),
            adapter: self.clone(),
            device_object,
            routine,
            registers,
            holder: Holder::node(context.record(), self.record().number, device_object),
            place,
        }
    }

    /// Takes a context through the table. Under the lock.
    pub(crate) fn step(&self, context: &TransferContext, input: Input) -> Result<Answer, Refusal> {
        let record = context.record();
        let core = &self.system().hardware().core;
        match core.consult(self.stored_state(record), input) {
            (_, Answer::Refuse(refusal)) => Err(refusal),
            (state, answer) => {
                record.set_state(state);
                Ok(answer)
            }
        }
    }
}
