//! NetDMA's side of a channel: what a provider's interrupt routines reach.

use crate::provider::ChannelInterface;
use crate::ring::{Ring, Settled};
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};
use longshore_core::machine::{Cpu, Lock, Signal};
use longshore_core::{Device, Dispatch, Event, Machine};
use longshore_hardware::netdma::CompletionWord;
use longshore_hardware::{BusAddress, DmaMemory};

/// What the interrupt routines and the channel's owner share. The provider is not reachable from here: no
/// interrupt routine ever calls it.
pub(crate) struct Interface<M: Machine> {
    pub(crate) machine: M,
    pub(crate) memory: M::Memory,
    /// Where the completion word stands.
    pub(crate) word: BusAddress,
    ring: M::Lock<Ring<M>>,
    /// One for each entry, set when the operation there is over.
    signals: Box<[M::Signal]>,
    cpu: AtomicU32,
}

impl<M: Machine> Interface<M> {
    pub(crate) fn new(
        machine: &M,
        word: BusAddress,
        ring: M::Lock<Ring<M>>,
        signals: Box<[M::Signal]>,
    ) -> Self {
        Self {
            machine: machine.clone(),
            memory: machine.memory(),
            word,
            ring,
            signals,
            cpu: AtomicU32::new(machine.cpu().0),
        }
    }

    /// Where the deferred call is to run.
    pub(crate) fn set_cpu(&self, cpu: Cpu) {
        self.cpu.store(cpu.0, Ordering::Relaxed);
    }

    /// Looks at or changes the operations.
    pub(crate) fn ring<R>(&self, section: impl FnOnce(&mut Ring<M>) -> R) -> R {
        self.ring.with(section)
    }

    /// The word, in one load. It must be read within the ring's lock: read before, it could be a lap old by the
    /// time it is used, and then name an operation that is not done.
    pub(crate) fn load_word(&self) -> CompletionWord {
        // Memory that cannot be read says nothing.
        CompletionWord::from_raw(self.memory.load_u64(self.word).unwrap_or(0))
    }

    /// Ends what is done. Returns how many operations ended.
    pub(crate) fn drain(&self) -> u64 {
        let settled = self.ring(|ring| match ring.pending() {
            0 => Settled { from: 0, to: 0 },
            _ => ring.drain(self.load_word()),
        });
        self.announce(settled)
    }

    /// Wakes whoever waits for what has ended, outside every lock.
    pub(crate) fn announce(&self, settled: Settled) -> u64 {
        let entries = self.signals.len() as u64;
        for place in settled.from..settled.to {
            self.signals[(place % entries) as usize].set();
        }
        settled.to - settled.from
    }

    /// The signal of an entry.
    pub(crate) fn signal(&self, slot: u32) -> Option<&M::Signal> {
        self.signals.get(slot as usize)
    }
}

impl<M: Machine> ChannelInterface for Interface<M> {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(self.cpu.load(Ordering::Relaxed))
    }

    // The address is not used: by now it may be a lap old, and name a descriptor that is pending again. The word
    // says at least as much, and says whether the engine has stopped; a late report of an error that a start has
    // cleared since therefore harms nobody.
    fn interrupt_dpc(&self, _: &Dispatch, last: BusAddress) {
        self.drain();
        if last.is_null() && self.ring(|ring| ring.running()) {
            self.machine.emit(Event::Note(
                "an error was reported, but the word does not say Halted",
            ));
        }
    }
}
