//! Providers that C code registered, and their channels.

use crate::abi::netdma::{
    AllocateHandler, ChainHandler, ChannelCpuAffinity, CommandHandler, FreeHandler, PnpNotification,
    ProviderAttributes, ProviderCharacteristics, SuspendHandler,
};
use crate::calls;
use crate::edge::Edge;
use crate::handles::{Handle, hold};
use longshore_core::{Event, NtStatus, Rule};
use longshore_netdma::{ChannelInterface, Handlers, Version};
use std::sync::{Arc, Mutex};

/// The version of the interface.
pub(crate) const VERSION: Version = Version::V2_1;

/// No provider has more channels than this.
const MOST_CHANNELS: u32 = 1024;

/// The least that a descriptor must be able to move (NETDMA-022).
const LEAST_TRANSFER: u32 = 4096;

/// A provider's handlers, of which the mandatory ones are there.
#[derive(Clone, Copy)]
pub(crate) struct Routines {
    pub(crate) allocate: AllocateHandler,
    pub(crate) free: FreeHandler,
    pub(crate) start: ChainHandler,
    pub(crate) append: ChainHandler,
    pub(crate) hold: Option<(SuspendHandler, CommandHandler)>,
    pub(crate) abort: Option<CommandHandler>,
    pub(crate) reset: Option<CommandHandler>,
}

impl Routines {
    /// `None` if a mandatory one is absent, or only one of the pair is there (NETDMA-021).
    fn new(given: &ProviderCharacteristics) -> Option<Self> {
        let hold = match (given.suspend_dma, given.resume_dma) {
            (Some(suspend), Some(resume)) => Some((suspend, resume)),
            (None, None) => None,
            _ => return None,
        };
        Some(Self {
            allocate: given.allocate_dma_channel?,
            free: given.free_dma_channel?,
            start: given.start_dma?,
            append: given.append_dma?,
            hold,
            abort: given.abort_dma,
            reset: given.reset_channel,
        })
    }

    pub(crate) fn present(&self) -> Handlers {
        let mut present = Handlers::MANDATORY;
        present.set(Handlers::SUSPEND_RESUME, self.hold.is_some());
        present.set(Handlers::ABORT, self.abort.is_some());
        present.set(Handlers::RESET, self.reset.is_some());
        present
    }
}

/// One registered provider.
pub(crate) struct Record {
    pub(crate) device: Handle,
    pub(crate) context: usize,
    pub(crate) version: Version,
    pub(crate) routines: Routines,
    pub(crate) max_channels: u32,
    /// What it was started with, while it is.
    attributes: Mutex<Option<ProviderAttributes>>,
}

impl Record {
    pub(crate) fn attributes(&self) -> Option<ProviderAttributes> {
        *hold(&self.attributes)
    }
}

/// One allocated channel.
pub(crate) struct Channel {
    pub(crate) provider: Handle,
    pub(crate) interface: Arc<dyn ChannelInterface>,
    /// The provider's own name of it, once it has given one.
    pub(crate) context: Mutex<Option<usize>>,
}

impl Edge {
    /// `NetDmaRegisterProvider`.
    pub(crate) fn register(
        &self,
        context: usize,
        given: &ProviderCharacteristics,
    ) -> Result<Handle, NtStatus> {
        const CALL: &str = "NetDmaRegisterProvider";
        let version = Version::new(given.major_version, given.minor_version);
        let device = Handle::from_raw(given.physical_device_object.expose_provenance());
        let refuse = |rule| Err(self.refuse(CALL, rule));
        if !self.at_passive(CALL) {
            return Err(NtStatus::UNSUCCESSFUL);
        }
        if version < Version::V1_0 || version > VERSION {
            return refuse("AMB-19");
        }
        if !is_well_formed(given, version) || !self.is_device(device) {
            return refuse("NETDMA-020");
        }
        let Some(routines) = Routines::new(given) else {
            return refuse("NETDMA-021");
        };
        if !self.providers.find(|other| other.device == device).is_empty() {
            return refuse("NETDMA-012");
        }
        let max_channels = given.max_dma_channel_count;
        if max_channels > MOST_CHANNELS {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        self.set_affinity(given, context)?;
        let handle = Handle::new();
        let record = Record {
            device,
            context,
            version,
            routines,
            max_channels,
            attributes: Mutex::default(),
        };
        self.providers.insert(handle, Arc::new(record));
        Ok(handle)
    }

    /// Spreads the channels over the CPUs, where the provider wants to know (NETDMA-030).
    fn set_affinity(&self, given: &ProviderCharacteristics, context: usize) -> Result<(), NtStatus> {
        let Some(handler) = given.set_dma_channel_cpu_affinity else {
            return Ok(()); // AMB-18
        };
        let mut entries: Vec<_> = (0..given.max_dma_channel_count)
            .map(|dma_channel| ChannelCpuAffinity {
                dma_channel,
                cpu_number: dma_channel % self.world.cpus(),
            })
            .collect();
        match calls::set_affinity(self, handler, context, &mut entries) {
            NtStatus::SUCCESS => Ok(()),
            NtStatus::INSUFFICIENT_RESOURCES => Err(NtStatus::INSUFFICIENT_RESOURCES),
            _ => Err(NtStatus::UNSUCCESSFUL),
        }
    }

    fn provider(&self, call: &'static str, rule: &'static str, handle: Handle) -> Option<Arc<Record>> {
        if !self.at_passive(call) {
            return None;
        }
        let record = self.providers.get(handle);
        if record.is_none() {
            self.refuse(call, rule);
        }
        record
    }

    /// `NetDmaProviderStart`.
    pub(crate) fn start_provider(&self, handle: Handle, attributes: Option<ProviderAttributes>) {
        const CALL: &str = "NetDmaProviderStart";
        let Some(record) = self.provider(CALL, "NETDMA-014", handle) else {
            return;
        };
        let sound = attributes.filter(|attributes| {
            attributes.size >= ProviderAttributes::SIZE
                && attributes.flags == 0
                && (1..=record.max_channels).contains(&attributes.dma_channel_count)
                && attributes.maximum_transfer_size >= LEAST_TRANSFER
        });
        let Some(sound) = sound else {
            self.refuse(CALL, "NETDMA-023");
            return;
        };
        let before = {
            let mut place = hold(&record.attributes);
            let before = *place;
            *place = before.or(Some(sound));
            before
        };
        if before.is_some() {
            self.refuse(CALL, "NETDMA-014");
        }
    }

    /// `NetDmaProviderStop`: from here on no channel is allocated, and each that is gets freed.
    pub(crate) fn stop_provider(&self, handle: Handle) {
        const CALL: &str = "NetDmaProviderStop";
        let Some(record) = self.provider(CALL, "NETDMA-014", handle) else {
            return;
        };
        if hold(&record.attributes).take().is_none() {
            self.refuse(CALL, "NETDMA-014");
            return;
        }
        for (channel, _) in self.channels.find(|channel| channel.provider == handle) {
            self.free_channel(&record, channel);
        }
    }

    /// `ProviderFreeDmaChannel`. False if it was freed before.
    pub(crate) fn free_channel(&self, record: &Record, handle: Handle) -> bool {
        let Some(channel) = self.channels.get(handle) else {
            return false;
        };
        let Some(context) = hold(&channel.context).take() else {
            return false;
        };
        calls::free(self, record.routines.free, context);
        // Until here the provider's routines may still have used the handle (RACE-8).
        self.channels.remove(handle);
        true
    }

    /// `NetDmaDeregisterProvider`. One that was not stopped is stopped first.
    pub(crate) fn deregister_provider(&self, handle: Handle) {
        const CALL: &str = "NetDmaDeregisterProvider";
        let Some(record) = self.provider(CALL, "NETDMA-015", handle) else {
            return;
        };
        if record.attributes().is_some() {
            self.refuse(CALL, "NETDMA-014");
            self.stop_provider(handle);
        }
        self.providers.remove(handle);
    }

    /// `NetDmaPnPEventNotify`.
    pub(crate) fn notify(&self, handle: Handle, notification: Option<PnpNotification>) {
        const CALL: &str = "NetDmaPnPEventNotify";
        let Some(record) = self.provider(CALL, "NETDMA-110", handle) else {
            return;
        };
        if record.version < Version::V1_1 {
            self.refuse(CALL, "NETDMA-110");
            return;
        }
        let sound = notification.filter(|notification| {
            notification.structure_revision == PnpNotification::REVISION
                && notification.structure_size >= PnpNotification::SIZE
                && notification.buffer.is_null()
                && notification.buffer_length == 0
        });
        match sound.map(|notification| notification.notification_code) {
            Some(code @ 5..=6) => self.world.emit(Event::Callback(CALL, u64::from(code))),
            Some(_) => drop(self.misuse(CALL, Rule("NETDMA-112"), NtStatus::UNSUCCESSFUL)),
            None => drop(self.misuse(CALL, Rule("NETDMA-111"), NtStatus::UNSUCCESSFUL)),
        }
    }

    /// Takes back what a device left behind. That there is anything is misuse.
    pub(crate) fn clear_device(&self, device: Handle) {
        for (handle, _) in self.providers.find(|record| record.device == device) {
            self.refuse("LsDetachDevice", "NETDMA-015");
            for (channel, _) in self.channels.find(|channel| channel.provider == handle) {
                // Its memory may be gone, so the provider is not called any more.
                self.channels.remove(channel);
            }
            self.providers.remove(handle);
        }
        if self.interrupts.disconnect_all(device) {
            self.refuse("LsDetachDevice", "NETDMA-015");
        }
        self.devices.remove(device);
        if self.devices.find(|_| true).is_empty() && self.pool.blocks() > 0 {
            self.world
                .emit(Event::Note("C code has not freed all of its pool memory"));
        }
    }
}

/// Whether sizes, flags and the name are what the version asks for (NETDMA-020).
fn is_well_formed(given: &ProviderCharacteristics, version: Version) -> bool {
    let (size, flags) = match version {
        _ if !version.counted() => (ProviderCharacteristics::SIZE_1, 0),
        Version::V2_0 => (ProviderCharacteristics::SIZE_2, 1),
        _ => (ProviderCharacteristics::SIZE_2, 3),
    };
    let name = &given.friendly_name;
    let named = !name.buffer.is_null() && name.length > 0 && name.length <= name.maximum_length;
    given.size >= size
        && given.flags & !flags == 0
        && given.max_dma_channel_count > 0
        && (named || !version.counted())
}
