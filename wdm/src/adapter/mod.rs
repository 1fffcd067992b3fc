//! A device's way to one channel of a system DMA controller, or to its own.

pub mod common;
pub mod description;
pub mod info;
pub(crate) mod place;

use crate::adapter::description::{AdapterError, DeviceDescription};
use crate::adapter::place::{Place, Share};
use crate::operations::Operation;
use crate::registers::{MapRegisters, RegisterBase, pages_spanned};
use crate::state::{Answer, Input, Refusal, State};
use crate::system::board::{Board, Holder, Record};
use crate::system::master::Master;
use crate::system::{Policy, Setup, SystemDma};
use crate::transfer::TransferContext;
use crate::transfer::mapping::{Refused, called};
use crate::verifier::{self, Code};
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use longshore_core::event::Rule;
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Event, NtStatus, Passive};

/// What all handles of one adapter share.
pub(crate) struct AdapterRecord<M: Machine> {
    place: Place<M>,
    pub(crate) number: u32,
    pub(crate) description: DeviceDescription,
    /// How many address bits its transfers may use.
    pub(crate) address_width: u32,
    pub(crate) request_line: u32,
    /// What the last transfer left undone, taken before its flush.
    pub(crate) last_residue: AtomicU32,
    /// Callbacks whose transfers have ended and which have not returned.
    pub(crate) owed: AtomicU32,
    /// Common buffers that are not freed.
    pub(crate) common_buffers: AtomicU32,
    /// Lists that are not put.
    pub(crate) lists: AtomicU32,
}

/// A handle to an adapter. Handles of one adapter are interchangeable; the adapter lives as long as one of them, or
/// a callback it owes.
#[doc(alias = "DMA_ADAPTER")]
pub struct Adapter<M: Machine>(Arc<AdapterRecord<M>>);

impl<M: Machine> Clone for Adapter<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Machine> fmt::Debug for Adapter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Adapter({} for channel {})",
            self.0.number,
            self.channel_number()
        )
    }
}

/// An adapter that was not put back, and why.
#[derive(Debug)]
pub struct PutRefused<M: Machine> {
    /// Why.
    pub why: Refusal,
    /// The adapter.
    pub adapter: Adapter<M>,
}

impl<M: Machine> Refused for PutRefused<M> {
    fn status(&self) -> NtStatus {
        self.why.status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        self.why.broken_rule()
    }

    fn code(&self, call: &'static str) -> Option<Code> {
        verifier::of_refusal(self.why, call)
    }
}

impl<M: Machine> Adapter<M> {
    /// An adapter for a channel of a controller's. Its transfers stay below so many address bits, however many more the
    /// controller drives.
    pub(crate) fn of_system(
        system: &SystemDma<M>,
        description: DeviceDescription,
        share: Share,
        address_width: u32,
    ) -> Result<Self, AdapterError> {
        if description.master {
            return Err(AdapterError::NotSubordinate);
        }
        let channel = description.channel;
        // Before version 3 a device knows its channel, and nothing of lines.
        let request_line = if description.is_v3() {
            description.request_line
        } else {
            let first = system.attributes().request_lines.first;
            first.checked_add(channel).ok_or(AdapterError::BadBinding)?
        };
        if !system
            .hardware()
            .core
            .port_widths(channel)
            .serve(description.width)
        {
            return Err(AdapterError::BadWidth);
        }
        let place = Place::take(system, channel, request_line, share)?;
        let address_width = address_width.min(system.attributes().address_width);
        Ok(Self::new(place, description, address_width, request_line))
    }

    /// A bus master's adapter, with a board of its own.
    pub(crate) fn of_master(
        passive: &Passive,
        machine: &M,
        registers: Option<MapRegisters<M>>,
        policy: Policy,
        description: DeviceDescription,
    ) -> Result<Self, AdapterError> {
        let setup = Setup {
            registers,
            policy,
            ..Setup::new(Arc::new(Master::new(&description)))
        };
        let system = SystemDma::register(passive, machine, setup).map_err(|_| AdapterError::AddressWidth)?;
        let address_width = system.attributes().address_width;
        let place = Place::of_master(&system);
        Ok(Self::new(place, description, address_width, 0))
    }

    fn new(place: Place<M>, description: DeviceDescription, address_width: u32, request_line: u32) -> Self {
        Self(Arc::new(AdapterRecord {
            number: place.system().machine().number(),
            place,
            description,
            address_width,
            request_line,
            last_residue: AtomicU32::new(0),
            owed: AtomicU32::new(0),
            common_buffers: AtomicU32::new(0),
            lists: AtomicU32::new(0),
        }))
    }

    pub(crate) fn record(&self) -> &AdapterRecord<M> {
        &self.0
    }

    pub(crate) fn machine(&self) -> &M {
        self.system().machine()
    }

    pub(crate) fn channel_number(&self) -> u32 {
        self.0.place.channel()
    }

    /// Whether both are handles of the same adapter.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }

    /// Whether both stand for the same channel.
    pub(crate) fn shares_channel(&self, other: &Self) -> bool {
        self.channel_number() == other.channel_number() && self.system().is(other.system())
    }

    /// Whether it is a bus master's.
    pub fn is_master(&self) -> bool {
        self.0.description.master
    }

    /// Whether the controller's count of a transfer is to be relied upon.
    pub(crate) fn counts(&self) -> bool {
        self.system().attributes().counter_available && !self.0.description.ignores_count()
    }

    /// The first address that its transfers may not use.
    pub(crate) fn reach(&self) -> u128 {
        1 << self.0.address_width
    }

    /// Through what goes what the device does not reach; none if it reaches everything there is.
    pub(crate) fn bounces_through(&self) -> Option<&MapRegisters<M>> {
        let core = &self.system().hardware().core;
        let limited = self.0.address_width < 64 || core.unit(self.channel_number()) > 1;
        core.registers
            .as_ref()
            .filter(|pool| limited && pool.are_below(self.reach()))
    }

    /// The most map registers of one transfer: one more than the pages of the longest, so that any alignment fits, or
    /// as many as there are. What IoGetDmaAdapter reports (WDM-102, WDM-103).
    #[doc(alias = "NumberOfMapRegisters")]
    pub fn map_registers(&self) -> u32 {
        self.registers_for(self.0.description.maximum_length)
    }

    /// How many map registers so many bytes need wherever they lie, or as many as there are.
    pub fn registers_for(&self, length: u32) -> u32 {
        let pages = pages_spanned(0, u64::from(length));
        let wanted = u32::try_from(pages).unwrap_or(u32::MAX).saturating_add(1);
        self.bounces_through()
            .map_or(wanted, |pool| wanted.min(pool.count()))
    }

    /// How many map registers a part of a buffer needs: as many as the pages it touches (NDIS-063), and never more than
    /// so many bytes need wherever they lie.
    pub fn registers_for_part(&self, buffer: Segments<'_>, offset: u64, length: u32) -> u32 {
        let pages = buffer
            .part(offset, u64::from(length))
            .map(|bytes| pages_spanned(bytes.start().raw(), bytes.len()))
            .fold(0, u64::saturating_add);
        let most = self.registers_for(length);
        u32::try_from(pages).map_or(most, |pages| pages.min(most))
    }

    /// Whether there are map registers enough for so many bytes, wherever they lie; or none are needed.
    pub fn has_registers_for(&self, length: u32) -> bool {
        let pages = pages_spanned(0, u64::from(length));
        self.bounces_through()
            .is_none_or(|pool| pages < u64::from(pool.count()))
    }

    /// The context that holds the adapter's channel; or, given a run of map registers, the one that has it.
    pub fn holder(&self, base: Option<RegisterBase>) -> Option<TransferContext> {
        self.system().with(|board| {
            let channel = board.channel(self.channel_number())?;
            let mut holders = channel.holder.iter();
            let found = match base {
                None => holders.find(|holder| holder.context.state().holds_channel()),
                Some(_) => holders.chain(&channel.kept).find(|holder| holder.base() == base),
            };
            let holder = found.filter(|holder| holder.adapter == self.0.number)?;
            Some(TransferContext::of(Arc::clone(&holder.context)))
        })
    }

    /// A context for one request of version 1 or 2, ready at once.
    pub(crate) fn context_of_its_own(&self) -> TransferContext {
        TransferContext::of(Arc::new(Record::older(self.0.number)))
    }

    /// What the device said about its transfers.
    pub fn description(&self) -> DeviceDescription {
        self.0.description
    }

    /// The controller behind the adapter.
    pub fn system(&self) -> &SystemDma<M> {
        self.0.place.system()
    }

    /// The state of a context as this adapter knows it. One that was initialised for another adapter is blank here.
    pub(crate) fn stored_state(&self, context: &Record) -> State {
        if context.adapter() == self.0.number {
            context.state()
        } else {
            State::Blank
        }
    }

    /// Makes a context ready for a request of this adapter's.
    #[doc(alias = "InitializeDmaTransferContext")]
    pub fn initialize_transfer_context<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        context: &mut TransferContext,
    ) -> Result<(), Refusal> {
        let _ = level.into();
        called(self.machine(), "InitializeDmaTransferContext", || {
            // Every call of version 3 with a context begins with this one.
            self.offers(Operation::InitializeDmaTransferContext)
                .map_err(|_| Refusal::NotOffered)?;
            if context.record().is_older() {
                return Err(Refusal::OtherKind);
            }
            let mine = context.record().adapter() == self.0.number;
            // Another adapter's record is left to it: its own lock orders that one.
            let bound = if mine {
                Arc::clone(context.record())
            } else {
                Arc::new(Record::bound(self.0.number))
            };
            let loose = self.system().with(|board| {
                let before = context.record().state();
                let core = &self.system().hardware().core;
                let (state, answer) = core.consult(before, Input::Initialize);
                if let Answer::Refuse(refusal) = answer {
                    return Err(refusal);
                }
                let loose = self.take_loose(board, &bound, before);
                bound.set_state(state);
                Ok(loose)
            })?;
            drop(loose);
            *context = TransferContext::of(bound);
            Ok(())
        })
    }

    /// Takes a context that was loose off the board, to be dropped outside of the lock.
    pub(crate) fn take_loose(
        &self,
        board: &mut Board<M>,
        record: &Arc<Record>,
        before: State,
    ) -> LinkedList<Holder<M>> {
        board
            .channel(self.channel_number())
            .filter(|_| before == State::Loose)
            .map_or_else(LinkedList::new, |channel| channel.take_holder(record))
    }

    /// How many bytes the current transfer has left, in the current iteration of a loop; with none under way, what
    /// the last one left.
    #[doc(alias = "ReadDmaCounter")]
    pub fn read_counter<'l>(&self, level: impl Into<AtMostDispatch<'l>>) -> u32 {
        let _ = level.into();
        self.machine().emit(Event::Call("ReadDmaCounter"));
        let left = self.counter();
        self.machine()
            .emit(Event::Return("ReadDmaCounter", NtStatus::SUCCESS));
        left
    }

    fn counter(&self) -> u32 {
        let hardware = self.system().hardware();
        self.system().with(|board| {
            // Never refused.
            let state = self.busiest_state(board);
            let _ = hardware.core.consult(state, Input::ReadCounter);
            if !self.counts() {
                return 0;
            }
            let running = board.channel(self.channel_number()).and_then(|channel| {
                let job = channel.running()?;
                (job.mapping.adapter.0.number == self.0.number).then_some(job.mapping.mapped)
            });
            match running {
                Some(mapped) => hardware
                    .core
                    .controller
                    .remaining(self.channel_number())
                    .min(mapped),
                None => self.0.last_residue.load(Ordering::Relaxed),
            }
        })
    }

    /// Calls a function of the controller's own, for the transfers to come.
    #[doc(alias = "ConfigureAdapterChannel")]
    pub fn configure<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        context: &TransferContext,
        function: u32,
        argument: usize,
    ) -> Result<NtStatus, Refusal> {
        let _ = level.into();
        called(self.machine(), "ConfigureAdapterChannel", || {
            if self.is_master() {
                return Err(Refusal::NotConfigurable);
            }
            self.system().with(|_| {
                let core = &self.system().hardware().core;
                let state = self.stored_state(context.record());
                match core.consult(state, Input::Configure).1 {
                    Answer::Refuse(refusal) => Err(refusal),
                    _ => Ok(core
                        .controller
                        .configure(self.channel_number(), function, argument)),
                }
            })
        })
    }

    /// Waits until no callback is owed for a transfer that has ended. Not for callers that hold what a
    /// callback waits for.
    pub fn wait_for_callbacks(&self, _: &Passive) {
        // Acquire: what the routines did is seen.
        while self.0.owed.load(Ordering::Acquire) != 0 {
            self.machine().relax();
        }
    }

    /// Gives the adapter back. Refused while something of it is under way.
    #[doc(alias = "PutDmaAdapter")]
    pub fn put<'l>(self, level: impl Into<AtMostDispatch<'l>>) -> Result<(), PutRefused<M>> {
        let _ = level.into();
        let machine = self.machine().clone();
        called(&machine, "PutDmaAdapter", || match self.what_is_out() {
            Some(why) => Err(PutRefused { why, adapter: self }),
            None => Ok(()),
        })
    }

    /// Why the adapter cannot be given back now.
    fn what_is_out(&self) -> Option<Refusal> {
        // Acquire: whoever gave the last one back is done with it.
        if self.0.common_buffers.load(Ordering::Acquire) != 0 {
            return Some(Refusal::CommonBufferOut);
        }
        if self.0.lists.load(Ordering::Acquire) != 0 {
            return Some(Refusal::ListOut);
        }
        let core = &self.system().hardware().core;
        let state = self.system().with(|board| self.busiest_state(board));
        match core.consult(state, Input::Put).1 {
            Answer::Refuse(why) => Some(why),
            _ => None,
        }
    }

    /// The state of whatever of this adapter is furthest from its end.
    fn busiest_state(&self, board: &mut Board<M>) -> State {
        let mine = self.0.number;
        let Some(channel) = board.channel(self.channel_number()) else {
            return State::Ready;
        };
        let held = channel.holder.iter().chain(&channel.kept);
        let held = held.filter(|holder| holder.adapter == mine);
        let waits = channel.waiters.iter();
        let waits = waits.filter(|waiter| waiter.adapter.0.number == mine);
        held.map(|holder| holder.context.state())
            .chain(waits.map(|waiter| waiter.context.state()))
            .find(|state| *state != State::Loose)
            .unwrap_or(State::Ready)
    }
}
