//! Versions of the NetDMA contract, and what they change.

use core::fmt;

/// A version of the contract that a provider implements.
#[doc(alias = "NetDmaGetVersion")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The generation of the contract.
    pub major: u8,
    /// What was added within it.
    pub minor: u8,
}

impl Version {
    /// Chains end with NULL, and the tail is linked on.
    pub const V1_0: Self = Self::new(1, 0);
    /// Adds power notifications.
    pub const V1_1: Self = Self::new(1, 1);
    /// Adds counted chains and page breaks.
    pub const V2_0: Self = Self::new(2, 0);
    /// Adds processor groups.
    pub const V2_1: Self = Self::new(2, 1);

    /// The version with these numbers.
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Whether chains end by a count of descriptors (NETDMA-072) and not by a NULL address (NETDMA-071).
    pub const fn counted(self) -> bool {
        self.major >= 2
    }

    /// Whether its providers can tell when their power goes and comes (NETDMA-110).
    pub const fn notifies(self) -> bool {
        self.major >= 2 || self.minor >= 1
    }

    /// The version as `NetDmaGetVersion` returns it: the major number in the high half (NETDMA-016).
    pub const fn packed(self) -> u32 {
        (self.major as u32) << 16 | self.minor as u32
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_second_generation_counts_descriptors() {
        assert!(!Version::V1_0.counted() && !Version::V1_1.counted());
        assert!(Version::V2_0.counted() && Version::V2_1.counted());
        assert!(Version::V1_1 < Version::V2_0);
        assert_eq!(Version::V2_1.packed(), 0x0002_0001);
    }
}
