//! Which registers of a pool are free.

use alloc::vec::Vec;

/// One mark for each register.
pub(super) struct Free {
    taken: Vec<bool>,
    count: u32,
}

impl Free {
    /// So many registers, all free.
    pub(super) fn new(count: u32) -> Self {
        Self {
            taken: (0..count).map(|_| false).collect(),
            count,
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Takes the first run of `count` registers that is free, and says where it begins.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        if count == 0 || count > self.count {
            return None;
        }
        let mut free = 0;
        for (at, taken) in (0u32..).zip(&self.taken) {
            free = if *taken { 0 } else { free + 1 };
            if free == count {
                let first = at + 1 - count;
                self.mark(first, count, true);
                self.count -= count;
                return Some(first);
            }
        }
        None
    }

    /// Gives a run back that was taken.
    pub(super) fn give_back(&mut self, first: u32, count: u32) {
        self.mark(first, count, false);
        self.count += count;
    }

    fn mark(&mut self, first: u32, count: u32, taken: bool) {
        let (first, count) = (first as usize, count as usize);
        self.taken
            .iter_mut()
            .skip(first)
            .take(count)
            .for_each(|mark| *mark = taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_follow_each_other_and_come_back() {
        let mut free = Free::new(5);
        assert_eq!(
            (free.take(2), free.take(2), free.take(1)),
            (Some(0), Some(2), Some(4))
        );
        assert_eq!((free.take(1), free.count()), (None, 0));
        free.give_back(0, 2);
        free.give_back(4, 1);
        assert_eq!(free.count(), 3);
        // Three are free, and no three of them follow each other.
        assert_eq!((free.take(3), free.count()), (None, 3));
        assert_eq!(free.take(2), Some(0));
        free.give_back(2, 2);
        assert_eq!((free.take(0), free.take(6)), (None, None));
        assert_eq!(free.take(3), Some(2));
    }
}
