/*
 * A miniport of a NIC that is served by a system DMA channel: its DMA path, from initialising to halting.
 *
 * There is no network above it. What NDIS would have it send, and what the NIC would interrupt for, a test asks for by
 * calling NicSend, NicReceive and NicSignalled. Receives go one behind the other into one ring; whoever wants a transfer to
 * end early completes it, and reads afterwards how many bytes did not come.
 */
#include <ndis.h>
#include "longshore.h"

#define NIC_TAG 0x4B43494E /* "NICK" */

#ifndef NIC_WIDTH
#define NIC_WIDTH Width8Bits
#endif

#define LONGEST 64 /* bytes of the longest transfer */
#define UNTOUCHED 0xA5

/* Where a transfer stands. Whoever takes it from UP to COMPLETING completes it. */
#define IDLE 0
#define SETTING_UP 1
#define UP 2
#define COMPLETING 3

typedef struct _NIC {
    PDEVICE_OBJECT Pdo;
    NDIS_HANDLE Driver;
    NDIS_HANDLE Adapter;
    NDIS_HANDLE Dma;
    ULONG Channel;

    /* Each with one descriptor over the whole of it. */
    ULONG RingLength;
    PUCHAR Ring;
    PNDIS_BUFFER RingBuffer;
    PUCHAR Staging; /* what is sent is copied here first */
    PNDIS_BUFFER StagingBuffer;

    ULONG Head; /* where the next receive begins in the ring */

    /* The transfer that is under way, whose arguments its completion repeats. */
    LONG State;
    LONG Stop; /* complete it, wherever it stands */
    PNDIS_BUFFER Buffer;
    ULONG Offset;
    ULONG Length;
    BOOLEAN WriteToDevice;

    /* The last one. */
    NDIS_STATUS Last;
    ULONG Left;
    LONG Mistakes;
} NIC;

MINIPORT_INITIALIZE NicInitialize;
MINIPORT_HALT NicHalt;

/* What a test calls. */
ULONG NicSend(ULONG Length);
ULONG NicReceive(ULONG Length);
VOID NicSignalled(VOID);
VOID NicStop(VOID);
ULONG NicCounter(VOID);
ULONG NicLook(ULONG What);
ULONG NicByte(ULONG Index);

/* The NIC that was attached last on this thread, which is one machine's. */
static _Thread_local NIC *Latest;

/* Something happened that the contract rules out. */
static VOID Expect(NIC *Nic, BOOLEAN Holds)
{
    if (!Holds)
        InterlockedIncrement(&Nic->Mistakes);
}

/* ---- the channel ---- */

/* The channel that was assigned. FALSE if there is none. */
static BOOLEAN FindChannel(NIC *Nic, PNDIS_RESOURCE_LIST Resources)
{
    ULONG Index;

    for (Index = 0; Resources != NULL && Index < Resources->Count; Index++) {
        if (Resources->PartialDescriptors[Index].Type == CmResourceTypeDma) {
            Nic->Channel = Resources->PartialDescriptors[Index].u.Dma.Channel;
            return TRUE;
        }
    }
    return FALSE;
}

static NDIS_STATUS SetAttributes(NIC *Nic)
{
    NDIS_MINIPORT_ADAPTER_ATTRIBUTES Attributes;

    RtlZeroMemory(&Attributes, sizeof(Attributes));
    Attributes.Header.Type = NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES;
    Attributes.Header.Revision = NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1;
    Attributes.Header.Size = NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1;
    Attributes.RegistrationAttributes.MiniportAdapterContext = Nic;
    Attributes.RegistrationAttributes.AttributeFlags = NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE;
    Attributes.RegistrationAttributes.InterfaceType = NdisInterfaceIsa;
    return NdisMSetMiniportAttributes(Nic->Adapter, &Attributes);
}

static NDIS_STATUS RegisterChannel(NIC *Nic)
{
    NDIS_DMA_DESCRIPTION Description;

    RtlZeroMemory(&Description, sizeof(Description));
    Description.DemandMode = TRUE;
#ifndef NIC_UNSPECIFIED
    Description.DmaChannelSpecified = TRUE;
    Description.DmaChannel = Nic->Channel;
#endif
    Description.DmaWidth = NIC_WIDTH;
    Description.DmaSpeed = Compatible;
#ifdef FLAW_DESCRIPTION
    Description.DmaPort = 1; /* as where nobody zeroes it */
#endif
    /* The third argument is not looked at, so it may as well be another channel. */
    return NdisMRegisterDmaChannel(&Nic->Dma, Nic->Adapter, Nic->Channel + 1, FALSE, &Description, LONGEST);
}

static VOID DeregisterChannel(NIC *Nic)
{
#ifndef FLAW_LEAK
    if (Nic->Dma != NULL)
        NdisMDeregisterDmaChannel(Nic->Dma);
#endif
#ifdef FLAW_DEAD_HANDLE
    (VOID)NdisMReadDmaCounter(Nic->Dma);
#endif
    Nic->Dma = NULL;
}

/* ---- buffers ---- */

static PUCHAR MakeBuffer(ULONG Length, PNDIS_BUFFER *Buffer)
{
    PUCHAR Bytes = ExAllocatePoolWithTag(NonPagedPoolNx, Length, NIC_TAG);

    if (Bytes == NULL)
        return NULL;
    *Buffer = IoAllocateMdl(Bytes, Length, FALSE, FALSE, NULL);
    if (*Buffer != NULL)
        MmBuildMdlForNonPagedPool(*Buffer);
    __builtin_memset(Bytes, UNTOUCHED, Length);
    return Bytes;
}

static VOID FreeBuffer(PUCHAR Bytes, PNDIS_BUFFER Buffer)
{
    if (Buffer != NULL)
        IoFreeMdl(Buffer);
    if (Bytes != NULL)
        ExFreePoolWithTag(Bytes, NIC_TAG);
}

/* The ring is a whole number of what receive buffers are aligned to. */
static NDIS_STATUS MakeBuffers(NIC *Nic)
{
    ULONG Alignment = NdisMGetDmaAlignment(Nic->Adapter);

    Expect(Nic, Alignment != 0 && (Alignment & (Alignment - 1)) == 0);
    Nic->RingLength = (LONGEST + Alignment - 1) & ~(Alignment - 1);
    Nic->Ring = MakeBuffer(Nic->RingLength, &Nic->RingBuffer);
    Nic->Staging = MakeBuffer(LONGEST, &Nic->StagingBuffer);
    return Nic->RingBuffer != NULL && Nic->StagingBuffer != NULL ? NDIS_STATUS_SUCCESS : NDIS_STATUS_RESOURCES;
}

static VOID FreeBuffers(NIC *Nic)
{
    FreeBuffer(Nic->Ring, Nic->RingBuffer);
    FreeBuffer(Nic->Staging, Nic->StagingBuffer);
    Nic->Ring = Nic->Staging = NULL;
    Nic->RingBuffer = Nic->StagingBuffer = NULL;
}

/* ---- one transfer ---- */

/* For whoever took it from UP to COMPLETING. The counter says what is left also when the transfer is over. */
static VOID Complete(NIC *Nic)
{
#ifdef FLAW_OTHER_OFFSET
    NdisMCompleteDmaTransfer(&Nic->Last, Nic->Dma, Nic->Buffer, Nic->Offset + 1, Nic->Length, Nic->WriteToDevice);
    Expect(Nic, Nic->Last == NDIS_STATUS_RESOURCES);
#endif
    NdisMCompleteDmaTransfer(&Nic->Last, Nic->Dma, Nic->Buffer, Nic->Offset, Nic->Length, Nic->WriteToDevice);
    Nic->Left = NdisMReadDmaCounter(Nic->Dma);
    Expect(Nic, Nic->Left <= Nic->Length);
    Expect(Nic, (Nic->Last == NDIS_STATUS_SUCCESS) == (Nic->Left == 0));
#ifdef FLAW_COMPLETE_TWICE
    {
        NDIS_STATUS Again;

        NdisMCompleteDmaTransfer(&Again, Nic->Dma, Nic->Buffer, Nic->Offset, Nic->Length, Nic->WriteToDevice);
        Expect(Nic, Again == NDIS_STATUS_RESOURCES);
    }
#endif
    if (!Nic->WriteToDevice)
        Nic->Head = Nic->Offset + Nic->Length - Nic->Left;
    InterlockedExchange(&Nic->State, IDLE);
}

/* Completes what is up, if nobody else does. */
static VOID CompleteOnce(NIC *Nic)
{
    if (InterlockedCompareExchange(&Nic->State, COMPLETING, UP) == UP)
        Complete(Nic);
}

/* Only when this has succeeded is the NIC told to ask for bytes; here it asks of its own accord. */
static NDIS_STATUS SetUp(NIC *Nic, PNDIS_BUFFER Buffer, ULONG Offset, ULONG Length, BOOLEAN WriteToDevice)
{
    NDIS_STATUS Status;

    if (InterlockedCompareExchange(&Nic->State, SETTING_UP, IDLE) != IDLE)
        return NDIS_STATUS_RESOURCES;
    Nic->Buffer = Buffer;
    Nic->Offset = Offset;
    Nic->Length = Length;
    Nic->WriteToDevice = WriteToDevice;
    NdisMSetupDmaTransfer(&Status, Nic->Dma, Buffer, Offset, Length, WriteToDevice);
    if (Status != NDIS_STATUS_SUCCESS) {
        InterlockedExchange(&Nic->State, IDLE);
        return Status;
    }
    InterlockedExchange(&Nic->State, UP);
    if (Nic->Stop != 0)
        CompleteOnce(Nic);
    return NDIS_STATUS_SUCCESS;
}

ULONG NicSend(ULONG Length)
{
    NIC *Nic = Latest;
    ULONG Index;

#ifdef FLAW_REGISTER_LATE
    {
        NDIS_HANDLE Dma = Nic->Dma;

        Expect(Nic, RegisterChannel(Nic) == NDIS_STATUS_FAILURE && Nic->Dma == NULL);
        Nic->Dma = Dma;
    }
#endif
    if (Nic->State == IDLE)
        for (Index = 0; Index < Length && Index < LONGEST; Index++)
            Nic->Staging[Index] = (UCHAR)Index;
    return (ULONG)SetUp(Nic, Nic->StagingBuffer, 0, Length, TRUE);
}

ULONG NicReceive(ULONG Length)
{
    NIC *Nic = Latest;

    if (Nic->Head + Length > Nic->RingLength)
        Nic->Head = 0;
    return (ULONG)SetUp(Nic, Nic->RingBuffer, Nic->Head, Length, FALSE);
}

/* The NIC says that it is done. */
VOID NicSignalled(VOID)
{
    CompleteOnce(Latest);
}

/* At or below DISPATCH_LEVEL, at any moment: ends the transfer with what has come so far. */
VOID NicStop(VOID)
{
    NIC *Nic = Latest;

    InterlockedExchange(&Nic->Stop, 1);
    CompleteOnce(Nic);
}

/* ---- what a test looks at ---- */

ULONG NicCounter(VOID)
{
    return NdisMReadDmaCounter(Latest->Dma);
}

ULONG NicLook(ULONG What)
{
    NIC *Nic = Latest;

    switch (What) {
    case 0:
        return Nic->State == IDLE;
    case 1:
        return (ULONG)Nic->Last;
    case 2:
        return Nic->Left;
    case 3:
        return Nic->Head;
    default:
        return (ULONG)Nic->Mistakes;
    }
}

ULONG NicByte(ULONG Index)
{
    return Index < Latest->RingLength ? Latest->Ring[Index] : 0;
}

/* ---- the device ---- */

/* Gives back what there is. */
static VOID Undo(NIC *Nic)
{
#ifndef FLAW_FAIL_AND_LEAK
    DeregisterChannel(Nic);
#endif
    FreeBuffers(Nic);
}

NDIS_STATUS NicInitialize(
    NDIS_HANDLE NdisMiniportHandle,
    NDIS_HANDLE MiniportDriverContext,
    PNDIS_MINIPORT_INIT_PARAMETERS MiniportInitParameters)
{
    NIC *Nic = MiniportDriverContext;
    NDIS_STATUS Status;

    Expect(Nic, KeGetCurrentIrql() == PASSIVE_LEVEL);
    Nic->Adapter = NdisMiniportHandle;
    if (!FindChannel(Nic, MiniportInitParameters->AllocatedResources))
        return NDIS_STATUS_RESOURCE_CONFLICT;
#ifdef FLAW_REGISTER_EARLY
    Status = RegisterChannel(Nic);
    if (Status != NDIS_STATUS_SUCCESS)
        return Status;
#endif
    Status = SetAttributes(Nic);
    if (Status == NDIS_STATUS_SUCCESS)
        Status = RegisterChannel(Nic);
#ifdef FLAW_SUCCEED_REFUSED
    if (Status != NDIS_STATUS_SUCCESS)
        return NDIS_STATUS_SUCCESS;
#endif
    if (Status == NDIS_STATUS_SUCCESS)
        Status = MakeBuffers(Nic);
#ifdef FLAW_FAIL_AND_LEAK
    Status = NDIS_STATUS_RESOURCES;
#endif
    if (Status != NDIS_STATUS_SUCCESS)
        Undo(Nic);
    return Status;
}

VOID NicHalt(NDIS_HANDLE MiniportAdapterContext, NDIS_HALT_ACTION HaltAction)
{
    NIC *Nic = MiniportAdapterContext;

    UNREFERENCED_PARAMETER(HaltAction);
#ifdef FLAW_DEREGISTER_WHILE_UP
    if (Nic->State == UP)
        NdisMDeregisterDmaChannel(Nic->Dma);
#endif
#ifndef FLAW_LEAK
    CompleteOnce(Nic);
#endif
    DeregisterChannel(Nic);
    FreeBuffers(Nic);
}

NTSTATUS LsAttachDevice(PDEVICE_OBJECT Pdo, PVOID *DeviceContext)
{
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS Characteristics;
    NDIS_STATUS Status;
    NIC *Nic = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Nic), NIC_TAG);

    if (Nic == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Nic->Pdo = Pdo;
    RtlZeroMemory(&Characteristics, sizeof(Characteristics));
    Characteristics.Header.Type = NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS;
    Characteristics.Header.Revision = NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1;
    Characteristics.Header.Size = NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1;
    Characteristics.MajorNdisVersion = 6;
    Characteristics.InitializeHandlerEx = NicInitialize;
    Characteristics.HaltHandlerEx = NicHalt;
    Status = NdisMRegisterMiniportDriver(LsDriverObject(Pdo), NULL, Nic, &Characteristics, &Nic->Driver);
    if (Status != NDIS_STATUS_SUCCESS) {
        ExFreePoolWithTag(Nic, NIC_TAG);
        return Status;
    }
    Latest = Nic;
    *DeviceContext = Nic;
    return STATUS_SUCCESS;
}

VOID LsDetachDevice(PVOID DeviceContext)
{
    NIC *Nic = DeviceContext;

    NdisMDeregisterMiniportDriver(Nic->Driver);
    ExFreePoolWithTag(Nic, NIC_TAG);
}
