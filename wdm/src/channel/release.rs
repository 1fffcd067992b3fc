//! How a channel, and map registers, come back.

use crate::adapter::Adapter;
use crate::registers::{RegisterBase, Run};
use crate::state::{Input, Refusal, State};
use crate::status::IoAllocationAction;
use crate::system::board::{Board, Channel, Holder, take};
use crate::transfer::TransferContext;
use crate::transfer::mapping::{called, report};
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use longshore_core::Dispatch;
use longshore_core::machine::Machine;

impl<M: Machine> Adapter<M> {
    /// Frees the channel and its map registers, and serves whoever waits for them.
    #[doc(alias = "FreeAdapterChannel")]
    pub fn free_channel(&self, dispatch: &Dispatch, context: &TransferContext) -> Result<(), Refusal> {
        called(self.machine(), "FreeAdapterChannel", || {
            self.free(dispatch, context, IoAllocationAction::DEALLOCATE_OBJECT)
        })
    }

    /// Frees what the action says: nothing with KeepObject, the channel alone with DeallocateObjectKeepRegisters.
    #[doc(alias = "FreeAdapterObject")]
    pub fn free_object(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        action: IoAllocationAction,
    ) -> Result<(), Refusal> {
        called(self.machine(), "FreeAdapterObject", || match action {
            IoAllocationAction::DEALLOCATE_OBJECT | IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS => {
                self.free(dispatch, context, action)
            }
            _ => self.system().with(|_| self.step(context, Input::Keep).map(drop)),
        })
    }

    /// Frees map registers that were kept when their channel was freed. The count must be that of the request, and
    /// nothing may be mapped (WDM-194).
    #[doc(alias = "FreeMapRegisters")]
    pub fn free_map_registers(
        &self,
        dispatch: &Dispatch,
        base: RegisterBase,
        count: u32,
    ) -> Result<(), Refusal> {
        called(self.machine(), "FreeMapRegisters", || {
            self.free_registers(dispatch, base, count)
        })
    }

    pub(crate) fn free_registers(
        &self,
        dispatch: &Dispatch,
        base: RegisterBase,
        count: u32,
    ) -> Result<(), Refusal> {
        let freed = self.system().with(|board| {
            let channel = board.channel(self.channel_number()).ok_or(Refusal::NotKept)?;
            let holders = channel.holder.iter().chain(&channel.kept);
            let mine =
                |holder: &&Holder<M>| holder.base() == Some(base) && holder.adapter == self.record().number;
            let holder = { holders }.find(mine).ok_or(Refusal::NotKept)?;
            let context = Arc::clone(&holder.context);
            if holder.run.as_ref().map(Run::count) != Some(count) {
                return Err(Refusal::WrongCount);
            }
            if holder.copying {
                return Err(Refusal::StillMapped);
            }
            self.step(&TransferContext::of(Arc::clone(&context)), Input::FreeRegisters)?;
            Ok(channel.take_holder(&context))
        })?;
        self.give_back(dispatch, freed);
        Ok(())
    }

    pub(crate) fn free(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        action: IoAllocationAction,
    ) -> Result<(), Refusal> {
        let freed = self.system().with(|board| self.release(board, context, action))?;
        self.give_back(dispatch, freed);
        Ok(())
    }

    /// Does what an AdapterControl answered, if the channel is still held by its very grant. Whoever ran it serves those
    /// who wait.
    pub(crate) fn release_grant(&self, grant: u64, action: IoAllocationAction) {
        let released = self.system().with(|board| {
            let holder = board.channel(self.channel_number())?.holder.front()?;
            let context = TransferContext::of(Arc::clone(&holder.context));
            (holder.grant == grant).then(|| self.release(board, &context, action))
        });
        match released {
            None => {}
            Some(Ok(freed)) => drop(freed),
            Some(Err(refusal)) => report(self.machine(), "AdapterControl", &refusal),
        }
    }

    /// Takes the channel from a context, and its map registers unless they are kept. What it no longer holds is handed
    /// out, to be dropped outside of the lock.
    fn release(
        &self,
        board: &mut Board<M>,
        context: &TransferContext,
        action: IoAllocationAction,
    ) -> Result<LinkedList<Holder<M>>, Refusal> {
        let channel = board
            .channel(self.channel_number())
            .ok_or(Refusal::NotAllocated)?;
        let holder = channel.held_by(context.record());
        if holder.as_ref().is_some_and(|holder| holder.copying) {
            return Err(Refusal::StillMapped);
        }
        let has_registers = holder.is_some_and(|holder| holder.run.is_some());
        self.step(context, self.release_input(action, has_registers))?;
        match context.record().state() {
            State::Kept | State::KeptDone | State::Loose | State::LooseDone => Ok(channel.keep()),
            _ => Ok(channel.take_holder(context.record())),
        }
    }

    fn release_input(&self, action: IoAllocationAction, has_registers: bool) -> Input {
        if action == IoAllocationAction::DEALLOCATE_OBJECT {
            return Input::Free;
        }
        match (self.is_master(), has_registers) {
            (true, true) => Input::MasterKeeping,
            (true, false) => Input::MasterLoose,
            (false, true) => Input::FreeKeeping,
            // There is nothing that it could keep.
            (false, false) => Input::Free,
        }
    }

    /// First the registers are free again, then somebody is served: whoever is left to a running AdapterControl finds
    /// them when it is over.
    fn give_back(&self, dispatch: &Dispatch, freed: LinkedList<Holder<M>>) {
        drop(freed);
        self.serve(dispatch);
    }
}

impl<M: Machine> Channel<M> {
    /// The holder keeps what it has without the channel. Hands out one of those that are forgotten, so that there are
    /// never more of them than contexts.
    fn keep(&mut self) -> LinkedList<Holder<M>> {
        self.kept.append(&mut self.holder);
        take(&mut self.kept, Holder::is_forgotten)
    }
}

impl<M: Machine> Holder<M> {
    /// Whether it holds nothing, and its context is gone or another adapter's by now.
    fn is_forgotten(&self) -> bool {
        let gone = Arc::strong_count(&self.context) == 1 || self.context.adapter() != self.adapter;
        gone && self.run.is_none() && self.mapping.is_none()
    }
}
