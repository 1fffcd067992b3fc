//! Set-up, completion and the counter.

use super::*;
use crate::abi::dma::{Adapter, DeviceDescription};
use crate::abi::types::PhysicalAddress;
use crate::exports::dma::IoGetDmaAdapter;

const SET_UP: &str = "NdisMSetupDmaTransfer";
const COMPLETE: &str = "NdisMCompleteDmaTransfer";

/// Proves: NDIS-010, NDIS-018, NDIS-030, NDIS-031, A-26.
#[test]
fn what_is_no_channel_or_no_place_for_a_status_is_refused() {
    on_board(&Plan::straight(), |board, _| {
        let buffer = board.buffer(16);
        let whole = (buffer.mdl, 0, 16, 0);
        let mut dead = null_mut();
        board.with_channel(description(), |channel| {
            dead = channel;
            for wrong in [
                null_mut(),
                with_exposed_provenance_mut(5),
                board.pdo(),
                buffer.mdl.cast(),
            ] {
                assert_eq!(
                    (set_up(wrong, whole), complete(wrong, whole)),
                    (RESOURCES, RESOURCES)
                );
                assert_eq!(NdisMReadDmaCounter(wrong), 0);
                NdisMDeregisterDmaChannel(wrong);
                let calls = [
                    SET_UP,
                    COMPLETE,
                    "NdisMReadDmaCounter",
                    "NdisMDeregisterDmaChannel",
                ];
                assert_eq!(board.misuse(), calls.map(|call| (call, "NDIS-010")));
            }
            // SAFETY: NULL is allowed.
            unsafe {
                NdisSetupDmaTransfer(null_mut(), channel, buffer.mdl, 0, 16, 0);
                NdisCompleteDmaTransfer(null_mut(), channel, buffer.mdl, 0, 16, 0);
            }
            assert_eq!(board.misuse(), [(SET_UP, "NDIS-004"), (COMPLETE, "NDIS-004")]);
            board.at(Irql::DEVICE, || {
                assert_eq!(
                    (set_up(channel, whole), complete(channel, whole)),
                    (RESOURCES, RESOURCES)
                );
                assert_eq!(NdisMReadDmaCounter(channel), 0);
                NdisMDeregisterDmaChannel(channel);
            });
            let misuse = board.misuse();
            assert!(misuse.len() == 4 && misuse.iter().all(|(_, rule)| *rule == "A-26"));
            // None of this was set up.
            assert_eq!(complete(channel, whole), RESOURCES);
            assert_eq!(board.misuse(), [(COMPLETE, "NDIS-045")]);
        });
        assert_eq!(
            (set_up(dead, whole), complete(dead, whole)),
            (RESOURCES, RESOURCES)
        );
        NdisMDeregisterDmaChannel(dead);
        let calls = [SET_UP, COMPLETE, "NdisMDeregisterDmaChannel"];
        assert_eq!(board.misuse(), calls.map(|call| (call, "NDIS-018")));
        buffer.free();
    });
}

/// A transfer is within one MDL, whatever is linked behind it.
///
/// Proves: NDIS-032, NDIS-033, NDIS-035.
#[test]
fn a_transfer_is_within_one_buffer_that_was_built() {
    on_board(&Plan::straight(), |board, _| {
        let (first, second) = (board.buffer(16), board.buffer(16));
        let unbuilt = IoAllocateMdl(first.bytes.cast(), 16, 0, 0, null_mut());
        // SAFETY: it is C code's to link.
        unsafe { (*first.mdl).next = second.mdl };
        board.with_channel(description(), |channel| {
            let tries = [
                (0, 0),
                (0, 17),
                (16, 1),
                (8, 16),
                (u32::MAX, 2),
                (2, u32::MAX),
                (17, 0),
            ];
            for (offset, length) in tries {
                assert_eq!(set_up(channel, (first.mdl, offset, length, 0)), RESOURCES);
                assert_eq!(board.misuse(), [], "{offset} {length}");
            }
            for wrong in [
                null_mut(),
                unbuilt,
                with_exposed_provenance_mut(1),
                first.bytes.cast(),
            ] {
                assert_eq!(set_up(channel, (wrong, 0, 8, 0)), RESOURCES);
                assert_eq!(board.misuse(), [(SET_UP, "NDIS-035")]);
            }
            // SAFETY: the header stands in memory of C code's.
            unsafe { (*second.mdl).flags = 0 };
            assert_eq!(set_up(channel, (second.mdl, 0, 8, 0)), RESOURCES);
            assert_eq!(board.misuse(), [(SET_UP, "NDIS-035")], "it is damaged");
            // The whole of the first, whose link nobody looks at.
            board.port.supply(&[7; 16]);
            assert_eq!(set_up(channel, (first.mdl, 0, 16, 0)), SUCCESS);
            assert_eq!(set_up(channel, (first.mdl, 0, 16, 0)), RESOURCES, "one at a time");
            board.wait(16);
            assert_eq!(complete(channel, (first.mdl, 0, 16, 0)), SUCCESS);
            assert_eq!((first.look(), board.misuse()), (vec![7; 16], vec![]));
        });
        IoFreeMdl(unbuilt);
        first.free();
        second.free();
    });
}

/// Proves: NDIS-043, NDIS-045.
#[test]
fn a_completion_repeats_the_whole_tuple() {
    on_board(&Plan::straight(), |board, _| {
        let (buffer, other) = (board.buffer(16), board.buffer(16));
        board.with_channel(description(), |channel| {
            let right = (buffer.mdl, 4, 8, 0);
            board.port.supply(&[9; 8]);
            buffer.fill(1);
            assert_eq!(set_up(channel, right), SUCCESS);
            board.wait(8);
            let wrong = [
                (other.mdl, 4, 8, 0),
                (null_mut(), 4, 8, 0),
                (buffer.mdl, 3, 8, 0),
                (buffer.mdl, 4, 7, 0),
                (buffer.mdl, 4, 8, 1),
            ];
            for arguments in wrong {
                assert_eq!(complete(channel, arguments), RESOURCES);
                assert_eq!(board.misuse(), [(COMPLETE, "NDIS-043")]);
                assert_eq!(buffer.look(), [1; 16], "nothing was carried");
            }
            assert_eq!(complete(channel, right), SUCCESS);
            assert_eq!(buffer.look(), [&[1; 4][..], &[9; 8], &[1; 4]].concat());
            assert_eq!(complete(channel, right), RESOURCES);
            assert_eq!(board.misuse(), [(COMPLETE, "NDIS-045")]);
        });
        buffer.free();
        other.free();
    });
}

/// Proves: NDIS-019, NDIS-040, NDIS-044.
#[test]
fn hardware_that_does_not_stop_keeps_its_transfer() {
    on_board(&Plan::straight(), |board, _| {
        let buffer = board.buffer(16);
        board.with_channel(description(), |channel| {
            let arguments = (buffer.mdl, 0, 16, 0);
            buffer.fill(1);
            board.port.supply(&[9; 4]);
            assert_eq!(set_up(channel, arguments), SUCCESS);
            board.wait(4);
            board.goes_on.store(true, Ordering::Relaxed);
            assert_eq!(complete(channel, arguments), RESOURCES);
            assert_eq!((buffer.look(), board.misuse()), (vec![1; 16], vec![]));
            assert_eq!(set_up(channel, arguments), RESOURCES, "it is still up");
            NdisMDeregisterDmaChannel(channel);
            assert_eq!(board.misuse(), [("NdisMDeregisterDmaChannel", "NDIS-019")]);
            board.goes_on.store(false, Ordering::Relaxed);
            assert_eq!(complete(channel, arguments), RESOURCES, "it was cut");
            assert_eq!(NdisMReadDmaCounter(channel), 12);
            assert_eq!(buffer.look(), [&[9; 4][..], &[1; 12]].concat());
        });
        buffer.free();
    });
}

/// A completion that comes twice may find, on its way, the same arguments set up anew: then it completes that one, and
/// the channel is free.
///
/// Proves: NDIS-041, NDIS-045.
#[test]
fn a_completion_that_comes_twice_leaves_the_channel_free() {
    for point in 0..80 {
        let plan = Plan::straight().strike_at(point);
        play(&plan, move |board, _| {
            let buffer = board.buffer(16);
            board.with_channel(description(), |channel| {
                let arguments = (buffer.mdl, 0, 16, 0);
                let (mdl, at, edge) = (buffer.mdl.addr(), channel.addr(), board.edge.clone());
                let over = Arc::new(AtomicBool::new(false));
                let tell = over.clone();
                assert_eq!(set_up(channel, arguments), SUCCESS);
                board.machine.arm(move |_| {
                    edge.enter();
                    let again = (with_exposed_provenance_mut(mdl), 0, 16, 0);
                    let channel = with_exposed_provenance_mut(at);
                    complete(channel, again);
                    set_up(channel, again);
                    tell.store(true, Ordering::Relaxed);
                });
                complete(channel, arguments);
                board.machine.disarm();
                while board.machine.struck() && !over.load(Ordering::Relaxed) {
                    board.machine.relax();
                }
                complete(channel, arguments);
                assert_eq!(set_up(channel, arguments), SUCCESS, "{point}");
                complete(channel, arguments);
            });
            buffer.free();
        });
    }
}

/// A bus master's adapter, which a common buffer can be had of.
fn adapter(board: &Board) -> *mut Adapter {
    let description = DeviceDescription {
        version: 3,
        master: 1,
        scatter_gather: 1,
        dma_32_bit_addresses: 1,
        maximum_length: 4096,
        dma_address_width: 24,
        ..DeviceDescription::default()
    };
    let mut registers = 0;
    // SAFETY: the pointers are good.
    unsafe { IoGetDmaAdapter(board.pdo(), &description, &mut registers) }
}

/// The shadow of a common buffer is that buffer itself: a NIC that starts over is watched while it goes round, and any
/// other has the bytes for itself until it is completed.
///
/// Proves: NDIS-050, NDIS-051.
#[test]
fn a_common_buffer_is_a_transfer_s_like_any_other() {
    for looped in [false, true] {
        on_board(&Plan::straight(), move |board, _| {
            const SIZE: u32 = 16;
            let adapter = adapter(board);
            // SAFETY: it stands, and so does its table.
            let table = unsafe { *(*adapter).operations };
            let mut logical = PhysicalAddress(0);
            // SAFETY: the pointers are good.
            let bytes = unsafe { (table.allocate_common_buffer)(adapter, SIZE, &mut logical, 1) };
            let common = Bytes {
                mdl: IoAllocateMdl(bytes, SIZE, 0, 0, null_mut()),
                bytes: bytes.cast(),
                length: SIZE,
            };
            MmBuildMdlForNonPagedPool(common.mdl);
            let described = DmaDescription {
                auto_initialize: u8::from(looped),
                ..description()
            };
            board.with_channel(described, |channel| {
                common.fill(1);
                board.port.supply(&[9; 4]);
                if looped {
                    board.port.supply(&[5; 16]);
                }
                assert_eq!(set_up(channel, (common.mdl, 0, SIZE, 0)), SUCCESS);
                board.wait(if looped { 20 } else { 4 });
                assert_eq!(
                    NdisMReadDmaCounter(channel),
                    SIZE - 4,
                    "once round, if it goes round"
                );
                assert_eq!(common.look(), [if looped { 5 } else { 1 }; 16]);
                let status = complete(channel, (common.mdl, 0, SIZE, 0));
                let ended = if looped { SUCCESS } else { RESOURCES };
                let bytes = if looped { [5; 4] } else { [9; 4] };
                assert_eq!((status, &common.look()[..4]), (ended, &bytes[..]));
            });
            IoFreeMdl(common.mdl);
            // SAFETY: as above; both are given back once.
            unsafe {
                (table.free_common_buffer)(adapter, SIZE, logical, bytes, 1);
                (table.put_dma_adapter)(adapter);
            }
            assert_eq!(board.misuse(), []);
        });
    }
}
