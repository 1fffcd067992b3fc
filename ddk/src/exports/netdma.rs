//! The routines of `netdma.h`.
#![allow(non_snake_case, reason = "the names are Windows' own")]

use super::export;
use crate::abi::netdma::{PnpNotification, ProviderAttributes, ProviderCharacteristics};
use crate::abi::types::{PhysicalAddress, Pointer, Status};
use crate::edge::Edge;
use crate::handles::Handle;
use crate::memory;
use crate::told;
use longshore_core::NtStatus;
use std::ptr::{null_mut, with_exposed_provenance_mut};

pub(super) fn all() -> [*const (); 8] {
    [
        NetDmaGetVersion as *const (),
        NetDmaRegisterProvider as *const (),
        NetDmaDeregisterProvider as *const (),
        NetDmaProviderStart as *const (),
        NetDmaProviderStop as *const (),
        NetDmaPnPEventNotify as *const (),
        NetDmaIsr as *const (),
        NetDmaInterruptDpc as *const (),
    ]
}

fn handle(pointer: Pointer) -> Handle {
    Handle::from_raw(pointer.addr())
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn NetDmaGetVersion() -> u32 {
    export(0, |edge| {
        edge.at_passive("NetDmaGetVersion");
        edge.interface.version().unwrap_or(0)
    })
}

/// # Safety
///
/// The pointers are NULL or point at what the header says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn NetDmaRegisterProvider(
    context: Pointer,
    place: *mut Pointer,
    characteristics: *const ProviderCharacteristics,
) -> Status {
    export(NtStatus::UNSUCCESSFUL.into(), |edge| {
        // SAFETY: the caller's promise.
        let given = unsafe { memory::characteristics(characteristics) };
        let (Some(given), false) = (given, place.is_null()) else {
            return edge.refuse("NetDmaRegisterProvider", "NETDMA-020").into();
        };
        // Only from 2.0 on is there a name (NETDMA-020).
        let named = told::version(&given).counted();
        // SAFETY: the caller's promise.
        let name = named.then(|| unsafe { memory::text(&given.friendly_name) });
        let result = edge.register(context.expose_provenance(), &given, name.flatten());
        let pointer = result.map_or(null_mut(), |handle| with_exposed_provenance_mut(handle.raw()));
        // SAFETY: the caller's promise.
        unsafe { memory::write(place, pointer) };
        result.err().unwrap_or(NtStatus::SUCCESS).into()
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn NetDmaDeregisterProvider(provider: Pointer) {
    export((), |edge| edge.deregister_provider(handle(provider)));
}

/// # Safety
///
/// The attributes are NULL or what the header says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn NetDmaProviderStart(
    provider: Pointer,
    attributes: *const ProviderAttributes,
) {
    // SAFETY: the caller's promise.
    let attributes = unsafe { memory::read(attributes) };
    export((), |edge| edge.start_provider(handle(provider), attributes));
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn NetDmaProviderStop(provider: Pointer) {
    export((), |edge| edge.stop_provider(handle(provider)));
}

/// # Safety
///
/// The notification is NULL or what the header says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn NetDmaPnPEventNotify(
    provider: Pointer,
    notification: *const PnpNotification,
) {
    // SAFETY: the caller's promise.
    let notification = unsafe { memory::read(notification) };
    export((), |edge| edge.notify(handle(provider), notification));
}

/// Out of C code into NetDMA's: whoever holds a spin lock there can bring everybody to a halt.
fn check_no_lock(edge: &Edge, call: &'static str) {
    if edge.spin_locks.held_here(edge.world.as_ref()) {
        edge.refuse(call, "PAIN-10");
    }
}

/// # Safety
///
/// The place for the CPU is NULL or what the header says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn NetDmaIsr(channel: Pointer, last: PhysicalAddress, place: *mut u32) {
    let cpu = export(0, |edge| {
        let here = edge.world.cpu();
        let Some(channel) = edge.channels.get(handle(channel)) else {
            edge.refuse("NetDmaIsr", "NETDMA-100");
            return here.0;
        };
        match edge.world.isr(channel.interface.as_ref(), last.into()) {
            Some(cpu) => cpu.0,
            None => {
                edge.refuse("NetDmaIsr", "NETDMA-100");
                here.0
            }
        }
    });
    // SAFETY: the caller's promise.
    unsafe { memory::write(place, cpu) };
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn NetDmaInterruptDpc(channel: Pointer, last: PhysicalAddress) {
    export((), |edge| {
        check_no_lock(edge, "NetDmaInterruptDpc");
        let told = edge
            .channels
            .get(handle(channel))
            .is_some_and(|channel| edge.world.interrupt_dpc(channel.interface.as_ref(), last.into()));
        if !told {
            edge.refuse("NetDmaInterruptDpc", "NETDMA-102");
        }
    });
}
