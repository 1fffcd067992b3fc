//! NDIS miniports: twins of `ndis.h`.

use super::dma::DmaResource;
use super::types::{Pointer, Status};

/// `MINIPORT_INITIALIZE`: the adapter's handle, the driver's context, what it is told.
pub type InitializeHandler = unsafe extern "C" fn(Pointer, Pointer, *mut InitParameters) -> Status;
/// `MINIPORT_HALT`: the adapter's context, and why.
pub type HaltHandler = unsafe extern "C" fn(Pointer, u32);

/// `NDIS_OBJECT_HEADER`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectHeader {
    /// What it is the header of.
    pub kind: u8,
    /// Which revision of that.
    pub revision: u8,
    /// How many bytes it has.
    pub size: u16,
}

/// `NDIS_DMA_DESCRIPTION`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; ndis.h says what they are"
)]
pub struct DmaDescription {
    pub demand_mode: u8,
    pub auto_initialize: u8,
    pub dma_channel_specified: u8,
    /// Zero, if it was zeroed before it was filled. C says nothing about it otherwise.
    pub padding: u8,
    pub dma_width: u32,
    pub dma_speed: u32,
    pub dma_port: u32,
    pub dma_channel: u32,
}

/// `NDIS_MINIPORT_DRIVER_CHARACTERISTICS` of NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; ndis.h says what they are"
)]
pub struct DriverCharacteristics {
    pub header: ObjectHeader,
    pub major_ndis_version: u8,
    pub minor_ndis_version: u8,
    pub major_driver_version: u8,
    pub minor_driver_version: u8,
    pub flags: u32,
    pub set_options: Pointer,
    pub initialize: Option<InitializeHandler>,
    pub halt: Option<HaltHandler>,
    /// Those that have nothing to do with DMA, from UnloadHandler on.
    pub others: [Pointer; 12],
}

impl DriverCharacteristics {
    /// `NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS`.
    pub const KIND: u8 = 0x8a;
    /// The whole size.
    pub const SIZE: u16 = 136;
}

/// `NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; ndis.h says what they are"
)]
pub struct RegistrationAttributes {
    pub header: ObjectHeader,
    pub adapter_context: Pointer,
    pub attribute_flags: u32,
    pub check_for_hang_time_in_seconds: u32,
    pub interface_type: i32,
}

impl RegistrationAttributes {
    /// `NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES`.
    pub const KIND: u8 = 0x9e;
    /// Those kinds of attributes that have nothing to do with DMA.
    pub const OTHER_KINDS: [u8; 4] = [0x9f, 0xa0, 0xa1, 0xaf];
    /// The size up to its last member.
    pub const SIZE: u16 = 28;
    /// `NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER`.
    pub const BUS_MASTER: u32 = 0x40;
}

/// `NDIS_RESOURCE_LIST` of one channel.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; dma.h says what they are"
)]
pub struct ResourceList {
    pub version: u16,
    pub revision: u16,
    pub count: u32,
    pub descriptors: [DmaResource; 1],
}

/// `NDIS_MINIPORT_INIT_PARAMETERS`, as far as `ndis.h` has it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the members are Windows' own; ndis.h says what they are"
)]
pub struct InitParameters {
    pub header: ObjectHeader,
    pub flags: u32,
    pub allocated_resources: *const ResourceList,
    pub im_device_instance_context: Pointer,
    pub add_device_context: Pointer,
}

impl InitParameters {
    /// `NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS`.
    pub const KIND: u8 = 0x81;
    /// What of it there is.
    pub const SIZE: u16 = 32;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports::ndis as exports;
    use std::ffi::c_void;
    use std::mem::{offset_of, size_of};
    use windows_sys::Wdk::Foundation::MDL;
    use windows_sys::Wdk::NetworkManagement::Ndis as sys;
    use windows_sys::Wdk::System::SystemServices as wdk;

    /// Proves: NDIS-020.
    #[test]
    fn a_description_is_that_of_the_header() {
        type Theirs = sys::NDIS_DMA_DESCRIPTION;
        macro_rules! same {
            ($($our:ident $their:ident),*) => {
                $(assert_eq!(offset_of!(DmaDescription, $our), offset_of!(Theirs, $their), stringify!($our));)*
            };
        }
        same!(demand_mode DemandMode, auto_initialize AutoInitialize, dma_channel_specified DmaChannelSpecified,
            dma_width DmaWidth, dma_speed DmaSpeed, dma_port DmaPort, dma_channel DmaChannel);
        assert_eq!(
            (size_of::<DmaDescription>(), size_of::<Theirs>()),
            (20, size_of::<DmaDescription>())
        );
    }

    #[test]
    fn objects_are_those_of_the_header() {
        assert_eq!(size_of::<ObjectHeader>(), size_of::<sys::NDIS_OBJECT_HEADER>());
        assert_eq!(
            offset_of!(ObjectHeader, revision),
            offset_of!(sys::NDIS_OBJECT_HEADER, Revision)
        );
        assert_eq!(
            offset_of!(ObjectHeader, size),
            offset_of!(sys::NDIS_OBJECT_HEADER, Size)
        );
        let kinds = [
            DriverCharacteristics::KIND,
            RegistrationAttributes::KIND,
            InitParameters::KIND,
        ]
        .map(u32::from);
        let theirs = [
            sys::NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
            sys::NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
            sys::NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS,
        ];
        assert_eq!(kinds, theirs);
        let others = [
            sys::NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
            sys::NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
            sys::NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_NATIVE_802_11_ATTRIBUTES,
            sys::NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
        ];
        assert_eq!(RegistrationAttributes::OTHER_KINDS.map(u32::from), others);
        assert_eq!(
            RegistrationAttributes::BUS_MASTER,
            sys::NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER
        );
    }

    /// The metadata has none of these, so the numbers are those that are asserted in C.
    #[test]
    fn what_a_miniport_lives_by_is_as_in_c() {
        assert_eq!(
            size_of::<DriverCharacteristics>(),
            usize::from(DriverCharacteristics::SIZE)
        );
        assert_eq!(offset_of!(DriverCharacteristics, initialize), 24);
        assert_eq!(offset_of!(DriverCharacteristics, halt), 32);
        assert_eq!(offset_of!(RegistrationAttributes, adapter_context), 8);
        assert_eq!(offset_of!(RegistrationAttributes, interface_type) + 4, 28);
        assert_eq!(size_of::<ResourceList>(), 28);
        assert_eq!(
            offset_of!(ResourceList, descriptors),
            offset_of!(wdk::CM_PARTIAL_RESOURCE_LIST, PartialDescriptors)
        );
        assert_eq!(size_of::<InitParameters>(), usize::from(InitParameters::SIZE));
        assert_eq!(offset_of!(InitParameters, allocated_resources), 8);
    }

    /// The arguments in their order: ours, and the metadata's, whose names lead to ours when this is linked.
    ///
    /// Proves: NDIS-002, NDIS-004.
    #[test]
    fn the_exports_take_what_the_metadata_says() {
        type Void = *mut c_void;
        type Const = *const c_void;
        type Transfer = unsafe extern "C" fn(*mut Status, Void, *mut crate::abi::dma::Mdl, u32, u32, u8);
        type TheirTransfer = unsafe extern "system" fn(*mut i32, Void, *mut MDL, u32, u32, bool);
        let ours: [Transfer; 2] = [exports::NdisSetupDmaTransfer, exports::NdisCompleteDmaTransfer];
        let theirs: [TheirTransfer; 2] = [sys::NdisSetupDmaTransfer, sys::NdisCompleteDmaTransfer];
        assert_eq!(ours.map(|f| f as usize), theirs.map(|f| f as usize));
        let ours: unsafe extern "C" fn(*mut Void, Void, u32, u8, *const DmaDescription, u32) -> Status =
            exports::NdisMRegisterDmaChannel;
        let theirs: unsafe extern "system" fn(
            *mut Void,
            Const,
            u32,
            bool,
            *const sys::NDIS_DMA_DESCRIPTION,
            u32,
        ) -> i32 = sys::NdisMRegisterDmaChannel;
        assert_eq!(ours as usize, theirs as usize);
        let ours: [extern "C" fn(Void) -> u32; 2] =
            [exports::NdisMReadDmaCounter, exports::NdisMGetDmaAlignment];
        let theirs: [unsafe extern "system" fn(Const) -> u32; 2] =
            [sys::NdisMReadDmaCounter, sys::NdisMGetDmaAlignment];
        assert_eq!(ours.map(|f| f as usize), theirs.map(|f| f as usize));
        let ours: extern "C" fn(Void) = exports::NdisMDeregisterDmaChannel;
        let theirs: unsafe extern "system" fn(Const) = sys::NdisMDeregisterDmaChannel;
        assert_eq!(ours as usize, theirs as usize);
    }
}
