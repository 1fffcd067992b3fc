//! Memory that is not the machine's, lent to it for a while.
//!
//! A lent slice gets bus addresses behind the end of the arena. Two invariants join those of the arena:
//!
//! 5. a window is in the list only while its slice is borrowed: [`Lending`] takes it off the list before the borrow
//!    ends, and waits for an access that is under way;
//! 6. no bus address is given out twice, so that whoever comes late finds nothing, and never another window.
//!
//! An access that the arena does not answer is looked up here, under a read lock; memory of the arena itself never
//! pays for that.

use super::{PAGE, transfer};
use crate::lock::hold;
use longshore_hardware::{BusAddress, BusRange, MemoryError};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// Every window that is open.
pub(crate) struct Windows {
    open: RwLock<Vec<Window>>,
    next: Mutex<u64>,
}

#[derive(Clone, Copy)]
struct Window {
    start: u64,
    len: u64,
    first: NonNull<u8>,
    writable: bool,
}

// SAFETY: a window is a pointer that is only used while the bytes behind it are lent for this very purpose.
unsafe impl Send for Window {}
// SAFETY: as above; the accesses themselves are such that a race is none in the sense of the language.
unsafe impl Sync for Window {}

impl Windows {
    /// No window is open. The first will open behind `end`, where the arena ends.
    pub(crate) fn behind(end: u64) -> Self {
        Self {
            open: RwLock::new(Vec::new()),
            next: Mutex::new(end),
        }
    }

    /// Opens a window. `None` if there are no addresses left.
    ///
    /// # Safety
    /// The bytes must stay valid for reads, and for writes if `writable`, and be used by nobody else, or where they
    /// are not writable be read only, until `close` is called for the range that comes back.
    unsafe fn open(&self, first: NonNull<u8>, len: usize, writable: bool) -> Option<BusRange> {
        // Alignment on the bus is alignment in the process. A page between two windows belongs to neither.
        let offset = (first.as_ptr() as usize % PAGE) as u64;
        let (start, range) = {
            let mut next = hold(&self.next);
            let page = next
                .checked_next_multiple_of(PAGE as u64)?
                .checked_add(PAGE as u64)?;
            let start = page.checked_add(offset)?;
            let range = BusRange::new(BusAddress::new(start), len as u64)?;
            *next = start.checked_add(len as u64)?;
            (start, range)
        };
        let window = Window {
            start,
            len: len as u64,
            first,
            writable,
        };
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(window);
        Some(range)
    }

    /// Closes a window. Nobody is inside any more when this returns.
    fn close(&self, range: BusRange) {
        let start = range.start().raw();
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.retain(|window| window.start != start);
    }

    fn look(&self) -> RwLockReadGuard<'_, Vec<Window>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// As the arena's `read`, from a window.
    #[cold]
    pub(crate) fn read(&self, from: BusAddress, into: &mut [u8]) -> Result<(), MemoryError> {
        let open = self.look();
        let from = inside(&open, from, into.len() as u64, false)?;
        // SAFETY: `inside` checked the source, which is open as long as the guard lives; the target is the caller's alone.
        unsafe { transfer::out(into.as_mut_ptr(), from, into.len()) };
        Ok(())
    }

    /// As the arena's `write`, into a window.
    #[cold]
    pub(crate) fn write(&self, to: BusAddress, bytes: &[u8]) -> Result<(), MemoryError> {
        let open = self.look();
        let to = inside(&open, to, bytes.len() as u64, true)?;
        // SAFETY: `inside` checked the target, which is open and writable as long as the guard lives.
        unsafe { transfer::into(to, bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// As the arena's `copy`, where at least one side is a window. A side that is not is already found in the arena.
    ///
    /// # Safety
    /// A side that is given as a pointer must be valid for atomic access of `len` bytes.
    #[cold]
    pub(crate) unsafe fn copy(&self, to: Side, from: Side, len: u64) -> Result<(), MemoryError> {
        let open = self.look();
        let find = |side, write| match side {
            Side::Arena(first) => Ok(first),
            Side::Elsewhere(at) => inside(&open, at, len, write),
        };
        let (to, from) = (find(to, true)?, find(from, false)?);
        // SAFETY: the caller's promise for the arena's side; `inside` checked the other, which is open for now.
        unsafe { transfer::within(to, from, len as usize) };
        Ok(())
    }
}

/// One side of a copy.
pub(crate) enum Side {
    /// It lies in the arena, here.
    Arena(*mut u8),
    /// It does not.
    Elsewhere(BusAddress),
}

fn inside(open: &[Window], at: BusAddress, len: u64, write: bool) -> Result<*mut u8, MemoryError> {
    let end = at.raw().checked_add(len).ok_or(MemoryError::OutOfRange)?;
    let holds = |window: &&Window| at.raw() >= window.start && end <= window.start + window.len;
    match open.iter().find(holds) {
        Some(window) if window.writable || !write => {
            let offset = (at.raw() - window.start) as usize;
            // SAFETY: at most the window's length, which is that of a slice.
            Ok(unsafe { window.first.add(offset) }.as_ptr())
        }
        Some(_) => Err(MemoryError::BusError),
        None => Err(MemoryError::OutOfRange),
    }
}

/// Lends slices until the closure that got it returns; see [`crate::Memory::lending`].
///
/// Only bytes are reached in a lent slice; the 64-bit accesses are for the machine's own memory.
pub struct Lending<'env> {
    windows: Arc<Windows>,
    lent: Mutex<Vec<BusRange>>,
    /// Neither longer nor shorter than the slices' own lifetime.
    env: PhantomData<&'env mut &'env ()>,
}

impl<'env> Lending<'env> {
    /// Runs `section`, and takes back what it lent.
    pub(crate) fn run<R>(windows: &Arc<Windows>, section: impl for<'a> FnOnce(&'a Lending<'env>) -> R) -> R {
        let lending = Lending {
            windows: windows.clone(),
            lent: Mutex::default(),
            env: PhantomData,
        };
        // Dropped on every way out of here, and nobody else can drop or forget it.
        section(&lending)
    }

    /// Lends bytes that a device may read and write. `None` if there are no bus addresses left.
    pub fn lend(&self, bytes: &'env mut [u8]) -> Option<BusRange> {
        self.open(NonNull::from(&mut *bytes).cast(), bytes.len(), true)
    }

    /// Lends bytes that a device may only read: writing to them is a bus error.
    pub fn lend_to_read(&self, bytes: &'env [u8]) -> Option<BusRange> {
        self.open(NonNull::from(bytes).cast(), bytes.len(), false)
    }

    fn open(&self, first: NonNull<u8>, len: usize, writable: bool) -> Option<BusRange> {
        // SAFETY: the bytes are borrowed for 'env, which is longer than this value lives, and its drop closes them.
        let range = unsafe { self.windows.open(first, len, writable) }?;
        hold(&self.lent).push(range);
        Some(range)
    }
}

impl Drop for Lending<'_> {
    fn drop(&mut self) {
        let lent = std::mem::take(&mut *hold(&self.lent));
        lent.into_iter().for_each(|range| self.windows.close(range));
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::Memory;
    use longshore_hardware::{BusAddress, BusRange, DmaMemory, MemoryError};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    #[test]
    fn a_lent_slice_is_reached_by_its_addresses_and_nothing_beside_it() {
        let memory = Memory::new(8192).unwrap();
        let mut bytes = [0u8; 100];
        let text = *b"read only";
        memory.lending(|lending| {
            let to = lending.lend(&mut bytes).unwrap();
            let from = lending.lend_to_read(&text).unwrap();
            assert_eq!(memory.copy(to.start(), from.start(), 9), Ok(()));
            assert_eq!(memory.write(BusAddress::new(4096), b"arena"), Ok(()));
            let behind = BusAddress::new(to.start().raw() + 95);
            assert_eq!(memory.copy(behind, BusAddress::new(4096), 5), Ok(()));
            let outside = Err(MemoryError::OutOfRange);
            assert_eq!(memory.copy(behind, BusAddress::new(4096), 6), outside);
            assert_eq!(memory.write(BusAddress::new(to.start().raw() - 1), &[1]), outside);
            assert_eq!(
                memory.copy(from.start(), to.start(), 1),
                Err(MemoryError::BusError)
            );
            assert_eq!(memory.write(from.start(), &[1]), Err(MemoryError::BusError));
            let mut read = [0; 9];
            assert_eq!(memory.read(from.start(), &mut read), Ok(()));
            assert_eq!(&read, b"read only");
        });
        assert_eq!(&bytes[..9], b"read only");
        assert_eq!(&bytes[95..], b"arena");
        assert_eq!(&text, b"read only");
    }

    #[test]
    fn whoever_comes_late_finds_nothing() {
        let memory = Memory::new(8192).unwrap();
        let mut bytes = [7u8; 64];
        let late = memory.lending(|lending| lending.lend(&mut bytes).unwrap());
        let again = |range: BusRange| memory.write(range.start(), &[1]);
        assert_eq!(again(late), Err(MemoryError::OutOfRange));
        let mut others = [7u8; 64];
        memory.lending(|lending| {
            assert_ne!(lending.lend(&mut others).unwrap().start(), late.start());
            assert_eq!(again(late), Err(MemoryError::OutOfRange));
        });
        assert_eq!((bytes, others), ([7; 64], [7; 64]));
    }

    /// A copy that is under way when the window closes is waited for: afterwards not one byte changes.
    #[test]
    fn closing_waits_for_an_access() {
        let memory = Memory::new(1 << 20).unwrap();
        let stop = AtomicBool::new(false);
        for _ in 0..50 {
            let mut bytes = vec![0u8; 256 << 10];
            thread::scope(|scope| {
                let range = memory.lending(|lending| {
                    let range = lending.lend(&mut bytes).unwrap();
                    let (memory, stop) = (&memory, &stop);
                    let (begun, hear) = std::sync::mpsc::channel();
                    scope.spawn(move || {
                        let source = BusAddress::new(4096);
                        for _ in 0..4 {
                            let _ = begun.send(());
                            let _ = memory.copy(range.start(), source, 256 << 10);
                        }
                        stop.store(true, Ordering::Relaxed);
                    });
                    hear.recv().unwrap();
                    range
                });
                bytes.fill(9);
                while !stop.swap(false, Ordering::Relaxed) {
                    thread::yield_now();
                }
                assert_eq!(memory.write(range.start(), &[1]), Err(MemoryError::OutOfRange));
                assert!(bytes.iter().all(|byte| *byte == 9));
            });
        }
    }
}
