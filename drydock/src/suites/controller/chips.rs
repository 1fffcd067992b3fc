//! Real controllers on their models, as they are checked.

use super::rig::{Abilities, Rig, Wired};
use crate::machine::{Machine, Memory};
use crate::reference::{FarEnd, Port};
use crate::suites::Bay;
use longshore_core::event::{Event, Owner, Rule};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_engines::i8237::I8237Controller;
use longshore_engines::pdma::PdmaController;
use longshore_hardware::pdma::{CHANNELS, LINES};
use longshore_hardware::{BusAddress, DmaMemory, Lease};
use longshore_models::i8237::{Cycle, I8237, Quirks, Requester, Slots, Wired as Board};
use longshore_models::pdma::{Behaviour, Pdma};
use longshore_wdm::DmaWidth;
use std::sync::Arc;

/// A device on a request line of the 8237A. It requests while it has something to give or room to take.
struct Peripheral {
    port: Port,
    /// Bytes of one transfer of its channel.
    unit: usize,
}

impl Requester for Peripheral {
    fn dreq(&mut self, _: u8) -> bool {
        self.port.asks()
    }

    fn give(&mut self, _: Cycle) -> u16 {
        let mut word = [0xff; 2];
        let bytes = self.port.peek(self.unit);
        word[..bytes.len()].copy_from_slice(&bytes);
        self.port.consume(bytes.len());
        u16::from_le_bytes(word)
    }

    fn take(&mut self, _: Cycle, data: u16) {
        self.port.accept(&data.to_le_bytes()[..self.unit]);
    }
}

/// The AT's pair of 8237A with devices on these channels, which are all of one width.
pub fn i8237_rig(bay: &Bay<'_>, channels: [u8; 2], quirks: Quirks) -> Rig {
    let mut slots = Slots::new();
    let devices = channels
        .map(|channel| {
            let (unit, width) = if channel < 4 {
                (1, DmaWidth::BITS_8)
            } else {
                (2, DmaWidth::BITS_16)
            };
            let port = Port::default();
            let device = Peripheral {
                port: port.clone(),
                unit,
            };
            slots.plug(channel, Box::new(device));
            Wired {
                channel: u32::from(channel),
                request_line: u32::from(channel),
                device_address: BusAddress::NULL,
                width,
                far: Arc::new(port),
            }
        })
        .into();
    let model = Board::new(I8237::new().with_quirks(quirks), slots);
    let registers = bay.machine().attach("8237", Box::new(model), &[]);
    Rig {
        controller: Arc::new(I8237Controller::new(registers)),
        lines: Vec::new(),
        devices,
        abilities: Abilities {
            loops: true,
            counts_cancelled: true,
            starves: true,
            ..Abilities::NONE
        },
    }
}

/// Bytes of a device that is a window of memory.
const WINDOW: u64 = 64;

/// A device that is a window of memory, for an engine that copies memory.
struct Window {
    memory: Memory,
    lease: Lease<Memory>,
}

impl Window {
    fn new(machine: &Machine) -> Option<Self> {
        let lease = Lease::new(machine.memory(), WINDOW, WINDOW).ok()?;
        machine.emit(Event::Handover(lease.range(), Owner::Both, Rule("WDM-024")));
        let memory = machine.memory();
        Some(Self { memory, lease })
    }

    fn write(&self, bytes: &[u8]) {
        let len = bytes.len().min(WINDOW as usize);
        let _ = self.memory.write(self.lease.address(), &bytes[..len]);
    }
}

impl FarEnd for Window {
    fn begin(&self) {
        self.write(&[0; WINDOW as usize]);
    }

    fn supply(&self, bytes: &[u8]) {
        self.write(bytes);
    }

    fn taken(&self) -> Vec<u8> {
        let mut bytes = vec![0; WINDOW as usize];
        let _ = self.memory.read(self.lease.address(), &mut bytes);
        bytes
    }

    fn moved(&self) -> Option<u64> {
        None
    }
}

/// SiFive's platform DMA engine, each channel with a window of memory for a device.
pub fn pdma_rig(bay: &Bay<'_>, behaviour: Behaviour) -> Rig {
    let machine = bay.machine();
    let line = |_| machine.line(bay.passive(), "pdma", Cpu(1));
    let lines: Vec<_> = (0..LINES).map(line).collect();
    let registers = machine.attach("pdma", Box::new(Pdma::new(4, behaviour)), &lines);
    let wired = |channel| {
        let window = Window::new(machine)?;
        Some(Wired {
            channel,
            request_line: channel,
            device_address: window.lease.address(),
            width: DmaWidth::BITS_32,
            far: Arc::new(window) as Arc<dyn FarEnd>,
        })
    };
    Rig {
        controller: Arc::new(PdmaController::new(registers)),
        lines,
        devices: (0..CHANNELS).filter_map(wired).collect(),
        abilities: Abilities {
            bus_errors: behaviour == Behaviour::Manual,
            ..Abilities::NONE
        },
    }
}
