//! The functions of the controller's own, which a driver calls by ConfigureAdapterChannel between the allocation and
//! the map. Each takes a number for its context.

use longshore_hardware::i8237::Service;

/// Says how the transfers to come are served. The context is a [`ServiceMode`].
pub const SET_SERVICE: u32 = 0x8001;

/// Gives the channel's request line to a bus master (1), or takes it back (0). While the bus master has it, the
/// channel transfers nothing of its own.
pub const SET_CASCADE: u32 = 0x8002;

/// How long a channel keeps the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ServiceMode {
    /// On demand where the device's description says so, or else one unit at a time.
    #[default]
    AsDescribed = 0,
    /// As long as the device requests.
    Demand = 1,
    /// One unit.
    Single = 2,
    /// To the end of the transfer.
    Block = 3,
}

impl ServiceMode {
    /// The mode with this number.
    pub const fn from_number(number: usize) -> Option<Self> {
        Some(match number {
            0 => Self::AsDescribed,
            1 => Self::Demand,
            2 => Self::Single,
            3 => Self::Block,
            _ => return None,
        })
    }

    /// What the mode register is told.
    pub(super) const fn service(self, demand_mode: bool) -> Service {
        match self {
            Self::AsDescribed if demand_mode => Service::Demand,
            Self::AsDescribed | Self::Single => Service::Single,
            Self::Demand => Service::Demand,
            Self::Block => Service::Block,
        }
    }
}
