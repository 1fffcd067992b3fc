//! Spin locks of C code.
//!
//! A KSPIN_LOCK is known by where it stands, like a KDPC.

use crate::handles::hold;
use crate::world::World;
use longshore_core::Irql;
use longshore_core::machine::Cpu;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

/// Whoever can hold a lock: on one machine several CPUs share a thread, on the other several threads a number.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Holder(ThreadId, Cpu);

impl Holder {
    fn here(world: &dyn World) -> Self {
        Self(thread::current().id(), world.cpu())
    }
}

/// All spin locks of a machine, with who holds them since which level.
#[derive(Default)]
pub(crate) struct SpinLocks(Mutex<HashMap<usize, Option<(Holder, Irql)>>>);

/// What came of an attempt.
enum Taken {
    Yes,
    Busy,
    Wrong,
}

impl SpinLocks {
    pub(crate) fn initialize(&self, lock: usize) {
        hold(&self.0).insert(lock, None);
    }

    /// Forgets what stands in this memory. Whether one of them was held.
    pub(crate) fn forget(&self, memory: Range<usize>) -> bool {
        let mut locks = hold(&self.0);
        let held = locks
            .iter()
            .any(|(lock, holder)| memory.contains(lock) && holder.is_some());
        locks.retain(|lock, _| !memory.contains(lock));
        held
    }

    /// Whether the caller holds any.
    pub(crate) fn held_here(&self, world: &dyn World) -> bool {
        let here = Holder::here(world);
        hold(&self.0)
            .values()
            .any(|place| place.is_some_and(|(holder, _)| holder == here))
    }

    /// Takes the lock and raises to DISPATCH; returns the level before. `None` if there is no such lock, or the caller
    /// has it already.
    pub(crate) fn acquire(&self, world: &dyn World, lock: usize) -> Option<Irql> {
        world.point();
        let before = world.set_level(Irql::DISPATCH);
        loop {
            match self.try_take(Holder::here(world), lock, before) {
                Taken::Yes => return Some(before),
                Taken::Busy => world.relax(),
                Taken::Wrong => {
                    world.set_level(before);
                    return None;
                }
            }
        }
    }

    fn try_take(&self, holder: Holder, lock: usize, before: Irql) -> Taken {
        match hold(&self.0).get_mut(&lock) {
            Some(place @ None) => {
                *place = Some((holder, before));
                Taken::Yes
            }
            Some(Some((other, _))) if *other != holder => Taken::Busy,
            _ => Taken::Wrong,
        }
    }

    /// Gives the lock back and goes to `level`, which must be where the caller came from. False if the caller does not
    /// hold it, or came from elsewhere; then it goes back there.
    pub(crate) fn release(&self, world: &dyn World, lock: usize, level: Irql) -> bool {
        let before = {
            let mut locks = hold(&self.0);
            let Some(place) = locks.get_mut(&lock) else {
                return false;
            };
            match *place {
                Some((holder, before)) if holder == Holder::here(world) => {
                    *place = None;
                    before
                }
                _ => return false,
            }
        };
        world.set_level(before);
        world.point();
        before == level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_caller_waits_and_the_holder_is_wrong() {
        let locks = SpinLocks::default();
        let here = thread::current().id();
        let (first, second) = (Holder(here, Cpu(0)), Holder(here, Cpu(1)));
        let take = |holder| locks.try_take(holder, 0x40, Irql::PASSIVE);
        assert!(matches!(take(first), Taken::Wrong), "never initialised");
        locks.initialize(0x40);
        assert!(matches!(take(first), Taken::Yes));
        assert!(matches!(take(second), Taken::Busy));
        assert!(matches!(take(first), Taken::Wrong));
        assert!(locks.forget(0x40..0x41), "it is held");
    }
}
