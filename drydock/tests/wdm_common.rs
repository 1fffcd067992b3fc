//! Common buffers.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::misuses;
use bench::master::Masters;
use bench::narrow::{Habits, REACH, narrow};
use bench::{Bench, expect_clean, expect_finding, explore, one};
use longshore_core::NtStatus;
use longshore_core::machine::Machine as _;
use longshore_drydock::Plan;
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::{BusAddress, DmaMemory};
use longshore_wdm::state::Refusal;
use longshore_wdm::{CachingType, ChannelAttributes, CommonBufferError, CommonBufferRequest};

fn straight(
    scenario: impl Fn(&Bench, &mut longshore_core::Passive) + Send + Clone + 'static,
) -> longshore_drydock::Run {
    one(Plan::straight(), CancelStyle::Honest, true, scenario)
}

/// Proves: WDM-220.
#[test]
fn a_common_buffer_is_shared_by_both_sides() {
    let run = straight(|bench, passive| {
        let adapter = bench.adapter(passive, false);
        let buffer = adapter.allocate_common_buffer(passive, 100, false).unwrap();
        assert_eq!((buffer.length(), buffer.range().len()), (100, 100));
        // It ignores what was asked for about caching.
        assert_eq!(buffer.caching(), CachingType::CACHED);
        let (cpu, device) = (bench.machine.memory(), bench.machine.device_memory());
        device.write(buffer.address(), &[1; 100]).unwrap();
        let mut bytes = [0; 100];
        cpu.read(buffer.address(), &mut bytes).unwrap();
        assert_eq!(bytes, [1; 100]);
        cpu.write(buffer.address(), &[2; 100]).unwrap();
        device.read(buffer.address(), &mut bytes).unwrap();
        assert_eq!(bytes, [2; 100]);
        let reserved = bench.machine.allocated();
        assert!(
            reserved
                .iter()
                .any(|range| range.start() == buffer.address() && range.len() == 4096)
        );
        drop(buffer);
        adapter.put(&*passive).unwrap();
    });
    expect_clean(&run);
}

/// Proves: WDM-220.
#[test]
fn what_was_not_asked_for_is_not_usable_though_its_page_is_reserved() {
    for (view, rule) in [("cpu", "WDM-220"), ("device", "PAIN-08")] {
        let run = straight(move |bench, passive| {
            let adapter = bench.adapter(passive, false);
            let buffer = adapter.allocate_common_buffer(passive, 100, true).unwrap();
            let memory = match view {
                "cpu" => bench.machine.memory(),
                _ => bench.machine.device_memory(),
            };
            memory.write(buffer.range().end(), &[1]).unwrap();
        });
        expect_finding(&run, rule);
    }
}

/// Proves: WDM-221.
#[test]
fn a_common_buffer_is_freed_as_it_was_made() {
    let run = straight(|bench, passive| {
        let (adapter, other) = (bench.adapter(passive, false), bench.adapter(passive, false));
        let mut buffer = adapter.allocate_common_buffer(passive, 5000, false).unwrap();
        let at = buffer.address();
        let page_on = at.checked_add(4096).unwrap();
        let wrong = [
            (5000, page_on, false),
            (4096, at, false),
            (8192, at, false),
            (5000, at, true),
        ];
        for (length, address, cached) in wrong {
            let refused = adapter.free_common_buffer(passive, buffer, length, address, cached);
            buffer = refused.unwrap_err().buffer;
        }
        let refused = other.free_common_buffer(passive, buffer, 5000, at, false);
        buffer = refused.unwrap_err().buffer;
        let allocated = bench.machine.allocated().len();
        adapter
            .free_common_buffer(passive, buffer, 5000, at, false)
            .unwrap();
        assert_eq!(bench.machine.allocated().len(), allocated - 1);
    });
    expect_clean(&run);
    assert_eq!(misuses(&run), ["WDM-221"; 5]);
}

/// Proves: WDM-222.
#[test]
fn a_common_buffer_lies_below_the_highest_address() {
    let run = straight(|bench, passive| {
        let adapter = bench.adapter(passive, false);
        let highest = BusAddress::new(0x4000);
        let request = CommonBufferRequest {
            maximum_address: Some(highest),
            cache_enabled: false,
            preferred_node: 7,
            ..CommonBufferRequest::new(4096)
        };
        let mut kept = Vec::new();
        while let Ok(buffer) = adapter.allocate_common_buffer_ex(passive, request) {
            assert!(buffer.range().end() <= highest);
            assert_eq!(buffer.caching(), CachingType::NON_CACHED);
            kept.push(buffer);
        }
        assert!(!kept.is_empty());
        let refused = adapter.allocate_common_buffer_ex(passive, request).unwrap_err();
        assert_eq!(refused, CommonBufferError::NoMemory);
        assert_eq!(refused.status(), NtStatus::INSUFFICIENT_RESOURCES);
        let anywhere = CommonBufferRequest::new(4096);
        let above = adapter.allocate_common_buffer_ex(passive, anywhere).unwrap();
        assert_eq!(above.caching(), CachingType::CACHED);
        assert!(above.range().end() > highest);
        let none = adapter.allocate_common_buffer(passive, 0, true).unwrap_err();
        assert_eq!(none, CommonBufferError::NoLength);
        let huge = adapter
            .allocate_common_buffer(passive, u32::MAX, true)
            .unwrap_err();
        assert_eq!(huge, CommonBufferError::NoMemory);
    });
    expect_clean(&run);
}

/// Proves: WDM-106.
#[test]
fn an_adapter_is_not_put_back_while_its_common_buffer_is_out() {
    let runs = explore(20, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let buffer = adapter.allocate_common_buffer(passive, 64, true).unwrap();
        let refused = adapter.put(&*passive).unwrap_err();
        assert_eq!(refused.why, Refusal::CommonBufferOut);
        drop(buffer);
        refused.adapter.put(&*passive).unwrap();
    });
    for run in runs {
        assert_eq!(misuses(&run), ["WDM-106"]);
    }
}

/// Proves: WDM-220, WDM-222.
#[test]
fn a_common_buffer_is_in_reach_and_one_run_within_the_boundaries() {
    let habits = Habits {
        channel: ChannelAttributes {
            boundary: 0x4000,
            ..ChannelAttributes::default()
        },
        ..Habits::default()
    };
    narrow(0, habits, |narrow, passive| {
        let adapter = narrow.adapter(passive, 0);
        // The pool has the first pages, so that none of these begins at a boundary by chance.
        let mut kept = Vec::new();
        while let Ok(buffer) = adapter.allocate_common_buffer(passive, 0x3000, true) {
            let range = buffer.range();
            assert!(range.end().raw() <= REACH);
            assert_eq!(
                range.start().raw() / 0x4000,
                (range.end().raw() - 1) / 0x4000,
                "{range:?}"
            );
            kept.push(buffer);
        }
        assert!(!kept.is_empty());
        let smaller = adapter.allocate_common_buffer(passive, 0x1000, true).unwrap();
        assert!(smaller.range().end().raw() <= REACH);
    });
}

/// Proves: WDM-271.
#[test]
fn a_bus_master_s_common_buffer_has_no_more_pages_than_it_has_registers() {
    let run = straight(|bench, passive| {
        let masters = Masters::new(bench, passive);
        let adapter = masters.adapter(passive);
        let most = adapter.map_registers();
        let buffer = adapter
            .allocate_common_buffer(passive, most * 4096, true)
            .unwrap();
        assert_eq!(buffer.range().len(), u64::from(most) * 4096);
        let more = adapter.allocate_common_buffer(passive, most * 4096 + 1, true);
        let error = more.unwrap_err();
        assert_eq!(error, CommonBufferError::TooFewRegisters);
        assert_eq!(error.status(), NtStatus::INSUFFICIENT_RESOURCES);
        // A controller's channel needs none for it.
        let system = bench.adapter(passive, false);
        let more = system.map_registers() * 4096 + 1;
        assert!(system.allocate_common_buffer(passive, more, true).is_ok());
    });
    expect_clean(&run);
}
