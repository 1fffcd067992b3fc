//! What bounds the transfers of an adapter.

use crate::adapter::Adapter;
use crate::operations::{NotOffered, Operation, Release};
use longshore_core::machine::Machine;
use longshore_hardware::BusAddress;

/// The unit of map registers, and of what is reserved for common buffers.
pub(crate) const PAGE: u64 = 4096;

impl<M: Machine> Adapter<M> {
    /// How long the adapter's table is, by the version its driver asked for. Not what the first word of an adapter
    /// says, which is [`Self::TABLE_VERSION`] for all of them.
    pub fn table_release(&self) -> Release {
        match self.description().version.0 {
            0 | 1 => Release::Version1,
            2 => Release::Version2,
            _ => Release::Version3,
        }
    }

    /// What the first word of every adapter says, whatever its version (WDM-032).
    pub const TABLE_VERSION: u16 = 1;

    /// Whether the adapter has an operation, and why not.
    pub fn offers(&self, operation: Operation) -> Result<(), NotOffered> {
        operation.in_table_of(self.table_release())
    }

    pub(crate) fn address_width(&self) -> u32 {
        self.system().attributes().address_width
    }

    pub(crate) fn reach(&self) -> BusAddress {
        BusAddress::new(1u64.checked_shl(self.address_width()).unwrap_or(u64::MAX))
    }

    pub(crate) fn boundary(&self) -> u64 {
        self.system()
            .hardware()
            .core
            .channel(self.channel_number())
            .boundary
    }

    pub(crate) fn unit(&self) -> u32 {
        let own = self
            .system()
            .hardware()
            .core
            .channel(self.channel_number())
            .minimum_unit;
        let unit = if own == 0 {
            self.system().attributes().minimum_unit
        } else {
            own
        };
        unit.max(1)
    }

    /// Whether both are handles of the same adapter.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.record().number == other.record().number
    }
}
