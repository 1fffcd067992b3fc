//! The routines of `longshore.h`.
#![allow(non_snake_case, reason = "named like Windows' own")]

use super::{export, no_machine};
use crate::abi::types::{PhysicalAddress, Pointer, Status};
use crate::calls::ServiceRoutine;
use crate::edge::{Edge, LEVEL};
use crate::handles::Handle;
use crate::memory;
use longshore_core::NtStatus;
use longshore_core::machine::Cpu;
use longshore_hardware::MemoryError;
use std::ptr::{null_mut, with_exposed_provenance_mut};

pub(super) fn all() -> [*const (); 11] {
    [
        LsReadPhysical as *const (),
        LsWritePhysical as *const (),
        LsCopyPhysical as *const (),
        LsLoadPhysical64 as *const (),
        LsStorePhysical64 as *const (),
        LsEngineProcessor as *const (),
        LsPoint as *const (),
        LsConnectInterrupt as *const (),
        LsDisconnectInterrupt as *const (),
        LsAssertInterrupt as *const (),
        LsDeassertInterrupt as *const (),
    ]
}

fn status(result: Result<(), MemoryError>) -> Status {
    match result {
        Ok(()) => NtStatus::SUCCESS,
        Err(MemoryError::BusError) => NtStatus::UNSUCCESSFUL,
        Err(_) => NtStatus::INVALID_PARAMETER,
    }
    .into()
}

fn refuse(edge: &Edge, call: &'static str) -> Status {
    edge.misuse(call, LEVEL, NtStatus::INVALID_PARAMETER).into()
}

/// # Safety
///
/// `to` is NULL or can be written for `length` bytes.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn LsReadPhysical(from: PhysicalAddress, to: *mut u8, length: usize) -> Status {
    export(no_machine(), |edge| {
        if to.is_null() && length > 0 {
            return refuse(edge, "LsReadPhysical");
        }
        // SAFETY: the caller's promise.
        status(unsafe { memory::carry_out(edge.world.memory(), from.into(), to, length) })
    })
}

/// # Safety
///
/// `from` is NULL or can be read for `length` bytes.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn LsWritePhysical(
    to: PhysicalAddress,
    from: *const u8,
    length: usize,
) -> Status {
    export(no_machine(), |edge| {
        if from.is_null() && length > 0 {
            return refuse(edge, "LsWritePhysical");
        }
        // SAFETY: the caller's promise.
        status(unsafe { memory::carry_in(edge.world.memory(), to.into(), from, length) })
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn LsCopyPhysical(to: PhysicalAddress, from: PhysicalAddress, length: usize) -> Status {
    export(no_machine(), |edge| {
        status(edge.world.memory().copy(to.into(), from.into(), length as u64))
    })
}

/// # Safety
///
/// `value` is NULL or can be written.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn LsLoadPhysical64(at: PhysicalAddress, value: *mut u64) -> Status {
    export(no_machine(), |edge| {
        if value.is_null() {
            return refuse(edge, "LsLoadPhysical64");
        }
        let loaded = edge.world.memory().load_u64(at.into());
        // SAFETY: the caller's promise.
        unsafe { memory::write(value, loaded.unwrap_or(0)) };
        status(loaded.map(drop))
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn LsStorePhysical64(at: PhysicalAddress, value: u64) -> Status {
    export(no_machine(), |edge| {
        status(edge.world.memory().store_u64(at.into(), value))
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn LsEngineProcessor(device: Pointer) -> u32 {
    export(0, |edge| {
        if !edge.is_device(Handle::from_raw(device.addr())) {
            refuse(edge, "LsEngineProcessor");
        }
        edge.engine.0
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn LsPoint() {
    export((), |edge| edge.world.point());
}

/// # Safety
///
/// `place` is NULL or can be written.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn LsConnectInterrupt(
    device: Pointer,
    processor: u32,
    routine: Option<ServiceRoutine>,
    context: Pointer,
    place: *mut Pointer,
) -> Status {
    export(no_machine(), |edge| {
        const CALL: &str = "LsConnectInterrupt";
        // SAFETY: the caller's promise.
        let written = unsafe { memory::write(place, null_mut()) };
        let device = Handle::from_raw(device.addr());
        let Some(routine) =
            routine.filter(|_| written && edge.is_device(device) && processor < edge.world.cpus())
        else {
            return refuse(edge, CALL);
        };
        if !edge.at_passive(CALL) {
            return NtStatus::UNSUCCESSFUL.into();
        }
        let context = context.expose_provenance();
        match edge
            .interrupts
            .connect(edge, device, Cpu(processor), routine, context)
        {
            Some(handle) => {
                // SAFETY: the caller's promise.
                unsafe { memory::write(place, with_exposed_provenance_mut(handle.raw())) };
                NtStatus::SUCCESS.into()
            }
            None => NtStatus::UNSUCCESSFUL.into(),
        }
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn LsDisconnectInterrupt(interrupt: Pointer) {
    export((), |edge| {
        const CALL: &str = "LsDisconnectInterrupt";
        if edge.at_passive(CALL) && !edge.interrupts.disconnect(Handle::from_raw(interrupt.addr())) {
            refuse(edge, CALL);
        }
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn LsAssertInterrupt(interrupt: Pointer) {
    set_line("LsAssertInterrupt", interrupt, true);
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn LsDeassertInterrupt(interrupt: Pointer) {
    set_line("LsDeassertInterrupt", interrupt, false);
}

fn set_line(call: &'static str, interrupt: Pointer, raised: bool) {
    export((), |edge| {
        if !edge.interrupts.set(Handle::from_raw(interrupt.addr()), raised) {
            refuse(edge, call);
        }
    });
}
