//! The NetDMA descriptor, its flags and the completion word: 64 bytes, bit for bit the I/OAT layout.

use crate::address::BusAddress;
use bitflags::bitflags;

/// Size of a descriptor in bytes.
pub const DESCRIPTOR_SIZE: u64 = 64;

/// A descriptor's address is a multiple of this, so its low six bits are free for status (NETDMA-052).
pub const DESCRIPTOR_ALIGNMENT: u64 = 64;

/// Bits of the completion word that hold the descriptor's address.
pub const WORD_ADDRESS_MASK: u64 = !0x3f;

/// Bits of the completion word that hold the status (NETDMA-053).
pub const WORD_STATUS_MASK: u64 = 0x7;

/// Where each field of a descriptor stands, in bytes from its start.
pub mod offset {
    /// Bytes to move; in a context change, the target of the change.
    pub const TRANSFER_SIZE: u64 = 0x00;
    /// Flags and operation type.
    pub const CONTROL_FLAGS: u64 = 0x04;
    /// Where to read.
    pub const SOURCE: u64 = 0x08;
    /// Where to write.
    pub const DESTINATION: u64 = 0x10;
    /// The next descriptor of the chain.
    pub const NEXT: u64 = 0x18;
    /// Second source page of a page break.
    pub const NEXT_SOURCE: u64 = 0x20;
    /// Second destination page of a page break.
    pub const NEXT_DESTINATION: u64 = 0x28;
    /// Belongs to whoever submitted the descriptor.
    pub const USER_CONTEXT_1: u64 = 0x30;
    /// Belongs to whoever submitted the descriptor.
    pub const USER_CONTEXT_2: u64 = 0x38;
}

bitflags! {
    /// The flag part of a descriptor's `ControlFlags` (NETDMA-060). Bits without a name are kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ControlFlags: u32 {
        /// Raise the channel's interrupt after this descriptor.
        const INTERRUPT_ON_COMPLETION = 0x0000_0001;
        /// The source need not be snooped.
        const SOURCE_NO_SNOOP = 0x0000_0002;
        /// The destination need not be snooped.
        const DESTINATION_NO_SNOOP = 0x0000_0004;
        /// Write the completion word when this descriptor is done.
        const STATUS_UPDATE_ON_COMPLETION = 0x0000_0008;
        /// Finish every write of this descriptor before the next one's data is read.
        const SERIALIZE_TRANSFER = 0x0000_0010;
        /// Move no data.
        const NULL_TRANSFER = 0x0000_0020;
        /// The source goes on at `NEXT_SOURCE` when its page ends.
        const SOURCE_PAGE_BREAK = 0x0000_0040;
        /// The destination goes on at `NEXT_DESTINATION` when its page ends.
        const DESTINATION_PAGE_BREAK = 0x0000_0080;
        /// Hint the destination's data to a CPU's cache.
        const DESTINATION_DCA_ENABLE = 0x0000_0200;
        const _ = !0;
    }
}

impl ControlFlags {
    /// Bits of the operation type.
    pub const OP_TYPE_MASK: u32 = 0xff00_0000;
    /// Operation type: copy.
    pub const OP_TYPE_STANDARD_DMA: u32 = 0x0000_0000;
    /// Operation type: context change.
    pub const OP_TYPE_CONTEXT_CHANGE: u32 = 0xff00_0000;
    /// What bit 0 means in a context change.
    pub const DCA_CONTEXT_CHANGE: u32 = 0x0000_0001;

    /// The operation type, in place (bits 31 to 24).
    pub const fn op_type(self) -> u32 {
        self.bits() & Self::OP_TYPE_MASK
    }
}

/// The state part of a completion word: an open number with the named values of NETDMA-082.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransferStatus(u8);

impl TransferStatus {
    /// The descriptor finished and more are pending.
    pub const ACTIVE: Self = Self(0);
    /// The descriptor finished and was the last one pending.
    pub const IDLE: Self = Self(1);
    /// The descriptor finished and the engine is suspended.
    pub const SUSPEND: Self = Self(2);
    /// The engine stopped: an error, an abort or a reset.
    pub const HALTED: Self = Self(3);
    /// No descriptor has finished yet; the address part is not valid.
    pub const ARMED: Self = Self(4);

    /// The status with this number; only the low three bits count.
    pub const fn new(raw: u8) -> Self {
        Self(raw & 0x7)
    }

    /// The number itself.
    pub const fn raw(self) -> u8 {
        self.0
    }

    /// The contract's name of the value.
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "Active",
            1 => "Idle",
            2 => "Suspend",
            3 => "Halted",
            4 => "Armed",
            _ => "Undefined",
        }
    }
}

impl core::fmt::Debug for TransferStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// The 64-bit completion value: the last processed descriptor's address combined with the channel's status.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CompletionWord(u64);

impl CompletionWord {
    /// The word as it stands in memory. Bits 3 to 5 are kept and mean nothing here (AMB-02).
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The word for this descriptor and status. Low bits of the address are dropped.
    pub const fn new(last: BusAddress, status: TransferStatus) -> Self {
        Self((last.raw() & WORD_ADDRESS_MASK) | status.0 as u64)
    }

    /// The 64 bits as they stand in memory.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The last processed descriptor, or address zero if there was none.
    pub const fn descriptor(self) -> BusAddress {
        BusAddress::new(self.0 & WORD_ADDRESS_MASK)
    }

    /// The channel's status when the word was written.
    pub const fn status(self) -> TransferStatus {
        TransferStatus((self.0 & WORD_STATUS_MASK) as u8)
    }
}

impl core::fmt::Debug for CompletionWord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}|{:?}", self.descriptor(), self.status())
    }
}

/// A descriptor, parsed. Read whole, once, before any of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes to move; in a context change, the target of the change.
    pub transfer_size: u32,
    /// Flags and operation type.
    pub control: ControlFlags,
    /// Where to read.
    pub source: BusAddress,
    /// Where to write.
    pub destination: BusAddress,
    /// The next descriptor.
    pub next: BusAddress,
    /// Second source page of a page break.
    pub next_source: BusAddress,
    /// Second destination page of a page break.
    pub next_destination: BusAddress,
    /// Belongs to whoever submitted the descriptor.
    pub user_context: [u64; 2],
}

impl Descriptor {
    /// A descriptor that copies `size` bytes and ends the chain.
    pub const fn copy(destination: BusAddress, source: BusAddress, size: u32) -> Self {
        Self {
            transfer_size: size,
            control: ControlFlags::empty(),
            source,
            destination,
            next: BusAddress::NULL,
            next_source: BusAddress::NULL,
            next_destination: BusAddress::NULL,
            user_context: [0; 2],
        }
    }

    /// Reads the fields out of the 64 bytes.
    pub fn parse(bytes: &[u8; DESCRIPTOR_SIZE as usize]) -> Self {
        let quad = |at: u64| {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[at as usize..][..8]);
            u64::from_le_bytes(field)
        };
        let head = quad(offset::TRANSFER_SIZE);
        Self {
            transfer_size: (head & 0xffff_ffff) as u32,
            control: ControlFlags::from_bits_retain((head >> 32) as u32),
            source: BusAddress::new(quad(offset::SOURCE)),
            destination: BusAddress::new(quad(offset::DESTINATION)),
            next: BusAddress::new(quad(offset::NEXT)),
            next_source: BusAddress::new(quad(offset::NEXT_SOURCE)),
            next_destination: BusAddress::new(quad(offset::NEXT_DESTINATION)),
            user_context: [quad(offset::USER_CONTEXT_1), quad(offset::USER_CONTEXT_2)],
        }
    }

    /// Writes the fields into 64 bytes.
    pub fn emit(&self) -> [u8; DESCRIPTOR_SIZE as usize] {
        let mut bytes = [0; DESCRIPTOR_SIZE as usize];
        let head = u64::from(self.transfer_size) | u64::from(self.control.bits()) << 32;
        let fields = [
            (offset::TRANSFER_SIZE, head),
            (offset::SOURCE, self.source.raw()),
            (offset::DESTINATION, self.destination.raw()),
            (offset::NEXT, self.next.raw()),
            (offset::NEXT_SOURCE, self.next_source.raw()),
            (offset::NEXT_DESTINATION, self.next_destination.raw()),
            (offset::USER_CONTEXT_1, self.user_context[0]),
            (offset::USER_CONTEXT_2, self.user_context[1]),
        ];
        for (at, value) in fields {
            bytes[at as usize..][..8].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: NETDMA-050, NETDMA-051.
    #[test]
    fn a_descriptor_has_the_documented_layout() {
        let descriptor = Descriptor {
            transfer_size: 0x0403_0201,
            control: ControlFlags::from_bits_retain(0x0807_0605),
            source: BusAddress::new(0x1111),
            destination: BusAddress::new(0x2222),
            next: BusAddress::new(0x3340),
            next_source: BusAddress::new(0x4444),
            next_destination: BusAddress::new(0x5555),
            user_context: [0x6666, 0x7777],
        };
        let bytes = descriptor.emit();
        assert_eq!(bytes.len(), 64);
        assert_eq!(&bytes[..8], &[1, 2, 3, 4, 5, 6, 7, 8]);
        for (at, low) in [
            (0x08, 0x1111u16),
            (0x10, 0x2222),
            (0x18, 0x3340),
            (0x20, 0x4444),
            (0x28, 0x5555),
            (0x30, 0x6666),
            (0x38, 0x7777),
        ] {
            assert_eq!(&bytes[at..at + 2], &low.to_le_bytes(), "field at {at:#x}");
        }
        assert_eq!(Descriptor::parse(&bytes), descriptor);
    }

    /// Proves: NETDMA-060, NETDMA-061, NETDMA-062.
    #[test]
    fn control_flags_have_the_header_s_values() {
        let named = [
            (ControlFlags::INTERRUPT_ON_COMPLETION, 0x1),
            (ControlFlags::SOURCE_NO_SNOOP, 0x2),
            (ControlFlags::DESTINATION_NO_SNOOP, 0x4),
            (ControlFlags::STATUS_UPDATE_ON_COMPLETION, 0x8),
            (ControlFlags::SERIALIZE_TRANSFER, 0x10),
            (ControlFlags::NULL_TRANSFER, 0x20),
            (ControlFlags::SOURCE_PAGE_BREAK, 0x40),
            (ControlFlags::DESTINATION_PAGE_BREAK, 0x80),
            (ControlFlags::DESTINATION_DCA_ENABLE, 0x200),
        ];
        for (flag, value) in named {
            assert_eq!(flag.bits(), value);
        }
        assert_eq!(
            ControlFlags::from_bits_retain(0xff00_0001).op_type(),
            ControlFlags::OP_TYPE_CONTEXT_CHANGE
        );
        assert_eq!(
            ControlFlags::from_bits_retain(0x00ff_ffff).op_type(),
            ControlFlags::OP_TYPE_STANDARD_DMA
        );
    }

    /// Proves: SEED-003-7, SEED-003-10, SEED-003-11, NETDMA-052, NETDMA-053, NETDMA-081, NETDMA-082, AMB-01, AMB-02.
    #[test]
    fn the_completion_word_holds_an_address_and_a_status() {
        let values = [
            (TransferStatus::ACTIVE, 0),
            (TransferStatus::IDLE, 1),
            (TransferStatus::SUSPEND, 2),
            (TransferStatus::HALTED, 3),
            (TransferStatus::ARMED, 4),
        ];
        for (status, raw) in values {
            let word = CompletionWord::new(BusAddress::new(0x1240), status);
            assert_eq!(word.raw(), 0x1240 | raw);
            assert_eq!(word.descriptor(), BusAddress::new(0x1240));
            assert_eq!(word.status(), status);
        }
        let vendor = CompletionWord::from_raw(0x1240 | 0x38 | 1);
        assert_eq!(
            (vendor.descriptor(), vendor.status()),
            (BusAddress::new(0x1240), TransferStatus::IDLE)
        );
        assert_eq!(
            CompletionWord::new(BusAddress::new(0x127f), TransferStatus::IDLE).raw(),
            0x1241
        );
    }
}
