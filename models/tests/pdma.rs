//! The PDMA's model, register by register and byte by byte.
#![cfg(feature = "pdma")]
#![allow(clippy::unwrap_used)] // Helpers of tests, though not each is one.

use longshore_hardware::pdma::{Config, Control, Register, done_line, error_line};
use longshore_hardware::{AccessError, BusAddress, BusRange, DmaMemory, MemoryError, Width};
use longshore_models::pdma::{Behaviour, Pdma};
use longshore_models::{Model, Snapshot, SnapshotError, Step};
use proptest::prelude::*;
use std::sync::Mutex;

const SIZE: usize = 256;

/// A little memory that remembers what was copied.
struct Memory {
    bytes: Mutex<Vec<u8>>,
    copies: Mutex<Vec<(u64, u64, u64)>>,
}

impl Memory {
    fn new() -> Self {
        Self {
            bytes: Mutex::new((0..=255).collect()),
            copies: Mutex::default(),
        }
    }

    fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        self.bytes.lock().unwrap()[at..at + len].to_vec()
    }
}

fn inside(at: BusAddress, len: u64) -> Result<usize, MemoryError> {
    let range = BusRange::new(at, len).ok_or(MemoryError::OutOfRange)?;
    if range.end().raw() > SIZE as u64 {
        return Err(MemoryError::OutOfRange);
    }
    Ok(at.raw() as usize)
}

impl DmaMemory for Memory {
    fn read(&self, _: BusAddress, _: &mut [u8]) -> Result<(), MemoryError> {
        unreachable!("the engine copies")
    }

    fn write(&self, _: BusAddress, _: &[u8]) -> Result<(), MemoryError> {
        unreachable!("the engine copies")
    }

    fn copy(&self, to: BusAddress, from: BusAddress, len: u64) -> Result<(), MemoryError> {
        self.copies.lock().unwrap().push((to.raw(), from.raw(), len));
        let (target, source) = (inside(to, len)?, inside(from, len)?);
        self.bytes
            .lock()
            .unwrap()
            .copy_within(source..source + len as usize, target);
        Ok(())
    }

    fn load_u64(&self, _: BusAddress) -> Result<u64, MemoryError> {
        unreachable!("the engine copies")
    }

    fn store_u64(&self, _: BusAddress, _: u64) -> Result<(), MemoryError> {
        unreachable!("the engine copies")
    }

    fn allocate(&self, _: u64, _: u64, _: BusAddress) -> Result<BusAddress, MemoryError> {
        Err(MemoryError::Exhausted)
    }

    fn free(&self, _: BusRange) {}
}

fn get(model: &mut Pdma, channel: u32, register: Register) -> u64 {
    let row = register.row();
    model.read(register.of(channel), row.width).unwrap()
}

fn set(model: &mut Pdma, channel: u32, register: Register, value: u64) {
    let row = register.row();
    model.write(register.of(channel), row.width, value).unwrap();
}

fn control(model: &mut Pdma, channel: u32) -> Control {
    Control::from_bits_retain(get(model, channel, Register::Control) as u32)
}

fn command(model: &mut Pdma, channel: u32, value: Control) {
    set(model, channel, Register::Control, u64::from(value.bits()));
}

const GO: Control = Control::CLAIM.union(Control::RUN).union(Control::INTERRUPTS);

/// What a channel's control is, beside what it has latched, when it does not run any more.
const STOPPED: Control = Control::CLAIM.union(Control::INTERRUPTS);

/// Claims a channel and starts a copy.
fn start(model: &mut Pdma, channel: u32, config: Config, to: u64, from: u64, bytes: u64) {
    command(model, channel, Control::CLAIM);
    set(model, channel, Register::NextConfig, u64::from(config.raw()));
    set(model, channel, Register::NextBytes, bytes);
    set(model, channel, Register::NextDestination, to);
    set(model, channel, Register::NextSource, from);
    command(model, channel, GO);
}

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

/// Something that a guest may do.
#[derive(Clone, Debug)]
enum Act {
    Access(u64, Width, Option<u64>),
    Step,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let widths = prop_oneof![
        Just(Width::Byte),
        Just(Width::Word),
        Just(Width::Long),
        Just(Width::Quad)
    ];
    let good = prop_oneof![Just(Width::Long), Just(Width::Quad)];
    let values = prop_oneof![
        4 => 0u64..64,
        2 => any::<u32>().prop_map(u64::from),
        1 => any::<u64>(),
        1 => (0u64..64).prop_map(|less| u64::MAX - less),
    ];
    let start = Just(u64::from(GO.bits()));
    let act = prop_oneof![
        1 => (any::<u64>(), widths, proptest::option::of(values.clone())).prop_map(|(at, w, v)| Act::Access(at, w, v)),
        6 => (0u64..4, 0u64..9, good, proptest::option::of(values)).prop_map(|(channel, register, width, value)| {
            let offset = [0, 4, 8, 0x10, 0x18, 0x104, 0x108, 0x110, 0x118][register as usize];
            Act::Access(channel * 0x1000 + offset, width, value)
        }),
        4 => (0u64..4, start).prop_map(|(channel, go)| Act::Access(channel * 0x1000, Width::Long, Some(go))),
        6 => Just(Act::Step),
    ];
    proptest::collection::vec(act, 1..120)
}

fn act(model: &mut Pdma, memory: &Memory, act: &Act) -> Option<u64> {
    match *act {
        Act::Access(at, width, None) => model.read(at, width).ok(),
        Act::Access(at, width, Some(value)) => model.write(at, width, value).ok().map(|()| 0),
        Act::Step => Some(u64::from(model.step(memory) == Step::Worked)),
    }
}

/// What the channels are told to do next.
fn programmed(model: &mut Pdma) -> [(u64, u64, u64); 4] {
    std::array::from_fn(|channel| {
        let mut next = |register| get(model, channel as u32, register);
        (
            next(Register::NextDestination),
            next(Register::NextSource),
            next(Register::NextBytes),
        )
    })
}

/// Whether a copy is part of a transfer.
fn belongs((to, from, len): (u64, u64, u64), (destination, source, bytes): (u64, u64, u64)) -> bool {
    let done = to.wrapping_sub(destination);
    done == from.wrapping_sub(source) && done.checked_add(len).is_some_and(|end| end <= bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, nothing panics, and no byte is touched that no transfer was told of.
    #[test]
    fn nothing_but_what_was_programmed_is_touched(
        acts in acts(),
        unit in 0u64..9,
        qemu in any::<bool>(),
    ) {
        let behaviour = if qemu { Behaviour::Qemu } else { Behaviour::Manual };
        let (mut model, memory) = (Pdma::new(unit, behaviour), Memory::new());
        let mut told = Vec::new();
        for next in &acts {
            act(&mut model, &memory, next);
            told.extend(programmed(&mut model));
            prop_assert!(model.lines() < 1 << 8);
        }
        for copy in memory.copies.lock().unwrap().iter() {
            prop_assert!(told.iter().any(|transfer| belongs(*copy, *transfer)), "{copy:x?}");
        }
    }

    /// A model that takes on another one's state goes on as the other one does.
    #[test]
    fn restored_state_goes_on_the_same(
        before in acts(),
        after in acts(),
        unit in 0u64..9,
        qemu in any::<bool>(),
    ) {
        let behaviour = if qemu { Behaviour::Qemu } else { Behaviour::Manual };
        let (mut model, memory) = (Pdma::new(unit, behaviour), Memory::new());
        for next in &before {
            act(&mut model, &memory, next);
        }
        let saved = save(&model);
        let (mut twin, other) = (Pdma::new(unit, behaviour), Memory::new());
        other.bytes.lock().unwrap().copy_from_slice(&memory.bytes(0, SIZE));
        prop_assert_eq!(twin.restore(&saved), Ok(()));
        prop_assert_eq!(&twin, &model);
        for next in &after {
            prop_assert_eq!(act(&mut model, &memory, next), act(&mut twin, &other, next));
            prop_assert_eq!(model.lines(), twin.lines());
        }
        prop_assert_eq!(save(&model), save(&twin));
        prop_assert_eq!(memory.bytes(0, SIZE), other.bytes(0, SIZE));
    }

    /// State that was tampered with is refused, and nothing has changed then, or it is state like any other.
    #[test]
    fn foreign_state_is_refused_or_is_state(
        before in acts(),
        after in acts(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        qemu in any::<bool>(),
    ) {
        let behaviour = if qemu { Behaviour::Qemu } else { Behaviour::Manual };
        let (mut model, memory) = (Pdma::new(4, behaviour), Memory::new());
        for next in &before {
            act(&mut model, &memory, next);
        }
        let mut saved = save(&model);
        let at = at.index(saved.len());
        saved[at] = byte;
        let untouched = model.clone();
        match model.restore(&saved) {
            Ok(()) => prop_assert_eq!(save(&model), saved),
            Err(_) => prop_assert_eq!(&model, &untouched),
        }
        for next in &after {
            act(&mut model, &memory, next);
        }
        prop_assert_eq!(model.clone().restore(&save(&model)), Ok(()));
    }

    #[test]
    fn bytes_from_anywhere_are_no_state(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Pdma::new(4, Behaviour::Manual).restore(&bytes).is_err());
    }
}

fn save(model: &Pdma) -> Vec<u8> {
    let mut bytes = Vec::new();
    model.save(&mut bytes);
    bytes
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
