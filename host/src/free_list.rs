//! Which bytes of an arena are taken.

use std::collections::BTreeMap;

/// First fit, lowest address first. Taken and free ranges are kept by their first byte.
#[derive(Debug)]
pub(crate) struct FreeList {
    /// No two of these touch each other.
    free: BTreeMap<u64, u64>,
    taken: BTreeMap<u64, u64>,
}

impl FreeList {
    /// The bytes from `start` up to `end` are free.
    pub(crate) fn new(start: u64, end: u64) -> Self {
        let len = end.saturating_sub(start);
        Self {
            free: (len > 0).then_some((start, len)).into_iter().collect(),
            taken: BTreeMap::new(),
        }
    }

    /// Takes `len` bytes at a multiple of `align` that end at or below `below`. No bytes are found, but not taken.
    /// Nothing if there are none left, or `align` is not a power of two.
    pub(crate) fn take(&mut self, len: u64, align: u64, below: u64) -> Option<u64> {
        if !align.is_power_of_two() {
            return None;
        }
        let (hole, size, start) = self.find(len, align, below)?;
        if len > 0 {
            self.free.remove(&hole);
            self.insert_free(hole, start - hole);
            self.insert_free(start + len, hole + size - (start + len));
            self.taken.insert(start, len);
        }
        Some(start)
    }

    /// Gives back what was taken, if exactly this was.
    pub(crate) fn give_back(&mut self, start: u64, len: u64) {
        if self.taken.get(&start) != Some(&len) {
            return;
        }
        self.taken.remove(&start);
        let (mut first, mut end) = (start, start + len);
        if let Some((&before, &size)) = self.free.range(..start).next_back()
            && before + size == start
        {
            self.free.remove(&before);
            first = before;
        }
        if let Some(size) = self.free.remove(&end) {
            end += size;
        }
        self.insert_free(first, end - first);
    }

    /// The first hole that is good enough, its size, and where in it the bytes would begin.
    fn find(&self, len: u64, align: u64, below: u64) -> Option<(u64, u64, u64)> {
        self.free.iter().find_map(|(&hole, &size)| {
            let start = hole.checked_next_multiple_of(align)?;
            let end = start.checked_add(len)?;
            (end <= hole + size && end <= below).then_some((hole, size, start))
        })
    }

    fn insert_free(&mut self, start: u64, len: u64) {
        if len > 0 {
            self.free.insert(start, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hole_that_fits_is_taken() {
        let mut list = FreeList::new(0x1000, 0x2000);
        assert_eq!(list.take(0x10, 1, u64::MAX), Some(0x1000));
        assert_eq!(list.take(0x10, 0x100, u64::MAX), Some(0x1100));
        assert_eq!(list.take(0xf0, 1, u64::MAX), Some(0x1010), "the gap before");
        assert_eq!(list.take(1, 1, u64::MAX), Some(0x1110));
    }

    #[test]
    fn reach_and_alignment_are_kept() {
        let mut list = FreeList::new(0x1000, 0x3000);
        assert_eq!(list.take(0x10, 1, 0x100f), None);
        assert_eq!(list.take(0x10, 1, 0x1010), Some(0x1000));
        assert_eq!(list.take(1, 0x2000, u64::MAX), Some(0x2000));
        assert_eq!(list.take(1, 0x4000, u64::MAX), None);
        assert_eq!(list.take(1, 0, u64::MAX), None);
        assert_eq!(list.take(1, 3, u64::MAX), None);
        assert_eq!(list.take(u64::MAX, 1, u64::MAX), None);
        assert_eq!(list.take(1, 1 << 63, u64::MAX), None);
    }

    #[test]
    fn neighbours_grow_together_again() {
        let mut list = FreeList::new(0x1000, 0x1300);
        let taken = [0x1000, 0x1100, 0x1200].map(|start| {
            assert_eq!(list.take(0x100, 1, u64::MAX), Some(start));
            start
        });
        assert_eq!(list.take(1, 1, u64::MAX), None);
        for start in [taken[0], taken[2], taken[1]] {
            list.give_back(start, 0x100);
        }
        assert_eq!(list.take(0x300, 1, u64::MAX), Some(0x1000));
    }

    #[test]
    fn what_was_not_taken_is_not_given_back() {
        let mut list = FreeList::new(0x1000, 0x2000);
        assert_eq!(list.take(0x100, 1, u64::MAX), Some(0x1000));
        for (start, len) in [
            (0x1000, 0xff),
            (0x1001, 0xff),
            (0x1100, 0x10),
            (0x1000, 0),
            (u64::MAX, 1),
        ] {
            list.give_back(start, len);
        }
        assert_eq!(list.take(0x100, 1, u64::MAX), Some(0x1100));
        list.give_back(0x1000, 0x100);
        list.give_back(0x1000, 0x100);
        assert_eq!(
            list.take(0x101, 1, u64::MAX),
            Some(0x1200),
            "given back twice, free once"
        );
        assert_eq!(list.take(0x100, 1, u64::MAX), Some(0x1000));
    }

    #[test]
    fn no_bytes_take_nothing() {
        let mut list = FreeList::new(0x1000, 0x2000);
        assert_eq!(list.take(0, 0x40, u64::MAX), Some(0x1000));
        list.give_back(0x1000, 0);
        assert_eq!(list.take(0x1000, 1, u64::MAX), Some(0x1000));
        assert_eq!(FreeList::new(0x1000, 0x1000).take(1, 1, u64::MAX), None);
    }
}
