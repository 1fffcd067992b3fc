//! A device's state as bytes: saved, and restored by somebody who does not trust them.

use alloc::vec::Vec;
use core::fmt;

/// A device whose state can be taken away as bytes and brought back.
///
/// The bytes begin with the device's tag and the version of their layout, so that neither another device's state nor
/// one of another time is taken for its own. How a device was built (its size, its options) is not in them: state is
/// restored into a device that was built in the same way.
pub trait Snapshot {
    /// Appends the state to `into`.
    fn save(&self, into: &mut Vec<u8>);

    /// Takes on the state in `from`, which must be one state and nothing else. State that the device could never be
    /// in is an error, and after an error nothing has changed.
    fn restore(&mut self, from: &[u8]) -> Result<(), SnapshotError>;
}

/// Why saved state was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// It is not this device's.
    Foreign,
    /// It has a layout of this version, which is not known here.
    Version(u16),
    /// There are too few bytes, or too many.
    Length,
    /// The named part holds what no device of this build can hold.
    Impossible(&'static str),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("the state is not of this kind of device"),
            Self::Version(version) => write!(f, "the state has the unknown version {version}"),
            Self::Length => f.write_str("the state has the wrong length"),
            Self::Impossible(part) => write!(f, "the state's {part} is impossible"),
        }
    }
}

impl core::error::Error for SnapshotError {}

/// What stands at the head of a device's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose state it is.
    pub tag: [u8; 4],
    /// Of which layout.
    pub version: u16,
}

impl Header {
    /// Appends the header.
    pub fn save(self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.tag);
        into.extend_from_slice(&self.version.to_le_bytes());
    }

    /// Checks the header of `from` against this one, and gives a reader of what follows.
    pub fn open(self, from: &[u8]) -> Result<Reader<'_>, SnapshotError> {
        let mut reader = Reader { rest: from };
        if reader.bytes::<4>()? != self.tag {
            return Err(SnapshotError::Foreign);
        }
        match reader.u16()? {
            version if version == self.version => Ok(reader),
            version => Err(SnapshotError::Version(version)),
        }
    }
}

/// Reads state piece by piece.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(SnapshotError::Length)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, SnapshotError> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    /// The next 16 bits, low byte first.
    pub fn u16(&mut self) -> Result<u16, SnapshotError> {
        self.bytes().map(u16::from_le_bytes)
    }

    /// The next 64 bits, low byte first.
    pub fn u64(&mut self) -> Result<u64, SnapshotError> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// The next byte, in which no bit but those of `mask` may be set.
    pub fn bits(&mut self, mask: u8, part: &'static str) -> Result<u8, SnapshotError> {
        match self.u8()? {
            value if value & !mask == 0 => Ok(value),
            _ => Err(SnapshotError::Impossible(part)),
        }
    }

    /// The state must end here.
    pub fn end(self) -> Result<(), SnapshotError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(SnapshotError::Length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        tag: *b"test",
        version: 3,
    };

    #[test]
    fn only_state_of_the_own_kind_and_version_is_opened() {
        let mut bytes = Vec::new();
        HEADER.save(&mut bytes);
        bytes.push(0x21);
        let mut reader = HEADER.open(&bytes).unwrap();
        assert_eq!(reader.bits(0x21, "byte"), Ok(0x21));
        assert_eq!(reader.u8(), Err(SnapshotError::Length));
        assert_eq!(
            HEADER.open(&bytes).unwrap().bits(0x01, "byte"),
            Err(SnapshotError::Impossible("byte"))
        );
        assert_eq!(HEADER.open(&bytes).unwrap().end(), Err(SnapshotError::Length));
        assert_eq!(HEADER.open(&bytes[..5]).unwrap_err(), SnapshotError::Length);
        bytes[4] = 4;
        assert_eq!(HEADER.open(&bytes).unwrap_err(), SnapshotError::Version(4));
        bytes[0] = b'x';
        assert_eq!(HEADER.open(&bytes).unwrap_err(), SnapshotError::Foreign);
    }
}
