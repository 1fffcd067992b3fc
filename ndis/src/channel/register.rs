//! Registering a channel.

use super::{DmaChannel, Way};
use crate::description::{Assigned, RegisterError, Registration};
use crate::life;
use crate::miniport::Miniport;
use crate::status::NdisStatus;
use longshore_core::Passive;
use longshore_core::event::Event;
use longshore_core::machine::Machine;
use longshore_hardware::BusAddress;
use longshore_wdm::{Adapter, AdapterError, SystemDma};

const NAME: &str = "NdisMRegisterDmaChannel";

impl<M: Machine> Miniport<M> {
    /// Claims a channel, and what its transfers will need. To be called while the miniport initialises, after its
    /// attributes are set. A bus master on ISA has its channel for nothing but asking for the bus.
    #[doc(alias = "NdisMRegisterDmaChannel")]
    pub fn register_dma_channel(
        &self,
        passive: &Passive,
        registration: Registration,
    ) -> Result<DmaChannel<M>, RegisterError> {
        let machine = self.machine();
        machine.emit(Event::Call(NAME));
        let result = self.register(passive, registration);
        let status = match &result {
            Ok(_) => NdisStatus::SUCCESS,
            Err(error) => error.status(),
        };
        if let Err(error) = &result {
            self.note_refusal();
            if let Some(rule) = error.broken_rule() {
                machine.emit(Event::Misuse(NAME, rule, status.into()));
            }
            if *error == RegisterError::Conflict {
                machine.emit(Event::Note(
                    "error log: somebody else has the miniport's DMA channel",
                ));
            }
        }
        machine.emit(Event::Return(NAME, status.into()));
        result
    }

    fn register(
        &self,
        passive: &Passive,
        registration: Registration,
    ) -> Result<DmaChannel<M>, RegisterError> {
        self.step(NAME, life::Input::Register)
            .map_err(|_| RegisterError::NotNow)?;
        let attributes = self.attributes().ok_or(RegisterError::NotNow)?;
        registration.check(attributes)?;
        let (system, assigned) = self.find(&registration)?;
        let (way, alignment) = if attributes.bus_master {
            let cascade = system.cascade(passive, assigned.channel, assigned.request_line)?;
            (Way::Cascade(cascade), 1)
        } else {
            let adapter = claim(passive, &system, &registration, assigned)?;
            let alignment = adapter.alignment(passive);
            (Way::Controller(adapter), alignment)
        };
        self.note_channel(alignment);
        Ok(DmaChannel::new(self, way, alignment))
    }

    /// Which channel of which controller is meant: the description's, or else the platform's (NDIS-013, NDIS-021).
    fn find(&self, registration: &Registration) -> Result<(SystemDma<M>, Assigned), RegisterError> {
        let platform = self.platform();
        let named = registration.description.channel;
        if let Some(assigned) = self.assigned() {
            let channel = named.unwrap_or(assigned.channel);
            let system = platform.controller_of_line(assigned.request_line);
            let system = system.ok_or(AdapterError::NoController)?;
            return Ok((system, Assigned { channel, ..assigned }));
        }
        let channel = named.ok_or(RegisterError::NoChannel)?;
        let system = platform.controller_with_channel(channel);
        let system = system.ok_or(AdapterError::NoController)?;
        let first = system.attributes().request_lines.first;
        let request_line = first.checked_add(channel).ok_or(AdapterError::BadBinding)?;
        let assigned = Assigned {
            channel,
            request_line,
            device_address: BusAddress::NULL,
        };
        Ok((system, assigned))
    }
}

/// An adapter of the channel that nobody shares, with enough map registers for the longest transfer.
fn claim<M: Machine>(
    passive: &Passive,
    system: &SystemDma<M>,
    registration: &Registration,
    assigned: Assigned,
) -> Result<Adapter<M>, RegisterError> {
    let description = registration.for_wdm(assigned);
    let adapter = system.exclusive_adapter(passive, description, registration.address_width())?;
    let bounded = registration.maximum_length != u32::MAX;
    if bounded && !adapter.has_registers_for(registration.maximum_length) {
        return Err(RegisterError::Resources);
    }
    Ok(adapter)
}
