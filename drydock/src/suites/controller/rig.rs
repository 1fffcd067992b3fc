//! What a controller is checked with.

use crate::machine::Line;
use crate::reference::{
    Counter, FarEnd, Interrupts, Options, ReferenceController, ReferenceDevice, SET_PERIOD,
};
use crate::suites::Bay;
use longshore_core::machine::{Cpu, Machine as _};
use longshore_hardware::BusAddress;
use longshore_wdm::{Controller, DmaWidth};
use std::sync::Arc;

/// A device that one of the controller's channels serves.
#[derive(Clone)]
pub struct Wired {
    /// The channel.
    pub channel: u32,
    /// The line on which the device asks, as the system numbers it.
    pub request_line: u32,
    /// Where its data port is.
    pub device_address: BusAddress,
    /// How wide that port is.
    pub width: DmaWidth,
    /// The device: the suite gives it bytes and looks at what it got.
    pub far: Arc<dyn FarEnd>,
}

/// What a controller can do, beyond what it says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// It starts over at the end, until cancelled.
    pub loops: bool,
    /// The function of its own that sets after how many bytes a loop tells of a period, where it has one.
    pub set_period: Option<u32>,
    /// A device can tell it of an error.
    pub errors: bool,
    /// Its count is still right when a transfer was cancelled.
    pub counts_cancelled: bool,
    /// It sees when memory does not answer.
    pub bus_errors: bool,
    /// A device that has nothing to give keeps it waiting.
    pub starves: bool,
}

impl Abilities {
    /// A plain controller.
    pub const NONE: Self = Self {
        loops: false,
        set_period: None,
        errors: false,
        counts_cancelled: false,
        bus_errors: false,
        starves: false,
    };
}

/// A controller, built, with what stands at its far ends.
pub struct Rig {
    /// The controller under test.
    pub controller: Arc<dyn Controller>,
    /// Its interrupt lines, if it has any.
    pub lines: Vec<Line>,
    /// The devices, each on a channel of its own. The suite uses the first, and the second where it needs two.
    pub devices: Vec<Wired>,
    /// What it can do.
    pub abilities: Abilities,
}

/// The reference controller, as the gallery and the built-in targets use it. The device of a channel is on the request
/// line with the next number, the last one's on the first, so that nobody takes one for the other.
pub fn reference_rig(bay: &Bay<'_>, options: Options) -> Rig {
    let model = ReferenceDevice::new(options);
    let wired = |channel| {
        let line = (channel + 1) % options.channels.max(1);
        Wired {
            channel,
            request_line: options.first_line + line,
            device_address: BusAddress::new(0x1_0000),
            width: DmaWidth::BITS_8,
            far: Arc::new(model.port(line)) as Arc<dyn FarEnd>,
        }
    };
    let devices = (0..options.channels).map(wired).collect();
    let line = |_| bay.machine().line(bay.passive(), "reference controller", Cpu(1));
    let lines: Vec<_> = (0..options.lines()).map(line).collect();
    let registers = bay.machine().attach("reference", Box::new(model), &lines);
    let controller = ReferenceController::new(registers, bay.machine().memory(), options);
    Rig {
        controller: Arc::new(controller),
        lines,
        devices,
        abilities: Abilities {
            loops: true,
            set_period: (options.interrupts != Interrupts::None).then_some(SET_PERIOD),
            errors: true,
            counts_cancelled: options.counter == Counter::Kept,
            bus_errors: true,
            starves: true,
        },
    }
}
