//! What a device says about its transfers, and what of it cannot be served.

mod bus;

use crate::system::Policy;
use crate::transfer::mapping::Refused;
use crate::verifier::{self, Code};
pub use bus::InterfaceType;
use core::fmt;
use longshore_core::NtStatus;
use longshore_core::event::Rule;
use longshore_hardware::BusAddress;

/// Which form of the description a device fills in, and with it which calls it may make.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub struct DescriptionVersion(pub u32);

impl DescriptionVersion {
    /// The first form, whose counters are always reliable.
    #[doc(alias = "DEVICE_DESCRIPTION_VERSION")]
    pub const V0: Self = Self(0);
    /// The same, with a counter that may be ignored.
    #[doc(alias = "DEVICE_DESCRIPTION_VERSION1")]
    pub const V1: Self = Self(1);
    /// The same, with demand mode.
    #[doc(alias = "DEVICE_DESCRIPTION_VERSION2")]
    pub const V2: Self = Self(2);
    /// Request lines, address widths, and calls that name a transfer context.
    #[doc(alias = "DEVICE_DESCRIPTION_VERSION3")]
    pub const V3: Self = Self(3);
}

/// How wide a device's data port is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[doc(alias = "DMA_WIDTH")]
pub struct DmaWidth(pub u32);

impl DmaWidth {
    /// 8 bits.
    #[doc(alias = "Width8Bits")]
    pub const BITS_8: Self = Self(0);
    /// 16 bits.
    #[doc(alias = "Width16Bits")]
    pub const BITS_16: Self = Self(1);
    /// 32 bits.
    #[doc(alias = "Width32Bits")]
    pub const BITS_32: Self = Self(2);
    /// 64 bits.
    #[doc(alias = "Width64Bits")]
    pub const BITS_64: Self = Self(3);
    /// Addresses that do not wrap. No device's.
    #[doc(alias = "WidthNoWrap")]
    pub const NO_WRAP: Self = Self(4);
    /// How many there are.
    #[doc(alias = "MaximumDmaWidth")]
    pub const MAXIMUM: Self = Self(5);

    /// Whether it is one of these.
    pub const fn is_known(self) -> bool {
        self.0 <= Self::BITS_64.0
    }
}

/// How fast a channel of the older controllers goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[doc(alias = "DMA_SPEED")]
pub struct DmaSpeed(pub u32);

impl DmaSpeed {
    /// As slow as the first of them.
    #[doc(alias = "Compatible")]
    pub const COMPATIBLE: Self = Self(0);
    /// Type A.
    #[doc(alias = "TypeA")]
    pub const TYPE_A: Self = Self(1);
    /// Type B.
    #[doc(alias = "TypeB")]
    pub const TYPE_B: Self = Self(2);
    /// Type C.
    #[doc(alias = "TypeC")]
    pub const TYPE_C: Self = Self(3);
    /// Type F.
    #[doc(alias = "TypeF")]
    pub const TYPE_F: Self = Self(4);
    /// How many there are.
    #[doc(alias = "MaximumDmaSpeed")]
    pub const MAXIMUM: Self = Self(5);

    /// Whether it is one of these.
    pub const fn is_known(self) -> bool {
        self.0 <= Self::TYPE_F.0
    }
}

/// What a device says about its transfers. All zero unless it says otherwise (WDM-051).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[doc(alias = "DEVICE_DESCRIPTION")]
pub struct DeviceDescription {
    /// Which form this is.
    pub version: DescriptionVersion,
    /// The device moves its bytes itself: a bus master. Otherwise a system controller moves them: a subordinate.
    pub master: bool,
    /// A bus master takes lists. For a subordinate the controller's own word counts.
    pub scatter_gather: bool,
    /// A subordinate transfers on demand. A hint for the controller.
    pub demand_mode: bool,
    /// A subordinate's transfers start over at their end, until cancelled.
    pub auto_initialize: bool,
    /// Before version 3: a bus master drives 32 address bits, and not just 24.
    pub dma_32bit_addresses: bool,
    /// From version 1 on: the counter of the channel is not to be relied upon.
    pub ignore_count: bool,
    /// Must be false.
    pub reserved1: bool,
    /// Before version 3: a bus master drives 64 address bits.
    pub dma_64bit_addresses: bool,
    /// Not used.
    pub bus_number: u32,
    /// A subordinate's channel.
    pub channel: u32,
    /// The bus the device is on.
    pub interface_type: InterfaceType,
    /// How wide a subordinate's data port is. A hint for the controller.
    pub width: DmaWidth,
    /// Before version 3: how fast a subordinate's channel goes.
    pub speed: DmaSpeed,
    /// The most bytes of one transfer.
    pub maximum_length: u32,
    /// Not used.
    pub dma_port: u32,
    /// How many address bits a version 3 bus master drives.
    pub address_width: u32,
    /// Not used.
    pub controller_instance: u32,
    /// The line on which a version 3 subordinate asks for data, as the system numbers them.
    pub request_line: u32,
    /// Where a version 3 subordinate's data port is.
    pub device_address: BusAddress,
}

/// How many address bits a bus master of the older versions drives that says nothing.
const FEWEST_BITS: u32 = 24;

impl DeviceDescription {
    const ZERO: Self = Self {
        version: DescriptionVersion::V0,
        master: false,
        scatter_gather: false,
        demand_mode: false,
        auto_initialize: false,
        dma_32bit_addresses: false,
        ignore_count: false,
        reserved1: false,
        dma_64bit_addresses: false,
        bus_number: 0,
        channel: 0,
        interface_type: InterfaceType::INTERNAL,
        width: DmaWidth::BITS_8,
        speed: DmaSpeed::COMPATIBLE,
        maximum_length: 0,
        dma_port: 0,
        address_width: 0,
        controller_instance: 0,
        request_line: 0,
        device_address: BusAddress::new(0),
    };

    /// A version 3 subordinate on this channel, with this request line.
    pub const fn system(channel: u32, request_line: u32) -> Self {
        Self {
            version: DescriptionVersion::V3,
            channel,
            request_line,
            ..Self::ZERO
        }
    }

    /// A version 3 bus master that takes lists and drives so many address bits.
    pub const fn bus_master(address_width: u32) -> Self {
        Self {
            version: DescriptionVersion::V3,
            master: true,
            scatter_gather: true,
            address_width,
            ..Self::ZERO
        }
    }

    /// Whether it is of the third form.
    pub const fn is_v3(&self) -> bool {
        self.version.0 == DescriptionVersion::V3.0
    }

    /// How many address bits a bus master drives (WDM-056, WDM-057, WDM-067).
    pub const fn master_address_width(&self) -> u32 {
        if self.is_v3() {
            self.address_width
        } else if self.dma_64bit_addresses {
            64
        } else if self.dma_32bit_addresses
            || self.scatter_gather && self.interface_type.0 == InterfaceType::PCI.0
        {
            32
        } else {
            FEWEST_BITS
        }
    }

    /// Whether a subordinate's transfers start over at their end (WDM-055).
    pub const fn loops(&self) -> bool {
        self.auto_initialize && !self.master
    }

    /// Whether the channel's counter is not to be relied upon (WDM-058).
    pub const fn ignores_count(&self) -> bool {
        self.ignore_count && self.version.0 != DescriptionVersion::V0.0
    }

    /// Whether a subordinate may say that it transfers on demand (WDM-054, A-20).
    pub const fn on_demand(&self) -> bool {
        self.demand_mode && !self.master && self.version.0 >= DescriptionVersion::V2.0
    }

    /// What of it no controller and no bus could serve, whatever they are.
    pub(crate) fn check(&self, policy: Policy) -> Result<(), AdapterError> {
        if self.version > DescriptionVersion::V3 {
            return Err(AdapterError::UnknownVersion);
        }
        if self.reserved1 {
            return Err(AdapterError::ReservedSet);
        }
        if self.maximum_length == 0 {
            return Err(AdapterError::NoLength);
        }
        if self.master {
            self.check_master(policy)
        } else {
            self.check_subordinate()
        }
    }

    fn check_master(&self, policy: Policy) -> Result<(), AdapterError> {
        let width = self.master_address_width();
        if !(1..=64).contains(&width) {
            return Err(AdapterError::AddressWidth);
        }
        if policy.refuse_narrow_masters && width < FEWEST_BITS {
            return Err(AdapterError::NarrowMaster);
        }
        Ok(())
    }

    fn check_subordinate(&self) -> Result<(), AdapterError> {
        if !self.width.is_known() {
            return Err(AdapterError::BadWidth);
        }
        if !self.is_v3() && !self.speed.is_known() {
            return Err(AdapterError::BadSpeed);
        }
        Ok(())
    }
}

/// Why there is no adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterError {
    /// There is no such form of the description (WDM-100).
    UnknownVersion,
    /// The reserved member is set (WDM-059).
    ReservedSet,
    /// No registered controller serves the request line, or has the channel.
    NoController,
    /// The controller has no such channel.
    NoChannel,
    /// The channel cannot serve the request line.
    BadBinding,
    /// There is no such port width, or the controller does not serve it (WDM-063).
    BadWidth,
    /// There is no such speed (WDM-064).
    BadSpeed,
    /// A bus master that drives no address bits, or more than 64 (WDM-067).
    AddressWidth,
    /// A bus master that drives fewer address bits than the policy allows.
    NarrowMaster,
    /// The description is one of a bus master, and a controller was asked.
    NotSubordinate,
    /// No transfer could ever have a byte.
    NoLength,
    /// Somebody else claimed the channel.
    Conflict,
    /// The controller lets no bus master ask through this channel.
    NoCascade,
}

impl AdapterError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Conflict => NtStatus::INSUFFICIENT_RESOURCES,
            Self::UnknownVersion => NtStatus::NOT_SUPPORTED,
            _ => NtStatus::INVALID_PARAMETER,
        }
    }
}

impl Refused for AdapterError {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        match self {
            Self::UnknownVersion => Some(Rule("WDM-100")),
            Self::ReservedSet => Some(Rule("WDM-059")),
            Self::BadWidth => Some(Rule("WDM-063")),
            Self::BadSpeed => Some(Rule("WDM-064")),
            Self::AddressWidth => Some(Rule("WDM-067")),
            _ => None,
        }
    }

    fn code(&self, call: &'static str) -> Option<Code> {
        let _ = call;
        verifier::of_adapter(*self)
    }
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownVersion => "there is no such version of the description",
            Self::ReservedSet => "the reserved member of the description is set",
            Self::NoController => "no controller serves the request line, or has the channel",
            Self::NoChannel => "the controller has no such channel",
            Self::BadBinding => "the channel cannot serve the request line",
            Self::BadWidth => "the controller serves no ports of this width",
            Self::BadSpeed => "there is no such speed",
            Self::AddressWidth => "the bus master's address width makes no sense",
            Self::NarrowMaster => "the bus master drives fewer address bits than are allowed",
            Self::NotSubordinate => "a bus master needs no controller",
            Self::NoLength => "the maximum length is zero",
            Self::Conflict => "somebody else claimed the channel",
            Self::NoCascade => "the controller lets no bus master ask through this channel",
        })
    }
}

impl core::error::Error for AdapterError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: WDM-040, WDM-041, WDM-042.
    #[test]
    fn widths_speeds_and_buses_have_the_header_s_values() {
        use InterfaceType as Bus;
        let widths = [
            DmaWidth::BITS_8,
            DmaWidth::BITS_16,
            DmaWidth::BITS_32,
            DmaWidth::BITS_64,
            DmaWidth::NO_WRAP,
            DmaWidth::MAXIMUM,
        ];
        assert!(widths.map(|width| width.0).into_iter().eq(0..=5));
        let speeds = [
            DmaSpeed::COMPATIBLE,
            DmaSpeed::TYPE_A,
            DmaSpeed::TYPE_B,
            DmaSpeed::TYPE_C,
            DmaSpeed::TYPE_F,
            DmaSpeed::MAXIMUM,
        ];
        assert!(speeds.map(|speed| speed.0).into_iter().eq(0..=5));
        let buses = [
            Bus::UNDEFINED,
            Bus::INTERNAL,
            Bus::ISA,
            Bus::EISA,
            Bus::MICRO_CHANNEL,
            Bus::TURBO_CHANNEL,
            Bus::PCI,
            Bus::VME,
            Bus::NU,
            Bus::PCMCIA,
            Bus::C,
            Bus::MPI,
            Bus::MPSA,
            Bus::PROCESSOR_INTERNAL,
            Bus::INTERNAL_POWER,
            Bus::PNP_ISA,
            Bus::PNP,
            Bus::VMCS,
            Bus::ACPI,
            Bus::MAXIMUM,
        ];
        assert!(buses.map(|bus| bus.0).into_iter().eq(-1..=18));
    }
}
