//! How far a miniport's transfers reach: what is beyond goes through map registers, or is refused.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod at;
mod bench;

use at::{Hardware, LENGTH, pattern};
use bench::nic::{Loose, Nic, SUCCESS, on_channel, said};
use bench::{explore_runs, go};
use longshore_core::machine::Machine as _;
use longshore_core::{AtMostDispatch, Passive};
use longshore_drydock::Run;
use longshore_drydock::machine::{FAR, HIGH, Machine, Memory, View, What};
use longshore_drydock::reference::{Interrupts, Options, Port, ReferenceController, ReferenceDevice};
use longshore_engines::i8237::I8237Controller;
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_models::i8237::Quirks;
use longshore_ndis::{Direction, NdisStatus, Registration, WhyNotSetUp};
use longshore_wdm::{
    AdapterError, DeviceDescription, InfoVersion, MapError, MapRegisters, Platform, Policy, Setup,
};
use std::sync::Arc;

use Direction::{ReadFromDevice, WriteToDevice};

/// A machine with a controller that reaches so many bits, and a NIC of this kind.
#[derive(Clone, Copy, Debug)]
struct Case {
    address_width: u32,
    addresses_32bit: bool,
    registers: bool,
}

/// A machine whose controller drives so many address bits.
struct Wide {
    machine: Machine,
    platform: Platform<Machine>,
    pool: Option<MapRegisters<Machine>>,
    port: Port,
}

impl Wide {
    fn new(machine: &Machine, passive: &Passive, case: Case) -> Self {
        let options = Options {
            address_width: case.address_width,
            ..Options::new().interrupts(Interrupts::None)
        };
        let device = ReferenceDevice::new(options);
        let port = device.port(0);
        let registers = machine.attach("wide", Box::new(device), &[]);
        let controller = ReferenceController::new(registers, machine.memory(), options);
        let pool = case
            .registers
            .then(|| MapRegisters::new(passive, machine, 4, HIGH).unwrap());
        let platform = Platform::new(machine, pool.clone(), Policy::default());
        platform
            .register(passive, Setup::new(Arc::new(controller)))
            .unwrap();
        Self {
            machine: machine.clone(),
            platform,
            pool,
            port,
        }
    }

    fn nic(&self, passive: &Passive, case: Case) -> Nic {
        let registration = Registration {
            addresses_32bit: case.addresses_32bit,
            ..Registration::new(64)
        };
        Nic::on(&self.platform, passive, Some(on_channel(0)), registration).unwrap()
    }
}

fn buffer(machine: &Machine, above: BusAddress) -> Lease<Memory> {
    let lease = Lease::new(machine.memory().above(above), u64::from(LENGTH), 64).unwrap();
    machine.memory().write(lease.address(), &pattern(LENGTH)).unwrap();
    lease
}

/// A send of the pattern, and a receive of as many threes. Or it is refused.
fn both_ways<'l>(
    wide: &Wide,
    level: impl Into<AtMostDispatch<'l>> + Copy,
    nic: &Nic,
    above: BusAddress,
) -> bool {
    let buffer = buffer(&wide.machine, above);
    let before = wide.port.moved();
    let set_up = match nic
        .channel
        .set_up(level, Loose::at(&buffer), 0, LENGTH, WriteToDevice)
    {
        Ok(set_up) => set_up,
        Err(refused) => {
            let unreachable = WhyNotSetUp::NotMapped(MapError::Unreachable);
            assert_eq!(
                (refused.reason, refused.status),
                (unreachable, NdisStatus::RESOURCES)
            );
            return false;
        }
    };
    while set_up.remaining(level) > 0 {
        wide.machine.relax();
    }
    assert_eq!(said(set_up.complete(level).unwrap()), SUCCESS);
    assert_eq!(wide.port.taken()[before as usize..], pattern(LENGTH));
    wide.port.supply(&[3; LENGTH as usize]);
    let set_up = nic.channel.set_up(level, buffer, 0, LENGTH, ReadFromDevice);
    let set_up = set_up.unwrap();
    while set_up.remaining(level) > 0 {
        wide.machine.relax();
    }
    let completed = set_up.complete(level).unwrap();
    assert_eq!((completed.status, completed.residual), SUCCESS);
    let bytes = wide.machine.look(completed.buffer.range());
    assert_eq!(bytes, [3; LENGTH as usize]);
    true
}

/// What devices touched.
fn touched(run: &Run) -> Vec<BusRange> {
    let touched = |what| match what {
        What::Read(View::Device, range) | What::Wrote(View::Device, range) => Some(range),
        _ => None,
    };
    run.trace.iter().filter_map(|step| touched(step.what)).collect()
}

/// Whether the case reaches memory from there on by itself.
fn reaches(case: Case, above: BusAddress) -> bool {
    let bits = if case.addresses_32bit { 32 } else { 24 };
    above.raw() < 1 << bits.min(case.address_width)
}

/// On controllers that reach 16 MiB, 4 GiB and more; NICs that drive 24 lines or 32; memory below, above, and far away.
/// Straight where both reach it, through map registers where one does not, refused where there are none.
///
/// Proves: NDIS-014, NDIS-031.
#[test]
fn no_bus_address_beyond_the_nic_s_lines_reaches_it() {
    for address_width in [24, 32, 40] {
        for (addresses_32bit, registers) in [(false, true), (true, true), (false, false), (true, false)] {
            let case = Case {
                address_width,
                addresses_32bit,
                registers,
            };
            for above in [BusAddress::NULL, HIGH, FAR] {
                one_case(case, above);
            }
        }
    }
}

fn one_case(case: Case, above: BusAddress) {
    let runs = explore_runs(5, &format!("{case:?}"), |plan| {
        go(plan, move |machine, passive| {
            let wide = Wide::new(machine, passive, case);
            let nic = wide.nic(passive, case);
            let moves = both_ways(&wide, &*passive, &nic, above);
            assert_eq!(moves, case.registers || reaches(case, above));
            assert_eq!(wide.pool.as_ref().map_or(0, MapRegisters::in_use), 0);
            nic.halt(passive);
        })
    });
    for run in runs {
        let touched = touched(&run);
        let straight = touched.iter().any(|range| range.start() >= above);
        let lines = if case.addresses_32bit { FAR } else { HIGH };
        assert!(touched.iter().all(|range| range.end() <= lines), "{case:?}");
        if above > BusAddress::NULL {
            assert_eq!(straight, reaches(case, above), "{case:?} at {above}");
        }
    }
}

/// What an adapter for a NIC of 24 lines says of itself is what the NIC reaches, on a controller that reaches more.
///
/// Proves: NDIS-014, WDM-074.
#[test]
fn an_adapter_tells_how_far_its_transfers_reach() {
    explore_runs(1, "", |plan| {
        go(plan, |machine, passive| {
            let case = Case {
                address_width: 40,
                addresses_32bit: false,
                registers: false,
            };
            let wide = Wide::new(machine, passive, case);
            let system = wide.platform.controller_of_line(0).unwrap();
            let description = DeviceDescription {
                maximum_length: 64,
                ..DeviceDescription::system(0, 0)
            };
            let told = |bits| {
                let adapter = system.exclusive_adapter(passive, description, bits)?;
                let info = adapter.info(&*passive, InfoVersion::VERSION1).unwrap();
                Ok::<_, AdapterError>(info.address_width)
            };
            assert_eq!([24, 32, 64].map(told), [Ok(24), Ok(32), Ok(40)]);
        })
    });
}

/// The real thing: 24 lines, whatever the NIC says.
///
/// Proves: NDIS-014.
#[test]
fn the_8237_reaches_what_it_has_pages_for() {
    let runs = explore_runs(10, "", |plan| {
        go(plan, |machine, passive| {
            let hardware = Hardware::new(machine, Quirks::empty());
            // Its boundary of 64 KiB is kept among the registers too.
            let pool = MapRegisters::new(passive, machine, 20, HIGH).unwrap();
            let platform = Platform::new(machine, Some(pool.clone()), Policy::default());
            let controller = I8237Controller::new(hardware.registers.clone());
            platform
                .register(passive, Setup::new(Arc::new(controller)))
                .unwrap();
            let registration = Registration {
                addresses_32bit: true,
                ..Registration::new(0x1_0000)
            };
            let nic = Nic::on(&platform, passive, Some(on_channel(1)), registration).unwrap();
            let buffer = buffer(machine, HIGH);
            hardware.device(1).make_room(LENGTH as usize);
            let set_up = nic.channel.set_up(&*passive, buffer, 0, LENGTH, WriteToDevice);
            let set_up = set_up.unwrap();
            while set_up.remaining(&*passive) > 0 {
                machine.relax();
            }
            assert_eq!(pool.in_use(), 1);
            assert_eq!(said(set_up.complete(&*passive).unwrap()), SUCCESS);
            assert_eq!(hardware.device(1).taken(), pattern(LENGTH));
            assert_eq!(pool.in_use(), 0);
            nic.halt(passive);
        })
    });
    for run in runs {
        let touched = touched(&run);
        assert!(!touched.is_empty() && touched.iter().all(|range| range.end() <= HIGH));
    }
}
