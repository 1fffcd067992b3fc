/*
 * A driver of a device that is served by a system DMA controller, with version 3 of the DMA operations.
 *
 * What requests from above would have it do, it does when a test calls DriverStart. A transfer goes piece by piece:
 * map, completion routine, flush, the next piece.
 */
#include <ntddk.h>
#include "longshore.h"

#define DRIVER_TAG 0x56524444 /* "DDRV" */

#ifndef DRIVER_PIECE
#define DRIVER_PIECE 8 /* bytes at a time, so that there is more than one piece */
#endif

#define BUFFER_LENGTH 24
#define FIRST_PART 10 /* the chain has two MDLs, and the first ends in the middle of a piece */
#define UNTOUCHED 0xA5

typedef struct _DRIVER {
    PDMA_ADAPTER Adapter;
    PDEVICE_OBJECT Pdo;
    ULONG MapRegisters;

    PUCHAR Buffer;
    PMDL Mdl;
    /* Nothing is said about its alignment, so it has none. */
    UCHAR Misalign;
    UCHAR Context[DMA_TRANSFER_CONTEXT_SIZE_V1];

    /* The transfer that is under way. */
    PVOID Base;
    BOOLEAN WriteToDevice;
    ULONG Done;
    ULONG Piece;
    LONG Finished;
    LONG Calls;
    LONG Mistakes;
    DMA_COMPLETION_STATUS Last;
} DRIVER;

/* The device object that requests are made for need not be the PDO; drivers with a framework give their own. */
#define FDO(Driver) ((PDEVICE_OBJECT)(PVOID)(Driver))

DRIVER_CONTROL DriverAdapterControl;
DMA_COMPLETION_ROUTINE DriverDmaCompletion;

/* What a test calls. */
VOID DriverPrepare(VOID);
VOID DriverStart(ULONG WriteToDevice, ULONG Synchronous);
VOID DriverCancel(VOID);
ULONG DriverLook(ULONG What);
ULONG DriverByte(ULONG Index);

/* The driver that was attached last on this thread, which is one machine's. */
static _Thread_local DRIVER *Latest;

/* Something happened that the contract rules out. */
static VOID Mistake(DRIVER *Driver)
{
    InterlockedIncrement(&Driver->Mistakes);
}

static VOID Expect(DRIVER *Driver, BOOLEAN Holds)
{
    if (!Holds)
        Mistake(Driver);
}

static VOID Finish(DRIVER *Driver)
{
    InterlockedExchange(&Driver->Finished, 1);
}

/* ---- one piece ---- */

/*
 * The completion routine may run before this returns, and may even have mapped the next piece: nothing of the
 * transfer is touched afterwards.
 */
static NTSTATUS MapPiece(DRIVER *Driver)
{
    Driver->Piece = BUFFER_LENGTH - Driver->Done;
    if (Driver->Piece > DRIVER_PIECE)
        Driver->Piece = DRIVER_PIECE;
    return Driver->Adapter->DmaOperations->MapTransferEx(
        Driver->Adapter, Driver->Mdl, Driver->Base, Driver->Done, 0, &Driver->Piece, Driver->WriteToDevice, NULL, 0,
        DriverDmaCompletion, Driver);
}

static VOID FlushPiece(DRIVER *Driver, ULONG Moved)
{
    NTSTATUS Status = Driver->Adapter->DmaOperations->FlushAdapterBuffersEx(
        Driver->Adapter, Driver->Mdl, Driver->Base, Driver->Done, Moved, Driver->WriteToDevice);

    Expect(Driver, NT_SUCCESS(Status));
    Driver->Done += Moved;
}

static VOID FreeChannel(DRIVER *Driver)
{
    Driver->Adapter->DmaOperations->FreeAdapterChannel(Driver->Adapter);
    Finish(Driver);
}

/* Maps a piece with the channel in hand. What cannot be mapped was cancelled, and nobody will be called for it. */
static VOID Continue(DRIVER *Driver)
{
    NTSTATUS Status = MapPiece(Driver);

    if (NT_SUCCESS(Status))
        return;
    Expect(Driver, Status == STATUS_CANCELLED);
    Driver->Last = DmaCancelled;
    FreeChannel(Driver);
}

#ifdef FLAW_PASSIVE_IN_COMPLETION
static VOID AskForAnotherAdapter(DRIVER *Driver)
{
    DEVICE_DESCRIPTION Description;
    ULONG MapRegisters;

    RtlZeroMemory(&Description, sizeof(Description));
    Description.Version = DEVICE_DESCRIPTION_VERSION3;
    Description.DmaRequestLine = 1;
    Description.MaximumLength = BUFFER_LENGTH;
    Expect(Driver, IoGetDmaAdapter(Driver->Pdo, &Description, &MapRegisters) == NULL);
}
#endif

_Use_decl_annotations_
VOID
  DriverDmaCompletion(
    PDMA_ADAPTER DmaAdapter,
    PDEVICE_OBJECT DeviceObject,
    PVOID CompletionContext,
    DMA_COMPLETION_STATUS Status
    )
{
    DRIVER *Driver = CompletionContext;

    Expect(Driver, KeGetCurrentIrql() == DISPATCH_LEVEL);
    Expect(Driver, DmaAdapter == Driver->Adapter && DeviceObject == FDO(Driver));
    InterlockedIncrement(&Driver->Calls);
    Driver->Last = Status;
#ifdef FLAW_PASSIVE_IN_COMPLETION
    AskForAnotherAdapter(Driver);
#endif
    switch (Status) {
    case DmaComplete:
#ifdef FLAW_MAP_WITHOUT_FLUSH
        if (Driver->Done == 0)
            Expect(Driver, MapPiece(Driver) == STATUS_INVALID_PARAMETER);
#endif
        FlushPiece(Driver, Driver->Piece);
        if (Driver->Done < BUFFER_LENGTH)
            Continue(Driver);
        else
            FreeChannel(Driver);
        break;
    case DmaError:
    case DmaCancelled:
        FlushPiece(Driver, Driver->Piece - DmaAdapter->DmaOperations->ReadDmaCounter(DmaAdapter));
        FreeChannel(Driver);
        break;
    case DmaAborted: /* not used */
    default:
        Mistake(Driver);
        break;
    }
}

/* ---- one transfer ---- */

_Use_decl_annotations_
IO_ALLOCATION_ACTION
  DriverAdapterControl(
    PDEVICE_OBJECT DeviceObject,
    PIRP Irp,
    PVOID MapRegisterBase,
    PVOID Context
    )
{
    DRIVER *Driver = Context;

    Expect(Driver, KeGetCurrentIrql() == DISPATCH_LEVEL);
    Expect(Driver, DeviceObject == FDO(Driver) && Irp == NULL);
    Driver->Base = MapRegisterBase;
    Continue(Driver);
    return KeepObject;
}

static VOID Allocate(DRIVER *Driver, BOOLEAN Synchronous)
{
    PALLOCATE_ADAPTER_CHANNEL_EX AllocateChannel = Driver->Adapter->DmaOperations->AllocateAdapterChannelEx;
    NTSTATUS Status;
    PVOID Base;
    KIRQL Irql;

    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    if (Synchronous)
        Status = AllocateChannel(
            Driver->Adapter, FDO(Driver), Driver->Context, Driver->MapRegisters, DMA_SYNCHRONOUS_CALLBACK, NULL, NULL,
            &Base);
    else
        Status = AllocateChannel(
            Driver->Adapter, FDO(Driver), Driver->Context, Driver->MapRegisters, 0, DriverAdapterControl, Driver, NULL);
    if (!NT_SUCCESS(Status)) {
        Expect(Driver, Status == STATUS_CANCELLED);
        Driver->Last = DmaCancelled;
        Finish(Driver);
    } else if (Synchronous) {
        Driver->Base = Base;
        Continue(Driver);
    }
    KeLowerIrql(Irql);
}

/* How many map registers the whole buffer takes, of those there are. */
static VOID CountMapRegisters(DRIVER *Driver, ULONG Available)
{
    DMA_TRANSFER_INFO Info;

    RtlZeroMemory(&Info, sizeof(Info));
    Info.Version = DMA_TRANSFER_INFO_VERSION2;
    Expect(Driver, NT_SUCCESS(Driver->Adapter->DmaOperations->GetDmaTransferInfo(
        Driver->Adapter, Driver->Mdl, 0, BUFFER_LENGTH, FALSE, &Info)));
    Expect(Driver, Info.V2.MapRegisterCount >= 1 && Info.V2.ScatterGatherElementCount >= 1);
    Expect(Driver, Info.V2.ScatterGatherListSize >= sizeof(SCATTER_GATHER_LIST) + sizeof(SCATTER_GATHER_ELEMENT));
    Driver->MapRegisters = Info.V2.MapRegisterCount < Available ? Info.V2.MapRegisterCount : Available;
}

/* From here on the transfer can be cancelled, though it was not asked for yet. */
VOID DriverPrepare(VOID)
{
    DRIVER *Driver = Latest;

    Driver->Done = 0;
    Driver->Calls = 0;
    Driver->Finished = 0;
    __builtin_memset(Driver->Buffer, UNTOUCHED, BUFFER_LENGTH);
    Expect(Driver, NT_SUCCESS(
        Driver->Adapter->DmaOperations->InitializeDmaTransferContext(Driver->Adapter, Driver->Context)));
}

VOID DriverStart(ULONG WriteToDevice, ULONG Synchronous)
{
    DRIVER *Driver = Latest;
    ULONG Index;

    Driver->WriteToDevice = (BOOLEAN)(WriteToDevice != 0);
    for (Index = 0; WriteToDevice != 0 && Index < BUFFER_LENGTH; Index++)
        Driver->Buffer[Index] = (UCHAR)Index;
    Allocate(Driver, (BOOLEAN)(Synchronous != 0));
}

/* At or below DISPATCH_LEVEL, at any moment. Whoever comes too late for the allocation stops the transfer. */
VOID DriverCancel(VOID)
{
    DRIVER *Driver = Latest;
    const DMA_OPERATIONS *Operations = Driver->Adapter->DmaOperations;

    if (Driver->Finished != 0)
        return;
    if (Operations->CancelAdapterChannel(Driver->Adapter, FDO(Driver), Driver->Context)) {
        /* It was waiting, or will be refused: nobody else ends it. */
        Driver->Last = DmaCancelled;
        Finish(Driver);
        return;
    }
    Operations->CancelMappedTransfer(Driver->Adapter, Driver->Context);
}

/* ---- what a test looks at ---- */

ULONG DriverLook(ULONG What)
{
    DRIVER *Driver = Latest;

    switch (What) {
    case 0:
        return (ULONG)Driver->Finished;
    case 1:
        return Driver->Last;
    case 2:
        return Driver->Done;
    case 3:
        return (ULONG)Driver->Calls;
    default:
        return (ULONG)Driver->Mistakes;
    }
}

ULONG DriverByte(ULONG Index)
{
    return Index < BUFFER_LENGTH ? Latest->Buffer[Index] : 0;
}

/* ---- the device ---- */

static VOID FreeDriver(DRIVER *Driver)
{
    PMDL Mdl = Driver->Mdl;

    if (Driver->Adapter != NULL)
        Driver->Adapter->DmaOperations->PutDmaAdapter(Driver->Adapter);
    while (Mdl != NULL) {
        PMDL Next = Mdl->Next;
        IoFreeMdl(Mdl);
        Mdl = Next;
    }
    if (Driver->Buffer != NULL)
        ExFreePoolWithTag(Driver->Buffer, DRIVER_TAG);
    ExFreePoolWithTag(Driver, DRIVER_TAG);
}

/* A chain of two MDLs over the buffer. FALSE if there is no memory left. */
static BOOLEAN MakeBuffer(DRIVER *Driver)
{
    PMDL Rest;

    Driver->Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, BUFFER_LENGTH, DRIVER_TAG);
    if (Driver->Buffer == NULL)
        return FALSE;
    Driver->Mdl = IoAllocateMdl(Driver->Buffer, FIRST_PART, FALSE, FALSE, NULL);
    Rest = IoAllocateMdl(Driver->Buffer + FIRST_PART, BUFFER_LENGTH - FIRST_PART, FALSE, FALSE, NULL);
    if (Driver->Mdl != NULL)
        Driver->Mdl->Next = Rest;
    if (Driver->Mdl == NULL || Rest == NULL)
        return FALSE;
    MmBuildMdlForNonPagedPool(Driver->Mdl);
    MmBuildMdlForNonPagedPool(Rest);
    Expect(Driver, MmGetSystemAddressForMdlSafe(Rest, NormalPagePriority) == Driver->Buffer + FIRST_PART);
    Expect(Driver, MmGetMdlVirtualAddress(Rest) == Driver->Buffer + FIRST_PART);
    Expect(Driver, MmGetMdlByteCount(Rest) == BUFFER_LENGTH - FIRST_PART && Driver->Mdl->Next == Rest);
    return TRUE;
}

static BOOLEAN GetAdapter(DRIVER *Driver)
{
    DEVICE_DESCRIPTION Description;
    ULONG MapRegisters;

    RtlZeroMemory(&Description, sizeof(Description));
    Description.Version = DEVICE_DESCRIPTION_VERSION3;
    Description.InterfaceType = ACPIBus;
    Description.DmaChannel = 0;
    Description.DmaRequestLine = 1;
    Description.DmaWidth = Width32Bits;
    Description.MaximumLength = BUFFER_LENGTH;
    Description.DeviceAddress.QuadPart = 0x10;
    Driver->Adapter = IoGetDmaAdapter(Driver->Pdo, &Description, &MapRegisters);
    if (Driver->Adapter == NULL)
        return FALSE;
    /* Its version does not tell what it can do; that there is one, and the size of its table, do. */
    Expect(Driver, Driver->Adapter->Version == 1 && Driver->Adapter->Size == sizeof(DMA_ADAPTER));
    Expect(Driver, Driver->Adapter->DmaOperations->Size
        == RTL_SIZEOF_THROUGH_FIELD(DMA_OPERATIONS, CancelMappedTransfer));
    CountMapRegisters(Driver, MapRegisters);
    return TRUE;
}

NTSTATUS LsAttachDevice(PDEVICE_OBJECT Pdo, PVOID *DeviceContext)
{
    DRIVER *Driver = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Driver), DRIVER_TAG);

    if (Driver == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Driver->Pdo = Pdo;
    if (!MakeBuffer(Driver) || !GetAdapter(Driver)) {
        FreeDriver(Driver);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Latest = Driver;
    *DeviceContext = Driver;
    return STATUS_SUCCESS;
}

VOID LsDetachDevice(PVOID DeviceContext)
{
    FreeDriver(DeviceContext);
}
