//! A provider with fewer handlers than the one it stands before.

use crate::machine::Machine;
use longshore_core::{AtMostDispatch, Rule};
use longshore_hardware::BusAddress;
use longshore_netdma::provider::{AllocateError, AppendError, StartError, Unsuccessful};
use longshore_netdma::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Handlers, Provider,
    ProviderChannel,
};
use std::sync::Arc;

/// A provider of which only these optional handlers are left.
pub(super) struct Masked {
    machine: Machine,
    inner: Arc<dyn Provider>,
    left: Handlers,
}

impl Masked {
    pub(super) fn new(machine: &Machine, inner: Arc<dyn Provider>, left: Handlers) -> Self {
        Self {
            machine: machine.clone(),
            inner,
            left,
        }
    }
}

impl Provider for Masked {
    fn characteristics(&self) -> Characteristics {
        let characteristics = self.inner.characteristics();
        Characteristics {
            handlers: characteristics.handlers & (self.left | Handlers::MANDATORY),
            ..characteristics
        }
    }

    fn attributes(&self) -> Attributes {
        self.inner.attributes()
    }

    fn allocate_channel(
        &self,
        level: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        let allocated = self.inner.allocate_channel(level, parameters, interface)?;
        let channel = MaskedChannel {
            machine: self.machine.clone(),
            inner: allocated.channel,
            left: self.left,
        };
        Ok(Allocated {
            channel: Arc::new(channel),
            cpu: allocated.cpu,
        })
    }
}

struct MaskedChannel {
    machine: Machine,
    inner: Arc<dyn ProviderChannel>,
    left: Handlers,
}

impl MaskedChannel {
    fn channel(&self, handler: Handlers) -> Result<&dyn ProviderChannel, Unsuccessful> {
        if self.left.contains(handler) {
            return Ok(&*self.inner);
        }
        self.machine
            .find(Rule("AMB-12"), format!("{handler:?} was called, which is absent"));
        Err(Unsuccessful)
    }
}

impl ProviderChannel for MaskedChannel {
    fn start(&self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        self.inner.start(level, first, count)
    }

    fn append(&self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError> {
        self.inner.append(level, first, count)
    }

    fn suspend(&self, level: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        self.channel(Handlers::SUSPEND_RESUME)?.suspend(level)
    }

    fn resume(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.channel(Handlers::SUSPEND_RESUME)?.resume(level)
    }

    fn abort(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.channel(Handlers::ABORT)?.abort(level)
    }

    fn reset(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.channel(Handlers::RESET)?.reset(level)
    }

    fn free(&self, level: AtMostDispatch<'_>) {
        self.inner.free(level);
    }
}
