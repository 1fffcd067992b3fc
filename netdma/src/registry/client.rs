//! Whoever uses channels.

use super::book::{ChannelKey, NoPermit, Permit};
use super::managed::Managed;
use super::news::ClientId;
use super::phase::Phase;
use super::started::Started;
use super::{ProviderId, Shared};
use crate::channel::Channel;
use crate::operation::OpenError;
use crate::provider::{Attributes, ProviderFlags};
use crate::ring::RingOptions;
use crate::version::Version;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use longshore_core::{AtMostDispatch, Dispatch, Machine, NtStatus, Passive};

/// A provider, as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderInfo {
    /// Its number.
    pub id: ProviderId,
    /// Its name for a reader, from version 2.0 on.
    pub name: Option<Arc<str>>,
    /// The version of the contract it implements.
    pub version: Version,
    /// What else it can do.
    pub flags: ProviderFlags,
    /// What it started with, unless it is stopped.
    pub attributes: Option<Attributes>,
    /// Where it stands.
    pub phase: Phase,
    /// How many channels can be had now.
    pub free_channels: u32,
}

/// Why a client got no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationError {
    /// There is no such provider.
    Unknown,
    /// The provider is stopped, or has no power (NETDMA-013).
    NotStarted,
    /// The provider has no channel left. A channel arrival will tell when it has.
    NoChannel,
    /// The channel could not be opened.
    Open(OpenError),
}

impl AllocationError {
    /// The status as the contract returns it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Unknown => NtStatus::INVALID_PARAMETER,
            Self::NotStarted => NtStatus::UNSUCCESSFUL,
            Self::NoChannel => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Open(error) => error.status(),
        }
    }
}

impl From<NoPermit> for AllocationError {
    fn from(reason: NoPermit) -> Self {
        match reason {
            NoPermit::Unknown => Self::Unknown,
            NoPermit::NotStarted => Self::NotStarted,
            NoPermit::NoChannel => Self::NoChannel,
        }
    }
}

impl fmt::Display for AllocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such provider"),
            Self::NotStarted => f.write_str("the provider is not started"),
            Self::NoChannel => f.write_str("the provider has no channel left"),
            Self::Open(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for AllocationError {}

/// Whoever uses channels. Dropping it closes those it still has; what it hears at that moment may go on for a while
/// after, unless it [deregisters](Client::deregister).
pub struct Client<M: Machine> {
    shared: Arc<Shared<M>>,
    id: ClientId,
}

impl<M: Machine> Client<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, id: ClientId) -> Self {
        Self { shared, id }
    }

    /// Every provider that is registered.
    #[doc(alias = "NetDmaEnumerateDmaProviders")]
    pub fn providers(&self, _: &Passive) -> Vec<ProviderInfo> {
        self.shared.book(|book| book.infos())
    }

    /// A channel of a provider, for this client alone (NETDMA-002). Its urgency and its choice of CPUs are passed on to
    /// the provider (NETDMA-042).
    #[doc(alias = "NetDmaAllocateChannel")]
    pub fn allocate(
        &self,
        passive: &Passive,
        provider: ProviderId,
        options: RingOptions,
    ) -> Result<ClientChannel<M>, AllocationError> {
        let shared = &self.shared;
        let permit = shared.book(|book| book.permit(provider))?;
        let mut opening = Opening {
            shared,
            provider,
            over: false,
        };
        let channel = self.open(passive, &permit, options)?;
        let key = ChannelKey {
            provider,
            number: shared.machine.number(),
        };
        let managed: Arc<dyn Managed> = channel.clone();
        opening.over = shared.book(|book| book.admit(key, &permit, self.id, &managed));
        if !opening.over {
            channel.close_now(passive.into());
            return Err(AllocationError::NotStarted);
        }
        Ok(ClientChannel {
            shared: shared.clone(),
            key,
            channel,
        })
    }

    fn open(
        &self,
        passive: &Passive,
        permit: &Permit,
        options: RingOptions,
    ) -> Result<Arc<Channel<M>>, AllocationError> {
        let started = Started {
            provider: permit.provider.clone(),
            characteristics: permit.characteristics.clone(),
            attributes: permit.attributes,
        };
        let opened = Channel::open_with(passive, &self.shared.machine, &started, options);
        opened.map(Arc::new).map_err(AllocationError::Open)
    }

    /// Closes the client's channels and lets it go. When this returns it is told nothing more, unless its ear took
    /// longer than the interface has patience.
    #[doc(alias = "NetDmaDeregisterClient")]
    pub fn deregister(self, passive: &Passive) {
        let (shared, id) = (self.shared.clone(), self.id);
        drop(self);
        shared.until(passive, &shared.ear, || !shared.book(|book| book.news.tells(id)));
    }
}

impl<M: Machine> fmt::Debug for Client<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.id).finish()
    }
}

impl<M: Machine> Drop for Client<M> {
    fn drop(&mut self) {
        // Dropped outside of the lock.
        let sink = self.shared.book(|book| book.news.leave(self.id));
        drop(sink);
        for key in self.shared.book(|book| book.channels_of(self.id)) {
            self.shared.close_now(key);
        }
    }
}

/// A permit in use. However that ends, the provider does not wait for it for ever.
struct Opening<'a, M: Machine> {
    shared: &'a Shared<M>,
    provider: ProviderId,
    /// The channel is taken in, and with that the permit is used up.
    over: bool,
}

impl<M: Machine> Drop for Opening<'_, M> {
    fn drop(&mut self) {
        if !self.over {
            self.shared.book(|book| book.give_up(self.provider));
        }
    }
}

/// A channel that a client has. Dropping it closes it; if the provider stops or the client goes, it is closed before,
/// and then refuses every call.
pub struct ClientChannel<M: Machine> {
    shared: Arc<Shared<M>>,
    key: ChannelKey,
    channel: Arc<Channel<M>>,
}

impl<M: Machine> ClientChannel<M> {
    /// Whose channel it is.
    pub fn provider(&self) -> ProviderId {
        self.key.provider
    }
}

impl<M: Machine> Deref for ClientChannel<M> {
    type Target = Channel<M>;

    fn deref(&self) -> &Channel<M> {
        &self.channel
    }
}

impl<M: Machine> fmt::Debug for ClientChannel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientChannel").field(&self.key).finish()
    }
}

impl<M: Machine> Drop for ClientChannel<M> {
    fn drop(&mut self) {
        self.shared.close_now(self.key);
    }
}

impl<M: Machine> Shared<M> {
    /// Closes a channel at the level of whoever drops it. Above DISPATCH it stays until the provider stops.
    fn close_now(&self, key: ChannelKey) {
        if let Some(passive) = Passive::probe(&self.machine) {
            self.close((&passive).into(), key);
            self.deliver(&passive);
        } else if let Some(dispatch) = Dispatch::now(&self.machine) {
            self.close(AtMostDispatch::from(&dispatch), key);
        }
    }
}
