//! The table of DMA operations: twin of `dmaops.h`.

use super::dma::{
    Adapter, AdapterInfo, CompletionRoutine, DriverControl, DriverListControl, List, Mdl, TransferInfo,
};
use super::types::{PhysicalAddress, Pointer, Status};

/// `DMA_OPERATIONS`: all entries that any version of Windows has.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; dmaops.h says what they are"
)]
pub struct Operations {
    pub size: u32,
    pub put_dma_adapter: unsafe extern "C" fn(*mut Adapter),
    pub allocate_common_buffer: unsafe extern "C" fn(*mut Adapter, u32, *mut PhysicalAddress, u8) -> Pointer,
    pub free_common_buffer: unsafe extern "C" fn(*mut Adapter, u32, PhysicalAddress, Pointer, u8),
    pub allocate_adapter_channel:
        unsafe extern "C" fn(*mut Adapter, Pointer, u32, Option<DriverControl>, Pointer) -> Status,
    pub flush_adapter_buffers: unsafe extern "C" fn(*mut Adapter, *mut Mdl, Pointer, Pointer, u32, u8) -> u8,
    pub free_adapter_channel: unsafe extern "C" fn(*mut Adapter),
    pub free_map_registers: unsafe extern "C" fn(*mut Adapter, Pointer, u32),
    pub map_transfer:
        unsafe extern "C" fn(*mut Adapter, *mut Mdl, Pointer, Pointer, *mut u32, u8) -> PhysicalAddress,
    pub get_dma_alignment: unsafe extern "C" fn(*mut Adapter) -> u32,
    pub read_dma_counter: unsafe extern "C" fn(*mut Adapter) -> u32,
    pub get_scatter_gather_list: unsafe extern "C" fn(
        *mut Adapter,
        Pointer,
        *mut Mdl,
        Pointer,
        u32,
        Option<DriverListControl>,
        Pointer,
        u8,
    ) -> Status,
    pub put_scatter_gather_list: unsafe extern "C" fn(*mut Adapter, *mut List, u8),
    pub calculate_scatter_gather_list:
        unsafe extern "C" fn(*mut Adapter, *mut Mdl, Pointer, u32, *mut u32, *mut u32) -> Status,
    pub build_scatter_gather_list: unsafe extern "C" fn(
        *mut Adapter,
        Pointer,
        *mut Mdl,
        Pointer,
        u32,
        Option<DriverListControl>,
        Pointer,
        u8,
        Pointer,
        u32,
    ) -> Status,
    pub build_mdl_from_scatter_gather_list:
        unsafe extern "C" fn(*mut Adapter, *mut List, *mut Mdl, *mut *mut Mdl) -> Status,
    pub get_dma_adapter_info: unsafe extern "C" fn(*mut Adapter, *mut AdapterInfo) -> Status,
    pub get_dma_transfer_info:
        unsafe extern "C" fn(*mut Adapter, *mut Mdl, u64, u32, u8, *mut TransferInfo) -> Status,
    pub initialize_dma_transfer_context: unsafe extern "C" fn(*mut Adapter, Pointer) -> Status,
    pub allocate_common_buffer_ex: unsafe extern "C" fn(
        *mut Adapter,
        *mut PhysicalAddress,
        u32,
        *mut PhysicalAddress,
        u8,
        u32,
    ) -> Pointer,
    pub allocate_adapter_channel_ex: unsafe extern "C" fn(
        *mut Adapter,
        Pointer,
        Pointer,
        u32,
        u32,
        Option<DriverControl>,
        Pointer,
        *mut Pointer,
    ) -> Status,
    pub configure_adapter_channel: unsafe extern "C" fn(*mut Adapter, u32, Pointer) -> Status,
    pub cancel_adapter_channel: unsafe extern "C" fn(*mut Adapter, Pointer, Pointer) -> u8,
    pub map_transfer_ex: unsafe extern "C" fn(
        *mut Adapter,
        *mut Mdl,
        Pointer,
        u64,
        u32,
        *mut u32,
        u8,
        *mut List,
        u32,
        Option<CompletionRoutine>,
        Pointer,
    ) -> Status,
    pub get_scatter_gather_list_ex: unsafe extern "C" fn(
        *mut Adapter,
        Pointer,
        Pointer,
        *mut Mdl,
        u64,
        u32,
        u32,
        Option<DriverListControl>,
        Pointer,
        u8,
        Option<CompletionRoutine>,
        Pointer,
        *mut *mut List,
    ) -> Status,
    pub build_scatter_gather_list_ex: unsafe extern "C" fn(
        *mut Adapter,
        Pointer,
        Pointer,
        *mut Mdl,
        u64,
        u32,
        u32,
        Option<DriverListControl>,
        Pointer,
        u8,
        Pointer,
        u32,
        Option<CompletionRoutine>,
        Pointer,
        Pointer,
    ) -> Status,
    pub flush_adapter_buffers_ex:
        unsafe extern "C" fn(*mut Adapter, *mut Mdl, Pointer, u64, u32, u8) -> Status,
    pub free_adapter_object: unsafe extern "C" fn(*mut Adapter, u32),
    pub cancel_mapped_transfer: unsafe extern "C" fn(*mut Adapter, Pointer) -> Status,
    pub allocate_domain_common_buffer: unsafe extern "C" fn(
        *mut Adapter,
        Pointer,
        *mut PhysicalAddress,
        u32,
        u32,
        *mut i32,
        u32,
        *mut PhysicalAddress,
        *mut Pointer,
    ) -> Status,
    pub flush_dma_buffer: unsafe extern "C" fn(*mut Adapter, *mut Mdl, u8) -> Status,
    pub join_dma_domain: unsafe extern "C" fn(*mut Adapter, Pointer) -> Status,
    pub leave_dma_domain: unsafe extern "C" fn(*mut Adapter) -> Status,
    pub get_dma_domain: unsafe extern "C" fn(*mut Adapter) -> Pointer,
    pub allocate_common_buffer_with_bounds: unsafe extern "C" fn(
        *mut Adapter,
        *mut PhysicalAddress,
        *mut PhysicalAddress,
        u32,
        u32,
        *mut i32,
        u32,
        *mut PhysicalAddress,
    ) -> Pointer,
    pub allocate_common_buffer_vector: unsafe extern "C" fn(
        *mut Adapter,
        PhysicalAddress,
        PhysicalAddress,
        i32,
        u32,
        u32,
        u32,
        u64,
        *mut Pointer,
    ) -> Status,
    pub get_common_buffer_from_vector_by_index:
        unsafe extern "C" fn(*mut Adapter, Pointer, u32, *mut Pointer, *mut PhysicalAddress),
    pub free_common_buffer_from_vector: unsafe extern "C" fn(*mut Adapter, Pointer, u32),
    pub free_common_buffer_vector: unsafe extern "C" fn(*mut Adapter, Pointer),
    pub create_common_buffer_from_mdl:
        unsafe extern "C" fn(*mut Adapter, *mut Mdl, Pointer, u32, *mut PhysicalAddress) -> Status,
}

impl Operations {
    /// The size of the table of versions 0 and 1.
    pub const SIZE_1: u32 = 104;
    /// The size of the table of version 2.
    pub const SIZE_2: u32 = 128;
    /// The size of the table of version 3.
    pub const SIZE_3: u32 = 232;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};
    use windows_sys::Wdk::System::SystemServices as sys;

    /// Proves: WDM-035.
    #[test]
    fn each_entry_stands_where_the_header_has_it() {
        let mut entry = 0;
        macro_rules! same {
            ($($our:ident $their:ident),* $(,)?) => {
                $(
                    let theirs = offset_of!(sys::DMA_OPERATIONS, $their);
                    assert_eq!(offset_of!(Operations, $our), theirs, stringify!($our));
                    assert_eq!(theirs, 8 * entry, stringify!($our));
                    entry += 1;
                )*
            };
        }
        same!(
            size Size, put_dma_adapter PutDmaAdapter,
            allocate_common_buffer AllocateCommonBuffer, free_common_buffer FreeCommonBuffer,
            allocate_adapter_channel AllocateAdapterChannel, flush_adapter_buffers FlushAdapterBuffers,
            free_adapter_channel FreeAdapterChannel, free_map_registers FreeMapRegisters,
            map_transfer MapTransfer, get_dma_alignment GetDmaAlignment,
            read_dma_counter ReadDmaCounter, get_scatter_gather_list GetScatterGatherList,
            put_scatter_gather_list PutScatterGatherList, calculate_scatter_gather_list CalculateScatterGatherList,
            build_scatter_gather_list BuildScatterGatherList, build_mdl_from_scatter_gather_list BuildMdlFromScatterGatherList,
            get_dma_adapter_info GetDmaAdapterInfo, get_dma_transfer_info GetDmaTransferInfo,
            initialize_dma_transfer_context InitializeDmaTransferContext, allocate_common_buffer_ex AllocateCommonBufferEx,
            allocate_adapter_channel_ex AllocateAdapterChannelEx, configure_adapter_channel ConfigureAdapterChannel,
            cancel_adapter_channel CancelAdapterChannel, map_transfer_ex MapTransferEx,
            get_scatter_gather_list_ex GetScatterGatherListEx, build_scatter_gather_list_ex BuildScatterGatherListEx,
            flush_adapter_buffers_ex FlushAdapterBuffersEx, free_adapter_object FreeAdapterObject,
            cancel_mapped_transfer CancelMappedTransfer, allocate_domain_common_buffer AllocateDomainCommonBuffer,
            flush_dma_buffer FlushDmaBuffer, join_dma_domain JoinDmaDomain,
            leave_dma_domain LeaveDmaDomain, get_dma_domain GetDmaDomain,
            allocate_common_buffer_with_bounds AllocateCommonBufferWithBounds, allocate_common_buffer_vector AllocateCommonBufferVector,
            get_common_buffer_from_vector_by_index GetCommonBufferFromVectorByIndex, free_common_buffer_from_vector FreeCommonBufferFromVector,
            free_common_buffer_vector FreeCommonBufferVector, create_common_buffer_from_mdl CreateCommonBufferFromMdl,
        );
        assert_eq!(entry, 40, "the size and 39 operations");
        assert_eq!(size_of::<Operations>(), size_of::<sys::DMA_OPERATIONS>());
    }

    /// Proves: WDM-037.
    #[test]
    fn each_version_has_a_table_of_its_own_length() {
        let behind = |offset: usize| (offset + 8) as u32;
        let ends = [
            behind(offset_of!(Operations, put_scatter_gather_list)),
            behind(offset_of!(Operations, build_mdl_from_scatter_gather_list)),
            behind(offset_of!(Operations, cancel_mapped_transfer)),
            behind(offset_of!(Operations, get_dma_domain)),
            behind(offset_of!(Operations, allocate_common_buffer_with_bounds)),
            behind(offset_of!(Operations, free_common_buffer_vector)),
            behind(offset_of!(Operations, create_common_buffer_from_mdl)),
        ];
        let (one, two, three) = (Operations::SIZE_1, Operations::SIZE_2, Operations::SIZE_3);
        assert_eq!(ends, [one, two, three, 272, 280, 312, 320]);
        assert_eq!((one, two, three), (104, 128, 232));
    }
}
