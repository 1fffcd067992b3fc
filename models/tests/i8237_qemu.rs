//! The 8237A with all quirks: what a driver meets in QEMU 7.2, seen there by driving its `i8257` over qtest.
#![cfg(feature = "vectors")]

mod bench;

use bench::{Bench, Ram};
use longshore_models::Step;
use longshore_models::i8237::{Cycle, I8237, Intent, Quirks, Requester};
use longshore_models::vectors::parse;

/// Runs the lines of one vector against the model with all quirks.
fn check(lines: &str) {
    for vector in parse(&format!("vector qemu\n{lines}")).expect("well formed") {
        let mut bench = Bench::new(I8237::new().with_quirks(Quirks::all()));
        if let Err(failure) = vector.run(&mut bench) {
            panic!("{failure}");
        }
    }
}

/// QEMU 7.2 `i8257`, power-on: all eight mask bits, which register 9 shows.
#[test]
fn masks_have_eight_bits_and_can_be_read() {
    check(
        "in 08=00 09=ff d2=ff\nout 0f=f5 0a=01\nin 09=f5\nout 0a=00\nin 09=f4\nout 0e=00\nin 09=00\nout 0d=00\nin 09=ff",
    );
}

/// QEMU 7.2 `i8257`: the other registers that cannot be read, and the temporary one, are zero.
#[test]
fn what_cannot_be_read_is_zero() {
    check("out 0f=0f\nin 0a=00 0b=00 0c=00 0d=00 0e=00 0f=00 da=00 de=00");
}

/// QEMU 7.2 `i8257`: odd ports of controller 2 are the even ones below.
#[test]
fn odd_ports_are_aliases() {
    check("out d9=00 c1=12 c0=34\nin c0=12 c1=34");
}

/// QEMU 7.2 `i8257`: eight page registers, and nothing in between.
#[test]
fn spare_pages_are_not_there() {
    check(
        "out 80=12 84=12 88=12 8c=12\nin 80=ff 84=ff 85=ff 86=ff 88=ff 8c=ff 8d=ff 8e=ff\nout 87=12 8f=34\nin 87=12 8f=34",
    );
}

/// QEMU 7.2 `i8257`: the low byte alone changes nothing that can be read, the high byte of either register loads both.
#[test]
fn a_high_byte_loads_address_and_count() {
    check(
        "out 0c=00 02=11 02=22 03=05 03=00 02=77\nin 02=22\nout 0c=00\nin 02=11 02=22\nout 02=77 02=33\nin 02=77 02=33",
    );
    check(
        "out 0b=45 83=02 0c=00 02=00 02=10 03=07 03=00 0a=01\ngive 1: 1 2 3\nrun\nin 02=03 02=10 03=04 03=00
        out 0c=00 03=07 03=00\nin 02=00 02=10 03=07 03=00",
    );
}

/// QEMU 7.2 `i8257`: a command with a bit that is not supported is dropped, and a disabled controller works.
#[test]
fn commands_do_nothing() {
    let block = "out 0b=45 83=02 0c=00 02=00 02=10 03=01 03=00 0a=01\ngive 1: 1 2\nrun\nis 021000: 01 02";
    for command in ["04", "40", "84", "01"] {
        check(&format!("out 08={command} d0=04\n{block}"));
    }
}

/// QEMU 7.2 `i8257`: a request by software can be masked, clears TC, and is not cleared by TC.
#[test]
fn the_request_bit_is_the_device_s_bit() {
    check(
        "out 0b=45 0c=00 02=00 02=10 03=01 03=00 09=05\nin 08=20\nstock 1: 1 2 3\nrun\nleft 1: 3\nout 0a=01\nrun 2
        tc 1: 2\nout 09=05\nin 08=20\nrun 2\nin 08=22 08=20\nout 09=01\nin 08=00",
    );
}

/// QEMU 7.2 `i8257`: after master clear a device that already asks is forgotten until it asks again.
#[test]
fn master_clear_forgets_who_asks() {
    check(
        "out 0b=45 0c=00 02=00 02=10 03=0f 03=00\nstock 1: 1 2 3\nask 1: 2\nin 08=20\nout 0d=00\nin 08=00\nout 0a=01\nrun
        order -\nask 1: 0\nin 08=00\nask 1: 2\nin 08=20\nrun\norder 1 1",
    );
}

/// QEMU 7.2 `i8257`: TC sets no mask and nothing is reloaded; a further request does the same block again.
#[test]
fn a_block_can_be_done_again() {
    for mode in ["45", "55"] {
        check(&format!(
            "out 0b={mode} 83=02 0c=00 02=00 02=10 03=01 03=00 0e=00\ngive 1: 1 2\nrun\nin 02=02 02=10 03=ff 03=ff
            in 08=02 09=00\ngive 1: 3 4\nrun\nis 021000: 03 04 00 00\ntc 1: 2 4\nin 02=02 02=10 03=ff 03=ff"
        ));
    }
}

/// QEMU 7.2 `i8257`: 512 bytes from 2FF00 on go on at 30000.
#[test]
fn an_address_carries_into_the_next_page() {
    check(
        "out 0b=46 81=02 0c=00 04=00 04=ff 05=ff 05=01 0a=02\ngive 2: 55*200\nrun\nis 02ff00: 55*200\nis 020000: 00*100
        in 04=00 04=01 05=ff 05=ff",
    );
}

/// QEMU 7.2 `i8257`: bit 0 of a 16-bit channel's page is ORed into the address.
#[test]
fn the_low_page_bit_is_part_of_the_address() {
    for (page, high) in [("03", "00"), ("02", "80"), ("03", "80")] {
        check(&format!(
            "out d6=45 8b={page} d8=00 c4=00 c4={high} c6=00 c6=00 d4=01\ngive 5: 1234\nrun\nis 030000: 34 12\nis 020000: 00 00"
        ));
    }
}

/// QEMU 7.2 `i8257`: going down, 512 bytes with the start 20400 land at 20200 to 203FF, in order.
#[test]
fn a_block_written_down_lands_below_its_start_in_order() {
    check(
        "out 0b=66 81=02 0c=00 04=00 04=04 05=ff 05=01 0a=02\ngive 2: 11*100 22*ff 33\nrun\nis 020200: 11*100 22*ff 33 00
        in 04=00 04=02 05=ff 05=ff",
    );
    check(
        "out 0b=66 81=02 0c=00 04=00 04=04 05=03 05=00 0a=02\ngive 2: 1 2 3 4\nrun\nis 0203fb: 00 01 02 03 04 00",
    );
}

/// QEMU 7.2 `i8257`: of a block that is read going down only the first half is turned round.
#[test]
fn a_block_read_down_is_half_turned() {
    check(
        "ram 0203fc: 01 02 03 04\nout 0b=6a 81=02 0c=00 04=00 04=04 05=03 05=00 0a=02\nask 2: 4\nrun\ngot 2: 4 3 3 4",
    );
    let count = |numbers: &mut dyn Iterator<Item = u8>| {
        numbers.map(|n| format!("{n:02x}")).collect::<Vec<_>>().join(" ")
    };
    let (up, down) = (count(&mut (0..=0xff)), count(&mut (0..=0xff).rev()));
    check(&format!(
        "ram 020200: {up} {up}\nout 0b=6a 81=02 0c=00 04=00 04=04 05=ff 05=01 0a=02\nask 2: 200\nrun\ngot 2: {down} {up}"
    ));
}

/// QEMU 7.2 `i8257`: verify counts, says TC and moves nothing, as the data sheet says.
#[test]
fn verify_is_like_the_real_one() {
    check(
        "out 0b=42 81=02 0c=00 04=00 04=04 05=01 05=00 0a=02\ngive 2: 1 2\nrun\nis 020400: 00 00\nin 08=04\nin 04=02 04=04 05=ff 05=ff",
    );
}

/// QEMU 7.2 `i8257`: controller 1 needs no channel 4, and cascade mode is a mode like any other.
#[test]
fn there_is_no_cascade() {
    check(
        "out d0=04 0b=c6 81=02 0c=00 04=00 04=04 05=01 05=00 0a=02\ngive 2: 1 2\nrun\nis 020400: 01 02\ntc 2: 2",
    );
}

/// A device that does what it wants, or is not there.
struct Wilful(Intent);

impl Requester for Wilful {
    fn dreq(&mut self, channel: u8) -> bool {
        channel == 2
    }

    fn give(&mut self, _: Cycle) -> u16 {
        0x5a
    }

    fn take(&mut self, _: Cycle, _: u16) {}

    fn intent(&mut self, _: u8) -> Intent {
        self.0
    }
}

fn run(setup: &[(u16, u8)], device: Intent, quirks: Quirks) -> (Ram, I8237) {
    let mut dma = I8237::new().with_high_pages().with_quirks(quirks);
    let mut ram = Ram::default();
    for &(port, value) in setup {
        dma.write(port, value).expect("a port of the pair");
    }
    while dma.step(&mut ram, &mut Wilful(device)) == Step::Worked && ram.accesses.is_empty() {}
    (ram, dma)
}

const ONE_BYTE: [(u16, u8); 9] = [
    (0xd6, 0xc0),
    (0xd4, 0),
    (0x0b, 0x4a),
    (0x04, 0x34),
    (0x04, 0x12),
    (0x81, 2),
    (0x05, 0),
    (0x05, 0),
    (0x0a, 2),
];

/// QEMU 7.2 `i8257`: the device decides which way data moves, whatever the mode says.
#[test]
fn the_device_decides_the_direction() {
    let written = |quirks| {
        run(&ONE_BYTE, Intent::Gives, quirks)
            .0
            .bytes
            .get(&0x2_1234)
            .copied()
    };
    assert_eq!(written(Quirks::all()), Some(0x5a));
    assert_eq!(written(Quirks::empty()), None, "the mode says memory to device");
}

/// QEMU 7.2 `i8257`: without a device the request stands and nothing moves; the real one counts all the same.
#[test]
fn without_a_device_nothing_moves() {
    let (ram, mut dma) = run(&ONE_BYTE, Intent::Absent, Quirks::all());
    assert_eq!((ram.accesses.len(), dma.read(0x08)), (0, Ok(0x40)));
    let (ram, mut dma) = run(&ONE_BYTE, Intent::Absent, Quirks::empty());
    assert_eq!((ram.accesses.len(), dma.read(0x08)), (1, Ok(0x44)));
}

/// QEMU 7.2 `i8257`: of a high page register seven bits count.
#[test]
fn the_highest_address_bit_is_missing() {
    let setup: Vec<_> = ONE_BYTE.into_iter().chain([(0x481, 0x81)]).collect();
    assert_eq!(
        run(&setup, Intent::AsProgrammed, Quirks::all()).0.accesses,
        [(0x0102_1234, 1)]
    );
    assert_eq!(
        run(&setup, Intent::AsProgrammed, Quirks::empty()).0.accesses,
        [(0x8102_1234, 1)]
    );
}
