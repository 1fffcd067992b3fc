//! Map registers: a pool of pages below a device's reach, through which goes what the device cannot reach.
//!
//! One register stands for one page. The pages are leased once, at PASSIVE; a transfer allocates nothing. Whoever
//! asks gets a run of registers that follow each other, or waits until one is free.

mod free;
mod waiting;

use crate::adapter::Adapter;
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use core::fmt;
use core::num::NonZeroU64;
use free::Free;
use longshore_core::machine::{Lock, Machine};
use longshore_core::{Irql, Passive};
use longshore_hardware::{BusAddress, BusRange, Lease, MemoryError};
pub(crate) use waiting::Waiting;

/// What one map register maps.
pub const PAGE_SIZE: u64 = 4096;

/// How many pages some bytes touch that begin at `start` (WDM-263).
#[doc(alias = "ADDRESS_AND_SIZE_TO_SPAN_PAGES")]
pub const fn pages_spanned(start: u64, length: u64) -> u64 {
    let into = start % PAGE_SIZE;
    (into as u128 + length as u128).div_ceil(PAGE_SIZE as u128) as u64
}

/// A granted run of map registers, as drivers name it. It names this one run, and no other ever after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "MapRegisterBase")]
pub struct RegisterBase(NonZeroU64);

impl RegisterBase {
    /// The run with this number, which need not be there any more. Zero names none.
    pub fn from_raw(raw: u64) -> Option<Self> {
        NonZeroU64::new(raw).map(Self)
    }

    /// Its number.
    pub fn raw(self) -> u64 {
        self.0.get()
    }
}

/// What the pool's lock guards.
struct Pool<M: Machine> {
    free: Free,
    /// How many runs were ever granted.
    granted: u64,
    /// First come, first served. Each channel waits at most once, so the list is bounded by them.
    waiting: LinkedList<Waiting<M>>,
    /// Whether somebody is serving those who wait.
    serving: bool,
}

struct Inner<M: Machine> {
    pool: M::Lock<Pool<M>>,
    /// Numbers the pool, so that two pools have no run in common.
    number: u32,
    lease: Lease<M::Memory>,
}

/// A pool of map registers. Handles are interchangeable.
pub struct MapRegisters<M: Machine>(Arc<Inner<M>>);

impl<M: Machine> Clone for MapRegisters<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Machine> fmt::Debug for MapRegisters<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapRegisters({} in {:?})", self.count(), self.0.lease)
    }
}

/// Fewer registers than this serve no adapter (WDM-107).
const FEWEST: u32 = 2;

impl<M: Machine> MapRegisters<M> {
    /// Leases pages for `count` registers, which end at or below `below`. There must be two of them at least.
    pub fn new(_: &Passive, machine: &M, count: u32, below: BusAddress) -> Result<Self, MemoryError> {
        if count < FEWEST {
            return Err(MemoryError::Exhausted);
        }
        let lease = Lease::below(machine.memory(), u64::from(count) * PAGE_SIZE, PAGE_SIZE, below)?;
        let pool = Pool {
            free: Free::new(count),
            granted: 0,
            waiting: LinkedList::new(),
            serving: false,
        };
        Ok(Self(Arc::new(Inner {
            // Taken inside of a controller's lock, so at its level.
            pool: machine.lock("map registers", Irql::DEVICE, pool),
            number: machine.number(),
            lease,
        })))
    }

    /// How many registers there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.lease.len() / PAGE_SIZE).unwrap_or(u32::MAX)
    }

    /// How many of them nobody has.
    pub fn free(&self) -> u32 {
        self.0.pool.with(|pool| pool.free.count())
    }

    /// How many of them somebody has.
    pub fn in_use(&self) -> u32 {
        self.count() - self.free()
    }

    /// Whether a device with this reach can use them.
    pub(crate) fn are_below(&self, reach: u128) -> bool {
        u128::from(self.0.lease.range().end().raw()) <= reach
    }

    /// A run of registers now, if there is one and nobody waits for one.
    pub(crate) fn take(&self, count: u32) -> Option<Run<M>> {
        self.0.pool.with(|pool| {
            if pool.waiting.is_empty() {
                self.grant(pool, count)
            } else {
                None
            }
        })
    }

    fn grant(&self, pool: &mut Pool<M>, count: u32) -> Option<Run<M>> {
        let first = pool.free.take(count)?;
        pool.granted += 1;
        let base = u64::from(self.0.number) << 40 | pool.granted;
        Some(Run {
            pool: self.clone(),
            first,
            count,
            base: RegisterBase::from_raw(base)?,
        })
    }
}

/// A run of registers that somebody has. Dropped, it is free again; whoever drops it at DISPATCH then serves those
/// who wait.
pub(crate) struct Run<M: Machine> {
    pool: MapRegisters<M>,
    first: u32,
    count: u32,
    base: RegisterBase,
}

impl<M: Machine> Run<M> {
    pub(crate) fn base(&self) -> RegisterBase {
        self.base
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Its pages.
    pub(crate) fn range(&self) -> BusRange {
        let pages = |count: u32| u64::from(count) * PAGE_SIZE;
        let whole = self.pool.0.lease.range();
        whole
            .slice(pages(self.first), pages(self.count))
            .unwrap_or(BusRange::EMPTY)
    }
}

impl<M: Machine> Drop for Run<M> {
    fn drop(&mut self) {
        self.pool
            .0
            .pool
            .with(|pool| pool.free.give_back(self.first, self.count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: WDM-263.
    #[test]
    fn registers_are_counted_by_the_pages_that_are_touched() {
        let spans = [
            (0, 0, 0),
            (0, 1, 1),
            (4095, 1, 1),
            (4095, 2, 2),
            (0, 4096, 1),
            (1, 4096, 2),
            (100, 8192, 3),
        ];
        for (start, length, pages) in spans {
            assert_eq!(pages_spanned(start, length), pages, "{length} from {start}");
        }
        assert_eq!(pages_spanned(u64::MAX, u64::MAX), (1 << 52) + 1);
    }
}
