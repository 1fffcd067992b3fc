//! A common buffer behind the vtable.

use super::machine::Refusal;
use longshore_core::Passive;
use longshore_core::machine::Machine;
use longshore_hardware::{BusAddress, BusRange};
use longshore_wdm::{Adapter, CommonBuffer};

/// A common buffer. Dropping it frees it.
pub(crate) trait Shared: Send + Sync {
    fn range(&self) -> BusRange;

    /// Frees it, if the arguments repeat those of its allocation; else it comes back.
    fn free(
        self: Box<Self>,
        length: u32,
        address: BusAddress,
        cached: bool,
    ) -> Result<(), (Box<dyn Shared>, Refusal)>;
}

/// A buffer of an adapter's, behind the vtable.
pub(super) fn behind<M: Machine>(
    machine: &M,
    adapter: &Adapter<M>,
    buffer: CommonBuffer<M>,
) -> Box<dyn Shared> {
    Box::new(Here {
        machine: machine.clone(),
        adapter: adapter.clone(),
        buffer,
    })
}

/// A common buffer on its machine.
struct Here<M: Machine> {
    adapter: Adapter<M>,
    machine: M,
    buffer: CommonBuffer<M>,
}

impl<M: Machine> Shared for Here<M> {
    fn range(&self) -> BusRange {
        self.buffer.range()
    }

    fn free(
        self: Box<Self>,
        length: u32,
        address: BusAddress,
        cached: bool,
    ) -> Result<(), (Box<dyn Shared>, Refusal)> {
        let Some(passive) = Passive::now(&self.machine) else {
            return Err((self, Refusal::LEVEL));
        };
        let Self {
            adapter,
            machine,
            buffer,
        } = *self;
        let freed = adapter.free_common_buffer(&passive, buffer, length, address, cached);
        freed.map_err(|refused| {
            let refusal = Refusal::of(&refused);
            (behind(&machine, &adapter, refused.buffer), refusal)
        })
    }
}
