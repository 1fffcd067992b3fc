//! The machine's memory, with an owner for every byte.

use longshore_core::event::{Owner, Rule};
use longshore_hardware::{BusAddress, BusRange, MemoryError};
use std::cell::RefCell;

/// Granularity in which a used arena is wiped for its next run.
const PAGE: u64 = 4096;

/// Guard bytes after every allocation; nobody owns them.
const GUARD: u64 = 64;

/// Where memory begins that 24 address bits do not reach.
pub const HIGH: BusAddress = BusAddress::new(1 << 24);

/// Where memory begins that 32 address bits do not reach.
pub const FAR: BusAddress = BusAddress::new(1 << 32);

/// From which side an access comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Software.
    Cpu,
    /// A device or engine.
    Device,
}

/// A byte that was touched by the wrong party.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trespass {
    pub(crate) at: BusAddress,
    pub(crate) owner: Owner,
    /// The rule under which the byte was handed over, if it was.
    pub(crate) rule: Option<Rule>,
}

/// A range that was given back, but is not allocated as a whole.
pub(crate) struct NotAllocated;

/// A stretch of addresses with memory behind them.
#[derive(Clone, Copy)]
struct Bank {
    start: u64,
    len: u64,
    /// Where its bytes are in the buffers.
    place: u64,
}

impl Bank {
    /// Where `range` is in the buffers, if it lies in this bank.
    fn find(self, range: BusRange) -> Option<std::ops::Range<usize>> {
        let inside = range.start().raw().checked_sub(self.start)?;
        let fits = range.len() <= self.len.checked_sub(inside)?;
        let place = (self.place + inside) as usize;
        fits.then(|| place..place + range.len() as usize)
    }
}

struct Buffers {
    bytes: Vec<u8>,
    owners: Vec<u8>,
    dirty: Vec<bool>,
}

thread_local! {
    /// Wiped buffers of finished runs. A run takes microseconds; getting fresh pages from the kernel would not.
    static POOL: RefCell<Vec<Buffers>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct Arena {
    buffers: Buffers,
    /// The banks, lowest first. There is nothing between them.
    banks: [Bank; 3],
    /// Allocated ranges, in the order of their addresses.
    allocated: Vec<BusRange>,
    /// Ranges that were handed to a device, newest last, for naming the rule of a trespass.
    handovers: Vec<(BusRange, Owner, Rule)>,
}

impl Arena {
    /// An arena with so many bytes from address zero on, and so many at each of [`HIGH`] and [`FAR`]. A bank that
    /// would lie in the one below it is left out.
    pub(crate) fn new(low: u64, high: u64) -> Self {
        let mut place = 0;
        let banks = [(BusAddress::NULL, low), (HIGH, high), (FAR, high)].map(|(start, len)| {
            let start = start.raw();
            let len = if start == 0 || low <= start { len } else { 0 };
            let bank = Bank { start, len, place };
            place += len;
            bank
        });
        let size = place as usize;
        let pooled = POOL.with_borrow_mut(|pool| {
            let fit = pool.iter().position(|buffers| buffers.bytes.len() == size)?;
            Some(pool.swap_remove(fit))
        });
        let buffers = pooled.unwrap_or_else(|| Buffers {
            bytes: vec![0; size],
            owners: vec![Owner::Nobody as u8; size],
            dirty: vec![false; size.div_ceil(PAGE as usize)],
        });
        Self {
            buffers,
            banks,
            allocated: Vec::new(),
            handovers: Vec::new(),
        }
    }

    /// The place of a range in the buffers, or why it has none.
    #[inline]
    fn bounds(&self, at: BusAddress, len: u64) -> Result<std::ops::Range<usize>, MemoryError> {
        // Nearly every access goes to the lowest bank, which begins at zero.
        match at.raw().checked_add(len) {
            Some(end) if end <= self.banks[0].len => Ok(at.raw() as usize..end as usize),
            _ => self.bounds_above(at, len),
        }
    }

    #[cold]
    fn bounds_above(&self, at: BusAddress, len: u64) -> Result<std::ops::Range<usize>, MemoryError> {
        let range = BusRange::new(at, len).ok_or(MemoryError::OutOfRange)?;
        self.banks[1..]
            .iter()
            .find_map(|bank| bank.find(range))
            .ok_or(MemoryError::OutOfRange)
    }

    pub(crate) fn bytes(&self, at: BusAddress, len: u64) -> Result<&[u8], MemoryError> {
        Ok(&self.buffers.bytes[self.bounds(at, len)?])
    }

    pub(crate) fn write(&mut self, at: BusAddress, bytes: &[u8]) -> Result<(), MemoryError> {
        let range = self.bounds(at, bytes.len() as u64)?;
        self.mark_dirty(&range);
        self.buffers.bytes[range].copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn copy(&mut self, to: BusAddress, from: BusAddress, len: u64) -> Result<(), MemoryError> {
        let source = self.bounds(from, len)?;
        let target = self.bounds(to, len)?;
        self.mark_dirty(&target);
        self.buffers.bytes.copy_within(source, target.start);
        Ok(())
    }

    pub(crate) fn load(&self, at: BusAddress) -> Result<u64, MemoryError> {
        if !at.is_aligned(8) {
            return Err(MemoryError::Misaligned);
        }
        let mut value = [0; 8];
        value.copy_from_slice(self.bytes(at, 8)?);
        Ok(u64::from_le_bytes(value))
    }

    pub(crate) fn store(&mut self, at: BusAddress, value: u64) -> Result<(), MemoryError> {
        if !at.is_aligned(8) {
            return Err(MemoryError::Misaligned);
        }
        self.write(at, &value.to_le_bytes())
    }

    fn mark_dirty(&mut self, range: &std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        let (first, last) = (range.start / PAGE as usize, (range.end - 1) / PAGE as usize);
        self.buffers.dirty[first..=last].fill(true);
    }

    /// The first byte of the range that `view` may not touch.
    pub(crate) fn trespass(&self, view: View, at: BusAddress, len: u64) -> Option<Trespass> {
        let range = self.bounds(at, len).ok()?;
        let mine = match view {
            View::Cpu => Owner::Cpu as u8,
            View::Device => Owner::Device as u8,
        };
        // Nearly every access is right and touches bytes of one owner; that is seen without a branch per byte.
        if self.buffers.owners[range.clone()]
            .iter()
            .fold(0, |other, &owner| other | (owner ^ mine))
            == 0
        {
            return None;
        }
        let both = Owner::Both as u8;
        let wrong = self.buffers.owners[range.clone()]
            .iter()
            .position(|&o| o != mine && o != both)?;
        let at = BusAddress::new(at.raw() + wrong as u64);
        let owner = owner_from(self.buffers.owners[range.start + wrong]);
        let handover = self.handovers.iter().rev().find(|(range, ..)| range.contains(at));
        Some(Trespass {
            at,
            owner,
            rule: handover.map(|(.., rule)| *rule),
        })
    }

    pub(crate) fn hand_over(&mut self, range: BusRange, owner: Owner, rule: Rule) {
        if self.set_owner(range, owner).is_ok() {
            self.handovers.push((range, owner, rule));
        }
    }

    fn set_owner(&mut self, range: BusRange, owner: Owner) -> Result<(), MemoryError> {
        let range = self.bounds(range.start(), range.len())?;
        self.mark_dirty(&range);
        self.buffers.owners[range].fill(owner as u8);
        Ok(())
    }

    /// Reserves bytes between `above` and `below`, in the lowest bank that is not below `above`.
    pub(crate) fn allocate(
        &mut self,
        len: u64,
        align: u64,
        above: BusAddress,
        below: BusAddress,
    ) -> Result<BusAddress, MemoryError> {
        if !align.is_power_of_two() {
            return Err(MemoryError::Misaligned);
        }
        let above = above.raw();
        let bank = self
            .banks
            .iter()
            .find(|bank| above < bank.start + bank.len)
            .ok_or(MemoryError::Exhausted)?;
        let limit = below.raw().min(bank.start + bank.len);
        // Address zero means "none" in the contracts.
        let mut start = above.max(bank.start).max(PAGE);
        let mut index = self
            .allocated
            .partition_point(|range| range.end().raw().saturating_add(GUARD) <= start);
        loop {
            start = start
                .checked_next_multiple_of(align)
                .ok_or(MemoryError::Exhausted)?;
            let end = start.checked_add(len).ok_or(MemoryError::Exhausted)?;
            if end > limit {
                return Err(MemoryError::Exhausted);
            }
            match self.allocated.get(index) {
                Some(next) if next.start().raw() < end.saturating_add(GUARD) => {
                    start = next.end().raw().saturating_add(GUARD);
                    index += 1;
                }
                _ => break,
            }
        }
        let range = BusRange::new(BusAddress::new(start), len).ok_or(MemoryError::Exhausted)?;
        self.set_owner(range, Owner::Cpu)?;
        self.allocated.insert(index, range);
        Ok(range.start())
    }

    /// Gives a range back. Returns the first byte that a device still owned; an error if nobody has the range.
    pub(crate) fn free(&mut self, range: BusRange) -> Result<Option<Trespass>, NotAllocated> {
        let index = self
            .allocated
            .iter()
            .position(|allocated| *allocated == range)
            .ok_or(NotAllocated)?;
        let still = self.trespass(View::Cpu, range.start(), range.len());
        self.allocated.remove(index);
        let _ = self.set_owner(range, Owner::Nobody);
        Ok(still)
    }

    /// What was never given back.
    pub(crate) fn outstanding(&self) -> &[BusRange] {
        &self.allocated
    }
}

fn owner_from(raw: u8) -> Owner {
    [Owner::Nobody, Owner::Cpu, Owner::Device, Owner::Both][usize::from(raw & 3)]
}

impl Drop for Arena {
    fn drop(&mut self) {
        let empty = Buffers {
            bytes: Vec::new(),
            owners: Vec::new(),
            dirty: Vec::new(),
        };
        let mut buffers = std::mem::replace(&mut self.buffers, empty);
        for (page, dirty) in buffers.dirty.iter_mut().enumerate().filter(|(_, dirty)| **dirty) {
            let start = page * PAGE as usize;
            let end = (start + PAGE as usize).min(buffers.bytes.len());
            buffers.bytes[start..end].fill(0);
            buffers.owners[start..end].fill(Owner::Nobody as u8);
            *dirty = false;
        }
        // A thread that is ending has no pool any more; then the memory simply goes.
        let _ = POOL.try_with(|pool| pool.borrow_mut().push(buffers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYWHERE: BusAddress = BusAddress::new(u64::MAX);

    fn small() -> Arena {
        Arena::new(64 * 1024, 2 * PAGE)
    }

    #[test]
    fn a_wiped_arena_is_clean_again() {
        let mut arena = small();
        let at = arena.allocate(100, 64, BusAddress::NULL, EVERYWHERE).unwrap();
        arena.write(at, &[7; 100]).unwrap();
        drop(arena);
        let arena = small();
        assert_eq!(arena.bytes(at, 100).unwrap(), &[0; 100]);
        assert!(arena.trespass(View::Cpu, at, 1).is_some());
    }

    #[test]
    fn neighbours_have_guard_bytes_between_them() {
        let mut arena = small();
        let first = arena.allocate(10, 8, BusAddress::NULL, EVERYWHERE).unwrap();
        let second = arena.allocate(10, 8, BusAddress::NULL, EVERYWHERE).unwrap();
        assert!(second.raw() >= first.raw() + 10 + GUARD);
        assert!(arena.trespass(View::Cpu, first, 11).is_some());
        assert!(arena.trespass(View::Cpu, first, 10).is_none());
    }

    #[test]
    fn a_short_reach_is_kept() {
        let mut arena = small();
        let below = BusAddress::new(2 * PAGE);
        assert!(arena.allocate(PAGE, 1, BusAddress::NULL, below).is_ok());
        assert_eq!(
            arena.allocate(1, 1, BusAddress::NULL, below),
            Err(MemoryError::Exhausted)
        );
        assert!(arena.allocate(1, 1, BusAddress::NULL, EVERYWHERE).is_ok());
    }

    #[test]
    fn an_access_that_wraps_is_out_of_range() {
        let arena = small();
        assert_eq!(
            arena.bytes(BusAddress::new(u64::MAX), 2).err(),
            Some(MemoryError::OutOfRange)
        );
        assert_eq!(
            arena.load(BusAddress::new(4097)).err(),
            Some(MemoryError::Misaligned)
        );
    }

    #[test]
    fn there_is_memory_beyond_a_short_reach_and_nothing_between() {
        let mut arena = small();
        for bank in [HIGH, FAR] {
            let first = arena.allocate(8, 8, bank, EVERYWHERE).unwrap();
            let second = arena.allocate(8, 8, bank, EVERYWHERE).unwrap();
            assert_eq!((first, second), (bank, BusAddress::new(bank.raw() + 8 + GUARD)));
            arena.write(second, &[7; 8]).unwrap();
            assert_eq!(arena.load(second), Ok(0x0707_0707_0707_0707));
            let past = arena.trespass(View::Cpu, second, 9).unwrap();
            assert_eq!(past.at.raw(), second.raw() + 8);
            let end = BusAddress::new(bank.raw() + 2 * PAGE);
            assert_eq!(arena.load(end), Err(MemoryError::OutOfRange));
            let across = BusAddress::new(end.raw() - 4);
            assert_eq!(arena.bytes(across, 8).err(), Some(MemoryError::OutOfRange));
        }
        let low = arena.allocate(8, 8, BusAddress::NULL, EVERYWHERE).unwrap();
        assert_eq!(low.raw(), PAGE);
        assert_eq!(
            arena.load(BusAddress::new(64 * 1024)),
            Err(MemoryError::OutOfRange)
        );
        assert!(arena.allocate(8, 8, HIGH, FAR).is_ok());
        assert_eq!(arena.allocate(8, 8, HIGH, HIGH), Err(MemoryError::Exhausted));
        drop(arena);
        assert_eq!(small().load(HIGH), Ok(0));
    }
}
