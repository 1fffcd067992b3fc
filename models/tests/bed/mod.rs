//! A little memory, and the registers of a PDMA's model.
#![allow(dead_code)] // Each test program uses its own part of this.

use longshore_hardware::pdma::{Config, Control, Register};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, MemoryError};
use longshore_models::pdma::Pdma;
use longshore_models::{Model, Snapshot};
use std::sync::Mutex;

pub(crate) const SIZE: usize = 256;

/// A little memory that remembers what was copied.
pub(crate) struct Memory {
    pub(crate) bytes: Mutex<Vec<u8>>,
    pub(crate) copies: Mutex<Vec<(u64, u64, u64)>>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Mutex::new((0..=255).collect()),
            copies: Mutex::default(),
        }
    }

    pub(crate) fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        self.bytes.lock().unwrap()[at..at + len].to_vec()
    }
}

pub(crate) fn inside(at: BusAddress, len: u64) -> Result<usize, MemoryError> {
    let range = BusRange::new(at, len).ok_or(MemoryError::OutOfRange)?;
    if range.end().raw() > SIZE as u64 {
        return Err(MemoryError::OutOfRange);
    }
    Ok(at.raw() as usize)
}

impl DmaMemory for Memory {
    fn read(&self, _: BusAddress, _: &mut [u8]) -> Result<(), MemoryError> {
        unreachable!("the engine copies")
    }

    fn write(&self, _: BusAddress, _: &[u8]) -> Result<(), MemoryError> {
        unreachable!("the engine copies")
    }

    fn copy(&self, to: BusAddress, from: BusAddress, len: u64) -> Result<(), MemoryError> {
        self.copies.lock().unwrap().push((to.raw(), from.raw(), len));
        let (target, source) = (inside(to, len)?, inside(from, len)?);
        self.bytes
            .lock()
            .unwrap()
            .copy_within(source..source + len as usize, target);
        Ok(())
    }

    fn load_u64(&self, _: BusAddress) -> Result<u64, MemoryError> {
        unreachable!("the engine copies")
    }

    fn store_u64(&self, _: BusAddress, _: u64) -> Result<(), MemoryError> {
        unreachable!("the engine copies")
    }

    fn allocate(&self, _: u64, _: u64, _: BusAddress) -> Result<BusAddress, MemoryError> {
        Err(MemoryError::Exhausted)
    }

    fn free(&self, _: BusRange) {}
}

pub(crate) fn get(model: &mut Pdma, channel: u32, register: Register) -> u64 {
    let row = register.row();
    model.read(register.of(channel), row.width).unwrap()
}

pub(crate) fn set(model: &mut Pdma, channel: u32, register: Register, value: u64) {
    let row = register.row();
    model.write(register.of(channel), row.width, value).unwrap();
}

pub(crate) fn control(model: &mut Pdma, channel: u32) -> Control {
    Control::from_bits_retain(get(model, channel, Register::Control) as u32)
}

pub(crate) fn command(model: &mut Pdma, channel: u32, value: Control) {
    set(model, channel, Register::Control, u64::from(value.bits()));
}

pub(crate) const GO: Control = Control::CLAIM.union(Control::RUN).union(Control::INTERRUPTS);

/// What a channel's control is, beside what it has latched, when it does not run any more.
pub(crate) const STOPPED: Control = Control::CLAIM.union(Control::INTERRUPTS);

/// Claims a channel and starts a copy.
pub(crate) fn start(model: &mut Pdma, channel: u32, config: Config, to: u64, from: u64, bytes: u64) {
    command(model, channel, Control::CLAIM);
    set(model, channel, Register::NextConfig, u64::from(config.raw()));
    set(model, channel, Register::NextBytes, bytes);
    set(model, channel, Register::NextDestination, to);
    set(model, channel, Register::NextSource, from);
    command(model, channel, GO);
}

pub(crate) fn save(model: &Pdma) -> Vec<u8> {
    let mut bytes = Vec::new();
    model.save(&mut bytes);
    bytes
}
