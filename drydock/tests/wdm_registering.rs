//! How controllers and channels are registered, and how a device finds them.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::watched::{Watch, Watched, explore_watched};
use bench::{Bench, explore};
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::{Irql, Passive};
use longshore_drydock::machine::Machine;
use longshore_drydock::reference::{CancelStyle, Interrupts, Options, ReferenceController, ReferenceDevice};
use longshore_hardware::BusAddress;
use longshore_wdm::{
    AdapterError, Controller, ControllerAttributes, DescriptionVersion, DeviceDescription, InterfaceType,
    MapRegisters, Platform, Policy, RegisterError, RequestLines, Setup, SystemDma,
};
use std::sync::{Arc, Mutex};

/// A controller that does not interrupt, whose first request line is the system's so-and-so-manieth.
fn controller(
    machine: &Machine,
    options: Options,
) -> ReferenceController<longshore_drydock::machine::Device> {
    let options = options.interrupts(Interrupts::None);
    let registers = machine.attach("dma", Box::new(ReferenceDevice::new(options)), &[]);
    ReferenceController::new(registers, machine.memory(), options)
}

fn first_line(first_line: u32) -> Options {
    Options {
        first_line,
        ..Options::new()
    }
}

fn platform(machine: &Machine) -> Platform<Machine> {
    Platform::new(machine, None, Policy::default())
}

fn register(
    platform: &Platform<Machine>,
    passive: &Passive,
    options: Options,
) -> Result<SystemDma<Machine>, RegisterError> {
    let controller = Arc::new(controller(platform.machine(), options));
    platform.register(passive, Setup::new(controller))
}

fn subordinate(channel: u32, line: u32) -> DeviceDescription {
    DeviceDescription {
        maximum_length: 4096,
        ..DeviceDescription::system(channel, line)
    }
}

/// Proves: WDM-305.
#[test]
fn a_controller_is_what_it_registered_with_and_is_found_by_its_lines() {
    explore(1, CancelStyle::Honest, true, |bench, passive| {
        let platform = platform(&bench.machine);
        let options = Options {
            minimum_unit: 4,
            address_width: 24,
            ..first_line(40)
        };
        let first = register(&platform, passive, options).unwrap();
        let expected = ControllerAttributes {
            minimum_unit: 4,
            address_width: 24,
            request_lines: RequestLines { first: 40, count: 2 },
            generates_interrupt: false,
            ..ControllerAttributes::new(2)
        };
        assert_eq!(first.attributes(), expected);
        for taken in [39, 40, 41] {
            let refused = register(&platform, passive, first_line(taken));
            assert_eq!(refused.err(), Some(RegisterError::RequestLines));
        }
        // What it is given stands for it and for no other.
        let second = register(&platform, passive, first_line(42)).unwrap();
        assert_eq!(second.attributes().request_lines.first, 42);
        for (line, system) in [(40, &first), (41, &first), (42, &second), (43, &second)] {
            let adapter = platform.adapter(passive, subordinate(line % 2, line)).unwrap();
            assert_eq!(adapter.system().attributes(), system.attributes());
        }
        let stranger = platform.adapter(passive, subordinate(0, 44));
        assert_eq!(stranger.err(), Some(AdapterError::NoController));
        let beyond = platform.adapter(passive, subordinate(2, 41));
        assert_eq!(beyond.err(), Some(AdapterError::NoChannel));
    });
}

/// A controller's channels are counted from 0 without holes, and come after it.
///
/// Proves: WDM-307, WDM-309.
#[test]
fn channels_are_asked_for_one_by_one_after_their_controller() {
    explore_watched(1, (CancelStyle::Honest, true), |bench, _, watch| {
        assert_eq!(bench.system.attributes().channels, 2);
        assert_eq!(watch.channels("channel"), [Some(0), Some(1)]);
        let calls = watch.calls();
        let place = |name| calls.iter().position(|called| called.name == name);
        assert!(place("attributes") < place("channel") && place("channel") < place("InitializeController"));
        // Neither wants a common buffer.
        assert!(watch.channels("ReportCommonBuffer").is_empty());
    });
}

/// Proves: WDM-105.
#[test]
fn a_pair_of_channel_and_line_that_is_refused_gets_no_adapter() {
    explore(1, CancelStyle::Honest, true, |bench: &Bench, passive| {
        let (platform, watch) = (platform(&bench.machine), Watch::default());
        let inner = controller(&bench.machine, first_line(0));
        let watched = Watched::new(inner, &bench.machine, &watch).refusing(1, 0);
        let setup = Setup::new(Arc::new(watched) as Arc<dyn Controller>);
        platform.register(passive, setup).unwrap();
        let refused = platform.adapter(passive, subordinate(0, 1));
        assert_eq!(refused.err(), Some(AdapterError::BadBinding));
        assert!(platform.adapter(passive, subordinate(1, 1)).is_ok());
        assert!(platform.adapter(passive, subordinate(0, 0)).is_ok());
        let name = "ValidateRequestLineBinding";
        assert_eq!(watch.channels(name), [Some(0), Some(1), Some(0)]);
        let mut asked = watch.calls();
        asked.retain(|called| called.name == name);
        assert!(asked.iter().all(|called| called.level == Irql::PASSIVE));
    });
}

/// Proves: WDM-052.
#[test]
fn a_bus_master_needs_no_controller_and_a_subordinate_does() {
    explore(1, CancelStyle::Honest, true, |bench, passive| {
        let empty = platform(&bench.machine);
        let master = DeviceDescription {
            maximum_length: 4096,
            ..DeviceDescription::bus_master(32)
        };
        assert!(empty.adapter(passive, master).unwrap().is_master());
        let served = DeviceDescription {
            master: false,
            ..master
        };
        let alone = empty.adapter(passive, served);
        assert_eq!(alone.err(), Some(AdapterError::NoController));
        register(&empty, passive, first_line(0)).unwrap();
        let adapter = empty.adapter(passive, served).unwrap();
        assert!(!adapter.is_master());
        // A controller's channel is for those that it serves.
        let wrong = bench.system.adapter(passive, master);
        assert_eq!(wrong.err(), Some(AdapterError::NotSubordinate));
    });
}

/// The bus says what is assumed of a device. Where it is left open there is nothing to ask here, and what the description
/// says for itself holds.
///
/// Proves: WDM-062.
#[test]
fn an_undefined_bus_is_as_good_as_any() {
    explore(1, CancelStyle::Honest, true, |bench, passive| {
        let platform = platform(&bench.machine);
        register(&platform, passive, first_line(0)).unwrap();
        let master = DeviceDescription {
            version: DescriptionVersion::V2,
            maximum_length: 4096,
            scatter_gather: true,
            ..DeviceDescription::bus_master(0)
        };
        let width = |interface_type, wide| {
            let description = DeviceDescription {
                interface_type,
                dma_32bit_addresses: wide,
                ..master
            };
            let adapter = platform.adapter(passive, description).unwrap();
            adapter.system().attributes().address_width
        };
        assert_eq!(width(InterfaceType::PCI, false), 32);
        assert_eq!(width(InterfaceType::ISA, false), 24);
        assert_eq!(width(InterfaceType::UNDEFINED, false), 24);
        assert_eq!(width(InterfaceType::UNDEFINED, true), 32);
        let served = DeviceDescription {
            interface_type: InterfaceType::UNDEFINED,
            ..subordinate(0, 1)
        };
        assert!(platform.adapter(passive, served).is_ok());
    });
}

/// Two CPUs register controllers with a line in common: one of them gets it, whichever.
#[test]
fn of_two_that_register_at_once_one_gets_the_lines() {
    explore(200, CancelStyle::Honest, true, |bench, passive| {
        let platform = platform(&bench.machine);
        let results = Arc::new(Mutex::new(Vec::new()));
        let done = [1, 2].map(|cpu| {
            let done = Arc::new(bench.machine.signal(passive, "registered"));
            let (platform, results) = (platform.clone(), Arc::clone(&results));
            let inside = Arc::clone(&done);
            bench.machine.spawn(Cpu(cpu), "registrar", move |passive| {
                let registered = register(&platform, passive, first_line(40 + cpu));
                results.lock().unwrap().push(registered.err());
                inside.set();
            });
            done
        });
        for signal in done {
            let _ = signal.wait(passive);
        }
        let mut results = results.lock().unwrap().clone();
        results.sort_by_key(Option::is_some);
        assert_eq!(results, [None, Some(RegisterError::RequestLines)]);
    });
}

/// What was not registered after all keeps no lines.
#[test]
fn a_controller_that_is_refused_gives_its_lines_back() {
    explore(1, CancelStyle::Honest, true, |bench, passive| {
        let pool = MapRegisters::new(passive, &bench.machine, 2, BusAddress::new(u64::MAX)).unwrap();
        let platform = Platform::new(&bench.machine, Some(pool), Policy::default());
        let options = Options {
            minimum_unit: 3,
            ..first_line(40)
        };
        let refused = register(&platform, passive, options);
        assert_eq!(refused.err(), Some(RegisterError::Unit));
        assert!(register(&platform, passive, first_line(40)).is_ok());
    });
}
