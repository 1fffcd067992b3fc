//! Who holds a channel, and who waits for it.

use crate::adapter::Adapter;
use crate::board::{Channel, Waiter};
use crate::mapping::{DeviceObject, Refused, called};
use crate::state::{Answer, Input, Refusal};
use crate::status::{AllocationFlags, IoAllocationAction};
use crate::transfer::TransferContext;
use alloc::boxed::Box;
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use core::fmt;
use longshore_core::event::{Event, Rule};
use longshore_core::machine::Machine;
use longshore_core::{AtMostDispatch, Dispatch, NtStatus};

/// What runs when a channel is granted. It says what is to be done with the channel then.
#[doc(alias = "DRIVER_CONTROL")]
pub type AdapterControl<M> =
    Box<dyn FnOnce(&Dispatch, &Adapter<M>, DeviceObject) -> IoAllocationAction + Send>;

/// A request for a channel.
pub struct Allocation<M: Machine> {
    /// The device it is for. The completion routine gets it back.
    pub device_object: DeviceObject,
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
    /// The context, or the channel, is not free for it.
    Refused(Refusal),
}

impl AllocateError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::UnknownFlags | Self::NoRoutine => NtStatus::INVALID_PARAMETER,
            Self::Refused(refusal) => refusal.status(),
        }
    }
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFlags => f.write_str("a flag has no documented meaning"),
            Self::NoRoutine => f.write_str("a request that may wait needs a routine"),
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
            AllocateError::Refused(refusal) => refusal.broken_rule(),
        }
    }
}

impl<M: Machine> Adapter<M> {
    /// Asks for the channel. A synchronous request is granted now or refused. Any other one is granted when its turn
    /// comes, perhaps before this returns: nothing of the request is touched afterwards (R6).
    #[doc(alias = "AllocateAdapterChannelEx")]
    pub fn allocate_channel(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        request: Allocation<M>,
    ) -> Result<(), AllocationRefused<M>> {
        called(self.machine(), "AllocateAdapterChannelEx", || {
            let refuse = |why, request| Err(AllocationRefused { why, request });
            if !request.flags.are_known() {
                return refuse(AllocateError::UnknownFlags, request);
            }
            if request.flags.is_synchronous() {
                return self.allocate_now(dispatch, context, request);
            }
            match request.routine {
                Some(routine) => self.allocate_in_turn(dispatch, context, request.device_object, routine),
                None => refuse(AllocateError::NoRoutine, request),
            }
        })
    }

    fn allocate_now(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        request: Allocation<M>,
    ) -> Result<(), AllocationRefused<M>> {
        let device_object = request.device_object;
        let granted = self.system().with(|board| {
            let Some(channel) = board.channel(self.channel_number()) else {
                return Err(Refusal::Busy);
            };
            let input = if channel.is_free() {
                Input::AllocateNow
            } else {
                Input::AllocateBusy
            };
            self.step(context, input)?;
            Ok(channel.grant(Arc::clone(context.record()), self.record().number, device_object))
        });
        match granted {
            Ok(grant) => {
                if let Some(routine) = request.routine {
                    self.run_control(dispatch, grant, device_object, routine);
                    self.serve(dispatch);
                }
                Ok(())
            }
            Err(refusal) => Err(AllocationRefused {
                why: AllocateError::Refused(refusal),
                request,
            }),
        }
    }

    fn allocate_in_turn(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        device_object: DeviceObject,
        routine: AdapterControl<M>,
    ) -> Result<(), AllocationRefused<M>> {
        let mut waiter = LinkedList::new();
        waiter.push_back(Waiter {
            context: Arc::clone(context.record()),
            adapter: self.clone(),
            device_object,
            routine,
        });
        let queued = self.system().with(|board| {
            let Some(channel) = board.channel(self.channel_number()) else {
                return Err(Refusal::Busy);
            };
            self.step(context, Input::Allocate)?;
            channel.waiters.append(&mut waiter);
            Ok(())
        });
        match (queued, waiter.pop_front()) {
            (Err(refusal), Some(waiter)) => Err(AllocationRefused {
                why: AllocateError::Refused(refusal),
                request: Allocation {
                    device_object,
                    flags: AllocationFlags::ASYNCHRONOUS,
                    routine: Some(waiter.routine),
                },
            }),
            _ => {
                self.serve(dispatch);
                Ok(())
            }
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

    /// Serves whoever waits, until the channel is taken. One server at a time: who frees the channel from inside an
    /// AdapterControl, or meanwhile elsewhere, leaves the next waiter to the server, so grants never nest (R11).
    fn serve(&self, dispatch: &Dispatch) {
        let mut first = true;
        loop {
            let next = self
                .system()
                .with(|board| board.channel(self.channel_number())?.next_grant(self, first));
            first = false;
            let Some((grant, mut waiters)) = next else { return };
            if let Some(waiter) = waiters.pop_front() {
                waiter
                    .adapter
                    .run_control(dispatch, grant, waiter.device_object, waiter.routine);
            }
        }
    }

    fn run_control(
        &self,
        dispatch: &Dispatch,
        grant: u64,
        device_object: DeviceObject,
        routine: AdapterControl<M>,
    ) {
        self.machine().emit(Event::Callback("AdapterControl", 0));
        let action = routine(dispatch, self, device_object);
        match action {
            IoAllocationAction::KEEP_OBJECT => {}
            IoAllocationAction::DEALLOCATE_OBJECT | IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS => {
                self.release_grant(grant)
            }
            // what may be in use is not freed.
            _ => self.machine().emit(Event::Misuse(
                "AdapterControl",
                Rule("A-33"),
                NtStatus::INVALID_PARAMETER,
            )),
        }
    }

    /// Frees the channel if it is still held by this very grant.
    fn release_grant(&self, grant: u64) {
        let freed = self.system().with(|board| {
            let core = &self.system().hardware().core;
            let channel = board.channel(self.channel_number())?;
            let holder = channel.holder.as_ref().filter(|holder| holder.grant == grant)?;
            match core.consult(holder.context.state(), Input::Free) {
                (_, Answer::Refuse(refusal)) => Some(Err(refusal)),
                (state, _) => {
                    holder.context.set_state(state);
                    Some(Ok(channel.holder.take()))
                }
            }
        });
        if let Some(Err(refusal)) = freed
            && let Some(rule) = refusal.broken_rule()
        {
            self.machine()
                .emit(Event::Misuse("AdapterControl", rule, refusal.status()));
        }
    }

    /// Takes a waiting request back. True: it was waiting, or had not been made yet, and will never be granted.
    /// False: it is too late.
    #[doc(alias = "CancelAdapterChannel")]
    pub fn cancel_adapter_channel<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        context: &TransferContext,
        device_object: DeviceObject,
    ) -> bool {
        let _ = level.into();
        called(self.machine(), "CancelAdapterChannel", || {
            self.system().with(|board| {
                let Some(channel) = board.channel(self.channel_number()) else {
                    return Err(Refusal::TooLate);
                };
                let mine = |waiter: &Waiter<M>| Arc::ptr_eq(&waiter.context, context.record());
                let other_device = channel
                    .waiters
                    .iter()
                    .any(|waiter| mine(waiter) && waiter.device_object != device_object);
                if other_device {
                    // WDM-142: the arguments repeat those of the request.
                    return Err(Refusal::NotUnique);
                }
                self.step(context, Input::CancelAllocation)?;
                // Handed out, so that the routine is dropped outside of the lock.
                Ok(channel.take_waiter(mine))
            })
        })
        .is_ok()
    }

    /// Frees the channel, and serves whoever waits for it.
    #[doc(alias = "FreeAdapterChannel")]
    pub fn free_channel(&self, dispatch: &Dispatch, context: &TransferContext) -> Result<(), Refusal> {
        called(self.machine(), "FreeAdapterChannel", || {
            self.free(dispatch, context)
        })
    }

    /// Frees what the action says: nothing with KeepObject, else the channel.
    #[doc(alias = "FreeAdapterObject")]
    pub fn free_object(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        action: IoAllocationAction,
    ) -> Result<(), Refusal> {
        called(self.machine(), "FreeAdapterObject", || match action {
            IoAllocationAction::DEALLOCATE_OBJECT | IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS => {
                self.free(dispatch, context)
            }
            _ => self.system().with(|_| self.step(context, Input::Keep).map(drop)),
        })
    }

    fn free(&self, dispatch: &Dispatch, context: &TransferContext) -> Result<(), Refusal> {
        let holder = self.system().with(|board| {
            self.step(context, Input::Free)?;
            let channel = board.channel(self.channel_number());
            Ok(channel.and_then(|channel| channel.holder.take()))
        })?;
        drop(holder);
        self.serve(dispatch);
        Ok(())
    }
}

impl<M: Machine> Channel<M> {
    /// The next waiter, now the holder; or nothing, and nobody serves any more.
    fn next_grant(&mut self, asker: &Adapter<M>, first: bool) -> Option<(u64, LinkedList<Waiter<M>>)> {
        if first && self.serving {
            return None;
        }
        let waiters = match self.holder {
            None => self.take_waiter(|_| true),
            Some(_) => LinkedList::new(),
        };
        self.serving = !waiters.is_empty();
        let waiter = waiters.front()?;
        let core = &asker.system().hardware().core;
        let (state, _) = core.consult(waiter.context.state(), Input::Grant);
        waiter.context.set_state(state);
        let number = waiter.adapter.record().number;
        let grant = self.grant(Arc::clone(&waiter.context), number, waiter.device_object);
        Some((grant, waiters))
    }
}
