//! What can be asked of a channel, and the buffers that go with it.

use crate::buffer::Buffer;
use std::time::Duration;

/// The two buffers of a copy or a compare.
#[derive(Debug)]
pub struct Pair {
    /// Where bytes come from.
    pub source: Buffer,
    /// Where they go to, or what they are compared with.
    pub destination: Buffer,
}

/// The buffers of a copy between bytes that lie in several places.
#[derive(Debug)]
pub struct Lists {
    /// Where bytes come from, in this order.
    pub source: Vec<Buffer>,
    /// Where they go to, in this order.
    pub destination: Vec<Buffer>,
}

/// The buffers that an operation was given, and gives back.
#[derive(Debug, Default)]
pub enum Buffers {
    /// None at all.
    #[default]
    None,
    /// That of a fill.
    One(Buffer),
    /// Those of a copy or a compare.
    Pair(Pair),
    /// Those of a copy between lists.
    Lists(Lists),
}

impl Buffers {
    /// The one buffer of a fill.
    pub fn one(self) -> Option<Buffer> {
        match self {
            Self::One(buffer) => Some(buffer),
            _ => None,
        }
    }

    /// The two buffers of a copy or a compare.
    pub fn pair(self) -> Option<Pair> {
        match self {
            Self::Pair(pair) => Some(pair),
            _ => None,
        }
    }

    /// The buffers of a copy between lists.
    pub fn lists(self) -> Option<Lists> {
        match self {
            Self::Lists(lists) => Some(lists),
            _ => None,
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Buffer> {
        let (few, lists): ([Option<&Buffer>; 2], Option<&Lists>) = match self {
            Self::None => ([None, None], None),
            Self::One(buffer) => ([Some(buffer), None], None),
            Self::Pair(pair) => ([Some(&pair.source), Some(&pair.destination)], None),
            Self::Lists(lists) => ([None, None], Some(lists)),
        };
        let many = lists
            .into_iter()
            .flat_map(|lists| lists.source.iter().chain(&lists.destination));
        few.into_iter().flatten().chain(many)
    }
}

/// What is to be done with the buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Copy,
    Fill(u64),
    Compare,
    Fence,
}

/// One operation that a channel can be asked for, with its buffers.
#[derive(Debug)]
pub struct Job {
    pub(crate) kind: Kind,
    pub(crate) buffers: Buffers,
    pub(crate) limit: Option<Duration>,
}

impl Job {
    fn new(kind: Kind, buffers: Buffers) -> Self {
        Self {
            kind,
            buffers,
            limit: None,
        }
    }

    /// Copies a buffer to another one of the same length.
    pub fn copy(source: Buffer, destination: Buffer) -> Self {
        Self::new(Kind::Copy, Buffers::Pair(Pair { source, destination }))
    }

    /// Copies bytes that lie in several places, on either side. Together both sides are equally long; they need not be
    /// cut at the same bytes.
    pub fn copy_list(source: Vec<Buffer>, destination: Vec<Buffer>) -> Self {
        Self::new(Kind::Copy, Buffers::Lists(Lists { source, destination }))
    }

    /// Fills a buffer with a pattern, which begins with its low byte and is repeated.
    pub fn fill(buffer: Buffer, pattern: u64) -> Self {
        Self::new(Kind::Fill(pattern), Buffers::One(buffer))
    }

    /// Compares two buffers of the same length.
    pub fn compare(left: Buffer, right: Buffer) -> Self {
        let pair = Pair {
            source: left,
            destination: right,
        };
        Self::new(Kind::Compare, Buffers::Pair(pair))
    }

    /// Moves nothing, and is over when everything before it is.
    pub fn fence() -> Self {
        Self::new(Kind::Fence, Buffers::None)
    }

    /// Cancelled if it is not over within this time, counted from when it is submitted.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The buffers, of a job that was refused.
    pub fn into_buffers(self) -> Buffers {
        self.buffers
    }

    /// How many bytes it works on.
    pub(crate) fn len(&self) -> u64 {
        match &self.buffers {
            Buffers::None => 0,
            Buffers::One(buffer) => buffer.bus_range().len(),
            Buffers::Pair(pair) => pair.source.bus_range().len(),
            Buffers::Lists(lists) => lists.source.iter().map(|part| part.bus_range().len()).sum(),
        }
    }
}

/// The form in which an operation gives its buffers back.
pub trait Returned: Sized + sealed::Sealed {
    #[doc(hidden)]
    fn of(buffers: Buffers) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! returned {
    ($type:ty, $of:expr) => {
        impl sealed::Sealed for $type {}
        impl Returned for $type {
            fn of(buffers: Buffers) -> Option<Self> {
                let of: fn(Buffers) -> Option<Self> = $of;
                of(buffers)
            }
        }
    };
}

returned!(Buffer, Buffers::one);
returned!(Pair, Buffers::pair);
returned!(Lists, Buffers::lists);
returned!(Buffers, Some);
returned!((), |_| Some(()));
