//! What a driver can ask before it transfers.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{misuses, ready};
use bench::narrow::{self, Habits, Narrow, REACH, narrow};
use bench::{Bench, expect_clean, one};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::reference::CancelStyle;
use longshore_drydock::{Plan, Run};
use longshore_hardware::{BusAddress, BusRange, Lease};
use longshore_wdm::{
    AdapterInfo, ChannelAttributes, FlushRequest, InfoError, InfoVersion, MapRequest, TransferInfo,
    TransferQuestion,
};

fn straight(scenario: impl Fn(&Bench, &mut Passive) + Send + Clone + 'static) -> Run {
    let run = one(Plan::straight(), CancelStyle::Honest, true, scenario);
    expect_clean(&run);
    run
}

fn range(start: u64, len: u64) -> BusRange {
    BusRange::new(BusAddress::new(start), len).unwrap()
}

/// Proves: WDM-045, WDM-046, WDM-073, WDM-074, WDM-110.
#[test]
fn an_adapter_tells_what_its_channel_can_do() {
    straight(|bench, passive| {
        let adapter = bench.adapter(passive, false);
        let info = adapter.info(&*passive, InfoVersion(1)).unwrap();
        let expected = AdapterInfo {
            read_counter_available: true,
            scatter_gather_limit: 8,
            address_width: 32,
            flags: 0,
            minimum_transfer_unit: 1,
        };
        assert_eq!(info, expected);
    });
}

/// Proves: WDM-045, WDM-076, WDM-110, WDM-111.
#[test]
fn a_form_of_the_answer_that_is_not_known_is_not_supported() {
    let run = straight(|bench, passive| {
        let adapter = bench.adapter(passive, false);
        // The form of a crash dump has no number, so it is any of these.
        for version in [0, 2, 3, u32::MAX] {
            let error = adapter.info(&*passive, InfoVersion(version)).unwrap_err();
            assert_eq!(
                (error, error.status()),
                (InfoError::UnknownVersion, NtStatus::NOT_SUPPORTED)
            );
        }
        let pages = [range(0x3000, 10)];
        let question = TransferQuestion {
            buffer: Segments::new(&pages),
            offset: 0,
            length: 10,
            write_only: true,
        };
        for version in [0, 3, u32::MAX] {
            let error = adapter
                .transfer_info(&*passive, InfoVersion(version), question)
                .unwrap_err();
            assert_eq!(
                (error, error.status()),
                (InfoError::UnknownVersion, NtStatus::NOT_SUPPORTED)
            );
        }
    });
    assert_eq!(misuses(&run), [""; 0]);
}

/// Proves: WDM-077, WDM-111, WDM-113.
#[test]
fn a_transfer_s_needs_are_counted_from_its_own_bytes() {
    straight(|bench, passive| {
        let adapter = bench.adapter(passive, false);
        // Three pieces: the end of a page and its neighbour, a page elsewhere, a bit of another.
        let pages = [range(0x3ff0, 0x1010), range(0x8000, 0x1000), range(0xa100, 0x10)];
        let ask = |offset, length, version| {
            let question = TransferQuestion {
                buffer: Segments::new(&pages),
                offset,
                length,
                write_only: false,
            };
            let level = Passive::now(&bench.machine).unwrap();
            adapter.transfer_info(&level, version, question)
        };
        let (first, second) = (InfoVersion::VERSION1, InfoVersion::VERSION2);
        let expected = |pages: u32, elements: u32, logical_pages| TransferInfo {
            map_registers: pages,
            elements,
            list_size: 16 + 24 * elements + 32,
            logical_pages,
        };
        assert_eq!(ask(0, 0x2020, first), Ok(expected(4, 3, None)));
        assert_eq!(ask(0, 0x2020, second), Ok(expected(4, 3, Some(4))));
        assert_eq!(ask(0, 0x10, second), Ok(expected(1, 1, Some(1))));
        assert_eq!(ask(0xf, 2, second), Ok(expected(2, 1, Some(2))));
        // It may skip whole pieces.
        assert_eq!(ask(0x1010, 0x1001, second), Ok(expected(2, 2, Some(2))));
        assert_eq!(ask(0x201f, 1, second), Ok(expected(1, 1, Some(1))));
    });
}

/// Proves: WDM-111.
#[test]
fn a_question_about_bytes_outside_of_the_buffer_is_refused() {
    let run = straight(|bench, passive| {
        let adapter = bench.adapter(passive, false);
        let pages = [range(0x3000, 0x10), range(0x8000, 0x10)];
        for (offset, length) in [
            (0, 0),
            (0, 0x21),
            (0x20, 1),
            (0x1f, 2),
            (u64::MAX, 1),
            (0, u32::MAX),
        ] {
            let question = TransferQuestion {
                buffer: Segments::new(&pages),
                offset,
                length,
                write_only: true,
            };
            let error = adapter
                .transfer_info(&*passive, InfoVersion::VERSION1, question)
                .unwrap_err();
            assert_eq!(error, InfoError::OutsideBuffer, "{length} from {offset}");
            assert_eq!(error.status(), NtStatus::INVALID_PARAMETER);
        }
    });
    assert_eq!(misuses(&run), ["WDM-111"; 6]);
}

/// What was counted before is enough, wherever the bytes lie; and no address is given to the controller that it cannot
/// drive.
///
/// Proves: WDM-075, WDM-077, WDM-111, WDM-112, WDM-263.
#[test]
fn what_a_transfer_was_said_to_take_is_enough_for_it() {
    for unit in [1, 4] {
        let habits = move || Habits {
            channel: ChannelAttributes {
                minimum_unit: unit,
                boundary: 0x1000,
                ..ChannelAttributes::default()
            },
            ..Habits::default()
        };
        let shapes: [&[(bool, u64, u64)]; 6] = [
            &[(false, 0, 64)],
            &[(true, 0, 64)],
            &[(true, 0xffe, 0x1004)],
            &[(false, 0xff0, 16), (true, 3, 13), (false, 0, 35)],
            &[(true, 1, 5), (true, 8, 3), (true, 0, 4092)],
            &[(false, 2, 0x1ffe), (true, 4, 2)],
        ];
        for shape in shapes {
            for write_only in [true, false] {
                let shape = shape.to_vec();
                let run = one(
                    Plan::straight(),
                    CancelStyle::Honest,
                    true,
                    move |bench, passive| {
                        let narrow = Narrow::new(&bench.machine, passive, habits());
                        enough(&narrow, passive, &shape, write_only);
                        narrow.expect_nothing_held();
                    },
                );
                expect_clean(&run);
            }
        }
    }
}

/// Asks, allocates as many registers as was answered, and maps the whole.
fn enough(narrow: &Narrow, passive: &mut Passive, shape: &[(bool, u64, u64)], write_only: bool) {
    let adapter = narrow.adapter(passive, 0);
    let buffers: Vec<_> = shape
        .iter()
        .map(|(far, offset, len)| {
            let align = if *far { REACH } else { 0x1000 };
            let lease = Lease::new(narrow.machine.memory(), 0x4000, align).unwrap();
            let range = lease.range().slice(*offset, *len).unwrap();
            (lease, range)
        })
        .collect();
    let ranges: Vec<_> = buffers.iter().map(|(_, range)| *range).collect();
    let total: u64 = ranges.iter().map(|range| range.len()).sum();
    let length = u32::try_from(total).unwrap();
    let question = TransferQuestion {
        buffer: Segments::new(&ranges),
        offset: 0,
        length,
        write_only,
    };
    let info = adapter
        .transfer_info(&*passive, InfoVersion::VERSION1, question)
        .unwrap();
    let context = ready(passive, &adapter);
    narrow.port.supply(&vec![7; total as usize]);
    narrow
        .allocate(passive, &adapter, &context, info.map_registers)
        .unwrap();
    let request = MapRequest {
        whole: true,
        ..narrow::request(&ranges, length, write_only)
    };
    let mapped = narrow.map_and_wait(passive, &adapter, &context, request);
    assert_eq!(mapped, length);
    let program = narrow.programs().remove(0);
    assert!(
        program.len() <= info.elements as usize,
        "{program:?} for {info:?}"
    );
    assert!(program.iter().all(|fragment| fragment.end().raw() <= REACH));
    let flush = FlushRequest {
        buffer: Segments::new(&ranges),
        offset: 0,
        length,
        write_to_device: write_only,
    };
    adapter.flush(&*passive, &context, flush).unwrap();
    narrow.free(passive, &adapter, &context);
}

/// Proves: WDM-235.
#[test]
fn what_is_aligned_as_was_said_is_not_copied() {
    let habits = Habits {
        channel: ChannelAttributes {
            minimum_unit: 16,
            ..ChannelAttributes::default()
        },
        ..Habits::default()
    };
    narrow(0, habits, |narrow, passive| {
        let adapter = narrow.adapter(passive, 0);
        assert_eq!(adapter.alignment(passive), 16);
        let info = adapter.info(&*passive, InfoVersion::VERSION1).unwrap();
        assert_eq!((info.minimum_transfer_unit, info.address_width), (16, 16));
        let buffer = narrow.buffer(128, false, 0);
        let context = ready(passive, &adapter);
        for (offset, direct) in [(16, true), (8, false)] {
            let ranges = [buffer.range().slice(offset, 32).unwrap()];
            narrow.allocate(passive, &adapter, &context, 1).unwrap();
            let request = narrow::request(&ranges, 32, true);
            assert_eq!(narrow.map_and_wait(passive, &adapter, &context, request), 32);
            assert_eq!(narrow.programs()[0] == ranges, direct);
            let flush = FlushRequest {
                buffer: Segments::new(&ranges),
                offset: 0,
                length: 32,
                write_to_device: true,
            };
            adapter.flush(&*passive, &context, flush).unwrap();
            narrow.free(passive, &adapter, &context);
        }
    });
}
