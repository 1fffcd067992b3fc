/*
 * A driver of a device whose transfers start over: one map of a common buffer, through an MDL over it, which the device
 * then goes round and round while the driver reads the counter and the buffer.
 */
#include <ntddk.h>
#include "longshore.h"

#define LOOPER_TAG 0x504F4F4C /* "LOOP" */
#define LAP 16

typedef struct _LOOPER {
    PDMA_ADAPTER Adapter;
    PDEVICE_OBJECT Pdo;
    PHYSICAL_ADDRESS Address;
    PUCHAR Buffer;
    PMDL Mdl;
    PVOID Base;
    ULONG Granted;
} LOOPER;

DRIVER_CONTROL LooperAdapterControl;

ULONG LooperStart(VOID);
ULONG LooperPoll(VOID);
ULONG LooperByte(ULONG Index);
ULONG LooperStop(VOID);

static _Thread_local LOOPER *Latest;

_Use_decl_annotations_
IO_ALLOCATION_ACTION
  LooperAdapterControl(
    PDEVICE_OBJECT DeviceObject,
    PIRP Irp,
    PVOID MapRegisterBase,
    PVOID Context
    )
{
    LOOPER *Looper = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    Looper->Base = MapRegisterBase;
    Looper->Granted++;
    return KeepObject;
}

/* Whether the one map was made. */
ULONG LooperStart(VOID)
{
    LOOPER *Looper = Latest;
    const DMA_OPERATIONS *Table = Looper->Adapter->DmaOperations;
    ULONG Length = LAP;
    NTSTATUS Status;
    KIRQL Irql;

    __builtin_memset(Looper->Buffer, 0xEE, LAP);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    Status = Table->AllocateAdapterChannel(Looper->Adapter, Looper->Pdo, 1, LooperAdapterControl, Looper);
    KeLowerIrql(Irql);
    if (!NT_SUCCESS(Status) || Looper->Granted != 1)
        return FALSE;
    (VOID)Table->MapTransfer(
        Looper->Adapter, Looper->Mdl, Looper->Base, MmGetMdlVirtualAddress(Looper->Mdl), &Length, FALSE);
    return Length == LAP;
}

/* How far the device is in its lap, after a moment. */
ULONG LooperPoll(VOID)
{
    KeStallExecutionProcessor(1);
    return LAP - Latest->Adapter->DmaOperations->ReadDmaCounter(Latest->Adapter);
}

ULONG LooperByte(ULONG Index)
{
    return Index < LAP ? Latest->Buffer[Index] : 0;
}

/* Whether it was flushed, which ends it. */
ULONG LooperStop(VOID)
{
    LOOPER *Looper = Latest;
    const DMA_OPERATIONS *Table = Looper->Adapter->DmaOperations;
    ULONG Flushed = Table->FlushAdapterBuffers(
        Looper->Adapter, Looper->Mdl, Looper->Base, MmGetMdlVirtualAddress(Looper->Mdl), LAP, FALSE);
    KIRQL Irql;

    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    Table->FreeAdapterChannel(Looper->Adapter);
    KeLowerIrql(Irql);
    return Flushed;
}

static VOID FreeLooper(LOOPER *Looper)
{
    if (Looper->Mdl != NULL)
        IoFreeMdl(Looper->Mdl);
    if (Looper->Buffer != NULL)
        Looper->Adapter->DmaOperations->FreeCommonBuffer(
            Looper->Adapter, LAP, Looper->Address, Looper->Buffer, FALSE);
    if (Looper->Adapter != NULL)
        Looper->Adapter->DmaOperations->PutDmaAdapter(Looper->Adapter);
    ExFreePoolWithTag(Looper, LOOPER_TAG);
}

NTSTATUS LsAttachDevice(PDEVICE_OBJECT Pdo, PVOID *DeviceContext)
{
    LOOPER *Looper = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Looper), LOOPER_TAG);
    DEVICE_DESCRIPTION Description;
    ULONG MapRegisters;

    if (Looper == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Looper->Pdo = Pdo;
    RtlZeroMemory(&Description, sizeof(Description));
    Description.Version = DEVICE_DESCRIPTION_VERSION3;
    Description.InterfaceType = ACPIBus;
    Description.AutoInitialize = TRUE;
    Description.DmaRequestLine = 1;
    Description.DmaWidth = Width32Bits;
    Description.MaximumLength = LAP;
    Description.DeviceAddress.QuadPart = 0x10;
    Looper->Adapter = IoGetDmaAdapter(Pdo, &Description, &MapRegisters);
    if (Looper->Adapter != NULL)
        Looper->Buffer = Looper->Adapter->DmaOperations->AllocateCommonBuffer(
            Looper->Adapter, LAP, &Looper->Address, FALSE);
    if (Looper->Buffer != NULL)
        Looper->Mdl = IoAllocateMdl(Looper->Buffer, LAP, FALSE, FALSE, NULL);
    if (Looper->Mdl == NULL) {
        FreeLooper(Looper);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmBuildMdlForNonPagedPool(Looper->Mdl);
    Latest = Looper;
    *DeviceContext = Looper;
    return STATUS_SUCCESS;
}

VOID LsDetachDevice(PVOID DeviceContext)
{
    FreeLooper(DeviceContext);
}
