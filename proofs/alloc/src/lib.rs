//! A library that links every crate of the house that may allocate but may not use std.
//!
//! That it builds is the whole proof. If one of the crates, or anything below it, used std, the panic handler here
//! would be the second one, and rustc would stop (E0152).
//!
//! Build it with `cargo build --manifest-path proofs/alloc/Cargo.toml --target-dir target/proofs`.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;
use longshore_core::NtStatus;
use longshore_hardware::BusAddress;
use longshore_models::Step;
use longshore_netdma::Version;

// Named as a whole: linked, whatever they hold.
use longshore_engines as _;
use longshore_ndis as _;
use longshore_wdm as _;

#[panic_handler]
fn stop(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Has no memory to give. The proof is about linking, and nothing here is ever run.
struct Nothing;

// SAFETY: a null pointer is a valid answer to every request, and so `dealloc` is never called with anything else.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NOTHING: Nothing = Nothing;

/// What the proof takes by name, so that it is linked.
pub struct Linked {
    /// Of `hardware`.
    pub address: BusAddress,
    /// Of `core`.
    pub status: NtStatus,
    /// Of `models`.
    pub step: Step,
    /// Of `netdma`.
    pub version: Version,
}

/// Whether the model is idle: a symbol that the library exports.
// SAFETY: the name is this proof's own, and nothing else in the library has it.
#[unsafe(no_mangle)]
pub extern "C" fn longshore_proof_alloc(linked: &Linked) -> bool {
    linked.step == Step::Idle && !linked.address.is_null()
}
