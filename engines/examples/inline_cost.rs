//! What a descriptor costs on a channel whose engine runs on its user's CPU, and on one that is shared.
//!
//! `cargo run --release -p longshore-engines --example inline_cost`

use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{Device, Dispatch, Passive};
use longshore_engines::cpu::{Config, CpuEngine, InlineChannel};
use longshore_hardware::netdma::{ControlFlags, Descriptor};
use longshore_hardware::{BusAddress, DmaMemory, Lease};
use longshore_host::{Host, Machine, Memory};
use longshore_netdma::{ChannelInterface, ChannelParameters, Port, Version};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

const BATCH: u64 = 32;
const ENTRIES: u64 = 128;
const SIZE: u64 = 64;
const BATCHES: u64 = 200;
const ROUNDS: u32 = 1_000;

struct Deaf;

impl ChannelInterface for Deaf {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(0)
    }
    fn interrupt_dpc(&self, _: &Dispatch, _: BusAddress) {}
}

/// A ring of descriptors of which the last of each batch asks for the word.
struct Ring {
    memory: Memory,
    ring: BusAddress,
    word: BusAddress,
    _leases: [Lease<Memory>; 3],
}

impl Ring {
    fn new(machine: &Machine) -> Result<Self, Box<dyn Error>> {
        let memory = machine.memory();
        let lease = |len| Lease::new(machine.memory(), len, 64);
        let (ring, word, data) = (lease(ENTRIES * 64)?, lease(64)?, lease(2 * ENTRIES * SIZE)?);
        for entry in 0..ENTRIES {
            let at = |base: &Lease<Memory>, offset| BusAddress::new(base.address().raw() + offset);
            let source = at(&data, entry * SIZE);
            let destination = at(&data, (ENTRIES + entry) * SIZE);
            let mut descriptor = Descriptor::copy(destination, source, SIZE as u32);
            descriptor.next = at(&ring, (entry + 1) % ENTRIES * 64);
            if entry % BATCH == BATCH - 1 {
                descriptor.control = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
            }
            memory.write(at(&ring, entry * 64), &descriptor.emit())?;
        }
        memory.store_u64(word.address(), 0)?;
        Ok(Self {
            memory,
            ring: ring.address(),
            word: word.address(),
            _leases: [ring, word, data],
        })
    }

    fn parameters(&self) -> ChannelParameters {
        ChannelParameters::new(self.word, 0)
    }

    fn at(&self, entry: u64) -> BusAddress {
        BusAddress::new(self.ring.raw() + entry % ENTRIES * 64)
    }

    /// The best of many rounds, so that it counts little what else the computer does.
    fn best<P: Port>(&self, port: &mut P, passive: &Passive) -> Result<f64, Box<dyn Error>> {
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            best = best.min(self.measure(port, passive)?);
        }
        Ok(best)
    }

    /// Nanoseconds for a descriptor: append of a batch, the work, and the look at the word.
    fn measure<P: Port>(&self, port: &mut P, passive: &Passive) -> Result<f64, Box<dyn Error>> {
        self.memory.store_u64(self.word, 0)?;
        port.start(passive.into(), self.at(0), BATCH as u32)?;
        self.wait_for(port, passive, 0)?;
        let begin = Instant::now();
        for batch in 1..=BATCHES {
            port.append(passive.into(), self.at(batch * BATCH), BATCH as u32)?;
            self.wait_for(port, passive, batch)?;
        }
        Ok(begin.elapsed().as_nanos() as f64 / (BATCHES * BATCH) as f64)
    }

    fn wait_for<P: Port>(&self, port: &mut P, passive: &Passive, batch: u64) -> Result<(), Box<dyn Error>> {
        let wanted = self.at((batch + 1) * BATCH - 1).raw();
        loop {
            port.drive(passive.into());
            if self.memory.load_u64(self.word)? & !0x3f == wanted {
                return Ok(());
            }
            std::hint::spin_loop();
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::new(longshore_host::Config::default())?;
    let machine = host.machine();
    let passive = Passive::now(machine).ok_or("a program runs at PASSIVE")?;
    let config = Config {
        version: Version::V2_0,
        ..Config::default()
    };
    let ring = Ring::new(machine)?;
    let mut inline =
        InlineChannel::new(machine, config, ring.parameters()).map_err(|_| "the word is aligned")?;
    let cost = ring.best(&mut inline, &passive)?;
    println!("inline  {SIZE} B, {BATCH} a batch: {cost:.2} ns a descriptor");
    let ring = Ring::new(machine)?;
    let engine = CpuEngine::open(&passive, machine, config);
    let (mut shared, _) = engine.allocate((&passive).into(), ring.parameters(), Arc::new(Deaf))?;
    let cost = ring.best(&mut shared, &passive)?;
    println!("shared  {SIZE} B, {BATCH} a batch: {cost:.2} ns a descriptor");
    Port::free(&mut shared, (&passive).into());
    Ok(())
}
