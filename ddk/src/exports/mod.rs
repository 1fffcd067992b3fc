//! The routines that the headers declare.
//!
//! Each looks up the machine of its caller; without one it does nothing and returns what a refusal returns. No panic
//! leaves one: it goes on when the C code has returned.
#![allow(unsafe_code)] // Symbols without mangled names, and pointers of C code that are passed to `memory`.

mod absent;
mod dma;
mod kernel;
mod lists;
mod longshore;
mod mdl;
pub(crate) mod ndis;
mod netdma;
mod table;
mod transfers;

use crate::abi::types::Status;
use crate::calls;
use crate::current;
use crate::edge::{Edge, LEVEL};
use longshore_core::NtStatus;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the body of a routine on the machine of its caller.
fn export<R: Copy>(refused: R, body: impl FnOnce(&Edge) -> R) -> R {
    let Some(edge) = current::get() else {
        return refused;
    };
    let result = catch_unwind(AssertUnwindSafe(|| {
        edge.share_from_c();
        let result = body(&edge);
        edge.share_to_c();
        result
    }));
    // The body may have called Rust code that entered C code of another machine.
    edge.enter();
    result.unwrap_or_else(|payload| {
        calls::keep_panic(payload);
        refused
    })
}

/// What breaks the contract of the kernel's own objects is refused, and nothing is returned that could say so.
fn refuse(edge: &Edge, call: &'static str) {
    edge.misuse(call, LEVEL, NtStatus::INVALID_PARAMETER);
}

/// What is returned without a machine.
fn no_machine() -> Status {
    NtStatus::INVALID_DEVICE_STATE.into()
}

/// Makes the linker keep every routine, though no Rust code calls one.
pub(crate) fn keep() {
    std::hint::black_box([
        netdma::all().as_slice(),
        &kernel::all(),
        &longshore::all(),
        &mdl::all(),
        &dma::all(),
        &ndis::all(),
    ]);
}

#[cfg(test)]
mod tests;
