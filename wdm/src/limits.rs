//! What bounds the transfers of an adapter.

use crate::adapter::Adapter;
use longshore_core::machine::Machine;

impl<M: Machine> Adapter<M> {
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

    /// Of how many bytes start and length of each element are multiples.
    pub(crate) fn unit(&self) -> u64 {
        self.system().hardware().core.unit(self.channel_number())
    }

    /// Whether both are handles of the same adapter.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.record().number == other.record().number
    }
}
