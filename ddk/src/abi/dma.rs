//! DMA: twins of `dma.h` and `mdl.h`.

use super::operations::Operations;
use super::types::{PhysicalAddress, Pointer};

/// `DMA_COMPLETION_ROUTINE`: adapter, device object, context, status.
pub type CompletionRoutine = unsafe extern "C" fn(*mut Adapter, Pointer, Pointer, u32);
/// `DRIVER_CONTROL`: device object, request, map register base, context. Returns what is to be done.
pub type DriverControl = unsafe extern "C" fn(Pointer, Pointer, Pointer, Pointer) -> u32;
/// `DRIVER_LIST_CONTROL`: device object, request, list, context.
pub type DriverListControl = unsafe extern "C" fn(Pointer, Pointer, *mut List, Pointer);

/// How many bytes a transfer context has, and its only version.
pub const TRANSFER_CONTEXT_SIZE: usize = 128;

/// `DMA_ADAPTER`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Adapter {
    /// Always 1.
    pub version: u16,
    /// The size of this structure.
    pub size: u16,
    /// What can be done with it.
    pub operations: *const Operations,
}

impl Adapter {
    /// The version that every adapter says it is of.
    pub const VERSION: u16 = 1;
    /// The whole size.
    pub const SIZE: u16 = 16;
}

/// `DEVICE_DESCRIPTION`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; dma.h says what they are"
)]
pub struct DeviceDescription {
    pub version: u32,
    pub master: u8,
    pub scatter_gather: u8,
    pub demand_mode: u8,
    pub auto_initialize: u8,
    pub dma_32_bit_addresses: u8,
    pub ignore_count: u8,
    pub reserved: u8,
    pub dma_64_bit_addresses: u8,
    pub bus_number: u32,
    pub dma_channel: u32,
    pub interface_type: i32,
    pub dma_width: u32,
    pub dma_speed: u32,
    pub maximum_length: u32,
    pub dma_port: u32,
    pub dma_address_width: u32,
    pub dma_controller_instance: u32,
    pub dma_request_line: u32,
    pub device_address: PhysicalAddress,
}

impl DeviceDescription {
    /// How much of it a description before version 3 has.
    pub const SIZE_BEFORE_3: usize = 40;
}

/// `DMA_ADAPTER_INFO` of version 1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; dma.h says what they are"
)]
pub struct AdapterInfo {
    pub version: u32,
    /// The union behind it is aligned to eight bytes.
    pub padding: u32,
    pub read_dma_counter_available: u32,
    pub scatter_gather_limit: u32,
    pub dma_address_width: u32,
    pub flags: u32,
    pub minimum_transfer_unit: u32,
}

/// `DMA_TRANSFER_INFO` of version 1, and the start of version 2.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; dma.h says what they are"
)]
pub struct TransferInfo {
    pub version: u32,
    pub map_register_count: u32,
    pub scatter_gather_element_count: u32,
    pub scatter_gather_list_size: u32,
}

/// `DMA_TRANSFER_INFO` of version 2.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct TransferInfo2 {
    /// What version 1 has too.
    pub first: TransferInfo,
    /// How many pages the device sees.
    pub logical_page_count: u32,
}

/// `SCATTER_GATHER_ELEMENT`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Element {
    /// Where it begins, for the device.
    pub address: PhysicalAddress,
    /// How many bytes it has.
    pub length: u32,
    /// The system's.
    pub reserved: usize,
}

/// `SCATTER_GATHER_LIST`; its elements stand behind it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct List {
    /// How many elements there are.
    pub number_of_elements: u32,
    /// The system's.
    pub reserved: usize,
}

/// `MDL`. Only `next` is ever read back.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; mdl.h says what they are"
)]
pub struct Mdl {
    pub next: *mut Mdl,
    pub size: i16,
    pub flags: i16,
    pub process: Pointer,
    pub mapped_system_va: Pointer,
    pub start_va: Pointer,
    pub byte_count: u32,
    pub byte_offset: u32,
}

impl Mdl {
    /// `MDL_MAPPED_TO_SYSTEM_VA` and `MDL_SOURCE_IS_NONPAGED_POOL`: it was built.
    pub const BUILT: i16 = 0x1 | 0x4;
}

/// `CM_PARTIAL_RESOURCE_DESCRIPTOR` of type Dma.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; dma.h says what they are"
)]
pub struct DmaResource {
    pub kind: u8,
    pub share_disposition: u8,
    pub flags: u16,
    pub channel: u32,
    /// The port of one that is not of version 3.
    pub request_line: u32,
    pub transfer_width: u8,
    pub reserved: [u8; 3],
    /// The descriptor is as long as its longest kind.
    pub padding: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};
    use windows_sys::Wdk::Foundation as wdk;
    use windows_sys::Wdk::System::SystemServices as sys;

    /// Each member stands where the machine-readable headers of Windows have it.
    macro_rules! same {
        ($ours:ident, $theirs:ty: $($our:ident $their:ident),* $(,)?) => {
            $(assert_eq!(offset_of!($ours, $our), offset_of!($theirs, $their), stringify!($our));)*
            assert_eq!(size_of::<$ours>(), size_of::<$theirs>());
        };
    }

    /// Proves: WDM-031.
    #[test]
    fn an_adapter_is_that_of_the_header() {
        same!(Adapter, sys::DMA_ADAPTER: version Version, size Size, operations DmaOperations);
        assert_eq!(size_of::<Adapter>(), usize::from(Adapter::SIZE));
    }

    /// Proves: WDM-049.
    #[test]
    fn a_description_is_that_of_the_header() {
        same!(DeviceDescription, sys::DEVICE_DESCRIPTION: version Version, master Master,
            scatter_gather ScatterGather, demand_mode DemandMode, auto_initialize AutoInitialize,
            dma_32_bit_addresses Dma32BitAddresses, ignore_count IgnoreCount, reserved Reserved1,
            dma_64_bit_addresses Dma64BitAddresses, bus_number BusNumber, dma_channel DmaChannel,
            interface_type InterfaceType, dma_width DmaWidth, dma_speed DmaSpeed,
            maximum_length MaximumLength, dma_port DmaPort, dma_address_width DmaAddressWidth,
            dma_controller_instance DmaControllerInstance, dma_request_line DmaRequestLine,
            device_address DeviceAddress);
        assert_eq!(size_of::<DeviceDescription>(), 64);
        let before = offset_of!(DeviceDescription, dma_address_width);
        assert_eq!(before, DeviceDescription::SIZE_BEFORE_3);
    }

    /// Proves: WDM-073, WDM-074, WDM-077.
    #[test]
    fn what_the_system_answers_is_that_of_the_header() {
        let union = offset_of!(sys::DMA_ADAPTER_INFO, Anonymous);
        assert_eq!(offset_of!(AdapterInfo, read_dma_counter_available), union);
        let last = offset_of!(sys::DMA_ADAPTER_INFO_V1, MinimumTransferUnit);
        assert_eq!(offset_of!(AdapterInfo, minimum_transfer_unit), union + last);
        let union = offset_of!(sys::DMA_TRANSFER_INFO, Anonymous);
        let list = offset_of!(sys::DMA_TRANSFER_INFO_V1, ScatterGatherListSize);
        assert_eq!(offset_of!(TransferInfo, scatter_gather_list_size), union + list);
        let pages = offset_of!(sys::DMA_TRANSFER_INFO_V2, LogicalPageCount);
        assert_eq!(offset_of!(TransferInfo2, logical_page_count), union + pages);
        assert_eq!(size_of::<TransferInfo2>(), size_of::<sys::DMA_TRANSFER_INFO>());
    }

    /// Proves: WDM-078, WDM-079.
    #[test]
    fn a_list_is_that_of_the_header() {
        same!(Element, sys::SCATTER_GATHER_ELEMENT: address Address, length Length, reserved Reserved);
        assert_eq!(
            offset_of!(List, reserved),
            offset_of!(sys::SCATTER_GATHER_LIST, Reserved)
        );
        assert_eq!(size_of::<List>(), offset_of!(sys::SCATTER_GATHER_LIST, Elements));
    }

    #[test]
    fn a_memory_descriptor_list_is_that_of_the_header() {
        same!(Mdl, wdk::MDL: next Next, size Size, flags MdlFlags, process Process,
            mapped_system_va MappedSystemVa, start_va StartVa, byte_count ByteCount, byte_offset ByteOffset);
    }

    /// The metadata does not know that the header packs this structure to four bytes, so it is followed inside of its
    /// union only. That the whole has 20 bytes is asserted in C.
    ///
    /// Proves: WDM-071.
    #[test]
    fn a_dma_resource_is_that_of_the_header() {
        type V3 = sys::CM_PARTIAL_RESOURCE_DESCRIPTOR_0_6;
        type Before = sys::CM_PARTIAL_RESOURCE_DESCRIPTOR_0_5;
        let union = offset_of!(DmaResource, channel) - offset_of!(V3, Channel);
        assert_eq!((union, size_of::<DmaResource>()), (4, 20));
        assert_eq!(
            offset_of!(DmaResource, flags),
            offset_of!(sys::CM_PARTIAL_RESOURCE_DESCRIPTOR, Flags)
        );
        assert_eq!(
            offset_of!(DmaResource, request_line),
            union + offset_of!(V3, RequestLine)
        );
        assert_eq!(
            offset_of!(DmaResource, request_line),
            union + offset_of!(Before, Port)
        );
        assert_eq!(
            offset_of!(DmaResource, transfer_width),
            union + offset_of!(V3, TransferWidth)
        );
        assert_eq!(sys::CM_RESOURCE_DMA_V3, 0x80);
    }

    /// Proves: WDM-001, WDM-044.
    #[test]
    fn the_numbers_are_those_of_the_header() {
        use longshore_wdm::DmaCompletionStatus as Status;
        let ours = [
            Status::COMPLETE,
            Status::ABORTED,
            Status::ERROR,
            Status::CANCELLED,
        ]
        .map(|status| status.0);
        let theirs = [
            sys::DmaComplete,
            sys::DmaAborted,
            sys::DmaError,
            sys::DmaCancelled,
        ];
        assert_eq!(ours, theirs.map(i32::cast_unsigned));
        assert_eq!(TRANSFER_CONTEXT_SIZE, sys::DMA_TRANSFER_CONTEXT_SIZE_V1 as usize);
        assert_eq!(sys::DMA_TRANSFER_CONTEXT_VERSION1, 1);
    }
}
