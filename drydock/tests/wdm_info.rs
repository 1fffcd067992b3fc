//! What a driver can ask before it transfers.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::misuses;
use bench::{Bench, expect_clean, one};
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::reference::CancelStyle;
use longshore_drydock::{Plan, Run};
use longshore_hardware::{BusAddress, BusRange};
use longshore_wdm::{AdapterInfo, InfoError, InfoVersion, TransferInfo, TransferQuestion};

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
