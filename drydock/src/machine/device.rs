//! A model on the machine's bus.

use super::Machine;
use super::memory::Memory;
use super::objects::Line;
use super::state::{DeviceState, State};
use super::trace::What;
use longshore_core::machine::Machine as _;
use longshore_hardware::{AccessError, Registers, Width};
use longshore_models::{Model, Step};

/// The registers of a model on the bus. Writing one gives the device work; the schedule gives it time.
#[derive(Clone, Debug)]
pub struct Device {
    machine: Machine,
    index: usize,
}

impl Machine {
    /// Puts a model on the bus and wires its interrupt outputs to lines, in their order.
    pub fn attach(&self, name: &'static str, model: Box<dyn Model>, lines: &[Line]) -> Device {
        let mut state = self.state();
        let lines = lines.iter().map(Line::index).collect();
        state.devices.push(DeviceState {
            name,
            model: Some(model),
            lines,
            busy: false,
        });
        Device {
            machine: self.clone(),
            index: state.devices.len() - 1,
        }
    }

    /// Runs `work` with a model taken out of the state, and carries its line afterwards.
    fn with_model<R>(&self, index: usize, work: impl FnOnce(&mut dyn Model, &Memory) -> R) -> Option<R> {
        let mut model = {
            let mut state = self.state();
            state.device = true;
            state.devices[index].model.take()?
        };
        let result = work(model.as_mut(), &self.device_memory());
        let asserted = model.lines();
        let mut state = self.state();
        state.devices[index].model = Some(model);
        for output in 0..state.devices[index].lines.len() {
            let line = state.devices[index].lines[output];
            set_line(&mut state, line, asserted >> output & 1 == 1);
        }
        state.device = false;
        Some(result)
    }

    /// Gives a device one step of time.
    pub(super) fn step_device(&self, index: usize) {
        let step = self.with_model(index, |model, memory| model.step(memory));
        self.state().devices[index].busy = step == Some(Step::Worked);
    }
}

pub(super) fn set_line(state: &mut State, line: usize, asserted: bool) {
    let entry = &mut state.lines[line];
    if entry.raised == asserted {
        return;
    }
    entry.raised = asserted;
    entry.unanswered = 0;
    let name = entry.name;
    state.record(if asserted {
        What::Raised(name)
    } else {
        What::Lowered(name)
    });
}

impl Registers for Device {
    fn read(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.machine.yield_point(false);
        let value = self
            .machine
            .with_model(self.index, |model, _| model.read(offset, width))
            .ok_or(AccessError::Gone)??;
        let mut state = self.machine.state();
        let name = state.devices[self.index].name;
        state.record(What::RegisterRead(name, offset, value));
        Ok(value)
    }

    fn write(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        self.machine.yield_point(false);
        {
            let mut state = self.machine.state();
            let name = state.devices[self.index].name;
            state.record(What::RegisterWritten(name, offset, value));
            state.devices[self.index].busy = true;
        }
        self.machine
            .with_model(self.index, |model, _| model.write(offset, width, value))
            .ok_or(AccessError::Gone)?
    }
}
