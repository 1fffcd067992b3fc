//! Miniport drivers, and the life of the devices they are for.
//!
//! A driver is registered while its device is attached. Once that has returned the device initialises, and before it is
//! detached it halts; both are [`longshore_ndis::Miniport`]'s to judge. Here its handles are looked up, and what it
//! leaves behind is taken back, so that whoever comes next can have it.

use super::channels::Channels;
use super::machine::Nic;
use crate::abi::dma::DmaResource;
use crate::abi::ndis::{
    DriverCharacteristics, HaltHandler, InitParameters, InitializeHandler, ObjectHeader,
    RegistrationAttributes, ResourceList,
};
use crate::calls;
use crate::edge::{Edge, LEVEL};
use crate::handles::{Handle, Handles};
use longshore_core::{Irql, NtStatus, Rule};
use longshore_ndis::life::Phase;
use longshore_ndis::{Assigned, Attributes, NdisStatus};
use longshore_netdma::registry::Misuse;
use longshore_wdm::InterfaceType;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(super) const INITIALIZE: &str = "MiniportInitializeEx";
pub(super) const HALT: &str = "MiniportHaltEx";

/// The major version of NDIS that there is.
const MAJOR: u8 = 6;

/// `CmResourceTypeDma`.
const RESOURCE_DMA: u8 = 4;
/// `CM_RESOURCE_DMA_V3`.
const RESOURCE_DMA_V3: u16 = 0x80;

/// A driver that is registered.
#[derive(Clone, Copy)]
struct Driver {
    device: Handle,
    context: usize,
    initialize: InitializeHandler,
    halt: HaltHandler,
}

/// A device of a miniport driver.
pub(crate) struct Miniport {
    driver: Driver,
    /// By which C code knows it.
    adapter: Handle,
    pub(super) nic: Box<dyn Nic>,
    assigned: Option<Assigned>,
    /// What its handlers are given.
    context: AtomicUsize,
    /// It was refused a channel.
    pub(super) refused: AtomicBool,
}

/// All that NDIS has on a machine.
#[derive(Default)]
pub(crate) struct Ndis {
    /// The devices that are being attached just now.
    attaching: Handles<()>,
    drivers: Handles<Driver>,
    miniports: Handles<Arc<Miniport>>,
    pub(super) channels: Channels,
}

/// What kind of attributes a miniport sets.
pub(crate) enum Told {
    /// What its NIC is.
    Registration(RegistrationAttributes),
    /// Something that DMA has nothing to do with.
    Other,
}

impl Ndis {
    fn of(&self, device: Handle) -> Option<Arc<Miniport>> {
        let found = self.miniports.find(|miniport| miniport.driver.device == device);
        found.into_iter().next().map(|(_, miniport)| miniport)
    }

    fn driver_of(&self, device: Handle) -> Option<(Handle, Driver)> {
        self.drivers
            .find(|driver| driver.device == device)
            .into_iter()
            .next()
    }

    /// From here on a driver can be registered for the device.
    pub(crate) fn open(&self, device: Handle) {
        self.attaching.insert(device, ());
    }

    /// From here on none can.
    pub(crate) fn close(&self, device: Handle) {
        self.attaching.remove(device);
    }
}

/// As a resource descriptor says it.
fn resources(assigned: Assigned) -> ResourceList {
    let descriptor = DmaResource {
        kind: RESOURCE_DMA,
        flags: RESOURCE_DMA_V3,
        channel: assigned.channel,
        request_line: assigned.request_line,
        ..DmaResource::default()
    };
    ResourceList {
        version: 1,
        revision: 1,
        count: 1,
        descriptors: [descriptor],
    }
}

impl Edge {
    /// As [`Edge::misuse`], in NDIS's words.
    pub(super) fn ndis_misuse(
        &self,
        call: &'static str,
        rule: &'static str,
        status: NdisStatus,
    ) -> NdisStatus {
        self.misuse(call, Rule(rule), status.into());
        status
    }

    /// Passes on a misuse that the machine has heard of.
    pub(super) fn ndis_told(&self, call: &'static str, rule: Rule, status: NdisStatus) -> NdisStatus {
        let misuse = Misuse {
            call,
            rule,
            status: status.into(),
        };
        self.complain(misuse);
        status
    }

    /// `NdisMRegisterMiniportDriver`.
    pub(crate) fn register_miniport_driver(
        &self,
        device: Handle,
        context: usize,
        given: Option<DriverCharacteristics>,
    ) -> Result<Handle, NdisStatus> {
        const CALL: &str = "NdisMRegisterMiniportDriver";
        let refuse = |status| Err(self.ndis_misuse(CALL, LEVEL.0, status));
        if !self.at_passive(CALL) {
            return Err(NdisStatus::FAILURE);
        }
        let Some(given) = given else {
            return refuse(NdisStatus::BAD_CHARACTERISTICS);
        };
        if given.major_ndis_version != MAJOR {
            return refuse(NdisStatus::BAD_VERSION);
        }
        let (Some(initialize), Some(halt)) = (given.initialize, given.halt) else {
            return refuse(NdisStatus::BAD_CHARACTERISTICS);
        };
        let now = self.ndis.attaching.get(device).is_some();
        if !now || self.ndis.driver_of(device).is_some() {
            return refuse(NdisStatus::FAILURE);
        }
        if self.dma.is_none() {
            return Err(NdisStatus::NOT_SUPPORTED);
        }
        let handle = Handle::new();
        let driver = Driver {
            device,
            context,
            initialize,
            halt,
        };
        self.ndis.drivers.insert(handle, driver);
        Ok(handle)
    }

    /// `NdisMDeregisterMiniportDriver`. Refused as long as its device is there.
    pub(crate) fn deregister_miniport_driver(&self, handle: Handle) {
        const CALL: &str = "NdisMDeregisterMiniportDriver";
        if !self.at_passive(CALL) {
            return;
        }
        let driver = self.ndis.drivers.get(handle);
        let idle = driver.is_some_and(|driver| self.ndis.of(driver.device).is_none());
        if !idle || self.ndis.drivers.remove(handle).is_none() {
            self.ndis_misuse(CALL, LEVEL.0, NdisStatus::FAILURE);
        }
    }

    /// The miniport that a handle means.
    pub(super) fn miniport(
        &self,
        call: &'static str,
        rule: &'static str,
        adapter: Handle,
    ) -> Result<Arc<Miniport>, NdisStatus> {
        if !self.at_passive(call) {
            return Err(NdisStatus::FAILURE);
        }
        let found = self.ndis.miniports.get(adapter);
        found.ok_or_else(|| self.ndis_misuse(call, rule, NdisStatus::FAILURE))
    }

    /// `NdisMSetMiniportAttributes`.
    pub(crate) fn set_miniport_attributes(&self, adapter: Handle, given: Option<Told>) -> NdisStatus {
        const CALL: &str = "NdisMSetMiniportAttributes";
        const RULE: &str = "NDIS-011";
        let miniport = match self.miniport(CALL, RULE, adapter) {
            Ok(miniport) => miniport,
            Err(status) => return status,
        };
        match given {
            None => self.ndis_misuse(CALL, LEVEL.0, NdisStatus::INVALID_PARAMETER),
            Some(Told::Other) if miniport.nic.phase() == Phase::Attributed => NdisStatus::SUCCESS,
            Some(Told::Other) => self.ndis_misuse(CALL, RULE, NdisStatus::FAILURE),
            Some(Told::Registration(given)) => {
                let attributes = Attributes {
                    bus: InterfaceType(given.interface_type),
                    bus_master: given.attribute_flags & RegistrationAttributes::BUS_MASTER != 0,
                };
                if !miniport.nic.set_attributes(attributes) {
                    return self.ndis_told(CALL, Rule(RULE), NdisStatus::FAILURE);
                }
                let context = given.adapter_context.expose_provenance();
                miniport.context.store(context, Ordering::Release);
                NdisStatus::SUCCESS
            }
        }
    }

    /// `NdisMGetDmaAlignment`. What is not known is one byte.
    pub(crate) fn dma_alignment(&self, adapter: Handle) -> u32 {
        const CALL: &str = "NdisMGetDmaAlignment";
        const RULE: &str = "NDIS-053";
        let Ok(miniport) = self.miniport(CALL, RULE, adapter) else {
            return 1;
        };
        miniport.nic.alignment().unwrap_or_else(|| {
            self.ndis_told(CALL, Rule(RULE), NdisStatus::FAILURE);
            1
        })
    }

    /// Initialises the device, if it is one of a miniport driver's.
    pub(crate) fn start_miniport(&self, device: Handle, assigned: Option<Assigned>) -> Result<(), NtStatus> {
        let (Some((_, driver)), Some(dma)) = (self.ndis.driver_of(device), &self.dma) else {
            return Ok(());
        };
        let adapter = Handle::new();
        let miniport = Arc::new(Miniport {
            driver,
            adapter,
            nic: dma.nic(assigned),
            assigned,
            context: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
        });
        self.ndis.miniports.insert(adapter, miniport.clone());
        let status = miniport.nic.initialize(&mut || self.initialize(&miniport));
        if status != NdisStatus::SUCCESS {
            self.ndis.miniports.remove(adapter);
            return Err(status.into());
        }
        if miniport.refused.load(Ordering::Acquire) {
            self.ndis_told(INITIALIZE, Rule("NDIS-017"), NdisStatus::FAILURE);
        }
        Ok(())
    }

    /// Calls the initialize handler. Of one that fails nothing stays behind.
    fn initialize(&self, miniport: &Arc<Miniport>) -> NdisStatus {
        let driver = miniport.driver;
        let resources = miniport.assigned.map(resources);
        let mut parameters = InitParameters {
            header: ObjectHeader {
                kind: InitParameters::KIND,
                revision: 1,
                size: InitParameters::SIZE,
            },
            flags: 0,
            allocated_resources: resources.as_ref().map_or(null(), std::ptr::from_ref),
            im_device_instance_context: null_mut(),
            add_device_context: null_mut(),
        };
        let status = calls::initialize_miniport(
            self,
            driver.initialize,
            miniport.adapter,
            driver.context,
            &mut parameters,
        );
        self.come_back(INITIALIZE);
        if status != NdisStatus::SUCCESS {
            self.take_channels_back(miniport, INITIALIZE, "NDIS-017");
        }
        status
    }

    /// Halts the device, if it is one of a miniport driver's and runs.
    pub(crate) fn stop_miniport(&self, device: Handle) {
        let Some(miniport) = self.ndis.of(device) else {
            return;
        };
        miniport.nic.halt(&mut || {
            let context = miniport.context.load(Ordering::Acquire);
            calls::halt_miniport(self, miniport.driver.halt, context);
            self.come_back(HALT);
            self.take_channels_back(&miniport, HALT, "NDIS-018");
        });
        self.ndis.miniports.remove(miniport.adapter);
    }

    /// A handler returns at the level it was called at, or is brought back to it.
    fn come_back(&self, call: &'static str) {
        if self.world.level() != Irql::PASSIVE {
            self.ndis_misuse(call, LEVEL.0, NdisStatus::FAILURE);
            self.world.set_level(Irql::PASSIVE);
        }
    }

    /// Takes back the driver of a device that is detached. That there is one is misuse.
    pub(crate) fn clear_miniport_driver(&self, device: Handle) {
        if let Some((handle, _)) = self.ndis.driver_of(device) {
            self.ndis.drivers.remove(handle);
            self.ndis_misuse("LsDetachDevice", LEVEL.0, NdisStatus::FAILURE);
        }
    }
}
