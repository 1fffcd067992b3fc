/*
 * A driver of a bus master that is given lists. The engine of its device is played here too: it reaches memory by the
 * addresses of the list, and by nothing else.
 *
 * Each Master routine is one test. It returns the line of the first expectation that did not hold, or 0.
 */
#include <ntddk.h>
#include "longshore.h"

#define MASTER_TAG 0x5453414D /* "MAST" */

#ifndef ADDRESS_WIDTH
#define ADDRESS_WIDTH 64
#endif

#define FIRST_PART 5000 /* the chain has two MDLs, and neither ends where a page does */
#define BUFFER_LENGTH 9000
#define FROM 700 /* where lists begin */
#define LENGTH 8000
#define MOST_ELEMENTS 8
#define UNTOUCHED 0xA5

typedef struct _MASTER {
    PDMA_ADAPTER Adapter;
    PDEVICE_OBJECT Pdo;
    PUCHAR Buffer;
    PMDL Mdl;
    UCHAR Context[DMA_TRANSFER_CONTEXT_SIZE_V1];
    UCHAR Device[LENGTH]; /* the device's own memory */

    PSCATTER_GATHER_LIST List;
    ULONG Calls;
    ULONG Wrong;
} MASTER;

DRIVER_LIST_CONTROL MasterListControl;

ULONG MasterRead(VOID);
ULONG MasterWrite(VOID);
ULONG MasterBuild(VOID);
ULONG MasterEx(VOID);
ULONG MasterWaits(VOID);
ULONG MasterPutTwice(VOID);
ULONG MasterPutsAdapter(VOID);
ULONG MasterMdl(VOID);

static _Thread_local MASTER *Latest;

#define EXPECT(Holds) do { if (!(Holds) && Master->Wrong == 0) Master->Wrong = __LINE__; } while (0)

_Use_decl_annotations_
VOID
  MasterListControl(
    PDEVICE_OBJECT DeviceObject,
    PIRP Irp,
    PSCATTER_GATHER_LIST ScatterGather,
    PVOID Context
    )
{
    MASTER *Master = Context;

    EXPECT(KeGetCurrentIrql() == DISPATCH_LEVEL);
    EXPECT(DeviceObject == Master->Pdo && Irp == NULL && ScatterGather != NULL);
    Master->List = ScatterGather;
    Master->Calls++;
}

/* ---- the engine ---- */

/* Moves the device's bytes to or from memory, element by element. Returns how many there were. */
static ULONG Move(MASTER *Master, const SCATTER_GATHER_LIST *List, BOOLEAN ToMemory)
{
    ULONG Index, Done = 0;

    for (Index = 0; Index < List->NumberOfElements; Index++) {
        const SCATTER_GATHER_ELEMENT *Element = &List->Elements[Index];
        NTSTATUS Status;

        EXPECT(Element->Length <= LENGTH - Done);
        if (Master->Wrong != 0)
            break;
        if (ToMemory)
            Status = LsWritePhysical(Element->Address, Master->Device + Done, Element->Length);
        else
            Status = LsReadPhysical(Element->Address, Master->Device + Done, Element->Length);
        EXPECT(NT_SUCCESS(Status));
        Done += Element->Length;
    }
    return Done;
}

static UCHAR Pattern(ULONG Index)
{
    return (UCHAR)(Index * 7 + Index / 251);
}

static VOID Prepare(MASTER *Master)
{
    ULONG Index;

    Master->Wrong = 0;
    Master->Calls = 0;
    Master->List = NULL;
    __builtin_memset(Master->Buffer, UNTOUCHED, BUFFER_LENGTH);
    for (Index = 0; Index < LENGTH; Index++)
        Master->Device[Index] = Pattern(Index);
    EXPECT(NT_SUCCESS(Master->Adapter->DmaOperations->InitializeDmaTransferContext(Master->Adapter, Master->Context)));
}

/* What the device wrote is there, and nothing else was touched. */
static VOID ExpectArrived(MASTER *Master)
{
    ULONG Index;

    for (Index = 0; Index < BUFFER_LENGTH; Index++) {
        BOOLEAN Inside = (BOOLEAN)(Index >= FROM && Index < FROM + LENGTH);
        EXPECT(Master->Buffer[Index] == (Inside ? Pattern(Index - FROM) : UNTOUCHED));
    }
}

static VOID Put(MASTER *Master, PSCATTER_GATHER_LIST List, BOOLEAN WriteToDevice)
{
    Master->Adapter->DmaOperations->PutScatterGatherList(Master->Adapter, List, WriteToDevice);
}

static NTSTATUS Get(MASTER *Master, BOOLEAN WriteToDevice)
{
    return Master->Adapter->DmaOperations->GetScatterGatherList(
        Master->Adapter, Master->Pdo, Master->Mdl, Master->Buffer + FROM, LENGTH, MasterListControl, Master,
        WriteToDevice);
}

/* ---- the tests ---- */

ULONG MasterRead(VOID)
{
    MASTER *Master = Latest;
    KIRQL Irql;

    Prepare(Master);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    EXPECT(NT_SUCCESS(Get(Master, FALSE)) && Master->Calls == 1);
    if (Master->List != NULL) {
        EXPECT(Move(Master, Master->List, TRUE) == LENGTH);
        Put(Master, Master->List, FALSE);
    }
    KeLowerIrql(Irql);
    ExpectArrived(Master);
    return Master->Wrong;
}

ULONG MasterWrite(VOID)
{
    MASTER *Master = Latest;
    ULONG Index;
    KIRQL Irql;

    Prepare(Master);
    __builtin_memset(Master->Device, 0, LENGTH);
    for (Index = 0; Index < LENGTH; Index++)
        Master->Buffer[FROM + Index] = Pattern(Index);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    EXPECT(NT_SUCCESS(Get(Master, TRUE)) && Master->Calls == 1);
    if (Master->List != NULL) {
        EXPECT(Move(Master, Master->List, FALSE) == LENGTH);
        Put(Master, Master->List, FALSE); /* it is the other direction: refused */
        Put(Master, Master->List, TRUE);
    }
    KeLowerIrql(Irql);
    for (Index = 0; Index < LENGTH; Index++)
        EXPECT(Master->Device[Index] == Pattern(Index));
    return Master->Wrong;
}

/* In memory of the driver's, which is as long as the system says. */
ULONG MasterBuild(VOID)
{
    MASTER *Master = Latest;
    const DMA_OPERATIONS *Table = Master->Adapter->DmaOperations;
    ULONG Size = 0, Worst = 0, Registers = 0;
    PVOID Memory;
    KIRQL Irql;

    Prepare(Master);
    EXPECT(NT_SUCCESS(Table->CalculateScatterGatherList(
        Master->Adapter, Master->Mdl, Master->Buffer + FROM, LENGTH, &Size, &Registers)));
    EXPECT(NT_SUCCESS(Table->CalculateScatterGatherList(
        Master->Adapter, NULL, Master->Buffer + FROM, LENGTH, &Worst, NULL)));
    EXPECT(Table->CalculateScatterGatherList(
        Master->Adapter, Master->Mdl, Master->Buffer + FROM, BUFFER_LENGTH, &Worst, NULL) == STATUS_BUFFER_TOO_SMALL);
    EXPECT(Registers >= 2 && Size > sizeof(SCATTER_GATHER_LIST));
    Memory = ExAllocatePoolWithTag(NonPagedPoolNx, Size, MASTER_TAG);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    EXPECT(Table->BuildScatterGatherList(
        Master->Adapter, Master->Pdo, Master->Mdl, Master->Buffer + FROM, LENGTH, MasterListControl, Master, FALSE,
        Memory, sizeof(SCATTER_GATHER_LIST)) == STATUS_BUFFER_TOO_SMALL);
    EXPECT(Master->Calls == 0);
    EXPECT(NT_SUCCESS(Table->BuildScatterGatherList(
        Master->Adapter, Master->Pdo, Master->Mdl, Master->Buffer + FROM, LENGTH, MasterListControl, Master, FALSE,
        Memory, Size)));
    EXPECT(Master->Calls == 1 && (PVOID)Master->List == Memory);
    if (Master->List != NULL) {
        EXPECT(Move(Master, Master->List, TRUE) == LENGTH);
        Put(Master, Master->List, FALSE);
    }
    KeLowerIrql(Irql);
    ExpectArrived(Master);
    ExFreePoolWithTag(Memory, MASTER_TAG);
    return Master->Wrong;
}

static NTSTATUS GetEx(MASTER *Master, ULONG Flags, PDRIVER_LIST_CONTROL Routine, PSCATTER_GATHER_LIST *Place)
{
    return Master->Adapter->DmaOperations->GetScatterGatherListEx(
        Master->Adapter, Master->Pdo, Master->Context, Master->Mdl, FROM, LENGTH, Flags, Routine, Master, FALSE, NULL,
        NULL, Place);
}

/* Which of flags, routine and place go together, and what frees each list. */
ULONG MasterEx(VOID)
{
    MASTER *Master = Latest;
    const DMA_OPERATIONS *Table = Master->Adapter->DmaOperations;
    PSCATTER_GATHER_LIST List = NULL;
    PVOID Memory, Place = NULL;
    KIRQL Irql;

    /* The answer of the call, at PASSIVE_LEVEL too, which FreeAdapterObject frees. */
    Prepare(Master);
    EXPECT(NT_SUCCESS(GetEx(Master, DMA_SYNCHRONOUS_CALLBACK, NULL, &List)) && List != NULL);
    if (List == NULL)
        return Master->Wrong;
    EXPECT(Move(Master, List, TRUE) == LENGTH);
    Table->FreeAdapterObject(Master->Adapter, KeepObject); /* no effect */
    Table->FreeAdapterObject(Master->Adapter, DeallocateObject);
    ExpectArrived(Master);

    /* With a routine, which has run when the call returns; PutScatterGatherList frees it. */
    if (Master->Wrong == 0)
        Prepare(Master);
    EXPECT(NT_SUCCESS(GetEx(Master, DMA_SYNCHRONOUS_CALLBACK, MasterListControl, NULL)) && Master->Calls == 1);
    if (Master->List == NULL)
        return Master->Wrong;
    EXPECT(Move(Master, Master->List, TRUE) == LENGTH);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    Put(Master, Master->List, FALSE);
    ExpectArrived(Master);

    /* In the driver's memory, which is the answer. */
    if (Master->Wrong == 0)
        Prepare(Master);
    Memory = ExAllocatePoolWithTag(NonPagedPoolNx, PAGE_SIZE, MASTER_TAG);
    EXPECT(Table->BuildScatterGatherListEx(
        Master->Adapter, Master->Pdo, Master->Context, Master->Mdl, FROM, LENGTH, DMA_SYNCHRONOUS_CALLBACK, NULL, NULL,
        FALSE, Memory, 40, NULL, NULL, &Place) == STATUS_BUFFER_TOO_SMALL);
    EXPECT(NT_SUCCESS(Table->BuildScatterGatherListEx(
        Master->Adapter, Master->Pdo, Master->Context, Master->Mdl, FROM, LENGTH, DMA_SYNCHRONOUS_CALLBACK, NULL, NULL,
        FALSE, Memory, PAGE_SIZE, NULL, NULL, &Place)));
    EXPECT(Place == Memory);
    if (Master->Wrong == 0) {
        EXPECT(Move(Master, Place, TRUE) == LENGTH);
        Put(Master, Place, FALSE);
        ExpectArrived(Master);
    }
    ExFreePoolWithTag(Memory, MASTER_TAG);

    /* What does not go together is refused: nobody to call, nowhere to answer, a completion that would never come. */
    EXPECT(GetEx(Master, 0, NULL, &List) == STATUS_INVALID_PARAMETER);
    EXPECT(GetEx(Master, DMA_SYNCHRONOUS_CALLBACK, NULL, NULL) == STATUS_INVALID_PARAMETER);
    EXPECT(Table->GetScatterGatherListEx(
        Master->Adapter, Master->Pdo, Master->Context, Master->Mdl, 0, 8, 0, MasterListControl, Master, FALSE, NULL,
        Master, NULL) == STATUS_INVALID_PARAMETER);
    EXPECT(Table->GetScatterGatherListEx(
        Master->Adapter, Master->Pdo, Master->Context, Master->Mdl, FROM, BUFFER_LENGTH, 0, MasterListControl, Master,
        FALSE, NULL, NULL, NULL) == STATUS_INVALID_PARAMETER);
    KeLowerIrql(Irql);
    return Master->Wrong;
}

/* One that has to wait is called when its turn comes, and another one is taken back. */
ULONG MasterWaits(VOID)
{
    MASTER *Master = Latest;
    const DMA_OPERATIONS *Table = Master->Adapter->DmaOperations;
    PSCATTER_GATHER_LIST List = NULL;
    UCHAR Second[DMA_TRANSFER_CONTEXT_SIZE_V1], Third[DMA_TRANSFER_CONTEXT_SIZE_V1];
    KIRQL Irql;

    Prepare(Master);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    EXPECT(NT_SUCCESS(Table->InitializeDmaTransferContext(Master->Adapter, Second)));
    EXPECT(NT_SUCCESS(Table->InitializeDmaTransferContext(Master->Adapter, Third)));
    EXPECT(NT_SUCCESS(GetEx(Master, DMA_SYNCHRONOUS_CALLBACK, NULL, &List)));
    EXPECT(NT_SUCCESS(Table->GetScatterGatherListEx(
        Master->Adapter, Master->Pdo, Second, Master->Mdl, 0, 64, 0, MasterListControl, Master, TRUE, NULL, NULL,
        NULL)));
    EXPECT(NT_SUCCESS(Table->GetScatterGatherListEx(
        Master->Adapter, Master->Pdo, Third, Master->Mdl, 0, 64, 0, MasterListControl, Master, TRUE, NULL, NULL,
        NULL)));
    EXPECT(Master->Calls == 0);
    EXPECT(Table->CancelAdapterChannel(Master->Adapter, Master->Pdo, Third));
    if (List != NULL)
        Put(Master, List, FALSE);
    EXPECT(Master->Calls == 1 && Master->List != NULL);
    if (Master->List != NULL)
        Put(Master, Master->List, TRUE);
    KeLowerIrql(Irql);
    return Master->Wrong;
}

ULONG MasterPutTwice(VOID)
{
    MASTER *Master = Latest;
    KIRQL Irql;

    Prepare(Master);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    EXPECT(NT_SUCCESS(Get(Master, FALSE)));
    Put(Master, Master->List, FALSE);
    Put(Master, Master->List, FALSE);
    KeLowerIrql(Irql);
    return Master->Wrong;
}

ULONG MasterPutsAdapter(VOID)
{
    MASTER *Master = Latest;
    KIRQL Irql;

    Prepare(Master);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    EXPECT(NT_SUCCESS(Get(Master, FALSE)));
    Master->Adapter->DmaOperations->PutDmaAdapter(Master->Adapter); /* refused */
    Put(Master, Master->List, FALSE);
    KeLowerIrql(Irql);
    return Master->Wrong;
}

/* Where nothing was copied, what the device uses is the original; where something was, no MDL of C's describes it. */
ULONG MasterMdl(VOID)
{
    MASTER *Master = Latest;
    PBUILD_MDL_FROM_SCATTER_GATHER_LIST Build = Master->Adapter->DmaOperations->BuildMdlFromScatterGatherList;
    NTSTATUS Status;
    PMDL Mdl = NULL;
    KIRQL Irql;

    Prepare(Master);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    EXPECT(NT_SUCCESS(Get(Master, FALSE)));
    EXPECT(Build(Master->Adapter, Master->List, NULL, &Mdl) == STATUS_INVALID_PARAMETER);
    Status = Build(Master->Adapter, Master->List, Master->Mdl, &Mdl);
    if (ADDRESS_WIDTH == 64)
        EXPECT(NT_SUCCESS(Status) && Mdl == Master->Mdl);
    else
        EXPECT(Status == STATUS_INSUFFICIENT_RESOURCES && Mdl == NULL);
    EXPECT(Build(Master->Adapter, Master->List, Master->Mdl, &Mdl) == STATUS_NONE_MAPPED);
    Put(Master, Master->List, FALSE);
    KeLowerIrql(Irql);
    return Master->Wrong;
}

/* ---- the device ---- */

static VOID FreeMaster(MASTER *Master)
{
    PMDL Mdl = Master->Mdl;

    if (Master->Adapter != NULL)
        Master->Adapter->DmaOperations->PutDmaAdapter(Master->Adapter);
    while (Mdl != NULL) {
        PMDL Next = Mdl->Next;
        IoFreeMdl(Mdl);
        Mdl = Next;
    }
    if (Master->Buffer != NULL)
        ExFreePoolWithTag(Master->Buffer, MASTER_TAG);
    ExFreePoolWithTag(Master, MASTER_TAG);
}

static BOOLEAN MakeBuffer(MASTER *Master)
{
    PMDL Rest;

    Master->Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, BUFFER_LENGTH, MASTER_TAG);
    if (Master->Buffer == NULL)
        return FALSE;
    Master->Mdl = IoAllocateMdl(Master->Buffer, FIRST_PART, FALSE, FALSE, NULL);
    Rest = IoAllocateMdl(Master->Buffer + FIRST_PART, BUFFER_LENGTH - FIRST_PART, FALSE, FALSE, NULL);
    if (Master->Mdl != NULL)
        Master->Mdl->Next = Rest;
    if (Master->Mdl == NULL || Rest == NULL)
        return FALSE;
    MmBuildMdlForNonPagedPool(Master->Mdl);
    MmBuildMdlForNonPagedPool(Rest);
    return TRUE;
}

NTSTATUS LsAttachDevice(PDEVICE_OBJECT Pdo, PVOID *DeviceContext)
{
    MASTER *Master = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Master), MASTER_TAG);
    DEVICE_DESCRIPTION Description;
    ULONG MapRegisters;

    if (Master == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Master->Pdo = Pdo;
    RtlZeroMemory(&Description, sizeof(Description));
    Description.Version = DEVICE_DESCRIPTION_VERSION3;
    Description.Master = TRUE;
    Description.ScatterGather = TRUE;
    Description.InterfaceType = PCIBus;
    Description.MaximumLength = BUFFER_LENGTH;
    Description.DmaAddressWidth = ADDRESS_WIDTH;
    if (MakeBuffer(Master))
        Master->Adapter = IoGetDmaAdapter(Pdo, &Description, &MapRegisters);
    if (Master->Adapter == NULL) {
        FreeMaster(Master);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Latest = Master;
    *DeviceContext = Master;
    return STATUS_SUCCESS;
}

VOID LsDetachDevice(PVOID DeviceContext)
{
    FreeMaster(DeviceContext);
}
