//! What bounds the transfers of an adapter.

use crate::adapter::Adapter;
use longshore_core::machine::Machine;

/// The unit of map registers, and of what is reserved for common buffers.
pub(crate) const PAGE: u64 = 4096;

pub(crate) const fn pages_spanned(start: u64, length: u64) -> u64 {
    let into = start % PAGE;
    (into as u128 + length as u128).div_ceil(PAGE as u128) as u64
}

impl<M: Machine> Adapter<M> {
    pub(crate) fn is_bus_master(&self) -> bool {
        false
    }

    pub(crate) fn map_registers(&self) -> u32 {
        self.description().maximum_length.div_ceil(PAGE as u32) + 1
    }

    pub(crate) fn address_width(&self) -> u32 {
        self.system().attributes().address_width
    }

    /// The first address that is out of reach.
    pub(crate) fn reach(&self) -> u128 {
        1 << self.address_width()
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
