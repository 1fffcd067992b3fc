/*
 * What the page of DMA_COMPLETION_ROUTINE shows, to the letter: a declaration by its role, and a definition.
 */
#include <ntddk.h>

/* The page leaves the body to the reader, so nothing uses the parameters. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

DMA_COMPLETION_ROUTINE MyDmaCompletionRoutine;

_Use_decl_annotations_
VOID
  MyDmaCompletionRoutine(
    PDMA_ADAPTER DmaAdapter,
    PDEVICE_OBJECT DeviceObject,
    PVOID CompletionContext,
    DMA_COMPLETION_STATUS Status
    )
  {
      // Function body
  }
