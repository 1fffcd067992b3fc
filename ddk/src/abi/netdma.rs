//! NetDMA: twins of `netdma.h`.

use super::types::{GroupAffinity, PhysicalAddress, Pointer, Status, UnicodeString};

/// `DMA_CHANNELS_CPU_AFFINITY_HANDLER`.
pub type SetAffinityHandler = unsafe extern "C" fn(Pointer, *mut ChannelCpuAffinity, u32) -> Status;
/// `DMA_CHANNEL_ALLOCATE_HANDLER`.
pub type AllocateHandler =
    unsafe extern "C" fn(Pointer, *mut ChannelParameters, Pointer, *mut Pointer) -> Status;
/// `DMA_CHANNEL_FREE_HANDLER`.
pub type FreeHandler = unsafe extern "C" fn(Pointer);
/// `DMA_START_HANDLER` and `DMA_APPEND_HANDLER`.
pub type ChainHandler = unsafe extern "C" fn(Pointer, Pointer, PhysicalAddress, u32) -> Status;
/// `DMA_SUSPEND_HANDLER`.
pub type SuspendHandler = unsafe extern "C" fn(Pointer, *mut Pointer) -> Status;
/// `DMA_RESUME_HANDLER`, `DMA_ABORT_HANDLER` and `DMA_RESET_HANDLER`.
pub type CommandHandler = unsafe extern "C" fn(Pointer) -> Status;

/// `NET_DMA_PROVIDER_CHARACTERISTICS`. A handler that is NULL is absent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; netdma.h says what they are"
)]
pub struct ProviderCharacteristics {
    pub major_version: u8,
    pub minor_version: u8,
    pub size: u16,
    pub flags: u32,
    pub physical_device_object: Pointer,
    pub max_dma_channel_count: u32,
    pub set_dma_channel_cpu_affinity: Option<SetAffinityHandler>,
    pub allocate_dma_channel: Option<AllocateHandler>,
    pub free_dma_channel: Option<FreeHandler>,
    pub start_dma: Option<ChainHandler>,
    pub suspend_dma: Option<SuspendHandler>,
    pub resume_dma: Option<CommandHandler>,
    pub abort_dma: Option<CommandHandler>,
    pub append_dma: Option<ChainHandler>,
    pub reset_channel: Option<CommandHandler>,
    pub friendly_name: UnicodeString,
}

impl ProviderCharacteristics {
    /// The size without the name, which came with 2.0.
    pub const SIZE_1: u16 = 96;
    /// The whole size.
    pub const SIZE_2: u16 = 112;
}

/// `NET_DMA_PROVIDER_ATTRIBUTES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; netdma.h says what they are"
)]
pub struct ProviderAttributes {
    pub major_hw_version: u8,
    pub minor_hw_version: u8,
    pub size: u16,
    pub flags: u32,
    pub vendor_id: u32,
    pub dma_channel_count: u32,
    pub maximum_transfer_size: u32,
    pub maximum_address_space: PhysicalAddress,
}

impl ProviderAttributes {
    /// The whole size.
    pub const SIZE: u16 = 32;
}

/// `NET_DMA_CHANNEL_CPU_AFFINITY`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ChannelCpuAffinity {
    /// The channel.
    pub dma_channel: u32,
    /// Where its interrupt is to arrive.
    pub cpu_number: u32,
}

/// `NET_DMA_CHANNEL_PARAMETERS`, with what revision 2 added.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; netdma.h says what they are"
)]
pub struct ChannelParameters {
    pub revision: u16,
    pub size: u16,
    pub flags: u32,
    pub completion_virtual_address: Pointer,
    pub completion_physical_address: PhysicalAddress,
    pub processor_affinity_mask: u32,
    pub channel_priority: u32,
    pub cpu_number: u32,
    pub processor_affinity_mask_ex: GroupAffinity,
}

impl ChannelParameters {
    /// The size of revision 1, through the number of the CPU.
    pub const SIZE_1: u16 = 36;
    /// The size of revision 2.
    pub const SIZE_2: u16 = 56;
}

/// `NET_DMA_PNP_NOTIFICATION`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; netdma.h says what they are"
)]
pub struct PnpNotification {
    pub structure_revision: u32,
    pub structure_size: u32,
    pub notification_code: u32,
    pub buffer: Pointer,
    pub buffer_length: u32,
}

impl PnpNotification {
    /// The only revision.
    pub const REVISION: u32 = 1;
    /// The whole size.
    pub const SIZE: u32 = 32;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    macro_rules! offsets {
        ($type:ident: $($field:ident $at:literal),*) => {
            $(assert_eq!(offset_of!($type, $field), $at, stringify!($field));)*
        };
    }

    /// Proves: NETDMA-020.
    #[test]
    fn characteristics_have_the_documented_layout() {
        assert_eq!(
            size_of::<ProviderCharacteristics>(),
            usize::from(ProviderCharacteristics::SIZE_2)
        );
        offsets!(ProviderCharacteristics: major_version 0, minor_version 1, size 2, flags 4,
            physical_device_object 8, max_dma_channel_count 16, set_dma_channel_cpu_affinity 24,
            allocate_dma_channel 32, free_dma_channel 40, start_dma 48, suspend_dma 56, resume_dma 64,
            abort_dma 72, append_dma 80, reset_channel 88, friendly_name 96);
    }

    /// Proves: NETDMA-022.
    #[test]
    fn attributes_have_the_documented_layout() {
        assert_eq!(
            size_of::<ProviderAttributes>(),
            usize::from(ProviderAttributes::SIZE)
        );
        offsets!(ProviderAttributes: major_hw_version 0, minor_hw_version 1, size 2, flags 4, vendor_id 8,
            dma_channel_count 12, maximum_transfer_size 16, maximum_address_space 24);
    }

    /// Proves: NETDMA-040.
    #[test]
    fn channel_parameters_have_the_documented_layout() {
        assert_eq!(
            size_of::<ChannelParameters>(),
            usize::from(ChannelParameters::SIZE_2)
        );
        offsets!(ChannelParameters: revision 0, size 2, flags 4, completion_virtual_address 8,
            completion_physical_address 16, processor_affinity_mask 24, channel_priority 28, cpu_number 32,
            processor_affinity_mask_ex 40);
        assert_eq!(offset_of!(ChannelParameters, cpu_number) + 4, 36);
        assert_eq!(ChannelParameters::SIZE_1, 36);
        assert_eq!(size_of::<ChannelCpuAffinity>(), 8);
    }

    /// Proves: NETDMA-111.
    #[test]
    fn a_notification_has_the_documented_layout() {
        assert_eq!(size_of::<PnpNotification>(), PnpNotification::SIZE as usize);
        offsets!(PnpNotification: structure_revision 0, structure_size 4, notification_code 8, buffer 16,
            buffer_length 24);
    }
}
