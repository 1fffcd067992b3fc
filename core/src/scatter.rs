//! Scatter/gather lists: bytes that lie in several places and count as one buffer.

use core::fmt;
use longshore_hardware::BusRange;

/// A borrowed list of segments, in the order of the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Segments<'a>(&'a [BusRange]);

impl<'a> Segments<'a> {
    /// These segments, in this order.
    pub const fn new(segments: &'a [BusRange]) -> Self {
        Self(segments)
    }

    /// Each segment in turn.
    pub fn iter(self) -> impl Iterator<Item = BusRange> + 'a {
        self.0.iter().copied()
    }

    /// How many segments.
    pub const fn count(self) -> usize {
        self.0.len()
    }

    /// How many bytes in all, or `None` if that number does not fit.
    pub fn len(self) -> Option<u64> {
        self.iter()
            .try_fold(0u64, |sum, segment| sum.checked_add(segment.len()))
    }

    /// Whether there are no bytes.
    pub fn is_empty(self) -> bool {
        self.iter().all(BusRange::is_empty)
    }

    /// The pieces that hold the `len` bytes from `offset` on, as far as the list reaches.
    pub fn part(self, offset: u64, len: u64) -> impl Iterator<Item = BusRange> + 'a {
        let (mut skip, mut left) = (offset, len);
        self.iter().filter_map(move |segment| {
            let skipped = skip.min(segment.len());
            skip -= skipped;
            let taken = left.min(segment.len() - skipped);
            left -= taken;
            if taken == 0 {
                None
            } else {
                segment.slice(skipped, taken)
            }
        })
    }
}

impl fmt::Debug for Segments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0).finish()
    }
}

/// The list has no room for another segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A list of at most `N` segments, held in place.
#[derive(Clone, Copy)]
pub struct SegmentList<const N: usize> {
    segments: [BusRange; N],
    count: usize,
}

impl<const N: usize> SegmentList<N> {
    /// An empty list.
    pub const fn new() -> Self {
        Self {
            segments: [BusRange::EMPTY; N],
            count: 0,
        }
    }

    /// Adds a segment behind the others, or widens the last one if the new one continues it.
    pub fn push(&mut self, segment: BusRange) -> Result<(), Full> {
        if let Some(last) = self.segments[..self.count].last_mut()
            && last.end() == segment.start()
            && let Some(joined) = BusRange::new(last.start(), last.len() + segment.len())
        {
            *last = joined;
            return Ok(());
        }
        let slot = self.segments.get_mut(self.count).ok_or(Full)?;
        *slot = segment;
        self.count += 1;
        Ok(())
    }

    /// The list, borrowed.
    pub fn as_segments(&self) -> Segments<'_> {
        Segments::new(&self.segments[..self.count])
    }
}

impl<const N: usize> Default for SegmentList<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for SegmentList<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_segments().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use longshore_hardware::BusAddress;
    use std::vec::Vec;

    fn range(start: u64, len: u64) -> BusRange {
        BusRange::new(BusAddress::new(start), len).unwrap()
    }

    #[test]
    fn a_part_skips_and_stops_across_segments() {
        let all = [range(0x100, 4), range(0x200, 0), range(0x300, 8)];
        let part: Vec<_> = Segments::new(&all).part(2, 5).collect();
        assert_eq!(part, [range(0x102, 2), range(0x300, 3)]);
        assert_eq!(Segments::new(&all).part(12, 1).count(), 0);
        assert_eq!(Segments::new(&all).len(), Some(12));
    }

    #[test]
    fn neighbours_are_joined_and_a_full_list_refuses() {
        let mut list = SegmentList::<2>::new();
        list.push(range(0x100, 4)).unwrap();
        list.push(range(0x104, 4)).unwrap();
        list.push(range(0x200, 4)).unwrap();
        assert_eq!(list.as_segments().count(), 2);
        assert_eq!(list.push(range(0x300, 4)), Err(Full));
        assert_eq!(list.as_segments().len(), Some(12));
    }
}
