//! The entries of the table that are refused: what later versions of Windows appended.
//!
//! Behind the size that a table says it has, nothing of it is there by the contract. A routine stands there all the same,
//! so that a driver which looks too far is refused, and told why, instead of ending the process.
#![allow(non_snake_case, reason = "the names are Windows' own")]

use super::dma::{status, value};
use crate::abi::dma::{Adapter, Mdl};
use crate::abi::types::{PhysicalAddress, Pointer, Status};
use longshore_core::NtStatus;
use longshore_wdm::Operation;
use std::ptr::null_mut;

pub(super) extern "C" fn AllocateDomainCommonBuffer(
    adapter: *mut Adapter,
    _: Pointer,
    _: *mut PhysicalAddress,
    _: u32,
    _: u32,
    _: *mut i32,
    _: u32,
    _: *mut PhysicalAddress,
    _: *mut Pointer,
) -> Status {
    status(adapter, Operation::AllocateDomainCommonBuffer, |_, _| {
        Err(NtStatus::NOT_SUPPORTED)
    })
}

pub(super) extern "C" fn FlushDmaBuffer(adapter: *mut Adapter, _: *mut Mdl, _: u8) -> Status {
    status(adapter, Operation::FlushDmaBuffer, |_, _| {
        Err(NtStatus::NOT_SUPPORTED)
    })
}

pub(super) extern "C" fn JoinDmaDomain(adapter: *mut Adapter, _: Pointer) -> Status {
    status(adapter, Operation::JoinDmaDomain, |_, _| {
        Err(NtStatus::NOT_SUPPORTED)
    })
}

pub(super) extern "C" fn LeaveDmaDomain(adapter: *mut Adapter) -> Status {
    status(adapter, Operation::LeaveDmaDomain, |_, _| {
        Err(NtStatus::NOT_SUPPORTED)
    })
}

pub(super) extern "C" fn GetDmaDomain(adapter: *mut Adapter) -> Pointer {
    value(adapter, Operation::GetDmaDomain, null_mut(), |_, _| null_mut())
}

pub(super) extern "C" fn AllocateCommonBufferWithBounds(
    adapter: *mut Adapter,
    _: *mut PhysicalAddress,
    _: *mut PhysicalAddress,
    _: u32,
    _: u32,
    _: *mut i32,
    _: u32,
    _: *mut PhysicalAddress,
) -> Pointer {
    value(
        adapter,
        Operation::AllocateCommonBufferWithBounds,
        null_mut(),
        |_, _| null_mut(),
    )
}

pub(super) extern "C" fn AllocateCommonBufferVector(
    adapter: *mut Adapter,
    _: PhysicalAddress,
    _: PhysicalAddress,
    _: i32,
    _: u32,
    _: u32,
    _: u32,
    _: u64,
    _: *mut Pointer,
) -> Status {
    status(adapter, Operation::AllocateCommonBufferVector, |_, _| {
        Err(NtStatus::NOT_SUPPORTED)
    })
}

pub(super) extern "C" fn GetCommonBufferFromVectorByIndex(
    adapter: *mut Adapter,
    _: Pointer,
    _: u32,
    _: *mut Pointer,
    _: *mut PhysicalAddress,
) {
    value(
        adapter,
        Operation::GetCommonBufferFromVectorByIndex,
        (),
        |_, _| (),
    );
}

pub(super) extern "C" fn FreeCommonBufferFromVector(adapter: *mut Adapter, _: Pointer, _: u32) {
    value(adapter, Operation::FreeCommonBufferFromVector, (), |_, _| ());
}

pub(super) extern "C" fn FreeCommonBufferVector(adapter: *mut Adapter, _: Pointer) {
    value(adapter, Operation::FreeCommonBufferVector, (), |_, _| ());
}

pub(super) extern "C" fn CreateCommonBufferFromMdl(
    adapter: *mut Adapter,
    _: *mut Mdl,
    _: Pointer,
    _: u32,
    _: *mut PhysicalAddress,
) -> Status {
    status(adapter, Operation::CreateCommonBufferFromMdl, |_, _| {
        Err(NtStatus::NOT_SUPPORTED)
    })
}
