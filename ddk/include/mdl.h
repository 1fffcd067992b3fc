/*
 * Memory descriptor lists: what a buffer is, for a device. Comes with wdm.h.
 *
 * Two things differ from Windows. An MDL is made by IoAllocateMdl only and known by where it stands, and its members
 * but Next are for reading: what it describes was noted when it was made. And it describes pool memory, which is why
 * MmBuildMdlForNonPagedPool is the only routine that builds one. A common buffer is described like pool memory.
 */
#ifndef LONGSHORE_MDL_H
#define LONGSHORE_MDL_H

#ifndef LONGSHORE_WDM_H
#error "this is a part of wdm.h: include that"
#endif

LONGSHORE_BEGIN

#define PAGE_SHIFT 12
#define PAGE_SIZE 0x1000

#define BYTE_OFFSET(Va) ((ULONG)((ULONG_PTR)(Va) & (PAGE_SIZE - 1)))
#define PAGE_ALIGN(Va) ((PVOID)((ULONG_PTR)(Va) & ~(ULONG_PTR)(PAGE_SIZE - 1)))

/* How many pages these bytes touch. */
#define ADDRESS_AND_SIZE_TO_SPAN_PAGES(Va, Size) \
    ((ULONG)(((SIZE_T)BYTE_OFFSET(Va) + (SIZE_T)(Size) + (PAGE_SIZE - 1)) >> PAGE_SHIFT))

struct _EPROCESS;

typedef struct _MDL {
    struct _MDL *Next; /* the rest of a chain, which is the driver's to link */
    CSHORT Size;
    CSHORT MdlFlags;
    struct _EPROCESS *Process;
    PVOID MappedSystemVa;
    PVOID StartVa;
    ULONG ByteCount;
    ULONG ByteOffset;
} MDL, *PMDL;

#define MDL_MAPPED_TO_SYSTEM_VA 0x0001
#define MDL_PAGES_LOCKED 0x0002
#define MDL_SOURCE_IS_NONPAGED_POOL 0x0004
#define MDL_ALLOCATED_FIXED_SIZE 0x0008

/* How much a mapping is wanted. Nothing is ever mapped here, so any will do. */
typedef enum _MM_PAGE_PRIORITY {
    LowPagePriority = 0,
    NormalPagePriority = 16,
    HighPagePriority = 32
} MM_PAGE_PRIORITY;

#define MdlMappingNoWrite 0x80000000
#define MdlMappingNoExecute 0x40000000

/* At or below DISPATCH_LEVEL. NULL if there is no memory left. There are no requests here: Irp is NULL. */
_IRQL_requires_max_(DISPATCH_LEVEL)
PMDL NTAPI IoAllocateMdl(
    _In_opt_ PVOID VirtualAddress,
    _In_ ULONG Length,
    _In_ BOOLEAN SecondaryBuffer,
    _In_ BOOLEAN ChargeQuota,
    _Inout_opt_ PIRP Irp);

_IRQL_requires_max_(DISPATCH_LEVEL)
VOID NTAPI IoFreeMdl(_In_ PMDL Mdl);

/* At or below DISPATCH_LEVEL. Says that the memory is there, and stays: all of it must be one block of pool memory, or of a common buffer. */
_IRQL_requires_max_(DISPATCH_LEVEL)
VOID NTAPI MmBuildMdlForNonPagedPool(_Inout_ PMDL MemoryDescriptorList);

/*
 * At or below DISPATCH_LEVEL, before a transfer of version 1 or 2. It has nothing to do here, for map and flush do all the
 * cache work there is; a driver of version 3 must not need it, and is told so.
 */
_IRQL_requires_max_(DISPATCH_LEVEL)
VOID NTAPI KeFlushIoBuffers(_In_ PMDL Mdl, _In_ BOOLEAN ReadOperation, _In_ BOOLEAN DmaOperation);

#define MmGetMdlByteCount(Mdl) ((Mdl)->ByteCount)
#define MmGetMdlByteOffset(Mdl) ((Mdl)->ByteOffset)
#define MmGetMdlBaseVa(Mdl) ((Mdl)->StartVa)
#define MmGetMdlVirtualAddress(Mdl) ((PVOID)((PCHAR)(Mdl)->StartVa + (Mdl)->ByteOffset))

/* NULL for an MDL that was not built. */
static inline PVOID MmGetSystemAddressForMdlSafe(_In_ PMDL Mdl, _In_ ULONG Priority)
{
    UNREFERENCED_PARAMETER(Priority);
    return (Mdl->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) != 0 ? Mdl->MappedSystemVa : NULL;
}

LONGSHORE_END

#endif
