//! The controllers together with their devices, as one model.

use super::{I8237, Requester};
use crate::{Model, Step};
use longshore_hardware::{AccessError, DmaMemory, Width};

/// The pair with the devices on its request lines. Offsets are I/O ports, accesses are bytes.
///
/// The 8237A has no interrupt: its devices do. A device that begins to pull its line by itself, and not because a
/// register of the controllers was written, needs an owner who steps the model again.
#[derive(Clone, Debug, Default)]
pub struct Wired<D> {
    controllers: I8237,
    devices: D,
}

impl<D: Requester> Wired<D> {
    /// Wires devices to the pair.
    pub fn new(controllers: I8237, devices: D) -> Self {
        Self { controllers, devices }
    }

    /// The pair, for its own methods and for its state.
    pub fn controllers(&mut self) -> &mut I8237 {
        &mut self.controllers
    }

    /// The devices.
    pub fn devices(&mut self) -> &mut D {
        &mut self.devices
    }
}

impl<D: Requester + Send> Model for Wired<D> {
    fn read(&mut self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let port = port(offset, width)?;
        self.controllers.sample(&mut self.devices);
        self.controllers.read(port).map(u64::from)
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let port = port(offset, width)?;
        self.controllers.sample(&mut self.devices);
        self.controllers.write(port, value as u8)
    }

    fn step(&mut self, mut memory: &dyn DmaMemory) -> Step {
        self.controllers.step(&mut memory, &mut self.devices)
    }

    fn lines(&self) -> u32 {
        0
    }
}

fn port(offset: u64, width: Width) -> Result<u16, AccessError> {
    let port = u16::try_from(offset).map_err(|_| AccessError::NoSuchRegister)?;
    if width == Width::Byte {
        Ok(port)
    } else {
        Err(AccessError::BadWidth)
    }
}
