//! Lists of C code.
//!
//! A SCATTER_GATHER_LIST is known by where it stands: in pool memory of the edge's, or in the caller's own where it was
//! built there. What C writes into it is never looked at. Its bytes are carried in when it is asked for and out when it
//! is put, so from the one to the other they are the list's.

use super::adapters::Record;
use super::common::Quiet;
use super::listed::{ListControl, Listed, Named, WantedList};
use super::transfers::carried;
use crate::abi::dma::{DriverListControl, Element, List};
use crate::calls;
use crate::edge::Edge;
use crate::handles::hold;
use crate::mdl::Buffer;
use crate::memory::{self, ListRoom};
use longshore_core::{NtStatus, Rule};
use longshore_wdm::verifier::Code;
use longshore_wdm::{
    AllocationFlags, DeviceObject, ElementList, IoAllocationAction, ListSize, Mdl, Operation, TransferContext,
};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// The tag of the pool memory that lists stand in.
const TAG: u32 = u32::from_le_bytes(*b"LstL");

/// What a call names its bytes and its request by.
pub(crate) enum By {
    /// An address, in versions 1 and 2.
    Address(u64),
    /// The begin of a context, an offset, and flags.
    Context([u64; 2], u64, u32),
}

/// The caller's memory for a list.
pub(crate) struct Memory {
    pub(crate) room: ListRoom,
    pub(crate) bytes: u32,
}

/// What a call for a list is given.
pub(crate) struct ListCall {
    pub(crate) operation: Operation,
    pub(crate) device: usize,
    pub(crate) mdl: usize,
    pub(crate) by: By,
    pub(crate) length: u32,
    pub(crate) write_to_device: bool,
    pub(crate) routine: Option<DriverListControl>,
    pub(crate) context: usize,
    /// Where the list is to stand, if it is built.
    pub(crate) memory: Option<Memory>,
    /// Whether a completion routine was given, or something for it.
    pub(crate) completes: bool,
    /// Whether there is a place for the list as an answer.
    pub(crate) place: bool,
}

/// The bytes that a list is of.
struct Bytes {
    buffer: Buffer,
    offset: u64,
    length: u32,
    write_to_device: bool,
    /// Held for its drop: the device has the common buffers among the bytes for itself.
    _quiet: Vec<Quiet>,
}

/// One list that is out.
struct Out {
    adapter: usize,
    listed: Box<dyn Listed>,
    bytes: Bytes,
    /// It was the answer of a call, so that FreeAdapterObject frees it too.
    answered: bool,
}

/// All lists of a machine that are out, by where they stand.
#[derive(Default)]
pub(crate) struct Lists(Mutex<HashMap<usize, Out>>);

impl Lists {
    fn take(&self, adapter: usize, at: usize) -> Option<Out> {
        let mut all = hold(&self.0);
        all.get(&at).filter(|out| out.adapter == adapter)?;
        all.remove(&at)
    }

    fn insert(&self, at: usize, out: Out) {
        hold(&self.0).insert(at, out);
    }

    /// The lists of an adapter that satisfy `is`.
    fn of(&self, adapter: usize, is: impl Fn(&Out) -> bool) -> Vec<usize> {
        let all = hold(&self.0);
        let mine = all.iter().filter(|(_, out)| out.adapter == adapter && is(out));
        mine.map(|(at, _)| *at).collect()
    }
}

impl Edge {
    /// The four calls that ask for a list: where it stands, if it is the answer.
    pub(crate) fn list(&self, record: &Arc<Record>, call: ListCall) -> Result<Option<usize>, NtStatus> {
        let (operation, name) = (call.operation, call.operation.name());
        let buffer = self.buffer(operation, call.mdl)?;
        let address = self.mdl_address(call.mdl).unwrap_or_default() as u64;
        let context: TransferContext;
        let (named, offset, flags) = match call.by {
            By::Address(current) => {
                let mdl = Mdl::new(address, buffer.segments());
                (Named::Address(mdl, current), mdl.offset_of(current), 0)
            }
            By::Context(words, offset, flags) => {
                let answers = AllocationFlags(flags).is_synchronous() && call.routine.is_none();
                if answers && !call.place {
                    return Err(self.misuse(name, Rule("WDM-202"), NtStatus::INVALID_PARAMETER));
                }
                context = self.context(words);
                // What is mapped already belongs to a device.
                let mapped = self.is_mapped(record, &context);
                (
                    Named::Context(&context, offset),
                    (!mapped).then_some(offset),
                    flags,
                )
            }
        };
        if let Some(offset) = offset {
            carried(buffer.carry_in(self.world.own_memory(), offset, u64::from(call.length)))?;
        }
        let bytes = Bytes {
            _quiet: buffer.quiet(),
            buffer: buffer.clone(),
            offset: offset.unwrap_or_default(),
            length: call.length,
            write_to_device: call.write_to_device,
        };
        let (memory, room) = call.memory.map(|memory| (memory.bytes, memory.room)).unzip();
        let (control, mine) = match call.routine {
            Some(routine) => {
                let control = self.list_control(record, routine, call.context, room, bytes);
                (Some(control), None)
            }
            None => (None, Some((room, bytes))),
        };
        let wanted = WantedList {
            operation,
            named,
            device: DeviceObject(call.device),
            buffer: buffer.segments(),
            length: call.length,
            write_to_device: call.write_to_device,
            flags,
            memory,
            control,
            completes: call.completes,
        };
        let listed = record.port.list(wanted);
        let listed = listed.map_err(|refusal| self.refused(name, refusal))?;
        let Some((listed, (room, bytes))) = listed.zip(mine) else {
            return Ok(None);
        };
        let at = self.set_out(record.address(), listed, room, bytes, true);
        at.map(Some).ok_or(NtStatus::INSUFFICIENT_RESOURCES)
    }

    /// Calls C code with its list; with NULL if nothing could be mapped when its turn came.
    fn list_control(
        &self,
        record: &Record,
        routine: DriverListControl,
        context: usize,
        room: Option<ListRoom>,
        bytes: Bytes,
    ) -> ListControl {
        let (me, gone, adapter) = (self.me.clone(), record.gone.clone(), record.address());
        Box::new(move |device, listed| match me.upgrade() {
            Some(edge) if !gone.load(Ordering::Acquire) => {
                let at = listed.and_then(|listed| edge.set_out(adapter, listed, room, bytes, false));
                calls::driver_list_control(&edge, routine, device.0, at.unwrap_or_default(), context);
            }
            // Nobody is there to put it.
            _ => drop(listed.map(|listed| listed.put(bytes.write_to_device))),
        })
    }

    /// Writes a list to where C code finds it. `None` if there is no memory left: then it is put again.
    fn set_out(
        &self,
        adapter: usize,
        listed: Box<dyn Listed>,
        room: Option<ListRoom>,
        bytes: Bytes,
        answered: bool,
    ) -> Option<usize> {
        let at = match room {
            Some(mut room) => {
                room.write(listed.elements());
                Some(room.address())
            }
            None => self.place_list(&*listed),
        };
        let Some(at) = at else {
            let _ = listed.put(bytes.write_to_device);
            return None;
        };
        let out = Out {
            adapter,
            listed,
            bytes,
            answered,
        };
        self.lists.insert(at, out);
        Some(at)
    }

    fn place_list(&self, listed: &dyn Listed) -> Option<usize> {
        let elements = listed.elements();
        let size = size_of::<List>() + size_of::<Element>() * elements.len();
        let at = self.pool.allocate(size, TAG)?;
        memory::set_list(&self.pool.find(&(at..at + size))?, elements);
        Some(at)
    }

    /// `PutScatterGatherList`. The list is there until it is put by its own adapter, and in its own direction.
    pub(crate) fn put_list(&self, record: &Record, at: usize, write_to_device: bool) {
        let name = Operation::PutScatterGatherList.name();
        let Some(out) = self.lists.take(record.address(), at) else {
            self.verifier_stop(name, Rule("WDM-195"), Code::LIST_FREED_TWICE);
            return;
        };
        self.end_list(name, at, out, |listed| listed.put(write_to_device));
    }

    /// `FreeAdapterObject`, where the adapter has answered a call with a list. False if there is none.
    pub(crate) fn free_answered_list(&self, record: &Record, action: IoAllocationAction) -> bool {
        let frees = [
            IoAllocationAction::DEALLOCATE_OBJECT,
            IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS,
        ];
        let answered = self.lists.of(record.address(), |out| out.answered);
        let at = { answered.into_iter().next() }.filter(|_| frees.contains(&action));
        let Some((at, out)) = at.and_then(|at| Some((at, self.lists.take(record.address(), at)?))) else {
            return false;
        };
        self.end_list(Operation::FreeAdapterObject.name(), at, out, |listed| {
            listed.free()
        });
        true
    }

    /// Ends a list, and carries out what its device wrote; or keeps it where it is not ended.
    fn end_list(
        &self,
        call: &'static str,
        at: usize,
        out: Out,
        end: impl FnOnce(Box<dyn Listed>) -> Result<(), (Box<dyn Listed>, super::machine::Refusal)>,
    ) {
        match end(out.listed) {
            Ok(()) => {
                let bytes = out.bytes;
                if !bytes.write_to_device {
                    let length = u64::from(bytes.length);
                    let out = bytes
                        .buffer
                        .carry_out(self.world.own_memory(), bytes.offset, length);
                    let _ = out; // the shadow is leased, so it is there
                }
                self.pool.free(at, TAG);
            }
            Err((listed, refusal)) => {
                self.lists.insert(at, Out { listed, ..out });
                self.refused(call, refusal);
            }
        }
    }

    /// Puts what an adapter that goes has left out. Nothing is carried, since nobody may look at it any more.
    pub(crate) fn stop_lists(&self, record: &Record) {
        for at in self.lists.of(record.address(), |_| true) {
            if let Some(out) = self.lists.take(record.address(), at) {
                let _ = out.listed.put(out.bytes.write_to_device);
                self.pool.free(at, TAG);
            }
        }
    }

    /// `CalculateScatterGatherList`: of a given MDL, or of any that begins there in its page.
    pub(crate) fn list_size(
        &self,
        record: &Record,
        mdl: usize,
        current: u64,
        length: u32,
    ) -> Result<ListSize, NtStatus> {
        let operation = Operation::CalculateScatterGatherList;
        let buffer = { mdl != 0 }.then(|| self.buffer(operation, mdl)).transpose()?;
        let address = self.mdl_address(mdl).unwrap_or_default() as u64;
        let mdl = buffer.as_ref().map(|buffer| Mdl::new(address, buffer.segments()));
        let told = record.port.list_size(mdl, current, length);
        told.map_err(|refusal| self.refused(operation.name(), refusal))
    }

    /// `BuildMdlFromScatterGatherList`: the original itself, if its bytes were not copied. An MDL of C's describes C's
    /// memory, and what bytes are copied to is none.
    pub(crate) fn list_mdl(&self, record: &Record, at: usize, original: usize) -> Result<usize, NtStatus> {
        let operation = Operation::BuildMdlFromScatterGatherList;
        let buffer = { original != 0 }
            .then(|| self.buffer(operation, original))
            .transpose()?;
        let Some(mut out) = self.lists.take(record.address(), at) else {
            return Err(self.misuse(operation.name(), Rule("WDM-240"), NtStatus::INVALID_PARAMETER));
        };
        let built = out.listed.build_mdl(buffer.as_ref().map(Buffer::segments));
        let same = buffer.is_some_and(|buffer| buffer.holds(out.listed.elements()));
        self.lists.insert(at, out);
        match built {
            Err(refusal) => Err(self.refused(operation.name(), refusal)),
            Ok(()) if same => Ok(original),
            Ok(()) => Err(NtStatus::INSUFFICIENT_RESOURCES),
        }
    }
}
