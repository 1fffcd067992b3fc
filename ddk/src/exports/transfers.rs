//! The operations of `dmaops.h` that make transfers.
#![allow(non_snake_case, reason = "the names are Windows' own")]

use super::dma::{bad_parameter, status, value};
use crate::abi::dma::{Adapter, CompletionRoutine, DriverControl, List, Mdl};
use crate::abi::types::{PhysicalAddress, Pointer, Status};
use crate::dma::older::OlderPart;
use crate::dma::transfers::{MapExtras, Part, Request};
use crate::memory::{self, ListRoom};
use longshore_core::{NtStatus, Rule};
use longshore_wdm::verifier::Code;
use longshore_wdm::{DeviceObject, ElementList, IoAllocationAction, Operation, RegisterBase};
use std::ptr::with_exposed_provenance_mut;
use std::sync::atomic::Ordering;

fn base_of(pointer: Pointer) -> u64 {
    pointer.addr() as u64
}

pub(super) extern "C" fn AllocateAdapterChannel(
    adapter: *mut Adapter,
    device: Pointer,
    registers: u32,
    routine: Option<DriverControl>,
    context: Pointer,
) -> Status {
    const OPERATION: Operation = Operation::AllocateAdapterChannel;
    status(adapter, OPERATION, |edge, record| {
        let routine = routine.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-230"))?;
        let device = DeviceObject(device.expose_provenance());
        edge.allocate_older(record, device, registers, routine, context.expose_provenance())
    })
}

/// # Safety
///
/// The length is NULL or can be read and written.
pub(super) unsafe extern "C" fn MapTransfer(
    adapter: *mut Adapter,
    mdl: *mut Mdl,
    base: Pointer,
    current: Pointer,
    length: *mut u32,
    write_to_device: u8,
) -> PhysicalAddress {
    const OPERATION: Operation = Operation::MapTransfer;
    value(adapter, OPERATION, PhysicalAddress(0), |edge, record| {
        // SAFETY: the caller's promise.
        let Some(wanted) = (unsafe { memory::read(length) }) else {
            bad_parameter(edge, OPERATION, "WDM-233");
            return PhysicalAddress(0);
        };
        let part = OlderPart {
            mdl: mdl.addr(),
            base: base_of(base),
            current: current.addr() as u64,
            length: wanted,
            write_to_device: write_to_device != 0,
        };
        let Some((address, mapped)) = edge.map_older(record, part) else {
            return PhysicalAddress(0);
        };
        if mapped != wanted {
            // SAFETY: the caller's promise. Only a bus master's length changes, and nobody else looks at that.
            unsafe { memory::write(length, mapped) };
        }
        address.into()
    })
}

pub(super) extern "C" fn FlushAdapterBuffers(
    adapter: *mut Adapter,
    mdl: *mut Mdl,
    base: Pointer,
    current: Pointer,
    length: u32,
    write_to_device: u8,
) -> u8 {
    value(adapter, Operation::FlushAdapterBuffers, 0, |edge, record| {
        let part = OlderPart {
            mdl: mdl.addr(),
            base: base_of(base),
            current: current.addr() as u64,
            length,
            write_to_device: write_to_device != 0,
        };
        u8::from(edge.flush_older(record, part))
    })
}

/// # Safety
///
/// The context is NULL or has 128 bytes.
pub(super) unsafe extern "C" fn InitializeDmaTransferContext(
    adapter: *mut Adapter,
    context: Pointer,
) -> Status {
    const OPERATION: Operation = Operation::InitializeDmaTransferContext;
    status(adapter, OPERATION, |edge, record| {
        // SAFETY: the caller's promise. Whatever is there, every pattern of bits is words.
        let words = unsafe { memory::read(context.cast::<[u64; 2]>()) };
        let words = words.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-114"))?;
        let words = edge.initialize_context(record, words)?;
        // SAFETY: the caller's promise.
        unsafe { memory::set_context(context.cast(), words) };
        Ok(())
    })
}

/// # Safety
///
/// The context is NULL or has 128 bytes, and the place for the base is NULL or can be written.
pub(super) unsafe extern "C" fn AllocateAdapterChannelEx(
    adapter: *mut Adapter,
    device: Pointer,
    context: Pointer,
    registers: u32,
    flags: u32,
    routine: Option<DriverControl>,
    argument: Pointer,
    place: *mut Pointer,
) -> Status {
    const OPERATION: Operation = Operation::AllocateAdapterChannelEx;
    status(adapter, OPERATION, |edge, record| {
        // SAFETY: the caller's promise.
        let words = unsafe { memory::read(context.cast::<[u64; 2]>()) };
        let words = words.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-114"))?;
        let request = Request {
            device: device.expose_provenance(),
            registers,
            flags,
            routine,
            context: argument.expose_provenance(),
            place: !place.is_null(),
        };
        let base = edge.allocate_channel(record, words, request)?;
        // SAFETY: the caller's promise. Only a synchronous request has a place, and it is the caller's still.
        unsafe { memory::write(place, with_exposed_provenance_mut(base as usize)) };
        Ok(())
    })
}

pub(super) extern "C" fn ConfigureAdapterChannel(
    adapter: *mut Adapter,
    function: u32,
    argument: Pointer,
) -> Status {
    const OPERATION: Operation = Operation::ConfigureAdapterChannel;
    status(adapter, OPERATION, |edge, record| {
        let context = record.port.holder(None).unwrap_or_default();
        let answer = record
            .port
            .configure(&context, function, argument.expose_provenance());
        match answer.map_err(|refusal| edge.refused(OPERATION.name(), refusal))? {
            NtStatus::SUCCESS => Ok(()),
            other => Err(other),
        }
    })
}

/// # Safety
///
/// The context is NULL or has 128 bytes.
pub(super) unsafe extern "C" fn CancelAdapterChannel(
    adapter: *mut Adapter,
    device: Pointer,
    context: Pointer,
) -> u8 {
    const OPERATION: Operation = Operation::CancelAdapterChannel;
    value(adapter, OPERATION, 0, |edge, record| {
        // SAFETY: the caller's promise.
        let Some(words) = (unsafe { memory::read(context.cast::<[u64; 2]>()) }) else {
            bad_parameter(edge, OPERATION, "WDM-142");
            return 0;
        };
        let device = DeviceObject(device.expose_provenance());
        u8::from(record.port.cancel_allocation(&edge.context(words), device))
    })
}

/// # Safety
///
/// The length is NULL or stays there until the map is flushed; the list is NULL or as long as it is said to be.
pub(super) unsafe extern "C" fn MapTransferEx(
    adapter: *mut Adapter,
    mdl: *mut Mdl,
    base: Pointer,
    offset: u64,
    device_offset: u32,
    length: *mut u32,
    write_to_device: u8,
    list: *mut List,
    list_length: u32,
    routine: Option<CompletionRoutine>,
    argument: Pointer,
) -> Status {
    const OPERATION: Operation = Operation::MapTransferEx;
    status(adapter, OPERATION, |edge, record| {
        // SAFETY: the caller's promise.
        let (mapped, mut room) = unsafe { (memory::shared(length), ListRoom::new(list, list_length)) };
        let mapped = mapped.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-152"))?;
        if list.is_null() && list_length != 0 {
            return Err(bad_parameter(edge, OPERATION, "WDM-156"));
        }
        let part = Part {
            mdl: mdl.addr(),
            base: base_of(base),
            offset,
            length: mapped.load(Ordering::Relaxed),
            write_to_device: write_to_device != 0,
        };
        let extras = MapExtras {
            device_offset,
            mapped: Some(mapped),
            list: room.as_mut().map(|room| -> &mut dyn ElementList { room }),
            routine,
            context: argument.expose_provenance(),
        };
        edge.map_transfer(record, part, extras).map(drop)
    })
}

pub(super) extern "C" fn FlushAdapterBuffersEx(
    adapter: *mut Adapter,
    mdl: *mut Mdl,
    base: Pointer,
    offset: u64,
    length: u32,
    write_to_device: u8,
) -> Status {
    status(adapter, Operation::FlushAdapterBuffersEx, |edge, record| {
        let part = Part {
            mdl: mdl.addr(),
            base: base_of(base),
            offset,
            length,
            write_to_device: write_to_device != 0,
        };
        edge.flush_buffers(record, part)
    })
}

/// # Safety
///
/// The context is NULL or has 128 bytes.
pub(super) unsafe extern "C" fn CancelMappedTransfer(adapter: *mut Adapter, context: Pointer) -> Status {
    const OPERATION: Operation = Operation::CancelMappedTransfer;
    status(adapter, OPERATION, |edge, record| {
        // SAFETY: the caller's promise.
        let words = unsafe { memory::read(context.cast::<[u64; 2]>()) };
        let words = words.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-180"))?;
        let done = record.port.cancel_mapped(&edge.context(words));
        done.map_err(|refusal| edge.refused(OPERATION.name(), refusal))
    })
}

pub(super) extern "C" fn FreeAdapterChannel(adapter: *mut Adapter) {
    const OPERATION: Operation = Operation::FreeAdapterChannel;
    value(adapter, OPERATION, (), |edge, record| {
        if let Err(refusal) = record.port.free_channel() {
            edge.refused(OPERATION.name(), refusal);
        }
    });
}

pub(super) extern "C" fn FreeAdapterObject(adapter: *mut Adapter, action: u32) {
    const OPERATION: Operation = Operation::FreeAdapterObject;
    value(adapter, OPERATION, (), |edge, record| {
        edge.free_object(record, IoAllocationAction(action));
    });
}

pub(super) extern "C" fn FreeMapRegisters(adapter: *mut Adapter, base: Pointer, count: u32) {
    const OPERATION: Operation = Operation::FreeMapRegisters;
    value(adapter, OPERATION, (), |edge, record| {
        let Some(base) = RegisterBase::from_raw(base_of(base)) else {
            edge.verifier_stop(OPERATION.name(), Rule("WDM-132"), Code::REGISTERS_FREED_TWICE);
            return;
        };
        if let Err(refusal) = record.port.free_registers(base, count) {
            edge.refused(OPERATION.name(), refusal);
        }
    });
}
