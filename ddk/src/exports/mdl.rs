//! The routines of `mdl.h`.
#![allow(non_snake_case, reason = "the names are Windows' own")]

use super::{export, refuse};
use crate::abi::dma::Mdl;
use crate::abi::types::Pointer;
use std::ptr::{null_mut, with_exposed_provenance_mut};

pub(super) fn all() -> [*const (); 3] {
    [
        IoAllocateMdl as *const (),
        IoFreeMdl as *const (),
        MmBuildMdlForNonPagedPool as *const (),
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
