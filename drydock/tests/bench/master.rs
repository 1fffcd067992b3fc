//! A bus master, and a driver that asks for lists.

use super::{Bench, DEVICE};
use longshore_core::machine::Machine as _;
use longshore_core::{Dispatch, Irql, Passive};
use longshore_drydock::machine::Machine;
use longshore_hardware::{BusAddress, BusRange};
use longshore_wdm::{
    Adapter, AdapterListControl, DescriptionVersion, DeviceDescription, DeviceObject, MapError, MapRegisters,
    Platform, Policy, ScatterGatherList,
};
use std::sync::{Arc, Mutex};

/// How many map registers there are.
pub(crate) const REGISTERS: u32 = 8;

/// A platform with map registers, and adapters on it.
pub(crate) struct Masters {
    pub(crate) platform: Platform<Machine>,
    pub(crate) pool: MapRegisters<Machine>,
}

impl Masters {
    pub(crate) fn new(bench: &Bench, passive: &Passive) -> Self {
        let everywhere = BusAddress::new(u64::MAX);
        let pool = MapRegisters::new(passive, &bench.machine, REGISTERS, everywhere).unwrap();
        Self {
            platform: Platform::new(&bench.machine, Some(pool.clone()), Policy::default()),
            pool,
        }
    }

    pub(crate) fn description() -> DeviceDescription {
        DeviceDescription {
            maximum_length: 4 * 4096,
            ..DeviceDescription::bus_master(32)
        }
    }

    pub(crate) fn adapter(&self, passive: &Passive) -> Adapter<Machine> {
        self.platform.adapter(passive, Self::description()).unwrap()
    }

    /// An adapter whose driver knows an older version.
    pub(crate) fn older(&self, passive: &Passive, version: DescriptionVersion) -> Adapter<Machine> {
        let description = DeviceDescription {
            version,
            dma_32bit_addresses: true,
            ..Self::description()
        };
        self.platform.adapter(passive, description).unwrap()
    }
}

/// The lists that a driver was called with, and owns.
#[derive(Clone, Default)]
pub(crate) struct Lists(pub(crate) Arc<Mutex<Vec<ScatterGatherList<Machine>>>>);

impl Lists {
    /// A routine that checks how it is called and keeps the list.
    pub(crate) fn keeper(&self, machine: &Machine) -> AdapterListControl<Machine> {
        let (lists, machine) = (self.clone(), machine.clone());
        Box::new(
            move |_: &Dispatch, _: &Adapter<Machine>, device: DeviceObject, list: Result<_, MapError>| {
                assert_eq!((machine.level(), device), (Irql::DISPATCH, DEVICE));
                lists.0.lock().unwrap().push(list.unwrap());
            },
        )
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The next one.
    pub(crate) fn take(&self) -> ScatterGatherList<Machine> {
        self.0.lock().unwrap().remove(0)
    }
}

/// The pages of a buffer that lie apart, each of them in some bytes of a page of its own.
pub(crate) fn apart(bench: &Bench, lengths: &[u64]) -> (Vec<super::Buffer>, Vec<BusRange>) {
    let buffers: Vec<_> = lengths.iter().map(|len| bench.page(*len)).collect();
    let ranges = buffers
        .iter()
        .zip(lengths)
        .map(|(buffer, len)| buffer.range().slice(0, *len).unwrap())
        .collect();
    (buffers, ranges)
}
