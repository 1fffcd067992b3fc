//! Which bytes of a map go straight to the device, and which go through map registers. Nothing here touches memory.

use alloc::vec::Vec;
use longshore_core::scatter::Segments;
use longshore_hardware::{BusAddress, BusRange};

/// What a controller, or a bus master, can do with memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The first address that it does not drive.
    pub(crate) reach: u128,
    /// It moves multiples of so many bytes, and begins at such.
    pub(crate) unit: u64,
    /// No fragment crosses a multiple of this; 0 for no such boundary.
    pub(crate) boundary: u64,
    /// It takes so many fragments at a time.
    pub(crate) fragments: usize,
}

impl Limits {
    /// How many bytes lie between an address and the next boundary.
    fn room(&self, start: BusAddress) -> u64 {
        match start.raw().checked_rem(self.boundary) {
            Some(beyond) => self.boundary - beyond,
            None => u64::MAX,
        }
    }

    fn whole_units(&self, len: u64) -> u64 {
        len - len % self.unit
    }

    /// Whether the device may begin here.
    fn starts(&self, at: BusAddress) -> bool {
        u128::from(at.raw()) < self.reach && at.raw().is_multiple_of(self.unit)
    }

    /// How many bytes of these go straight to the device as one fragment.
    fn direct(&self, bytes: BusRange) -> u64 {
        if !self.starts(bytes.start()) {
            return 0;
        }
        let reached = self.reach - u128::from(bytes.start().raw());
        let reached = u64::try_from(reached).unwrap_or(u64::MAX);
        self.whole_units(bytes.len().min(reached).min(self.room(bytes.start())))
    }
}

/// Bytes of the buffer that go through a map register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounced {
    /// Where they are in the map, counted from its first byte.
    pub(crate) at: u64,
    /// Where they are in the buffer.
    pub(crate) memory: BusRange,
    /// Where the device finds them.
    pub(crate) page: BusAddress,
}

/// How a map is done: short, if fragments or registers run out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What the device is told, in the order of the bytes.
    pub(crate) fragments: Vec<BusRange>,
    /// What is to be copied, in the order of the bytes.
    pub(crate) bounced: Vec<Bounced>,
    /// How many bytes.
    pub(crate) length: u64,
}

/// Plans the map of `length` bytes of a buffer from `offset` on, with the pages of a run to bounce through. Whoever
/// has no run plans with an empty one.
pub(crate) fn plan(buffer: Segments<'_>, offset: u64, length: u64, limits: Limits, run: BusRange) -> Plan {
    let length = limits.whole_units(length);
    let mut stream = Stream {
        parts: buffer.part(offset, length),
        here: BusRange::EMPTY,
    };
    let mut planner = Planner {
        limits,
        run,
        plan: Plan::default(),
    };
    while let Some(here) = stream.peek() {
        let left = length - planner.plan.length;
        let direct = limits.direct(here);
        let done = if direct > 0 {
            planner.go_direct(&mut stream, direct)
        } else {
            planner.bounce(&mut stream, here, left)
        };
        if !done {
            break;
        }
    }
    planner.plan
}

struct Planner {
    limits: Limits,
    /// What is left of the run.
    run: BusRange,
    plan: Plan,
}

impl Planner {
    fn go_direct(&mut self, stream: &mut Stream<impl Iterator<Item = BusRange>>, len: u64) -> bool {
        let fits = stream.peek().and_then(|here| here.slice(0, len));
        let Some(bytes) = fits.filter(|bytes| self.add_fragment(*bytes)) else {
            return false;
        };
        stream.take(len);
        self.plan.length += bytes.len();
        true
    }

    /// Sends what cannot go straight through the next pages: the rest of a stretch that is out of reach or off its
    /// unit; or one unit, if it begins right and is cut by the stretch's end or by a boundary.
    fn bounce(
        &mut self,
        stream: &mut Stream<impl Iterator<Item = BusRange>>,
        here: BusRange,
        left: u64,
    ) -> bool {
        let unit = self.limits.unit;
        let stretch = if self.limits.starts(here.start()) {
            unit
        } else {
            here.len().checked_next_multiple_of(unit).unwrap_or(left)
        };
        let Some(pages) = self.next_pages(stretch.min(left)) else {
            return false;
        };
        if !self.add_fragment(pages) {
            return false;
        }
        let mut done = 0;
        while let Some(memory) = stream.take(pages.len() - done) {
            let Some(page) = pages.start().checked_add(done) else {
                return false;
            };
            let at = self.plan.length + done;
            self.plan.bounced.push(Bounced { at, memory, page });
            done += memory.len();
        }
        self.plan.length += done;
        true
    }

    /// The next bytes of the run that are one fragment: so many, or as many whole units as there are.
    fn next_pages(&mut self, wanted: u64) -> Option<BusRange> {
        let room = self.limits.room(self.run.start());
        if room < self.limits.unit {
            self.skip(room);
        }
        let room = self.limits.room(self.run.start());
        let len = self.limits.whole_units(wanted.min(room).min(self.run.len()));
        let pages = self.run.slice(0, len).filter(|pages| !pages.is_empty())?;
        self.skip(len);
        Some(pages)
    }

    fn skip(&mut self, len: u64) {
        let rest = self.run.len().checked_sub(len);
        let rest = rest.and_then(|rest| self.run.slice(len, rest));
        self.run = rest.unwrap_or(BusRange::EMPTY);
    }

    /// Adds a fragment, or makes the last one longer, unless a boundary lies between the two.
    fn add_fragment(&mut self, bytes: BusRange) -> bool {
        let between = self.limits.boundary != 0 && bytes.start().is_aligned(self.limits.boundary);
        if let Some(last) = self.plan.fragments.last_mut()
            && last.end() == bytes.start()
            && !between
            && let Some(joined) = BusRange::new(last.start(), last.len() + bytes.len())
        {
            *last = joined;
            return true;
        }
        let fits = self.plan.fragments.len() < self.limits.fragments;
        if fits {
            self.plan.fragments.push(bytes);
        }
        fits
    }
}

/// The bytes of a buffer, taken piece by piece.
struct Stream<I> {
    parts: I,
    here: BusRange,
}

impl<I: Iterator<Item = BusRange>> Stream<I> {
    /// The bytes that are next and lie together.
    fn peek(&mut self) -> Option<BusRange> {
        if self.here.is_empty() {
            self.here = self.parts.next()?;
        }
        Some(self.here)
    }

    /// Takes at most so many of them.
    fn take(&mut self, most: u64) -> Option<BusRange> {
        let here = self.peek()?;
        let len = here.len().min(most);
        let taken = here.slice(0, len).filter(|taken| !taken.is_empty())?;
        self.here = here.slice(len, here.len() - len)?;
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
