//! Who is granted a channel, and who waits for it.

use crate::adapter::Adapter;
use crate::channel::allocation::{AdapterControl, Granted};
use crate::registers::{RegisterBase, Run, Waiting};
use crate::state::{Input, Refusal};
use crate::status::IoAllocationAction;
use crate::system::board::{Board, Channel, Holder, Waiter, take};
use crate::system::hardware::Core;
use crate::transfer::TransferContext;
use crate::transfer::mapping::{DeviceObject, called};
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use longshore_core::event::{Event, Rule};
use longshore_core::machine::{Lock, Machine};
use longshore_core::{AtMostDispatch, Dispatch, NtStatus};

/// That a channel was granted: which grant it is, and with which map registers.
#[derive(Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) number: u64,
    pub(crate) registers: Option<RegisterBase>,
}

/// What a cancel takes off the board, to be dropped outside of the lock: a routine, adapters.
struct Cancelled<M: Machine> {
    _waiter: LinkedList<Waiter<M>>,
    _holder: LinkedList<Holder<M>>,
    _place: LinkedList<Waiting<M>>,
}

impl<M: Machine> Adapter<M> {
    /// Serves whoever waits for the channel, and for map registers.
    pub(crate) fn serve(&self, dispatch: &Dispatch) {
        self.system()
            .hardware()
            .core
            .serve(dispatch, self.channel_number());
    }

    /// Leaves whoever waits to the channel's deferred call. Under the lock.
    fn serve_later(&self, board: &mut Board<M>) {
        let number = self.channel_number();
        if let Some(channel) = board.channel(number) {
            channel.to_serve = true;
            self.system().hardware().queue(number);
        }
    }

    /// The same where a routine of the driver's unwound, and nobody goes on.
    pub(crate) fn serve_unwound(&self) {
        self.system().with(|board| self.serve_later(board));
    }

    /// Tells a driver what it was granted, and does what it answers. Under no lock. The grant has counted the routine
    /// among those that run; whoever calls this serves those who wait afterwards.
    pub(crate) fn run_control(
        &self,
        dispatch: &Dispatch,
        grant: Grant,
        device_object: DeviceObject,
        routine: AdapterControl<M>,
    ) {
        let mut control = Control {
            adapter: self,
            returned: false,
        };
        self.machine().emit(Event::Callback("AdapterControl", 0));
        let granted = Granted {
            device_object,
            registers: grant.registers,
        };
        let action = routine(dispatch, self, granted);
        match action {
            IoAllocationAction::KEEP_OBJECT => {}
            IoAllocationAction::DEALLOCATE_OBJECT | IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS => {
                self.release_grant(grant.number, action);
            }
            // what may be in use is not freed.
            _ => self.machine().emit(Event::Misuse(
                "AdapterControl",
                Rule("A-33"),
                NtStatus::INVALID_PARAMETER,
            )),
        }
        control.returned = true;
    }

    /// The registers came for which the holder of the channel waited; unless it was cancelled meanwhile, and then they
    /// are free again.
    pub(crate) fn registers_came(&self, dispatch: &Dispatch, number: u64, run: Run<M>) {
        let registers = Some(run.base());
        let mut run = Some(run);
        let mut waiters = self.system().with(|board| {
            let core = &self.system().hardware().core;
            let channel = board.channel(self.channel_number());
            let Some(channel) = channel.filter(|channel| !channel.without_registers.is_empty()) else {
                return LinkedList::new();
            };
            let Some(holder) = channel.holder.front_mut().filter(|holder| holder.grant == number) else {
                return LinkedList::new();
            };
            holder.run = run.take();
            let (state, _) = core.consult(holder.context.state(), Input::Grant);
            holder.context.set_state(state);
            channel.controls += 1;
            take(&mut channel.without_registers, |_| true)
        });
        drop(run);
        if let Some(waiter) = waiters.pop_front() {
            let grant = Grant { number, registers };
            waiter
                .adapter
                .run_control(dispatch, grant, waiter.device_object, waiter.routine);
            self.serve(dispatch);
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
            if context.record().is_older() {
                return Err(Refusal::OtherKind);
            }
            self.system()
                .with(|board| self.cancel_waiting(board, context, device_object))
        })
        .is_ok()
    }

    fn cancel_waiting(
        &self,
        board: &mut Board<M>,
        context: &TransferContext,
        device_object: DeviceObject,
    ) -> Result<Cancelled<M>, Refusal> {
        let number = self.channel_number();
        let channel = board.channel(number).ok_or(Refusal::TooLate)?;
        let mine = |waiter: &Waiter<M>| Arc::ptr_eq(&waiter.context, context.record());
        let other_device = |waiter: &Waiter<M>| mine(waiter) && waiter.device_object != device_object;
        let mut waiters = channel.waiters.iter().chain(&channel.without_registers);
        if waiters.any(other_device) {
            // WDM-142: the arguments repeat those of the request.
            return Err(Refusal::NotUnique);
        }
        self.step(context, Input::CancelAllocation)?;
        let waiting = take(&mut channel.without_registers, mine);
        if waiting.is_empty() {
            return Ok(Cancelled {
                _waiter: channel.take_waiter(mine),
                _holder: LinkedList::new(),
                _place: LinkedList::new(),
            });
        }
        // It held the channel already. Whoever is next is granted it at DISPATCH.
        let holder = channel.take_holder(context.record());
        let grant = holder.front().map_or(0, |holder| holder.grant);
        let place = match self.bounces_through() {
            Some(pool) => pool.stop_waiting(self, grant),
            None => LinkedList::new(),
        };
        self.serve_later(board);
        Ok(Cancelled {
            _waiter: waiting,
            _holder: holder,
            _place: place,
        })
    }
}

impl<M: Machine> Core<M> {
    /// Serves whoever waits for the channel until it is taken, and then whoever waits for map registers. Who frees the
    /// channel from inside an AdapterControl, or meanwhile elsewhere, leaves them all to whoever runs it and serves
    /// afterwards, so grants never nest (R11).
    pub(crate) fn serve(&self, dispatch: &Dispatch, number: u32) {
        loop {
            let next = self.board.with(|board| {
                let channel = board.channel(number)?;
                (channel.controls == 0).then(|| channel.next_grant(self))
            });
            let Some(next) = next else { return };
            let Some((grant, mut waiters)) = next else { break };
            if let Some(waiter) = waiters.pop_front() {
                waiter
                    .adapter
                    .run_control(dispatch, grant, waiter.device_object, waiter.routine);
            }
        }
        if let Some(pool) = &self.registers {
            pool.serve(dispatch);
        }
    }
}

/// An AdapterControl that runs. Should it unwind, it is over all the same, and nobody who waits is forgotten.
struct Control<'a, M: Machine> {
    adapter: &'a Adapter<M>,
    returned: bool,
}

impl<M: Machine> Drop for Control<'_, M> {
    fn drop(&mut self) {
        self.adapter.system().with(|board| {
            if let Some(channel) = board.channel(self.adapter.channel_number()) {
                channel.controls = channel.controls.saturating_sub(1);
            }
            if !self.returned {
                self.adapter.serve_later(board);
            }
        });
    }
}

impl<M: Machine> Channel<M> {
    /// The next waiter, now the holder; or nothing.
    fn next_grant(&mut self, core: &Core<M>) -> Option<(Grant, LinkedList<Waiter<M>>)> {
        if !self.holder.is_empty() {
            return None;
        }
        let mut waiters = self.take_waiter(|_| true);
        let waiter = waiters.front_mut()?;
        let number = self.grant(&mut waiter.holder, None);
        let mut registers = None;
        if let Some(place) = waiter.place.front_mut() {
            place.grant = number;
            let pool = core.registers.as_ref()?;
            // First the channel, then the registers.
            let Some(run) = pool.take_or_wait(waiter.registers, &mut waiter.place) else {
                self.without_registers.append(&mut waiters);
                return None;
            };
            registers = Some(run.base());
            if let Some(holder) = self.holder.front_mut() {
                holder.run = Some(run);
            }
        }
        let (state, _) = core.consult(waiter.context.state(), Input::Grant);
        waiter.context.set_state(state);
        self.controls += 1;
        Some((Grant { number, registers }, waiters))
    }
}
