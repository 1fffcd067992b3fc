//! A provider in C, behind its handlers.

use crate::abi::netdma::{ChannelCpuAffinity, ChannelParameters as CParameters};
use crate::abi::types::GroupAffinity;
use crate::calls;
use crate::channel::{CChannel, Channel};
use crate::edge::Edge;
use crate::handles::Handle;
use crate::module::Attached;
use crate::told::Routines;
use longshore_core::machine::Cpu;
use longshore_core::{AtMostDispatch, NtStatus, Passive};
use longshore_hardware::BusAddress;
use longshore_netdma::provider::{AllocateError, ChannelAffinity};
use longshore_netdma::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Provider, Version,
};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// A provider that C code registers. The interface has it as long as it is registered.
pub(crate) struct Driver {
    pub(crate) edge: Weak<Edge>,
    pub(crate) handle: Handle,
    pub(crate) context: usize,
    pub(crate) routines: Routines,
    pub(crate) told: Characteristics,
    /// Its device is detached, and its memory may be gone: nothing of it is called any more.
    pub(crate) gone: AtomicBool,
}

/// What a provider that is not started would start with: nothing is known of that.
const NOTHING: Attributes = Attributes {
    hardware: Version::new(0, 0),
    vendor: 0,
    channels: 0,
    maximum_transfer_size: 0,
    maximum_address: BusAddress::NULL,
};

impl Driver {
    /// The machine, while the provider can be called.
    pub(crate) fn edge(&self) -> Option<Arc<Edge>> {
        self.edge.upgrade().filter(|_| !self.gone.load(Ordering::Acquire))
    }

    /// What it was started with.
    pub(crate) fn attributes(&self) -> Attributes {
        let info = self.edge().and_then(|edge| edge.info(self.handle));
        info.and_then(|info| info.attributes).unwrap_or(NOTHING)
    }

    /// Allocates a channel. `keeps`: nobody but its user knows of it, and it keeps the device attached.
    pub(crate) fn open(
        self: &Arc<Self>,
        asked: &ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
        keeps: Option<Arc<Attached>>,
    ) -> Result<Allocated, AllocateError> {
        let edge = self.edge().ok_or(AllocateError::Unsuccessful)?;
        let handle = Handle::new();
        let entry = Arc::new(Channel::new(self.clone(), interface, keeps.is_some()));
        // The handle is good before the handler has it: the channel is usable at once (NETDMA-041).
        edge.channels.insert(handle, entry.clone());
        match self.allocate(&edge, asked, handle) {
            Ok((context, cpu)) => {
                entry.opened(context);
                let channel = Arc::new(CChannel::new(self.clone(), handle, keeps));
                Ok(Allocated { channel, cpu })
            }
            Err(error) => {
                edge.channels.remove(handle);
                Err(error)
            }
        }
    }

    fn allocate(
        &self,
        edge: &Edge,
        asked: &ChannelParameters,
        handle: Handle,
    ) -> Result<(usize, Cpu), AllocateError> {
        let handler = self.routines.allocate.ok_or(AllocateError::Unsuccessful)?;
        let mut parameters = parameters(self.told.version, asked);
        let (status, context) = calls::allocate(edge, handler, self.context, &mut parameters, handle);
        answer(status)?;
        if parameters.cpu_number < edge.world.cpus() {
            return Ok((context, Cpu(parameters.cpu_number)));
        }
        edge.refuse("ProviderAllocateDmaChannel", "NETDMA-042");
        self.free(edge, context);
        Err(AllocateError::Unsuccessful)
    }

    /// `ProviderFreeDmaChannel`, with the provider's own name of the channel.
    pub(crate) fn free(&self, edge: &Edge, context: usize) {
        if let Some(handler) = self.routines.free {
            calls::free(edge, handler, context);
        }
    }
}

fn answer(status: NtStatus) -> Result<(), AllocateError> {
    match status {
        NtStatus::SUCCESS => Ok(()),
        NtStatus::INSUFFICIENT_RESOURCES => Err(AllocateError::Resources),
        _ => Err(AllocateError::Unsuccessful),
    }
}

/// The parameters as C code sees them. Providers of 2.1 get revision 2 (NETDMA-040).
fn parameters(version: Version, asked: &ChannelParameters) -> CParameters {
    let (revision, size) = if version >= Version::V2_1 {
        (2, CParameters::SIZE_2)
    } else {
        (1, CParameters::SIZE_1)
    };
    let (mask, group) = asked
        .group
        .map_or((u64::from(asked.cpus), 0), |group| (group.mask, group.group));
    CParameters {
        revision,
        size,
        flags: asked.flags,
        completion_virtual_address: null_mut(),
        completion_physical_address: asked.completion.into(),
        processor_affinity_mask: asked.cpus,
        channel_priority: asked.priority,
        cpu_number: 0,
        processor_affinity_mask_ex: GroupAffinity {
            mask: mask as usize,
            group,
            ..GroupAffinity::default()
        },
    }
}

/// The interface's own way to the provider. Every channel goes this way but those of [`CProvider`](crate::CProvider).
pub(crate) struct Registrant(pub(crate) Arc<Driver>);

impl Provider for Registrant {
    fn characteristics(&self) -> Characteristics {
        self.0.told.clone()
    }

    fn attributes(&self) -> Attributes {
        self.0.attributes()
    }

    fn set_channel_affinity(&self, _: &Passive, channels: &[ChannelAffinity]) -> Result<(), AllocateError> {
        let edge = self.0.edge().ok_or(AllocateError::Unsuccessful)?;
        let handler = self.0.routines.set_affinity.ok_or(AllocateError::Unsuccessful)?;
        let entry = |affinity: &ChannelAffinity| ChannelCpuAffinity {
            dma_channel: affinity.channel,
            cpu_number: affinity.cpu.0,
        };
        let mut entries: Vec<_> = channels.iter().map(entry).collect();
        answer(calls::set_affinity(&edge, handler, self.0.context, &mut entries))
    }

    fn allocate_channel(
        &self,
        _: AtMostDispatch<'_>,
        asked: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        self.0.open(&asked, interface, None)
    }
}
