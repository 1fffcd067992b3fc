//! Bytes that several threads reach at the same time.
//!
//! Rust's references promise that nobody else writes, so none may ever point into an arena. This module, alone in the
//! crate, works with raw pointers; it stands on four invariants, each with a test beside it:
//!
//! 1. every access lies inside the allocation, also where a sum would wrap (`Arena::inside`);
//! 2. 64-bit accesses are aligned, because the first byte is and their offset is checked;
//! 3. arena bytes are only touched by atomic accesses, or by instructions that amount to them (`transfer`), so a race
//!    between threads is never a data race in the sense of the language;
//! 4. the allocation lives as long as the arena and is freed once.
#![allow(unsafe_code)] // Memory that a device may write at any time cannot be expressed with references.

mod transfer;
mod windows;

pub use windows::Lending;
pub(crate) use windows::{Side, Windows};

use longshore_hardware::{BusAddress, MemoryError};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the first byte lies: on a page, as the memory of a real machine does, so that alignment on the bus is
/// alignment in the process.
const PAGE: usize = 4096;

/// One run of bytes. A bus address is an offset in it.
pub(crate) struct Arena {
    first: NonNull<u8>,
    size: usize,
    allocation: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the arena owns its allocation, and nothing in it is bound to a thread.
unsafe impl Send for Arena {}
// SAFETY: all access through a shared arena is atomic or amounts to it (invariant 3); the fields never change.
unsafe impl Sync for Arena {}

impl Arena {
    /// So many bytes, all zero, or nothing if the system does not have them.
    pub(crate) fn new(size: usize) -> Option<Self> {
        // More room instead of a strict layout: the allocator can then ask the system for pages that are zero
        // already, and none is touched before it is used.
        let layout = Layout::from_size_align(size.checked_add(PAGE)?, align_of::<u64>()).ok()?;
        // SAFETY: the layout has at least a page of bytes, so it is not empty.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let offset = allocation.align_offset(PAGE);
        if offset > PAGE {
            // Never on the systems this runs on; better less memory than a wrong address.
            // SAFETY: just allocated with this layout, and not used any more.
            unsafe { dealloc(allocation.as_ptr(), layout) };
            return None;
        }
        Some(Self {
            // SAFETY: the offset is at most a page, and the allocation is a page longer than `size`.
            first: unsafe { allocation.add(offset) },
            size,
            allocation,
            layout,
        })
    }

    /// How many bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    #[inline]
    pub(crate) fn read(&self, from: BusAddress, into: &mut [u8]) -> Result<(), MemoryError> {
        let from = self.inside(from, into.len() as u64)?;
        // SAFETY: `inside` checked the source; the target is the caller's alone and no part of the arena.
        unsafe { transfer::out(into.as_mut_ptr(), from, into.len()) };
        Ok(())
    }

    #[inline]
    pub(crate) fn write(&self, to: BusAddress, bytes: &[u8]) -> Result<(), MemoryError> {
        let to = self.inside(to, bytes.len() as u64)?;
        // SAFETY: `inside` checked the target; the source is not written by anybody and no part of the arena.
        unsafe { transfer::into(to, bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    #[inline]
    pub(crate) fn copy(&self, to: BusAddress, from: BusAddress, len: u64) -> Result<(), MemoryError> {
        let to = self.inside(to, len)?;
        let from = self.inside(from, len)?;
        // SAFETY: `inside` checked both, so that `len` also fits the address space of the process.
        unsafe { transfer::within(to, from, len as usize) };
        Ok(())
    }

    /// Where a side of a copy lies, if it lies here.
    #[inline]
    pub(crate) fn side(&self, at: BusAddress, len: u64) -> Side {
        match self.inside(at, len) {
            Ok(first) => Side::Arena(first),
            Err(_) => Side::Elsewhere(at),
        }
    }

    /// Copies where a side may lie in a window.
    #[cold]
    pub(crate) fn copy_lent(
        &self,
        windows: &Windows,
        to: BusAddress,
        from: BusAddress,
        len: u64,
    ) -> Result<(), MemoryError> {
        // SAFETY: a side that is found in the arena is valid for so many bytes as long as the arena lives.
        unsafe { windows.copy(self.side(to, len), self.side(from, len), len) }
    }

    #[inline]
    pub(crate) fn load_u64(&self, at: BusAddress) -> Result<u64, MemoryError> {
        let word = self.word(at)?;
        // SAFETY: `word` checked bounds and alignment; the arena outlives the reference, which allows others to write.
        Ok(unsafe { AtomicU64::from_ptr(word) }.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn store_u64(&self, at: BusAddress, value: u64) -> Result<(), MemoryError> {
        let word = self.word(at)?;
        // SAFETY: as in `load_u64`.
        unsafe { AtomicU64::from_ptr(word) }.store(value, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn word(&self, at: BusAddress) -> Result<*mut u64, MemoryError> {
        if !at.is_aligned(8) {
            return Err(MemoryError::Misaligned);
        }
        Ok(self.inside(at, 8)?.cast())
    }

    /// The one check of bounds: where the `len` bytes from `at` on lie, if all of them are in the arena. No bytes may
    /// also lie just behind the last one.
    #[inline]
    fn inside(&self, at: BusAddress, len: u64) -> Result<*mut u8, MemoryError> {
        match at.raw().checked_add(len) {
            // SAFETY: `at` is at most the end, which is at most `size`, so the sum stays in the allocation.
            Some(end) if end <= self.size as u64 => Ok(unsafe { self.first.as_ptr().add(at.raw() as usize) }),
            _ => Err(MemoryError::OutOfRange),
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, freed only here; no access outlives the borrow it was made by.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const SIZE: usize = 2 * PAGE;
    const END: BusAddress = BusAddress::new(SIZE as u64);

    fn at(raw: u64) -> BusAddress {
        BusAddress::new(raw)
    }

    #[test]
    fn nothing_outside_is_reached() {
        let arena = Arena::new(SIZE).unwrap();
        let outside = Err(MemoryError::OutOfRange);
        let last = at(SIZE as u64 - 1);
        assert_eq!(arena.write(last, &[7]), Ok(()));
        assert_eq!(arena.write(last, &[7, 8]), outside);
        assert_eq!(arena.write(END, &[7]), outside);
        assert_eq!(arena.read(last, &mut [0; 2]), outside);
        assert_eq!(arena.copy(last, at(0), 2), outside);
        assert_eq!(arena.copy(at(0), last, 2), outside);
        assert_eq!(arena.copy(at(0), at(0), u64::MAX), outside);
        assert_eq!(arena.load_u64(END), Err(MemoryError::OutOfRange));
        assert_eq!(arena.store_u64(END, 1), outside);
    }

    #[test]
    fn a_sum_that_wraps_is_outside() {
        let arena = Arena::new(SIZE).unwrap();
        let outside = Err(MemoryError::OutOfRange);
        for raw in [u64::MAX, u64::MAX - 7, 1 << 63, u64::MAX - SIZE as u64] {
            assert_eq!(arena.read(at(raw), &mut [0; 16]), outside);
            assert_eq!(arena.write(at(raw), &[0; 16]), outside);
            assert_eq!(arena.copy(at(0), at(raw), 16), outside);
            assert_eq!(arena.copy(at(raw), at(0), 16), outside);
        }
        assert_eq!(arena.load_u64(at(u64::MAX - 7)), Err(MemoryError::OutOfRange));
    }

    #[test]
    fn no_bytes_fit_anywhere_up_to_the_end() {
        let arena = Arena::new(SIZE).unwrap();
        assert_eq!(arena.read(END, &mut []), Ok(()));
        assert_eq!(arena.write(at(5), &[]), Ok(()));
        assert_eq!(arena.copy(END, at(0), 0), Ok(()));
        assert_eq!(
            arena.copy(at(SIZE as u64 + 1), at(0), 0),
            Err(MemoryError::OutOfRange)
        );
        assert_eq!(arena.read(at(u64::MAX), &mut []), Err(MemoryError::OutOfRange));
    }

    #[test]
    fn words_must_be_aligned_and_the_first_byte_is() {
        let arena = Arena::new(SIZE).unwrap();
        assert_eq!(arena.first.as_ptr() as usize % PAGE, 0);
        for raw in 1..8 {
            assert_eq!(arena.load_u64(at(raw)), Err(MemoryError::Misaligned));
            assert_eq!(arena.store_u64(at(raw), 1), Err(MemoryError::Misaligned));
        }
        assert_eq!(arena.store_u64(at(8), 0x0102_0304_0506_0708), Ok(()));
        let mut bytes = [0; 8];
        assert_eq!(arena.read(at(8), &mut bytes), Ok(()));
        assert_eq!(u64::from_ne_bytes(bytes), 0x0102_0304_0506_0708);
        assert_eq!(arena.load_u64(at(8)), Ok(0x0102_0304_0506_0708));
    }

    #[test]
    fn all_bytes_are_zero_at_first_and_too_many_are_refused() {
        let arena = Arena::new(SIZE).unwrap();
        let mut bytes = [1; SIZE];
        arena.read(at(0), &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0));
        assert!(Arena::new(usize::MAX).is_none());
        assert!(Arena::new(isize::MAX as usize).is_none());
    }

    #[test]
    fn who_sees_a_stored_word_sees_the_bytes_before_it() {
        let arena = Arena::new(SIZE).unwrap();
        let (data, word) = (at(64), at(8));
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=2000u64 {
                    arena.write(data, &[round as u8; 100]).unwrap();
                    arena.store_u64(word, round).unwrap();
                    while arena.load_u64(word) != Ok(0) {
                        crate::processor::relax();
                    }
                }
            });
            for round in 1..=2000u64 {
                while arena.load_u64(word) != Ok(round) {
                    crate::processor::relax();
                }
                let mut bytes = [0; 100];
                arena.read(data, &mut bytes).unwrap();
                assert_eq!(bytes, [round as u8; 100]);
                arena.store_u64(word, 0).unwrap();
            }
        });
    }
}
