//! Buffers that are freed under their transfer.

use super::*;

const COMPLETE: &str = "NdisMCompleteDmaTransfer";
const FREE: (&str, &str) = ("IoFreeMdl", "NDIS-037");
const HALT: &str = "MiniportHaltEx";

/// Leaves its channel where it is.
fn leave(_: Pointer) {}

/// What was freed is another buffer, also where a new one stands in the same place. What is set up stays so until the
/// halt, and its bytes reach nobody.
///
/// Proves: NDIS-018, NDIS-019, NDIS-037, NDIS-043.
#[test]
fn a_buffer_that_was_freed_under_its_transfer_is_another_one() {
    on_board(&Plan::straight(), |board, _| {
        board.with_miniport(description(), leave, |channel| {
            let buffer = board.buffer(16);
            let arguments = (buffer.mdl, 0, 16, 0);
            assert_eq!(set_up(channel, arguments), SUCCESS);
            let bytes = buffer.bytes;
            IoFreeMdl(buffer.mdl);
            assert_eq!(board.misuse(), [FREE]);
            assert_eq!(complete(channel, arguments), RESOURCES);
            let next = IoAllocateMdl(bytes.cast(), 16, 0, 0, null_mut());
            MmBuildMdlForNonPagedPool(next);
            assert_eq!(complete(channel, (next, 0, 16, 0)), RESOURCES);
            assert_eq!(board.misuse(), [(COMPLETE, "NDIS-043"); 2]);
            IoFreeMdl(next);
            assert_eq!(board.misuse(), [], "nothing of it is set up");
            kernel::ExFreePoolWithTag(bytes.cast(), 1);
            board.port.supply(&[9; 16]);
            board.wait(16);
        });
        assert_eq!(board.misuse(), [(HALT, "NDIS-018"), (HALT, "NDIS-019")]);
        // The next miniport has the channel.
        let buffer = board.buffer(16);
        board.with_channel(description(), |channel| {
            assert_eq!(set_up(channel, (buffer.mdl, 0, 16, 1)), SUCCESS);
            board.wait(32);
            assert_eq!(complete(channel, (buffer.mdl, 0, 16, 1)), SUCCESS);
        });
        buffer.free();
    });
}

/// It is the very MDL that is set up, and no other: neither one over the same bytes, nor one that was never built, nor
/// the same once its transfer is completed.
///
/// Proves: NDIS-037.
#[test]
fn only_the_buffer_that_is_set_up_is_not_to_be_freed() {
    on_board(&Plan::straight(), |board, _| {
        let buffer = board.buffer(16);
        let bytes: Pointer = buffer.bytes.cast();
        let twin = || IoAllocateMdl(bytes, 16, 0, 0, null_mut());
        board.with_channel(description(), |channel| {
            let arguments = (buffer.mdl, 0, 16, 1);
            assert_eq!(set_up(channel, arguments), SUCCESS);
            let (unbuilt, built) = (twin(), twin());
            MmBuildMdlForNonPagedPool(built);
            IoFreeMdl(unbuilt);
            IoFreeMdl(built);
            board.wait(16);
            assert_eq!(complete(channel, arguments), SUCCESS);
            // Refused, so nothing is up.
            assert_eq!(set_up(channel, (buffer.mdl, 0, 17, 1)), RESOURCES);
            buffer.free();
            assert_eq!(board.misuse(), []);
        });
    });
}

/// A device that does not stop writes on after its miniport has freed everything and is gone. What it writes to is
/// nobody else's for good.
///
/// Proves: NDIS-018, NDIS-019, NDIS-037.
#[test]
fn what_hardware_that_does_not_stop_still_writes_to_is_given_to_nobody() {
    let (told, mut heard) = play(&Plan::straight(), |board, _| {
        let shadow = std::cell::Cell::new(None);
        board.with_miniport(description(), leave, |channel| {
            let before = board.machine.allocated();
            let buffer = board.buffer(16);
            let mut made = board.machine.allocated();
            made.retain(|range| !before.contains(range));
            shadow.set(made.pop());
            board.port.supply(&[9; 4]);
            assert_eq!(set_up(channel, (buffer.mdl, 0, 16, 0)), SUCCESS);
            board.wait(4);
            board.goes_on.store(true, Ordering::Relaxed);
            buffer.free();
        });
        assert_eq!(board.misuse(), [FREE, (HALT, "NDIS-018"), (HALT, "NDIS-019")]);
        let shadow = shadow.get().unwrap();
        assert!(board.machine.allocated().contains(&shadow), "it was given back");
        board.port.supply(&[7; 12]);
        board.touch();
        board.wait(16);
        let written = [&[9; 4][..], &[7; 12]].concat();
        assert!(
            board.machine.look(shadow).ends_with(&written),
            "it was not written"
        );
        // It is for good, and no leak of the test's.
        board.machine.keep(());
    });
    // Of the channel that is dropped while it runs, which was told as the halt's, the machine hears by itself too.
    heard.retain(|(call, _)| *call != "NdisMDeregisterDmaChannel");
    assert_eq!(told, heard);
}
