//! The NetDMA interface of a machine, as the edge uses it.
//!
//! The life of a provider is [`longshore_netdma::registry`]'s. Here its machine goes behind a vtable, as in
//! [`world`](crate::world), and its tokens are asked for: every call is for PASSIVE.

use crate::handles::hold;
use longshore_core::{Machine, Passive};
use longshore_netdma::registry::{Misuse, PowerChange, ProviderId, ProviderInfo};
use longshore_netdma::{Attributes, NetDma, Provider, Registration};
use std::sync::{Arc, Mutex};

/// What the edge needs of the interface.
pub(crate) trait Interface: Send + Sync {
    /// What `NetDmaGetVersion` returns. `None` above PASSIVE.
    fn version(&self) -> Option<u32>;

    /// Lets a provider in. What is refused has been reported to the machine. `None` above PASSIVE.
    fn register(&self, provider: Arc<dyn Provider>) -> Option<Result<Box<dyn Registered>, Misuse>>;

    /// A provider, as a client sees it.
    fn provider(&self, id: ProviderId) -> Option<ProviderInfo>;
}

/// A provider that was let in. What is refused has been reported to the machine.
pub(crate) trait Registered: Send {
    fn id(&self) -> ProviderId;
    fn start(&self, attributes: Attributes) -> Option<Misuse>;
    fn stop(&self) -> Option<Misuse>;
    fn notify(&self, change: PowerChange) -> Option<Misuse>;
    fn deregister(self: Box<Self>) -> Option<Misuse>;
}

/// Calls with a token for PASSIVE. The edge has looked at the level before, and says so if it is wrong.
fn at_passive<M: Machine, R>(machine: &M, call: impl FnOnce(&Passive) -> Option<R>) -> Option<R> {
    Passive::probe(machine).and_then(|passive| call(&passive))
}

impl<M: Machine> Interface for NetDma<M> {
    fn version(&self) -> Option<u32> {
        at_passive(self.machine(), |passive| Some(Self::version(self, passive)))
    }

    fn register(&self, provider: Arc<dyn Provider>) -> Option<Result<Box<dyn Registered>, Misuse>> {
        at_passive(self.machine(), |passive| {
            let registered = Self::register(self, passive, provider);
            let boxed = registered.map(|registration| -> Box<dyn Registered> {
                Box::new(Here {
                    machine: self.machine().clone(),
                    registration,
                })
            });
            Some(boxed.map_err(|error| Misuse {
                call: "NetDmaRegisterProvider",
                rule: error.rule(),
                status: error.status(),
            }))
        })
    }

    fn provider(&self, id: ProviderId) -> Option<ProviderInfo> {
        Self::provider(self, id)
    }
}

/// A registration on its machine.
struct Here<M: Machine> {
    machine: M,
    registration: Registration<M>,
}

impl<M: Machine> Registered for Here<M> {
    fn id(&self) -> ProviderId {
        self.registration.id()
    }

    fn start(&self, attributes: Attributes) -> Option<Misuse> {
        at_passive(&self.machine, |passive| {
            self.registration.start(passive, attributes)
        })
    }

    fn stop(&self) -> Option<Misuse> {
        at_passive(&self.machine, |passive| self.registration.stop(passive))
    }

    fn notify(&self, change: PowerChange) -> Option<Misuse> {
        at_passive(&self.machine, |passive| self.registration.notify(passive, change))
    }

    fn deregister(self: Box<Self>) -> Option<Misuse> {
        let Self {
            machine,
            registration,
        } = *self;
        at_passive(&machine, |passive| registration.deregister(passive))
    }
}

/// The place of a registration, from which it is taken while it is in use: the calls for one provider come one at a
/// time.
pub(crate) struct Place(Mutex<Option<Box<dyn Registered>>>);

impl Place {
    pub(crate) fn new(registered: Box<dyn Registered>) -> Self {
        Self(Mutex::new(Some(registered)))
    }

    /// Takes the registration. `None` while somebody else has it.
    pub(crate) fn take(&self) -> Option<Turn<'_>> {
        let registered = hold(&self.0).take();
        registered.map(|registered| Turn {
            place: self,
            registered: Some(registered),
        })
    }
}

/// Somebody uses a registration. However that ends, it comes back to its place.
pub(crate) struct Turn<'a> {
    place: &'a Place,
    registered: Option<Box<dyn Registered>>,
}

impl Turn<'_> {
    /// Calls for the provider.
    pub(crate) fn call(&self, call: impl FnOnce(&dyn Registered) -> Option<Misuse>) -> Option<Misuse> {
        self.registered.as_deref().and_then(call)
    }

    /// Gives the provider up for good.
    pub(crate) fn deregister(mut self) -> Option<Misuse> {
        self.registered
            .take()
            .and_then(|registered| registered.deregister())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(registered) = self.registered.take() {
            *hold(&self.place.0) = Some(registered);
        }
    }
}
