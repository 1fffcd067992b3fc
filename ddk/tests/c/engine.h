/*
 * A DMA engine in software: what it knows of a channel, and what may be asked of it.
 *
 * One worker DPC for each channel, on the processor that plays the engine, walks the channel's descriptors. Whoever
 * touches memory for a channel, the worker or a call that stops it, holds the channel's claim (Busy). Everything is
 * decided under the channel's spin lock, and nothing else is done there.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include "longshore.h"
#include "netdma.h"

/* The contract's generation: 0x0101 is 1.1, 0x0200 is 2.0, 0x0201 is 2.1. */
#ifndef PROVIDER_VERSION
#define PROVIDER_VERSION 0x0101
#endif

/* From 2.0 on descriptors are counted; before, a chain ends with NULL. */
#define COUNTED (PROVIDER_VERSION >= 0x0200)

/* How many bytes the engine moves between two looks at what it is told. */
#ifndef ENGINE_PIECE
#define ENGINE_PIECE 4096
#endif

/* How many microseconds a call waits for the engine before it gives up. */
#ifndef ENGINE_PATIENCE
#define ENGINE_PATIENCE 1000
#endif

#define MAXIMUM_TRANSFER_SIZE (1024 * 1024)

typedef enum _CHANNEL_STATE {
    ChannelFree,
    ChannelFresh, /* allocated or reset, and not started since */
    ChannelArmed, /* started, and nothing done yet */
    ChannelActive,
    ChannelIdle,
    ChannelSuspended,
    ChannelAborted,
    ChannelError
} CHANNEL_STATE;

/* A run of bytes, or two: a transfer may go on in another page. */
typedef struct _SIDE {
    ULONG64 First;
    ULONG FirstLength;
    ULONG64 Second;
} SIDE;

/* A descriptor that was read and found sound. */
typedef struct _TRANSFER {
    ULONG64 Address;
    ULONG64 Link; /* its NextDescriptor, as it was read */
    ULONG Run; /* the chain it belongs to */
    BOOLEAN WantsWord;
    BOOLEAN WantsInterrupt;
    BOOLEAN Backwards;
    ULONG Length;
    ULONG Moved;
    SIDE To;
    SIDE From;
} TRANSFER;

/* What is to be told of a descriptor: a completion word, unless it is 0, and an interrupt. */
typedef struct _REPORT {
    ULONG64 Word;
    ULONG64 Last;
    BOOLEAN Interrupt;
    BOOLEAN Error;
} REPORT;

/* What a channel's interrupt still has to tell. */
#define DUE_ISR 1
#define DUE_COMPLETED 2
#define DUE_ERROR 4

typedef struct _CHANNEL {
    KSPIN_LOCK Lock;

    /* All of this under the lock. */
    CHANNEL_STATE State;
    BOOLEAN Busy; /* somebody holds the claim */
    ULONG Run; /* counts chains, so that what is left of an old one is known */
    ULONG64 CompletionWord; /* where it stands, or 0 */
    ULONG64 Last; /* the last completed descriptor of this chain, or 0 */
    ULONG64 Next; /* the next one, if it is known */
    BOOLEAN ReadLink; /* it is not: the link of Last says it */
    ULONG64 Count; /* descriptors to go, from 2.0 on */
    BOOLEAN Appended; /* an append was heard since a link was read */
    BOOLEAN InTheMiddle; /* Current waits, half done */
    TRANSFER Current;
    REPORT Withheld; /* of a descriptor that a suspend waited for */

    /* Written under the lock, and also looked at without it. */
    volatile LONG CutWanted; /* calls that wait to cut the current descriptor */
    volatile LONG HoldWanted; /* calls that wait for its end */
    volatile LONG Closed; /* the channel was freed: whatever is left of it stops */

    /* The interrupt's, interlocked: a service routine takes no spin lock. */
    volatile LONG Due;
    volatile LONG Inside; /* routines that may use NetDmaHandle just now */
    volatile LONG Open; /* whether it may be used at all */
    volatile LONG ReportProcessor; /* where the DPC runs, plus one, or 0 */
    volatile LONG64 Reported; /* the last descriptor that asked for an interrupt */
    PVOID NetDmaHandle;

    ULONG InterruptProcessor;
    PKINTERRUPT Interrupt;
    KDPC Worker;
    KDPC Report;
} CHANNEL;

typedef enum _STOP { StopSuspend, StopAbort, StopReset } STOP;

KDEFERRED_ROUTINE EngineWorker;

NTSTATUS EngineStart(CHANNEL *Channel, ULONG64 First, ULONG Count);
NTSTATUS EngineAppend(CHANNEL *Channel, ULONG64 First, ULONG Count);
NTSTATUS EngineResume(CHANNEL *Channel);

/* Success says that the engine is quiet. */
NTSTATUS EngineStop(CHANNEL *Channel, STOP Stop, ULONG64 *Last);

/* From here on nothing is moved or written for the channel. */
VOID EngineRelease(CHANNEL *Channel);

/* provider.c: has the channel interrupt. */
VOID ProviderInterrupt(CHANNEL *Channel, const REPORT *Report);

#endif
