//! Base types: twins of `ntdef.h` and `wdm.h`.

use longshore_core::NtStatus;
use longshore_hardware::BusAddress;
use std::ffi::c_void;

/// `PVOID`.
pub type Pointer = *mut c_void;

/// `NTSTATUS`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl From<NtStatus> for Status {
    fn from(status: NtStatus) -> Self {
        Self(status.0.cast_signed())
    }
}

impl From<Status> for NtStatus {
    fn from(status: Status) -> Self {
        Self(status.0.cast_unsigned())
    }
}

/// `PHYSICAL_ADDRESS`, which is passed by value like a 64-bit integer.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhysicalAddress(pub i64);

impl From<BusAddress> for PhysicalAddress {
    fn from(address: BusAddress) -> Self {
        Self(address.raw().cast_signed())
    }
}

impl From<PhysicalAddress> for BusAddress {
    fn from(address: PhysicalAddress) -> Self {
        Self::new(address.0.cast_unsigned())
    }
}

/// `UNICODE_STRING`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct UnicodeString {
    /// How many bytes the text has.
    pub length: u16,
    /// How many there is room for.
    pub maximum_length: u16,
    /// The text.
    pub buffer: *mut u16,
}

/// `GROUP_AFFINITY`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupAffinity {
    /// The processors of the group, one bit each.
    pub mask: usize,
    /// The group.
    pub group: u16,
    /// Zero.
    pub reserved: [u16; 3],
}

/// `KDPC`. It is known by where it stands; nothing in it is ever looked at.
#[repr(C)]
#[derive(Debug)]
pub struct Kdpc([u64; 8]);

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn base_types_have_windows_sizes() {
        assert_eq!(size_of::<Status>(), 4);
        assert_eq!(size_of::<PhysicalAddress>(), 8);
        assert_eq!(size_of::<UnicodeString>(), 16);
        assert_eq!(offset_of!(UnicodeString, buffer), 8);
        assert_eq!(size_of::<GroupAffinity>(), 16);
        assert_eq!(offset_of!(GroupAffinity, group), 8);
        assert_eq!(size_of::<Kdpc>(), 64);
    }

    #[test]
    fn statuses_and_addresses_keep_their_bits() {
        assert!(Status::from(NtStatus::UNSUCCESSFUL).0 < 0);
        assert_eq!(NtStatus::from(Status(-1)).0, u32::MAX);
        let high = BusAddress::new(u64::MAX - 63);
        assert_eq!(BusAddress::from(PhysicalAddress::from(high)), high);
    }
}
