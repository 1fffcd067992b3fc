/*
 * The base types of Windows drivers, with the sizes that they have there: a ULONG has 32 bits although `long` has 64
 * on Linux, a WCHAR has 16, and a 64-bit integer is aligned to eight bytes on x86 too.
 *
 * Compiles as C11 and as C++17, hosted or freestanding, and needs the compiler's own headers only.
 */
#ifndef LONGSHORE_NTDEF_H
#define LONGSHORE_NTDEF_H

#include <stddef.h>
#include <stdint.h>

#include "sal.h"

#ifdef __cplusplus
#define LONGSHORE_BEGIN extern "C" {
#define LONGSHORE_END }
#define C_ASSERT(e) static_assert(e, #e)
#else
#define LONGSHORE_BEGIN
#define LONGSHORE_END
#define C_ASSERT(e) _Static_assert(e, #e)
#endif

/* The calling convention is the platform's own. */
#define NTAPI

#ifndef VOID
#define VOID void
#endif

typedef void *PVOID;
typedef void *HANDLE;
typedef char CHAR, *PCHAR;
typedef signed char CCHAR;
typedef unsigned char UCHAR, *PUCHAR;
typedef unsigned char BOOLEAN, *PBOOLEAN;
typedef int16_t SHORT, CSHORT;
typedef uint16_t USHORT;
typedef int32_t LONG;
typedef uint32_t ULONG, *PULONG;
typedef unsigned int UINT;
typedef uint8_t UINT8;
typedef uint16_t UINT16;
typedef uint32_t UINT32;
typedef uintptr_t ULONG_PTR, UINT_PTR;
typedef ULONG_PTR SIZE_T;
typedef int64_t __attribute__((aligned(8))) LONGLONG;
typedef uint64_t __attribute__((aligned(8))) ULONGLONG;
typedef LONGLONG LONG64;
typedef ULONGLONG ULONG64, *PULONG64;

#ifdef __cplusplus
typedef char16_t WCHAR;
#else
typedef uint16_t WCHAR; /* what the text of u"..." is made of */
#endif
typedef WCHAR *PWSTR;

#define FALSE ((BOOLEAN)0)
#define TRUE ((BOOLEAN)1)

typedef LONG NTSTATUS;
#define NT_SUCCESS(Status) ((NTSTATUS)(Status) >= 0)

/* 64 bits, as a whole or as two halves. */
typedef union _LARGE_INTEGER {
    __extension__ struct {
        ULONG LowPart;
        LONG HighPart;
    };
    struct {
        ULONG LowPart;
        LONG HighPart;
    } u;
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

/* Lengths count bytes; the text need not end with a zero. */
typedef struct _UNICODE_STRING {
    USHORT Length;
    USHORT MaximumLength;
    PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;

/* A UNICODE_STRING of a text such as u"engine". */
#define RTL_CONSTANT_STRING(s) { sizeof(s) - sizeof((s)[0]), sizeof(s), (PWSTR)(s) }

#ifndef CONTAINING_RECORD
#define CONTAINING_RECORD(address, type, field) \
    ((type *)(void *)((char *)(address) - offsetof(type, field)))
#endif
#define FIELD_OFFSET(type, field) ((LONG)offsetof(type, field))
#define RTL_SIZEOF_THROUGH_FIELD(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))
#define UNREFERENCED_PARAMETER(p) ((void)(p))

#define RtlZeroMemory(Destination, Length) ((void)__builtin_memset((Destination), 0, (Length)))
#define RtlCopyMemory(Destination, Source, Length) \
    ((void)__builtin_memcpy((Destination), (Source), (Length)))

#endif
