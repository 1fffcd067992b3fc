//! What Windows' own verifier stops a driver in C for, where Rust has nothing to get wrong.

use super::*;

fn info_of(adapter: *mut Adapter, table: Operations, mdl: *mut Mdl) -> Status {
    let mut info = TransferInfo {
        version: 1,
        ..TransferInfo::default()
    };
    // SAFETY: the answer has room; an MDL is only looked up.
    unsafe { (table.get_dma_transfer_info)(adapter, mdl, 0, 8, 0, &mut info) }
}

/// Proves: WDM-330, WDM-221.
#[test]
fn code_0x03_a_common_buffer_was_freed_twice() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let mut address = PhysicalAddress(0);
    // SAFETY: the adapter stands; what the buffer was is only compared.
    unsafe {
        let buffer = (table.allocate_common_buffer)(adapter, 100, &mut address, 1);
        (table.free_common_buffer)(adapter, 100, address, buffer, 1);
        assert_eq!(bench.stops(), []);
        (table.free_common_buffer)(adapter, 100, address, buffer, 1);
        let stop = ("FreeCommonBuffer", Code::COMMON_BUFFER_FREED_TWICE);
        assert_eq!(bench.stops(), [stop]);
        (table.put_dma_adapter)(adapter);
    }
    assert_eq!(bench.stops(), []);
}

/// Proves: WDM-330, WDM-331.
#[test]
fn code_0x0e_the_buffer_is_pageable_or_not_locked() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let stop = ("GetDmaTransferInfo", Code::NOT_LOCKED);
    let (built, bytes) = bench.mdl(100);
    assert_eq!(info_of(adapter, table, built), DONE);
    assert_eq!(bench.stops(), []);
    let unbuilt = IoAllocateMdl(bytes.cast(), 100, 0, 0, null_mut());
    assert_eq!(info_of(adapter, table, unbuilt), BAD);
    assert_eq!(bench.stops(), [stop]);
    // Flags that the driver has set itself lock nothing.
    // SAFETY: MDLs that are not freed can be written.
    unsafe { (*unbuilt).flags = Mdl::BUILT };
    assert_eq!(info_of(adapter, table, unbuilt), BAD);
    assert_eq!(bench.stops(), [stop]);
}

/// Proves: WDM-330, WDM-331.
#[test]
fn code_0x0e_the_flags_of_an_mdl_are_damaged() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let (mdl, _) = bench.mdl(100);
    for flags in [0, Mdl::BUILT | 0x2, !Mdl::BUILT, -1] {
        // SAFETY: MDLs that are not freed can be written.
        unsafe { (*mdl).flags = flags };
        assert_eq!(info_of(adapter, table, mdl), BAD, "{flags:#x}");
        assert_eq!(bench.stops(), [("GetDmaTransferInfo", Code::NOT_LOCKED)]);
    }
    // SAFETY: as above.
    unsafe { (*mdl).flags = Mdl::BUILT };
    assert_eq!(info_of(adapter, table, mdl), DONE, "nothing else has changed");
    assert_eq!(bench.stops(), []);
}

/// Proves: WDM-330.
#[test]
fn code_0x13_the_caller_ran_at_the_wrong_level() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    // SAFETY: the adapter stands.
    unsafe { (table.free_adapter_channel)(adapter) };
    assert_eq!(bench.stops(), [("FreeAdapterChannel", Code::WRONG_LEVEL)]);
    // SAFETY: the adapter stands.
    bench.raised(|| unsafe { (table.get_dma_alignment)(adapter) });
    assert_eq!(bench.stops(), [("GetDmaAlignment", Code::WRONG_LEVEL)]);
}

/// Proves: WDM-330, WDM-106.
#[test]
fn code_0x18_an_adapter_was_used_that_had_been_put() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    // SAFETY: the adapter is looked up and no more.
    unsafe {
        (table.put_dma_adapter)(adapter);
        assert_eq!(bench.stops(), []);
        (table.read_dma_counter)(adapter);
        (table.put_dma_adapter)(adapter);
    }
    let used = ["ReadDmaCounter", "PutDmaAdapter"].map(|call| (call, Code::RELEASED_ADAPTER));
    assert_eq!(bench.stops(), used);
}

/// Proves: WDM-330.
#[test]
fn code_0x19_there_was_no_adapter() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    // SAFETY: NULL is looked at.
    unsafe { (table.read_dma_counter)(null_mut()) };
    assert_eq!(bench.stops(), [("ReadDmaCounter", Code::NULL_ADAPTER)]);
    // What never was an adapter is refused as well, and Windows has no code for it.
    // SAFETY: it is looked up and no more.
    unsafe { (table.read_dma_counter)(with_exposed_provenance_mut(8)) };
    assert_eq!(bench.stops(), []);
    bench.misuse();
}

/// Proves: WDM-330, WDM-233.
#[test]
fn code_0x1b_the_address_is_not_inside_of_the_mdl() {
    let bench = Bench::new();
    let adapter = bench.adapter(1);
    let table = bench.table(adapter);
    let (mdl, bytes) = bench.mdl(64);
    let before = bytes.wrapping_sub(1).cast();
    let mut length = 16;
    // SAFETY: the adapter stands, and so does what is named; the address is an index.
    unsafe {
        assert_eq!(
            (table.map_transfer)(adapter, mdl, null_mut(), before, &mut length, 0).0,
            0
        );
        assert_eq!(bench.stops(), [("MapTransfer", Code::OUTSIDE_MDL)]);
        assert_eq!(
            (table.flush_adapter_buffers)(adapter, mdl, null_mut(), before, 16, 0),
            0
        );
        assert_eq!(bench.stops(), [("FlushAdapterBuffers", Code::OUTSIDE_MDL)]);
    }
}

/// Proves: WDM-330, WDM-191.
#[test]
fn code_0x04_a_channel_was_freed_that_nobody_holds() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    // SAFETY: the adapter stands.
    bench.raised(|| unsafe {
        (table.free_adapter_channel)(adapter);
        (table.free_adapter_object)(adapter, 2);
    });
    let freed = ["FreeAdapterChannel", "FreeAdapterObject"].map(|call| (call, Code::CHANNEL_FREED_TWICE));
    assert_eq!(bench.stops(), freed);
}

/// Proves: WDM-330, WDM-132.
#[test]
fn code_0x05_map_registers_were_freed_that_are_none() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    for base in [null_mut(), with_exposed_provenance_mut(64)] {
        // SAFETY: the adapter stands; the base is a number.
        bench.raised(|| unsafe { (table.free_map_registers)(adapter, base, 1) });
        assert_eq!(bench.stops(), [("FreeMapRegisters", Code::REGISTERS_FREED_TWICE)]);
    }
}

/// Proves: WDM-330.
#[test]
fn code_0x20_there_was_a_flush_and_nobody_holds_a_channel() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let (mdl, _) = bench.mdl(64);
    // SAFETY: the adapter stands, and so does the MDL.
    let flushed = unsafe { (table.flush_adapter_buffers_ex)(adapter, mdl, null_mut(), 0, 64, 0) };
    assert_eq!(flushed, BAD);
    assert_eq!(bench.stops(), [("FlushAdapterBuffersEx", Code::NEVER_MAPPED)]);
}

/// Proves: WDM-330, WDM-090.
#[test]
fn code_0x13_an_adapter_was_asked_for_above_passive() {
    let bench = Bench::new();
    assert!(bench.raised(|| bench.adapter(3)).is_null());
    assert_eq!(bench.stops(), [("IoGetDmaAdapter", Code::WRONG_LEVEL)]);
}

/// What was freed is described by no MDL any more, whatever stands in its place.
///
/// Proves: WDM-330, WDM-331.
#[test]
fn code_0x0e_the_common_buffer_of_an_mdl_is_freed() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let mut address = PhysicalAddress(0);
    // SAFETY: the adapter stands, and so does the buffer until it is freed.
    unsafe {
        let buffer = (table.allocate_common_buffer)(adapter, 100, &mut address, 1);
        let mdl = IoAllocateMdl(buffer, 100, 0, 0, null_mut());
        MmBuildMdlForNonPagedPool(mdl);
        assert_eq!(info_of(adapter, table, mdl), DONE);
        (table.free_common_buffer)(adapter, 100, address, buffer, 1);
        assert_eq!(bench.stops(), []);
        assert_eq!(info_of(adapter, table, mdl), BAD);
        assert_eq!(bench.stops(), [("GetDmaTransferInfo", Code::NOT_LOCKED)]);
        IoFreeMdl(mdl);
    }
}
