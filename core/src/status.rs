//! NTSTATUS: an open number with named values.

use core::fmt;

/// A status as Windows' contracts return it. A number without a name is a value like any other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NtStatus(pub u32);

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl NtStatus {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The name of the value, if it has one here.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

named! {
    /// It worked.
    SUCCESS = 0x0000_0000, "STATUS_SUCCESS";
    /// The result will come later.
    PENDING = 0x0000_0103, "STATUS_PENDING";
    /// It failed, for no reason that is told.
    UNSUCCESSFUL = 0xC000_0001, "STATUS_UNSUCCESSFUL";
    /// There is no such function.
    NOT_IMPLEMENTED = 0xC000_0002, "STATUS_NOT_IMPLEMENTED";
    /// An argument is wrong.
    INVALID_PARAMETER = 0xC000_000D, "STATUS_INVALID_PARAMETER";
    /// The buffer for the result is too short.
    BUFFER_TOO_SMALL = 0xC000_0023, "STATUS_BUFFER_TOO_SMALL";
    /// Nothing is mapped.
    NONE_MAPPED = 0xC000_0073, "STATUS_NONE_MAPPED";
    /// Something that is needed has run out.
    INSUFFICIENT_RESOURCES = 0xC000_009A, "STATUS_INSUFFICIENT_RESOURCES";
    /// This is not supported here.
    NOT_SUPPORTED = 0xC000_00BB, "STATUS_NOT_SUPPORTED";
    /// The transfer was cancelled.
    CANCELLED = 0xC000_0120, "STATUS_CANCELLED";
    /// The device is in the wrong state for this.
    INVALID_DEVICE_STATE = 0xC000_0184, "STATUS_INVALID_DEVICE_STATE";
}

impl NtStatus {
    /// Whether the status is a success or information, as `NT_SUCCESS` tells it.
    pub const fn is_success(self) -> bool {
        self.0 < 0x8000_0000
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "NTSTATUS {:#010x}", self.0),
        }
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_decides_success() {
        assert!(NtStatus::SUCCESS.is_success());
        assert!(NtStatus::PENDING.is_success());
        assert!(!NtStatus::CANCELLED.is_success());
        assert!(!NtStatus(0x8000_0005).is_success());
        assert_eq!(NtStatus(0xC000_1234).name(), None);
    }
}
