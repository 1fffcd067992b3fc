/*
 * What a DMA driver needs of the kernel, with Windows' names: addresses, levels, spin locks, deferred procedure
 * calls, interlocked operations and pool memory. Memory descriptor lists are in mdl.h, DMA is in dma.h and dmaops.h;
 * all come with this header.
 *
 * Two things differ from Windows, both because nothing that a driver hands in is trusted here:
 *  - a KDPC and a KSPIN_LOCK are known by where they stand, so they must be initialised in place and not be copied;
 *  - a call that breaks the contract (a wrong level, an object that was never initialised) does nothing, and is told
 *    to whoever watches the machine.
 */
#ifndef LONGSHORE_WDM_H
#define LONGSHORE_WDM_H

#include "ntdef.h"
#include "ntstatus.h"

LONGSHORE_BEGIN

/* The version of Windows whose structures are wanted. */
#define NTDDI_VISTA 0x06000000
#define NTDDI_VISTASP1 0x06000100
#define NTDDI_WIN7 0x06010000
#define NTDDI_WIN8 0x06020000
#define NTDDI_WIN10 0x0A000000
#ifndef NTDDI_VERSION
#define NTDDI_VERSION NTDDI_WIN7
#endif

/* ---- addresses and processors ---- */

typedef LARGE_INTEGER PHYSICAL_ADDRESS, *PPHYSICAL_ADDRESS;

typedef ULONG_PTR KAFFINITY;

typedef struct _GROUP_AFFINITY {
    KAFFINITY Mask;
    USHORT Group;
    USHORT Reserved[3];
} GROUP_AFFINITY, *PGROUP_AFFINITY;

/* A driver, a device, and a request, known by their address only. */
typedef struct _DRIVER_OBJECT DRIVER_OBJECT, *PDRIVER_OBJECT;
typedef struct _DEVICE_OBJECT DEVICE_OBJECT, *PDEVICE_OBJECT;
typedef struct _IRP IRP, *PIRP;

ULONG NTAPI KeGetCurrentProcessorNumber(VOID);

/* ---- levels ---- */

typedef UCHAR KIRQL, *PKIRQL;

#define PASSIVE_LEVEL ((KIRQL)0)
#define APC_LEVEL ((KIRQL)1)
#define DISPATCH_LEVEL ((KIRQL)2)

KIRQL NTAPI KeGetCurrentIrql(VOID);

/* Up to DISPATCH_LEVEL, and down again to where one came from. */
VOID NTAPI KeRaiseIrql(_In_ KIRQL NewIrql, _Out_ PKIRQL OldIrql);
VOID NTAPI KeLowerIrql(_In_ KIRQL NewIrql);

/* A moment of a bounded poll: everybody else may go first. At most 50 microseconds at a time. */
VOID NTAPI KeStallExecutionProcessor(_In_ ULONG MicroSeconds);

/* ---- spin locks ---- */

typedef ULONG_PTR KSPIN_LOCK, *PKSPIN_LOCK;

VOID NTAPI KeInitializeSpinLock(_Out_ PKSPIN_LOCK SpinLock);

/* At or below DISPATCH_LEVEL. Raises to DISPATCH_LEVEL and returns the level before. */
KIRQL NTAPI KeAcquireSpinLockRaiseToDpc(_Inout_ PKSPIN_LOCK SpinLock);
#define KeAcquireSpinLock(SpinLock, OldIrql) ((void)(*(OldIrql) = KeAcquireSpinLockRaiseToDpc(SpinLock)))
VOID NTAPI KeReleaseSpinLock(_Inout_ PKSPIN_LOCK SpinLock, _In_ KIRQL NewIrql);

/* At DISPATCH_LEVEL only. */
VOID NTAPI KeAcquireSpinLockAtDpcLevel(_Inout_ PKSPIN_LOCK SpinLock);
VOID NTAPI KeReleaseSpinLockFromDpcLevel(_Inout_ PKSPIN_LOCK SpinLock);

/* ---- deferred procedure calls ---- */

struct _KDPC;

typedef VOID NTAPI KDEFERRED_ROUTINE(
    _In_ struct _KDPC *Dpc,
    _In_opt_ PVOID DeferredContext,
    _In_opt_ PVOID SystemArgument1,
    _In_opt_ PVOID SystemArgument2);
typedef KDEFERRED_ROUTINE *PKDEFERRED_ROUTINE;

typedef struct _KDPC {
    ULONG64 Reserved[8];
} KDPC, *PKDPC, *PRKDPC;

VOID NTAPI KeInitializeDpc(
    _Out_ PRKDPC Dpc,
    _In_ PKDEFERRED_ROUTINE DeferredRoutine,
    _In_opt_ PVOID DeferredContext);

/* The processor on which it runs; before this, the one that queues it. */
VOID NTAPI KeSetTargetProcessorDpc(_Inout_ PRKDPC Dpc, _In_ CCHAR Number);

/* FALSE if it is queued already. It can be queued again from the moment it runs. */
BOOLEAN NTAPI KeInsertQueueDpc(
    _Inout_ PRKDPC Dpc,
    _In_opt_ PVOID SystemArgument1,
    _In_opt_ PVOID SystemArgument2);

/* FALSE if it was not queued. It may run just now all the same. */
BOOLEAN NTAPI KeRemoveQueueDpc(_Inout_ PRKDPC Dpc);

/* At PASSIVE_LEVEL: returns when every call that was queued has run. */
VOID NTAPI KeFlushQueuedDpcs(VOID);

/* ---- interrupts ---- */

typedef struct _KINTERRUPT KINTERRUPT, *PKINTERRUPT;

/* Runs at the device's level; TRUE says that the interrupt was its own. */
typedef BOOLEAN NTAPI KSERVICE_ROUTINE(_In_ PKINTERRUPT Interrupt, _In_opt_ PVOID ServiceContext);
typedef KSERVICE_ROUTINE *PKSERVICE_ROUTINE;

/* ---- interlocked operations: full barriers ---- */

static inline LONG InterlockedExchange(LONG volatile *Target, LONG Value)
{
    return __atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST);
}

static inline LONG InterlockedCompareExchange(LONG volatile *Target, LONG Exchange, LONG Comparand)
{
    __atomic_compare_exchange_n(Target, &Comparand, Exchange, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Comparand;
}

static inline LONG InterlockedIncrement(LONG volatile *Addend)
{
    return __atomic_add_fetch(Addend, 1, __ATOMIC_SEQ_CST);
}

static inline LONG InterlockedDecrement(LONG volatile *Addend)
{
    return __atomic_sub_fetch(Addend, 1, __ATOMIC_SEQ_CST);
}

static inline LONG InterlockedOr(LONG volatile *Target, LONG Value)
{
    return __atomic_fetch_or(Target, Value, __ATOMIC_SEQ_CST);
}

static inline LONG InterlockedAnd(LONG volatile *Target, LONG Value)
{
    return __atomic_fetch_and(Target, Value, __ATOMIC_SEQ_CST);
}

#ifdef __LP64__
static inline LONG64 InterlockedExchange64(LONG64 volatile *Target, LONG64 Value)
{
    return __atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST);
}

static inline LONG64 InterlockedCompareExchange64(LONG64 volatile *Target, LONG64 Exchange, LONG64 Comparand)
{
    int64_t Expected = Comparand;
    __atomic_compare_exchange_n(Target, &Expected, Exchange, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Expected;
}
#endif

/* ---- pool ---- */

typedef enum _POOL_TYPE {
    NonPagedPool = 0,
    PagedPool = 1,
    NonPagedPoolNx = 512
} POOL_TYPE;

/* At or below DISPATCH_LEVEL. The memory is zeroed here. NULL if there is none left. */
PVOID NTAPI ExAllocatePoolWithTag(_In_ POOL_TYPE PoolType, _In_ SIZE_T NumberOfBytes, _In_ ULONG Tag);
VOID NTAPI ExFreePoolWithTag(_In_ PVOID P, _In_ ULONG Tag);

LONGSHORE_END

#include "mdl.h"
#include "dma.h"
#include "dmaops.h"

#endif
