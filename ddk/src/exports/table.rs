//! The tables of operations, one for each length.

use super::{absent, dma, lists, transfers};
use crate::abi::operations::Operations;
use longshore_wdm::Release;

/// A table that says it is so long. What stands behind that refuses.
const fn table(size: u32) -> Operations {
    Operations {
        size,
        put_dma_adapter: dma::PutDmaAdapter,
        allocate_common_buffer: dma::AllocateCommonBuffer,
        free_common_buffer: dma::FreeCommonBuffer,
        allocate_adapter_channel: transfers::AllocateAdapterChannel,
        flush_adapter_buffers: transfers::FlushAdapterBuffers,
        free_adapter_channel: transfers::FreeAdapterChannel,
        free_map_registers: transfers::FreeMapRegisters,
        map_transfer: transfers::MapTransfer,
        get_dma_alignment: dma::GetDmaAlignment,
        read_dma_counter: dma::ReadDmaCounter,
        get_scatter_gather_list: lists::GetScatterGatherList,
        put_scatter_gather_list: lists::PutScatterGatherList,
        calculate_scatter_gather_list: lists::CalculateScatterGatherList,
        build_scatter_gather_list: lists::BuildScatterGatherList,
        build_mdl_from_scatter_gather_list: lists::BuildMdlFromScatterGatherList,
        get_dma_adapter_info: dma::GetDmaAdapterInfo,
        get_dma_transfer_info: dma::GetDmaTransferInfo,
        initialize_dma_transfer_context: transfers::InitializeDmaTransferContext,
        allocate_common_buffer_ex: dma::AllocateCommonBufferEx,
        allocate_adapter_channel_ex: transfers::AllocateAdapterChannelEx,
        configure_adapter_channel: transfers::ConfigureAdapterChannel,
        cancel_adapter_channel: transfers::CancelAdapterChannel,
        map_transfer_ex: transfers::MapTransferEx,
        get_scatter_gather_list_ex: lists::GetScatterGatherListEx,
        build_scatter_gather_list_ex: lists::BuildScatterGatherListEx,
        flush_adapter_buffers_ex: transfers::FlushAdapterBuffersEx,
        free_adapter_object: transfers::FreeAdapterObject,
        cancel_mapped_transfer: transfers::CancelMappedTransfer,
        allocate_domain_common_buffer: absent::AllocateDomainCommonBuffer,
        flush_dma_buffer: absent::FlushDmaBuffer,
        join_dma_domain: absent::JoinDmaDomain,
        leave_dma_domain: absent::LeaveDmaDomain,
        get_dma_domain: absent::GetDmaDomain,
        allocate_common_buffer_with_bounds: absent::AllocateCommonBufferWithBounds,
        allocate_common_buffer_vector: absent::AllocateCommonBufferVector,
        get_common_buffer_from_vector_by_index: absent::GetCommonBufferFromVectorByIndex,
        free_common_buffer_from_vector: absent::FreeCommonBufferFromVector,
        free_common_buffer_vector: absent::FreeCommonBufferVector,
        create_common_buffer_from_mdl: absent::CreateCommonBufferFromMdl,
    }
}

static TABLES: [Operations; 3] = [
    table(Operations::SIZE_1),
    table(Operations::SIZE_2),
    table(Operations::SIZE_3),
];

/// The table of an adapter whose driver asked for this version.
pub(super) fn of(release: Release) -> *const Operations {
    let [first, second, third] = &TABLES;
    match release {
        Release::Version1 => first,
        Release::Version2 => second,
        _ => third,
    }
}
