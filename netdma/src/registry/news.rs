//! What clients are told, one thing after the other.

use super::ProviderId;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use longshore_core::Passive;

/// What happened (NETDMA-112). The numbers are the contract's.
#[doc(alias = "NET_DMA_PNP_NOTIFICATION_CODE")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum NotificationCode {
    /// A provider registered. Its channels cannot be had yet.
    ProviderRegistered = 1,
    /// A provider started: its channels can be had.
    ProviderArrival = 2,
    /// A provider stops: its channels take no more work and are given back.
    ProviderRemoval = 3,
    /// A provider that had no channel left has one again.
    ChannelArrival = 4,
    /// A provider is about to lose its power: its channels take no more work.
    ProviderPowerDown = 5,
    /// A provider has its power back: its channels work again.
    ProviderPowerUp = 6,
}

/// What happened, and to which provider.
#[doc(alias = "NET_DMA_PNP_NOTIFICATION")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What happened.
    pub code: NotificationCode,
    /// The provider.
    pub provider: ProviderId,
}

/// A client's ear.
///
/// It hears everything in the order in which it happened, one thing at a time, and never under a lock of ours: so it
/// may allocate and drop channels at once. What it does there holds up the provider, but only for a bounded time. A
/// provider's own calls, such as a stop, do not belong there.
pub trait ClientEvents: Send + Sync {
    /// Something happened.
    fn notify(&self, passive: &Passive, notification: Notification);
}

/// The number of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientId(pub(super) u32);

/// Something to be told.
struct Item {
    number: u64,
    client: ClientId,
    notification: Notification,
}

/// The clients, and what they have not heard yet. One context at a time tells them, so that all stays in order.
#[derive(Default)]
pub(super) struct News {
    clients: Vec<(ClientId, Arc<dyn ClientEvents>)>,
    waiting: VecDeque<Item>,
    /// The number of the next item.
    next: u64,
    /// Who is being told just now, and which item.
    telling: Option<(ClientId, u64)>,
}

impl News {
    /// Lets a client hear what is said from now on.
    pub(super) fn join(&mut self, client: ClientId, sink: Arc<dyn ClientEvents>) {
        self.clients.push((client, sink));
    }

    /// Nothing more is told to the client. Gives back its ear, which is to be dropped outside of every lock.
    pub(super) fn leave(&mut self, client: ClientId) -> Option<Arc<dyn ClientEvents>> {
        self.waiting.retain(|item| item.client != client);
        let place = self.clients.iter().position(|(known, _)| *known == client)?;
        Some(self.clients.remove(place).1)
    }

    /// Says something to every client.
    pub(super) fn say(&mut self, notification: Notification) {
        for place in 0..self.clients.len() {
            self.say_to(self.clients[place].0, notification);
        }
    }

    /// Says something to one client.
    pub(super) fn say_to(&mut self, client: ClientId, notification: Notification) {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back(Item {
            number,
            client,
            notification,
        });
    }

    /// Takes the next thing to be told, unless somebody is telling one. Whoever gets one tells it, and then says
    /// that it was [told](News::told).
    pub(super) fn take(&mut self) -> Option<(Arc<dyn ClientEvents>, Notification)> {
        if self.telling.is_some() {
            return None;
        }
        let item = self.waiting.pop_front()?;
        let (_, sink) = self.clients.iter().find(|(client, _)| *client == item.client)?;
        self.telling = Some((item.client, item.number));
        Some((sink.clone(), item.notification))
    }

    /// The thing that was taken has been told.
    pub(super) fn told(&mut self) {
        self.telling = None;
    }

    /// What has been said so far.
    pub(super) fn mark(&self) -> u64 {
        self.next
    }

    /// Whether everything before this mark was heard.
    pub(super) fn heard(&self, mark: u64) -> bool {
        let before = |number: u64| number < mark;
        !self.telling.is_some_and(|(_, number)| before(number))
            && !self.waiting.front().is_some_and(|item| before(item.number))
    }

    /// Whether this client is being told something.
    pub(super) fn tells(&self, client: ClientId) -> bool {
        self.telling.is_some_and(|(told, _)| told == client)
    }
}
