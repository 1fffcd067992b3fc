//! NDIS_STATUS: an open number with named values.

use core::fmt;
use longshore_core::NtStatus;

/// A status as NDIS returns it. A number without a name is a value like any other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias = "NDIS_STATUS")]
pub struct NdisStatus(pub u32);

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl NdisStatus {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The name of the value, if it has one here.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(concat!("NDIS_STATUS_", stringify!($name))),)*
                    _ => None,
                }
            }
        }
    };
}

named! {
    /// It worked.
    SUCCESS = 0x0000_0000;
    /// The result will come later.
    PENDING = 0x0000_0103;
    /// It failed, for no reason that is told.
    FAILURE = 0xC000_0001;
    /// An argument is wrong.
    INVALID_PARAMETER = 0xC000_000D;
    /// Something that is needed has run out; for a completed transfer: its data may be incoherent.
    RESOURCES = 0xC000_009A;
    /// This is not supported here.
    NOT_SUPPORTED = 0xC000_00BB;
    /// What was called is closing.
    CLOSING = 0xC001_0002;
    /// This version is not known.
    BAD_VERSION = 0xC001_0004;
    /// The characteristics make no sense.
    BAD_CHARACTERISTICS = 0xC001_0005;
    /// The request was aborted.
    REQUEST_ABORTED = 0xC001_000C;
    /// A reset is under way.
    RESET_IN_PROGRESS = 0xC001_000D;
    /// The adapter is not ready.
    ADAPTER_NOT_READY = 0xC001_0011;
    /// A length is wrong.
    INVALID_LENGTH = 0xC001_0014;
    /// Somebody else has the resource.
    RESOURCE_CONFLICT = 0xC001_001E;
}

impl From<NdisStatus> for NtStatus {
    /// The same number: NDIS took over NTSTATUS where it had a fitting value, and made its own in the same space.
    fn from(status: NdisStatus) -> Self {
        Self(status.0)
    }
}

impl fmt::Debug for NdisStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "NDIS_STATUS {:#010x}", self.0),
        }
    }
}

impl fmt::Display for NdisStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: NDIS-090.
    #[test]
    fn the_statuses_have_the_header_s_values() {
        let named = [
            (NdisStatus::SUCCESS, 0x0000_0000),
            (NdisStatus::PENDING, 0x0000_0103),
            (NdisStatus::FAILURE, 0xC000_0001),
            (NdisStatus::INVALID_PARAMETER, 0xC000_000D),
            (NdisStatus::RESOURCES, 0xC000_009A),
            (NdisStatus::NOT_SUPPORTED, 0xC000_00BB),
            (NdisStatus::CLOSING, 0xC001_0002),
            (NdisStatus::BAD_VERSION, 0xC001_0004),
            (NdisStatus::BAD_CHARACTERISTICS, 0xC001_0005),
            (NdisStatus::REQUEST_ABORTED, 0xC001_000C),
            (NdisStatus::RESET_IN_PROGRESS, 0xC001_000D),
            (NdisStatus::ADAPTER_NOT_READY, 0xC001_0011),
            (NdisStatus::INVALID_LENGTH, 0xC001_0014),
            (NdisStatus::RESOURCE_CONFLICT, 0xC001_001E),
        ];
        for (status, value) in named {
            assert_eq!(status.0, value);
        }
        let shared = [
            (NdisStatus::SUCCESS, NtStatus::SUCCESS),
            (NdisStatus::PENDING, NtStatus::PENDING),
            (NdisStatus::FAILURE, NtStatus::UNSUCCESSFUL),
            (NdisStatus::RESOURCES, NtStatus::INSUFFICIENT_RESOURCES),
            (NdisStatus::NOT_SUPPORTED, NtStatus::NOT_SUPPORTED),
        ];
        for (ndis, nt) in shared {
            assert_eq!(NtStatus::from(ndis), nt);
        }
    }
}
