//! Keeping memory and the caches the same.

use longshore_core::NtStatus;
use longshore_core::event::Event;
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;

/// Makes memory and the caches the same for a buffer, once for each, just before a device moves its bytes (NDIS-062):
/// `read` for bytes that come from the device, `dma` if no CPU moves them.
///
/// The machines there are keep their caches coherent by themselves, so it is only told of. Adapters of version 3 need
/// no such call: map and flush do what there is to do (WDM-178).
#[doc(alias = "KeFlushIoBuffers")]
pub fn flush_io_buffers<M: Machine>(machine: &M, buffer: Segments<'_>, read: bool, dma: bool) {
    const NAME: &str = "KeFlushIoBuffers";
    let _ = (buffer, read, dma);
    machine.emit(Event::Call(NAME));
    machine.emit(Event::Return(NAME, NtStatus::SUCCESS));
}
