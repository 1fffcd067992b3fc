/*
 * The engine: calls that change what it does, and the worker that does it.
 */
#include "engine.h"

#define PAGE 4096u

static PHYSICAL_ADDRESS At(ULONG64 Address)
{
    PHYSICAL_ADDRESS At;
    At.QuadPart = (LONGLONG)Address;
    return At;
}

static BOOLEAN IsDescriptor(ULONG64 Address)
{
    return Address != 0 && Address % 64 == 0;
}

static BOOLEAN Runs(const CHANNEL *Channel)
{
    return Channel->State == ChannelArmed || Channel->State == ChannelActive;
}

static ULONG64 Word(const CHANNEL *Channel, ULONG64 Last, NET_DMA_TRANSFER_STATUS Status)
{
    return Channel->CompletionWord != 0 ? (Last | (ULONG64)Status) : 0;
}

static VOID Kick(CHANNEL *Channel)
{
    KeInsertQueueDpc(&Channel->Worker, NULL, NULL);
}

/* The current descriptor is not to be finished. */
static BOOLEAN WantsCut(const CHANNEL *Channel)
{
    return Channel->CutWanted != 0 || Channel->Closed != 0;
}

/* Forgets the chain. No descriptor of it is looked at any more. */
static VOID Forget(CHANNEL *Channel)
{
    Channel->Run++;
    Channel->Next = 0;
    Channel->ReadLink = FALSE;
    Channel->Count = 0;
    Channel->Appended = FALSE;
    Channel->InTheMiddle = FALSE;
}

/* ---- the claim ---- */

/* Gives the claim back, and lets the worker go on if there is more to do. */
static VOID GiveBack(CHANNEL *Channel)
{
    KIRQL OldIrql;
    BOOLEAN More;

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    Channel->Busy = FALSE;
    More = Channel->InTheMiddle || Runs(Channel);
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    if (More)
        Kick(Channel);
}

/* Writes a completion word, unless the channel was freed in the meantime. */
static NTSTATUS StoreWord(CHANNEL *Channel, ULONG64 Value)
{
    KIRQL OldIrql;
    ULONG64 Address;

    if (Value == 0)
        return STATUS_SUCCESS;
    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    Address = Channel->CompletionWord;
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    return Address != 0 ? LsStorePhysical64(At(Address), Value) : STATUS_SUCCESS;
}

/* The engine cannot go on. The last good descriptor is named, not the bad one. */
static VOID Fail(CHANNEL *Channel)
{
    KIRQL OldIrql;
    REPORT Report = { 0, 0, FALSE, FALSE };

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    if (Runs(Channel) || Channel->State == ChannelIdle) {
        Channel->State = ChannelError;
        Forget(Channel);
        Report.Word = Word(Channel, Channel->Last, NetDmaTransferStatusHalted);
        Report.Last = Channel->Last;
        Report.Interrupt = TRUE;
        Report.Error = TRUE;
    }
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    StoreWord(Channel, Report.Word); /* where even this fails, the interrupt alone has to do */
    ProviderInterrupt(Channel, &Report);
}

/* Data, then the word, then the interrupt. */
static VOID Tell(CHANNEL *Channel, const REPORT *Report)
{
    if (NT_SUCCESS(StoreWord(Channel, Report->Word)))
        ProviderInterrupt(Channel, Report);
    else
        Fail(Channel);
}

/* ---- calls that change the chain ---- */

NTSTATUS EngineStart(CHANNEL *Channel, ULONG64 First, ULONG Count)
{
    KIRQL OldIrql;
    NTSTATUS Status = STATUS_UNSUCCESSFUL;

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    if (Channel->State != ChannelFree && IsDescriptor(First) && (!COUNTED || Count != 0)) {
        Channel->State = ChannelArmed;
        /* What is being moved now belongs to the old chain: it is finished, and nothing behind it. */
        Channel->Run++;
        Channel->Last = 0;
        Channel->Next = First;
        Channel->ReadLink = FALSE;
        Channel->Count = Count;
        Channel->Appended = FALSE;
        /* An error that nobody was told of is not the new chain's. A stale interrupt is what is left of it. */
        if ((InterlockedAnd(&Channel->Due, ~DUE_ERROR) & DUE_ERROR) != 0 && Channel->Reported != 0)
            InterlockedOr(&Channel->Due, DUE_COMPLETED);
        Status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    if (NT_SUCCESS(Status))
        Kick(Channel);
    return Status;
}

/* Only an engine that has run out knows where a counted chain must go on; before, it has not read the tail. */
static BOOLEAN Contradicts(const CHANNEL *Channel, ULONG64 First, ULONG Count)
{
    return COUNTED && Count != 0 && Channel->State == ChannelIdle && !Channel->ReadLink && Channel->Next != First;
}

NTSTATUS EngineAppend(CHANNEL *Channel, ULONG64 First, ULONG Count)
{
    KIRQL OldIrql;
    NTSTATUS Status = STATUS_UNSUCCESSFUL;
    BOOLEAN Suspended;

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    Suspended = Channel->State == ChannelSuspended;
    if ((Runs(Channel) || Channel->State == ChannelIdle || Suspended) && IsDescriptor(First) &&
        !Contradicts(Channel, First, Count)) {
        Status = STATUS_SUCCESS;
        if (!COUNTED || Count != 0) {
            if (Channel->State == ChannelIdle)
                Channel->State = ChannelActive;
            /* Before 2.0 the address is not used: the engine may have gone there by itself. The tail's link says it. */
            Channel->Count += Count;
            Channel->Appended = TRUE;
        }
    }
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    if (NT_SUCCESS(Status) && !Suspended)
        Kick(Channel);
    return Status;
}

NTSTATUS EngineResume(CHANNEL *Channel)
{
    KIRQL OldIrql;
    NTSTATUS Status = STATUS_UNSUCCESSFUL;

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    if (Channel->State == ChannelSuspended) {
        Channel->State = ChannelActive;
        if (COUNTED && Channel->Count == 0)
            Channel->State = ChannelIdle;
        else if (Channel->Last != 0)
            Channel->ReadLink = TRUE; /* it may have been edited */
        Status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    if (NT_SUCCESS(Status))
        Kick(Channel);
    return Status;
}

/* ---- calls that stop it ---- */

/* Whether a stop makes sense in this state. */
static BOOLEAN CanStop(const CHANNEL *Channel, STOP Stop)
{
    if (Stop != StopSuspend)
        return Channel->State != ChannelFree;
    return Runs(Channel) || Channel->State == ChannelIdle || Channel->State == ChannelSuspended;
}

/* Takes effect. Returns the word that says so. */
static ULONG64 TakeEffect(CHANNEL *Channel, STOP Stop)
{
    CHANNEL_STATE Before = Channel->State;
    ULONG64 Value = 0;

    if (Stop == StopSuspend) {
        Channel->State = ChannelSuspended;
        return Before != ChannelSuspended ? Word(Channel, Channel->Last, NetDmaTransferStatusSuspend) : 0;
    }
    if (Runs(Channel) || Before == ChannelIdle || Before == ChannelSuspended ||
        (Before == ChannelFresh && Stop == StopAbort))
        Value = Word(Channel, Channel->Last, NetDmaTransferStatusHalted);
    Channel->State = Stop == StopAbort ? ChannelAborted : ChannelFresh;
    Forget(Channel);
    return Value;
}

/* Whether the engine stands where this stop can take effect. */
static BOOLEAN CanTakeEffect(const CHANNEL *Channel, STOP Stop)
{
    return !Channel->Busy && (Stop != StopSuspend || !Channel->InTheMiddle);
}

/*
 * Waits, for a bounded time, for the claim. It is taken, or the wish withdrawn, under one hold of the lock, so what
 * is told is true for good.
 */
static NTSTATUS ClaimForStop(CHANNEL *Channel, STOP Stop, ULONG64 *Last, REPORT *Report)
{
    volatile LONG *Wanted = Stop == StopSuspend ? &Channel->HoldWanted : &Channel->CutWanted;
    NTSTATUS Status = STATUS_PENDING;
    ULONG Polls;
    KIRQL OldIrql;

    for (Polls = 0; Status == STATUS_PENDING; Polls++) {
        KeAcquireSpinLock(&Channel->Lock, &OldIrql);
        if (Polls == 0)
            (*Wanted)++;
        if (!CanStop(Channel, Stop)) {
            Status = STATUS_UNSUCCESSFUL;
        } else if (CanTakeEffect(Channel, Stop)) {
            Channel->Busy = TRUE;
            *Last = Channel->Last;
            /* The word of a descriptor that waited for this is replaced; its interrupt is not. */
            *Report = Channel->Withheld;
            RtlZeroMemory(&Channel->Withheld, sizeof(Channel->Withheld));
            Report->Word = TakeEffect(Channel, Stop);
            if (Stop == StopReset)
                Channel->Last = 0;
            Status = STATUS_SUCCESS;
        } else if (Polls == ENGINE_PATIENCE) {
            Status = STATUS_UNSUCCESSFUL;
        }
        if (Status != STATUS_PENDING)
            (*Wanted)--;
        KeReleaseSpinLock(&Channel->Lock, OldIrql);
        if (Status == STATUS_PENDING)
            KeStallExecutionProcessor(1);
    }
    return Status;
}

NTSTATUS EngineStop(CHANNEL *Channel, STOP Stop, ULONG64 *Last)
{
    REPORT Report;
    NTSTATUS Status = ClaimForStop(Channel, Stop, Last, &Report);

    if (!NT_SUCCESS(Status)) {
        Kick(Channel); /* the worker may have waited for this */
        return Status;
    }
    /* An engine that cannot write its word has stopped all the same. */
    StoreWord(Channel, Report.Word);
    ProviderInterrupt(Channel, &Report);
    GiveBack(Channel);
    return STATUS_SUCCESS;
}

VOID EngineRelease(CHANNEL *Channel)
{
    ULONG64 Last;
    KIRQL OldIrql;
    BOOLEAN Busy = TRUE;
    BOOLEAN Pending;
    ULONG Polls;

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    Pending = Runs(Channel) || Channel->State == ChannelSuspended;
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    if (Pending)
        EngineStop(Channel, StopAbort, &Last); /* the caller promised that there is nothing to stop */
    for (Polls = 0; Busy && Polls < ENGINE_PATIENCE; Polls++) {
        KeAcquireSpinLock(&Channel->Lock, &OldIrql);
        Channel->State = ChannelFree;
        Channel->Closed = 1;
        Channel->CompletionWord = 0;
        Forget(Channel);
        Busy = Channel->Busy;
        KeReleaseSpinLock(&Channel->Lock, OldIrql);
        if (Busy)
            KeStallExecutionProcessor(1);
    }
}

/* ---- what a descriptor says ---- */

static BOOLEAN ReadSide(SIDE *Side, ULONG64 First, ULONG Length, BOOLEAN Break, ULONG64 Second)
{
    ULONG Room = PAGE - (ULONG)(First % PAGE);

    Side->First = First;
    Side->FirstLength = Break && Length > Room ? Room : Length;
    Side->Second = Second;
    if (First + Side->FirstLength < First)
        return FALSE;
    return Length == Side->FirstLength || (Second % PAGE == 0 && Length - Side->FirstLength <= PAGE);
}

/* Takes a descriptor apart. FALSE if it makes no sense. */
static BOOLEAN ReadTransfer(TRANSFER *Transfer, const NET_DMA_DESCRIPTOR *Descriptor)
{
    ULONG Flags = Descriptor->ControlFlags;
    ULONG64 From = (ULONG64)Descriptor->SourceAddress.QuadPart;
    ULONG64 To = (ULONG64)Descriptor->DestinationAddress.QuadPart;
    BOOLEAN FromBreak = COUNTED && (Flags & NET_DMA_SOURCE_PAGE_BREAK) != 0;
    BOOLEAN ToBreak = COUNTED && (Flags & NET_DMA_DESTINATION_PAGE_BREAK) != 0;

    Transfer->Link = (ULONG64)Descriptor->NextDescriptor.QuadPart;
    Transfer->WantsWord = (Flags & NET_DMA_STATUS_UPDATE_ON_COMPLETION) != 0;
    /* The type comes first: bit 0 means "interrupt" in a copy only. */
    if ((Flags & NET_DMA_OP_TYPE_MASK) == NET_DMA_OP_TYPE_CONTEXT_CHANGE)
        return COUNTED; /* a hint to caches, of which this engine has none */
    if ((Flags & NET_DMA_OP_TYPE_MASK) != NET_DMA_OP_TYPE_STANDARD_DMA)
        return FALSE;
    Transfer->WantsInterrupt = (Flags & NET_DMA_INTERRUPT_ON_COMPLETION) != 0;
    if ((Flags & NET_DMA_NULL_TRANSFER) != 0)
        return TRUE; /* nothing else is looked at */
    if (Descriptor->TransferSize > MAXIMUM_TRANSFER_SIZE)
        return FALSE;
    Transfer->Length = Descriptor->TransferSize;
    /* Pieces must add up to one move. */
    Transfer->Backwards = !FromBreak && !ToBreak && From < To && To - From < Transfer->Length;
    return ReadSide(&Transfer->From, From, Transfer->Length, FromBreak,
                    (ULONG64)Descriptor->NextSourceAddress.QuadPart) &&
           ReadSide(&Transfer->To, To, Transfer->Length, ToBreak,
                    (ULONG64)Descriptor->NextDestinationAddress.QuadPart);
}

/* Where byte Offset of a side stands, and how many bytes follow it in one run. */
static ULONG64 Place(const SIDE *Side, ULONG Offset, ULONG *Run)
{
    if (Offset >= Side->FirstLength)
        return Side->Second + (Offset - Side->FirstLength);
    if (*Run > Side->FirstLength - Offset)
        *Run = Side->FirstLength - Offset;
    return Side->First + Offset;
}

/* ---- the worker ---- */

/* Moves the next piece. */
static NTSTATUS MovePiece(TRANSFER *Transfer)
{
    ULONG Left = Transfer->Length - Transfer->Moved;
    ULONG Length = Left < ENGINE_PIECE ? Left : ENGINE_PIECE;
    ULONG Offset = Transfer->Backwards ? Left - Length : Transfer->Moved;
    ULONG64 From = Place(&Transfer->From, Offset, &Length);
    ULONG64 To = Place(&Transfer->To, Offset, &Length);

    Transfer->Moved += Length;
    return LsCopyPhysical(At(To), At(From), Length);
}

/* Leaves the current descriptor half done, if somebody still wants that. */
static BOOLEAN Pause(CHANNEL *Channel, const TRANSFER *Transfer)
{
    KIRQL OldIrql;
    BOOLEAN Paused;

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    Paused = WantsCut(Channel);
    if (Paused) {
        Channel->InTheMiddle = Channel->Closed == 0;
        Channel->Current = *Transfer;
    }
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    return Paused;
}

/* A descriptor of a chain that is no longer the channel's. */
static REPORT ReportOld(CHANNEL *Channel, const TRANSFER *Transfer)
{
    REPORT Report = { 0, 0, FALSE, FALSE };

    if (Channel->State != ChannelFree) {
        Report.Word = Transfer->WantsWord ? Word(Channel, Transfer->Address, NetDmaTransferStatusActive) : 0;
        Report.Last = Transfer->Address;
        Report.Interrupt = Transfer->WantsInterrupt;
    }
    return Report;
}

/* A descriptor's data is moved and its link is Link: the chain goes on, or is over. */
static REPORT Advance(CHANNEL *Channel, const TRANSFER *Transfer, ULONG64 Link)
{
    BOOLEAN AtTheEnd = !COUNTED && Link == 0;
    REPORT Report = { 0, Transfer->Address, Transfer->WantsInterrupt, FALSE };
    BOOLEAN More;

    Channel->Last = Transfer->Address;
    if (Channel->Count > 0)
        Channel->Count--;
    Channel->Next = Link;
    Channel->ReadLink = AtTheEnd;
    More = COUNTED ? Channel->Count > 0 : !AtTheEnd || Channel->Appended;
    if (Channel->HoldWanted != 0 && Channel->CutWanted == 0) {
        /* Whoever suspends writes the word, in its place. */
        Channel->State = ChannelActive;
        Channel->Withheld = Report;
        RtlZeroMemory(&Report, sizeof(Report));
        return Report;
    }
    Channel->State = More ? ChannelActive : ChannelIdle;
    if (Transfer->WantsWord)
        Report.Word = Word(Channel, Transfer->Address, More ? NetDmaTransferStatusActive : NetDmaTransferStatusIdle);
    return Report;
}

/* Reads the link of a descriptor, in one access: NetDMA may be writing it. */
static NTSTATUS LoadLink(ULONG64 Descriptor, ULONG64 *Link)
{
    return LsLoadPhysical64(At(Descriptor + FIELD_OFFSET(NET_DMA_DESCRIPTOR, NextDescriptor)), Link);
}

static VOID Complete(CHANNEL *Channel, const TRANSFER *Transfer)
{
    ULONG64 Link = Transfer->Link;
    BOOLEAN LinkedAgain = FALSE;
    KIRQL OldIrql;
    REPORT Report;

    for (;;) {
        KeAcquireSpinLock(&Channel->Lock, &OldIrql);
        if (Transfer->Run != Channel->Run || !Runs(Channel)) {
            Report = ReportOld(Channel, Transfer);
            break;
        }
        if (COUNTED || Link != 0 || !Channel->Appended || LinkedAgain) {
            Report = Advance(Channel, Transfer, Link);
            break;
        }
        /* An append was heard since the link was read. Only another look tells whether this is the tail. */
        Channel->Appended = FALSE;
        KeReleaseSpinLock(&Channel->Lock, OldIrql);
        if (!NT_SUCCESS(LoadLink(Transfer->Address, &Link))) {
            Fail(Channel);
            return;
        }
        LinkedAgain = TRUE;
    }
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    Tell(Channel, &Report);
}

static VOID Move(CHANNEL *Channel, TRANSFER *Transfer)
{
#ifdef FLAW_WORD_BEFORE_DATA
    StoreWord(Channel, Transfer->WantsWord ? Transfer->Address : 0); /* deliberately wrong, to see that it is found */
#endif
    while (Transfer->Moved < Transfer->Length) {
        if (WantsCut(Channel) && Pause(Channel, Transfer))
            return;
        if (!NT_SUCCESS(MovePiece(Transfer))) {
            Fail(Channel);
            return;
        }
        LsPoint();
    }
    Complete(Channel, Transfer);
}

/* The chain cannot be read. If it was replaced in the meantime, nobody cares. */
static VOID FailToRead(CHANNEL *Channel, ULONG Run)
{
    KIRQL OldIrql;
    BOOLEAN Ours;

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    Ours = Run == Channel->Run;
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    if (Ours)
        Fail(Channel);
}

static VOID Fetch(CHANNEL *Channel, ULONG64 Address, ULONG Run)
{
    NET_DMA_DESCRIPTOR Descriptor;
    TRANSFER Transfer;

    RtlZeroMemory(&Transfer, sizeof(Transfer));
    Transfer.Address = Address;
    Transfer.Run = Run;
    /* Once, whole, before any of it is used. */
    if (IsDescriptor(Address) && NT_SUCCESS(LsReadPhysical(At(Address), &Descriptor, sizeof(Descriptor))) &&
        ReadTransfer(&Transfer, &Descriptor))
        Move(Channel, &Transfer);
    else
        FailToRead(Channel, Run);
}

static VOID Relink(CHANNEL *Channel, ULONG64 Tail, ULONG Run)
{
    ULONG64 Link;
    KIRQL OldIrql;

    if (!NT_SUCCESS(LoadLink(Tail, &Link))) {
        FailToRead(Channel, Run);
        return;
    }
    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    if (Run == Channel->Run && Runs(Channel)) {
        if (COUNTED || Link != 0) {
            Channel->Next = Link;
            Channel->ReadLink = FALSE;
        } else if (!Channel->Appended) {
            Channel->State = ChannelIdle;
        }
    }
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
}

typedef enum _TASK { TaskNone, TaskMove, TaskRelink, TaskFetch } TASK;

/* What is to be done next, with the claim for it. */
static TASK Claim(CHANNEL *Channel, TRANSFER *Transfer)
{
    TASK Task = TaskNone;
    KIRQL OldIrql;

    KeAcquireSpinLock(&Channel->Lock, &OldIrql);
    if (Channel->Busy || Channel->CutWanted != 0) {
        Task = TaskNone;
    } else if (Channel->InTheMiddle) {
        Task = TaskMove;
        *Transfer = Channel->Current;
        Channel->InTheMiddle = FALSE;
    } else if (Channel->HoldWanted == 0 && Runs(Channel)) {
        Task = Channel->ReadLink ? TaskRelink : TaskFetch;
        Transfer->Address = Channel->ReadLink ? Channel->Last : Channel->Next;
        Transfer->Run = Channel->Run;
        /* Whoever appends from here on must be heard; what was linked before is read now. */
        Channel->Appended = FALSE;
    }
    Channel->Busy = Channel->Busy || Task != TaskNone;
    KeReleaseSpinLock(&Channel->Lock, OldIrql);
    return Task;
}

/* One descriptor at a time: a chain that never ends holds nobody up. */
VOID EngineWorker(PKDPC Dpc, PVOID DeferredContext, PVOID SystemArgument1, PVOID SystemArgument2)
{
    CHANNEL *Channel = DeferredContext;
    TRANSFER Transfer;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(SystemArgument1);
    UNREFERENCED_PARAMETER(SystemArgument2);
    switch (Claim(Channel, &Transfer)) {
    case TaskNone:
        return;
    case TaskMove:
        Move(Channel, &Transfer);
        break;
    case TaskRelink:
        Relink(Channel, Transfer.Address, Transfer.Run);
        break;
    case TaskFetch:
        Fetch(Channel, Transfer.Address, Transfer.Run);
        break;
    }
    GiveBack(Channel);
}
