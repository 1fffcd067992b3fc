//! A channel of a provider in C.

use crate::calls;
use crate::driver::Driver;
use crate::edge::Edge;
use crate::handles::{Handle, hold};
use crate::module::Attached;
use longshore_core::{AtMostDispatch, Event, NtStatus, Rule};
use longshore_hardware::BusAddress;
use longshore_netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore_netdma::{ChannelInterface, ProviderChannel};
use std::sync::{Arc, Mutex};

/// What the handle of an allocated channel stands for.
pub(crate) struct Channel {
    pub(crate) driver: Arc<Driver>,
    pub(crate) interface: Arc<dyn ChannelInterface>,
    /// The interface does not know of it, so it is freed by its user, or here when the provider stops.
    pub(crate) direct: bool,
    /// The provider's own name of it, once it has given one and until it is freed.
    context: Mutex<Option<usize>>,
}

impl Channel {
    pub(crate) fn new(driver: Arc<Driver>, interface: Arc<dyn ChannelInterface>, direct: bool) -> Self {
        Self {
            driver,
            interface,
            direct,
            context: Mutex::default(),
        }
    }

    /// The provider has given it a name.
    pub(crate) fn opened(&self, context: usize) {
        *hold(&self.context) = Some(context);
    }
}

impl Edge {
    /// `ProviderFreeDmaChannel`. False if it was freed before.
    pub(crate) fn free_channel(&self, handle: Handle) -> bool {
        let Some(channel) = self.channels.get(handle) else {
            return false;
        };
        let Some(context) = hold(&channel.context).take() else {
            return false;
        };
        channel.driver.free(self, context);
        // Until here the provider's routines may still have used the handle (RACE-8).
        self.channels.remove(handle);
        true
    }
}

/// A channel as its user has it. Once it is freed, or the provider stopped, every call is refused.
pub(crate) struct CChannel {
    driver: Arc<Driver>,
    handle: Handle,
    /// Held for its drop, which detaches the device.
    _keeps: Option<Arc<Attached>>,
}

impl CChannel {
    pub(crate) fn new(driver: Arc<Driver>, handle: Handle, keeps: Option<Arc<Attached>>) -> Self {
        Self {
            driver,
            handle,
            _keeps: keeps,
        }
    }

    /// The provider's own name of the channel, while it has one.
    fn context(&self, edge: &Edge) -> Option<usize> {
        let channel = edge.channels.get(self.handle)?;
        *hold(&channel.context)
    }

    /// Calls a handler with the provider's name of the channel. Nothing is called for one that was freed.
    fn call<R: Copy>(
        &self,
        name: &'static str,
        handler: Option<R>,
        call: impl FnOnce(&Edge, R, usize) -> NtStatus,
    ) -> Result<(), NtStatus> {
        let (Some(edge), Some(handler)) = (self.driver.edge(), handler) else {
            return Err(NtStatus::UNSUCCESSFUL);
        };
        let status = match self.context(&edge) {
            Some(context) => call(&edge, handler, context),
            None => refuse_freed(&edge, name),
        };
        match status {
            NtStatus::SUCCESS => Ok(()),
            NtStatus::UNSUCCESSFUL | NtStatus::INSUFFICIENT_RESOURCES => Err(status),
            // No page lists another one, so nothing is known of what it did.
            other => Err(edge.misuse(name, Rule("NETDMA-130"), other)),
        }
    }
}

/// The client used a channel that was freed. C code has no part in this.
fn refuse_freed(edge: &Edge, call: &'static str) -> NtStatus {
    let status = NtStatus::UNSUCCESSFUL;
    edge.world.emit(Event::Misuse(call, Rule("NETDMA-043"), status));
    status
}

impl ProviderChannel for CChannel {
    fn start(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        let handler = self.driver.routines.start;
        self.call("ProviderStartDma", handler, |edge, start, channel| {
            calls::chain(edge, start, channel, first, count)
        })
        .map_err(|status| match status {
            NtStatus::INSUFFICIENT_RESOURCES => StartError::Resources,
            _ => StartError::Unsuccessful,
        })
    }

    fn append(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError> {
        let handler = self.driver.routines.append;
        self.call("ProviderAppendDma", handler, |edge, append, channel| {
            calls::chain(edge, append, channel, first, count)
        })
        .map_err(|_| AppendError::Unsuccessful)
    }

    fn suspend(&self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        let handler = self.driver.routines.suspend;
        let mut last = BusAddress::NULL;
        self.call("ProviderSuspendDma", handler, |edge, suspend, channel| {
            let (status, named) = calls::suspend(edge, suspend, channel);
            last = named;
            status
        })
        .map_err(|_| Unsuccessful)?;
        Ok(last)
    }

    fn resume(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let handler = self.driver.routines.resume;
        self.call("ProviderResumeDma", handler, calls::command)
            .map_err(|_| Unsuccessful)
    }

    fn abort(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let handler = self.driver.routines.abort;
        self.call("ProviderAbortDma", handler, calls::command)
            .map_err(|_| Unsuccessful)
    }

    fn reset(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let handler = self.driver.routines.reset;
        self.call("ProviderResetChannel", handler, calls::command)
            .map_err(|_| Unsuccessful)
    }

    fn free(&self, _: AtMostDispatch<'_>) {
        if let Some(edge) = self.driver.edge()
            && !edge.free_channel(self.handle)
        {
            refuse_freed(&edge, "ProviderFreeDmaChannel");
        }
    }
}
