//! The routines of `mdl.h`.
#![allow(non_snake_case, reason = "the names are Windows' own")]

use super::{export, refuse};
use crate::abi::dma::Mdl;
use crate::abi::types::Pointer;
use longshore_core::Event;
use std::ptr::{null_mut, with_exposed_provenance_mut};

pub(super) fn all() -> [*const (); 4] {
    [
        IoAllocateMdl as *const (),
        IoFreeMdl as *const (),
        MmBuildMdlForNonPagedPool as *const (),
        KeFlushIoBuffers as *const (),
    ]
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn IoAllocateMdl(
    address: Pointer,
    length: u32,
    _secondary: u8,
    _charge: u8,
    request: Pointer,
) -> *mut Mdl {
    export(null_mut(), |edge| {
        const CALL: &str = "IoAllocateMdl";
        if !edge.at_most_dispatch(CALL) {
            return null_mut();
        }
        if !request.is_null() {
            refuse(edge, CALL);
            return null_mut();
        }
        edge.allocate_mdl(address.expose_provenance(), length)
            .map_or(null_mut(), with_exposed_provenance_mut)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn IoFreeMdl(mdl: *mut Mdl) {
    export((), |edge| {
        const CALL: &str = "IoFreeMdl";
        if edge.at_most_dispatch(CALL) && !edge.free_mdl(mdl.addr()) {
            refuse(edge, CALL);
        }
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn MmBuildMdlForNonPagedPool(mdl: *mut Mdl) {
    export((), |edge| {
        const CALL: &str = "MmBuildMdlForNonPagedPool";
        if edge.at_most_dispatch(CALL) && !edge.build_mdl(mdl.addr()) {
            refuse(edge, CALL);
        }
    });
}

/// Map and flush do all the cache work there is, so this does none. Who has none but adapters of version 3 is told that
/// it is not wanted there (WDM-178, WDM-250): a remark, for it does no harm.
#[unsafe(no_mangle)]
pub(super) extern "C" fn KeFlushIoBuffers(mdl: *mut Mdl, _read: u8, _dma: u8) {
    export((), |edge| {
        const CALL: &str = "KeFlushIoBuffers";
        if !edge.at_most_dispatch(CALL) {
            return;
        }
        if edge.chain(mdl.addr()).is_err() {
            return refuse(edge, CALL);
        }
        if edge.adapters.are_newer() {
            edge.world.emit(Event::Note(NOT_WANTED));
        }
    });
}

/// What a driver of version 3 hears.
pub(super) const NOT_WANTED: &str = "KeFlushIoBuffers belongs to versions 1 and 2 (WDM-250)";
