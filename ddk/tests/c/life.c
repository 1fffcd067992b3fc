/*
 * The provider with its life in the hands of a test: what PnP would have it do, it does when LifeCall is called.
 */
#define LsAttachDevice ProviderAttach
#define LsDetachDevice ProviderDetach
#include "provider.c"
#undef LsAttachDevice
#undef LsDetachDevice

NTSTATUS LsAttachDevice(PDEVICE_OBJECT Pdo, PVOID *DeviceContext);
VOID LsDetachDevice(PVOID DeviceContext);
VOID LifeCall(ULONG What, ULONG Argument);

/* The adapter that was attached last on this thread, which is one machine's. */
static _Thread_local ADAPTER *Latest;

NTSTATUS LsAttachDevice(PDEVICE_OBJECT Pdo, PVOID *DeviceContext)
{
    NTSTATUS Status = ProviderAttach(Pdo, DeviceContext);
    Latest = NT_SUCCESS(Status) ? *DeviceContext : NULL;
    return Status;
}

VOID LsDetachDevice(PVOID DeviceContext)
{
    ADAPTER *Adapter = DeviceContext;

    if (Adapter->NetDmaHandle != NULL)
        ProviderDetach(Adapter);
    else
        FreeAdapter(Adapter);
}

static VOID StartWith(ULONG Channels)
{
    NET_DMA_PROVIDER_ATTRIBUTES Attributes;

    RtlZeroMemory(&Attributes, sizeof(Attributes));
    Attributes.Size = sizeof(Attributes);
    Attributes.VendorId = 0x1234;
    Attributes.DmaChannelCount = Channels;
    Attributes.MaximumTransferSize = 4096;
    Attributes.MaximumAddressSpace.QuadPart = -1;
    NetDmaProviderStart(Latest->NetDmaHandle, &Attributes);
}

static VOID Notify(ULONG Code)
{
    NET_DMA_PNP_NOTIFICATION Notification;

    RtlZeroMemory(&Notification, sizeof(Notification));
    Notification.StructureRevision = NET_DMA_PNP_NOTIFICATION_REVISION_1;
    Notification.StructureSize = sizeof(Notification);
    Notification.NotificationCode = (NET_DMA_PNP_NOTIFICATION_CODE)Code;
    NetDmaPnPEventNotify(Latest->NetDmaHandle, &Notification);
}

VOID LifeCall(ULONG What, ULONG Argument)
{
    switch (What) {
    case 0:
        StartWith(Argument);
        break;
    case 1:
        NetDmaProviderStop(Latest->NetDmaHandle);
        break;
    case 2:
        Notify(Argument);
        break;
    case 4:
        NetDmaDeregisterProvider(Latest->NetDmaHandle);
        break;
    default:
        NetDmaDeregisterProvider(Latest->NetDmaHandle);
        Latest->NetDmaHandle = NULL;
        break;
    }
}
