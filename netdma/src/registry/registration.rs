//! A provider that is registered.

use super::news::NotificationCode;
use super::phase::{Change, Phase};
use super::{ProviderId, Shared, check};
use crate::provider::Attributes;
use alloc::sync::Arc;
use core::fmt;
use longshore_core::{Machine, NtStatus, Passive, Rule};

/// What a provider says about its power (NETDMA-110).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowerChange {
    /// It is about to leave the working state.
    Down,
    /// It is back in the working state.
    Up,
}

/// What a provider did wrong. The machine has heard of it already, so a provider may ignore it as the contract does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misuse {
    /// The call.
    pub call: &'static str,
    /// The rule that it broke.
    pub rule: Rule,
    /// What it was refused with. The contract's own calls return nothing.
    pub status: NtStatus,
}

/// A provider that is registered: its way to say what becomes of it.
///
/// The calls for one provider come one at a time; one that comes during another is refused and reported. Dropping the
/// registration deregisters the provider, which is a misuse where [`Registration::deregister`] could have been called.
pub struct Registration<M: Machine> {
    shared: Arc<Shared<M>>,
    id: ProviderId,
    registered: bool,
}

impl<M: Machine> Registration<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, id: ProviderId) -> Self {
        Self {
            shared,
            id,
            registered: true,
        }
    }

    /// Who it is to the clients.
    pub fn id(&self) -> ProviderId {
        self.id
    }

    /// The provider's channels can be had, maybe already before this returns (NETDMA-013). Each start may bring other
    /// attributes. Nothing is told to the caller: attributes that make no sense are reported, and leave the provider
    /// as it was (NETDMA-023).
    #[doc(alias = "NetDmaProviderStart")]
    pub fn start(&self, passive: &Passive, attributes: Attributes) -> Option<Misuse> {
        let (name, shared) = ("NetDmaProviderStart", &self.shared);
        let sensible = shared.book(|book| {
            book.entry(self.id)
                .is_some_and(|entry| check::attributes(entry.characteristics(), &attributes))
        });
        if !sensible {
            return shared.refuse(name, Rule("NETDMA-023"), NtStatus::INVALID_PARAMETER);
        }
        let started = shared.book(|book| {
            let entry = book.entry(self.id)?;
            if !entry.step(&shared.machine, Change::Start) {
                return None;
            }
            entry.begin(attributes);
            book.say(self.id, NotificationCode::ProviderArrival);
            Some(())
        });
        if started.is_none() {
            return self.out_of_turn(name, Rule("NETDMA-014"));
        }
        shared.tell(passive);
        None
    }

    /// No channel can be had any more. Those that clients have take no more work; what is outstanding on them is
    /// waited for, for a bounded time (AMB-14); and when this returns each of them has been freed (NETDMA-014). Only one
    /// whose engine does not even answer a reset is left to it, with all the memory that it may still write.
    #[doc(alias = "NetDmaProviderStop")]
    pub fn stop(&self, passive: &Passive) -> Option<Misuse> {
        let removal = Some(NotificationCode::ProviderRemoval);
        if !self.step(Change::Stop, removal) {
            return self.out_of_turn("NetDmaProviderStop", Rule("NETDMA-014"));
        }
        let shared = &self.shared;
        let channels = shared.channels(self.id);
        channels.iter().for_each(|(_, channel)| channel.pause());
        shared.tell(passive);
        shared.drain(passive, &channels);
        for (key, _) in &channels {
            shared.close(passive.into(), *key);
        }
        shared.until_quiet(passive, self.id);
        self.step(Change::Done, None);
        None
    }

    /// The provider's power goes or comes (NETDMA-113). Providers of version 1.0 cannot say so.
    ///
    /// Down: first the clients are told, then their channels take no more work, and this returns when none is
    /// outstanding. Up: each channel is started, then the clients are told.
    #[doc(alias = "NetDmaPnPEventNotify")]
    pub fn notify(&self, passive: &Passive, change: PowerChange) -> Option<Misuse> {
        let name = "NetDmaPnPEventNotify";
        let version = self
            .shared
            .book(|book| book.entry(self.id).map(|entry| entry.characteristics().version));
        if !version.is_some_and(|version| version.notifies()) {
            return self.out_of_turn(name, Rule("NETDMA-110"));
        }
        let done = match change {
            PowerChange::Down => self.power_down(passive),
            PowerChange::Up => self.power_up(passive),
        };
        if done {
            None
        } else {
            self.out_of_turn(name, Rule("NETDMA-113"))
        }
    }

    fn power_down(&self, passive: &Passive) -> bool {
        let shared = &self.shared;
        let news = Some(NotificationCode::ProviderPowerDown);
        if !self.step(Change::PowerDown, news) {
            return false;
        }
        shared.tell(passive);
        let channels = shared.channels(self.id);
        channels.iter().for_each(|(_, channel)| channel.pause());
        shared.drain(passive, &channels);
        shared.until_quiet(passive, self.id);
        self.step(Change::Done, None)
    }

    fn power_up(&self, passive: &Passive) -> bool {
        if !self.step(Change::PowerUp, None) {
            return false;
        }
        self.shared.restart(passive, self.id);
        let news = Some(NotificationCode::ProviderPowerUp);
        let done = self.step(Change::Done, news);
        self.shared.tell(passive);
        done
    }

    /// The provider goes (NETDMA-015). It must have been stopped; if it was not, it is stopped now, and that is
    /// reported.
    #[doc(alias = "NetDmaDeregisterProvider")]
    pub fn deregister(mut self, passive: &Passive) -> Option<Misuse> {
        self.leave(passive)
    }

    fn leave(&mut self, passive: &Passive) -> Option<Misuse> {
        self.registered = false;
        let shared = &self.shared;
        let phase = shared.book(|book| book.entry(self.id).map(|entry| entry.phase()));
        let early = phase.is_some_and(|phase| phase != Phase::Stopped);
        let mut misuse = None;
        if early {
            misuse = self.out_of_turn("NetDmaDeregisterProvider", Rule("NETDMA-014"));
            self.stop(passive);
        }
        // Dropped outside of the lock.
        let entry = shared.book(|book| book.remove(self.id));
        drop(entry);
        misuse
    }

    /// Asks the table, and says what comes of it.
    fn step(&self, change: Change, news: Option<NotificationCode>) -> bool {
        let shared = &self.shared;
        shared.book(|book| {
            let Some(entry) = book.entry(self.id) else {
                return false;
            };
            let stepped = entry.step(&shared.machine, change);
            if stepped && entry.phase() == Phase::Stopped {
                entry.end();
            }
            if let Some(code) = news.filter(|_| stepped) {
                book.say(self.id, code);
            }
            stepped
        })
    }

    fn out_of_turn(&self, call: &'static str, rule: Rule) -> Option<Misuse> {
        self.shared.refuse(call, rule, NtStatus::INVALID_DEVICE_STATE)
    }
}

impl<M: Machine> fmt::Debug for Registration<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(&self.id).finish()
    }
}

impl<M: Machine> Drop for Registration<M> {
    fn drop(&mut self) {
        if !self.registered {
            return;
        }
        self.out_of_turn("NetDmaDeregisterProvider", Rule("NETDMA-015"));
        if let Some(passive) = Passive::probe(&self.shared.machine) {
            self.leave(&passive);
        }
    }
}
