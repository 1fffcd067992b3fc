//! A provider in C, as [`Provider`].

use crate::abi::netdma::ChannelParameters as CParameters;
use crate::abi::types::GroupAffinity;
use crate::calls;
use crate::edge::Edge;
use crate::handles::{Handle, hold};
use crate::module::Attached;
use crate::registry::{Channel, Record};
use longshore_core::machine::Cpu;
use longshore_core::{AtMostDispatch, Event, NtStatus, Rule};
use longshore_hardware::BusAddress;
use longshore_netdma::provider::{AllocateError, AppendError, StartError, Unsuccessful};
use longshore_netdma::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Provider, ProviderChannel,
    ProviderFlags, Version,
};
use std::fmt;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex};

/// A provider that C code registered. It keeps its device attached.
pub struct CProvider {
    attached: Arc<Attached>,
    handle: Handle,
    record: Arc<Record>,
}

impl CProvider {
    pub(crate) fn new(attached: Arc<Attached>, handle: Handle, record: Arc<Record>) -> Self {
        Self {
            attached,
            handle,
            record,
        }
    }

    fn edge(&self) -> &Edge {
        self.attached.edge()
    }

    /// Has the provider allocate a channel under `handle`.
    fn allocate(&self, asked: &ChannelParameters, handle: Handle) -> Result<(usize, Cpu), AllocateError> {
        let mut parameters = parameters(self.record.version, asked);
        let (status, context) = calls::allocate(
            self.edge(),
            self.record.routines.allocate,
            self.record.context,
            &mut parameters,
            handle,
        );
        match status {
            NtStatus::SUCCESS => {}
            NtStatus::INSUFFICIENT_RESOURCES => return Err(AllocateError::Resources),
            _ => return Err(AllocateError::Unsuccessful),
        }
        if parameters.cpu_number < self.edge().world.cpus() {
            return Ok((context, Cpu(parameters.cpu_number)));
        }
        self.edge().refuse("ProviderAllocateDmaChannel", "NETDMA-042");
        calls::free(self.edge(), self.record.routines.free, context);
        Err(AllocateError::Unsuccessful)
    }
}

/// The parameters as C code sees them. Providers of 2.1 get revision 2 (NETDMA-040).
fn parameters(version: Version, asked: &ChannelParameters) -> CParameters {
    let (revision, size) = if version >= Version::V2_1 {
        (2, CParameters::SIZE_2)
    } else {
        (1, CParameters::SIZE_1)
    };
    CParameters {
        revision,
        size,
        flags: 0,
        completion_virtual_address: null_mut(),
        completion_physical_address: asked.completion.into(),
        processor_affinity_mask: asked.cpus,
        channel_priority: asked.priority,
        cpu_number: 0,
        processor_affinity_mask_ex: GroupAffinity {
            mask: asked.cpus as usize,
            ..GroupAffinity::default()
        },
    }
}

impl Provider for CProvider {
    fn characteristics(&self) -> Characteristics {
        Characteristics {
            version: self.record.version,
            flags: ProviderFlags::empty(),
            handlers: self.record.routines.present(),
            max_channels: self.record.max_channels,
            friendly_name: None,
        }
    }

    fn attributes(&self) -> Attributes {
        let given = self.record.attributes().unwrap_or_default();
        Attributes {
            hardware: Version::new(given.major_hw_version, given.minor_hw_version),
            vendor: given.vendor_id,
            channels: given.dma_channel_count,
            maximum_transfer_size: given.maximum_transfer_size,
            maximum_address: given.maximum_address_space.into(),
        }
    }

    fn allocate_channel(
        &self,
        _: AtMostDispatch<'_>,
        asked: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        if self.record.attributes().is_none() {
            return Err(AllocateError::Unsuccessful); // NETDMA-013
        }
        let handle = Handle::new();
        let entry = Arc::new(Channel {
            provider: self.handle,
            interface,
            context: Mutex::default(),
        });
        // The handle is good before the handler has it: the channel is usable at once (NETDMA-041).
        self.edge().channels.insert(handle, entry.clone());
        match self.allocate(&asked, handle) {
            Ok((context, cpu)) => {
                *hold(&entry.context) = Some(context);
                let channel = Arc::new(CChannel {
                    attached: self.attached.clone(),
                    record: self.record.clone(),
                    handle,
                });
                Ok(Allocated { channel, cpu })
            }
            Err(error) => {
                self.edge().channels.remove(handle);
                Err(error)
            }
        }
    }
}

impl fmt::Debug for CProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CProvider({})", self.record.version)
    }
}

/// A channel of a provider in C. Once it is freed, or the provider stopped, every call is refused.
struct CChannel {
    attached: Arc<Attached>,
    record: Arc<Record>,
    handle: Handle,
}

impl CChannel {
    fn edge(&self) -> &Edge {
        self.attached.edge()
    }

    /// The provider's own name of the channel, while it has one.
    fn context(&self) -> Option<usize> {
        let channel = self.edge().channels.get(self.handle)?;
        *hold(&channel.context)
    }

    /// The client used a channel that was freed. C code has no part in this.
    fn refuse_freed(&self, call: &'static str) -> NtStatus {
        let status = NtStatus::UNSUCCESSFUL;
        self.edge()
            .world
            .emit(Event::Misuse(call, Rule("NETDMA-043"), status));
        status
    }

    /// Calls a handler with the provider's name of the channel. Nothing is called for one that was freed.
    fn call(
        &self,
        name: &'static str,
        handler: impl FnOnce(&Edge, usize) -> NtStatus,
    ) -> Result<(), NtStatus> {
        let status = match self.context() {
            Some(context) => handler(self.edge(), context),
            None => self.refuse_freed(name),
        };
        match status {
            NtStatus::SUCCESS => Ok(()),
            NtStatus::UNSUCCESSFUL | NtStatus::INSUFFICIENT_RESOURCES => Err(status),
            // No page lists another one, so nothing is known of what it did.
            other => Err(self.edge().misuse(name, Rule("NETDMA-130"), other)),
        }
    }
}

impl ProviderChannel for CChannel {
    fn start(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        let start = self.record.routines.start;
        self.call("ProviderStartDma", |edge, channel| {
            calls::chain(edge, start, channel, first, count)
        })
        .map_err(|status| match status {
            NtStatus::INSUFFICIENT_RESOURCES => StartError::Resources,
            _ => StartError::Unsuccessful,
        })
    }

    fn append(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError> {
        let append = self.record.routines.append;
        self.call("ProviderAppendDma", |edge, channel| {
            calls::chain(edge, append, channel, first, count)
        })
        .map_err(|_| AppendError::Unsuccessful)
    }

    fn suspend(&self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        let (suspend, _) = self.record.routines.hold.ok_or(Unsuccessful)?;
        let mut last = BusAddress::NULL;
        self.call("ProviderSuspendDma", |edge, channel| {
            let (status, named) = calls::suspend(edge, suspend, channel);
            last = named;
            status
        })
        .map_err(|_| Unsuccessful)?;
        Ok(last)
    }

    fn resume(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let (_, resume) = self.record.routines.hold.ok_or(Unsuccessful)?;
        self.call("ProviderResumeDma", |edge, channel| {
            calls::command(edge, resume, channel)
        })
        .map_err(|_| Unsuccessful)
    }

    fn abort(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let abort = self.record.routines.abort.ok_or(Unsuccessful)?;
        self.call("ProviderAbortDma", |edge, channel| {
            calls::command(edge, abort, channel)
        })
        .map_err(|_| Unsuccessful)
    }

    fn reset(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let reset = self.record.routines.reset.ok_or(Unsuccessful)?;
        self.call("ProviderResetChannel", |edge, channel| {
            calls::command(edge, reset, channel)
        })
        .map_err(|_| Unsuccessful)
    }

    fn free(&self, _: AtMostDispatch<'_>) {
        if !self.edge().free_channel(&self.record, self.handle) {
            self.refuse_freed("ProviderFreeDmaChannel");
        }
    }
}

#[cfg(test)]
mod tests;
