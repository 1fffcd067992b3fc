/*
 * DMA: every size, offset and value of the headers, as the compiler sees them. Compiled as C and as C++, for x64 and,
 * without a library, for x86.
 */
#ifdef THROUGH_NTIFS
#include "ntifs.h"
#else
#include "ntddk.h"
#endif
#include "layout.h"

/* WDM-001 */
C_ASSERT(DmaComplete == 0 && DmaAborted == 1 && DmaError == 2 && DmaCancelled == 3);
SIZE(DMA_COMPLETION_STATUS, 4, 4);

/* WDM-031 */
SIZE(DMA_ADAPTER, 16, 8);
AT(DMA_ADAPTER, Version, 0, 0);
AT(DMA_ADAPTER, Size, 2, 2);
AT(DMA_ADAPTER, DmaOperations, 8, 4);

/* WDM-035: entry k stands at k pointers. */
#define ENTRY(k, member) AT(DMA_OPERATIONS, member, 8 * (k), 4 * (k))
AT(DMA_OPERATIONS, Size, 0, 0);
SIZE(((DMA_OPERATIONS *)0)->Size, 4, 4);
ENTRY(1, PutDmaAdapter);
ENTRY(2, AllocateCommonBuffer);
ENTRY(3, FreeCommonBuffer);
ENTRY(4, AllocateAdapterChannel);
ENTRY(5, FlushAdapterBuffers);
ENTRY(6, FreeAdapterChannel);
ENTRY(7, FreeMapRegisters);
ENTRY(8, MapTransfer);
ENTRY(9, GetDmaAlignment);
ENTRY(10, ReadDmaCounter);
ENTRY(11, GetScatterGatherList);
ENTRY(12, PutScatterGatherList);
ENTRY(13, CalculateScatterGatherList);
ENTRY(14, BuildScatterGatherList);
ENTRY(15, BuildMdlFromScatterGatherList);
ENTRY(16, GetDmaAdapterInfo);
ENTRY(17, GetDmaTransferInfo);
ENTRY(18, InitializeDmaTransferContext);
ENTRY(19, AllocateCommonBufferEx);
ENTRY(20, AllocateAdapterChannelEx);
ENTRY(21, ConfigureAdapterChannel);
ENTRY(22, CancelAdapterChannel);
ENTRY(23, MapTransferEx);
ENTRY(24, GetScatterGatherListEx);
ENTRY(25, BuildScatterGatherListEx);
ENTRY(26, FlushAdapterBuffersEx);
ENTRY(27, FreeAdapterObject);
ENTRY(28, CancelMappedTransfer);
ENTRY(29, AllocateDomainCommonBuffer);
ENTRY(30, FlushDmaBuffer);
ENTRY(31, JoinDmaDomain);
ENTRY(32, LeaveDmaDomain);
ENTRY(33, GetDmaDomain);
ENTRY(34, AllocateCommonBufferWithBounds);
ENTRY(35, AllocateCommonBufferVector);
ENTRY(36, GetCommonBufferFromVectorByIndex);
ENTRY(37, FreeCommonBufferFromVector);
ENTRY(38, FreeCommonBufferVector);
ENTRY(39, CreateCommonBufferFromMdl);

/* WDM-037 */
#define THROUGH(member) RTL_SIZEOF_THROUGH_FIELD(DMA_OPERATIONS, member)
C_ASSERT(THROUGH(PutScatterGatherList) == ON(104, 52));
C_ASSERT(THROUGH(BuildMdlFromScatterGatherList) == ON(128, 64));
C_ASSERT(THROUGH(CancelMappedTransfer) == ON(232, 116));
C_ASSERT(THROUGH(GetDmaDomain) == ON(272, 136));
C_ASSERT(THROUGH(AllocateCommonBufferWithBounds) == ON(280, 140));
C_ASSERT(THROUGH(FreeCommonBufferVector) == ON(312, 156));
C_ASSERT(THROUGH(CreateCommonBufferFromMdl) == ON(320, 160));
SIZE(DMA_OPERATIONS, 320, 160);

/* WDM-039 to WDM-042, WDM-048 */
C_ASSERT(KeepObject == 1 && DeallocateObject == 2 && DeallocateObjectKeepRegisters == 3);
SIZE(IO_ALLOCATION_ACTION, 4, 4);
C_ASSERT(Width8Bits == 0 && Width16Bits == 1 && Width32Bits == 2 && Width64Bits == 3);
C_ASSERT(WidthNoWrap == 4 && MaximumDmaWidth == 5);
C_ASSERT(Compatible == 0 && TypeA == 1 && TypeB == 2 && TypeC == 3 && TypeF == 4 && MaximumDmaSpeed == 5);
C_ASSERT(InterfaceTypeUndefined == -1 && Internal == 0 && Isa == 1 && Eisa == 2 && MicroChannel == 3);
C_ASSERT(TurboChannel == 4 && PCIBus == 5 && VMEBus == 6 && NuBus == 7 && PCMCIABus == 8 && CBus == 9);
C_ASSERT(MPIBus == 10 && MPSABus == 11 && ProcessorInternal == 12 && InternalPowerBus == 13);
C_ASSERT(PNPISABus == 14 && PNPBus == 15 && Vmcs == 16 && ACPIBus == 17 && MaximumInterfaceType == 18);
C_ASSERT(MmNotMapped == -1 && MmNonCached == 0 && MmCached == 1 && MmWriteCombined == 2);
C_ASSERT(MmHardwareCoherentCached == 3 && MmNonCachedUnordered == 4 && MmUSWCCached == 5);
C_ASSERT(MmMaximumCacheType == 6);

/* WDM-043 to WDM-047 */
C_ASSERT(DMA_SYNCHRONOUS_CALLBACK == 1 && DMA_ZERO_BUFFERS == 2 && DMA_FAIL_ON_BOUNCE == 4);
C_ASSERT(DMA_TRANSFER_CONTEXT_VERSION1 == 1 && DMA_TRANSFER_CONTEXT_SIZE_V1 == ON(128, 64));
C_ASSERT(DMA_ADAPTER_INFO_VERSION1 == 1);
C_ASSERT(DMA_TRANSFER_INFO_VERSION1 == 1 && DMA_TRANSFER_INFO_VERSION2 == 2);
C_ASSERT(ADAPTER_INFO_SYNCHRONOUS_CALLBACK == 1 && ADAPTER_INFO_API_BYPASS == 2);
C_ASSERT(DOMAIN_COMMON_BUFFER_LARGE_PAGE == 1);

/* WDM-049, WDM-050 */
SIZE(DEVICE_DESCRIPTION, 64, 64);
AT(DEVICE_DESCRIPTION, Version, 0, 0);
AT(DEVICE_DESCRIPTION, Master, 4, 4);
AT(DEVICE_DESCRIPTION, ScatterGather, 5, 5);
AT(DEVICE_DESCRIPTION, DemandMode, 6, 6);
AT(DEVICE_DESCRIPTION, AutoInitialize, 7, 7);
AT(DEVICE_DESCRIPTION, Dma32BitAddresses, 8, 8);
AT(DEVICE_DESCRIPTION, IgnoreCount, 9, 9);
AT(DEVICE_DESCRIPTION, Reserved1, 10, 10);
AT(DEVICE_DESCRIPTION, Dma64BitAddresses, 11, 11);
AT(DEVICE_DESCRIPTION, BusNumber, 12, 12);
AT(DEVICE_DESCRIPTION, DmaChannel, 16, 16);
AT(DEVICE_DESCRIPTION, InterfaceType, 20, 20);
AT(DEVICE_DESCRIPTION, DmaWidth, 24, 24);
AT(DEVICE_DESCRIPTION, DmaSpeed, 28, 28);
AT(DEVICE_DESCRIPTION, MaximumLength, 32, 32);
AT(DEVICE_DESCRIPTION, DmaPort, 36, 36);
AT(DEVICE_DESCRIPTION, DmaAddressWidth, 40, 40);
AT(DEVICE_DESCRIPTION, DmaControllerInstance, 44, 44);
AT(DEVICE_DESCRIPTION, DmaRequestLine, 48, 48);
AT(DEVICE_DESCRIPTION, DeviceAddress, 56, 56);
C_ASSERT(DEVICE_DESCRIPTION_VERSION == 0 && DEVICE_DESCRIPTION_VERSION1 == 1);
C_ASSERT(DEVICE_DESCRIPTION_VERSION2 == 2 && DEVICE_DESCRIPTION_VERSION3 == 3);

/* WDM-071, WDM-072 */
SIZE(CM_PARTIAL_RESOURCE_DESCRIPTOR, 20, 16);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, Type, 0, 0);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, ShareDisposition, 1, 1);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, Flags, 2, 2);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, u.Dma.Channel, 4, 4);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, u.Dma.Port, 8, 8);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, u.Dma.Reserved1, 12, 12);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, u.DmaV3.Channel, 4, 4);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, u.DmaV3.RequestLine, 8, 8);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, u.DmaV3.TransferWidth, 12, 12);
SIZE(((CM_PARTIAL_RESOURCE_DESCRIPTOR *)0)->u.DmaV3.TransferWidth, 1, 1);
SIZE(((CM_PARTIAL_RESOURCE_DESCRIPTOR *)0)->u.DmaV3, 12, 12);
C_ASSERT(CmResourceTypeDma == 4);
C_ASSERT(CM_RESOURCE_DMA_8 == 0 && CM_RESOURCE_DMA_16 == 1 && CM_RESOURCE_DMA_32 == 2);
C_ASSERT(CM_RESOURCE_DMA_8_AND_16 == 4 && CM_RESOURCE_DMA_BUS_MASTER == 8 && CM_RESOURCE_DMA_TYPE_A == 0x10);
C_ASSERT(CM_RESOURCE_DMA_TYPE_B == 0x20 && CM_RESOURCE_DMA_TYPE_F == 0x40 && CM_RESOURCE_DMA_V3 == 0x80);

/* WDM-073, WDM-074, WDM-077 */
AT(DMA_ADAPTER_INFO, V1.ReadDmaCounterAvailable, 8, 8);
AT(DMA_ADAPTER_INFO, V1.ScatterGatherLimit, 12, 12);
AT(DMA_ADAPTER_INFO, V1.DmaAddressWidth, 16, 16);
AT(DMA_ADAPTER_INFO, V1.Flags, 20, 20);
AT(DMA_ADAPTER_INFO, V1.MinimumTransferUnit, 24, 24);
AT(DMA_ADAPTER_INFO, Crashdump.DeviceDescription, 8, 8);
AT(DMA_ADAPTER_INFO, Crashdump.DeviceIdSize, 72, 72);
AT(DMA_ADAPTER_INFO, Crashdump.DeviceId, 80, 76);
SIZE(DMA_ADAPTER_INFO_V1, 20, 20);
SIZE(DMA_ADAPTER_INFO, 88, 80);
AT(DMA_TRANSFER_INFO, V1.MapRegisterCount, 4, 4);
AT(DMA_TRANSFER_INFO, V1.ScatterGatherElementCount, 8, 8);
AT(DMA_TRANSFER_INFO, V1.ScatterGatherListSize, 12, 12);
AT(DMA_TRANSFER_INFO, V2.LogicalPageCount, 16, 16);
SIZE(DMA_TRANSFER_INFO_V1, 12, 12);
SIZE(DMA_TRANSFER_INFO_V2, 16, 16);
SIZE(DMA_TRANSFER_INFO, 20, 20);

/* WDM-078, WDM-079 */
SIZE(SCATTER_GATHER_ELEMENT, 24, 16);
AT(SCATTER_GATHER_ELEMENT, Address, 0, 0);
AT(SCATTER_GATHER_ELEMENT, Length, 8, 8);
AT(SCATTER_GATHER_ELEMENT, Reserved, ON(16, 12), 12);
SIZE(SCATTER_GATHER_LIST, 16, 8);
AT(SCATTER_GATHER_LIST, NumberOfElements, 0, 0);
AT(SCATTER_GATHER_LIST, Reserved, 8, 4);
AT(SCATTER_GATHER_LIST, Elements, 16, 8);

SIZE(MDL, 48, 28);
AT(MDL, Next, 0, 0);
AT(MDL, Size, 8, 4);
AT(MDL, MdlFlags, 10, 6);
AT(MDL, Process, 16, 8);
AT(MDL, MappedSystemVa, 24, 12);
AT(MDL, StartVa, 32, 16);
AT(MDL, ByteCount, 40, 20);
AT(MDL, ByteOffset, 44, 24);
C_ASSERT(MDL_MAPPED_TO_SYSTEM_VA == 1 && MDL_PAGES_LOCKED == 2 && MDL_SOURCE_IS_NONPAGED_POOL == 4);
C_ASSERT(LowPagePriority == 0 && NormalPagePriority == 16 && HighPagePriority == 32);
C_ASSERT(ADDRESS_AND_SIZE_TO_SPAN_PAGES(0, 0) == 0 && ADDRESS_AND_SIZE_TO_SPAN_PAGES(0xfff, 2) == 2);

/* Routines are declared by their roles, as the pages show it. */
DMA_COMPLETION_ROUTINE DriverDmaCompletion;
DRIVER_CONTROL DriverAdapterControl;
DRIVER_LIST_CONTROL DriverAdapterListControl;

/* Each operation can be called through the table with the arguments of its page. */
void CallEach(PDMA_ADAPTER Adapter);
void CallEach(PDMA_ADAPTER Adapter)
{
    const DMA_OPERATIONS *Table = Adapter->DmaOperations;
    PHYSICAL_ADDRESS Zero;

    Zero.QuadPart = 0;
    (void)Table->PutDmaAdapter(Adapter);
    (void)Table->AllocateCommonBuffer(Adapter, 0, NULL, FALSE);
    (void)Table->FreeCommonBuffer(Adapter, 0, Zero, NULL, FALSE);
    (void)Table->AllocateAdapterChannel(Adapter, NULL, 0, NULL, NULL);
    (void)Table->FlushAdapterBuffers(Adapter, NULL, NULL, NULL, 0, FALSE);
    (void)Table->FreeAdapterChannel(Adapter);
    (void)Table->FreeMapRegisters(Adapter, NULL, 0);
    (void)Table->MapTransfer(Adapter, NULL, NULL, NULL, NULL, FALSE);
    (void)Table->GetDmaAlignment(Adapter);
    (void)Table->ReadDmaCounter(Adapter);
    (void)Table->GetScatterGatherList(Adapter, NULL, NULL, NULL, 0, NULL, NULL, FALSE);
    (void)Table->PutScatterGatherList(Adapter, NULL, FALSE);
    (void)Table->CalculateScatterGatherList(Adapter, NULL, NULL, 0, NULL, NULL);
    (void)Table->BuildScatterGatherList(Adapter, NULL, NULL, NULL, 0, NULL, NULL, FALSE, NULL, 0);
    (void)Table->BuildMdlFromScatterGatherList(Adapter, NULL, NULL, NULL);
    (void)Table->GetDmaAdapterInfo(Adapter, NULL);
    (void)Table->GetDmaTransferInfo(Adapter, NULL, 0, 0, FALSE, NULL);
    (void)Table->InitializeDmaTransferContext(Adapter, NULL);
    (void)Table->AllocateCommonBufferEx(Adapter, NULL, 0, NULL, FALSE, 0);
    (void)Table->AllocateAdapterChannelEx(Adapter, NULL, NULL, 0, 0, NULL, NULL, NULL);
    (void)Table->ConfigureAdapterChannel(Adapter, 0, NULL);
    (void)Table->CancelAdapterChannel(Adapter, NULL, NULL);
    (void)Table->MapTransferEx(Adapter, NULL, NULL, 0, 0, NULL, FALSE, NULL, 0, NULL, NULL);
    (void)Table->GetScatterGatherListEx(Adapter, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, FALSE, NULL, NULL, NULL);
    (void)Table->BuildScatterGatherListEx(Adapter, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, FALSE, NULL, 0, NULL, NULL, NULL);
    (void)Table->FlushAdapterBuffersEx(Adapter, NULL, NULL, 0, 0, FALSE);
    (void)Table->FreeAdapterObject(Adapter, KeepObject);
    (void)Table->CancelMappedTransfer(Adapter, NULL);
    (void)Table->AllocateDomainCommonBuffer(Adapter, NULL, NULL, 0, 0, NULL, 0, NULL, NULL);
    (void)Table->FlushDmaBuffer(Adapter, NULL, FALSE);
    (void)Table->JoinDmaDomain(Adapter, NULL);
    (void)Table->LeaveDmaDomain(Adapter);
    (void)Table->GetDmaDomain(Adapter);
    (void)Table->AllocateCommonBufferWithBounds(Adapter, NULL, NULL, 0, 0, NULL, 0, NULL);
    (void)Table->AllocateCommonBufferVector(Adapter, Zero, Zero, MmCached, 0, 0, 0, 0, NULL);
    (void)Table->GetCommonBufferFromVectorByIndex(Adapter, NULL, 0, NULL, NULL);
    (void)Table->FreeCommonBufferFromVector(Adapter, NULL, 0);
    (void)Table->FreeCommonBufferVector(Adapter, NULL);
    (void)Table->CreateCommonBufferFromMdl(Adapter, NULL, NULL, 0, NULL);
}
