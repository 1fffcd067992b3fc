//! The routines of `wdm.h`.
#![allow(non_snake_case, reason = "the names are Windows' own")]

use super::{export, refuse};
use crate::abi::types::{Kdpc, Pointer};
use crate::calls::DeferredRoutine;
use crate::memory;
use longshore_core::Irql;
use longshore_core::machine::Cpu;
use std::ptr::{null_mut, with_exposed_provenance_mut};

/// The most that `KeStallExecutionProcessor` waits, in microseconds.
const LONGEST_STALL: u32 = 50;

pub(super) fn all() -> [*const (); 17] {
    [
        KeGetCurrentProcessorNumber as *const (),
        KeGetCurrentIrql as *const (),
        KeRaiseIrql as *const (),
        KeLowerIrql as *const (),
        KeStallExecutionProcessor as *const (),
        KeInitializeSpinLock as *const (),
        KeAcquireSpinLockRaiseToDpc as *const (),
        KeReleaseSpinLock as *const (),
        KeAcquireSpinLockAtDpcLevel as *const (),
        KeReleaseSpinLockFromDpcLevel as *const (),
        KeInitializeDpc as *const (),
        KeSetTargetProcessorDpc as *const (),
        KeInsertQueueDpc as *const (),
        KeRemoveQueueDpc as *const (),
        KeFlushQueuedDpcs as *const (),
        ExAllocatePoolWithTag as *const (),
        ExFreePoolWithTag as *const (),
    ]
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeGetCurrentProcessorNumber() -> u32 {
    export(0, |edge| edge.world.cpu().0)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeGetCurrentIrql() -> u8 {
    export(Irql::PASSIVE.0, |edge| edge.world.level().0)
}

/// # Safety
///
/// The place for the level is NULL or can be written.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn KeRaiseIrql(level: u8, place: *mut u8) {
    let before = export(Irql::PASSIVE.0, |edge| {
        let before = edge.world.level();
        if (before..=Irql::DISPATCH).contains(&Irql(level)) {
            edge.world.set_level(Irql(level));
        } else {
            refuse(edge, "KeRaiseIrql");
        }
        before.0
    });
    // SAFETY: the caller's promise.
    unsafe { memory::write(place, before) };
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeLowerIrql(level: u8) {
    export((), |edge| {
        if Irql(level) > edge.world.level() || edge.spin_locks.held_here(edge.world.as_ref()) {
            return refuse(edge, "KeLowerIrql");
        }
        edge.world.set_level(Irql(level));
        edge.world.point();
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeStallExecutionProcessor(microseconds: u32) {
    export((), |edge| {
        (0..microseconds.min(LONGEST_STALL)).for_each(|_| edge.world.relax());
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeInitializeSpinLock(lock: *mut usize) {
    export((), |edge| {
        if lock.is_null() {
            refuse(edge, "KeInitializeSpinLock");
        } else {
            edge.spin_locks.initialize(lock.addr());
        }
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeAcquireSpinLockRaiseToDpc(lock: *mut usize) -> u8 {
    export(Irql::PASSIVE.0, |edge| {
        const CALL: &str = "KeAcquireSpinLock";
        let level = edge.world.level();
        if edge.at_most_dispatch(CALL)
            && edge
                .spin_locks
                .acquire(edge.world.as_ref(), lock.addr())
                .is_none()
        {
            refuse(edge, CALL);
        }
        level.0
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeReleaseSpinLock(lock: *mut usize, level: u8) {
    export((), |edge| {
        if !edge
            .spin_locks
            .release(edge.world.as_ref(), lock.addr(), Irql(level))
        {
            refuse(edge, "KeReleaseSpinLock");
        }
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeAcquireSpinLockAtDpcLevel(lock: *mut usize) {
    export((), |edge| {
        const CALL: &str = "KeAcquireSpinLockAtDpcLevel";
        let right = edge.world.level() == Irql::DISPATCH;
        if !right
            || edge
                .spin_locks
                .acquire(edge.world.as_ref(), lock.addr())
                .is_none()
        {
            refuse(edge, CALL);
        }
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeReleaseSpinLockFromDpcLevel(lock: *mut usize) {
    export((), |edge| {
        if !edge
            .spin_locks
            .release(edge.world.as_ref(), lock.addr(), Irql::DISPATCH)
        {
            refuse(edge, "KeReleaseSpinLockFromDpcLevel");
        }
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeInitializeDpc(dpc: *mut Kdpc, routine: Option<DeferredRoutine>, context: Pointer) {
    export((), |edge| match routine {
        Some(routine) if !dpc.is_null() => {
            edge.deferreds
                .initialize(dpc.expose_provenance(), routine, context.expose_provenance());
        }
        _ => refuse(edge, "KeInitializeDpc"),
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeSetTargetProcessorDpc(dpc: *mut Kdpc, number: i8) {
    export((), |edge| {
        let cpu = u32::try_from(number).unwrap_or(u32::MAX);
        if !edge.deferreds.set_target(dpc.addr(), Cpu(cpu)) {
            refuse(edge, "KeSetTargetProcessorDpc");
        }
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeInsertQueueDpc(dpc: *mut Kdpc, first: Pointer, second: Pointer) -> u8 {
    export(0, |edge| {
        let arguments = [first, second].map(Pointer::expose_provenance);
        match edge.deferreds.insert(dpc.addr(), edge.world.cpu(), arguments) {
            Some(queued) => u8::from(queued),
            None => {
                refuse(edge, "KeInsertQueueDpc");
                0
            }
        }
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeRemoveQueueDpc(dpc: *mut Kdpc) -> u8 {
    export(0, |edge| match edge.deferreds.remove(dpc.addr()) {
        Some(removed) => u8::from(removed),
        None => {
            refuse(edge, "KeRemoveQueueDpc");
            0
        }
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn KeFlushQueuedDpcs() {
    export((), |edge| {
        if edge.at_passive("KeFlushQueuedDpcs") {
            edge.deferreds.flush(edge.world.as_ref());
        }
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn ExAllocatePoolWithTag(_: u32, bytes: usize, tag: u32) -> Pointer {
    export(null_mut(), |edge| {
        if !edge.at_most_dispatch("ExAllocatePoolWithTag") {
            return null_mut();
        }
        edge.pool
            .allocate(bytes, tag)
            .map_or(null_mut(), with_exposed_provenance_mut)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn ExFreePoolWithTag(block: Pointer, tag: u32) {
    export((), |edge| {
        const CALL: &str = "ExFreePoolWithTag";
        if !edge.at_most_dispatch(CALL) {
            return;
        }
        let Some(block) = edge.pool.free(block.addr(), tag) else {
            return refuse(edge, CALL);
        };
        let queued = edge.deferreds.forget(block.range());
        let held = edge.spin_locks.forget(block.range());
        let described = edge.mdls.forget(&block.range());
        if queued || held || described {
            refuse(edge, CALL);
        }
    });
}
