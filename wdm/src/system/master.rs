//! What stands beneath a bus master's adapter: a controller that moves nothing, for the device moves its own bytes.

use crate::adapter::description::DeviceDescription;
use crate::controller::{
    Controller, ControllerAttributes, InterruptType, PortWidths, Program, ProgramError, RequestLines,
};
use longshore_core::NtStatus;

/// One channel, which is there to be taken and given back.
pub(crate) struct Master {
    attributes: ControllerAttributes,
    scatter_gather: bool,
}

impl Master {
    pub(crate) fn new(description: &DeviceDescription) -> Self {
        let attributes = ControllerAttributes {
            channels: 1,
            address_width: description.master_address_width(),
            port_widths: PortWidths::UNLIMITED,
            minimum_unit: 1,
            request_lines: RequestLines { first: 0, count: 1 },
            cache_coherent: true,
            generates_interrupt: false,
            counter_available: false,
        };
        Self {
            attributes,
            scatter_gather: description.scatter_gather,
        }
    }
}

impl Controller for Master {
    fn attributes(&self) -> ControllerAttributes {
        self.attributes
    }

    fn initialize(&self) {}

    fn validate_request_line_binding(&self, _: u32, channel: u32) -> bool {
        channel == 0
    }

    fn query_max_fragments(&self, _: u32, _: u32) -> u32 {
        if self.scatter_gather { u32::MAX } else { 1 }
    }

    fn program(&self, _: u32, _: &Program<'_>) -> Result<(), ProgramError> {
        Ok(())
    }

    fn configure(&self, _: u32, _: u32, _: usize) -> NtStatus {
        NtStatus::NOT_IMPLEMENTED
    }

    fn flush(&self, _: u32) {}

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        None
    }

    fn remaining(&self, _: u32) -> u32 {
        0
    }

    fn poll(&self, _: u32) -> Option<InterruptType> {
        None
    }

    fn cancel(&self, _: u32) -> bool {
        false
    }
}
