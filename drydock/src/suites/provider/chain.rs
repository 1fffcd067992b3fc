//! Descriptors and their data: how they are written, and who has them.

use super::berth::Berth;
use super::expect::Expect;
use super::slots::pattern;
use longshore_core::Rule;
use longshore_core::event::{Event, Owner};
use longshore_core::machine::Machine as _;
use longshore_hardware::netdma::{ControlFlags, Descriptor, offset};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use std::ops::Range;
use std::sync::PoisonError;

/// Who touches what an engine has breaks this.
pub(super) const OWNED: Rule = Rule("NETDMA-079");

impl Berth {
    pub(super) fn descriptor(&self, slot: usize) -> BusRange {
        self.slots.descriptor(slot)
    }

    /// The completion word.
    pub(super) fn word_range(&self) -> BusRange {
        BusRange::new(self.word, 8).unwrap_or(BusRange::EMPTY)
    }

    /// Memory of the scenario's own, until the channel is closed.
    pub(super) fn lease(&self, len: u64, align: u64) -> BusAddress {
        let lease = Lease::new(self.machine.memory(), len, align);
        let leased = lease.map(|lease| (lease.address(), lease));
        match leased {
            Ok((address, lease)) => {
                self.leases
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(lease);
                address
            }
            Err(_) => BusAddress::NULL,
        }
    }

    /// The descriptors of `slots`, linked as the provider's version wants it.
    pub(super) fn plain(&self, slots: Range<usize>, control: impl Fn(usize) -> ControlFlags) -> Vec<Expect> {
        let last = slots.end - 1;
        let expect = |slot| {
            let mut content = self.slots.content(slot, self.counted() || slot < last);
            content.control = control(slot);
            Expect::new(self.descriptor(slot), content)
        };
        slots.map(expect).collect()
    }

    /// Writes these descriptors and their data, and hands them over as one submission.
    pub(super) fn submit(&self, chain: Vec<Expect>) {
        let last = chain.len() - 1;
        // One may read what another reads or writes, so all are written before any is handed over.
        chain.iter().for_each(|expect| self.write_sources(expect));
        for (index, mut expect) in chain.into_iter().enumerate() {
            self.give(&expect);
            expect.tail = index == last;
            self.watch.lock().chain.push(expect);
        }
    }

    /// Writes what a descriptor reads.
    pub(super) fn write_sources(&self, expect: &Expect) {
        for part in &expect.parts {
            let _ = self.memory.write(part.from.start(), &pattern(part.from));
        }
    }

    /// Writes a descriptor, and hands it over together with its data.
    pub(super) fn give(&self, expect: &Expect) {
        self.write_descriptor(expect.descriptor, &expect.content);
        for part in expect.parts.iter().chain(&expect.kept) {
            self.hand_over(part.from, Owner::Device);
            self.hand_over(part.to, Owner::Device);
        }
    }

    /// Writes a descriptor and hands it over.
    pub(super) fn write_descriptor(&self, descriptor: BusRange, content: &Descriptor) {
        let _ = self.memory.write(descriptor.start(), &content.emit());
        self.hand_over(descriptor, Owner::Device);
        if !self.counted()
            && let Some(next) = descriptor.slice(offset::NEXT, 8)
        {
            // In 1.x the tail's link is written while the engine may read it (RACE-1).
            self.hand_over(next, Owner::Both);
        }
    }

    /// Writes the descriptors of `slots`, linked as the provider's version wants it, and hands them over.
    pub(super) fn prepare(&self, slots: Range<usize>, control: impl Fn(usize) -> ControlFlags) {
        self.submit(self.plain(slots, control));
    }

    pub(super) fn hand_over(&self, range: BusRange, owner: Owner) {
        self.machine.emit(Event::Handover(range, owner, OWNED));
    }

    /// Links a slot's descriptor on, in one access: the engine may be reading it.
    pub(super) fn link(&self, slot: usize, next: BusAddress) {
        let descriptor = self.descriptor(slot);
        if let Some(link) = descriptor.slice(offset::NEXT, 8) {
            let _ = self.memory.store_u64(link.start(), next.raw());
        }
        let mut watch = self.watch.lock();
        if let Some(index) = watch.index_of(descriptor.start()) {
            watch.chain[index].content.next = next;
        }
    }

    /// Takes all data and descriptors back.
    pub(super) fn take_back(&self) {
        let chain = self.watch.lock().chain.clone();
        for expect in &chain {
            for part in expect.parts.iter().chain(&expect.kept) {
                self.hand_over(part.from, Owner::Cpu);
                self.hand_over(part.to, Owner::Cpu);
            }
            self.hand_over(expect.descriptor, Owner::Cpu);
        }
    }
}
