//! What one submitted descriptor should do.

use super::slots::pattern;
use crate::machine::Bytes;
use longshore_hardware::BusRange;
use longshore_hardware::netdma::{ControlFlags, DESCRIPTOR_SIZE, Descriptor, offset};

/// Bytes that go from one place to another of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) from: BusRange,
    pub(super) to: BusRange,
}

/// What one submitted descriptor should do.
#[derive(Clone, Debug)]
pub(super) struct Expect {
    /// Where it stands.
    pub(super) descriptor: BusRange,
    /// What it holds, and must still hold when it is done.
    pub(super) content: Descriptor,
    /// What it moves; nothing if it moves nothing.
    pub(super) parts: Vec<Part>,
    /// It was the last one of a submission.
    pub(super) tail: bool,
    /// It makes no sense, and the engine must say so.
    pub(super) bad: bool,
    /// It changes the context, and has a flag of its own in bit 0.
    pub(super) context: bool,
    /// It was taken out of the chain while the channel was suspended.
    pub(super) dropped: bool,
    /// What it would move, if it were not bad or had not become a NULL transfer.
    pub(super) kept: Vec<Part>,
    /// Memory that it writes although it is nobody's destination.
    pub(super) aim: BusRange,
    /// Bytes of the destination that were written.
    pub(super) written: u64,
    /// The completion word has named it.
    pub(super) reported: bool,
}

impl Expect {
    /// A descriptor that does what it says, as far as page breaks are not in it.
    pub(super) fn new(descriptor: BusRange, content: Descriptor) -> Self {
        let len = u64::from(content.transfer_size);
        let range = |start| BusRange::new(start, len).unwrap_or(BusRange::EMPTY);
        let whole = Part {
            from: range(content.source),
            to: range(content.destination),
        };
        let standard = content.control.op_type() == ControlFlags::OP_TYPE_STANDARD_DMA;
        let moves = standard && len > 0 && !content.control.contains(ControlFlags::NULL_TRANSFER);
        Self {
            descriptor,
            content,
            parts: if moves { vec![whole] } else { Vec::new() },
            tail: false,
            bad: false,
            context: content.control.op_type() == ControlFlags::OP_TYPE_CONTEXT_CHANGE,
            dropped: false,
            kept: Vec::new(),
            aim: BusRange::EMPTY,
            written: 0,
            reported: false,
        }
    }

    /// The engine must refuse it with an error, or never come to it, and move nothing.
    pub(super) fn spoil(&mut self) {
        self.bad = true;
        self.kept = std::mem::take(&mut self.parts);
    }

    /// It writes memory that is not a destination like others, so nobody looks what it holds afterwards.
    pub(super) fn aimed(&mut self, at: BusRange) {
        self.aim = at;
        self.parts.clear();
    }

    /// How many bytes it moves.
    pub(super) fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.to.len()).sum()
    }

    /// Whether it has moved all of its data.
    pub(super) fn is_moved(&self) -> bool {
        !self.bad && self.written >= self.len()
    }

    /// Whether its data is in its destination.
    pub(super) fn is_there(&self, memory: &dyn Bytes) -> bool {
        let there = |part: &Part| memory.at(part.from) == memory.at(part.to);
        self.dropped || (!self.bad && self.parts.iter().all(there))
    }

    /// Whether its destination shares a byte with `range`.
    pub(super) fn writes(&self, range: BusRange) -> bool {
        self.parts.iter().any(|part| part.to.overlaps(range))
    }

    /// Whether its source shares a byte with `range`.
    pub(super) fn reads(&self, range: BusRange) -> bool {
        self.parts.iter().any(|part| part.from.overlaps(range))
    }

    /// Whether all of `range` lies in one part of its destination.
    pub(super) fn contains(&self, range: BusRange) -> bool {
        self.parts.iter().any(|part| holds(part.to, range))
    }

    /// Whether a side of it breaks at the end of a page.
    pub(super) fn is_broken(&self) -> bool {
        let breaks = ControlFlags::SOURCE_PAGE_BREAK | ControlFlags::DESTINATION_PAGE_BREAK;
        self.content.control.intersects(breaks)
    }

    pub(super) fn wants_word(&self) -> bool {
        let control = self.content.control;
        control.contains(ControlFlags::STATUS_UPDATE_ON_COMPLETION)
    }

    /// In a context change bit 0 means something else (AMB-17).
    pub(super) fn wants_interrupt(&self) -> bool {
        let control = self.content.control;
        !self.context && control.contains(ControlFlags::INTERRUPT_ON_COMPLETION)
    }

    /// What its destination holds: what it held before, its data, each byte one of both, or something else.
    pub(super) fn state(&self, now: impl Fn(BusRange) -> Vec<u8>) -> Moved {
        let mut state = Moved::default();
        for part in &self.parts {
            for (new, now) in pattern(part.from).into_iter().zip(now(part.to)) {
                state.old &= now == 0;
                state.new &= now == new;
                state.mixed &= now == 0 || now == new;
            }
        }
        state
    }

    /// Whether what it no longer moves is as it was.
    pub(super) fn has_kept(&self, now: impl Fn(BusRange) -> Vec<u8>) -> bool {
        let is_old = |part: &Part| now(part.to).iter().all(|&byte| byte == 0);
        self.kept.iter().all(is_old)
    }

    /// Whether its own bytes are as they were written. An engine of version 1.x may have used the reserved ones.
    pub(super) fn is_untouched(&self, bytes: &[u8], scratch: bool) -> bool {
        let wanted = self.content.emit();
        let own = offset::NEXT_SOURCE as usize..offset::USER_CONTEXT_1 as usize;
        let differs = |at: usize| bytes.get(at) != wanted.get(at) && !(scratch && own.contains(&at));
        !(0..DESCRIPTOR_SIZE as usize).any(differs)
    }
}

/// What a destination holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    /// Each byte is what it was.
    pub(super) old: bool,
    /// Each byte is what was to be moved there.
    pub(super) new: bool,
    /// Each byte is one of the two.
    pub(super) mixed: bool,
}

impl Default for Moved {
    fn default() -> Self {
        Self {
            old: true,
            new: true,
            mixed: true,
        }
    }
}

/// Whether all of `inner` lies in `outer`.
pub(super) fn holds(outer: BusRange, inner: BusRange) -> bool {
    outer.start() <= inner.start() && inner.end() <= outer.end()
}
