//! Calls into C code.
#![allow(unsafe_code)] // Each function here calls one kind of C routine, through the pointer that C code handed in.

use crate::abi::dma::{CompletionRoutine, DriverControl, DriverListControl};
use crate::abi::ndis::{HaltHandler, InitParameters, InitializeHandler};
use crate::abi::netdma::{
    AllocateHandler, ChainHandler, ChannelCpuAffinity, ChannelParameters, CommandHandler, FreeHandler,
    SetAffinityHandler, SuspendHandler,
};
use crate::abi::types::{Pointer, Status};
use crate::edge::Edge;
use crate::handles::Handle;
use longshore_core::NtStatus;
use longshore_hardware::BusAddress;
use longshore_ndis::NdisStatus;
use longshore_wdm::{DmaCompletionStatus, IoAllocationAction};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::ptr::{null_mut, with_exposed_provenance_mut};

/// `KDEFERRED_ROUTINE`.
pub(crate) type DeferredRoutine = unsafe extern "C" fn(Pointer, Pointer, Pointer, Pointer);
/// `KSERVICE_ROUTINE`.
pub(crate) type ServiceRoutine = unsafe extern "C" fn(Pointer, Pointer) -> u8;
/// `LsAttachDevice`.
pub(crate) type AttachRoutine = unsafe extern "C" fn(Pointer, *mut Pointer) -> Status;
/// `LsDetachDevice`.
pub(crate) type DetachRoutine = unsafe extern "C" fn(Pointer);

/// How many panics may wait for the same C code to return. On a machine that was switched off each call may be one, so
/// code that polls without a bound would never end.
const PATIENCE: u32 = 100_000;

thread_local! {
    static CAUGHT: RefCell<Option<Box<dyn Any + Send>>> = const { RefCell::new(None) };
    static WAITING: Cell<u32> = const { Cell::new(0) };
}

/// Keeps a panic that must not cross C code until the C code has returned. If it never does, the process ends.
pub(crate) fn keep_panic(payload: Box<dyn Any + Send>) {
    let before = CAUGHT.replace(Some(payload));
    drop(before);
    WAITING.set(WAITING.get() + 1);
    if WAITING.get() > PATIENCE {
        eprintln!("C code goes on for ever although its machine is switched off");
        std::process::abort();
    }
}

/// Calls C code on the machine of `edge`. A panic of ours that it could not see goes on once it has returned.
fn into_c<R>(edge: &Edge, call: impl FnOnce() -> R) -> R {
    edge.enter();
    edge.share_to_c();
    let result = call();
    edge.share_from_c();
    if !std::thread::panicking()
        && let Some(payload) = CAUGHT.take()
    {
        WAITING.set(0);
        resume_unwind(payload);
    }
    result
}

fn pointer(number: usize) -> Pointer {
    with_exposed_provenance_mut(number)
}

// SAFETY of every call below: the pointer is not NULL, and C code handed it in (or exports it) as a routine of this
// type, so that it is one is C's own promise; no Rust code can check it. What is passed are C's own contexts, handles
// that are numbers, and pointers to locals that live as long as the call. No panic comes back: C code has none, and
// ours stop at the exports. `ddk/tests/provider.rs` and `ddk/tests/driver.rs` call each of them.

pub(crate) fn deferred_routine(
    edge: &Edge,
    routine: DeferredRoutine,
    dpc: usize,
    context: usize,
    arguments: [usize; 2],
) {
    let [first, second] = arguments.map(pointer);
    // SAFETY: as above.
    into_c(edge, || unsafe {
        routine(pointer(dpc), pointer(context), first, second);
    });
}

pub(crate) fn service_routine(edge: &Edge, routine: ServiceRoutine, handle: usize, context: usize) -> bool {
    // SAFETY: as above.
    into_c(edge, || unsafe { routine(pointer(handle), pointer(context)) }) != 0
}

pub(crate) fn attach(edge: &Edge, routine: AttachRoutine, device: Handle) -> (NtStatus, usize) {
    let mut context = null_mut();
    // SAFETY: as above.
    let status = into_c(edge, || unsafe { routine(pointer(device.raw()), &mut context) });
    (status.into(), context.expose_provenance())
}

pub(crate) fn detach(edge: &Edge, routine: DetachRoutine, context: usize) {
    // SAFETY: as above.
    into_c(edge, || unsafe { routine(pointer(context)) });
}

pub(crate) fn set_affinity(
    edge: &Edge,
    handler: SetAffinityHandler,
    context: usize,
    entries: &mut [ChannelCpuAffinity],
) -> NtStatus {
    let bytes = u32::try_from(size_of_val(entries)).unwrap_or(0);
    // SAFETY: as above.
    let status = into_c(edge, || unsafe {
        handler(pointer(context), entries.as_mut_ptr(), bytes)
    });
    status.into()
}

pub(crate) fn allocate(
    edge: &Edge,
    handler: AllocateHandler,
    context: usize,
    parameters: &mut ChannelParameters,
    handle: Handle,
) -> (NtStatus, usize) {
    let mut channel = null_mut();
    // SAFETY: as above.
    let status = into_c(edge, || unsafe {
        handler(pointer(context), parameters, pointer(handle.raw()), &mut channel)
    });
    (status.into(), channel.expose_provenance())
}

pub(crate) fn free(edge: &Edge, handler: FreeHandler, channel: usize) {
    // SAFETY: as above.
    into_c(edge, || unsafe { handler(pointer(channel)) });
}

/// Start or append.
pub(crate) fn chain(
    edge: &Edge,
    handler: ChainHandler,
    channel: usize,
    first: BusAddress,
    count: u32,
) -> NtStatus {
    // The memory of the machine is not mapped for C code, so there is no virtual address to tell.
    // SAFETY: as above.
    into_c(edge, || unsafe {
        handler(pointer(channel), null_mut(), first.into(), count)
    })
    .into()
}

/// Suspend. What the location receives is the address itself (AMB-13), so it is never followed.
pub(crate) fn suspend(edge: &Edge, handler: SuspendHandler, channel: usize) -> (NtStatus, BusAddress) {
    let mut last = null_mut();
    // SAFETY: as above.
    let status = into_c(edge, || unsafe { handler(pointer(channel), &mut last) });
    (status.into(), BusAddress::new(last.addr() as u64))
}

/// Resume, abort or reset.
pub(crate) fn command(edge: &Edge, handler: CommandHandler, channel: usize) -> NtStatus {
    // SAFETY: as above.
    into_c(edge, || unsafe { handler(pointer(channel)) }).into()
}

/// AdapterControl. There are no requests here, so it gets none.
pub(crate) fn driver_control(
    edge: &Edge,
    routine: DriverControl,
    device: usize,
    base: u64,
    context: usize,
) -> IoAllocationAction {
    // SAFETY: as above.
    let action = into_c(edge, || unsafe {
        routine(
            pointer(device),
            null_mut(),
            pointer(base as usize),
            pointer(context),
        )
    });
    IoAllocationAction(action)
}

/// AdapterListControl. The list is NULL if nothing could be mapped when its turn came.
pub(crate) fn driver_list_control(
    edge: &Edge,
    routine: DriverListControl,
    device: usize,
    list: usize,
    context: usize,
) {
    // SAFETY: as above.
    into_c(edge, || unsafe {
        routine(
            pointer(device),
            null_mut(),
            with_exposed_provenance_mut(list),
            pointer(context),
        );
    });
}

/// MiniportInitializeEx.
pub(crate) fn initialize_miniport(
    edge: &Edge,
    handler: InitializeHandler,
    adapter: Handle,
    context: usize,
    parameters: &mut InitParameters,
) -> NdisStatus {
    // SAFETY: as above.
    let status = into_c(edge, || unsafe {
        handler(pointer(adapter.raw()), pointer(context), parameters)
    });
    NdisStatus(NtStatus::from(status).0)
}

/// MiniportHaltEx, since the device is disabled.
pub(crate) fn halt_miniport(edge: &Edge, handler: HaltHandler, context: usize) {
    const DEVICE_DISABLED: u32 = 0;
    // SAFETY: as above.
    into_c(edge, || unsafe { handler(pointer(context), DEVICE_DISABLED) });
}

/// DmaCompletionRoutine.
pub(crate) fn dma_completion(
    edge: &Edge,
    routine: CompletionRoutine,
    adapter: usize,
    device: usize,
    context: usize,
    status: DmaCompletionStatus,
) {
    // SAFETY: as above.
    into_c(edge, || unsafe {
        routine(
            with_exposed_provenance_mut(adapter),
            pointer(device),
            pointer(context),
            status.0,
        );
    });
}
