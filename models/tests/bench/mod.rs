//! A machine around the model: 16 MiB, of which only what is used exists.

#![allow(dead_code, reason = "each test uses a part of it")]

use longshore_models::i8237::{Bus, I8237, Requester};
use longshore_models::vectors::Subject;
use longshore_models::{Snapshot, Step};
use std::collections::BTreeMap;

/// Bytes that were ever written; the others are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ram {
    pub(crate) bytes: BTreeMap<u64, u8>,
    /// The addresses of all accesses, and their lengths.
    pub(crate) accesses: Vec<(u64, usize)>,
}

impl Bus for Ram {
    fn read(&mut self, address: u32, bytes: &mut [u8]) {
        let address = u64::from(address);
        self.accesses.push((address, bytes.len()));
        for (byte, at) in bytes.iter_mut().zip(address..) {
            *byte = self.bytes.get(&at).copied().unwrap_or_default();
        }
    }

    fn write(&mut self, address: u32, bytes: &[u8]) {
        let address = u64::from(address);
        self.accesses.push((address, bytes.len()));
        self.bytes.extend((address..).zip(bytes.iter().copied()));
    }
}

/// The model and its memory. A port that is not there reads as all ones.
pub(crate) struct Bench {
    pub(crate) dma: I8237,
    pub(crate) ram: Ram,
}

impl Bench {
    pub(crate) fn new(dma: I8237) -> Self {
        Self {
            dma,
            ram: Ram::default(),
        }
    }
}

impl Subject for Bench {
    fn write(&mut self, port: u16, value: u8, devices: &mut dyn Requester) {
        self.dma.sample(devices);
        let _ = self.dma.write(port, value);
    }

    fn read(&mut self, port: u16, devices: &mut dyn Requester) -> u8 {
        self.dma.sample(devices);
        self.dma.read(port).unwrap_or(0xff)
    }

    fn load(&mut self, address: u32, bytes: &[u8]) {
        self.ram.write(address, bytes);
    }

    fn dump(&mut self, address: u32, bytes: &mut [u8]) {
        self.ram.read(address, bytes);
    }

    fn step(&mut self, devices: &mut dyn Requester) -> bool {
        self.dma.step(&mut self.ram, devices) == Step::Worked
    }
}

/// The same, but its state goes through bytes into a new model before each step and each access.
pub(crate) struct Moving {
    pub(crate) bench: Bench,
    pub(crate) fresh: I8237,
}

impl Moving {
    fn move_house(&mut self) -> &mut Bench {
        let mut bytes = Vec::new();
        self.bench.dma.save(&mut bytes);
        let mut dma = self.fresh.clone();
        dma.restore(&bytes).expect("its own state");
        assert_eq!(dma, self.bench.dma);
        self.bench.dma = dma;
        &mut self.bench
    }
}

impl Subject for Moving {
    fn write(&mut self, port: u16, value: u8, devices: &mut dyn Requester) {
        self.move_house().write(port, value, devices);
    }

    fn read(&mut self, port: u16, devices: &mut dyn Requester) -> u8 {
        self.move_house().read(port, devices)
    }

    fn load(&mut self, address: u32, bytes: &[u8]) {
        self.bench.load(address, bytes);
    }

    fn dump(&mut self, address: u32, bytes: &mut [u8]) {
        self.bench.dump(address, bytes);
    }

    fn step(&mut self, devices: &mut dyn Requester) -> bool {
        self.move_house().step(devices)
    }
}
