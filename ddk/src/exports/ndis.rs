//! The routines of `ndis.h`.
#![allow(non_snake_case, reason = "the names are Windows' own")]

use super::{export, no_machine, refuse};
use crate::abi::dma::Mdl;
use crate::abi::ndis::{DmaDescription, DriverCharacteristics, ObjectHeader, RegistrationAttributes};
use crate::abi::types::{Pointer, Status, UnicodeString};
use crate::edge::Edge;
use crate::handles::Handle;
use crate::memory;
use crate::ndis::miniports::Told;
use crate::ndis::transfers::Transfer;
use longshore_core::{NtStatus, Rule};
use longshore_ndis::NdisStatus;
use std::ptr::{null_mut, with_exposed_provenance_mut};

pub(super) fn all() -> [*const (); 9] {
    [
        NdisMRegisterMiniportDriver as *const (),
        NdisMDeregisterMiniportDriver as *const (),
        NdisMSetMiniportAttributes as *const (),
        NdisMRegisterDmaChannel as *const (),
        NdisMDeregisterDmaChannel as *const (),
        NdisSetupDmaTransfer as *const (),
        NdisCompleteDmaTransfer as *const (),
        NdisMReadDmaCounter as *const (),
        NdisMGetDmaAlignment as *const (),
    ]
}

fn handle(pointer: Pointer) -> Handle {
    Handle::from_raw(pointer.addr())
}

fn status(status: NdisStatus) -> Status {
    NtStatus::from(status).into()
}

/// Writes the handle, or NULL where there is none, and returns the status.
///
/// # Safety
///
/// The place can be written.
unsafe fn hand_out(place: *mut Pointer, result: Result<Handle, NdisStatus>) -> Status {
    let pointer = result.map_or(null_mut(), |handle| with_exposed_provenance_mut(handle.raw()));
    // SAFETY: the caller's promise.
    unsafe { memory::write(place, pointer) };
    status(result.err().unwrap_or(NdisStatus::SUCCESS))
}

/// # Safety
///
/// The characteristics are NULL or as long as their header says; the place is NULL or can be written.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn NdisMRegisterMiniportDriver(
    driver: Pointer,
    _registry_path: *const UnicodeString,
    context: Pointer,
    characteristics: *const DriverCharacteristics,
    place: *mut Pointer,
) -> Status {
    export(no_machine(), |edge| {
        if place.is_null() {
            refuse(edge, "NdisMRegisterMiniportDriver");
            return status(NdisStatus::INVALID_PARAMETER);
        }
        let (kind, size) = (DriverCharacteristics::KIND, DriverCharacteristics::SIZE);
        // SAFETY: the caller's promise. Every pattern of bits is characteristics.
        let given = unsafe { memory::object(characteristics, kind, size) };
        let result = edge.register_miniport_driver(handle(driver), context.expose_provenance(), given);
        // SAFETY: the caller's promise.
        unsafe { hand_out(place, result) }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn NdisMDeregisterMiniportDriver(driver: Pointer) {
    export((), |edge| edge.deregister_miniport_driver(handle(driver)));
}

/// # Safety
///
/// The attributes are NULL or as long as their header says.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn NdisMSetMiniportAttributes(
    adapter: Pointer,
    attributes: *const RegistrationAttributes,
) -> Status {
    export(no_machine(), |edge| {
        // SAFETY: the caller's promise.
        let given = unsafe { told(attributes) };
        status(edge.set_miniport_attributes(handle(adapter), given))
    })
}

/// # Safety
///
/// The attributes are NULL or as long as their header says.
unsafe fn told(attributes: *const RegistrationAttributes) -> Option<Told> {
    let (kind, size) = (RegistrationAttributes::KIND, RegistrationAttributes::SIZE);
    // SAFETY: the caller's promise. Every kind begins with its header, and every pattern of bits is attributes.
    unsafe {
        let header = memory::read(attributes.cast::<ObjectHeader>())?;
        if RegistrationAttributes::OTHER_KINDS.contains(&header.kind) {
            return Some(Told::Other);
        }
        memory::object(attributes, kind, size).map(Told::Registration)
    }
}

/// # Safety
///
/// The description is NULL or can be read; the place is NULL or can be written.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn NdisMRegisterDmaChannel(
    place: *mut Pointer,
    adapter: Pointer,
    _channel: u32,
    addresses_32bit: u8,
    description: *const DmaDescription,
    maximum_length: u32,
) -> Status {
    export(no_machine(), |edge| {
        if place.is_null() {
            let failed = NdisStatus::FAILURE;
            edge.misuse("NdisMRegisterDmaChannel", Rule("NDIS-010"), failed.into());
            return status(failed);
        }
        // SAFETY: the caller's promise.
        let given = unsafe { memory::read(description) };
        let result = edge.register_channel(handle(adapter), given, addresses_32bit != 0, maximum_length);
        // SAFETY: the caller's promise.
        unsafe { hand_out(place, result) }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn NdisMDeregisterDmaChannel(channel: Pointer) {
    export((), |edge| edge.deregister_channel(handle(channel)));
}

/// Makes a call whose status goes to the first argument alone. Where that is NULL nothing is done.
///
/// # Safety
///
/// The place is NULL or can be written.
unsafe fn through(place: *mut Status, name: &'static str, call: impl FnOnce(&Edge) -> NdisStatus) {
    let outcome = export(NdisStatus::RESOURCES, |edge| {
        if place.is_null() {
            edge.misuse(name, Rule("NDIS-004"), NdisStatus::RESOURCES.into());
            return NdisStatus::RESOURCES;
        }
        call(edge)
    });
    // SAFETY: the caller's promise.
    unsafe { memory::write(place, status(outcome)) };
}

/// # Safety
///
/// The place for the status is NULL or can be written.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn NdisSetupDmaTransfer(
    place: *mut Status,
    channel: Pointer,
    buffer: *mut Mdl,
    offset: u32,
    length: u32,
    write_to_device: u8,
) {
    let transfer = Transfer {
        mdl: buffer.addr(),
        offset,
        length,
        write_to_device: write_to_device != 0,
    };
    // SAFETY: the caller's promise.
    unsafe {
        through(place, "NdisMSetupDmaTransfer", |edge| {
            edge.set_up_transfer(handle(channel), transfer)
        });
    }
}

/// # Safety
///
/// The place for the status is NULL or can be written.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn NdisCompleteDmaTransfer(
    place: *mut Status,
    channel: Pointer,
    buffer: *mut Mdl,
    offset: u32,
    length: u32,
    write_to_device: u8,
) {
    let transfer = Transfer {
        mdl: buffer.addr(),
        offset,
        length,
        write_to_device: write_to_device != 0,
    };
    // SAFETY: the caller's promise.
    unsafe {
        through(place, "NdisMCompleteDmaTransfer", |edge| {
            edge.complete_transfer(handle(channel), transfer)
        });
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn NdisMReadDmaCounter(channel: Pointer) -> u32 {
    export(0, |edge| edge.read_channel_counter(handle(channel)))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn NdisMGetDmaAlignment(adapter: Pointer) -> u32 {
    export(1, |edge| edge.dma_alignment(handle(adapter)))
}
