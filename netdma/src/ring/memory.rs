//! A ring's memory: descriptors, the completion word, and who they and the buffers belong to.

use super::piece::Piece;
use crate::layout::Layout;
use alloc::boxed::Box;
use core::ops::Range;
use longshore_core::{Event, Machine, Owner, Rule};
use longshore_hardware::netdma::{CompletionWord, ControlFlags, DESCRIPTOR_ALIGNMENT, DESCRIPTOR_SIZE};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease, MemoryError};

/// The completion word has a cache line of its own (NETDMA-044).
const LINE: u64 = 64;

/// Every descriptor of a chain whose place is a multiple of this asks for the completion word, beside the last one.
const TELL_EVERY: u64 = 32;

const MEMORY_RULE: Rule = Rule("NETDMA-079");
const WORD_RULE: Rule = Rule("NETDMA-081");

/// Descriptors and completion word, and what each descriptor does.
pub(super) struct RingMemory<M: Machine> {
    machine: M,
    memory: M::Memory,
    /// `None` once they are given back, or left to the engine.
    leases: Option<[Lease<M::Memory>; 2]>,
    pub(super) layout: Layout,
    pub(super) counted: bool,
    /// How the descriptors tell that are to tell.
    tell: ControlFlags,
    word: BusRange,
    /// Bytes that nobody reads, for descriptors that move nothing.
    scratch: BusRange,
    pieces: Box<[Piece]>,
    /// The place whose link the engine may read although it is done.
    open_link: Option<u64>,
}

impl<M: Machine> RingMemory<M> {
    /// Leases what a ring needs within the engine's reach. The word is zero (AMB-22).
    pub(super) fn new(
        machine: &M,
        entries: u32,
        last: BusAddress,
        counted: bool,
        interrupts: bool,
    ) -> Result<Self, MemoryError> {
        let memory = machine.memory();
        let below = last.checked_add(1).unwrap_or(last);
        let lease = |len, align| Lease::below(memory.clone(), len, align, below);
        let ring = lease(u64::from(entries) * DESCRIPTOR_SIZE, DESCRIPTOR_ALIGNMENT)?;
        let lines = lease(2 * LINE, LINE)?;
        let part = |from| lines.range().slice(from, LINE).unwrap_or(BusRange::EMPTY);
        let (word, scratch) = (part(0), part(LINE));
        memory.store_u64(word.start(), 0)?;
        machine.emit(Event::Handover(lines.range(), Owner::Both, WORD_RULE));
        let empty = Piece::null(scratch, ControlFlags::empty());
        let mut tell = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
        tell.set(ControlFlags::INTERRUPT_ON_COMPLETION, interrupts);
        Ok(Self {
            machine: machine.clone(),
            memory,
            layout: Layout::new(ring.range()),
            leases: Some([ring, lines]),
            counted,
            tell,
            word,
            scratch,
            pieces: (0..entries).map(|_| empty).collect(),
            open_link: None,
        })
    }

    /// Where the completion word stands.
    pub(super) fn word(&self) -> BusAddress {
        self.word.start()
    }

    /// The word, in one load.
    pub(super) fn load_word(&self) -> CompletionWord {
        // Memory that cannot be read says nothing.
        CompletionWord::from_raw(self.memory.load_u64(self.word()).unwrap_or(0))
    }

    /// The engine is quiet. A word of its last run would look like one of the next.
    pub(super) fn clear_word(&self) -> Result<(), MemoryError> {
        self.memory.store_u64(self.word(), 0)
    }

    /// As software reaches it.
    pub(super) fn memory(&self) -> &M::Memory {
        &self.memory
    }

    // ---- descriptors ----

    pub(super) fn piece(&self, place: u64) -> &Piece {
        &self.pieces[self.layout.entry(place)]
    }

    pub(super) fn set_piece(&mut self, place: u64, piece: Piece) {
        self.pieces[self.layout.entry(place)] = piece;
    }

    /// A descriptor that moves nothing.
    pub(super) fn null_piece(&self, control: ControlFlags) -> Piece {
        Piece::null(self.scratch, control)
    }

    /// From now on these descriptors have nothing to move. Those that the engine has are not changed by that.
    pub(super) fn empty(&mut self, places: Range<u64>) {
        for place in places {
            let emptied = self.piece(place).emptied(self.scratch);
            self.set_piece(place, emptied);
        }
    }

    /// How many of the user's bytes these descriptors move.
    pub(super) fn bytes(&self, places: Range<u64>) -> u64 {
        places.map(|place| self.piece(place).bytes()).sum()
    }

    /// Writes a chain of descriptors. The last one and a few others ask for the completion word.
    pub(super) fn write_chain(&mut self, places: Range<u64>) -> Result<(), MemoryError> {
        for place in places.clone() {
            let entry = self.layout.entry(place);
            let control = &mut self.pieces[entry].control;
            let interrupts = control.contains(ControlFlags::INTERRUPT_ON_COMPLETION);
            if place + 1 == places.end || place.is_multiple_of(TELL_EVERY) {
                *control |= self.tell;
            } else if interrupts {
                *control |= ControlFlags::STATUS_UPDATE_ON_COMPLETION;
            }
            self.write(place, places.end, *self.piece(place))?;
        }
        Ok(())
    }

    /// Rewrites descriptors of a chain that ends at `end` as ones that move nothing. The engine is held.
    pub(super) fn rewrite_empty(&self, places: Range<u64>, end: u64) -> Result<(), MemoryError> {
        for place in places {
            self.hand_over(self.layout.descriptor(place), Owner::Cpu);
            let written = self.write(place, end, self.piece(place).emptied(self.scratch));
            self.give_descriptor(place);
            written?;
        }
        Ok(())
    }

    fn write(&self, place: u64, end: u64, piece: Piece) -> Result<(), MemoryError> {
        // The last one of version 2 says where the next chain will begin (NETDMA-072).
        let next = if self.counted || place + 1 < end {
            self.layout.descriptor(place + 1).start()
        } else {
            BusAddress::NULL
        };
        let at = self.layout.descriptor(place).start();
        self.memory.write(at, &piece.descriptor(next).emit())
    }

    /// Makes a descriptor of version 1 go on at another (NETDMA-075).
    pub(super) fn link(&self, place: u64, next: BusAddress) -> Result<(), MemoryError> {
        self.memory.store_u64(self.layout.link(place).start(), next.raw())
    }

    // ---- owners ----

    fn hand_over(&self, range: BusRange, owner: Owner) {
        if !range.is_empty() {
            self.machine.emit(Event::Handover(range, owner, MEMORY_RULE));
        }
    }

    fn give_descriptor(&self, place: u64) {
        self.hand_over(self.layout.descriptor(place), Owner::Device);
        if !self.counted {
            self.hand_over(self.layout.link(place), Owner::Both);
        }
    }

    /// These descriptors and their buffers go to the engine, before the provider hears of them.
    pub(super) fn give(&self, places: Range<u64>) {
        for place in places {
            self.give_descriptor(place);
            for buffer in self.piece(place).buffers() {
                self.hand_over(buffer, Owner::Device);
            }
        }
    }

    /// The engine does not have these descriptors any more, nor their buffers.
    pub(super) fn take_back(&self, places: Range<u64>) {
        for place in places.clone() {
            self.hand_over(self.layout.descriptor(place), Owner::Cpu);
        }
        self.take_back_buffers(places);
    }

    /// The engine does not touch the buffers of these descriptors any more.
    pub(super) fn take_back_buffers(&self, places: Range<u64>) {
        for place in places {
            for buffer in self.piece(place).buffers() {
                self.hand_over(buffer, Owner::Cpu);
            }
        }
    }

    /// The engine is done with this descriptor.
    pub(super) fn retire(&mut self, place: u64) {
        self.close_link();
        // The engine may read the link again: a chain of version 1 may go on here, and whoever is held goes on from
        // here (NETDMA-091).
        self.hand_over(self.layout.before_link(place), Owner::Cpu);
        self.hand_over(self.layout.behind_link(place), Owner::Cpu);
        self.open_link = Some(place);
    }

    /// The engine reads no link of a descriptor that is done.
    pub(super) fn close_link(&mut self) {
        if let Some(place) = self.open_link.take() {
            self.hand_over(self.layout.link(place), Owner::Cpu);
        }
    }

    /// The channel is freed: the ring and the word come back.
    pub(super) fn release(&mut self) {
        self.close_link();
        if let Some([_, lines]) = self.leases.take() {
            self.machine
                .emit(Event::Handover(lines.range(), Owner::Cpu, WORD_RULE));
        }
    }

    /// The engine may still write to the ring and the word. So nobody else gets them, ever.
    pub(super) fn leave_to_engine(&mut self) {
        core::mem::forget(self.leases.take());
    }
}
