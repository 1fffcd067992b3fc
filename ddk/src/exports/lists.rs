//! The operations of `dmaops.h` that make lists, and take them back.
#![allow(non_snake_case, reason = "the names are Windows' own")]

use super::dma::{bad_parameter, status, value};
use crate::abi::dma::{Adapter, CompletionRoutine, DriverListControl, List, Mdl};
use crate::abi::types::{Pointer, Status};
use crate::dma::lists::{By, ListCall, Memory};
use crate::edge::Edge;
use crate::memory::{self, ListRoom};
use longshore_core::NtStatus;
use longshore_wdm::Operation;
use std::ptr::with_exposed_provenance_mut;

pub(super) extern "C" fn GetScatterGatherList(
    adapter: *mut Adapter,
    device: Pointer,
    mdl: *mut Mdl,
    current: Pointer,
    length: u32,
    routine: Option<DriverListControl>,
    argument: Pointer,
    write_to_device: u8,
) -> Status {
    const OPERATION: Operation = Operation::GetScatterGatherList;
    status(adapter, OPERATION, |edge, record| {
        routine.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-236"))?;
        let call = ListCall {
            operation: OPERATION,
            device: device.expose_provenance(),
            mdl: mdl.addr(),
            by: By::Address(current.addr() as u64),
            length,
            write_to_device: write_to_device != 0,
            routine,
            context: argument.expose_provenance(),
            memory: None,
            completes: false,
            place: false,
        };
        edge.list(record, call).map(drop)
    })
}

/// The caller's memory for a list, or what the call is refused with.
///
/// # Safety
///
/// The memory is NULL, or as long as it is said to be until its list is put.
unsafe fn brought(
    edge: &Edge,
    operation: Operation,
    at: Pointer,
    bytes: u32,
    rule: &'static str,
) -> Result<Memory, NtStatus> {
    // SAFETY: the caller's promise.
    let room = unsafe { ListRoom::new(at.cast(), bytes) };
    let room = room.ok_or_else(|| bad_parameter(edge, operation, rule))?;
    Ok(Memory { room, bytes })
}

/// # Safety
///
/// The memory for the list is NULL, or as long as it is said to be until its list is put.
pub(super) unsafe extern "C" fn BuildScatterGatherList(
    adapter: *mut Adapter,
    device: Pointer,
    mdl: *mut Mdl,
    current: Pointer,
    length: u32,
    routine: Option<DriverListControl>,
    argument: Pointer,
    write_to_device: u8,
    memory: Pointer,
    bytes: u32,
) -> Status {
    const OPERATION: Operation = Operation::BuildScatterGatherList;
    status(adapter, OPERATION, |edge, record| {
        routine.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-239"))?;
        let call = ListCall {
            operation: OPERATION,
            device: device.expose_provenance(),
            mdl: mdl.addr(),
            by: By::Address(current.addr() as u64),
            length,
            write_to_device: write_to_device != 0,
            routine,
            context: argument.expose_provenance(),
            // SAFETY: the caller's promise.
            memory: Some(unsafe { brought(edge, OPERATION, memory, bytes, "WDM-239") }?),
            completes: false,
            place: false,
        };
        edge.list(record, call).map(drop)
    })
}

/// # Safety
///
/// The context is NULL or has 128 bytes, and the place for the list is NULL or can be written.
pub(super) unsafe extern "C" fn GetScatterGatherListEx(
    adapter: *mut Adapter,
    device: Pointer,
    context: Pointer,
    mdl: *mut Mdl,
    offset: u64,
    length: u32,
    flags: u32,
    routine: Option<DriverListControl>,
    argument: Pointer,
    write_to_device: u8,
    completion: Option<CompletionRoutine>,
    completion_context: Pointer,
    place: *mut *mut List,
) -> Status {
    const OPERATION: Operation = Operation::GetScatterGatherListEx;
    status(adapter, OPERATION, |edge, record| {
        // SAFETY: the caller's promise.
        let words = unsafe { memory::read(context.cast::<[u64; 2]>()) };
        let words = words.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-114"))?;
        let call = ListCall {
            operation: OPERATION,
            device: device.expose_provenance(),
            mdl: mdl.addr(),
            by: By::Context(words, offset, flags),
            length,
            write_to_device: write_to_device != 0,
            routine,
            context: argument.expose_provenance(),
            memory: None,
            completes: completion.is_some() || !completion_context.is_null(),
            place: !place.is_null(),
        };
        if let Some(at) = edge.list(record, call)? {
            // SAFETY: the caller's promise. There is an answer only where nobody was called with it.
            unsafe { memory::write(place, with_exposed_provenance_mut(at)) };
        }
        Ok(())
    })
}

/// # Safety
///
/// The context is NULL or has 128 bytes, the memory for the list is NULL or as long as it is said to be until its list
/// is put, and the place for the list is NULL or can be written.
pub(super) unsafe extern "C" fn BuildScatterGatherListEx(
    adapter: *mut Adapter,
    device: Pointer,
    context: Pointer,
    mdl: *mut Mdl,
    offset: u64,
    length: u32,
    flags: u32,
    routine: Option<DriverListControl>,
    argument: Pointer,
    write_to_device: u8,
    memory: Pointer,
    bytes: u32,
    completion: Option<CompletionRoutine>,
    completion_context: Pointer,
    place: Pointer,
) -> Status {
    const OPERATION: Operation = Operation::BuildScatterGatherListEx;
    status(adapter, OPERATION, |edge, record| {
        // SAFETY: the caller's promise.
        let words = unsafe { memory::read(context.cast::<[u64; 2]>()) };
        let words = words.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-114"))?;
        let call = ListCall {
            operation: OPERATION,
            device: device.expose_provenance(),
            mdl: mdl.addr(),
            by: By::Context(words, offset, flags),
            length,
            write_to_device: write_to_device != 0,
            routine,
            context: argument.expose_provenance(),
            // SAFETY: the caller's promise.
            memory: Some(unsafe { brought(edge, OPERATION, memory, bytes, "WDM-204") }?),
            completes: completion.is_some() || !completion_context.is_null(),
            place: !place.is_null(),
        };
        edge.list(record, call)?;
        // SAFETY: the caller's promise. The list stands in the caller's memory, always (WDM-204).
        unsafe { memory::write(place.cast(), memory) };
        Ok(())
    })
}

pub(super) extern "C" fn PutScatterGatherList(adapter: *mut Adapter, list: *mut List, write_to_device: u8) {
    value(adapter, Operation::PutScatterGatherList, (), |edge, record| {
        edge.put_list(record, list.addr(), write_to_device != 0);
    });
}

/// # Safety
///
/// The places for the answers are NULL or can be written.
pub(super) unsafe extern "C" fn CalculateScatterGatherList(
    adapter: *mut Adapter,
    mdl: *mut Mdl,
    current: Pointer,
    length: u32,
    size: *mut u32,
    registers: *mut u32,
) -> Status {
    const OPERATION: Operation = Operation::CalculateScatterGatherList;
    status(adapter, OPERATION, |edge, record| {
        if size.is_null() {
            return Err(bad_parameter(edge, OPERATION, "WDM-238"));
        }
        let told = edge.list_size(record, mdl.addr(), current.addr() as u64, length)?;
        // SAFETY: the caller's promise. Where the second is NULL nobody wants to know.
        unsafe {
            memory::write(size, told.bytes);
            memory::write(registers, told.map_registers);
        }
        Ok(())
    })
}

/// # Safety
///
/// The place for the MDL is NULL or can be written.
pub(super) unsafe extern "C" fn BuildMdlFromScatterGatherList(
    adapter: *mut Adapter,
    list: *mut List,
    original: *mut Mdl,
    place: *mut *mut Mdl,
) -> Status {
    const OPERATION: Operation = Operation::BuildMdlFromScatterGatherList;
    status(adapter, OPERATION, |edge, record| {
        if place.is_null() {
            return Err(bad_parameter(edge, OPERATION, "WDM-240"));
        }
        let mdl = edge.list_mdl(record, list.addr(), original.addr())?;
        // SAFETY: the caller's promise.
        unsafe { memory::write(place, with_exposed_provenance_mut(mdl)) };
        Ok(())
    })
}
