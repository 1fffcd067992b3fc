//! What a miniport says about its channel, and what becomes of it below.

use core::fmt;
use longshore_core::event::Rule;
use longshore_hardware::BusAddress;
use longshore_wdm::{AdapterError, DeviceDescription, DmaSpeed, DmaWidth, InterfaceType};

use crate::status::NdisStatus;

/// What a miniport says about its NIC when it sets its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The bus that the NIC is on.
    #[doc(alias = "InterfaceType")]
    pub bus: InterfaceType,
    /// The NIC moves its bytes itself.
    #[doc(alias = "NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER")]
    pub bus_master: bool,
}

/// The last bus that NDIS knows, which is one more than WDM does.
const LAST_BUS: i32 = 18;

impl Attributes {
    /// A NIC on ISA whose bytes the system's DMA controller moves.
    pub const SUBORDINATE: Self = Self {
        bus: InterfaceType::ISA,
        bus_master: false,
    };

    /// A NIC on ISA that moves its bytes itself, and asks for the bus through a channel.
    pub const ISA_BUS_MASTER: Self = Self {
        bus_master: true,
        ..Self::SUBORDINATE
    };

    /// Whether there is such a bus, and a bus master on it has a channel to register (NDIS-016).
    fn have_a_channel(self) -> bool {
        let known = (InterfaceType::INTERNAL.0..=LAST_BUS).contains(&self.bus.0);
        let isa = [InterfaceType::ISA, InterfaceType::PNP_ISA].contains(&self.bus);
        known && (isa || !self.bus_master)
    }
}

/// What the platform assigned to the NIC. NDIS's own description has no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The channel, used where the description names none (NDIS-021).
    pub channel: u32,
    /// The request line.
    pub request_line: u32,
    /// Where the NIC's data port is.
    pub device_address: BusAddress,
}

/// What a miniport says about its channel. All zero unless it says otherwise (NDIS-020).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[doc(alias = "NDIS_DMA_DESCRIPTION")]
pub struct DmaDescription {
    /// The NIC transfers on demand.
    #[doc(alias = "DemandMode")]
    pub demand_mode: bool,
    /// Transfers start over at their end.
    #[doc(alias = "AutoInitialize")]
    pub auto_initialize: bool,
    /// The channel, if the miniport knows it.
    #[doc(alias = "DmaChannelSpecified")]
    pub channel: Option<u32>,
    /// How wide the NIC's data port is: 8, 16 or 32 bits.
    #[doc(alias = "DmaWidth")]
    pub width: DmaWidth,
    /// How fast its channel goes. Controllers of today go as fast as they can.
    #[doc(alias = "DmaSpeed")]
    pub speed: DmaSpeed,
    /// Must be zero.
    #[doc(alias = "DmaPort")]
    pub port: u32,
}

/// Everything that is said when a channel is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// What the miniport says about the channel.
    pub description: DmaDescription,
    /// The NIC drives 32 address lines, and not just 24 (NDIS-014).
    #[doc(alias = "Dma32BitAddresses")]
    pub addresses_32bit: bool,
    /// The most bytes of one transfer; [`u32::MAX`] for as many as go (NDIS-015).
    #[doc(alias = "MaximumLength")]
    pub maximum_length: u32,
}

impl Registration {
    /// The channel that the platform assigned, 8 bits wide, for a NIC that drives 24 address lines.
    pub const fn new(maximum_length: u32) -> Self {
        Self {
            description: DmaDescription {
                demand_mode: false,
                auto_initialize: false,
                channel: None,
                width: DmaWidth::BITS_8,
                speed: DmaSpeed::COMPATIBLE,
                port: 0,
            },
            addresses_32bit: false,
            maximum_length,
        }
    }

    /// How many address bits its transfers may use.
    pub(crate) const fn address_width(&self) -> u32 {
        if self.addresses_32bit { 32 } else { 24 }
    }

    /// What of it no controller could serve.
    pub(crate) fn check(&self, attributes: Attributes) -> Result<(), RegisterError> {
        let DmaDescription {
            width, speed, port, ..
        } = self.description;
        let narrow = width.0 <= DmaWidth::BITS_32.0;
        let old = speed.0 <= DmaSpeed::TYPE_C.0;
        if !narrow || !old || port != 0 {
            return Err(RegisterError::Description);
        }
        if !attributes.have_a_channel() {
            return Err(RegisterError::Bus);
        }
        Ok(())
    }

    /// The same in the words of WDM (NDIS-060).
    pub(crate) fn for_wdm(&self, assigned: Assigned) -> DeviceDescription {
        let description = self.description;
        DeviceDescription {
            device_address: assigned.device_address,
            maximum_length: self.maximum_length,
            auto_initialize: description.auto_initialize,
            demand_mode: description.demand_mode,
            width: description.width,
            speed: description.speed,
            ..DeviceDescription::system(assigned.channel, assigned.request_line)
        }
    }
}

/// Why a channel was not registered. The miniport is to give back what it has, and to fail (NDIS-017).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// Somebody else has the channel.
    Conflict,
    /// There are fewer map registers than the longest transfer may need.
    Resources,
    /// There is no such bus, or the NIC is a bus master on a bus other than ISA.
    Bus,
    /// The description makes no sense.
    Description,
    /// Neither the description nor the platform names a channel (NDIS-021).
    NoChannel,
    /// The controller cannot serve the NIC.
    Unserved(AdapterError),
    /// The miniport does not initialise, or has not set its attributes (NDIS-011).
    NotNow,
}

impl RegisterError {
    /// The status the contract has for it (NDIS-016).
    pub const fn status(self) -> NdisStatus {
        match self {
            Self::Conflict => NdisStatus::RESOURCE_CONFLICT,
            Self::Resources => NdisStatus::RESOURCES,
            _ => NdisStatus::FAILURE,
        }
    }

    /// The rule that the miniport broke, if that is why. Of its phase the table has told already.
    pub const fn broken_rule(self) -> Option<Rule> {
        match self {
            Self::Description => Some(Rule("NDIS-020")),
            Self::NoChannel => Some(Rule("NDIS-021")),
            _ => None,
        }
    }
}

impl From<AdapterError> for RegisterError {
    fn from(error: AdapterError) -> Self {
        match error {
            AdapterError::Conflict => Self::Conflict,
            error => Self::Unserved(error),
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "somebody else has the channel",
            Self::Resources => "there are fewer map registers than the longest transfer may need",
            Self::Bus => "there is no such bus, or no channel on it for a bus master",
            Self::Description => "the description of the channel makes no sense",
            Self::NoChannel => "neither the description nor the platform names a channel",
            Self::Unserved(error) => return error.fmt(f),
            Self::NotNow => "channels are registered while the miniport initialises, after its attributes",
        })
    }
}

impl core::error::Error for RegisterError {}
