/*
 * NDIS: every size, offset and value of ndis.h, as the compiler sees them. Compiled as C and as C++, for x64 and,
 * without a library, for x86.
 *
 * Windows' own metadata has the description of a channel, the object header, the types and revisions of objects, the
 * attribute flags and the interface types, and Rust holds ours against it. It does not have the structures of a
 * miniport's life, nor the statuses, the DMA sizes and the halt actions: those are the public numbers of NDIS 6.0, and
 * the layouts are what a compiler makes of their members in their order.
 */
#include "ndis.h"
#include "layout.h"

/* NDIS-090 */
SIZE(NDIS_STATUS, 4, 4);
#define STATUS_IS(name, value) C_ASSERT((ULONG)NDIS_STATUS_##name == (value))
STATUS_IS(SUCCESS, 0x00000000);
STATUS_IS(PENDING, 0x00000103);
STATUS_IS(FAILURE, 0xC0000001);
STATUS_IS(INVALID_PARAMETER, 0xC000000D);
STATUS_IS(RESOURCES, 0xC000009A);
STATUS_IS(NOT_SUPPORTED, 0xC00000BB);
STATUS_IS(CLOSING, 0xC0010002);
STATUS_IS(BAD_VERSION, 0xC0010004);
STATUS_IS(BAD_CHARACTERISTICS, 0xC0010005);
STATUS_IS(REQUEST_ABORTED, 0xC001000C);
STATUS_IS(RESET_IN_PROGRESS, 0xC001000D);
STATUS_IS(ADAPTER_NOT_READY, 0xC0010011);
STATUS_IS(INVALID_LENGTH, 0xC0010014);
STATUS_IS(RESOURCE_CONFLICT, 0xC001001E);
C_ASSERT(NDIS_STATUS_SUCCESS == STATUS_SUCCESS && NDIS_STATUS_PENDING == STATUS_PENDING);
C_ASSERT(NDIS_STATUS_FAILURE == STATUS_UNSUCCESSFUL && NDIS_STATUS_RESOURCES == STATUS_INSUFFICIENT_RESOURCES);
C_ASSERT(NDIS_STATUS_NOT_SUPPORTED == STATUS_NOT_SUPPORTED);
C_ASSERT(NDIS_STATUS_INVALID_PARAMETER == STATUS_INVALID_PARAMETER);

SIZE(NDIS_HANDLE, 8, 4);
SIZE(PNDIS_HANDLE, 8, 4);
SIZE(NDIS_BUFFER, sizeof(MDL), sizeof(MDL));
C_ASSERT(NDIS_DMA_24BITS == 0 && NDIS_DMA_32BITS == 1 && NDIS_DMA_64BITS == 2);

/* NDIS-020 */
SIZE(NDIS_DMA_DESCRIPTION, 20, 20);
AT(NDIS_DMA_DESCRIPTION, DemandMode, 0, 0);
AT(NDIS_DMA_DESCRIPTION, AutoInitialize, 1, 1);
AT(NDIS_DMA_DESCRIPTION, DmaChannelSpecified, 2, 2);
AT(NDIS_DMA_DESCRIPTION, DmaWidth, 4, 4);
AT(NDIS_DMA_DESCRIPTION, DmaSpeed, 8, 8);
AT(NDIS_DMA_DESCRIPTION, DmaPort, 12, 12);
AT(NDIS_DMA_DESCRIPTION, DmaChannel, 16, 16);

SIZE(NDIS_OBJECT_HEADER, 4, 4);
AT(NDIS_OBJECT_HEADER, Type, 0, 0);
AT(NDIS_OBJECT_HEADER, Revision, 1, 1);
AT(NDIS_OBJECT_HEADER, Size, 2, 2);

C_ASSERT(NdisInterfaceInternal == 0 && NdisInterfaceIsa == 1 && NdisInterfaceEisa == 2 && NdisInterfaceMca == 3);
C_ASSERT(NdisInterfaceTurboChannel == 4 && NdisInterfacePci == 5 && NdisInterfacePcMcia == 8);
C_ASSERT(NdisInterfaceCBus == 9 && NdisInterfaceMPIBus == 10 && NdisInterfaceMPSABus == 11);
C_ASSERT(NdisInterfaceProcessorInternal == 12 && NdisInterfaceInternalPowerBus == 13);
C_ASSERT(NdisInterfacePNPISABus == 14 && NdisInterfacePNPBus == 15 && NdisInterfaceUSB == 16);
C_ASSERT(NdisInterfaceIrda == 17 && NdisInterface1394 == 18 && NdisMaximumInterfaceType == 19);
C_ASSERT(NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE == 1 && NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM == 2);
C_ASSERT(NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK == 4 && NDIS_MINIPORT_ATTRIBUTES_NOT_CO_NDIS == 8);
C_ASSERT(NDIS_MINIPORT_ATTRIBUTES_DO_NOT_BIND_TO_ALL_CO == 16);
C_ASSERT(NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND == 32 && NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER == 64);
C_ASSERT(NDIS_MINIPORT_ATTRIBUTES_CONTROLS_DEFAULT_PORT == 128);

SIZE(NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, 32, 20);
AT(NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, MiniportAdapterContext, 8, 4);
AT(NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, AttributeFlags, 16, 8);
AT(NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, CheckForHangTimeInSeconds, 20, 12);
AT(NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, InterfaceType, 24, 16);
C_ASSERT(NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1 == ON(28, 20));
C_ASSERT(NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1 == 1);
AT(NDIS_MINIPORT_ADAPTER_ATTRIBUTES, RegistrationAttributes, 0, 0);

SIZE(CM_PARTIAL_RESOURCE_LIST, 28, 24);
AT(CM_PARTIAL_RESOURCE_LIST, Version, 0, 0);
AT(CM_PARTIAL_RESOURCE_LIST, Revision, 2, 2);
AT(CM_PARTIAL_RESOURCE_LIST, Count, 4, 4);
AT(CM_PARTIAL_RESOURCE_LIST, PartialDescriptors, 8, 8);
SIZE(NDIS_RESOURCE_LIST, 28, 24);

AT(NDIS_MINIPORT_INIT_PARAMETERS, Header, 0, 0);
AT(NDIS_MINIPORT_INIT_PARAMETERS, Flags, 4, 4);
AT(NDIS_MINIPORT_INIT_PARAMETERS, AllocatedResources, 8, 8);
AT(NDIS_MINIPORT_INIT_PARAMETERS, IMDeviceInstanceContext, 16, 12);
AT(NDIS_MINIPORT_INIT_PARAMETERS, MiniportAddDeviceContext, 24, 16);
C_ASSERT(NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1 == 1);

C_ASSERT(NdisHaltDeviceDisabled == 0 && NdisHaltDeviceInstanceDeInitialized == 1 && NdisHaltDevicePoweredDown == 2);
C_ASSERT(NdisHaltDeviceSurpriseRemoved == 3 && NdisHaltDeviceFailed == 4);
C_ASSERT(NdisHaltDeviceInitializationFailed == 5 && NdisHaltDeviceStopped == 6);

#define CHARACTERISTICS NDIS_MINIPORT_DRIVER_CHARACTERISTICS
AT(CHARACTERISTICS, Header, 0, 0);
AT(CHARACTERISTICS, MajorNdisVersion, 4, 4);
AT(CHARACTERISTICS, MinorNdisVersion, 5, 5);
AT(CHARACTERISTICS, MajorDriverVersion, 6, 6);
AT(CHARACTERISTICS, MinorDriverVersion, 7, 7);
AT(CHARACTERISTICS, Flags, 8, 8);
/* Handler k stands k pointers behind the first. */
#define HANDLER(k, member) AT(CHARACTERISTICS, member, 16 + 8 * (k), 12 + 4 * (k))
HANDLER(0, SetOptionsHandler);
HANDLER(1, InitializeHandlerEx);
HANDLER(2, HaltHandlerEx);
HANDLER(3, UnloadHandler);
HANDLER(4, PauseHandler);
HANDLER(5, RestartHandler);
HANDLER(6, OidRequestHandler);
HANDLER(7, SendNetBufferListsHandler);
HANDLER(8, ReturnNetBufferListsHandler);
HANDLER(9, CancelSendHandler);
HANDLER(10, CheckForHangHandlerEx);
HANDLER(11, ResetHandlerEx);
HANDLER(12, DevicePnPEventNotifyHandler);
HANDLER(13, ShutdownHandlerEx);
HANDLER(14, CancelOidRequestHandler);
SIZE(CHARACTERISTICS, 136, 72);
C_ASSERT(NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1 == ON(136, 72));
C_ASSERT(NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1 == 1);

C_ASSERT(NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS == 0x81);
C_ASSERT(NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS == 0x8A);
C_ASSERT(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES == 0x9E);
C_ASSERT(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES == 0x9F);
C_ASSERT(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES == 0xA0);
C_ASSERT(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_NATIVE_802_11_ATTRIBUTES == 0xA1);
C_ASSERT(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES == 0xAF);

/* NDIS-002: the two are macros, and no routine has their names. */
#if !defined(NdisMSetupDmaTransfer) || !defined(NdisMCompleteDmaTransfer)
#error "they are no macros"
#endif
#if defined(NdisMRegisterDmaChannel) || defined(NdisMDeregisterDmaChannel) || defined(NdisMReadDmaCounter)
#error "they are routines of their own"
#endif

MINIPORT_INITIALIZE LayoutInitialize;
MINIPORT_HALT LayoutHalt;

/* NDIS-004, SEED-002-2: the routines have these types, and no others that would do as well. */
typedef NDIS_STATUS REGISTER(PNDIS_HANDLE, NDIS_HANDLE, UINT, BOOLEAN, PNDIS_DMA_DESCRIPTION, ULONG);
typedef VOID DEREGISTER(NDIS_HANDLE);
typedef VOID TRANSFER(PNDIS_STATUS, NDIS_HANDLE, PNDIS_BUFFER, ULONG, ULONG, BOOLEAN);
typedef ULONG READ(NDIS_HANDLE);

/* Each call by the arguments of its page. */
VOID Calls(NDIS_HANDLE Adapter, NDIS_HANDLE Channel, PNDIS_BUFFER Buffer, PNDIS_DMA_DESCRIPTION Description);

VOID Calls(NDIS_HANDLE Adapter, NDIS_HANDLE Channel, PNDIS_BUFFER Buffer, PNDIS_DMA_DESCRIPTION Description)
{
    REGISTER *const Register = NdisMRegisterDmaChannel;
    DEREGISTER *const Deregister = NdisMDeregisterDmaChannel;
    TRANSFER *const Transfers[] = { NdisSetupDmaTransfer, NdisCompleteDmaTransfer };
    READ *const Reads[] = { NdisMReadDmaCounter, NdisMGetDmaAlignment };
    NDIS_STATUS Status = Register(&Channel, Adapter, 0, FALSE, Description, 1536);

    /* As statements the macros stand where a call could. */
    if (Status == NDIS_STATUS_SUCCESS)
        NdisMSetupDmaTransfer(&Status, Channel, Buffer, 0, 64, TRUE);
    else
        NdisMCompleteDmaTransfer(&Status, Channel, Buffer, 0, 64, TRUE);
    Transfers[0](&Status, Channel, Buffer, 0, 64, FALSE);
    Transfers[1](&Status, Channel, Buffer, 0, 64, FALSE);
    (VOID)Reads[0](Channel);
    (VOID)Reads[1](Adapter);
    Deregister(Channel);
}
