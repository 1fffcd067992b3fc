/*
 * A NetDMA provider: registers, answers NetDMA's calls, and reports what the engine did.
 *
 * Compile it with engine.c into a shared object; docs/c-provider.md says how. It keeps nothing in statics, so it can
 * be attached any number of times.
 */
#include "engine.h"

#define TAG 0x414D444E /* "NDMA" */
#define CHANNELS 2

typedef struct _ADAPTER {
    PVOID NetDmaHandle;
    CHANNEL Channels[CHANNELS];
} ADAPTER;

/* ---- interrupts ---- */

/* A routine of ours wants to use the channel's handle. FALSE if it must not any more. */
static BOOLEAN Enter(CHANNEL *Channel)
{
    InterlockedIncrement(&Channel->Inside);
    if (Channel->Open != 0)
        return TRUE;
    InterlockedDecrement(&Channel->Inside);
    return FALSE;
}

static VOID Leave(CHANNEL *Channel)
{
    InterlockedDecrement(&Channel->Inside);
}

VOID ProviderInterrupt(CHANNEL *Channel, const REPORT *Report)
{
    if (!Report->Interrupt)
        return;
    if (Report->Last != 0)
        InterlockedExchange64(&Channel->Reported, (LONG64)Report->Last);
    InterlockedOr(&Channel->Due, DUE_ISR | (Report->Error ? DUE_ERROR : DUE_COMPLETED));
    LsAssertInterrupt(Channel->Interrupt);
}

static PHYSICAL_ADDRESS Reported(CHANNEL *Channel)
{
    PHYSICAL_ADDRESS Last;
    Last.QuadPart = Channel->Reported;
    return Last;
}

static KSERVICE_ROUTINE ProviderIsr;
static BOOLEAN ProviderIsr(PKINTERRUPT Interrupt, PVOID ServiceContext)
{
    CHANNEL *Channel = ServiceContext;
    ULONG Processor;

    /* First: what is raised from here on interrupts again. */
    LsDeassertInterrupt(Interrupt);
    if ((InterlockedAnd(&Channel->Due, ~DUE_ISR) & DUE_ISR) == 0 || !Enter(Channel))
        return TRUE; /* the line is this channel's alone; what it was asserted for is told already */
    NetDmaIsr(Channel->NetDmaHandle, Reported(Channel), &Processor);
    KeSetTargetProcessorDpc(&Channel->Report, (CCHAR)Processor);
    KeInsertQueueDpc(&Channel->Report, NULL, NULL);
    Leave(Channel);
    return TRUE;
}

static KDEFERRED_ROUTINE ProviderDpc;
static VOID ProviderDpc(PKDPC Dpc, PVOID DeferredContext, PVOID SystemArgument1, PVOID SystemArgument2)
{
    CHANNEL *Channel = DeferredContext;
    PHYSICAL_ADDRESS Error;
    LONG Due;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(SystemArgument1);
    UNREFERENCED_PARAMETER(SystemArgument2);
    if (!Enter(Channel))
        return;
    InterlockedExchange(&Channel->ReportProcessor, (LONG)KeGetCurrentProcessorNumber() + 1);
    Due = InterlockedAnd(&Channel->Due, ~(DUE_COMPLETED | DUE_ERROR));
    /* Completions first: an error must not swallow the interrupt of a descriptor before it. */
    if ((Due & DUE_COMPLETED) != 0)
        NetDmaInterruptDpc(Channel->NetDmaHandle, Reported(Channel));
    Error.QuadPart = 0;
    if ((Due & DUE_ERROR) != 0 && Channel->Open != 0)
        NetDmaInterruptDpc(Channel->NetDmaHandle, Error);
    InterlockedExchange(&Channel->ReportProcessor, 0);
    Leave(Channel);
}

/* Waits, for a bounded time, until nobody uses the handle but the DPC that the caller itself runs in. */
static VOID CloseReports(CHANNEL *Channel)
{
    LONG Here = KeGetCurrentIrql() == DISPATCH_LEVEL ? (LONG)KeGetCurrentProcessorNumber() + 1 : -1;
    ULONG Polls;

    InterlockedExchange(&Channel->Open, 0);
    InterlockedExchange(&Channel->Due, 0);
    for (Polls = 0; Polls < ENGINE_PATIENCE; Polls++) {
        if (Channel->Inside == (Channel->ReportProcessor == Here ? 1 : 0))
            return;
        KeStallExecutionProcessor(1);
    }
}

/* ---- channels ---- */

static DMA_CHANNELS_CPU_AFFINITY_HANDLER ProviderSetDmaChannelCpuAffinity;
static NTSTATUS ProviderSetDmaChannelCpuAffinity(
    PVOID ProviderContext, PNET_DMA_CHANNEL_CPU_AFFINITY CpuAffinityArray, ULONG CpuAffinitySize)
{
    ADAPTER *Adapter = ProviderContext;
    ULONG Entry;

    for (Entry = 0; Entry < CpuAffinitySize / sizeof(*CpuAffinityArray); Entry++) {
        if (CpuAffinityArray[Entry].DmaChannel >= CHANNELS)
            return STATUS_UNSUCCESSFUL;
        Adapter->Channels[CpuAffinityArray[Entry].DmaChannel].InterruptProcessor = CpuAffinityArray[Entry].CpuNumber;
    }
    return STATUS_SUCCESS;
}

/* The processors that a channel's DPC may run on, or FALSE if the parameters are none that we know. */
static BOOLEAN ReadMask(const NET_DMA_CHANNEL_PARAMETERS *Parameters, ULONG64 *Mask)
{
    if (Parameters->CompletionPhysicalAddress.QuadPart % 8 != 0)
        return FALSE;
    *Mask = Parameters->ProcessorAffinityMask;
    if (Parameters->Revision == NET_DMA_CHANNEL_REVISION_1)
        return Parameters->Size >= NET_DMA_SIZEOF_CHANNEL_PARAMETERS_REVISION_1;
    *Mask = Parameters->ProcessorAffinityMaskEx.Mask;
    return Parameters->Revision == NET_DMA_CHANNEL_REVISION_2 &&
           Parameters->Size >= NET_DMA_SIZEOF_CHANNEL_PARAMETERS_REVISION_2;
}

/* The processor that the interrupt comes to if it is allowed, else the first that is. */
static ULONG ChooseProcessor(const CHANNEL *Channel, ULONG64 Mask)
{
    ULONG Processor = Channel->InterruptProcessor;

    if (Mask == 0 || (Processor < 64 && (Mask >> Processor & 1) != 0))
        return Processor;
    for (Processor = 0; (Mask >> Processor & 1) == 0; Processor++)
        ;
    return Processor;
}

static BOOLEAN TakeChannel(CHANNEL *Channel, ULONG64 CompletionWord)
{
    KIRQL OldIrql;
    BOOLEAN Taken;

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    Taken = Channel->State == ChannelFree && !Channel->Busy && Channel->Inside == 0;
    if (Taken) {
        Channel->State = ChannelFresh;
        Channel->Closed = 0;
        Channel->Last = 0;
        Channel->CompletionWord = CompletionWord;
        Channel->Due = 0;
        Channel->Reported = 0;
        RtlZeroMemory(&Channel->Withheld, sizeof(Channel->Withheld));
    }
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    return Taken;
}

static DMA_CHANNEL_ALLOCATE_HANDLER ProviderAllocateDmaChannel;
static NTSTATUS ProviderAllocateDmaChannel(
    PVOID ProviderContext,
    PNET_DMA_CHANNEL_PARAMETERS ChannelParameters,
    PVOID NetDmaChannelHandle,
    PVOID *pProviderChannelContext)
{
    ADAPTER *Adapter = ProviderContext;
    ULONG64 Mask;
    ULONG Number;

    if (!ReadMask(ChannelParameters, &Mask))
        return STATUS_UNSUCCESSFUL;
    for (Number = 0; Number < CHANNELS; Number++) {
        CHANNEL *Channel = &Adapter->Channels[Number];
        if (!TakeChannel(Channel, (ULONG64)ChannelParameters->CompletionPhysicalAddress.QuadPart))
            continue;
        Channel->NetDmaHandle = NetDmaChannelHandle;
        InterlockedExchange(&Channel->Open, 1);
        ChannelParameters->CpuNumber = ChooseProcessor(Channel, Mask);
        *pProviderChannelContext = Channel;
        return STATUS_SUCCESS;
    }
    return STATUS_INSUFFICIENT_RESOURCES;
}

static DMA_CHANNEL_FREE_HANDLER ProviderFreeDmaChannel;
static VOID ProviderFreeDmaChannel(PVOID ProviderChannelContext)
{
    CHANNEL *Channel = ProviderChannelContext;

    CloseReports(Channel);
    EngineRelease(Channel);
}

/* ---- chains ---- */

static DMA_START_HANDLER ProviderStartDma;
static NTSTATUS ProviderStartDma(
    PVOID ProviderChannelContext,
    PNET_DMA_DESCRIPTOR DescriptorVirtualAddress,
    PHYSICAL_ADDRESS DescriptorPhysicalAddress,
    ULONG DescriptorCount)
{
    UNREFERENCED_PARAMETER(DescriptorVirtualAddress);
    return EngineStart(ProviderChannelContext, (ULONG64)DescriptorPhysicalAddress.QuadPart, DescriptorCount);
}

static DMA_APPEND_HANDLER ProviderAppendDma;
static NTSTATUS ProviderAppendDma(
    PVOID ProviderChannelContext,
    PNET_DMA_DESCRIPTOR DescriptorVirtualAddress,
    PHYSICAL_ADDRESS DescriptorPhysicalAddress,
    ULONG DescriptorCount)
{
    UNREFERENCED_PARAMETER(DescriptorVirtualAddress);
    return EngineAppend(ProviderChannelContext, (ULONG64)DescriptorPhysicalAddress.QuadPart, DescriptorCount);
}

static DMA_SUSPEND_HANDLER ProviderSuspendDma;
static NTSTATUS ProviderSuspendDma(PVOID ProviderChannelContext, PPHYSICAL_ADDRESS *pLastDescriptor)
{
    ULONG64 Last;
    NTSTATUS Status = EngineStop(ProviderChannelContext, StopSuspend, &Last);

    if (NT_SUCCESS(Status))
        *pLastDescriptor = (PPHYSICAL_ADDRESS)(ULONG_PTR)Last;
    return Status;
}

static DMA_RESUME_HANDLER ProviderResumeDma;
static NTSTATUS ProviderResumeDma(PVOID ProviderChannelContext)
{
    return EngineResume(ProviderChannelContext);
}

static DMA_ABORT_HANDLER ProviderAbortDma;
static NTSTATUS ProviderAbortDma(PVOID ProviderChannelContext)
{
    ULONG64 Last;
    return EngineStop(ProviderChannelContext, StopAbort, &Last);
}

static DMA_RESET_HANDLER ProviderResetChannel;
static NTSTATUS ProviderResetChannel(PVOID ProviderChannelContext)
{
    ULONG64 Last;
    return EngineStop(ProviderChannelContext, StopReset, &Last);
}

/* ---- the device ---- */

static VOID FreeAdapter(ADAPTER *Adapter)
{
    ULONG Number;

    for (Number = 0; Number < CHANNELS; Number++) {
        if (Adapter->Channels[Number].Interrupt != NULL)
            LsDisconnectInterrupt(Adapter->Channels[Number].Interrupt);
    }
    KeFlushQueuedDpcs(); /* nobody queues one any more */
    ExFreePoolWithTag(Adapter, TAG);
}

static NTSTATUS Register(ADAPTER *Adapter, PDEVICE_OBJECT Pdo)
{
    static const WCHAR Name[] = u"software engine";
    NET_DMA_PROVIDER_CHARACTERISTICS Characteristics;

    RtlZeroMemory(&Characteristics, sizeof(Characteristics));
    Characteristics.MajorVersion = PROVIDER_VERSION >> 8;
    Characteristics.MinorVersion = PROVIDER_VERSION & 0xFF;
    Characteristics.Size = sizeof(Characteristics);
    Characteristics.PhysicalDeviceObject = Pdo;
    Characteristics.MaxDmaChannelCount = CHANNELS;
    Characteristics.SetDmaChannelCpuAffinity = ProviderSetDmaChannelCpuAffinity;
    Characteristics.AllocateDmaChannel = ProviderAllocateDmaChannel;
    Characteristics.FreeDmaChannel = ProviderFreeDmaChannel;
    Characteristics.StartDma = ProviderStartDma;
    Characteristics.SuspendDma = ProviderSuspendDma;
    Characteristics.ResumeDma = ProviderResumeDma;
    Characteristics.AbortDma = ProviderAbortDma;
    Characteristics.AppendDma = ProviderAppendDma;
    Characteristics.ResetChannel = ProviderResetChannel;
#if COUNTED
    Characteristics.Flags = NET_DMA_PROVIDER_CHARACTERISTICS_DCA_SUPPORTED;
    Characteristics.FriendlyName = (UNICODE_STRING)RTL_CONSTANT_STRING(Name);
#endif
#if PROVIDER_VERSION >= 0x0201
    Characteristics.Flags |= NET_DMA_PROVIDER_CHARACTERISTICS_SUPPORTS_PROC_GROUPS;
#endif
    UNREFERENCED_PARAMETER(Name);
    return NetDmaRegisterProvider(Adapter, &Adapter->NetDmaHandle, &Characteristics);
}

/* One interrupt for each channel, where NetDMA wants it. */
static NTSTATUS ConnectInterrupts(ADAPTER *Adapter, PDEVICE_OBJECT Pdo)
{
    NTSTATUS Status = STATUS_SUCCESS;
    ULONG Number;

    for (Number = 0; Number < CHANNELS && NT_SUCCESS(Status); Number++) {
        CHANNEL *Channel = &Adapter->Channels[Number];
        KeInitializeSpinLock(&Channel->Lock);
        KeInitializeDpc(&Channel->Worker, EngineWorker, Channel);
        KeSetTargetProcessorDpc(&Channel->Worker, (CCHAR)LsEngineProcessor(Pdo));
        KeInitializeDpc(&Channel->Report, ProviderDpc, Channel);
        Status = LsConnectInterrupt(Pdo, Channel->InterruptProcessor, ProviderIsr, Channel, &Channel->Interrupt);
    }
    return Status;
}

static VOID Start(ADAPTER *Adapter)
{
    NET_DMA_PROVIDER_ATTRIBUTES Attributes;

    RtlZeroMemory(&Attributes, sizeof(Attributes));
    Attributes.MajorHwVersion = 1;
    Attributes.Size = sizeof(Attributes);
    Attributes.VendorId = 0x8086;
    Attributes.DmaChannelCount = CHANNELS;
    Attributes.MaximumTransferSize = MAXIMUM_TRANSFER_SIZE;
    Attributes.MaximumAddressSpace.QuadPart = -1;
    NetDmaProviderStart(Adapter->NetDmaHandle, &Attributes);
}

NTSTATUS LsAttachDevice(PDEVICE_OBJECT Pdo, PVOID *DeviceContext)
{
    ADAPTER *Adapter = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Adapter), TAG);
    NTSTATUS Status;

    if (Adapter == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(Adapter, sizeof(*Adapter));
    Status = Register(Adapter, Pdo);
    if (!NT_SUCCESS(Status)) {
        FreeAdapter(Adapter);
        return Status;
    }
    Status = ConnectInterrupts(Adapter, Pdo);
    if (!NT_SUCCESS(Status)) {
        NetDmaDeregisterProvider(Adapter->NetDmaHandle);
        FreeAdapter(Adapter);
        return Status;
    }
    Start(Adapter);
    *DeviceContext = Adapter;
    return STATUS_SUCCESS;
}

VOID LsDetachDevice(PVOID DeviceContext)
{
    ADAPTER *Adapter = DeviceContext;

    NetDmaProviderStop(Adapter->NetDmaHandle);
    NetDmaDeregisterProvider(Adapter->NetDmaHandle);
    FreeAdapter(Adapter);
}
