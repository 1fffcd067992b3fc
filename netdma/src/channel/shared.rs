//! What the users of a channel and its provider's interrupt routines share: a ring behind one lock.
//!
//! The deferred call only tries the lock. Where it fails it leaves a mark, and whoever has the lock looks again after
//! letting go. So a provider may call back while it is being called, on this CPU or another, and always gets through.

use crate::provider::{ChannelInterface, ProviderChannel};
use crate::ring::Ring;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use longshore_core::machine::{Cpu, Lock, Signal};
use longshore_core::{AtMostDispatch, Device, Dispatch, Event, Irql, Machine, Passive};
use longshore_hardware::BusAddress;

/// How many operations end under one hold of the lock.
const SHARE: usize = 32;

/// The ring of a shared channel.
pub(super) type SharedRing<M> = Ring<M, Arc<dyn ProviderChannel>>;

/// Slots whose operations have ended.
struct Ended {
    slots: [u32; SHARE],
    count: usize,
    /// Nothing was pending any more.
    all: bool,
}

pub(super) struct Shared<M: Machine> {
    pub(super) machine: M,
    /// `None` before the channel is open, and once it is dropped.
    ring: M::Lock<Option<SharedRing<M>>>,
    /// Somebody wanted to look while the lock was taken.
    look_again: AtomicBool,
    /// One for each slot, set when the operation there is over.
    signals: Box<[M::Signal]>,
    /// Set when nothing is pending any more.
    pub(super) drained: M::Signal,
    cpu: AtomicU32,
}

impl<M: Machine> Shared<M> {
    pub(super) fn new(passive: &Passive, machine: &M, entries: u32) -> Self {
        let signals = (0..entries).map(|_| machine.signal(passive, "NetDMA operation"));
        Self {
            machine: machine.clone(),
            ring: machine.lock("NetDMA ring", Irql::DISPATCH, None),
            look_again: AtomicBool::new(false),
            signals: signals.collect(),
            drained: machine.signal(passive, "NetDMA channel drained"),
            cpu: AtomicU32::new(machine.cpu().0),
        }
    }

    /// The channel is open, and its interrupts may be served.
    pub(super) fn set(&self, ring: SharedRing<M>) {
        self.cpu.store(ring.cpu().0, Ordering::Relaxed);
        self.ring.with(|place| *place = Some(ring));
    }

    /// Takes the ring away. Whoever looks from now on finds nothing.
    pub(super) fn take(&self) -> Option<SharedRing<M>> {
        self.ring.with(Option::take)
    }

    /// Uses the ring, alone.
    pub(super) fn with<R>(
        &self,
        level: AtMostDispatch<'_>,
        section: impl FnOnce(&mut SharedRing<M>) -> R,
    ) -> Option<R> {
        let result = self.ring.with(|ring| ring.as_mut().map(section));
        self.look_if_marked(level);
        result
    }

    /// The same for what calls nobody. It may be asked at any level at which the lock may be taken.
    pub(super) fn peek<R>(&self, section: impl FnOnce(&mut SharedRing<M>) -> R) -> Option<R> {
        let level = AtMostDispatch::now(&self.machine)?;
        self.with(level, section)
    }

    /// Ends what is done. Returns how many operations ended.
    pub(super) fn look(&self, level: AtMostDispatch<'_>) -> u64 {
        let mut total = 0;
        loop {
            let Some(ended) = self.with(level, |ring| share(ring, level)) else {
                return total;
            };
            total += self.announce(&ended);
            if ended.count < SHARE {
                return total;
            }
        }
    }

    /// The same, without waiting for the lock. Whoever has it looks again.
    fn try_look(&self, level: AtMostDispatch<'_>) {
        loop {
            let mut tried = self.try_share(level);
            if tried.is_none() {
                self.look_again.store(true, Ordering::Relaxed);
                // Either this try finds the lock free, or whoever has it finds the mark after letting go.
                fence(Ordering::SeqCst);
                tried = self.try_share(level);
            }
            match tried {
                Some(ended) => {
                    self.announce(&ended);
                    if ended.count < SHARE && !self.take_mark() {
                        return;
                    }
                }
                None => return,
            }
        }
    }

    fn try_share(&self, level: AtMostDispatch<'_>) -> Option<Ended> {
        self.ring
            .try_with(|ring| ring.as_mut().map_or(Ended::NONE, |ring| share(ring, level)))
    }

    fn look_if_marked(&self, level: AtMostDispatch<'_>) {
        if self.take_mark() {
            self.try_look(level);
        }
    }

    fn take_mark(&self) -> bool {
        fence(Ordering::SeqCst);
        self.look_again.load(Ordering::Relaxed) && self.look_again.swap(false, Ordering::Relaxed)
    }

    /// Wakes whoever waits for what has ended, outside the lock.
    fn announce(&self, ended: &Ended) -> u64 {
        for &slot in &ended.slots[..ended.count] {
            self.signals[slot as usize].set();
        }
        if ended.all && ended.count > 0 {
            self.drained.set();
        }
        ended.count as u64
    }

    /// The signal of a slot.
    pub(super) fn signal(&self, slot: u32) -> Option<&M::Signal> {
        self.signals.get(slot as usize)
    }
}

impl Ended {
    const NONE: Self = Self {
        slots: [0; SHARE],
        count: 0,
        all: false,
    };
}

/// Ends some of what is done.
fn share<M: Machine>(ring: &mut SharedRing<M>, level: AtMostDispatch<'_>) -> Ended {
    ring.look(level);
    let mut ended = Ended::NONE;
    while ended.count < SHARE {
        let next = ring.next_ended();
        let Some(slot) = next.or_else(|| ring.work(level).then(|| ring.next_ended()).flatten()) else {
            break;
        };
        ended.slots[ended.count] = slot;
        ended.count += 1;
    }
    ended.all = ring.pending() == 0;
    ended
}

impl<M: Machine> ChannelInterface for Shared<M> {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(self.cpu.load(Ordering::Relaxed))
    }

    // The address is not used: by now it may be a lap old, and name a descriptor that is pending again. The word
    // says at least as much, and says whether the engine has stopped; a late report of an error that a start has
    // cleared since therefore harms nobody.
    fn interrupt_dpc(&self, dispatch: &Dispatch, last: BusAddress) {
        self.try_look(dispatch.into());
        if last.is_null() {
            self.machine.emit(Event::Note("the provider reports an error"));
        }
    }
}
