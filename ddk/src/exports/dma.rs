//! The routines of `dmaops.h`: the operations that the tables of adapters lead to, and nothing else does.
//!
//! Here are those of the adapter itself; those of its transfers are in [`transfers`](super::transfers).
#![allow(non_snake_case, reason = "the names are Windows' own")]

use super::{export, no_machine};
use crate::abi::dma::{Adapter, AdapterInfo, DeviceDescription, Mdl, TransferInfo, TransferInfo2};
use crate::abi::types::{PhysicalAddress, Pointer, Status};
use crate::dma::adapters::Record;
use crate::dma::transfers::Part;
use crate::edge::Edge;
use crate::memory;
use longshore_core::{NtStatus, Rule};
use longshore_wdm::{CommonBufferRequest, Operation};
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::Arc;

pub(super) fn all() -> [*const (); 1] {
    [IoGetDmaAdapter as *const ()]
}

/// Runs an operation that its caller may make; any other is answered with `refused`.
pub(super) fn value<R: Copy>(
    adapter: *mut Adapter,
    operation: Operation,
    refused: R,
    body: impl FnOnce(&Edge, &Arc<Record>) -> R,
) -> R {
    export(refused, |edge| {
        let record = edge.adapter_for(adapter.addr(), operation);
        record.map_or(refused, |record| body(edge, &record))
    })
}

/// The same for one that returns a status.
pub(super) fn status(
    adapter: *mut Adapter,
    operation: Operation,
    body: impl FnOnce(&Edge, &Arc<Record>) -> Result<(), NtStatus>,
) -> Status {
    export(no_machine(), |edge| {
        let record = edge.adapter_for(adapter.addr(), operation);
        let done = record.and_then(|record| body(edge, &record));
        done.err().unwrap_or(NtStatus::SUCCESS).into()
    })
}

/// A parameter is none.
pub(super) fn bad_parameter(edge: &Edge, operation: Operation, rule: &'static str) -> NtStatus {
    edge.misuse(operation.name(), Rule(rule), NtStatus::INVALID_PARAMETER)
}

/// # Safety
///
/// The pointers are NULL or what the header says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn IoGetDmaAdapter(
    device: Pointer,
    description: *const DeviceDescription,
    registers: *mut u32,
) -> *mut Adapter {
    export(null_mut(), |edge| {
        // SAFETY: the caller's promise.
        let given = unsafe { memory::description(description) };
        let got = edge.get_adapter(device.addr(), given, super::table::of);
        let (adapter, count) = got.unwrap_or_default();
        // SAFETY: the caller's promise. Where it is NULL nobody wants to know.
        unsafe { memory::write(registers, count) };
        with_exposed_provenance_mut(adapter)
    })
}

pub(super) extern "C" fn PutDmaAdapter(adapter: *mut Adapter) {
    value(adapter, Operation::PutDmaAdapter, (), |edge, record| {
        edge.put_adapter(record);
    });
}

/// # Safety
///
/// The place for the address is NULL or can be written.
unsafe fn common_buffer(
    adapter: *mut Adapter,
    operation: Operation,
    request: CommonBufferRequest,
    place: *mut PhysicalAddress,
) -> Pointer {
    value(adapter, operation, null_mut(), |edge, record| {
        if place.is_null() {
            bad_parameter(edge, operation, "WDM-220");
            return null_mut();
        }
        let Some((at, address)) = edge.allocate_common_buffer(record, operation, request) else {
            return null_mut();
        };
        // SAFETY: the caller's promise.
        unsafe { memory::write(place, address.into()) };
        with_exposed_provenance_mut(at)
    })
}

/// # Safety
///
/// The place for the address is NULL or can be written.
pub(super) unsafe extern "C" fn AllocateCommonBuffer(
    adapter: *mut Adapter,
    length: u32,
    place: *mut PhysicalAddress,
    cache: u8,
) -> Pointer {
    let request = CommonBufferRequest {
        cache_enabled: cache != 0,
        ..CommonBufferRequest::new(length)
    };
    // SAFETY: the caller's promise.
    unsafe { common_buffer(adapter, Operation::AllocateCommonBuffer, request, place) }
}

/// # Safety
///
/// The highest address is NULL or can be read; the place for the address is NULL or can be written.
pub(super) unsafe extern "C" fn AllocateCommonBufferEx(
    adapter: *mut Adapter,
    highest: *mut PhysicalAddress,
    length: u32,
    place: *mut PhysicalAddress,
    cache: u8,
    node: u32,
) -> Pointer {
    // SAFETY: the caller's promise.
    let highest = unsafe { memory::read(highest) };
    let request = CommonBufferRequest {
        length,
        cache_enabled: cache != 0,
        maximum_address: highest.map(Into::into),
        preferred_node: node,
    };
    // SAFETY: the caller's promise.
    unsafe { common_buffer(adapter, Operation::AllocateCommonBufferEx, request, place) }
}

pub(super) extern "C" fn FreeCommonBuffer(
    adapter: *mut Adapter,
    length: u32,
    address: PhysicalAddress,
    at: Pointer,
    cache: u8,
) {
    value(adapter, Operation::FreeCommonBuffer, (), |edge, record| {
        let _ = edge.free_common_buffer(record, at.addr(), length, address.into(), cache != 0);
    });
}

pub(super) extern "C" fn GetDmaAlignment(adapter: *mut Adapter) -> u32 {
    value(adapter, Operation::GetDmaAlignment, 1, |_, record| {
        record.port.alignment()
    })
}

pub(super) extern "C" fn ReadDmaCounter(adapter: *mut Adapter) -> u32 {
    value(adapter, Operation::ReadDmaCounter, 0, |_, record| {
        record.port.read_counter()
    })
}

/// # Safety
///
/// The answer is NULL, or as long as its version says.
pub(super) unsafe extern "C" fn GetDmaAdapterInfo(adapter: *mut Adapter, info: *mut AdapterInfo) -> Status {
    const OPERATION: Operation = Operation::GetDmaAdapterInfo;
    status(adapter, OPERATION, |edge, record| {
        // SAFETY: the caller's promise; each version begins with its number.
        let version = unsafe { memory::read(info.cast::<u32>()) };
        let version = version.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-073"))?;
        let told = record.port.info(version);
        let told = told.map_err(|refusal| edge.refused(OPERATION.name(), refusal))?;
        let answer = AdapterInfo {
            version,
            padding: 0,
            read_dma_counter_available: u32::from(told.read_counter_available),
            scatter_gather_limit: told.scatter_gather_limit,
            dma_address_width: told.address_width,
            flags: told.flags,
            minimum_transfer_unit: told.minimum_transfer_unit,
        };
        // SAFETY: the caller's promise.
        unsafe { memory::write(info, answer) };
        Ok(())
    })
}

/// # Safety
///
/// The answer is NULL, or as long as its version says.
pub(super) unsafe extern "C" fn GetDmaTransferInfo(
    adapter: *mut Adapter,
    mdl: *mut Mdl,
    offset: u64,
    length: u32,
    write_only: u8,
    info: *mut TransferInfo,
) -> Status {
    const OPERATION: Operation = Operation::GetDmaTransferInfo;
    status(adapter, OPERATION, |edge, record| {
        // SAFETY: the caller's promise; each version begins with its number.
        let version = unsafe { memory::read(info.cast::<u32>()) };
        let version = version.ok_or_else(|| bad_parameter(edge, OPERATION, "WDM-111"))?;
        let part = Part {
            mdl: mdl.addr(),
            base: 0,
            offset,
            length,
            write_to_device: write_only != 0,
        };
        let told = edge.transfer_info(record, version, part)?;
        let first = TransferInfo {
            version,
            map_register_count: told.map_registers,
            scatter_gather_element_count: told.elements,
            scatter_gather_list_size: told.list_size,
        };
        // SAFETY: the caller's promise. Only version 2 has the number of pages.
        unsafe {
            match told.logical_pages {
                Some(logical_page_count) => memory::write(
                    info.cast(),
                    TransferInfo2 {
                        first,
                        logical_page_count,
                    },
                ),
                None => memory::write(info, first),
            }
        };
        Ok(())
    })
}
