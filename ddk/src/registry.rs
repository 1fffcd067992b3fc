//! The calls of a provider in C: looked up, translated, and passed on to the interface.

use crate::abi::netdma::{PnpNotification, ProviderAttributes, ProviderCharacteristics};
use crate::channel::Channel;
use crate::driver::{Driver, Registrant};
use crate::edge::Edge;
use crate::handles::Handle;
use crate::interface::{Place, Registered};
use crate::told::{self, Routines};
use longshore_core::{Event, NtStatus, Rule};
use longshore_netdma::registry::{Misuse, ProviderId, ProviderInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One registered provider.
pub(crate) struct Record {
    pub(crate) device: Handle,
    pub(crate) driver: Arc<Driver>,
    id: ProviderId,
    place: Place,
}

impl Edge {
    /// `NetDmaRegisterProvider`.
    pub(crate) fn register(
        &self,
        context: usize,
        given: &ProviderCharacteristics,
        name: Option<String>,
    ) -> Result<Handle, NtStatus> {
        const CALL: &str = "NetDmaRegisterProvider";
        if !self.at_passive(CALL) {
            return Err(NtStatus::UNSUCCESSFUL);
        }
        let device = Handle::from_raw(given.physical_device_object.expose_provenance());
        let told = told::characteristics(given, name).filter(|_| self.is_device(device));
        let told = told.ok_or_else(|| self.refuse(CALL, "NETDMA-020"))?;
        if !self.providers.find(|other| other.device == device).is_empty() {
            return Err(self.refuse(CALL, "NETDMA-012"));
        }
        let handle = Handle::new();
        let driver = Arc::new(Driver {
            edge: self.me.clone(),
            handle,
            context,
            routines: Routines::new(given),
            told,
            gone: AtomicBool::new(false),
        });
        let registrant = Arc::new(Registrant(driver.clone()));
        let registered = self.interface.register(registrant);
        let registered = registered.ok_or(NtStatus::UNSUCCESSFUL)?;
        let registered = registered.map_err(|misuse| {
            self.complain(misuse);
            misuse.status
        })?;
        let record = Record {
            device,
            driver,
            id: registered.id(),
            place: Place::new(registered),
        };
        self.providers.insert(handle, Arc::new(record));
        Ok(handle)
    }

    /// A provider, as a client sees it.
    pub(crate) fn info(&self, handle: Handle) -> Option<ProviderInfo> {
        let record = self.providers.get(handle)?;
        self.interface.provider(record.id)
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

    /// Passes a call on. False if it was refused.
    fn pass_on(
        &self,
        name: &'static str,
        record: &Record,
        call: impl FnOnce(&dyn Registered) -> Option<Misuse>,
    ) -> bool {
        let Some(turn) = record.place.take() else {
            self.refuse(name, "NETDMA-014");
            return false;
        };
        let misuse = turn.call(call);
        drop(turn);
        misuse.map(|misuse| self.complain(misuse)).is_none()
    }

    /// `NetDmaProviderStart`.
    pub(crate) fn start_provider(&self, handle: Handle, given: Option<ProviderAttributes>) {
        const CALL: &str = "NetDmaProviderStart";
        let Some(record) = self.provider(CALL, "NETDMA-014", handle) else {
            return;
        };
        match given.as_ref().and_then(told::attributes) {
            Some(attributes) => {
                self.pass_on(CALL, &record, |provider| provider.start(attributes));
            }
            None => drop(self.refuse(CALL, "NETDMA-023")),
        }
    }

    /// `NetDmaProviderStop`: from here on no channel is allocated, and each that is gets freed.
    pub(crate) fn stop_provider(&self, handle: Handle) {
        const CALL: &str = "NetDmaProviderStop";
        let Some(record) = self.provider(CALL, "NETDMA-014", handle) else {
            return;
        };
        if self.pass_on(CALL, &record, |provider| provider.stop()) {
            self.free_direct(handle);
        }
    }

    /// Frees the channels that the interface does not know of.
    fn free_direct(&self, provider: Handle) {
        let direct = |channel: &Arc<Channel>| channel.direct && channel.driver.handle == provider;
        for (channel, _) in self.channels.find(direct) {
            self.free_channel(channel);
        }
    }

    /// `NetDmaDeregisterProvider`. One that was not stopped is stopped first.
    pub(crate) fn deregister_provider(&self, handle: Handle) {
        const CALL: &str = "NetDmaDeregisterProvider";
        let Some(record) = self.provider(CALL, "NETDMA-015", handle) else {
            return;
        };
        let Some(turn) = record.place.take() else {
            self.refuse(CALL, "NETDMA-014");
            return;
        };
        self.providers.remove(handle);
        if let Some(misuse) = turn.deregister() {
            self.complain(misuse);
        }
        self.free_direct(handle);
    }

    /// `NetDmaPnPEventNotify`.
    pub(crate) fn notify(&self, handle: Handle, given: Option<PnpNotification>) {
        const CALL: &str = "NetDmaPnPEventNotify";
        let Some(record) = self.provider(CALL, "NETDMA-110", handle) else {
            return;
        };
        match given.as_ref().ok_or(Rule("NETDMA-111")).and_then(told::power) {
            Ok(change) => {
                self.pass_on(CALL, &record, |provider| provider.notify(change));
            }
            Err(rule) => drop(self.misuse(CALL, rule, NtStatus::UNSUCCESSFUL)),
        }
    }

    /// Takes back what a device left behind. That there is anything is misuse.
    pub(crate) fn clear_device(&self, device: Handle) {
        for (handle, record) in self.providers.find(|record| record.device == device) {
            self.refuse("LsDetachDevice", "NETDMA-015");
            // Its memory may be gone, so the provider is not called any more.
            record.driver.gone.store(true, Ordering::Release);
            self.providers.remove(handle);
            let _ = record.place.take().map(|turn| turn.deregister());
            for (channel, _) in self.channels.find(|channel| channel.driver.handle == handle) {
                self.channels.remove(channel);
            }
        }
        if self.interrupts.disconnect_all(device) {
            self.refuse("LsDetachDevice", "NETDMA-015");
        }
        self.clear_miniport_driver(device);
        self.devices.remove(device);
        let is_last = self.devices.find(|_| true).is_empty();
        self.clear_adapters(device, is_last);
        if is_last && self.pool.blocks() > 0 {
            self.world
                .emit(Event::Note("C code has not freed all of its pool memory"));
        }
    }
}
