/*
 * The NetDMA provider interface: names, values and layouts of the documentation.
 *
 * Where the pages and Windows' header are known to differ, both names are here and mean the same.
 */
#ifndef LONGSHORE_NETDMA_H
#define LONGSHORE_NETDMA_H

#include "wdm.h"

LONGSHORE_BEGIN

/* ---- descriptors ---- */

/* The target of the cache hints of a context change, by how wide the platform's numbers are. */
struct _NET_DMA_DCA_CONTEXT_32 {
    ULONG DCAContext : 32;
};
struct _NET_DMA_DCA_CONTEXT_16 {
    ULONG DCAContext : 16;
    ULONG Reserved : 16;
};
struct _NET_DMA_DCA_CONTEXT_8 {
    ULONG DCAContext : 8;
    ULONG Reserved : 24;
};

/*
 * One step of a chain, 64 bytes, on a physical address that is a multiple of 64. An engine reads it once, whole, and
 * never trusts it.
 */
typedef struct _NET_DMA_DESCRIPTOR {
    union {
        ULONG TransferSize; /* in bytes, at most the provider's MaximumTransferSize; may be 0 */
        struct _NET_DMA_DCA_CONTEXT_32 DCAContext32; /* in a context change: the target of the hints */
        struct _NET_DMA_DCA_CONTEXT_16 DCAContext16;
        struct _NET_DMA_DCA_CONTEXT_8 DCAContext8;
    };
    ULONG ControlFlags;
    PHYSICAL_ADDRESS SourceAddress;
    PHYSICAL_ADDRESS DestinationAddress;
    PHYSICAL_ADDRESS NextDescriptor;
    union {
        ULONG64 Reserved1; /* 1.x: the provider's, to use as it likes */
        PHYSICAL_ADDRESS NextSourceAddress; /* 2.0: where the source goes on behind its page */
    };
    union {
        ULONG64 Reserved2;
        PHYSICAL_ADDRESS NextDestinationAddress;
    };
    ULONG64 UserContext1; /* never a provider's business */
    ULONG64 UserContext2;
} NET_DMA_DESCRIPTOR, *PNET_DMA_DESCRIPTOR;

/* ControlFlags */
#define NET_DMA_INTERRUPT_ON_COMPLETION 0x00000001
#define NET_DMA_SOURCE_NO_SNOOP 0x00000002
#define NET_DMA_DESTINATION_NO_SNOOP 0x00000004
#define NET_DMA_STATUS_UPDATE_ON_COMPLETION 0x00000008
#define NET_DMA_SERIALIZE_TRANSFER 0x00000010
#define NET_DMA_NULL_TRANSFER 0x00000020
/* from 2.0 on */
#define NET_DMA_SOURCE_PAGE_BREAK 0x00000040
#define NET_DMA_DESTINATION_PAGE_BREAK 0x00000080
#define NET_DMA_DESTINATION_DCA_ENABLE 0x00000200

/* The operation type, in the top eight bits of ControlFlags. It decides what bit 0 means, so it is looked at first. */
#define NET_DMA_OP_TYPE_MASK 0xFF000000
#define NET_DMA_OP_TYPE_STANDARD_DMA 0x00000000
#define NET_DMA_OP_TYPE_CONTEXT_CHANGE 0xFF000000
#define NET_DMA_DCA_CONTEXT_CHANGE 0x00000001 /* bit 0 of a context change */

/* What nobody has given a meaning yet, in 2.0. */
#define NET_DMA_RESERVED_MASK 0x00FFFD00

/* ---- completion ---- */

/* The low bits of a completion word; the rest is the physical address of the last processed descriptor. */
typedef enum _NET_DMA_TRANSFER_STATUS {
    NetDmaTransferStatusActive = 0,
    NetDmaTransferStatusIdle = 1,
    NetDmaTransferStatusSuspend = 2,
    NetDmaTransferStatusHalted = 3,
    NetDmaTransferStatusArmed = 4
} NET_DMA_TRANSFER_STATUS, *PNET_DMA_TRANSFER_STATUS;

#define NET_DMA_TRANSFER_STATUS_MASK 0x7

/* ---- channels ---- */

typedef struct _NET_DMA_CHANNEL_PARAMETERS {
    USHORT Revision;
    USHORT Size;
    ULONG Flags;
    PVOID CompletionVirtualAddress; /* NULL here: memory is reached by its physical address (longshore.h) */
    PHYSICAL_ADDRESS CompletionPhysicalAddress;
    ULONG ProcessorAffinityMask;
    ULONG ChannelPriority;
    ULONG CpuNumber; /* set by the provider */
#if NTDDI_VERSION >= NTDDI_WIN7
    GROUP_AFFINITY ProcessorAffinityMaskEx; /* from revision 2 on */
#endif
} NET_DMA_CHANNEL_PARAMETERS, *PNET_DMA_CHANNEL_PARAMETERS;

#define NET_DMA_CHANNEL_REVISION_1 1
#define NET_DMA_CHANNEL_PARAMETERS_REVISION_1 NET_DMA_CHANNEL_REVISION_1
#define NET_DMA_SIZEOF_CHANNEL_PARAMETERS_REVISION_1 \
    RTL_SIZEOF_THROUGH_FIELD(NET_DMA_CHANNEL_PARAMETERS, CpuNumber)
#if NTDDI_VERSION >= NTDDI_WIN7
#define NET_DMA_CHANNEL_REVISION_2 2
#define NET_DMA_CHANNEL_PARAMETERS_REVISION_2 NET_DMA_CHANNEL_REVISION_2
#define NET_DMA_SIZEOF_CHANNEL_PARAMETERS_REVISION_2 \
    RTL_SIZEOF_THROUGH_FIELD(NET_DMA_CHANNEL_PARAMETERS, ProcessorAffinityMaskEx)
#endif

/* Where one channel's interrupt is to arrive. */
typedef struct _NET_DMA_CHANNEL_CPU_AFFINITY {
    ULONG DmaChannel;
    ULONG CpuNumber;
} NET_DMA_CHANNEL_CPU_AFFINITY, *PNET_DMA_CHANNEL_CPU_AFFINITY;

/* ---- a provider's handlers, by their roles ---- */

/* PASSIVE_LEVEL, inside NetDmaRegisterProvider. CpuAffinitySize counts bytes. */
typedef NTSTATUS NTAPI DMA_CHANNELS_CPU_AFFINITY_HANDLER(
    _In_ PVOID ProviderContext,
    _In_ PNET_DMA_CHANNEL_CPU_AFFINITY CpuAffinityArray,
    _In_ ULONG CpuAffinitySize);

/* This and all the others: at or below DISPATCH_LEVEL, so none of them may wait. */
typedef NTSTATUS NTAPI DMA_CHANNEL_ALLOCATE_HANDLER(
    _In_ PVOID ProviderContext,
    _Inout_ PNET_DMA_CHANNEL_PARAMETERS ChannelParameters,
    _In_ PVOID NetDmaChannelHandle,
    _Out_ PVOID *pProviderChannelContext);

typedef VOID NTAPI DMA_CHANNEL_FREE_HANDLER(_In_ PVOID ProviderChannelContext);

/* DescriptorVirtualAddress is NULL here, as above. */
typedef NTSTATUS NTAPI DMA_START_HANDLER(
    _In_ PVOID ProviderChannelContext,
    _In_ PNET_DMA_DESCRIPTOR DescriptorVirtualAddress,
    _In_ PHYSICAL_ADDRESS DescriptorPhysicalAddress,
    _In_ ULONG DescriptorCount);

typedef NTSTATUS NTAPI DMA_APPEND_HANDLER(
    _In_ PVOID ProviderChannelContext,
    _In_ PNET_DMA_DESCRIPTOR DescriptorVirtualAddress,
    _In_ PHYSICAL_ADDRESS DescriptorPhysicalAddress,
    _In_ ULONG DescriptorCount);

/*
 * The type of the result says "a pointer to an address", the text says "the address". Here the text holds: the
 * location receives the physical address itself, in the place of a pointer.
 */
typedef NTSTATUS NTAPI DMA_SUSPEND_HANDLER(
    _In_ PVOID ProviderChannelContext,
    _Out_ PPHYSICAL_ADDRESS *pLastDescriptor);

typedef NTSTATUS NTAPI DMA_RESUME_HANDLER(_In_ PVOID ProviderChannelContext);
typedef NTSTATUS NTAPI DMA_ABORT_HANDLER(_In_ PVOID ProviderChannelContext);
typedef NTSTATUS NTAPI DMA_RESET_HANDLER(_In_ PVOID ProviderChannelContext);

/* ---- a provider ---- */

typedef struct _NET_DMA_PROVIDER_CHARACTERISTICS {
    UCHAR MajorVersion; /* of the contract it implements */
    UCHAR MinorVersion;
    USHORT Size;
    ULONG Flags;
    PDEVICE_OBJECT PhysicalDeviceObject;
    ULONG MaxDmaChannelCount;
    DMA_CHANNELS_CPU_AFFINITY_HANDLER *SetDmaChannelCpuAffinity;
    DMA_CHANNEL_ALLOCATE_HANDLER *AllocateDmaChannel;
    DMA_CHANNEL_FREE_HANDLER *FreeDmaChannel;
    DMA_START_HANDLER *StartDma;
    DMA_SUSPEND_HANDLER *SuspendDma; /* NULL, or with ResumeDma */
    DMA_RESUME_HANDLER *ResumeDma;
    DMA_ABORT_HANDLER *AbortDma; /* may be NULL */
    DMA_APPEND_HANDLER *AppendDma;
    DMA_RESET_HANDLER *ResetChannel; /* may be NULL */
    UNICODE_STRING FriendlyName; /* from 2.0 on */
} NET_DMA_PROVIDER_CHARACTERISTICS, *PNET_DMA_PROVIDER_CHARACTERISTICS;

/* Flags of the characteristics */
#define NET_DMA_PROVIDER_CHARACTERISTICS_DCA_SUPPORTED 0x00000001 /* from 2.0 on */
#define NET_DMA_PROVIDER_CHARACTERISTICS_SUPPORTS_PROC_GROUPS 0x00000002 /* from 2.1 on */

typedef struct _NET_DMA_PROVIDER_ATTRIBUTES {
    UCHAR MajorHwVersion;
    UCHAR MinorHwVersion;
    USHORT Size;
    ULONG Flags; /* 0 */
    ULONG VendorId;
    ULONG DmaChannelCount; /* at most the MaxDmaChannelCount that was registered */
    ULONG MaximumTransferSize; /* at least 4096 */
    PHYSICAL_ADDRESS MaximumAddressSpace;
} NET_DMA_PROVIDER_ATTRIBUTES, *PNET_DMA_PROVIDER_ATTRIBUTES;

/* ---- notifications ---- */

typedef enum _NET_DMA_PNP_NOTIFICATION_CODE {
    NetDmaNotificationProviderRegistered = 1, /* the first four are for clients */
    NetDmaNotificationProviderArrival = 2,
    NetDmaNotificationProviderRemoval = 3,
    NetDmaNotificationChannelArrival = 4,
    NetDmaNotificationProviderPowerDown = 5,
    NetDmaNotificationProviderPowerUp = 6,
    NetDmaNotificationMax = 7
} NET_DMA_PNP_NOTIFICATION_CODE, *PNET_DMA_PNP_NOTIFICATION_CODE;

typedef struct _NET_DMA_PNP_NOTIFICATION {
    ULONG StructureRevision;
    ULONG StructureSize;
    NET_DMA_PNP_NOTIFICATION_CODE NotificationCode;
    PVOID Buffer; /* NULL from a provider */
    ULONG BufferLength;
} NET_DMA_PNP_NOTIFICATION, *PNET_DMA_PNP_NOTIFICATION;

#define NET_DMA_PNP_NOTIFICATION_REVISION_1 1

/* ---- what a provider calls ---- */

/* The version of the interface: the major number in the high 16 bits. PASSIVE_LEVEL. */
UINT NTAPI NetDmaGetVersion(VOID);

/* PASSIVE_LEVEL, once for each engine. */
NTSTATUS NTAPI NetDmaRegisterProvider(
    _In_ PVOID ProviderContext,
    _Out_ PVOID *pNetDmaProviderHandle,
    _In_ PNET_DMA_PROVIDER_CHARACTERISTICS ProviderCharacteristics);
VOID NTAPI NetDmaDeregisterProvider(_In_ PVOID NetDmaProviderHandle);

/* PASSIVE_LEVEL, any number of times, in turn. Handlers may be called before the start returns. */
VOID NTAPI NetDmaProviderStart(
    _In_ PVOID NetDmaProviderHandle,
    _In_ PNET_DMA_PROVIDER_ATTRIBUTES ProviderAttributes);
VOID NTAPI NetDmaProviderStop(_In_ PVOID NetDmaProviderHandle);

/* PASSIVE_LEVEL, by providers from 1.1 on. */
VOID NTAPI NetDmaPnPEventNotify(
    _In_ PVOID NetDmaProviderHandle,
    _In_ PNET_DMA_PNP_NOTIFICATION NetDmaPnPNotification);

/* From the interrupt service routine, with the last completed descriptor. Says where the DPC is to run. */
VOID NTAPI NetDmaIsr(
    _In_ PVOID NetDmaChannelHandle,
    _In_ PHYSICAL_ADDRESS DmaDescriptor,
    _Out_ PULONG pCpuNumber);

/* From the DPC, with the last completed descriptor, or 0 to report an error. */
VOID NTAPI NetDmaInterruptDpc(_In_ PVOID NetDmaChannelHandle, _In_ PHYSICAL_ADDRESS DmaDescriptor);

LONGSHORE_END

#endif
