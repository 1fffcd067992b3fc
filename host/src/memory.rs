//! The machine's memory.

use crate::arena::{Arena, Lending, Windows};
use crate::free_list::FreeList;
use crate::lock::hold;
use longshore_hardware::{BusAddress, BusRange, DmaMemory, MemoryError};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

const PAGE: u64 = 4096;

/// The machine's memory: real bytes that CPUs and devices reach at the same time. Clones are the same memory.
///
/// The contract says who may touch a byte and when; the machine does not enforce it, but breaking it costs the
/// truth of the bytes and nothing else: two accesses that race may each see a mixture, and are not undefined.
///
/// Address 0 and the page behind it exist, but are never handed out. Bytes are zero when the machine is switched on;
/// bytes that are handed out again hold what they held.
#[derive(Clone)]
pub struct Memory {
    store: Arc<Store>,
}

struct Store {
    arena: Arena,
    windows: Arc<Windows>,
    free: Mutex<FreeList>,
}

impl Memory {
    pub(crate) fn new(bytes: u64) -> io::Result<Self> {
        let too_much = || {
            io::Error::new(
                io::ErrorKind::OutOfMemory,
                "not enough memory for the machine's memory",
            )
        };
        let size = bytes.max(1).checked_next_multiple_of(PAGE).ok_or_else(too_much)?;
        let pages = usize::try_from(size).ok().and_then(Arena::new);
        Ok(Self {
            store: Arc::new(Store {
                arena: pages.ok_or_else(too_much)?,
                windows: Arc::new(Windows::behind(size)),
                free: Mutex::new(FreeList::new(PAGE, size)),
            }),
        })
    }

    /// How many bytes there are, with the page that is never handed out.
    pub fn size(&self) -> u64 {
        self.store.arena.size() as u64
    }

    /// Whether the other one is the same memory.
    #[inline]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store)
    }

    /// Lets devices reach memory that is not the machine's, while `section` runs: what it lends has bus addresses
    /// until it returns. Afterwards nobody reaches those bytes any more, whatever an engine still tries.
    ///
    /// Lent memory is slower than the machine's own, by a lock and a search for each access.
    ///
    /// ```
    /// use longshore_hardware::DmaMemory;
    /// # let host = longshore_host::Host::new(Default::default())?;
    /// # let memory = longshore_core::Machine::memory(host.machine());
    /// let (text, mut copy) = (*b"lent", [0; 4]);
    /// memory.lending(|lending| {
    ///     let to = lending.lend(&mut copy).expect("addresses are left");
    ///     let from = lending.lend_to_read(&text).expect("addresses are left");
    ///     memory.copy(to.start(), from.start(), 4)
    /// })?;
    /// assert_eq!(&copy, b"lent");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// What is lent cannot be touched before it comes back:
    ///
    /// ```compile_fail,E0506
    /// # let host = longshore_host::Host::new(Default::default()).unwrap();
    /// # let memory = longshore_core::Machine::memory(host.machine());
    /// let mut copy = [0; 4];
    /// memory.lending(|lending| {
    ///     lending.lend(&mut copy);
    ///     copy[0] = 1;
    /// });
    /// ```
    pub fn lending<'env, R>(&self, section: impl for<'a> FnOnce(&'a Lending<'env>) -> R) -> R {
        Lending::run(&self.store.windows, section)
    }
}

impl DmaMemory for Memory {
    #[inline]
    fn read(&self, from: BusAddress, into: &mut [u8]) -> Result<(), MemoryError> {
        match self.store.arena.read(from, into) {
            Err(MemoryError::OutOfRange) => self.store.windows.read(from, into),
            answer => answer,
        }
    }

    #[inline]
    fn write(&self, to: BusAddress, bytes: &[u8]) -> Result<(), MemoryError> {
        match self.store.arena.write(to, bytes) {
            Err(MemoryError::OutOfRange) => self.store.windows.write(to, bytes),
            answer => answer,
        }
    }

    #[inline]
    fn copy(&self, to: BusAddress, from: BusAddress, len: u64) -> Result<(), MemoryError> {
        match self.store.arena.copy(to, from, len) {
            Err(MemoryError::OutOfRange) => self.store.arena.copy_lent(&self.store.windows, to, from, len),
            answer => answer,
        }
    }

    #[inline]
    fn load_u64(&self, at: BusAddress) -> Result<u64, MemoryError> {
        self.store.arena.load_u64(at)
    }

    #[inline]
    fn store_u64(&self, at: BusAddress, value: u64) -> Result<(), MemoryError> {
        self.store.arena.store_u64(at, value)
    }

    /// An alignment that is not a power of two is never met. No bytes are given an address, but take no room.
    fn allocate(&self, len: u64, align: u64, below: BusAddress) -> Result<BusAddress, MemoryError> {
        hold(&self.store.free)
            .take(len, align, below.raw())
            .map(BusAddress::new)
            .ok_or(MemoryError::Exhausted)
    }

    fn free(&self, range: BusRange) {
        hold(&self.store.free).give_back(range.start().raw(), range.len());
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} KiB)", self.size() >> 10)
    }
}
