//! What devices say of themselves, and what they get for it.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{flush, ready, receive_again};
use bench::narrow::{Habits, Narrow, narrow, request};
use bench::{Bench, DEVICE, explore};
use longshore_core::Passive;
use longshore_core::completion::Verdict;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_drydock::machine::Machine;
use longshore_drydock::reference::{CancelStyle, Interrupts, Options, ReferenceController, ReferenceDevice};
use longshore_hardware::{BusAddress, BusRange};
use longshore_wdm::{
    Adapter, AdapterControl, AdapterError, ChannelAttributes, DescriptionVersion, DeviceDescription,
    DmaSpeed, DmaWidth, InterfaceType, IoAllocationAction, MapError, MapRequest, Mdl, MdlPiece, Policy,
    PortWidths, RegisterError, Setup, State,
};
use std::sync::Arc;

fn refused(bench: &Narrow, passive: &Passive, description: DeviceDescription) -> Option<AdapterError> {
    bench.platform.adapter(passive, description).err()
}

/// Proves: WDM-050, WDM-059, WDM-060, WDM-063, WDM-064, WDM-066, WDM-067, WDM-068, WDM-100, WDM-104.
#[test]
fn what_cannot_be_served_is_refused_and_named() {
    narrow(1, Habits::default(), |bench, passive| {
        let system = DeviceDescription {
            maximum_length: 4096,
            ..DeviceDescription::system(0, 0)
        };
        let old = DeviceDescription {
            version: DescriptionVersion::V2,
            ..system
        };
        let master = DeviceDescription {
            maximum_length: 4096,
            ..DeviceDescription::bus_master(32)
        };
        let cases = [
            (
                DeviceDescription {
                    version: DescriptionVersion(4),
                    ..system
                },
                AdapterError::UnknownVersion,
            ),
            (
                DeviceDescription {
                    reserved1: true,
                    ..system
                },
                AdapterError::ReservedSet,
            ),
            (
                DeviceDescription {
                    maximum_length: 0,
                    ..system
                },
                AdapterError::NoLength,
            ),
            (
                DeviceDescription {
                    width: DmaWidth(4),
                    ..system
                },
                AdapterError::BadWidth,
            ),
            (
                DeviceDescription {
                    speed: DmaSpeed(5),
                    ..old
                },
                AdapterError::BadSpeed,
            ),
            (
                DeviceDescription {
                    request_line: 2,
                    ..system
                },
                AdapterError::NoController,
            ),
            (
                DeviceDescription { channel: 2, ..system },
                AdapterError::NoChannel,
            ),
            (
                DeviceDescription { channel: 2, ..old },
                AdapterError::NoController,
            ),
            (
                DeviceDescription {
                    address_width: 0,
                    ..master
                },
                AdapterError::AddressWidth,
            ),
            (
                DeviceDescription {
                    address_width: 65,
                    ..master
                },
                AdapterError::AddressWidth,
            ),
            (DeviceDescription::default(), AdapterError::NoLength),
        ];
        for (description, why) in cases {
            assert_eq!(refused(bench, passive, description), Some(why), "{description:?}");
        }
        // Not used in version 3, or not by this kind: whatever they hold, there is an adapter.
        let speed = DeviceDescription {
            speed: DmaSpeed(9),
            bus_number: 7,
            dma_port: 8,
            ..system
        };
        let narrow = DeviceDescription {
            address_width: 1,
            width: DmaWidth(9),
            controller_instance: 3,
            ..master
        };
        let line = DeviceDescription {
            request_line: 99,
            channel: 1,
            ..old
        };
        for description in [speed, narrow, line] {
            assert_eq!(refused(bench, passive, description), None, "{description:?}");
        }
        let no_master = bench.system.adapter(passive, master).err();
        assert_eq!(no_master, Some(AdapterError::NotSubordinate));
    });
}

/// Proves: WDM-051, WDM-056, WDM-057.
#[test]
fn a_bus_master_s_reach_is_what_its_version_says() {
    let master = DeviceDescription {
        master: true,
        ..DeviceDescription::default()
    };
    let (short, long) = (
        DeviceDescription {
            dma_32bit_addresses: true,
            ..master
        },
        DeviceDescription {
            dma_64bit_addresses: true,
            dma_32bit_addresses: true,
            ..master
        },
    );
    let listed = DeviceDescription {
        scatter_gather: true,
        ..master
    };
    let on_pci = DeviceDescription {
        interface_type: InterfaceType::PCI,
        ..listed
    };
    for version in [
        DescriptionVersion::V0,
        DescriptionVersion::V1,
        DescriptionVersion::V2,
    ] {
        let of = |description| {
            DeviceDescription {
                version,
                ..description
            }
            .master_address_width()
        };
        assert_eq!(
            [master, listed, short, on_pci, long].map(of),
            [24, 24, 32, 32, 64]
        );
    }
    let version = DescriptionVersion::V3;
    for old in [short, long] {
        let third = DeviceDescription {
            version,
            address_width: 36,
            ..old
        };
        assert_eq!(third.master_address_width(), 36, "the flags are ignored");
    }
}

/// Proves: WDM-054, WDM-055, WDM-058.
#[test]
fn flags_count_only_where_they_are_meant() {
    let all = DeviceDescription {
        demand_mode: true,
        auto_initialize: true,
        ignore_count: true,
        ..DeviceDescription::default()
    };
    let of = |version, master| {
        let description = DeviceDescription {
            version,
            master,
            ..all
        };
        (
            description.on_demand(),
            description.loops(),
            description.ignores_count(),
        )
    };
    assert_eq!(of(DescriptionVersion::V0, false), (false, true, false));
    assert_eq!(of(DescriptionVersion::V1, false), (false, true, true));
    assert_eq!(of(DescriptionVersion::V2, false), (true, true, true));
    assert_eq!(of(DescriptionVersion::V3, false), (true, true, true));
    assert_eq!(of(DescriptionVersion::V3, true), (false, false, true));
}

/// Proves: A-21.
#[test]
fn narrow_bus_masters_are_refused_only_where_windows_would() {
    let policy = Policy {
        refuse_narrow_masters: true,
        ..Policy::default()
    };
    narrow(
        1,
        Habits {
            policy,
            ..Habits::default()
        },
        |bench, passive| {
            let of = |width| {
                let description = DeviceDescription {
                    maximum_length: 1,
                    ..DeviceDescription::bus_master(width)
                };
                refused(bench, passive, description)
            };
            assert_eq!([23, 24].map(of), [Some(AdapterError::NarrowMaster), None]);
        },
    );
}

/// A cancel between completion and flush: its mark stays, or goes where Windows' goes.
///
/// Proves: A-07, WDM-176.
#[test]
fn the_mark_of_a_cancel_outlives_the_flush_unless_windows_is_followed() {
    for forget in [false, true] {
        let policy = Policy {
            forget_cancel_at_flush: forget,
            ..Policy::default()
        };
        narrow(
            5,
            Habits {
                policy,
                ..Habits::default()
            },
            move |bench, passive| {
                let adapter = bench.adapter(passive, 0);
                let context = ready(passive, &adapter);
                let buffer = bench.buffer(8, false, 0);
                let segments = [buffer.range()];
                bench.port.supply(&[1; 16]);
                bench.allocate(passive, &adapter, &context, 0).unwrap();
                bench.map_and_wait(passive, &adapter, &context, request(&segments, 8, false));
                adapter.cancel_mapped(&*passive, &context).unwrap();
                let verdict = flush(&adapter, &*passive, &context, buffer.range(), 8, false);
                assert_eq!(verdict, Some(Verdict::Completed));
                let state = adapter.poll(&*passive, &context).state;
                assert_eq!(state, if forget { State::Own } else { State::OwnX });
                if forget {
                    bench.map_and_wait(passive, &adapter, &context, request(&segments, 8, false));
                    flush(&adapter, &*passive, &context, buffer.range(), 8, false);
                } else {
                    let again = adapter.map_transfer(&*passive, &context, request(&segments, 8, false));
                    assert!(matches!(again, Err(MapError::Refused(_))));
                }
                bench.free(passive, &adapter, &context);
            },
        );
    }
}

#[test]
fn a_request_line_is_one_controller_s() {
    narrow(1, Habits::default(), |bench, passive| {
        let options = Options::new().interrupts(Interrupts::None);
        let registers = bench
            .machine
            .attach("second", Box::new(ReferenceDevice::new(options)), &[]);
        let second = Arc::new(ReferenceController::new(
            registers,
            bench.machine.memory(),
            options,
        ));
        let refused = bench.platform.register(passive, Setup::new(second)).err();
        assert_eq!(refused, Some(RegisterError::RequestLines));
    });
}

/// Proves: WDM-313.
#[test]
fn channels_get_their_common_buffers_after_the_controller_is_ready_and_in_order() {
    let channel = ChannelAttributes {
        common_buffer_length: 100,
        ..ChannelAttributes::default()
    };
    narrow(
        1,
        Habits {
            channel,
            ..Habits::default()
        },
        |bench, _| {
            let told = bench.controller.told.lock().unwrap().clone();
            let wanted = [
                "initialize",
                "buffer of 100 for 0, in reach: true",
                "buffer of 100 for 1, in reach: true",
            ];
            assert_eq!(told, wanted);
        },
    );
}

/// Proves: WDM-063.
#[test]
fn a_port_that_the_controller_does_not_serve_gets_no_adapter() {
    let widths = Some(PortWidths::BITS_16.with(PortWidths::BITS_32));
    narrow(
        1,
        Habits {
            widths,
            ..Habits::default()
        },
        |bench, passive| {
            let of = |width| {
                let description = DeviceDescription {
                    width,
                    maximum_length: 1,
                    ..DeviceDescription::system(0, 0)
                };
                refused(bench, passive, description)
            };
            let bad = Some(AdapterError::BadWidth);
            let all = [
                DmaWidth::BITS_8,
                DmaWidth::BITS_16,
                DmaWidth::BITS_32,
                DmaWidth::BITS_64,
            ];
            assert_eq!(all.map(of), [bad, None, None, bad]);
        },
    );
}

/// Proves: A-20, WDM-061, WDM-069, WDM-070, WDM-155.
#[test]
fn a_controller_is_told_line_port_and_mode_as_the_version_has_them() {
    narrow(1, Habits::default(), |bench, passive| {
        let third = DeviceDescription {
            demand_mode: true,
            device_address: BusAddress::new(0x100),
            ..DeviceDescription::system(0, 1)
        };
        let second = DeviceDescription {
            version: DescriptionVersion::V2,
            request_line: 77,
            ..third
        };
        let first = DeviceDescription {
            version: DescriptionVersion::V1,
            ..second
        };
        let buffer = bench.buffer(4, false, 0);
        let segments = [buffer.range()];
        // Whichever line it is told, there is a device on it.
        bench.port.supply(&[1; 8]);
        bench.second_port.supply(&[1; 4]);

        let adapter = bench.adapter_of(passive, third);
        let context = ready(passive, &adapter);
        bench.allocate(passive, &adapter, &context, 0).unwrap();
        let wanted = MapRequest {
            device_offset: 8,
            ..request(&segments, 4, false)
        };
        bench.map_and_wait(passive, &adapter, &context, wanted);
        flush(&adapter, &*passive, &context, buffer.range(), 4, false);
        bench.free(passive, &adapter, &context);

        for description in [second, first] {
            let adapter = bench.adapter_of(passive, description);
            map_without_context(bench, passive, &adapter, &segments);
        }
        let hints = bench.controller.hints.lock().unwrap().clone();
        assert_eq!(hints, [(1, 0x108, true), (0, 0x100, true), (0, 0x100, false)]);
    });
}

/// A transfer of a driver of version 1 or 2, from the request to the free.
fn map_without_context(
    bench: &Narrow,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    segments: &[BusRange],
) {
    let piece = MdlPiece {
        mdl: Mdl::new(0, Segments::new(segments)),
        current: 0,
        length: 4,
        write_to_device: false,
    };
    bench.machine.raise(passive, |dispatch| {
        let keep: AdapterControl<Machine> = Box::new(|_, _, _| IoAllocationAction::KEEP_OBJECT);
        let asked = adapter.allocate_adapter_channel(dispatch, DEVICE, 0, keep);
        asked.map_err(|refused| refused.why).unwrap();
    });
    adapter.map_mdl(&*passive, None, piece).unwrap();
    while adapter.read_counter(&*passive) != 0 {
        bench.machine.relax();
    }
    assert!(adapter.flush_mdl(&*passive, None, piece));
    bench.machine.raise(passive, |dispatch| {
        adapter.free_adapter_channel(dispatch).unwrap()
    });
}

/// Several adapters for one channel take turns.
///
/// Proves: A-24.
#[test]
fn adapters_of_one_channel_take_turns() {
    explore(20, CancelStyle::Honest, true, |bench: &Bench, passive| {
        let (one, two) = (bench.adapter(passive, false), bench.adapter(passive, false));
        let context = ready(passive, &one);
        bench::driver::allocate(bench, passive, &one, &context).unwrap();
        let other = ready(passive, &two);
        let busy = bench::driver::allocate(bench, passive, &two, &other);
        assert!(busy.is_err());
        assert!(one.holder(None).is_some() && two.holder(None).is_none());
        bench::driver::free(bench, passive, &one, &context);
        receive_again(bench, passive, &two);
        receive_again(bench, passive, &one);
    });
}
