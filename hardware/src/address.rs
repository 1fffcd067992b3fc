//! Addresses as a device puts them on its bus.

use core::fmt;

/// An address on the bus: an offset in the machine's one arena of memory.
///
/// It has no operators. Sums are checked, so an address that a device or a guest made up can never wrap
/// around into memory that was not given to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BusAddress(u64);

impl BusAddress {
    /// Address zero, which the contracts use for "none".
    pub const NULL: Self = Self(0);

    /// The address with this number.
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The number itself, as it stands in a register or descriptor.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Whether this is address zero.
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address `bytes` further on, or `None` past the end of the address space.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// How many bytes this address lies behind `start`, or `None` if it lies before it.
    #[must_use]
    pub const fn checked_offset_from(self, start: Self) -> Option<u64> {
        self.0.checked_sub(start.0)
    }

    /// Whether the address is a multiple of `alignment` (a power of two).
    pub const fn is_aligned(self, alignment: u64) -> bool {
        alignment != 0 && self.0 & (alignment - 1) == 0
    }
}

impl fmt::Debug for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A run of bytes on the bus. Its end never overflows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BusRange {
    start: BusAddress,
    len: u64,
}

impl BusRange {
    /// The `len` bytes from `start`, or `None` if they would run past the end of the address space.
    pub const fn new(start: BusAddress, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(_) => Some(Self { start, len }),
            None => None,
        }
    }

    /// No bytes, at address zero.
    pub const EMPTY: Self = Self {
        start: BusAddress::NULL,
        len: 0,
    };

    /// The first byte's address.
    pub const fn start(self) -> BusAddress {
        self.start
    }

    /// The address just behind the last byte.
    pub const fn end(self) -> BusAddress {
        BusAddress(self.start.0 + self.len)
    }

    /// How many bytes.
    pub const fn len(self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The part of `len` bytes that begins `offset` bytes in, or `None` if it is not wholly inside.
    #[must_use]
    pub const fn slice(self, offset: u64, len: u64) -> Option<Self> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Some(Self {
                start: BusAddress(self.start.0 + offset),
                len,
            }),
            _ => None,
        }
    }

    /// Whether the byte at `address` belongs to this range.
    pub const fn contains(self, address: BusAddress) -> bool {
        address.0 >= self.start.0 && address.0 - self.start.0 < self.len
    }

    /// Whether the two ranges share a byte.
    pub const fn overlaps(self, other: Self) -> bool {
        self.len > 0
            && other.len > 0
            && self.start.0 < other.start.0 + other.len
            && other.start.0 < self.start.0 + self.len
    }
}

impl fmt::Debug for BusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}+{:#x}", self.start.0, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_would_wrap_is_refused() {
        assert!(BusRange::new(BusAddress::new(u64::MAX), 1).is_none());
        assert!(BusRange::new(BusAddress::new(u64::MAX - 1), 1).is_some());
        assert!(BusAddress::new(u64::MAX).checked_add(1).is_none());
    }

    #[test]
    fn a_slice_stays_inside() {
        let range = BusRange::new(BusAddress::new(0x100), 16).unwrap();
        assert_eq!(range.slice(4, 12).unwrap().end(), range.end());
        assert!(range.slice(4, 13).is_none());
        assert!(range.slice(u64::MAX, 2).is_none());
    }

    #[test]
    fn overlap_needs_a_shared_byte() {
        let a = BusRange::new(BusAddress::new(0x100), 16).unwrap();
        let b = BusRange::new(BusAddress::new(0x110), 16).unwrap();
        assert!(!a.overlaps(b));
        assert!(a.overlaps(BusRange::new(BusAddress::new(0x10f), 1).unwrap()));
        assert!(!a.overlaps(BusRange::new(BusAddress::new(0x108), 0).unwrap()));
    }
}
