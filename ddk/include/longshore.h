/*
 * What stands in for hardware: physical memory that is read, written and copied by calls, an interrupt line that
 * software can assert, and the entry points of a module.
 *
 * Nothing in this header exists on Windows. A provider keeps it to the part that plays the engine.
 */
#ifndef LONGSHORE_LONGSHORE_H
#define LONGSHORE_LONGSHORE_H

#include "wdm.h"

LONGSHORE_BEGIN

/* ---- entry points, which a module defines ---- */

/*
 * In the place of AddDevice and START_DEVICE: makes whatever a device needs, registers its provider and starts it.
 * What is left at DeviceContext comes back in LsDetachDevice. On failure nothing stays behind. PASSIVE_LEVEL.
 *
 * A module may be attached many times, also at once, and must keep nothing in statics.
 */
NTSTATUS NTAPI LsAttachDevice(_In_ PDEVICE_OBJECT Pdo, _Out_ PVOID *DeviceContext);

/* In the place of STOP_DEVICE and REMOVE_DEVICE: stops, deregisters and gives everything back. PASSIVE_LEVEL. */
VOID NTAPI LsDetachDevice(_In_ PVOID DeviceContext);

/*
 * In the place of what DriverEntry is given: the driver object for the device that is being attached. A miniport
 * registers with it in LsAttachDevice; its InitializeHandlerEx is called once that has returned, and its HaltHandlerEx
 * before LsDetachDevice.
 */
#define LsDriverObject(Pdo) ((PDRIVER_OBJECT)(PVOID)(Pdo))

/* ---- physical memory, as an engine reaches it ---- */

/*
 * STATUS_INVALID_PARAMETER where an address or length reaches outside the machine's memory or is misaligned, and
 * STATUS_UNSUCCESSFUL where the bus fails, which may be in the middle. At any level.
 */
NTSTATUS NTAPI LsReadPhysical(_In_ PHYSICAL_ADDRESS From, _Out_ PVOID To, _In_ SIZE_T Length);
NTSTATUS NTAPI LsWritePhysical(_In_ PHYSICAL_ADDRESS To, _In_ const VOID *From, _In_ SIZE_T Length);
NTSTATUS NTAPI LsCopyPhysical(_In_ PHYSICAL_ADDRESS To, _In_ PHYSICAL_ADDRESS From, _In_ SIZE_T Length);

/* One access, at a multiple of eight. The store comes after everything the caller wrote before. */
NTSTATUS NTAPI LsLoadPhysical64(_In_ PHYSICAL_ADDRESS At, _Out_ PULONG64 Value);
NTSTATUS NTAPI LsStorePhysical64(_In_ PHYSICAL_ADDRESS At, _In_ ULONG64 Value);

/* ---- the engine's processor ---- */

/* The processor that plays the engine: its work belongs into a DPC that is targeted there. */
ULONG NTAPI LsEngineProcessor(_In_ PDEVICE_OBJECT Pdo);

/* Between two pieces of work: a place where anything else may come first. */
VOID NTAPI LsPoint(VOID);

/* ---- an interrupt line ---- */

/* PASSIVE_LEVEL. The line is level-triggered: it interrupts until it is deasserted. */
NTSTATUS NTAPI LsConnectInterrupt(
    _In_ PDEVICE_OBJECT Pdo,
    _In_ ULONG Processor,
    _In_ PKSERVICE_ROUTINE ServiceRoutine,
    _In_opt_ PVOID ServiceContext,
    _Out_ PKINTERRUPT *Interrupt);

/* PASSIVE_LEVEL. Once it returns, the service routine no longer runs. */
VOID NTAPI LsDisconnectInterrupt(_In_ PKINTERRUPT Interrupt);

VOID NTAPI LsAssertInterrupt(_In_ PKINTERRUPT Interrupt);
VOID NTAPI LsDeassertInterrupt(_In_ PKINTERRUPT Interrupt);

LONGSHORE_END

#endif
