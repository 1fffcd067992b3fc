//! How a transfer ends: cancelled, flushed or polled.

use crate::adapter::Adapter;
use crate::state::{Answer, Input, Refusal, State};
use crate::system::board::{Board, Channel, Record};
use crate::transfer::bounce;
use crate::transfer::mapping::{Job, Mapping, called, digest, stopped};
use crate::transfer::{FlushError, FlushRequest, Progress, TransferContext};
use crate::verifier::Code;
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use core::mem;
use longshore_core::completion::Outcome;
use longshore_core::event::{Event, Owner, Rule};
use longshore_core::machine::Machine;
use longshore_core::{AtMostDispatch, NtStatus};

/// What a flush takes out of the board, to be dropped outside of the lock.
struct Flushed<M: Machine> {
    mapping: Option<Arc<Mapping<M>>>,
    _job: LinkedList<Job<M>>,
    /// Whether bytes are to be copied back, and the map registers are kept until they are.
    copies: bool,
    /// Whether the transfer had to be cut, though nobody had cancelled it.
    cut: bool,
    /// Whether the context bears the mark of a cancel: its map may have been refused for it (RL-08).
    marked: bool,
}

impl<M: Machine> Adapter<M> {
    /// Marks the context as cancelled, and stops its transfer if one runs. It does not wait: the completion routine
    /// is still called, and with what really happened (WDM-185).
    #[doc(alias = "CancelMappedTransfer")]
    pub fn cancel_mapped<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        context: &TransferContext,
    ) -> Result<(), Refusal> {
        let _ = level.into();
        called(self.machine(), "CancelMappedTransfer", || {
            if context.record().is_older() {
                return Err(Refusal::OtherKind);
            }
            self.system().with(|board| {
                if self.is_master() {
                    return self.step(context, Input::CancelMaster).map(drop);
                }
                self.settle(board, context);
                if self.step(context, Input::CancelMapped)? == Answer::Stop {
                    self.system().hardware().stop(board, self.channel_number());
                }
                Ok(())
            })
        })
    }

    /// Ends a mapping and gives its bytes back to software. Tells the outcome, if there was a mapping.
    ///
    /// Right after a cancel it need not wait for the callback, which then comes later (R7). A transfer that still
    /// runs, and that nobody cancelled, is cut; that is misuse. Where it is refused it changes
    /// nothing, but for [`FlushError::Lost`]; hardware that would not stop was asked to ([`FlushError::NotQuiet`]).
    #[doc(alias = "FlushAdapterBuffersEx")]
    pub fn flush<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        context: &TransferContext,
        request: FlushRequest<'_>,
    ) -> Result<Option<Outcome>, FlushError> {
        let _ = level.into();
        const NAME: &str = "FlushAdapterBuffersEx";
        called(self.machine(), NAME, || self.flush_as(NAME, context, request))
    }

    /// The flush of a call of this name.
    pub(crate) fn flush_as(
        &self,
        name: &'static str,
        context: &TransferContext,
        request: FlushRequest<'_>,
    ) -> Result<Option<Outcome>, FlushError> {
        let flushed = self
            .system()
            .with(|board| self.flush_under_lock(board, context, request))?;
        let whole = match &flushed.mapping {
            Some(mapping) if flushed.copies => self.copy_back(context, mapping, request.length),
            _ => true,
        };
        if flushed.cut {
            let rule = Rule("WDM-174");
            self.machine().emit(Event::Misuse(name, rule, NtStatus::SUCCESS));
            stopped(self.machine(), name, Code::FLUSHED_WHILE_RUNNING, rule);
        }
        // Both are right, and Windows' verifier stops for them.
        match &flushed.mapping {
            Some(mapping) if request.length > mapping.mapped => {
                stopped(self.machine(), name, Code::BEYOND_REGISTERS, Rule("WDM-170"));
            }
            None if !flushed.marked => stopped(self.machine(), name, Code::NEVER_MAPPED, Rule("WDM-158")),
            _ => {}
        }
        if !whole {
            return Err(FlushError::Lost);
        }
        Ok(flushed.mapping.and_then(|mapping| mapping.outcome()))
    }

    fn flush_under_lock(
        &self,
        board: &mut Board<M>,
        context: &TransferContext,
        request: FlushRequest<'_>,
    ) -> Result<Flushed<M>, FlushError> {
        let number = self.channel_number();
        let hardware = self.system().hardware();
        let mapping = board
            .channel(number)
            .and_then(|channel| channel.held_by(context.record()))
            .and_then(|holder| holder.mapping.clone());
        if let Some(mapping) = &mapping {
            if !matches(mapping, request) {
                return Err(FlushError::Mismatch);
            }
            // The driver may know from its device that the end has come, before the interrupt is handled.
            hardware.collect(board, number);
        }
        self.settle(board, context);
        let input = if hardware.core.policy.forget_cancel_at_flush {
            Input::FlushForgets
        } else {
            Input::Flush
        };
        let (flushed, answer) = hardware.core.consult(self.stored_state(context.record()), input);
        if let Answer::Refuse(refusal) = answer {
            return Err(FlushError::Refused(refusal));
        }
        if mapping.is_some() && !hardware.conclude(board, number) {
            return Err(FlushError::NotQuiet);
        }
        context.record().set_state(flushed);
        let Some(mapping) = mapping else {
            return Ok(Flushed {
                mapping: None,
                _job: LinkedList::new(),
                copies: false,
                cut: false,
                marked: context.record().state() == State::OwnX,
            });
        };
        hardware.core.controller.flush(number);
        mapping.hand_over(&hardware.core.machine, Owner::Cpu);
        let looped = mapping.looped;
        let copies = !mapping.write_to_device && !mapping.bounced.is_empty();
        self.mark_copying(board, context, copies);
        Ok(Flushed {
            mapping: Some(mapping),
            copies,
            _job: board
                .channel(number)
                .map_or_else(LinkedList::new, |channel| channel.unmap(context.record())),
            // A driver of version 1 or 2 has no other way to end its loop (WDM-268).
            cut: answer == Answer::Cut && !(looped && context.record().is_older()),
            marked: false,
        })
    }

    /// Copies what came from the device to where the driver finds it, and only then are the map registers its own to
    /// map with, or to free. Says whether all of it is there.
    fn copy_back(&self, context: &TransferContext, mapping: &Mapping<M>, length: u32) -> bool {
        let moved = mapping.came_back(length);
        let lost = |range| self.machine().emit(Event::Lost(range, Rule("WDM-171")));
        let whole = bounce::copy_out(&self.machine().memory(), &mapping.bounced, moved, lost);
        self.system()
            .with(|board| self.mark_copying(board, context, false));
        whole
    }

    pub(crate) fn mark_copying(&self, board: &mut Board<M>, context: &TransferContext, copying: bool) {
        let channel = board.channel(self.channel_number());
        if let Some(holder) = channel.and_then(|channel| channel.held_by(context.record())) {
            holder.copying = copying;
        }
    }

    /// Brings the stored state in line with the completion cell, which alone knows that the end has come.
    fn settle(&self, board: &mut Board<M>, context: &TransferContext) {
        if let Some(outcome) = self.mapping_of(board, context.record()).map(|m| m.outcome())
            && outcome.is_some()
            && context.record().state().is_running()
        {
            // Never refused.
            let _ = self.step(context, Input::Ended);
        }
    }

    fn mapping_of(&self, board: &mut Board<M>, context: &Arc<Record>) -> Option<Arc<Mapping<M>>> {
        board
            .channel(self.channel_number())?
            .held_by(context)?
            .mapping
            .clone()
    }

    /// The serial number of what a context has mapped, if it has.
    pub(crate) fn mapping_number(&self, context: &TransferContext) -> Option<u32> {
        self.system()
            .with(|board| self.mapping_of(board, context.record()))
            .map(|mapping| mapping.number)
    }

    /// How far a transfer is. With a controller that does not interrupt this is how its end is found.
    pub fn poll<'l>(&self, level: impl Into<AtMostDispatch<'l>>, context: &TransferContext) -> Progress {
        let _ = level.into();
        let number = self.channel_number();
        let hardware = self.system().hardware();
        self.system().with(|board| {
            let mapping = self.mapping_of(board, context.record());
            if mapping.is_some() {
                hardware.collect(board, number);
            }
            self.settle(board, context);
            let outcome = mapping.as_ref().and_then(|mapping| mapping.outcome());
            let mapped = mapping.as_ref().map_or(0, |mapping| mapping.mapped);
            let remaining = match outcome {
                Some(outcome) => u32::try_from(outcome.residue).unwrap_or(mapped),
                None => mapping
                    .as_ref()
                    .filter(|mapping| mapping.is_running())
                    .map_or(0, |mapping| hardware.core.left(number, mapping)),
            };
            Progress {
                state: self.stored_state(context.record()),
                mapped,
                remaining,
                outcome,
            }
        })
    }
}

impl<M: Machine> Channel<M> {
    /// Takes the flushed mapping out.
    fn unmap(&mut self, context: &Arc<Record>) -> LinkedList<Job<M>> {
        if let Some(holder) = self.held_by(context) {
            // The caller has another reference, so nothing is dropped under the lock.
            holder.mapping = None;
        }
        mem::take(&mut self.running)
    }
}

/// Whether a flush repeats the arguments of its map, all but the length (WDM-170).
fn matches<M: Machine>(mapping: &Mapping<M>, request: FlushRequest<'_>) -> bool {
    request.offset == mapping.offset
        && request.write_to_device == mapping.write_to_device
        && digest(request.buffer.part(request.offset, u64::from(mapping.mapped))) == mapping.digest
}
