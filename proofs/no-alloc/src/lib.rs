//! A library that links `hardware` and `core` without std and without an allocator.
//!
//! That it builds is the whole proof. If either crate, or anything below it, used std, the panic handler here would
//! be the second one, and rustc would stop (E0152). If it used `alloc`, rustc would miss an allocator.
//!
//! Build it with `cargo build --manifest-path proofs/no-alloc/Cargo.toml --target-dir target/proofs`.
#![no_std]

use core::panic::PanicInfo;
use longshore_core::completion::{Cell, Outcome};
use longshore_hardware::BusAddress;

#[panic_handler]
fn stop(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Runs one operation of a cell, and adds to an address: something of each crate, so that each is linked.
// SAFETY: the name is this proof's own, and nothing else in the library has it.
#[unsafe(no_mangle)]
pub extern "C" fn longshore_proof_no_alloc(address: u64) -> u64 {
    static CELL: Cell = Cell::new();
    let outcome = CELL
        .begin(&())
        .ok()
        .and_then(|ticket| CELL.end_owned(ticket, Outcome::COMPLETED, &()).ok())
        .map(|delivery| delivery.deliver());
    let moved = outcome.map_or(0, |outcome| outcome.residue);
    BusAddress::new(address)
        .checked_add(moved)
        .map_or(0, BusAddress::raw)
}
