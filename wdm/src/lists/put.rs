//! Giving a list back, and what else is done with one.

use super::{ListBuffer, ScatterGatherList};
use crate::adapter::Adapter;
use crate::mapping::{Refused, called};
use crate::operations::{NotOffered, Operation};
use crate::status::IoAllocationAction;
use crate::transfer::FlushRequest;
use core::fmt;
use core::mem;
use core::sync::atomic::Ordering;
use longshore_core::event::{Event, Rule};
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, NtStatus, Passive};
use longshore_hardware::BusRange;

/// A list that was not put: it is another adapter's, or of the other direction.
#[derive(Debug)]
pub struct PutListRefused<M: Machine> {
    /// The list.
    pub list: ScatterGatherList<M>,
}

impl<M: Machine> Refused for PutListRefused<M> {
    fn status(&self) -> NtStatus {
        NtStatus::INVALID_PARAMETER
    }

    fn broken_rule(&self) -> Option<Rule> {
        Some(Rule("WDM-081"))
    }
}

/// Why a list is not a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildMdlError {
    /// The buffer that the list was made of was not given.
    NoOriginal,
    /// It was made a buffer before.
    Twice,
    /// The adapter has no such operation.
    NotOffered(NotOffered),
}

impl BuildMdlError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::NoOriginal => NtStatus::INVALID_PARAMETER,
            Self::Twice => NtStatus::NONE_MAPPED,
            Self::NotOffered(why) => why.status(),
        }
    }
}

impl Refused for BuildMdlError {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        match self {
            Self::NotOffered(why) => why.broken_rule(),
            _ => Some(Rule("WDM-240")),
        }
    }
}

impl fmt::Display for BuildMdlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoOriginal => "the buffer that the list was made of was not given",
            Self::Twice => "the list was made a buffer before",
            Self::NotOffered(why) => return why.fmt(f),
        })
    }
}

impl core::error::Error for BuildMdlError {}

impl<M: Machine> Adapter<M> {
    /// Ends a list: its bytes are flushed, its map registers are free, and so is its channel if it still has one. Gives
    /// the driver's memory back, if the list was built there.
    #[doc(alias = "PutScatterGatherList")]
    pub fn put_scatter_gather_list(
        &self,
        dispatch: &Dispatch,
        mut list: ScatterGatherList<M>,
        write_to_device: bool,
    ) -> Result<Option<ListBuffer>, PutListRefused<M>> {
        called(self.machine(), Operation::PutScatterGatherList.name(), || {
            if !self.is(&list.adapter) || list.write_to_device != write_to_device {
                return Err(PutListRefused { list });
            }
            list.end(dispatch);
            let memory = mem::replace(&mut list.memory, ListBuffer::with_room(0));
            Ok(list.built.then_some(memory))
        })
    }

    /// Frees what the list holds that a call answered with: nothing with KeepObject, and then the list comes back.
    #[doc(alias = "FreeAdapterObject")]
    pub fn free_list_object(
        &self,
        dispatch: &Dispatch,
        list: ScatterGatherList<M>,
        action: IoAllocationAction,
    ) -> Result<Option<ScatterGatherList<M>>, PutListRefused<M>> {
        called(self.machine(), Operation::FreeAdapterObject.name(), || {
            if !self.is(&list.adapter) {
                return Err(PutListRefused { list });
            }
            if action == IoAllocationAction::KEEP_OBJECT {
                return Ok(Some(list));
            }
            { list }.end(dispatch);
            Ok(None)
        })
    }

    /// The memory that the device really uses, as a buffer: where nothing was copied it is the original. Once for each
    /// list.
    #[doc(alias = "BuildMdlFromScatterGatherList")]
    pub fn build_mdl_from_scatter_gather_list<'l, 's>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        list: &'s mut ScatterGatherList<M>,
        original: Option<Segments<'_>>,
    ) -> Result<&'s [BusRange], BuildMdlError> {
        let _ = level.into();
        let operation = Operation::BuildMdlFromScatterGatherList;
        called(self.machine(), operation.name(), || {
            self.offers(operation).map_err(BuildMdlError::NotOffered)?;
            if original.is_none() {
                return Err(BuildMdlError::NoOriginal);
            }
            if mem::replace(&mut list.mdl_was_built, true) {
                return Err(BuildMdlError::Twice);
            }
            Ok(list.elements())
        })
    }
}

impl<M: Machine> ScatterGatherList<M> {
    /// Flushes and frees, once.
    fn end(&mut self, dispatch: &Dispatch) {
        if mem::replace(&mut self.put, true) {
            return;
        }
        let request = FlushRequest {
            buffer: Segments::new(&self.pieces),
            offset: self.offset,
            length: self.length,
            write_to_device: self.write_to_device,
        };
        let name = Operation::PutScatterGatherList.name();
        // Neither is refused: what a list has mapped, nobody else can flush or free.
        let _ = self.adapter.flush_as(name, &self.context, request);
        // It may be that the channel is given back elsewhere just now, and then the registers are what is left.
        let action = IoAllocationAction::DEALLOCATE_OBJECT;
        if self.adapter.free(dispatch, &self.context, action).is_err()
            && let (Some(base), count) = self.registers
        {
            let _ = self.adapter.free_registers(dispatch, base, count);
        }
        // Release: whoever sees that none is out, and puts the adapter back, comes after its last use.
        self.adapter.record().lists.fetch_sub(1, Ordering::Release);
    }
}

impl<M: Machine> Drop for ScatterGatherList<M> {
    fn drop(&mut self) {
        if self.put {
            return;
        }
        let machine = self.adapter.machine().clone();
        let name = Operation::PutScatterGatherList.name();
        machine.emit(Event::Misuse(name, Rule("WDM-195"), NtStatus::SUCCESS));
        if let Some(dispatch) = Dispatch::now(&machine) {
            self.end(&dispatch);
        } else if let Some(mut passive) = Passive::now(&machine) {
            machine.raise(&mut passive, |dispatch| self.end(dispatch));
        }
    }
}
