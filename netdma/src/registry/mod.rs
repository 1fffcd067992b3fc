//! The NetDMA interface: who provides, who uses, and the life between.
//!
//! * [`NetDma`]: the interface itself;
//! * [`Registration`]: a provider that is registered;
//! * [`Client`]: whoever uses channels, and [`ClientEvents`], what it hears;
//! * [`Misuse`]: what a provider is told when it is refused;
//! * [`ClientChannel`]: a channel that a client has;
//! * [`phase`]: the total table of a provider's life.
//!
//! There is one lock, behind which stands what is known. Nobody is called under it: neither a provider nor a
//! client nor a channel. Every call here is made at PASSIVE, but for dropping a channel.
//!
//! A provider lives at PASSIVE; what has no token for that does not compile:
//!
//! ```compile_fail,E0308
//! use longshore_core::{Dispatch, Machine};
//! use longshore_netdma::Registration;
//! fn stop<M: Machine>(registration: &Registration<M>, dispatch: &Dispatch) {
//!     registration.stop(dispatch);
//! }
//! ```
//!
//! ```
//! use longshore_core::{Machine, Passive};
//! use longshore_netdma::Registration;
//! fn stop<M: Machine>(registration: &Registration<M>, passive: &Passive) {
//!     registration.stop(passive);
//! }
//! ```
//!
//! A registration that was given up is gone (NETDMA-015):
//!
//! ```compile_fail,E0382
//! use longshore_core::{Machine, Passive};
//! use longshore_netdma::Registration;
//! fn leave<M: Machine>(registration: Registration<M>, passive: &Passive) {
//!     registration.deregister(passive);
//!     registration.stop(passive);
//! }
//! ```
//!
//! No context-change descriptor is ever sent (NETDMA-115): it would tell an engine whose cache to write to, and no
//! descriptor of ours asks for that.

mod book;
pub mod check;
mod client;
mod managed;
mod news;
pub mod phase;
mod registration;
mod started;

pub use check::RegisterError;
pub use client::{AllocationError, Client, ClientChannel, ProviderInfo};
pub use news::{ClientEvents, Notification, NotificationCode};
pub use registration::{Misuse, PowerChange, Registration};

use crate::provider::{ChannelAffinity, Characteristics, Provider};
use crate::version::Version;
use alloc::sync::Arc;
use alloc::vec::Vec;
use book::{Book, ChannelKey, Entry};
use core::fmt;
use core::time::Duration;
use longshore_core::machine::{Cpu, Instant, Lock, Signal, Waited};
use longshore_core::{AtMostDispatch, Event, Irql, Machine, NtStatus, Passive, Rule};
use managed::Managed;
use news::ClientId;

/// How an interface is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The version of the contract it offers.
    pub version: Version,
    /// Whether the computer has message interrupts, so that each channel's interrupt can be steered (NETDMA-031).
    pub message_interrupts: bool,
    /// How long a stop or a power-down waits for outstanding work, and for a client that is being told, before it
    /// goes on without them (AMB-14).
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: Version::V2_1,
            message_interrupts: false,
            patience: Duration::from_secs(1),
        }
    }
}

/// The number of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderId(u32);

/// The interface between providers and clients. Clones are the same interface.
pub struct NetDma<M: Machine> {
    shared: Arc<Shared<M>>,
}

impl<M: Machine> NetDma<M> {
    /// An interface without providers and clients.
    pub fn new(passive: &Passive, machine: &M, config: Config) -> Self {
        let ear = machine.signal(passive, "NetDMA news");
        ear.set();
        Self {
            shared: Arc::new(Shared {
                machine: machine.clone(),
                config,
                book: machine.lock("NetDMA registry", Irql::DISPATCH, Book::new()),
                ear,
            }),
        }
    }

    /// The machine that it is on.
    pub fn machine(&self) -> &M {
        &self.shared.machine
    }

    /// A provider, as a client sees it. `None` if it is gone.
    pub fn provider(&self, id: ProviderId) -> Option<ProviderInfo> {
        self.shared.book(|book| book.info(id))
    }

    /// The version, with the major number in the high half (NETDMA-016).
    #[doc(alias = "NetDmaGetVersion")]
    pub fn version(&self, _: &Passive) -> u32 {
        self.shared.config.version.packed()
    }

    /// Registers a provider, whose engine need not be started (NETDMA-011). Where the computer has message
    /// interrupts the provider hears here where each of its channels is to interrupt (NETDMA-030). None of its other
    /// services is used before it starts (NETDMA-013).
    #[doc(alias = "NetDmaRegisterProvider")]
    pub fn register(
        &self,
        passive: &Passive,
        provider: Arc<dyn Provider>,
    ) -> Result<Registration<M>, RegisterError> {
        let shared = &self.shared;
        let told = provider.characteristics();
        shared.check(passive, &*provider, &told).inspect_err(|error| {
            shared.refuse("NetDmaRegisterProvider", error.rule(), error.status());
        })?;
        let id = ProviderId(shared.machine.number());
        let quiet = Arc::new(shared.machine.signal(passive, "NetDMA provider is quiet"));
        let entry = Entry::new(id, provider, told, quiet);
        shared.book(|book| book.add(entry));
        shared.tell(passive);
        Ok(Registration::new(shared.clone(), id))
    }

    /// Registers a client. First of all it hears of the providers that came before it.
    #[doc(alias = "NetDmaRegisterClient")]
    pub fn register_client(&self, passive: &Passive, sink: Arc<dyn ClientEvents>) -> Client<M> {
        let id = ClientId(self.shared.machine.number());
        self.shared.book(|book| {
            book.news.join(id, sink);
            book.catch_up(id);
        });
        self.shared.tell(passive);
        Client::new(self.shared.clone(), id)
    }

    /// The computer was asleep. Providers of version 1.0 cannot tell so (NETDMA-114): each of their channels is
    /// started with a NULL transfer, since an engine that lost its place would refuse to go on.
    pub fn woke(&self, passive: &Passive) {
        for id in self.shared.book(|book| book.silent()) {
            self.shared.restart(passive, id);
        }
    }
}

impl<M: Machine> Clone for NetDma<M> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        Self { shared }
    }
}

impl<M: Machine> fmt::Debug for NetDma<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NetDma").field(&self.shared.config).finish()
    }
}

/// What registrations, clients and channels share.
struct Shared<M: Machine> {
    machine: M,
    config: Config,
    book: M::Lock<Book<M>>,
    /// Set while nobody is telling the clients anything.
    ear: M::Signal,
}

impl<M: Machine> Shared<M> {
    fn book<R>(&self, section: impl FnOnce(&mut Book<M>) -> R) -> R {
        self.book.with(section)
    }

    /// Reports misuse, and says what it was.
    fn refuse(&self, call: &'static str, rule: Rule, status: NtStatus) -> Option<Misuse> {
        self.machine.emit(Event::Misuse(call, rule, status));
        Some(Misuse { call, rule, status })
    }

    fn check(
        &self,
        passive: &Passive,
        provider: &dyn Provider,
        told: &Characteristics,
    ) -> Result<(), RegisterError> {
        let messages = self.config.message_interrupts;
        check::characteristics(told, self.config.version, messages)?;
        if messages {
            self.steer(passive, provider, told.max_channels)?;
        }
        Ok(())
    }

    /// Says where the interrupt of each channel is to arrive: on every CPU in turn.
    fn steer(&self, passive: &Passive, provider: &dyn Provider, channels: u32) -> Result<(), RegisterError> {
        let cpus = self.machine.cpus().max(1);
        let affinity = |channel| ChannelAffinity {
            channel,
            cpu: Cpu(channel % cpus),
        };
        let all: Vec<_> = (0..channels).map(affinity).collect();
        self.machine.emit(Event::Call("ProviderSetDmaChannelCpuAffinity"));
        let steered = provider.set_channel_affinity(passive, &all);
        let status = steered.map_or_else(|error| error.status(), |()| NtStatus::SUCCESS);
        self.machine
            .emit(Event::Return("ProviderSetDmaChannelCpuAffinity", status));
        steered.map_err(RegisterError::Affinity)
    }

    /// Tells the clients what has been said, unless somebody else is at it.
    fn deliver(&self, passive: &Passive) {
        loop {
            let next = self.book(|book| {
                let next = book.news.take();
                if next.is_some() {
                    self.ear.clear();
                }
                next
            });
            let Some((sink, notification)) = next else {
                return;
            };
            let _telling = Telling(self);
            sink.notify(passive, notification);
        }
    }

    /// Tells the clients what has been said. Returns when all of it was heard, or after a bounded time: whoever
    /// calls from inside a client's ear would otherwise wait for itself.
    fn tell(&self, passive: &Passive) {
        let mark = self.book(|book| book.news.mark());
        self.until(passive, &self.ear, || {
            self.deliver(passive);
            self.book(|book| book.news.heard(mark))
        });
    }

    fn end_of_patience(&self) -> Instant {
        let patience = self.config.patience.as_nanos().min(u128::from(u64::MAX)) as u64;
        Instant(self.machine.now().0.saturating_add(patience))
    }

    fn left(&self, end: Instant) -> Duration {
        Duration::from_nanos(end.0.saturating_sub(self.machine.now().0))
    }

    /// Waits for something that is told of by a signal, for a bounded time. The signal says how things are, so
    /// nobody who waits clears it.
    fn until(&self, passive: &Passive, signal: &M::Signal, mut holds: impl FnMut() -> bool) -> bool {
        let end = self.end_of_patience();
        loop {
            if holds() {
                return true;
            }
            let left = self.left(end);
            if left.is_zero() {
                self.machine
                    .emit(Event::Note("the registry waited long enough and goes on"));
                return false;
            }
            if signal.wait_for(passive, left) == Waited::Abandoned {
                return false;
            }
        }
    }

    /// The channels of a provider that nobody is closing.
    fn channels(&self, id: ProviderId) -> Vec<(ChannelKey, Arc<dyn Managed>)> {
        self.book(|book| book.entry(id).map(|entry| entry.channels()))
            .unwrap_or_default()
    }

    /// Waits until all work on these channels is over, for a bounded time altogether.
    fn drain(&self, passive: &Passive, channels: &[(ChannelKey, Arc<dyn Managed>)]) {
        let end = self.end_of_patience();
        for (_, channel) in channels {
            if !channel.drain(passive, self.left(end)) {
                self.machine
                    .emit(Event::Note("a channel did not run dry in time"));
            }
        }
    }

    /// Starts each channel of a provider anew.
    fn restart(&self, passive: &Passive, id: ProviderId) {
        for (_, channel) in self.channels(id) {
            if !channel.restart(passive, self.config.patience) {
                self.machine.emit(Event::Note(
                    "a channel did not start again after the power came back",
                ));
            }
        }
    }

    /// Closes a channel, unless somebody else does.
    fn close(&self, level: AtMostDispatch<'_>, key: ChannelKey) {
        if let Some(channel) = self.book(|book| book.claim(key)) {
            channel.close(level);
            self.book(|book| book.closed(key));
        }
    }

    /// Waits until nobody allocates or closes a channel of this provider.
    fn until_quiet(&self, passive: &Passive, id: ProviderId) {
        if let Some(quiet) = self.book(|book| book.entry(id).map(|entry| entry.quiet())) {
            self.until(passive, &quiet, || {
                self.book(|book| book.entry(id).is_none_or(|entry| entry.is_quiet()))
            });
        }
    }
}

/// Somebody is being told something. However that ends, others may go on.
struct Telling<'a, M: Machine>(&'a Shared<M>);

impl<M: Machine> Drop for Telling<'_, M> {
    fn drop(&mut self) {
        self.0.book(|book| {
            book.news.told();
            self.0.ear.set();
        });
    }
}
