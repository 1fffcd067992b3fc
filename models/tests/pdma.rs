//! The PDMA's model, register by register and byte by byte.
#![cfg(feature = "pdma")]
#![allow(clippy::unwrap_used)] // Helpers of tests, though not each is one.

mod bed;

use bed::{GO, Memory, SIZE, STOPPED, command, control, get, save, set, start};
use longshore_hardware::pdma::{Config, Control, Register, done_line, error_line};
use longshore_hardware::{AccessError, Width};
use longshore_models::pdma::{Behaviour, Pdma};
use longshore_models::{Model, Snapshot, SnapshotError, Step};

fn run(model: &mut Pdma, memory: &Memory) -> usize {
    (0..1_000)
        .take_while(|_| model.step(memory) == Step::Worked)
        .count()
}

#[test]
fn a_copy_moves_piece_by_piece_and_interrupts() {
    let (mut model, memory) = (Pdma::new(4, Behaviour::Manual), Memory::new());
    start(&mut model, 2, Config::CLAIMED, 0x80, 0x10, 10);
    assert_eq!((control(&mut model, 2), model.lines()), (GO, 0));
    assert_eq!(model.step(&memory), Step::Worked);
    assert_eq!(get(&mut model, 2, Register::ExecBytes), 6);
    assert_eq!(get(&mut model, 2, Register::ExecSource), 0x14);
    assert_eq!(run(&mut model, &memory), 2);
    assert_eq!(
        memory.bytes(0x80, 11),
        [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x8a]
    );
    assert_eq!(control(&mut model, 2), STOPPED | Control::DONE);
    assert_eq!(model.lines(), 1 << done_line(2));
    assert_eq!(get(&mut model, 2, Register::ExecBytes), 0);
    assert_eq!(get(&mut model, 2, Register::ExecDestination), 0x8a);
    assert_eq!(get(&mut model, 2, Register::NextBytes), 10);
    // What is written back as one stays; the line follows its enable; a zero takes it back.
    command(&mut model, 2, Control::CLAIM | Control::DONE);
    assert_eq!(
        (control(&mut model, 2), model.lines()),
        (Control::CLAIM | Control::DONE, 0)
    );
    command(&mut model, 2, STOPPED);
    assert_eq!((control(&mut model, 2), model.lines()), (STOPPED, 0));
}

#[test]
fn a_transaction_is_no_larger_than_it_was_asked_for() {
    let (mut model, memory) = (Pdma::new(64, Behaviour::Manual), Memory::new());
    start(&mut model, 0, Config::from_raw(0x1300_0000), 0x80, 0, 5);
    assert_eq!(run(&mut model, &memory), 3);
    assert_eq!(
        *memory.copies.lock().unwrap(),
        [(0x80, 0, 2), (0x82, 2, 2), (0x84, 4, 1)]
    );
}

#[test]
fn a_channel_runs_only_where_it_was_claimed_before() {
    for behaviour in [Behaviour::Manual, Behaviour::Qemu] {
        let (mut model, memory) = (Pdma::new(4, behaviour), Memory::new());
        set(&mut model, 0, Register::NextBytes, 4);
        command(&mut model, 0, Control::RUN);
        assert_eq!(control(&mut model, 0), Control::empty());
        command(&mut model, 0, Control::CLAIM | Control::RUN);
        assert_eq!(control(&mut model, 0), Control::CLAIM);
        assert_eq!(get(&mut model, 0, Register::NextBytes), 0, "claiming clears");
        assert_eq!(
            get(&mut model, 0, Register::NextConfig),
            u64::from(Config::CLAIMED.raw())
        );
        assert_eq!(run(&mut model, &memory), 0);
        set(&mut model, 0, Register::NextBytes, 8);
        command(&mut model, 0, GO);
        // The claim cannot be dropped while the channel runs, only after.
        command(&mut model, 0, Control::RUN);
        assert!(control(&mut model, 0).contains(Control::CLAIM | Control::RUN));
        command(&mut model, 0, Control::empty());
        assert_eq!(control(&mut model, 0), Control::CLAIM);
        command(&mut model, 0, Control::empty());
        assert_eq!(control(&mut model, 0), Control::empty());
    }
}

#[test]
fn taking_the_run_bit_back_stops_in_flight() {
    let (mut model, memory) = (Pdma::new(4, Behaviour::Manual), Memory::new());
    start(&mut model, 1, Config::CLAIMED, 0x80, 0, 12);
    model.step(&memory);
    command(&mut model, 1, STOPPED);
    assert_eq!(run(&mut model, &memory), 0);
    assert_eq!(get(&mut model, 1, Register::ExecBytes), 8);
    assert_eq!(get(&mut model, 1, Register::ExecDestination), 0x84);
    assert_eq!((control(&mut model, 1), model.lines()), (STOPPED, 0));
    // A new start is a whole new transfer.
    command(&mut model, 1, GO);
    assert_eq!(get(&mut model, 1, Register::ExecBytes), 12);
}

#[test]
fn a_bus_error_is_latched_where_it_happened() {
    let (mut model, memory) = (Pdma::new(4, Behaviour::Manual), Memory::new());
    start(&mut model, 3, Config::CLAIMED, SIZE as u64 - 6, 0, 12);
    run(&mut model, &memory);
    assert_eq!(control(&mut model, 3), STOPPED | Control::ERROR);
    assert_eq!(model.lines(), 1 << error_line(3));
    assert_eq!(get(&mut model, 3, Register::ExecBytes), 8);
}

#[test]
fn a_transfer_of_nothing_is_done_at_once() {
    for behaviour in [Behaviour::Manual, Behaviour::Qemu] {
        let mut model = Pdma::new(4, behaviour);
        start(&mut model, 0, Config::CLAIMED, 0, 0, 0);
        assert_eq!(control(&mut model, 0), STOPPED | Control::DONE);
    }
}

#[test]
fn a_repeated_transfer_goes_on_until_it_is_told_not_to() {
    let (mut model, memory) = (Pdma::new(4, Behaviour::Manual), Memory::new());
    start(&mut model, 0, Config::CLAIMED.repeated(), 0x80, 0, 4);
    model.step(&memory);
    assert_eq!(control(&mut model, 0), GO | Control::DONE);
    assert_eq!(get(&mut model, 0, Register::ExecBytes), 4);
    command(&mut model, 0, GO);
    set(
        &mut model,
        0,
        Register::NextConfig,
        u64::from(Config::CLAIMED.raw()),
    );
    assert_eq!(run(&mut model, &memory), 1);
    assert_eq!(control(&mut model, 0), STOPPED | Control::DONE);
}

#[test]
fn channels_take_turns() {
    let (mut model, memory) = (Pdma::new(4, Behaviour::Manual), Memory::new());
    start(&mut model, 0, Config::CLAIMED, 0x80, 0, 8);
    start(&mut model, 2, Config::CLAIMED, 0xc0, 0x20, 8);
    run(&mut model, &memory);
    let targets: Vec<u64> = memory.copies.lock().unwrap().iter().map(|copy| copy.0).collect();
    assert_eq!(targets, [0x80, 0xc0, 0x84, 0xc4]);
    assert_eq!(model.lines(), 1 << done_line(0) | 1 << done_line(2));
}

#[test]
fn wide_registers_have_two_halves_and_narrow_ones_no_more_than_four_bytes() {
    let mut model = Pdma::new(4, Behaviour::Manual);
    let at = Register::NextSource.of(1);
    model.write(at, Width::Quad, 0x1122_3344_5566_7788).unwrap();
    model.write(at + 4, Width::Long, 0xffff_ffff_0000_00aa).unwrap();
    assert_eq!(model.read(at, Width::Quad), Ok(0x0000_00aa_5566_7788));
    assert_eq!(model.read(at, Width::Long), Ok(0x5566_7788));
    assert_eq!(model.read(at + 4, Width::Long), Ok(0xaa));
    for (offset, width) in [
        (at, Width::Word),
        (at + 2, Width::Long),
        (at + 4, Width::Quad),
        (0, Width::Quad),
    ] {
        assert_eq!(model.read(offset, width), Err(AccessError::BadWidth));
        assert_eq!(model.write(offset, width, 1), Err(AccessError::BadWidth));
    }
    for offset in [0x20, 0x100, 0x120, 0x4000, u64::MAX - 3] {
        assert_eq!(model.read(offset, Width::Long), Err(AccessError::NoSuchRegister));
    }
    let mut before = model.clone();
    model.write(Register::ExecBytes.of(0), Width::Quad, 5).unwrap();
    assert_eq!(
        get(&mut before, 0, Register::ExecBytes),
        get(&mut model, 0, Register::ExecBytes)
    );
}

#[test]
fn qemu_s_engine_does_what_qemu_s_does() {
    let (mut model, memory) = (Pdma::new(4, Behaviour::Qemu), Memory::new());
    // At once, once, though repeated: what is executed is loaded again.
    start(&mut model, 0, Config::CLAIMED.repeated(), 0x80, 0, 12);
    assert_eq!(run(&mut model, &memory), 1);
    assert_eq!(control(&mut model, 0), STOPPED | Control::DONE);
    assert_eq!(get(&mut model, 0, Register::ExecBytes), 12);
    // Different sizes: an error, and the run bit stays.
    start(&mut model, 1, Config::from_raw(0x3200_0000), 0x80, 0, 12);
    assert_eq!(run(&mut model, &memory), 0);
    assert_eq!(control(&mut model, 1), GO | Control::ERROR);
    // A bus error is not told.
    start(&mut model, 2, Config::CLAIMED, SIZE as u64, 0, 12);
    run(&mut model, &memory);
    assert_eq!(control(&mut model, 2), STOPPED | Control::DONE);
    // Control is what was written.
    command(&mut model, 3, STOPPED | Control::LATCHED);
    assert_eq!(model.lines() >> 6, 3);
}

#[test]
fn impossible_state_is_named() {
    let saved = save(&Pdma::new(4, Behaviour::Manual));
    let tampered = |at: usize, byte: u8| {
        let mut bytes = saved.clone();
        bytes[at] = byte;
        Pdma::new(4, Behaviour::Manual).restore(&bytes)
    };
    assert_eq!(tampered(0, 0), Err(SnapshotError::Foreign));
    assert_eq!(tampered(4, 2), Err(SnapshotError::Version(2)));
    // A channel that runs, but is unclaimed; does not move; has nothing to move.
    assert_eq!(tampered(6, 2), Err(SnapshotError::Impossible("control")));
    assert_eq!(tampered(6, 3), Err(SnapshotError::Impossible("control")));
    let mut bytes = saved.clone();
    (bytes[6], bytes[66]) = (3, 1);
    let refused = Pdma::new(4, Behaviour::Manual).restore(&bytes);
    assert_eq!(refused, Err(SnapshotError::Impossible("control")));
    assert_eq!(
        tampered(7, 1),
        Err(SnapshotError::Impossible("control")),
        "a reserved bit"
    );
    let last = saved.len() - 1;
    assert_eq!(tampered(last, 4), Err(SnapshotError::Impossible("turn")));
    assert_eq!(
        Pdma::new(4, Behaviour::Manual).restore(&saved[..last]),
        Err(SnapshotError::Length)
    );
}
