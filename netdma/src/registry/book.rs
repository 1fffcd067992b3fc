//! What the registry knows, behind its one lock. Nobody is called from here.

use super::managed::Managed;
use super::news::{ClientId, News, Notification, NotificationCode};
use super::phase::{Change, Phase, step};
use super::{ProviderId, ProviderInfo};
use crate::provider::{Attributes, Characteristics, Provider};
use alloc::sync::Arc;
use alloc::vec::Vec;
use longshore_core::machine::Signal;
use longshore_core::{Event, Machine};

/// Names one channel that is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChannelKey {
    pub(super) provider: ProviderId,
    pub(super) number: u32,
}

/// A channel that is given out.
struct Slot {
    number: u32,
    client: ClientId,
    channel: Arc<dyn Managed>,
    /// Somebody is closing it. Whoever set this is the only one who does.
    closing: bool,
}

/// A permit to ask a provider for a channel.
pub(super) struct Permit {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) characteristics: Characteristics,
    pub(super) attributes: Attributes,
    /// Which of the provider's starts this is.
    epoch: u64,
}

/// Why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPermit {
    Unknown,
    NotStarted,
    NoChannel,
}

/// A provider that is registered.
pub(super) struct Entry<M: Machine> {
    id: ProviderId,
    provider: Arc<dyn Provider>,
    characteristics: Characteristics,
    attributes: Option<Attributes>,
    phase: Phase,
    epoch: u64,
    slots: Vec<Slot>,
    /// How many channels are being allocated just now.
    opening: u32,
    /// Set while no channel is being allocated or closed.
    quiet: Arc<M::Signal>,
}

impl<M: Machine> Entry<M> {
    pub(super) fn new(
        id: ProviderId,
        provider: Arc<dyn Provider>,
        characteristics: Characteristics,
        quiet: Arc<M::Signal>,
    ) -> Self {
        quiet.set();
        Self {
            id,
            provider,
            characteristics,
            attributes: None,
            phase: Phase::Stopped,
            epoch: 0,
            slots: Vec::new(),
            opening: 0,
            quiet,
        }
    }

    pub(super) fn characteristics(&self) -> &Characteristics {
        &self.characteristics
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn quiet(&self) -> Arc<M::Signal> {
        self.quiet.clone()
    }

    /// Asks the table, and takes the provider on. False if the call is refused.
    pub(super) fn step(&mut self, machine: &M, change: Change) -> bool {
        machine.emit(Event::Transition {
            table: "provider",
            state: self.phase.name(),
            event: change.name(),
        });
        let next = step(self.phase, change);
        self.phase = next.unwrap_or(self.phase);
        next.is_some()
    }

    /// What holds from here to the next stop.
    pub(super) fn begin(&mut self, attributes: Attributes) {
        self.epoch += 1;
        self.attributes = Some(attributes);
    }

    /// What held since the last start holds no more.
    pub(super) fn end(&mut self) {
        self.attributes = None;
    }

    /// How many channels can still be had.
    fn free(&self) -> u32 {
        let channels = self.attributes.map_or(0, |attributes| attributes.channels);
        channels
            .saturating_sub(u32::try_from(self.slots.len()).unwrap_or(u32::MAX))
            .saturating_sub(self.opening)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.opening == 0 && !self.slots.iter().any(|slot| slot.closing)
    }

    fn settle(&self) {
        if self.is_quiet() {
            self.quiet.set();
        } else {
            self.quiet.clear();
        }
    }

    /// The channels that are not being closed.
    pub(super) fn channels(&self) -> Vec<(ChannelKey, Arc<dyn Managed>)> {
        self.keys(|slot| !slot.closing)
    }

    fn keys(&self, wanted: impl Fn(&Slot) -> bool) -> Vec<(ChannelKey, Arc<dyn Managed>)> {
        let provider = self.id;
        let key = |number| ChannelKey { provider, number };
        let wanted = self.slots.iter().filter(|slot| wanted(slot));
        wanted
            .map(|slot| (key(slot.number), slot.channel.clone()))
            .collect()
    }

    fn info(&self) -> ProviderInfo {
        let open = self.phase == Phase::Started;
        ProviderInfo {
            id: self.id,
            name: self.characteristics.friendly_name.clone(),
            version: self.characteristics.version,
            flags: self.characteristics.flags,
            attributes: self.attributes,
            phase: self.phase,
            free_channels: if open { self.free() } else { 0 },
        }
    }
}

/// Everything that is registered.
pub(super) struct Book<M: Machine> {
    providers: Vec<Entry<M>>,
    pub(super) news: News,
}

impl<M: Machine> Book<M> {
    pub(super) fn new() -> Self {
        Self {
            providers: Vec::new(),
            news: News::default(),
        }
    }

    /// A provider came.
    pub(super) fn add(&mut self, entry: Entry<M>) {
        let id = entry.id;
        self.providers.push(entry);
        self.say(id, NotificationCode::ProviderRegistered);
    }

    /// A provider went. Gives back what is to be dropped outside of the lock.
    pub(super) fn remove(&mut self, id: ProviderId) -> Option<Entry<M>> {
        let place = self.providers.iter().position(|entry| entry.id == id)?;
        Some(self.providers.remove(place))
    }

    pub(super) fn entry(&mut self, id: ProviderId) -> Option<&mut Entry<M>> {
        self.providers.iter_mut().find(|entry| entry.id == id)
    }

    /// Tells every client.
    pub(super) fn say(&mut self, provider: ProviderId, code: NotificationCode) {
        self.news.say(Notification { code, provider });
    }

    /// Tells a new client of the providers that came before it.
    pub(super) fn catch_up(&mut self, client: ClientId) {
        for entry in &self.providers {
            let codes: &[NotificationCode] = match entry.phase {
                Phase::Stopped | Phase::Stopping => &[NotificationCode::ProviderRegistered],
                Phase::Started => &[
                    NotificationCode::ProviderRegistered,
                    NotificationCode::ProviderArrival,
                ],
                Phase::PoweringDown | Phase::Asleep | Phase::PoweringUp => &[
                    NotificationCode::ProviderRegistered,
                    NotificationCode::ProviderArrival,
                    NotificationCode::ProviderPowerDown,
                ],
            };
            for &code in codes {
                let provider = entry.id;
                self.news.say_to(client, Notification { code, provider });
            }
        }
    }

    /// A provider, as a client sees it.
    pub(super) fn info(&self, id: ProviderId) -> Option<ProviderInfo> {
        let entry = self.providers.iter().find(|entry| entry.id == id)?;
        Some(entry.info())
    }

    /// Every provider, as a client sees it.
    pub(super) fn infos(&self) -> Vec<ProviderInfo> {
        self.providers.iter().map(Entry::info).collect()
    }

    /// The providers that cannot tell when their power goes.
    pub(super) fn silent(&self) -> Vec<ProviderId> {
        let silent = |entry: &&Entry<M>| !entry.characteristics.version.notifies();
        self.providers
            .iter()
            .filter(silent)
            .map(|entry| entry.id)
            .collect()
    }

    /// A channel may be asked for (NETDMA-013). The provider is not stopped before it was [taken in](Book::admit) or
    /// [given up](Book::give_up).
    pub(super) fn permit(&mut self, id: ProviderId) -> Result<Permit, NoPermit> {
        let entry = self.entry(id).ok_or(NoPermit::Unknown)?;
        let started = entry.attributes.filter(|_| entry.phase == Phase::Started);
        let attributes = started.ok_or(NoPermit::NotStarted)?;
        if entry.free() == 0 {
            return Err(NoPermit::NoChannel);
        }
        entry.opening += 1;
        entry.settle();
        Ok(Permit {
            provider: entry.provider.clone(),
            characteristics: entry.characteristics.clone(),
            attributes,
            epoch: entry.epoch,
        })
    }

    /// Takes a new channel in. False if the provider was stopped meanwhile, or its power goes: then the channel is
    /// to be closed, and given up after that.
    pub(super) fn admit(
        &mut self,
        key: ChannelKey,
        permit: &Permit,
        client: ClientId,
        channel: &Arc<dyn Managed>,
    ) -> bool {
        let Some(entry) = self.entry(key.provider) else {
            return false;
        };
        if entry.phase != Phase::Started || entry.epoch != permit.epoch {
            return false;
        }
        entry.opening -= 1;
        entry.slots.push(Slot {
            number: key.number,
            client,
            channel: channel.clone(),
            closing: false,
        });
        entry.settle();
        true
    }

    /// Nothing came of a permit.
    pub(super) fn give_up(&mut self, id: ProviderId) {
        self.freeing(id, |entry| entry.opening -= 1);
    }

    /// The channels of a client.
    pub(super) fn channels_of(&self, client: ClientId) -> Vec<ChannelKey> {
        let of_entry = |entry: &Entry<M>| entry.keys(|slot| slot.client == client);
        let all = self.providers.iter().flat_map(of_entry);
        all.map(|(key, _)| key).collect()
    }

    /// Gives a channel to the one who closes it, once.
    pub(super) fn claim(&mut self, key: ChannelKey) -> Option<Arc<dyn Managed>> {
        let entry = self.entry(key.provider)?;
        let open = |slot: &&mut Slot| slot.number == key.number && !slot.closing;
        let slot = entry.slots.iter_mut().find(open)?;
        slot.closing = true;
        let channel = slot.channel.clone();
        entry.settle();
        Some(channel)
    }

    /// A channel that was claimed is closed.
    pub(super) fn closed(&mut self, key: ChannelKey) {
        self.freeing(key.provider, |entry| {
            entry.slots.retain(|slot| slot.number != key.number);
        });
    }

    /// Does what makes a channel free, and says so where none was left.
    fn freeing(&mut self, id: ProviderId, free: impl FnOnce(&mut Entry<M>)) {
        let Some(entry) = self.entry(id) else {
            return;
        };
        let before = entry.free();
        free(entry);
        entry.settle();
        if before == 0 && entry.free() > 0 && entry.phase == Phase::Started {
            self.say(id, NotificationCode::ChannelArrival);
        }
    }
}
