//! A copy as descriptors.

use super::piece::{PAGE, Piece, left_in_page};
use longshore_core::scatter::Segments;
use longshore_hardware::netdma::ControlFlags;
use longshore_hardware::{BusAddress, BusRange};

/// Cuts a copy into pieces that one descriptor each can move. Both lists hold equally many bytes.
pub(super) struct Split<A, B> {
    destination: Cursor<A>,
    source: Cursor<B>,
    maximum: u64,
    breaks: bool,
    control: ControlFlags,
}

/// The pieces of a copy. With `breaks`, one descriptor may go from a page to another (NETDMA-066).
pub(super) fn split<'a>(
    destination: Segments<'a>,
    source: Segments<'a>,
    maximum: u32,
    breaks: bool,
    control: ControlFlags,
) -> impl Iterator<Item = Piece> + 'a {
    Split {
        destination: Cursor::new(destination.iter()),
        source: Cursor::new(source.iter()),
        maximum: u64::from(maximum),
        breaks,
        control,
    }
}

impl<A, B> Iterator for Split<A, B>
where
    A: Iterator<Item = BusRange>,
    B: Iterator<Item = BusRange>,
{
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let reach = self.destination.reach(self.breaks);
        let len = reach.min(self.source.reach(self.breaks)).min(self.maximum);
        if len == 0 {
            return None;
        }
        let (source, next_source) = self.source.take(len);
        let (destination, next_destination) = self.destination.take(len);
        let mut control = self.control;
        control.set(ControlFlags::SOURCE_PAGE_BREAK, next_source.is_some());
        control.set(ControlFlags::DESTINATION_PAGE_BREAK, next_destination.is_some());
        Some(Piece {
            // No more than the maximum, which is 32 bits wide.
            size: len as u32,
            control,
            source,
            destination,
            next_source: next_source.unwrap_or(BusAddress::NULL),
            next_destination: next_destination.unwrap_or(BusAddress::NULL),
        })
    }
}

/// How far a side has been cut: the segment at hand, and the one behind it.
struct Cursor<I> {
    now: BusRange,
    then: BusRange,
    rest: I,
}

impl<I: Iterator<Item = BusRange>> Cursor<I> {
    fn new(rest: I) -> Self {
        let empty = BusRange::EMPTY;
        let mut cursor = Self {
            now: empty,
            then: empty,
            rest,
        };
        cursor.then = cursor.following();
        cursor.step();
        cursor
    }

    fn following(&mut self) -> BusRange {
        self.rest
            .find(|segment| !segment.is_empty())
            .unwrap_or(BusRange::EMPTY)
    }

    fn step(&mut self) {
        self.now = self.then;
        self.then = self.following();
    }

    /// How many bytes one descriptor reaches from here.
    fn reach(&self, breaks: bool) -> u64 {
        let len = self.now.len();
        let ends_its_page = len == left_in_page(self.now.start());
        if breaks && ends_its_page && self.then.start().is_aligned(PAGE) {
            len + self.then.len().min(PAGE)
        } else {
            len
        }
    }

    /// Goes on by so many bytes, which are within reach. Returns where they begin, and where they go on if they break.
    fn take(&mut self, len: u64) -> (BusAddress, Option<BusAddress>) {
        let start = self.now.start();
        if len <= self.now.len() {
            self.skip(len);
            return (start, None);
        }
        let beyond = len - self.now.len();
        self.step();
        let second = self.now.start();
        self.skip(beyond);
        (start, Some(second))
    }

    fn skip(&mut self, len: u64) {
        self.now = self
            .now
            .slice(len, self.now.len() - len)
            .unwrap_or(BusRange::EMPTY);
        if self.now.is_empty() {
            self.step();
        }
    }
}
