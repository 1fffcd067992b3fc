//! Access to a device's registers, by port or by memory.

use core::fmt;

/// How wide one access is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Long,
    /// 64 bits.
    Quad,
}

impl Width {
    /// The width in bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Long => 4,
            Self::Quad => 8,
        }
    }
}

/// The access itself was bad. A device that reports an error of its own does so in a register instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// There is no register at this offset.
    NoSuchRegister,
    /// The register exists, but not in this width.
    BadWidth,
    /// The device no longer answers.
    Gone,
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchRegister => "no such register",
            Self::BadWidth => "the register cannot be accessed in this width",
            Self::Gone => "the device no longer answers",
        })
    }
}

impl core::error::Error for AccessError {}

/// A device's registers, as a driver reaches them.
pub trait Registers: Send + Sync {
    /// Reads the register at `offset`.
    fn read(&self, offset: u64, width: Width) -> Result<u64, AccessError>;

    /// Writes the register at `offset`. Bits of `value` above the width are ignored.
    fn write(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError>;
}
