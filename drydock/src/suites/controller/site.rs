//! The system that is checked: a registered controller, the stack above it, and its devices.

use super::{Abilities, Build, Stack, Wired};
use crate::machine::{FAR, HIGH, Machine};
use crate::suites::Bay;
use longshore_core::{Passive, Rule};
use longshore_hardware::BusAddress;
use longshore_wdm::{Adapter, Controller, DeviceDescription, MapRegisters, Policy, Setup, SystemDma};
use std::sync::Arc;

/// How many map registers there are.
const REGISTERS: u32 = 8;

/// Where the map registers end: every controller reaches them.
const REGISTER_REACH: u64 = 1 << 16;

/// What the machine, the controller and the devices are together.
pub(super) struct Site {
    pub(super) machine: Machine,
    system: SystemDma<Machine>,
    controller: Arc<dyn Controller>,
    pub(super) stack: Arc<dyn Stack>,
    /// The map registers of what is out of the controller's reach.
    pub(super) registers: MapRegisters<Machine>,
    pub(super) devices: Vec<Wired>,
    pub(super) abilities: Abilities,
}

impl Site {
    pub(super) fn new(
        machine: &Machine,
        passive: &Passive,
        build: &Build,
        policy: Policy,
    ) -> Option<Arc<Self>> {
        let (rig, stack) = build(&Bay::new(machine, passive));
        let controller = Arc::clone(&rig.controller);
        let reach = BusAddress::new(REGISTER_REACH);
        let registers = MapRegisters::new(passive, machine, REGISTERS, reach).ok()?;
        let setup = Setup::new(rig.controller)
            .lines(rig.lines)
            .registers(registers.clone())
            .policy(policy);
        match SystemDma::register(passive, machine, setup) {
            Ok(system) => Some(Arc::new(Self {
                machine: machine.clone(),
                system,
                controller,
                stack,
                registers,
                devices: rig.devices,
                abilities: rig.abilities,
            })),
            Err(error) => {
                let what = format!("the controller could not be registered: {error}");
                machine.find(Rule("WDM-309"), what);
                None
            }
        }
    }

    /// Notes a finding unless this holds.
    pub(super) fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> bool {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
        holds
    }

    /// Whether the end of a channel's transfer interrupts.
    pub(super) fn interrupts(&self, channel: u32) -> bool {
        self.controller.attributes().generates_interrupt
            || self.controller.channel(channel).generates_interrupt
    }

    /// Whether the controller's count is right.
    pub(super) fn counts(&self) -> bool {
        self.controller.attributes().counter_available
    }

    /// Where memory begins that the controller does not reach, if the machine has such.
    pub(super) fn beyond(&self) -> Option<BusAddress> {
        match self.controller.attributes().address_width {
            0..=24 => Some(HIGH),
            25..=32 => Some(FAR),
            _ => None,
        }
    }

    /// What a device says of its transfers.
    pub(super) fn description(wired: &Wired, looped: bool) -> DeviceDescription {
        DeviceDescription {
            device_address: wired.device_address,
            maximum_length: 4096,
            auto_initialize: looped,
            width: wired.width,
            ..DeviceDescription::system(wired.channel, wired.request_line)
        }
    }

    /// An adapter for one of the devices.
    pub(super) fn adapter(
        &self,
        passive: &Passive,
        description: DeviceDescription,
        rule: &'static str,
    ) -> Option<Adapter<Machine>> {
        let adapter = self.system.adapter(passive, description);
        self.require(adapter.is_ok(), rule, || {
            format!("there is no adapter for {description:?}: {adapter:?}")
        });
        adapter.ok()
    }
}
