//! What moves the data.

use super::channel::Channel;
use super::cursor::{Position, Wanted};
use super::{Flaw, MAXIMUM_TRANSFER_SIZE};
use crate::machine::Memory;
use longshore_core::Machine as _;
use longshore_core::machine::Lock as _;
use longshore_hardware::netdma::{
    CompletionWord, ControlFlags, DESCRIPTOR_ALIGNMENT, DESCRIPTOR_SIZE, Descriptor, TransferStatus, offset,
};
use longshore_hardware::{BusAddress, DmaMemory, MemoryError};
use longshore_netdma::state::{Action, Input};

/// Bytes copied at a time.
const PIECE: u64 = 16;

/// Descriptors in a row, so that no chain keeps the CPU for itself.
const BUDGET: u32 = 32;

/// The page of the page-break flags.
const PAGE: u64 = 4096;

/// The engine cannot go on.
pub(super) struct Broken;

impl From<MemoryError> for Broken {
    fn from(_: MemoryError) -> Self {
        Self
    }
}

/// How a descriptor went.
enum Went {
    Done,
    Cut,
}

/// Bytes that stand in one piece on both sides.
struct Run {
    from: BusAddress,
    to: BusAddress,
    len: u64,
}

impl Channel {
    /// The engine's deferred call.
    pub(super) fn work(&self) {
        for _ in 0..BUDGET {
            let Some((position, run)) = self.cursor.with(|cursor| cursor.begin()) else {
                return;
            };
            if self.advance(position, run).is_err() {
                self.fail(position, run);
            }
            self.cursor.with(|cursor| cursor.busy = false);
        }
        self.kick();
    }

    fn advance(&self, position: Position, run: u32) -> Result<(), Broken> {
        match position {
            Position::Nowhere => Ok(()),
            Position::At(address) => self.execute(address, run),
            Position::Behind(last) => {
                let link = self.link(last)?;
                self.cursor.with(|cursor| {
                    if cursor.run != run {
                        return;
                    }
                    let next = if self.counted || !link.is_null() {
                        Position::At(link)
                    } else {
                        position
                    };
                    cursor.position = next;
                    if next == position && !cursor.appended && cursor.runs() {
                        cursor.apply(&self.machine, Input::RanDry);
                    }
                });
                Ok(())
            }
        }
    }

    pub(super) fn link(&self, descriptor: BusAddress) -> Result<BusAddress, Broken> {
        let at = descriptor.checked_add(offset::NEXT).ok_or(Broken)?;
        Ok(BusAddress::new(self.memory.load_u64(at)?))
    }

    fn execute(&self, address: BusAddress, run: u32) -> Result<(), Broken> {
        if address.is_null() || !address.is_aligned(DESCRIPTOR_ALIGNMENT) {
            return Err(Broken);
        }
        let mut bytes = [0; DESCRIPTOR_SIZE as usize];
        self.memory.read(address, &mut bytes)?;
        let descriptor = Descriptor::parse(&bytes);
        if self.flaw == Flaw::WordBeforeData && wants_word(&descriptor) {
            self.store_word(CompletionWord::new(address, TransferStatus::IDLE))?;
        }
        if let Went::Cut = self.transfer(&descriptor)? {
            return Ok(());
        }
        let mut link = descriptor.next;
        if link.is_null() && self.cursor.with(|cursor| std::mem::take(&mut cursor.appended)) {
            link = self.link(address)?;
        }
        let status = self.finished(address, run, link);
        self.tell(address, &descriptor, status)
    }

    /// Notes that a descriptor is done, and says what that makes of the channel.
    fn finished(&self, address: BusAddress, run: u32, link: BusAddress) -> TransferStatus {
        self.cursor.with(|cursor| {
            if cursor.run != run {
                // Of a chain that was replaced (RACE-7).
                return match self.flaw {
                    Flaw::OldChainIsIdle => TransferStatus::IDLE,
                    _ => TransferStatus::ACTIVE,
                };
            }
            cursor.last = address;
            cursor.count = cursor.count.saturating_sub(1);
            let counted_out = self.flaw == Flaw::CountsLinks && cursor.count == 0;
            let at_the_end = !self.counted && (link.is_null() || counted_out);
            cursor.position = if at_the_end {
                Position::Behind(address)
            } else {
                Position::At(link)
            };
            let more = if self.counted {
                cursor.count > 0
            } else {
                !at_the_end || cursor.appended
            };
            let input = if more {
                Input::DescriptorDone
            } else {
                Input::ChainEnd
            };
            match cursor.apply(&self.machine, input) {
                Action::ReportIdle => TransferStatus::IDLE,
                _ => TransferStatus::ACTIVE,
            }
        })
    }

    /// The word and the interrupt, where the descriptor asks for them.
    fn tell(
        &self,
        address: BusAddress,
        descriptor: &Descriptor,
        status: TransferStatus,
    ) -> Result<(), Broken> {
        let control = descriptor.control;
        let is_context = control.op_type() == ControlFlags::OP_TYPE_CONTEXT_CHANGE;
        let asks = control.contains(ControlFlags::INTERRUPT_ON_COMPLETION);
        let interrupts = asks && (!is_context || self.flaw == Flaw::ContextInterrupts);
        if interrupts && self.flaw == Flaw::InterruptBeforeWord {
            self.interrupt(address, false);
        }
        let silent = self.flaw == Flaw::NullIsSilent && control.contains(ControlFlags::NULL_TRANSFER);
        if wants_word(descriptor) && self.flaw != Flaw::WordBeforeData && !silent {
            self.store_word(CompletionWord::new(address, status))?;
        }
        if interrupts && self.flaw != Flaw::InterruptBeforeWord {
            self.interrupt(address, false);
        }
        Ok(())
    }

    /// Moves what the descriptor names, piece by piece.
    fn transfer(&self, descriptor: &Descriptor) -> Result<Went, Broken> {
        for run in self.runs(descriptor)? {
            for at in (0..run.len).step_by(PIECE as usize) {
                if self.lets_go() {
                    return Ok(Went::Cut);
                }
                copy(&self.memory, &run, at)?;
            }
        }
        Ok(Went::Done)
    }

    /// Whether somebody waits for the engine to cut the descriptor. Who has given up by now is not obeyed.
    fn lets_go(&self) -> bool {
        self.machine.point();
        self.flaw != Flaw::AbortFinishes && self.cursor.with(|cursor| cursor.wanted == Some(Wanted::Cut))
    }

    /// The runs of bytes that a descriptor moves.
    fn runs(&self, descriptor: &Descriptor) -> Result<Vec<Run>, Broken> {
        let control = descriptor.control;
        match control.op_type() {
            ControlFlags::OP_TYPE_STANDARD_DMA => {}
            ControlFlags::OP_TYPE_CONTEXT_CHANGE if self.counted => return Ok(Vec::new()),
            _ => return Err(Broken),
        }
        let hinted = self.flaw == Flaw::HintsAreObeyed && control.contains(ControlFlags::SOURCE_NO_SNOOP);
        if control.contains(ControlFlags::NULL_TRANSFER) || hinted {
            return Ok(Vec::new());
        }
        let mut size = u64::from(descriptor.transfer_size);
        if size > u64::from(MAXIMUM_TRANSFER_SIZE) {
            return Err(Broken);
        }
        if self.flaw == Flaw::WritesPastTheEnd {
            size += PIECE;
        }
        let broken = |flag| self.counted && control.contains(flag);
        let from_breaks = broken(ControlFlags::SOURCE_PAGE_BREAK).then_some(descriptor.next_source);
        let to_breaks = broken(ControlFlags::DESTINATION_PAGE_BREAK).then_some(descriptor.next_destination);
        let mut runs = Vec::new();
        let mut at = 0;
        while at < size {
            let (from, from_room) = place(descriptor.source, from_breaks, at)?;
            let (to, to_room) = place(descriptor.destination, to_breaks, at)?;
            let len = (size - at).min(from_room).min(to_room);
            let past = self.flaw == Flaw::WritesPastThePage && to_breaks.is_some() && len == to_room;
            let extra = u64::from(past);
            runs.push(Run {
                from,
                to,
                len: len + extra,
            });
            at += len;
        }
        Ok(runs)
    }

    /// The engine cannot go on: Halted with the last good descriptor, and an interrupt.
    fn fail(&self, position: Position, run: u32) {
        let last = self.cursor.with(|cursor| {
            if cursor.run != run || cursor.apply(&self.machine, Input::Error) != Action::ReportError {
                return None;
            }
            cursor.cut();
            Some(cursor.last)
        });
        let Some(last) = last else { return };
        let named = match position {
            Position::At(bad) if self.flaw == Flaw::HaltedNamesTheBad => bad,
            _ => last,
        };
        // Where even this word cannot be written, the interrupt alone has to do.
        let _ = self.store_word(CompletionWord::new(named, TransferStatus::HALTED));
        self.interrupt(last, true);
    }
}

/// Where the byte `at` of one side stands, and how many follow it there.
fn place(start: BusAddress, second: Option<BusAddress>, at: u64) -> Result<(BusAddress, u64), Broken> {
    let room = PAGE - start.raw() % PAGE;
    match second {
        Some(second) if at >= room => {
            let wrong = !second.is_aligned(PAGE) || at - room >= PAGE;
            let place = second.checked_add(at - room).filter(|_| !wrong);
            Ok((place.ok_or(Broken)?, room + PAGE - at))
        }
        Some(_) => Ok((start.checked_add(at).ok_or(Broken)?, room - at)),
        None => Ok((start.checked_add(at).ok_or(Broken)?, u64::MAX)),
    }
}

fn copy(memory: &Memory, run: &Run, at: u64) -> Result<(), Broken> {
    let from = run.from.checked_add(at).ok_or(Broken)?;
    let to = run.to.checked_add(at).ok_or(Broken)?;
    Ok(memory.copy(to, from, PIECE.min(run.len - at))?)
}

fn wants_word(descriptor: &Descriptor) -> bool {
    let flag = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
    descriptor.control.contains(flag)
}
