//! A miniport of a machine, as the edge uses it.
//!
//! The contract is [`longshore_ndis`]'s. Here its machine goes behind a vtable, as in [`dma`](crate::dma::machine), and
//! its tokens are asked for: the edge has looked at the level before, and said so if it is wrong.

use crate::handles::hold;
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Passive, Rule};
use longshore_ndis::life::Phase;
use longshore_ndis::{
    Assigned, Attributes, Completed, DmaChannel, Miniport, NdisStatus, NotCompleted, RegisterError,
    Registration,
};
use longshore_wdm::Platform;
use std::sync::{Arc, Mutex};

/// What a transfer is known by.
#[derive(Clone, Copy)]
pub(crate) struct Tuple<'a> {
    pub(crate) buffer: Segments<'a>,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) write_to_device: bool,
}

/// What the edge needs of a miniport.
pub(crate) trait Nic: Send + Sync {
    fn phase(&self) -> Phase;
    /// Runs what it does to initialise. The status is its own; failure if it was not called.
    fn initialize(&self, body: &mut dyn FnMut() -> NdisStatus) -> NdisStatus;
    /// Runs what it does to halt, if it runs.
    fn halt(&self, body: &mut dyn FnMut());
    fn set_attributes(&self, attributes: Attributes) -> bool;
    fn alignment(&self) -> Option<u32>;
    fn register(&self, registration: Registration) -> Result<Box<dyn Channel>, RegisterError>;
}

/// What the edge needs of a channel.
pub(crate) trait Channel: Send + Sync {
    fn set_up(&self, tuple: Tuple<'_>) -> NdisStatus;
    fn complete(&self, tuple: Tuple<'_>) -> Result<Completed<()>, NotCompleted>;
    /// `None` if it is given back, or is being given back.
    fn read_counter(&self) -> Option<u32>;
    /// Gives it back, or says which rule its caller broke. The machine has heard of it if `Told`.
    fn deregister(&self) -> Result<(), NotGiven>;
}

/// Why a channel was not given back.
pub(crate) enum NotGiven {
    /// The rule that its caller broke. The machine has heard of it.
    Told(Rule),
    /// Another call of it is under way.
    InUse,
}

/// A miniport on its machine.
struct Here<M: Machine> {
    machine: M,
    miniport: Miniport<M>,
}

/// A miniport on this platform, with what was assigned to it.
pub(crate) fn nic<M: Machine>(platform: &Platform<M>, assigned: Option<Assigned>) -> Box<dyn Nic> {
    Box::new(Here {
        machine: platform.machine().clone(),
        miniport: Miniport::new(platform, assigned),
    })
}

impl<M: Machine> Nic for Here<M> {
    fn phase(&self) -> Phase {
        self.miniport.phase()
    }

    fn initialize(&self, body: &mut dyn FnMut() -> NdisStatus) -> NdisStatus {
        let Some(passive) = Passive::now(&self.machine) else {
            return NdisStatus::FAILURE;
        };
        let initialized = self.miniport.initialize(&passive, || match body() {
            NdisStatus::SUCCESS => Ok(NdisStatus::SUCCESS),
            failed => Err(failed),
        });
        initialized.unwrap_or_else(|failed| failed.why.unwrap_or(NdisStatus::FAILURE))
    }

    fn halt(&self, body: &mut dyn FnMut()) {
        if let Some(passive) = Passive::now(&self.machine) {
            let _ = self.miniport.halt(&passive, body);
        }
    }

    fn set_attributes(&self, attributes: Attributes) -> bool {
        Passive::now(&self.machine).is_some_and(|passive| self.miniport.set_attributes(&passive, attributes))
    }

    fn alignment(&self) -> Option<u32> {
        self.miniport.dma_alignment(&Passive::now(&self.machine)?)
    }

    fn register(&self, registration: Registration) -> Result<Box<dyn Channel>, RegisterError> {
        let passive = Passive::now(&self.machine).ok_or(RegisterError::NotNow)?;
        let channel = self.miniport.register_dma_channel(&passive, registration)?;
        Ok(Box::new(There {
            machine: self.machine.clone(),
            channel: Mutex::new(Some(Arc::new(channel))),
        }))
    }
}

/// A channel on its machine. It is taken out by whoever gives it back.
struct There<M: Machine> {
    machine: M,
    channel: Mutex<Option<Arc<DmaChannel<M>>>>,
}

impl<M: Machine> There<M> {
    /// The channel, while a call uses it. No lock is held meanwhile.
    fn channel(&self) -> Option<Arc<DmaChannel<M>>> {
        hold(&self.channel).clone()
    }

    /// Calls with the channel, and a token for a level up to DISPATCH.
    fn call<R>(&self, call: impl FnOnce(&DmaChannel<M>, AtMostDispatch<'_>) -> R) -> Option<R> {
        let channel = self.channel()?;
        if let Some(dispatch) = Dispatch::now(&self.machine) {
            return Some(call(&channel, (&dispatch).into()));
        }
        let passive = Passive::now(&self.machine)?;
        Some(call(&channel, (&passive).into()))
    }
}

/// What is called for a channel that is given back.
const GONE: NotCompleted = NotCompleted::Misuse(Rule("NDIS-018"));

impl<M: Machine> Channel for There<M> {
    fn set_up(&self, tuple: Tuple<'_>) -> NdisStatus {
        let Tuple {
            buffer,
            offset,
            length,
            write_to_device,
        } = tuple;
        self.call(|channel, level| channel.setup_dma_transfer(level, buffer, offset, length, write_to_device))
            .unwrap_or(NdisStatus::RESOURCES)
    }

    fn complete(&self, tuple: Tuple<'_>) -> Result<Completed<()>, NotCompleted> {
        let Tuple {
            buffer,
            offset,
            length,
            write_to_device,
        } = tuple;
        self.call(|channel, level| channel.end_dma_transfer(level, buffer, offset, length, write_to_device))
            .unwrap_or(Err(GONE))
    }

    fn read_counter(&self) -> Option<u32> {
        self.call(|channel, level| channel.read_counter(level))
    }

    fn deregister(&self) -> Result<(), NotGiven> {
        let Some(passive) = Passive::now(&self.machine) else {
            return Err(NotGiven::InUse);
        };
        let taken = hold(&self.channel).take().ok_or(NotGiven::InUse)?;
        let channel = match Arc::try_unwrap(taken) {
            Ok(channel) => channel,
            Err(shared) => {
                *hold(&self.channel) = Some(shared);
                return Err(NotGiven::InUse);
            }
        };
        let given = channel.deregister(&passive);
        given.map_err(|refused| {
            *hold(&self.channel) = Some(Arc::new(refused.channel));
            NotGiven::Told(refused.rule)
        })
    }
}
