//! Channels of miniports: registering one, giving it back, and taking back what was left.

use super::machine::{Channel, NotGiven};
use super::miniports::Miniport;
use super::transfers::Up;
use crate::abi::ndis::DmaDescription as CDescription;
use crate::edge::Edge;
use crate::handles::{Handle, Handles, hold};
use crate::mdl::Buffer;
use longshore_core::{Event, Rule};
use longshore_ndis::{DmaDescription, NdisStatus, NotCompleted, RegisterError, Registration};
use longshore_wdm::{DmaSpeed, DmaWidth};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// How many handles of channels that were given back are remembered, so that who uses one hears why it is refused.
const GIVEN_KEPT: usize = 256;

/// One channel.
pub(crate) struct Record {
    miniport: Arc<Miniport>,
    pub(super) channel: Box<dyn Channel>,
    /// Its transfers start over at their end, so that both sides have the bytes meanwhile.
    pub(super) loops: bool,
    /// What is set up, or is being set up or completed.
    pub(super) up: Mutex<Option<Arc<Up>>>,
}

/// All channels of a machine's miniports.
#[derive(Default)]
pub(crate) struct Channels {
    live: Handles<Arc<Record>>,
    given: Mutex<VecDeque<Handle>>,
}

impl Channels {
    /// Takes a channel away. Its handle is dead.
    fn remove(&self, handle: Handle) {
        let record = self.live.remove(handle);
        drop(record); // outside of any lock
        let mut given = hold(&self.given);
        given.push_back(handle);
        if given.len() > GIVEN_KEPT {
            given.pop_front();
        }
    }
}

/// A remark on a description with something between its members. In C that is nobody's to say: who fills it with
/// designated initialisers has set every member, and is not refused.
const NOT_ZEROED: &str = "the description of a DMA channel was not zeroed (NDIS-020)";

/// What a miniport says about its channel, in the words of the contract. A BOOLEAN is true unless it is zero.
fn description(given: &CDescription) -> DmaDescription {
    DmaDescription {
        demand_mode: given.demand_mode != 0,
        auto_initialize: given.auto_initialize != 0,
        channel: (given.dma_channel_specified != 0).then_some(given.dma_channel),
        width: DmaWidth(given.dma_width),
        speed: DmaSpeed(given.dma_speed),
        port: given.dma_port,
    }
}

impl Edge {
    /// `NdisMRegisterDmaChannel`. Its DmaChannel argument never gets here (NDIS-013).
    pub(crate) fn register_channel(
        &self,
        adapter: Handle,
        given: Option<CDescription>,
        addresses_32bit: bool,
        maximum_length: u32,
    ) -> Result<Handle, NdisStatus> {
        const CALL: &str = "NdisMRegisterDmaChannel";
        let miniport = self.miniport(CALL, "NDIS-011", adapter)?;
        let given = given.ok_or_else(|| self.ndis_misuse(CALL, "NDIS-020", NdisStatus::FAILURE))?;
        if given.padding != 0 {
            self.world.emit(Event::Note(NOT_ZEROED));
        }
        let registration = Registration {
            description: description(&given),
            addresses_32bit,
            maximum_length,
        };
        let channel = miniport.nic.register(registration).map_err(|error| {
            miniport.refused.store(true, Ordering::Release);
            let rule = match error {
                RegisterError::NotNow => Some(Rule("NDIS-011")),
                error => error.broken_rule(),
            };
            if let Some(rule) = rule {
                self.ndis_told(CALL, rule, error.status());
            }
            error.status()
        })?;
        let handle = Handle::new();
        let record = Record {
            miniport,
            channel,
            loops: registration.description.auto_initialize,
            up: Mutex::default(),
        };
        self.ndis.channels.live.insert(handle, Arc::new(record));
        Ok(handle)
    }

    /// Whether a channel has a transfer of this buffer set up.
    pub(crate) fn is_set_up(&self, buffer: &Buffer) -> bool {
        let has = |record: &Arc<Record>| hold(&record.up).as_ref().is_some_and(|up| up.is_of(buffer));
        !self.ndis.channels.live.find(has).is_empty()
    }

    /// The channel that a handle means. One that was given back is dead (NDIS-018), and any other is none (NDIS-010).
    pub(super) fn channel(&self, call: &'static str, handle: Handle) -> Result<Arc<Record>, NdisStatus> {
        let channels = &self.ndis.channels;
        channels.live.get(handle).ok_or_else(|| {
            let given = hold(&channels.given).contains(&handle);
            let rule = if given { "NDIS-018" } else { "NDIS-010" };
            self.ndis_misuse(call, rule, NdisStatus::RESOURCES)
        })
    }

    /// `NdisMDeregisterDmaChannel`. What was refused is registered still.
    pub(crate) fn deregister_channel(&self, handle: Handle) {
        const CALL: &str = "NdisMDeregisterDmaChannel";
        if !self.at_passive(CALL) {
            return;
        }
        let Ok(record) = self.channel(CALL, handle) else {
            return;
        };
        match record.channel.deregister() {
            Ok(()) => self.ndis.channels.remove(handle),
            Err(NotGiven::Told(rule)) => drop(self.ndis_told(CALL, rule, NdisStatus::FAILURE)),
            Err(NotGiven::InUse) => drop(self.ndis_misuse(CALL, "NDIS-019", NdisStatus::FAILURE)),
        }
    }

    /// Takes back the channels that a miniport left, each of which breaks `rule`: what is set up is completed. From
    /// hardware that does not stop, memory is never taken.
    pub(super) fn take_channels_back(
        &self,
        miniport: &Arc<Miniport>,
        call: &'static str,
        rule: &'static str,
    ) {
        let mine = |record: &Arc<Record>| Arc::ptr_eq(&record.miniport, miniport);
        for (handle, record) in self.ndis.channels.live.find(mine) {
            self.ndis_misuse(call, rule, NdisStatus::FAILURE);
            let left = hold(&record.up).take();
            if let Some(up) = left {
                self.ndis_misuse(call, "NDIS-019", NdisStatus::FAILURE);
                if record.channel.complete(up.tuple()) == Err(NotCompleted::NotQuiet) {
                    std::mem::forget(up);
                }
            }
            // Where it is refused it goes with its record, which is told.
            let _ = record.channel.deregister();
            self.ndis.channels.remove(handle);
        }
    }
}
