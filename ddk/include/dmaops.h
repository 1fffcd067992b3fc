/*
 * DMA: the adapter, and the table of its operations. Comes with wdm.h.
 *
 * A driver asks for an adapter of the version of its description. Size says how long the table is: 104 bytes for
 * versions 0 and 1, 128 for 2, 232 for 3. What stands behind that is no part of the table; it is there all the same,
 * and does nothing but refuse.
 */
#ifndef LONGSHORE_DMAOPS_H
#define LONGSHORE_DMAOPS_H

#ifndef LONGSHORE_WDM_H
#error "this is a part of wdm.h: include that"
#endif

LONGSHORE_BEGIN

typedef struct _DMA_COMMON_BUFFER_VECTOR DMA_COMMON_BUFFER_VECTOR, *PDMA_COMMON_BUFFER_VECTOR;
typedef struct _DMA_COMMON_BUFFER_EXTENDED_CONFIGURATION DMA_COMMON_BUFFER_EXTENDED_CONFIGURATION,
    *PDMA_COMMON_BUFFER_EXTENDED_CONFIGURATION;

/* ---- v1: descriptions of version 0 and 1 ---- */

typedef _IRQL_requires_max_(DISPATCH_LEVEL) VOID NTAPI PUT_DMA_ADAPTER(_Inout_ PDMA_ADAPTER DmaAdapter);
typedef PUT_DMA_ADAPTER *PPUT_DMA_ADAPTER;

typedef _IRQL_requires_(PASSIVE_LEVEL) PVOID NTAPI ALLOCATE_COMMON_BUFFER(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ ULONG Length,
    _Out_ PPHYSICAL_ADDRESS LogicalAddress,
    _In_ BOOLEAN CacheEnabled);
typedef ALLOCATE_COMMON_BUFFER *PALLOCATE_COMMON_BUFFER;

typedef _IRQL_requires_(PASSIVE_LEVEL) VOID NTAPI FREE_COMMON_BUFFER(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ ULONG Length,
    _In_ PHYSICAL_ADDRESS LogicalAddress,
    _In_ PVOID VirtualAddress,
    _In_ BOOLEAN CacheEnabled);
typedef FREE_COMMON_BUFFER *PFREE_COMMON_BUFFER;

typedef _IRQL_requires_(DISPATCH_LEVEL) NTSTATUS NTAPI ALLOCATE_ADAPTER_CHANNEL(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDEVICE_OBJECT DeviceObject,
    _In_ ULONG NumberOfMapRegisters,
    _In_ PDRIVER_CONTROL ExecutionRoutine,
    _In_ PVOID Context);
typedef ALLOCATE_ADAPTER_CHANNEL *PALLOCATE_ADAPTER_CHANNEL;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) BOOLEAN NTAPI FLUSH_ADAPTER_BUFFERS(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PMDL Mdl,
    _In_ PVOID MapRegisterBase,
    _In_ PVOID CurrentVa,
    _In_ ULONG Length,
    _In_ BOOLEAN WriteToDevice);
typedef FLUSH_ADAPTER_BUFFERS *PFLUSH_ADAPTER_BUFFERS;

typedef _IRQL_requires_(DISPATCH_LEVEL) VOID NTAPI FREE_ADAPTER_CHANNEL(_In_ PDMA_ADAPTER DmaAdapter);
typedef FREE_ADAPTER_CHANNEL *PFREE_ADAPTER_CHANNEL;

typedef _IRQL_requires_(DISPATCH_LEVEL) VOID NTAPI FREE_MAP_REGISTERS(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PVOID MapRegisterBase,
    _In_ ULONG NumberOfMapRegisters);
typedef FREE_MAP_REGISTERS *PFREE_MAP_REGISTERS;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) PHYSICAL_ADDRESS NTAPI MAP_TRANSFER(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PMDL Mdl,
    _In_ PVOID MapRegisterBase,
    _In_ PVOID CurrentVa,
    _Inout_ PULONG Length,
    _In_ BOOLEAN WriteToDevice);
typedef MAP_TRANSFER *PMAP_TRANSFER;

typedef _IRQL_requires_(PASSIVE_LEVEL) ULONG NTAPI GET_DMA_ALIGNMENT(_In_ PDMA_ADAPTER DmaAdapter);
typedef GET_DMA_ALIGNMENT *PGET_DMA_ALIGNMENT;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) ULONG NTAPI READ_DMA_COUNTER(_In_ PDMA_ADAPTER DmaAdapter);
typedef READ_DMA_COUNTER *PREAD_DMA_COUNTER;

typedef _IRQL_requires_(DISPATCH_LEVEL) NTSTATUS NTAPI GET_SCATTER_GATHER_LIST(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDEVICE_OBJECT DeviceObject,
    _In_ PMDL Mdl,
    _In_ PVOID CurrentVa,
    _In_ ULONG Length,
    _In_ PDRIVER_LIST_CONTROL ExecutionRoutine,
    _In_ PVOID Context,
    _In_ BOOLEAN WriteToDevice);
typedef GET_SCATTER_GATHER_LIST *PGET_SCATTER_GATHER_LIST;

typedef _IRQL_requires_(DISPATCH_LEVEL) VOID NTAPI PUT_SCATTER_GATHER_LIST(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PSCATTER_GATHER_LIST ScatterGather,
    _In_ BOOLEAN WriteToDevice);
typedef PUT_SCATTER_GATHER_LIST *PPUT_SCATTER_GATHER_LIST;

/* ---- v2: descriptions of version 2 ---- */

typedef NTSTATUS NTAPI CALCULATE_SCATTER_GATHER_LIST_SIZE(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_opt_ PMDL Mdl,
    _In_ PVOID CurrentVa,
    _In_ ULONG Length,
    _Out_ PULONG ScatterGatherListSize,
    _Out_opt_ PULONG NumberOfMapRegisters);
typedef CALCULATE_SCATTER_GATHER_LIST_SIZE *PCALCULATE_SCATTER_GATHER_LIST_SIZE;

typedef _IRQL_requires_(DISPATCH_LEVEL) NTSTATUS NTAPI BUILD_SCATTER_GATHER_LIST(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDEVICE_OBJECT DeviceObject,
    _In_ PMDL Mdl,
    _In_ PVOID CurrentVa,
    _In_ ULONG Length,
    _In_ PDRIVER_LIST_CONTROL ExecutionRoutine,
    _In_ PVOID Context,
    _In_ BOOLEAN WriteToDevice,
    _In_ PVOID ScatterGatherBuffer,
    _In_ ULONG ScatterGatherLength);
typedef BUILD_SCATTER_GATHER_LIST *PBUILD_SCATTER_GATHER_LIST;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI BUILD_MDL_FROM_SCATTER_GATHER_LIST(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PSCATTER_GATHER_LIST ScatterGather,
    _In_ PMDL OriginalMdl,
    _Out_ PMDL *TargetMdl);
typedef BUILD_MDL_FROM_SCATTER_GATHER_LIST *PBUILD_MDL_FROM_SCATTER_GATHER_LIST;

/* ---- v3: descriptions of version 3 ---- */

typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI GET_DMA_ADAPTER_INFO(
    _In_ PDMA_ADAPTER DmaAdapter,
    _Inout_ PDMA_ADAPTER_INFO AdapterInfo);
typedef GET_DMA_ADAPTER_INFO *PGET_DMA_ADAPTER_INFO;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI GET_DMA_TRANSFER_INFO(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PMDL Mdl,
    _In_ ULONGLONG Offset,
    _In_ ULONG Length,
    _In_ BOOLEAN WriteOnly,
    _Inout_ PDMA_TRANSFER_INFO TransferInfo);
typedef GET_DMA_TRANSFER_INFO *PGET_DMA_TRANSFER_INFO;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI INITIALIZE_DMA_TRANSFER_CONTEXT(
    _In_ PDMA_ADAPTER DmaAdapter,
    _Out_ PVOID DmaTransferContext);
typedef INITIALIZE_DMA_TRANSFER_CONTEXT *PINITIALIZE_DMA_TRANSFER_CONTEXT;

typedef _IRQL_requires_(PASSIVE_LEVEL) PVOID NTAPI ALLOCATE_COMMON_BUFFER_EX(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_opt_ PPHYSICAL_ADDRESS MaximumAddress,
    _In_ ULONG Length,
    _Out_ PPHYSICAL_ADDRESS LogicalAddress,
    _In_ BOOLEAN CacheEnabled,
    _In_ ULONG PreferredNode);
typedef ALLOCATE_COMMON_BUFFER_EX *PALLOCATE_COMMON_BUFFER_EX;

typedef _IRQL_requires_(DISPATCH_LEVEL) NTSTATUS NTAPI ALLOCATE_ADAPTER_CHANNEL_EX(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDEVICE_OBJECT DeviceObject,
    _In_ PVOID DmaTransferContext,
    _In_ ULONG NumberOfMapRegisters,
    _In_ ULONG Flags,
    _In_opt_ PDRIVER_CONTROL ExecutionRoutine,
    _In_opt_ PVOID ExecutionContext,
    _Out_opt_ PVOID *MapRegisterBase);
typedef ALLOCATE_ADAPTER_CHANNEL_EX *PALLOCATE_ADAPTER_CHANNEL_EX;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI CONFIGURE_ADAPTER_CHANNEL(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ ULONG FunctionNumber,
    _In_ PVOID Context);
typedef CONFIGURE_ADAPTER_CHANNEL *PCONFIGURE_ADAPTER_CHANNEL;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) BOOLEAN NTAPI CANCEL_ADAPTER_CHANNEL(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDEVICE_OBJECT DeviceObject,
    _In_ PVOID DmaTransferContext);
typedef CANCEL_ADAPTER_CHANNEL *PCANCEL_ADAPTER_CHANNEL;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI MAP_TRANSFER_EX(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PMDL Mdl,
    _In_ PVOID MapRegisterBase,
    _In_ ULONGLONG Offset,
    _In_ ULONG DeviceOffset,
    _Inout_ PULONG Length,
    _In_ BOOLEAN WriteToDevice,
    _Out_writes_bytes_opt_(ScatterGatherBufferLength) PSCATTER_GATHER_LIST ScatterGatherBuffer,
    _In_ ULONG ScatterGatherBufferLength,
    _In_opt_ PDMA_COMPLETION_ROUTINE DmaCompletionRoutine,
    _In_opt_ PVOID CompletionContext);
typedef MAP_TRANSFER_EX *PMAP_TRANSFER_EX;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI GET_SCATTER_GATHER_LIST_EX(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDEVICE_OBJECT DeviceObject,
    _In_ PVOID DmaTransferContext,
    _In_ PMDL Mdl,
    _In_ ULONGLONG Offset,
    _In_ ULONG Length,
    _In_ ULONG Flags,
    _In_opt_ PDRIVER_LIST_CONTROL ExecutionRoutine,
    _In_opt_ PVOID Context,
    _In_ BOOLEAN WriteToDevice,
    _In_opt_ PDMA_COMPLETION_ROUTINE DmaCompletionRoutine,
    _In_opt_ PVOID CompletionContext,
    _Out_opt_ PSCATTER_GATHER_LIST *ScatterGatherList);
typedef GET_SCATTER_GATHER_LIST_EX *PGET_SCATTER_GATHER_LIST_EX;

typedef _IRQL_requires_(DISPATCH_LEVEL) NTSTATUS NTAPI BUILD_SCATTER_GATHER_LIST_EX(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDEVICE_OBJECT DeviceObject,
    _In_ PVOID DmaTransferContext,
    _In_ PMDL Mdl,
    _In_ ULONGLONG Offset,
    _In_ ULONG Length,
    _In_ ULONG Flags,
    _In_opt_ PDRIVER_LIST_CONTROL ExecutionRoutine,
    _In_opt_ PVOID Context,
    _In_ BOOLEAN WriteToDevice,
    _In_ PVOID ScatterGatherBuffer,
    _In_ ULONG ScatterGatherLength,
    _In_opt_ PDMA_COMPLETION_ROUTINE DmaCompletionRoutine,
    _In_opt_ PVOID CompletionContext,
    _Out_opt_ PVOID ScatterGatherList);
typedef BUILD_SCATTER_GATHER_LIST_EX *PBUILD_SCATTER_GATHER_LIST_EX;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI FLUSH_ADAPTER_BUFFERS_EX(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PMDL Mdl,
    _In_ PVOID MapRegisterBase,
    _In_ ULONGLONG Offset,
    _In_ ULONG Length,
    _In_ BOOLEAN WriteToDevice);
typedef FLUSH_ADAPTER_BUFFERS_EX *PFLUSH_ADAPTER_BUFFERS_EX;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) VOID NTAPI FREE_ADAPTER_OBJECT(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ IO_ALLOCATION_ACTION AllocationAction);
typedef FREE_ADAPTER_OBJECT *PFREE_ADAPTER_OBJECT;

typedef _IRQL_requires_max_(DISPATCH_LEVEL) NTSTATUS NTAPI CANCEL_MAPPED_TRANSFER(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PVOID DmaTransferContext);
typedef CANCEL_MAPPED_TRANSFER *PCANCEL_MAPPED_TRANSFER;

/* ---- what later versions of Windows appended: no table is that long here, and each is refused ---- */

typedef _IRQL_requires_(PASSIVE_LEVEL) NTSTATUS NTAPI ALLOCATE_DOMAIN_COMMON_BUFFER(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ HANDLE DomainHandle,
    _In_opt_ PPHYSICAL_ADDRESS MaximumAddress,
    _In_ ULONG Length,
    _In_ ULONG Flags,
    _In_opt_ MEMORY_CACHING_TYPE *CacheType,
    _In_ ULONG PreferredNode,
    _Out_ PPHYSICAL_ADDRESS LogicalAddress,
    _Out_ PVOID *VirtualAddress);
typedef ALLOCATE_DOMAIN_COMMON_BUFFER *PALLOCATE_DOMAIN_COMMON_BUFFER;

typedef NTSTATUS NTAPI FLUSH_DMA_BUFFER(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PMDL Mdl,
    _In_ BOOLEAN ReadOperation);
typedef FLUSH_DMA_BUFFER *PFLUSH_DMA_BUFFER;

typedef _IRQL_requires_(PASSIVE_LEVEL) NTSTATUS NTAPI JOIN_DMA_DOMAIN(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ HANDLE DomainHandle);
typedef JOIN_DMA_DOMAIN *PJOIN_DMA_DOMAIN;

typedef _IRQL_requires_(PASSIVE_LEVEL) NTSTATUS NTAPI LEAVE_DMA_DOMAIN(_In_ PDMA_ADAPTER DmaAdapter);
typedef LEAVE_DMA_DOMAIN *PLEAVE_DMA_DOMAIN;

typedef _IRQL_requires_(PASSIVE_LEVEL) HANDLE NTAPI GET_DMA_DOMAIN(_In_ PDMA_ADAPTER DmaAdapter);
typedef GET_DMA_DOMAIN *PGET_DMA_DOMAIN;

typedef _IRQL_requires_(PASSIVE_LEVEL) PVOID NTAPI ALLOCATE_COMMON_BUFFER_WITH_BOUNDS(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_opt_ PPHYSICAL_ADDRESS MinimumAddress,
    _In_opt_ PPHYSICAL_ADDRESS MaximumAddress,
    _In_ ULONG Length,
    _In_ ULONG Flags,
    _In_opt_ MEMORY_CACHING_TYPE *CacheType,
    _In_ ULONG PreferredNode,
    _Out_ PPHYSICAL_ADDRESS LogicalAddress);
typedef ALLOCATE_COMMON_BUFFER_WITH_BOUNDS *PALLOCATE_COMMON_BUFFER_WITH_BOUNDS;

typedef NTSTATUS NTAPI ALLOCATE_COMMON_BUFFER_VECTOR(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PHYSICAL_ADDRESS LowAddress,
    _In_ PHYSICAL_ADDRESS HighAddress,
    _In_ MEMORY_CACHING_TYPE CacheType,
    _In_ ULONG IdealNode,
    _In_ ULONG Flags,
    _In_ ULONG NumberOfElements,
    _In_ ULONGLONG SizeOfElements,
    _Out_ PDMA_COMMON_BUFFER_VECTOR *VectorOut);
typedef ALLOCATE_COMMON_BUFFER_VECTOR *PALLOCATE_COMMON_BUFFER_VECTOR;

typedef VOID NTAPI GET_COMMON_BUFFER_FROM_VECTOR_BY_INDEX(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDMA_COMMON_BUFFER_VECTOR Vector,
    _In_ ULONG Index,
    _Out_ PVOID *VirtualAddressOut,
    _Out_ PPHYSICAL_ADDRESS LogicalAddressOut);
typedef GET_COMMON_BUFFER_FROM_VECTOR_BY_INDEX *PGET_COMMON_BUFFER_FROM_VECTOR_BY_INDEX;

typedef VOID NTAPI FREE_COMMON_BUFFER_FROM_VECTOR(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDMA_COMMON_BUFFER_VECTOR Vector,
    _In_ ULONG Index);
typedef FREE_COMMON_BUFFER_FROM_VECTOR *PFREE_COMMON_BUFFER_FROM_VECTOR;

typedef VOID NTAPI FREE_COMMON_BUFFER_VECTOR(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PDMA_COMMON_BUFFER_VECTOR Vector);
typedef FREE_COMMON_BUFFER_VECTOR *PFREE_COMMON_BUFFER_VECTOR;

typedef _IRQL_requires_(PASSIVE_LEVEL) NTSTATUS NTAPI CREATE_COMMON_BUFFER_FROM_MDL(
    _In_ PDMA_ADAPTER DmaAdapter,
    _In_ PMDL Mdl,
    _In_reads_opt_(ExtendedConfigsCount) PDMA_COMMON_BUFFER_EXTENDED_CONFIGURATION ExtendedConfigs,
    _In_ ULONG ExtendedConfigsCount,
    _Out_ PPHYSICAL_ADDRESS LogicalAddress);
typedef CREATE_COMMON_BUFFER_FROM_MDL *PCREATE_COMMON_BUFFER_FROM_MDL;

/* ---- the table ---- */

typedef struct _DMA_OPERATIONS {
    ULONG Size;
    PPUT_DMA_ADAPTER PutDmaAdapter;
    PALLOCATE_COMMON_BUFFER AllocateCommonBuffer;
    PFREE_COMMON_BUFFER FreeCommonBuffer;
    PALLOCATE_ADAPTER_CHANNEL AllocateAdapterChannel;
    PFLUSH_ADAPTER_BUFFERS FlushAdapterBuffers;
    PFREE_ADAPTER_CHANNEL FreeAdapterChannel;
    PFREE_MAP_REGISTERS FreeMapRegisters;
    PMAP_TRANSFER MapTransfer;
    PGET_DMA_ALIGNMENT GetDmaAlignment;
    PREAD_DMA_COUNTER ReadDmaCounter;
    PGET_SCATTER_GATHER_LIST GetScatterGatherList;
    PPUT_SCATTER_GATHER_LIST PutScatterGatherList;
    PCALCULATE_SCATTER_GATHER_LIST_SIZE CalculateScatterGatherList;
    PBUILD_SCATTER_GATHER_LIST BuildScatterGatherList;
    PBUILD_MDL_FROM_SCATTER_GATHER_LIST BuildMdlFromScatterGatherList;
    PGET_DMA_ADAPTER_INFO GetDmaAdapterInfo;
    PGET_DMA_TRANSFER_INFO GetDmaTransferInfo;
    PINITIALIZE_DMA_TRANSFER_CONTEXT InitializeDmaTransferContext;
    PALLOCATE_COMMON_BUFFER_EX AllocateCommonBufferEx;
    PALLOCATE_ADAPTER_CHANNEL_EX AllocateAdapterChannelEx;
    PCONFIGURE_ADAPTER_CHANNEL ConfigureAdapterChannel;
    PCANCEL_ADAPTER_CHANNEL CancelAdapterChannel;
    PMAP_TRANSFER_EX MapTransferEx;
    PGET_SCATTER_GATHER_LIST_EX GetScatterGatherListEx;
    PBUILD_SCATTER_GATHER_LIST_EX BuildScatterGatherListEx;
    PFLUSH_ADAPTER_BUFFERS_EX FlushAdapterBuffersEx;
    PFREE_ADAPTER_OBJECT FreeAdapterObject;
    PCANCEL_MAPPED_TRANSFER CancelMappedTransfer;
    PALLOCATE_DOMAIN_COMMON_BUFFER AllocateDomainCommonBuffer;
    PFLUSH_DMA_BUFFER FlushDmaBuffer;
    PJOIN_DMA_DOMAIN JoinDmaDomain;
    PLEAVE_DMA_DOMAIN LeaveDmaDomain;
    PGET_DMA_DOMAIN GetDmaDomain;
    PALLOCATE_COMMON_BUFFER_WITH_BOUNDS AllocateCommonBufferWithBounds;
    PALLOCATE_COMMON_BUFFER_VECTOR AllocateCommonBufferVector;
    PGET_COMMON_BUFFER_FROM_VECTOR_BY_INDEX GetCommonBufferFromVectorByIndex;
    PFREE_COMMON_BUFFER_FROM_VECTOR FreeCommonBufferFromVector;
    PFREE_COMMON_BUFFER_VECTOR FreeCommonBufferVector;
    PCREATE_COMMON_BUFFER_FROM_MDL CreateCommonBufferFromMdl;
} DMA_OPERATIONS, *PDMA_OPERATIONS;

/* Version is 1 whatever version was asked for. */
struct _DMA_ADAPTER {
    USHORT Version;
    USHORT Size;
    PDMA_OPERATIONS DmaOperations;
};

/*
 * PASSIVE_LEVEL, from LsAttachDevice. NULL if the version is not known, if there is no such channel or request line,
 * or if somebody else has claimed it. No transfer may use more than NumberOfMapRegisters.
 */
_IRQL_requires_(PASSIVE_LEVEL)
PDMA_ADAPTER NTAPI IoGetDmaAdapter(
    _In_opt_ PDEVICE_OBJECT PhysicalDeviceObject,
    _In_ PDEVICE_DESCRIPTION DeviceDescription,
    _Out_ PULONG NumberOfMapRegisters);

LONGSHORE_END

#endif
