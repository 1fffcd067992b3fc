//! The 8237A as a model among others: ports, widths, devices in slots, memory that is not there, saved state.
#![cfg(feature = "i8237")]

use longshore_hardware::{AccessError, BusAddress, BusRange, DmaMemory, MemoryError, Width};
use longshore_models::i8237::{Cycle, I8237, Quirks, Requester, Slots, Wired};
use longshore_models::{Model, Snapshot, SnapshotError, Step};
use std::sync::Mutex;

/// 192 KiB.
struct Memory(Mutex<Vec<u8>>);

impl Memory {
    fn new() -> Self {
        Self(Mutex::new(vec![0; 0x3_0000]))
    }
}

impl DmaMemory for Memory {
    fn read(&self, from: BusAddress, into: &mut [u8]) -> Result<(), MemoryError> {
        let bytes = self.0.lock().expect("nobody panics with it");
        let from = from.raw() as usize;
        into.copy_from_slice(
            bytes
                .get(from..from + into.len())
                .ok_or(MemoryError::OutOfRange)?,
        );
        Ok(())
    }

    fn write(&self, to: BusAddress, from: &[u8]) -> Result<(), MemoryError> {
        let mut bytes = self.0.lock().expect("nobody panics with it");
        let to = to.raw() as usize;
        bytes
            .get_mut(to..to + from.len())
            .ok_or(MemoryError::OutOfRange)?
            .copy_from_slice(from);
        Ok(())
    }

    fn copy(&self, _: BusAddress, _: BusAddress, _: u64) -> Result<(), MemoryError> {
        Err(MemoryError::BusError)
    }

    fn load_u64(&self, _: BusAddress) -> Result<u64, MemoryError> {
        Err(MemoryError::BusError)
    }

    fn store_u64(&self, _: BusAddress, _: u64) -> Result<(), MemoryError> {
        Err(MemoryError::BusError)
    }

    fn allocate(&self, _: u64, _: u64, _: BusAddress) -> Result<BusAddress, MemoryError> {
        Err(MemoryError::Exhausted)
    }

    fn free(&self, _: BusRange) {}
}

/// Gives its channel's number over and over, or fails when it takes something other than what it expects.
struct Device {
    asks: u32,
    takes: Option<u16>,
}

impl Requester for Device {
    fn dreq(&mut self, _: u8) -> bool {
        self.asks > 0
    }

    fn give(&mut self, cycle: Cycle) -> u16 {
        self.asks = self.asks.saturating_sub(1);
        u16::from(cycle.channel) * 0x1111
    }

    fn take(&mut self, _: Cycle, data: u16) {
        self.asks = self.asks.saturating_sub(1);
        assert_eq!(Some(data), self.takes);
    }
}

fn write(model: &mut dyn Model, values: &[(u64, u64)]) {
    for &(port, value) in values {
        assert_eq!(model.write(port, Width::Byte, value), Ok(()), "port {port:x}");
    }
}

const CASCADE: [(u64, u64); 2] = [(0xd6, 0xc0), (0xd4, 0x00)];

/// AT: devices on both controllers, each with its own page, through the trait that all models have.
#[test]
fn devices_in_slots_are_served_through_the_trait() {
    let mut slots = Slots::new();
    for channel in [3, 5] {
        let old = slots.plug(channel, Box::new(Device { asks: 2, takes: None }));
        assert!(old.is_none());
    }
    let mut wired = Wired::new(I8237::new(), slots);
    let model: &mut dyn Model = &mut wired;
    write(model, &CASCADE);
    write(
        model,
        &[
            (0x0b, 0x47),
            (0x06, 0x10),
            (0x06, 0),
            (0x82, 1),
            (0x07, 1),
            (0x07, 0),
        ],
    );
    write(
        model,
        &[
            (0xd6, 0x45),
            (0xc4, 0x10),
            (0xc4, 0),
            (0x8b, 2),
            (0xc6, 1),
            (0xc6, 0),
        ],
    );
    assert_eq!(
        model.read(0x08, Width::Byte),
        Ok(0x80),
        "the line is seen without a step"
    );
    write(model, &[(0x0a, 3), (0xd4, 1)]);
    let memory = Memory::new();
    for _ in 0..4 {
        assert_eq!(model.step(&memory), Step::Worked);
    }
    assert_eq!((model.step(&memory), model.lines()), (Step::Idle, 0));
    let bytes = memory.0.lock().unwrap();
    assert_eq!(bytes[0x1_0010..0x1_0013], [0x33, 0x33, 0]);
    assert_eq!(bytes[0x2_0020..0x2_0025], [0x55, 0x55, 0x55, 0x55, 0]);
}

/// AT: where there is no memory, reads give all ones, writes are lost, and the controller counts on.
#[test]
fn memory_that_is_not_there_is_all_ones() {
    let memory = Memory::new();
    for (mode, takes) in [(0x49, Some(0xff)), (0x45, None)] {
        let mut wired = Wired::new(I8237::new(), Slots::new());
        wired.devices().plug(1, Box::new(Device { asks: 1, takes }));
        write(&mut wired, &CASCADE);
        write(
            &mut wired,
            &[
                (0x0b, mode),
                (0x02, 0),
                (0x02, 0),
                (0x83, 0xf0),
                (0x03, 0),
                (0x03, 0),
                (0x0a, 1),
            ],
        );
        assert_eq!(wired.step(&memory), Step::Worked);
        assert_eq!(wired.step(&memory), Step::Idle);
        assert_eq!(wired.read(0x08, Width::Byte), Ok(0x02));
    }
    assert!(memory.0.lock().unwrap().iter().all(|&byte| byte == 0));
}

/// 8237A, "Definition of Register Codes": what is illegal to read is an error; AT, I/O address map: so are other ports.
#[test]
fn what_is_not_there_is_an_error() {
    let mut wired = Wired::new(I8237::new(), ());
    let missing = Err(AccessError::NoSuchRegister);
    for port in [
        0x09, 0x0a, 0x0b, 0x0c, 0x0e, 0x0f, 0xd2, 0xde, 0xc1, 0x10, 0x7f, 0x90, 0xe0, 0x481, 0x1_0000,
    ] {
        assert_eq!(wired.read(port, Width::Byte), missing, "port {port:x}");
    }
    for port in [0xc1, 0x10, 0x90, 0x481, 0x1_0000, u64::MAX] {
        assert_eq!(
            wired.write(port, Width::Byte, 0),
            Err(AccessError::NoSuchRegister),
            "port {port:x}"
        );
    }
    for width in [Width::Word, Width::Long, Width::Quad] {
        assert_eq!(wired.read(0, width), Err(AccessError::BadWidth));
        assert_eq!(wired.write(0, width, 0), Err(AccessError::BadWidth));
    }
}

/// EISA and some chipsets, high page registers: one for each channel, none beside them.
#[test]
fn high_pages_are_there_for_who_asks() {
    let mut dma = I8237::new().with_high_pages();
    for port in [0x487, 0x483, 0x481, 0x482, 0x48b, 0x489, 0x48a, 0x48f] {
        assert_eq!(dma.write(port, port as u8), Ok(()));
        assert_eq!(dma.read(port), Ok(port as u8));
    }
    for port in [0x480, 0x484, 0x485, 0x486, 0x488, 0x48c, 0x48d, 0x48e] {
        assert_eq!(dma.write(port, 0), Err(AccessError::NoSuchRegister));
    }
}

fn saved(dma: &I8237) -> Vec<u8> {
    let mut bytes = Vec::new();
    dma.save(&mut bytes);
    bytes
}

/// Bits that no controller can hold are refused, and so is what only a model of another build can hold.
#[test]
fn impossible_state_is_refused() {
    let good = saved(&I8237::new());
    let masks = 6 + 4 * 9 + 1;
    let spots = [
        (6 + 8, 0x01, "mode"),
        (masks, 0x1f, "masks"),
        (masks + 1, 0x10, "requests"),
        (masks + 2, 0x10, "status"),
        (masks + 4, 0x10, "request lines"),
        (masks + 5, 0x04, "priority"),
        (masks + 6, 0x04, "served channel"),
        (masks + 7, 0x04, "flags"),
        (masks + 7, 0x02, "temporary register"),
        (good.len() - 16, 0x01, "spare pages"),
        (good.len() - 15, 0x01, "high pages"),
    ];
    for (spot, value, part) in spots {
        let mut bytes = good.clone();
        bytes[spot] = value;
        let mut dma = I8237::new();
        assert_eq!(dma.restore(&bytes), Err(SnapshotError::Impossible(part)));
        assert_eq!(dma, I8237::new());
    }
    let quirky = saved(&I8237::new().with_quirks(Quirks::EIGHT_MASK_BITS));
    assert_eq!(
        I8237::new().restore(&quirky),
        Err(SnapshotError::Impossible("masks"))
    );
}

/// The tag, the version and the length are looked at first.
#[test]
fn other_state_is_refused() {
    let good = saved(&I8237::new());
    let mut long = good.clone();
    long.push(0);
    assert_eq!(I8237::new().restore(&long), Err(SnapshotError::Length));
    for len in 0..good.len() {
        assert_eq!(I8237::new().restore(&good[..len]), Err(SnapshotError::Length));
    }
    let mut newer = good.clone();
    newer[4] = 2;
    assert_eq!(I8237::new().restore(&newer), Err(SnapshotError::Version(2)));
    let mut foreign = good;
    foreign[0] = b'x';
    assert_eq!(I8237::new().restore(&foreign), Err(SnapshotError::Foreign));
}

/// What a test of decisions does to the pair: ports, then steps with a device that gives zeros.
struct Board {
    dma: I8237,
    device: Device,
    memory: Memory,
}

impl Board {
    /// Channel 1 moves eight bytes in block mode, to address zero.
    fn with_block() -> Self {
        let mut board = Self {
            dma: I8237::new(),
            device: Device { asks: 0, takes: None },
            memory: Memory::new(),
        };
        board.out(&[
            (0xd6, 0xc0),
            (0xd4, 0),
            (0x0b, 0x81),
            (0x83, 0),
            (0x02, 0),
            (0x02, 0),
            (0x03, 7),
            (0x03, 0),
            (0x0a, 1),
        ]);
        board
    }

    fn out(&mut self, values: &[(u16, u8)]) {
        for &(port, value) in values {
            assert_eq!(self.dma.write(port, value), Ok(()));
        }
    }

    fn step(&mut self) -> Step {
        self.dma.step(&mut &self.memory, &mut self.device)
    }

    /// Begins the block; after its first byte the device no longer asks.
    fn begin(&mut self) {
        self.device.asks = 1;
        assert_eq!(self.step(), Step::Worked);
        self.device.asks = 0;
    }
}

/// 8237A, "Master Clear": a block that has begun is over, also when the channel is unmasked at once.
#[test]
fn master_clear_ends_a_block() {
    let mut board = Board::with_block();
    board.out(&[(0x0b, 0x85)]);
    board.begin();
    board.out(&[(0x0d, 0), (0x0a, 1)]);
    assert_eq!(board.step(), Step::Idle);
}

/// Decided here: masking a channel ends its hold on the bus, and a later unmasking does not bring it back.
#[test]
fn a_mask_ends_a_block() {
    let mut board = Board::with_block();
    board.out(&[(0x0b, 0x85)]);
    board.begin();
    assert_eq!(board.step(), Step::Worked, "the block goes on without a request");
    board.out(&[(0x0a, 5)]);
    assert_eq!(board.step(), Step::Idle);
    board.out(&[(0x0a, 1)]);
    assert_eq!(board.step(), Step::Idle);
}

/// 8237A, "Command Register": a disabled controller serves nobody, also not who has begun a block.
#[test]
fn disabling_the_controller_ends_a_block() {
    let mut board = Board::with_block();
    board.out(&[(0x0b, 0x85)]);
    board.begin();
    assert_eq!(board.step(), Step::Worked, "the block goes on without a request");
    board.out(&[(0x08, 0x04)]);
    assert_eq!(board.step(), Step::Idle);
    board.out(&[(0x08, 0)]);
    assert_eq!(board.step(), Step::Idle);
}

/// 8237A, "Memory-to-Memory": a transfer begins with a read. Decided here: also where an earlier one was switched off
/// between its read and its write.
#[test]
fn a_copy_that_is_switched_on_again_begins_with_a_read() {
    let mut board = Board::with_block();
    board.memory.0.lock().unwrap()[0x1000..0x1002].copy_from_slice(&[0x11, 0x22]);
    let source = [
        (0x0b, 0x88),
        (0x87, 0),
        (0x00, 0),
        (0x00, 0x10),
        (0x01, 7),
        (0x01, 0),
    ];
    board.out(&source);
    board.out(&[(0x0b, 0x85), (0x08, 0x01), (0x09, 4)]);
    assert_eq!(board.step(), Step::Worked);
    assert_eq!(board.dma.read(0x0d), Ok(0x11));
    board.out(&[(0x08, 0), (0x08, 0x01)]);
    assert_eq!(board.step(), Step::Worked);
    assert_eq!(board.dma.read(0x0d), Ok(0x22));
    assert_eq!(
        board.memory.0.lock().unwrap()[..2],
        [0, 0],
        "nothing was written yet"
    );
    assert_eq!(board.step(), Step::Worked);
    assert_eq!(board.memory.0.lock().unwrap()[..2], [0x22, 0]);
}

/// Decided here: controller 1 gets no bus through a channel 4 that is not in cascade mode.
#[test]
fn channel_4_passes_nothing_on_in_another_mode() {
    let mut board = Board::with_block();
    board.out(&[(0x0b, 0x45), (0xd6, 0x40)]);
    board.device.asks = 1;
    assert_eq!(board.step(), Step::Idle);
    board.out(&[(0xd6, 0xc0)]);
    assert_eq!(board.step(), Step::Worked);
}

/// AT: controller 2 cannot copy memory, so a request by software on channel 4 stands in nobody's way.
#[test]
fn controller_2_copies_no_memory() {
    let mut board = Board::with_block();
    board.out(&[
        (0xd0, 0x01),
        (0xd2, 0x04),
        (0x8b, 0),
        (0xd6, 0x45),
        (0xc4, 0),
        (0xc4, 0),
        (0xc6, 0),
        (0xc6, 0),
        (0xd4, 1),
    ]);
    board.device.asks = 1;
    board.out(&[(0x0f, 0x0f)]);
    assert_eq!(board.step(), Step::Worked);
    assert_eq!(board.memory.0.lock().unwrap()[..3], [0x55, 0x55, 0]);
}

/// 8237A, "Request Register": software may ask on a channel in block mode only; decided here: else nothing moves.
#[test]
fn software_asks_in_vain_outside_of_block_mode() {
    for (mode, moves) in [
        (0x01, Step::Idle),
        (0x41, Step::Idle),
        (0xc1, Step::Idle),
        (0x81, Step::Worked),
    ] {
        let mut board = Board::with_block();
        board.out(&[(0x0b, mode), (0x09, 5)]);
        assert_eq!(board.dma.read(0x08), Ok(0x20));
        assert_eq!(board.step(), moves, "mode {mode:02x}");
    }
}

/// 8237A, "Status Register": the lines are looked at when it is read, and before anything is written.
#[test]
fn the_lines_are_seen_at_each_access() {
    let device = Device { asks: 0, takes: None };
    let mut wired = Wired::new(I8237::new().with_quirks(Quirks::ONE_REQUEST_BIT), device);
    wired.devices().asks = 1;
    assert_eq!(wired.read(0x08, Width::Byte), Ok(0xf0));
    wired.devices().asks = 0;
    assert_eq!(wired.read(0x08, Width::Byte), Ok(0x00));
    wired.devices().asks = 1;
    assert_eq!(wired.write(0x0d, Width::Byte, 0), Ok(()));
    assert_eq!(
        wired.read(0x08, Width::Byte),
        Ok(0x00),
        "forgotten, since it asked before the clear"
    );
}
