//! What a caller of the DMA operations may do wrong. Bus masters need no controller, so they play here.

use super::super::mdl::*;
use super::*;
use crate::abi::dma::{Adapter, AdapterInfo, DeviceDescription, Element, List, Mdl, TransferInfo};
use crate::abi::operations::Operations;
use crate::exports::dma::IoGetDmaAdapter;

mod stops;

const NOT_SUPPORTED: Status = Status(NtStatus::NOT_SUPPORTED.0.cast_signed());
const BAD: Status = Status(NtStatus::INVALID_PARAMETER.0.cast_signed());

fn description(version: u32) -> DeviceDescription {
    DeviceDescription {
        version,
        master: 1,
        scatter_gather: 1,
        dma_32_bit_addresses: 1,
        maximum_length: 8192,
        dma_address_width: 64,
        ..DeviceDescription::default()
    }
}

impl Bench {
    /// An adapter for a bus master, or NULL.
    fn adapter(&self, version: u32) -> *mut Adapter {
        let mut registers = u32::MAX;
        // SAFETY: the pointers are good.
        unsafe { IoGetDmaAdapter(self.device, &description(version), &mut registers) }
    }

    /// The table behind an adapter that was not put back.
    fn table(&self, adapter: *mut Adapter) -> Operations {
        assert!(!adapter.is_null());
        // SAFETY: the adapter stands, and so does its table.
        unsafe { *(*adapter).operations }
    }

    /// An MDL over `length` bytes of pool memory, which was built.
    fn mdl(&self, length: u32) -> (*mut Mdl, *mut u8) {
        let bytes = ExAllocatePoolWithTag(0, length as usize, 1);
        let mdl = IoAllocateMdl(bytes, length, 0, 0, null_mut());
        MmBuildMdlForNonPagedPool(mdl);
        (mdl, bytes.cast())
    }
}

/// Room for a list with so many elements, and what was in it before.
#[repr(C)]
struct Room {
    list: List,
    elements: [Element; 2],
}

/// Proves: WDM-032, WDM-033, WDM-036, WDM-037, A-01.
#[test]
fn every_adapter_is_of_version_1_and_its_table_says_how_long_it_is() {
    let bench = Bench::new();
    for (version, size) in [(0, 104), (1, 104), (2, 128), (3, 232)] {
        let adapter = bench.adapter(version);
        let table = bench.table(adapter);
        // SAFETY: it stands.
        let told = unsafe { *adapter };
        assert_eq!((told.version, told.size), (1, 16), "{version}");
        assert_eq!(table.size, size, "{version}");
        // SAFETY: it stands, and is put back once.
        unsafe { (table.put_dma_adapter)(adapter) };
    }
    assert_eq!(bench.misuse(), []);
}

/// Proves: WDM-100.
#[test]
fn an_adapter_that_cannot_be_is_null() {
    let bench = Bench::new();
    assert!(bench.adapter(4).is_null() && bench.adapter(u32::MAX).is_null());
    let get = |device: Pointer, description: *const DeviceDescription| {
        let mut registers = 7;
        // SAFETY: the pointers are NULL or good.
        let adapter = unsafe { IoGetDmaAdapter(device, description, &mut registers) };
        (adapter.is_null(), registers)
    };
    bench.misuse();
    assert_eq!(get(bench.device, null()), (true, 0));
    assert_eq!(get(with_exposed_provenance_mut(5), &description(3)), (true, 0));
    assert_eq!(bench.misuse(), [("IoGetDmaAdapter", "WDM-100"); 2]);
    assert!(bench.raised(|| bench.adapter(3)).is_null());
    assert_eq!(bench.misuse(), [("IoGetDmaAdapter", "A-26")]);
    assert!(!get(null_mut(), &description(3)).0, "the device need not be said");
}

/// An older description has 40 bytes, and no more are read.
#[test]
fn an_old_description_is_read_no_further_than_it_goes() {
    let bench = Bench::new();
    let whole = description(2);
    let mut registers = 0;
    let bytes = ExAllocatePoolWithTag(0, 40, 1);
    // SAFETY: 40 bytes can be written there; the pointers are good.
    let adapter = unsafe {
        std::ptr::copy_nonoverlapping((&raw const whole).cast::<u8>(), bytes.cast(), 40);
        IoGetDmaAdapter(bench.device, bytes.cast(), &mut registers)
    };
    assert!(!adapter.is_null() && registers > 0);
}

/// Proves: WDM-249.
#[test]
fn what_stands_behind_a_table_refuses() {
    let bench = Bench::new();
    let (old, new) = (bench.adapter(1), bench.adapter(3));
    let (first, third) = (bench.table(old), bench.table(new));
    let mut info = AdapterInfo {
        version: 1,
        ..AdapterInfo::default()
    };
    let mut place = null_mut();
    bench.misuse();
    // SAFETY: the adapters stand, and so does whatever else is named.
    unsafe {
        assert_eq!((first.get_dma_adapter_info)(old, &mut info), NOT_SUPPORTED);
        assert_eq!(bench.misuse(), [("GetDmaAdapterInfo", "WDM-249")]);
        assert_eq!((third.get_dma_adapter_info)(new, &mut info), DONE);
        assert_eq!((info.dma_address_width, info.flags), (64, 0));
        assert_eq!((third.flush_dma_buffer)(new, null_mut(), 0), NOT_SUPPORTED);
        assert_eq!((third.leave_dma_domain)(new), NOT_SUPPORTED);
        assert!((third.get_dma_domain)(new).is_null());
        let (low, high) = (PhysicalAddress(0), PhysicalAddress(-1));
        let vector = (third.allocate_common_buffer_vector)(new, low, high, 1, 0, 0, 1, 1, &mut place);
        assert_eq!(vector, NOT_SUPPORTED);
        (third.free_common_buffer_vector)(new, null_mut());
    }
    assert_eq!(
        bench.misuse(),
        [],
        "there is no such operation, which is nobody's fault"
    );
}

/// Proves: WDM-038.
#[test]
fn an_adapter_is_known_by_where_it_stands() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    // SAFETY: it stands.
    let mut copy = unsafe { *adapter };
    // SAFETY: what is no adapter is only looked up; the real one is put back, and its memory stays for a while.
    unsafe {
        assert_eq!((table.read_dma_counter)(&mut copy), 0);
        assert_eq!((table.read_dma_counter)(null_mut()), 0);
        (table.put_dma_adapter)(adapter);
        assert_eq!((*adapter).version, 1);
        (table.put_dma_adapter)(adapter);
    }
    let refused = [
        ("ReadDmaCounter", "WDM-038"),
        ("ReadDmaCounter", "WDM-038"),
        ("PutDmaAdapter", "WDM-038"),
    ];
    assert_eq!(bench.misuse(), refused);
}

/// Proves: WDM-090, A-26.
#[test]
fn each_operation_is_refused_at_a_level_that_is_not_its_own() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let (zero, mut number) = (PhysicalAddress(0), 0);
    let none: Pointer = null_mut();
    // SAFETY: the adapter stands, and everything else is NULL: nothing of it is looked at.
    unsafe {
        // Exactly DISPATCH.
        (table.allocate_adapter_channel)(adapter, none, 0, None, none);
        (table.free_adapter_channel)(adapter);
        (table.free_map_registers)(adapter, none, 0);
        (table.get_scatter_gather_list)(adapter, none, null_mut(), none, 0, None, none, 0);
        (table.put_scatter_gather_list)(adapter, null_mut(), 0);
        (table.build_scatter_gather_list)(adapter, none, null_mut(), none, 0, None, none, 0, none, 0);
        (table.allocate_adapter_channel_ex)(adapter, none, none, 0, 0, None, none, null_mut());
        (table.build_scatter_gather_list_ex)(
            adapter,
            none,
            none,
            null_mut(),
            0,
            0,
            0,
            None,
            none,
            0,
            none,
            0,
            None,
            none,
            none,
        );
        let at_passive = bench.misuse();
        assert_eq!(at_passive.len(), 8);
        assert!(
            at_passive.iter().all(|(_, rule)| *rule == "WDM-090"),
            "{at_passive:?}"
        );
        bench.raised(|| {
            assert!((table.allocate_common_buffer)(adapter, 1, null_mut(), 1).is_null());
            (table.free_common_buffer)(adapter, 1, zero, none, 1);
            (table.get_dma_alignment)(adapter);
            (table.allocate_common_buffer_ex)(adapter, null_mut(), 1, null_mut(), 1, 0);
        });
        let raised = bench.misuse();
        assert_eq!(raised.len(), 4);
        assert!(raised.iter().all(|(_, rule)| *rule == "WDM-090"), "{raised:?}");
        // What is for any level, or for all up to DISPATCH, is not refused for that.
        (table.read_dma_counter)(adapter);
        bench.raised(|| (table.read_dma_counter)(adapter));
        (table.calculate_scatter_gather_list)(adapter, null_mut(), none, 0, &mut number, null_mut());
        assert!(bench.misuse().iter().all(|(_, rule)| *rule != "WDM-090"));
    }
}

/// Proves: WDM-030, WDM-044, A-30.
#[test]
fn a_context_is_a_number_at_any_address() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let mut bytes = [0xffu8; 160];
    let allocate = |context: *mut u8| {
        let mut base = null_mut();
        // SAFETY: 128 bytes can be read and written there.
        bench.raised(|| unsafe {
            (table.allocate_adapter_channel_ex)(
                adapter,
                null_mut(),
                context.cast(),
                0,
                1,
                None,
                null_mut(),
                &mut base,
            )
        })
    };
    for at in [0, 1, 3, 17] {
        let context = bytes[at..].as_mut_ptr();
        assert_eq!(allocate(context), BAD, "it was never initialised");
        // SAFETY: as above.
        unsafe {
            assert_eq!(
                (table.initialize_dma_transfer_context)(adapter, context.cast()),
                DONE
            );
            assert_eq!(*context.add(127), 0, "all of it is written");
            assert_eq!(*context.add(128), 0xff, "and nothing more");
        }
        assert_eq!(allocate(context), DONE);
        // A copy names the same context, which is taken.
        let mut copy = bytes[at..at + 128].to_vec();
        assert_eq!(allocate(copy.as_mut_ptr()), BAD);
        // SAFETY: the adapter stands.
        bench.raised(|| unsafe { (table.free_adapter_channel)(adapter) });
        bytes.fill(0xff);
    }
    // SAFETY: as above; NULL is looked at.
    unsafe {
        assert_eq!((table.initialize_dma_transfer_context)(adapter, null_mut()), BAD);
        assert_eq!((table.cancel_adapter_channel)(adapter, null_mut(), null_mut()), 0);
        assert_eq!((table.cancel_mapped_transfer)(adapter, null_mut()), BAD);
    }
}

#[test]
fn a_chain_that_is_none_is_refused() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let (first, _) = bench.mdl(100);
    let (second, bytes) = bench.mdl(200);
    let ask = |mdl: *mut Mdl, length| {
        let mut info = TransferInfo {
            version: 1,
            ..TransferInfo::default()
        };
        // SAFETY: the answer has room; an MDL is only looked up.
        unsafe { (table.get_dma_transfer_info)(adapter, mdl, 0, length, 0, &mut info) }
    };
    let link = |from: *mut Mdl, to| {
        // SAFETY: MDLs that are not freed can be written.
        unsafe { (*from).next = to };
    };
    assert_eq!(ask(first, 100), DONE);
    assert_eq!(ask(first, 101), BAD, "it is not so long");
    link(first, second);
    assert_eq!(ask(first, 300), DONE);
    link(second, first);
    bench.misuse();
    assert_eq!(ask(first, 300), BAD, "in a circle");
    link(second, with_exposed_provenance_mut(0x1001));
    assert_eq!(ask(first, 300), BAD, "to nowhere");
    let unbuilt = IoAllocateMdl(bytes.cast(), 10, 0, 0, null_mut());
    link(second, unbuilt);
    assert_eq!(
        (ask(first, 300), ask(unbuilt, 1), ask(null_mut(), 1)),
        (BAD, BAD, BAD)
    );
    let broken = [("GetDmaTransferInfo", "WDM-151"); 5];
    assert_eq!(bench.misuse(), broken);
    IoFreeMdl(unbuilt);
    assert_eq!(ask(first, 300), BAD, "to one that was freed");
    IoFreeMdl(unbuilt);
    assert_eq!(bench.misuse(), [broken[0], ("IoFreeMdl", "A-26")]);
}

#[test]
fn an_mdl_describes_pool_memory_and_nothing_else() {
    let bench = Bench::new();
    let build = |address: Pointer, length| {
        let mdl = IoAllocateMdl(address, length, 0, 0, null_mut());
        MmBuildMdlForNonPagedPool(mdl);
        // SAFETY: it is not freed.
        let built = unsafe { (*mdl).flags } != 0;
        IoFreeMdl(mdl);
        built
    };
    let bytes = ExAllocatePoolWithTag(0, 64, 1);
    let mut local = 0u64;
    assert!(build(bytes, 64) && build(bytes.wrapping_byte_add(63), 1));
    assert_eq!(bench.misuse(), []);
    assert!(!build(bytes, 65) && !build((&raw mut local).cast(), 8));
    assert!(!build(bytes, 0) && !build(with_exposed_provenance_mut(usize::MAX - 3), 8));
    assert_eq!(bench.misuse(), [("MmBuildMdlForNonPagedPool", "A-26"); 4]);
    assert!(
        IoAllocateMdl(bytes, 64, 0, 0, bytes).is_null(),
        "there are no requests"
    );
}

/// A bus master's map, whose list is written into C's memory, and what may be wrong with it.
///
/// Proves: WDM-078, WDM-079, WDM-156, A-04.
#[test]
fn a_map_writes_as_much_of_a_list_as_there_is_room() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let (mdl, bytes) = bench.mdl(64);
    let (second, rest) = bench.mdl(32);
    // SAFETY: it is not freed.
    unsafe { (*mdl).next = second };
    let mut context = [0u8; 128];
    let mut base = null_mut();
    let mut length = 96;
    let mut room = Room {
        list: List::default(),
        elements: [Element::default(); 2],
    };
    // SAFETY: everything is as long as it is said to be.
    unsafe {
        (table.initialize_dma_transfer_context)(adapter, context.as_mut_ptr().cast());
        let context = context.as_mut_ptr().cast();
        let granted = bench.raised(|| {
            (table.allocate_adapter_channel_ex)(
                adapter,
                null_mut(),
                context,
                2,
                1,
                None,
                null_mut(),
                &mut base,
            )
        });
        assert_eq!(granted, DONE);
        let map = |length: *mut u32, room: *mut Room, size| {
            let (list, none) = (room.cast(), null_mut());
            (table.map_transfer_ex)(adapter, mdl, base, 0, 0, length, 0, list, size, None, none)
        };
        bench.misuse();
        bytes.write_bytes(5, 64);
        assert_eq!(map(null_mut(), &mut room, 64), BAD, "no length");
        let odd = (&raw mut room).cast::<u8>().add(1).cast();
        assert_eq!(map(odd, &mut room, 64), BAD, "a length that is not aligned");
        assert_eq!(map(&mut length, null_mut(), 64), BAD, "a list that is not there");
        assert_eq!(map(&mut length, &mut room, 39), BAD, "not one element");
        assert_eq!(map(&mut length, null_mut(), 0), BAD, "a bus master needs one");
        let rules: Vec<_> = bench.misuse().into_iter().map(|(_, rule)| rule).collect();
        assert_eq!(rules, ["WDM-152", "WDM-152", "WDM-156", "A-04", "WDM-156"]);
        assert_eq!(map(&mut length, &mut room, 40), DONE);
        assert_eq!(
            (length, room.list.number_of_elements),
            (64, 1),
            "one fits, and it is the first"
        );
        assert_eq!(room.elements[0].length, 64);
        // The device writes, and the driver sees it after the flush.
        let at = room.elements[0].address.into();
        bench.edge.world.memory().write(at, &[7; 32]).unwrap();
        assert_eq!(*bytes, 5);
        assert_eq!(
            (table.flush_adapter_buffers_ex)(adapter, mdl, base, 0, 60, 0),
            DONE
        );
        let seen = std::slice::from_raw_parts(bytes, 64);
        assert!(
            seen[..32] == [7; 32] && seen[32..] == [5; 32],
            "what moved, and nothing else"
        );
        // As many as were said to have moved.
        let fits = (&raw mut room).cast();
        assert_eq!(
            (table.map_transfer_ex)(
                adapter,
                mdl,
                base,
                0,
                0,
                &mut length,
                0,
                fits,
                40,
                None,
                null_mut()
            ),
            DONE
        );
        bench.edge.world.memory().write(at, &[8; 64]).unwrap();
        assert_eq!(
            (table.flush_adapter_buffers_ex)(adapter, mdl, base, 0, 60, 0),
            DONE
        );
        let seen = std::slice::from_raw_parts(bytes, 64);
        assert!(seen[..60] == [8; 60] && seen[60..] == [5; 4]);
        // What is past the map was never the device's, whatever the flush says.
        length = 96;
        let again = (table.map_transfer_ex)(
            adapter,
            mdl,
            base,
            0,
            0,
            &mut length,
            0,
            fits,
            40,
            None,
            null_mut(),
        );
        assert_eq!((again, length), (DONE, 64));
        rest.write_bytes(3, 32);
        assert_eq!(
            (table.flush_adapter_buffers_ex)(adapter, mdl, base, 0, 96, 0),
            DONE
        );
        assert_eq!(std::slice::from_raw_parts(rest, 32), [3; 32]);
        bench.raised(|| (table.free_adapter_channel)(adapter));
        (table.put_dma_adapter)(adapter);
    }
    assert_eq!(bench.misuse(), []);
}

/// What a DPC saw in a common buffer, which it is given.
static IN_A_CALLBACK: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn look_at(_: Pointer, buffer: Pointer, _: Pointer, _: Pointer) {
    // SAFETY: the buffer is not freed.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), 2) };
    IN_A_CALLBACK.store(u32::from(bytes[0]), Ordering::Relaxed);
    bytes[1] = 44;
}

/// Proves: WDM-220, WDM-221, WDM-222.
#[test]
fn a_common_buffer_is_the_same_on_both_sides_whenever_the_edge_is_crossed() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let mut address = PhysicalAddress(0);
    let memory = bench.edge.world.memory();
    // SAFETY: the adapter stands, the buffer has 100 bytes, and the KDPC stays in its place.
    unsafe {
        let buffer = (table.allocate_common_buffer)(adapter, 100, &mut address, 1).cast::<u8>();
        assert!(!buffer.is_null() && buffer.addr().is_multiple_of(4096));
        let at = BusAddress::from(address);
        let theirs = |index: u64| {
            let mut byte = [0];
            memory.read(BusAddress::new(at.raw() + index), &mut byte).unwrap();
            byte[0]
        };
        *buffer = 11;
        *buffer.add(99) = 12;
        assert_eq!((theirs(0), theirs(99)), (0, 0), "nobody has crossed yet");
        KeGetCurrentIrql();
        assert_eq!((theirs(0), theirs(99)), (11, 12), "on the way out");
        memory.write(at, &[33]).unwrap();
        *buffer.add(99) = 13;
        KeGetCurrentIrql();
        assert_eq!(
            (*buffer, *buffer.add(99), theirs(99)),
            (33, 13, 13),
            "both ways at once"
        );
        let mut dpc: Kdpc = std::mem::zeroed();
        KeInitializeDpc(&mut dpc, Some(look_at), buffer.cast());
        KeInsertQueueDpc(&mut dpc, null_mut(), null_mut());
        KeFlushQueuedDpcs();
        assert_eq!((IN_A_CALLBACK.load(Ordering::Relaxed), theirs(1)), (33, 44));
        // Nothing is exported between the device's write and the callback.
        *buffer.add(1) = 0;
        memory.write(at, &[55]).unwrap();
        let place = buffer.expose_provenance();
        calls::deferred_routine(&bench.edge, look_at, 0, place, [0; 2]);
        assert_eq!(
            (IN_A_CALLBACK.load(Ordering::Relaxed), theirs(1)),
            (55, 44),
            "in a callback, and behind it"
        );
        // Freed with the arguments of the allocation only, and before the adapter goes.
        bench.misuse();
        (table.put_dma_adapter)(adapter);
        (table.free_common_buffer)(adapter, 99, address, buffer.cast(), 1);
        (table.free_common_buffer)(adapter, 100, PhysicalAddress(8), buffer.cast(), 1);
        (table.free_common_buffer)(adapter, 100, address, buffer.add(1).cast(), 1);
        let rules: Vec<_> = bench.misuse().into_iter().map(|(_, rule)| rule).collect();
        assert_eq!(rules, ["WDM-106", "WDM-221", "WDM-221", "WDM-221"]);
        (table.free_common_buffer)(adapter, 100, address, buffer.cast(), 1);
        let mut highest = PhysicalAddress(0x8000);
        let low = (table.allocate_common_buffer_ex)(adapter, &mut highest, 8, &mut address, 0, 0);
        assert!(!low.is_null() && address.0 <= 0x8000 - 8);
        assert!(
            (table.allocate_common_buffer)(adapter, 0, &mut address, 1).is_null(),
            "no bytes"
        );
        assert!(
            (table.allocate_common_buffer)(adapter, 8, null_mut(), 1).is_null(),
            "no place"
        );
        (table.free_common_buffer)(adapter, 8, address, low, 0);
        (table.put_dma_adapter)(adapter);
    }
}

/// What AdapterControl was called with.
static BASE: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn keep(_: Pointer, request: Pointer, base: Pointer, _: Pointer) -> u32 {
    BASE.store(
        1 + u32::from(!base.is_null()) + u32::from(!request.is_null()),
        Ordering::Relaxed,
    );
    1
}

/// The calls of version 1, from the allocation to the free.
#[test]
fn an_older_driver_transfers_without_a_context() {
    let bench = Bench::new();
    let adapter = bench.adapter(1);
    let table = bench.table(adapter);
    let (mdl, bytes) = bench.mdl(64);
    let mut length = 16;
    // SAFETY: the adapter stands, and so does what is named; the bytes are looked at where nothing is mapped.
    unsafe {
        let allocated =
            bench.raised(|| (table.allocate_adapter_channel)(adapter, null_mut(), 2, Some(keep), null_mut()));
        assert_eq!(
            (allocated, BASE.load(Ordering::Relaxed)),
            (DONE, 1),
            "everything is in reach"
        );
        let current = bytes.add(8).cast();
        let at = (table.map_transfer)(adapter, mdl, null_mut(), current, &mut length, 0);
        assert!(at.0 != 0 && length == 16);
        bench.edge.world.memory().write(at.into(), &[9; 16]).unwrap();
        assert_eq!(
            (table.flush_adapter_buffers)(adapter, mdl, null_mut(), current, 16, 0),
            1
        );
        let seen = std::slice::from_raw_parts(bytes, 64);
        assert!(seen[8..24] == [9; 16] && seen[..8] == [0; 8] && seen[24..] == [0; 40]);
        assert_eq!(bench.misuse(), []);
        let before = bytes.sub(1).cast();
        assert_eq!(
            (table.map_transfer)(adapter, mdl, null_mut(), before, &mut length, 0).0,
            0
        );
        assert_eq!(
            (table.map_transfer)(adapter, mdl, null_mut(), current, null_mut(), 0).0,
            0
        );
        assert_eq!(
            (table.map_transfer)(adapter, null_mut(), null_mut(), current, &mut length, 0).0,
            0
        );
        let rules: Vec<_> = bench.misuse().into_iter().map(|(_, rule)| rule).collect();
        assert_eq!(rules, ["WDM-233", "WDM-233", "WDM-151"]);
        bench.raised(|| (table.free_adapter_channel)(adapter));
        (table.put_dma_adapter)(adapter);
    }
    assert_eq!(bench.misuse(), []);
}

/// Proves: WDM-123, WDM-126.
#[test]
fn only_a_request_that_is_granted_at_once_has_a_place_for_its_base() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let mut context = [0u8; 128];
    let context = context.as_mut_ptr().cast();
    let (none, mut base) = (null_mut(), null_mut());
    let ask = |flags, place: *mut Pointer| {
        // SAFETY: the adapter and the context stand, and the place is NULL or good.
        bench.raised(|| unsafe {
            let routine = Some(keep as _);
            let routine = if flags == 0 { routine } else { None };
            (table.allocate_adapter_channel_ex)(adapter, none, context, 0, flags, routine, none, place)
        })
    };
    // SAFETY: as above.
    unsafe { (table.initialize_dma_transfer_context)(adapter, context) };
    assert_eq!((ask(0, &mut base), ask(1, null_mut())), (BAD, BAD));
    let call = "AllocateAdapterChannelEx";
    assert_eq!(bench.misuse(), [(call, "WDM-123"), (call, "WDM-126")]);
    assert_eq!(ask(1, &mut base), DONE);
}

static GRANTED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn granted(_: Pointer, _: Pointer, _: Pointer, _: Pointer) -> u32 {
    GRANTED.fetch_add(1, Ordering::Relaxed);
    2
}

/// A device goes while one of its transfers is mapped and another one waits.
///
/// Proves: WDM-331.
#[test]
fn a_device_that_goes_is_stopped_and_never_called_again() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let (mdl, _) = bench.mdl(64);
    let mut contexts = [[0u8; 128]; 2];
    let mut length = 64;
    let mut address = PhysicalAddress(0);
    let mut room = Room {
        list: List::default(),
        elements: [Element::default(); 2],
    };
    // SAFETY: everything is as long as it is said to be, and stays.
    unsafe {
        let [first, second] = contexts.each_mut().map(|context| context.as_mut_ptr().cast());
        (table.initialize_dma_transfer_context)(adapter, first);
        (table.initialize_dma_transfer_context)(adapter, second);
        let (none, mut base) = (null_mut(), null_mut());
        bench.raised(|| {
            (table.allocate_adapter_channel_ex)(adapter, none, first, 1, 1, None, none, &mut base);
            let waits = (table.allocate_adapter_channel_ex)(
                adapter,
                none,
                second,
                1,
                0,
                Some(granted),
                none,
                null_mut(),
            );
            assert_eq!(waits, DONE);
        });
        let list = (&raw mut room).cast();
        let mapped = (table.map_transfer_ex)(adapter, mdl, base, 0, 0, &mut length, 0, list, 64, None, none);
        assert_eq!(mapped, DONE);
        assert!(!(table.allocate_common_buffer)(adapter, 8, &mut address, 1).is_null());
        bench.misuse();
        bench.edge.clear_device(Handle::from_raw(bench.device.addr()));
        assert!(bench.misuse().contains(&("LsDetachDevice", "WDM-106")));
        assert_eq!(GRANTED.load(Ordering::Relaxed), 0);
        (table.read_dma_counter)(adapter);
        assert_eq!(bench.misuse(), [("ReadDmaCounter", "WDM-038")]);
        IoFreeMdl(mdl);
    }
}

/// It does nothing, and is remarked only where nobody is of an older version.
///
/// Proves: WDM-178, WDM-250.
#[test]
fn a_flush_of_caches_is_remarked_where_only_version_3_is_in_use() {
    let bench = Bench::new();
    let (mdl, bytes) = bench.mdl(64);
    let remarks = || {
        KeFlushIoBuffers(mdl, 1, 1);
        bench.notes()
    };
    assert!(remarks().is_empty(), "there is no adapter");
    let new = bench.adapter(3);
    assert_eq!(remarks(), [NOT_WANTED]);
    let old = bench.adapter(2);
    assert!(remarks().is_empty(), "it may be for the older one");
    // SAFETY: both adapters stand, and the bytes too.
    unsafe {
        (bench.table(old).put_dma_adapter)(old);
        assert_eq!(*bytes, 0);
        (bench.table(new).put_dma_adapter)(new);
    }
    assert_eq!(bench.misuse(), []);
    KeFlushIoBuffers(null_mut(), 1, 1);
    assert_eq!(bench.misuse(), [("KeFlushIoBuffers", "A-26")]);
}

/// Only a device that takes turns with the CPU has a common buffer for itself.
#[test]
fn a_common_buffer_that_is_mapped_is_left_alone_until_its_flush() {
    let bench = Bench::new();
    let adapter = bench.adapter(3);
    let table = bench.table(adapter);
    let (mut address, mut length) = (PhysicalAddress(0), 64);
    let mut context = [0u8; 128];
    let context = context.as_mut_ptr().cast();
    let mut room = Room {
        list: List::default(),
        elements: [Element::default(); 2],
    };
    let (none, mut base) = (null_mut(), null_mut());
    // SAFETY: everything is as long as it is said to be, and stays.
    unsafe {
        let buffer = (table.allocate_common_buffer)(adapter, 64, &mut address, 1).cast::<u8>();
        let mdl = IoAllocateMdl(buffer.cast(), 64, 0, 0, null_mut());
        MmBuildMdlForNonPagedPool(mdl);
        (table.initialize_dma_transfer_context)(adapter, context);
        bench.raised(|| {
            (table.allocate_adapter_channel_ex)(adapter, none, context, 1, 1, None, none, &mut base)
        });
        let list = (&raw mut room).cast();
        let mapped = (table.map_transfer_ex)(adapter, mdl, base, 0, 0, &mut length, 0, list, 64, None, none);
        assert_eq!((mapped, length), (DONE, 64));
        assert_eq!(
            room.elements[0].address, address,
            "its shadow is the common buffer itself"
        );
        bench.edge.world.memory().write(address.into(), &[7; 64]).unwrap();
        KeGetCurrentIrql();
        assert_eq!(*buffer, 0, "the device has it");
        assert_eq!(
            (table.flush_adapter_buffers_ex)(adapter, mdl, base, 0, 64, 0),
            DONE
        );
        assert_eq!((*buffer, *buffer.add(63)), (7, 7));
        bench.raised(|| (table.free_adapter_channel)(adapter));
        IoFreeMdl(mdl);
        (table.free_common_buffer)(adapter, 64, address, buffer.cast(), 1);
        (table.put_dma_adapter)(adapter);
    }
    assert_eq!(bench.misuse(), []);
}
