//! An NDIS miniport of the ISA days, on the PC's 8237A: one receive ring, and a NIC that asks on demand while it has bytes
//! of a frame. Nobody knows how long the next frame will be, so each transfer is set up for the longest there can be. The
//! miniport polls the counter until reception is idle, completes early, which is its abort, and goes on behind the frame.

use longshore::core::Passive;
use longshore::core::machine::{Machine as _, Signal as _, Timer as _};
use longshore::engines::i8237::I8237Controller;
use longshore::hardware::{DmaMemory as _, Lease};
use longshore::host::{Config, Host, Machine, Memory};
use longshore::models::i8237::{Cycle, I8237, Requester, Wired};
use longshore::ndis::{Attributes, Direction, DmaDescription, Miniport, Registration, SetUp};
use longshore::wdm::{Platform, Policy, Setup};
use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The NIC's DMA channel.
const CHANNEL: u8 = 3;
/// The longest frame.
const LONGEST: u32 = 1536;
/// The length of the receive ring.
const RING: u32 = 4096;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    for line in run()? {
        println!("{line}");
    }
    Ok(())
}

/// The whole life of the miniport. Says what there is to print.
pub(crate) fn run() -> Result<Vec<String>, Box<dyn Error>> {
    let host = Host::new(Config::default())?;
    let machine = host.machine();
    let passive = Passive::now(machine).ok_or("a program runs at PASSIVE")?;
    let nic = Nic::default();
    let ports = machine.attach(Box::new(Wired::new(I8237::new(), nic.clone())), &[])?;
    let platform = Platform::new(machine, None, Policy::default());
    platform.register(&passive, Setup::new(Arc::new(I8237Controller::new(ports))))?;

    // MiniportInitializeEx: the attributes, then the channel.
    let miniport = Miniport::new(&platform, None);
    let channel = miniport.initialize(&passive, || {
        miniport.set_attributes(&passive, Attributes::SUBORDINATE);
        let mut registration = Registration::new(LONGEST);
        registration.description = DmaDescription {
            demand_mode: true,
            channel: Some(u32::from(CHANNEL)),
            ..DmaDescription::default()
        };
        miniport.register_dma_channel(&passive, registration)
    })?;

    let mut said = Vec::new();
    let mut ring = Lease::new(machine.memory(), u64::from(RING), u64::from(RING))?;
    let (mut offset, mut total) = (0, 0);
    for (number, length) in [(1, 600), (2, LONGEST), (3, 1000), (4, 64)] {
        if RING - offset < LONGEST {
            offset = 0;
        }
        // First the controller, then the NIC: it must find a channel that is programmed (NDIS-036).
        let set_up = channel.set_up(&passive, ring, offset, LONGEST, Direction::ReadFromDevice)?;
        let frame = frame(number, length);
        nic.card().from_wire.extend(&frame);
        wait_until_idle(machine, &passive, &nic, &set_up);
        let completed = set_up.complete(&passive)?;
        // What the transfer left is still to be read after it was completed (RL-09).
        let residual = channel.read_counter(&passive);
        assert_eq!(residual, completed.residual);

        // The ring is the miniport's again.
        ring = completed.buffer;
        let bytes = LONGEST - residual;
        assert!(read(&ring, offset, bytes)? == frame, "frame {number} came whole");
        let status = completed.status;
        said.push(format!(
            "frame {number} at {offset}: {bytes} bytes, {status}, residual {residual}"
        ));
        offset += bytes;
        total += bytes;
    }
    said.push(format!("{total} bytes received"));

    // A send: the last frame goes back, from where it lies.
    let set_up = channel.set_up(&passive, ring, 0, offset, Direction::WriteToDevice)?;
    nic.card().wanted = offset;
    wait_until_idle(machine, &passive, &nic, &set_up);
    let completed = set_up.complete(&passive)?;
    assert!(nic.card().to_wire == frame(4, 64), "it was sent whole");
    said.push(format!("{offset} bytes sent, {}", completed.status));

    // MiniportHaltEx: what was registered is given back.
    let halted = miniport.halt(&passive, || channel.deregister(&passive));
    halted.ok_or("it runs, so it can halt")??;
    Ok(said)
}

fn frame(number: u8, length: u32) -> Vec<u8> {
    (0..length).map(|at| at as u8 ^ number).collect()
}

fn read(ring: &Lease<Memory>, offset: u32, bytes: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let begin = ring
        .address()
        .checked_add(u64::from(offset))
        .ok_or("beyond the ring")?;
    let mut read = vec![0; bytes as usize];
    ring.memory().read(begin, &mut read)?;
    Ok(read)
}

/// Polls at each tick of a timer, until nothing is left, or until nothing more has come since the last tick. A counter
/// that stands still may only mean that the NIC did not get the bus; so it must have nothing to ask for, either.
fn wait_until_idle<B>(machine: &Machine, passive: &Passive, nic: &Nic, set_up: &SetUp<Machine, B>) {
    let tick = Arc::new(machine.signal(passive, "tick"));
    let signal = Arc::clone(&tick);
    let timer = machine.timer(passive, "poll", move |_| signal.set());
    let mut before = None;
    loop {
        tick.clear();
        timer.set(Duration::from_millis(1));
        let _ = tick.wait(passive);
        let idle = nic.is_idle();
        let left = set_up.remaining(passive);
        if left == 0 || idle && before == Some(left) {
            return;
        }
        before = Some(left);
    }
}

/// The NIC. The model of the controllers has it on its request line; the miniport knows its registers.
#[derive(Clone, Default)]
struct Nic(Arc<Mutex<Card>>);

#[derive(Default)]
struct Card {
    /// Bytes of a frame that wait for the controller.
    from_wire: VecDeque<u8>,
    /// How many bytes it still wants, to send them.
    wanted: u32,
    to_wire: Vec<u8>,
}

impl Nic {
    fn card(&self) -> MutexGuard<'_, Card> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its status register says: it asks for nothing.
    fn is_idle(&self) -> bool {
        let card = self.card();
        card.from_wire.is_empty() && card.wanted == 0
    }
}

impl Requester for Nic {
    fn dreq(&mut self, channel: u8) -> bool {
        channel == CHANNEL && !self.is_idle()
    }

    fn give(&mut self, _: Cycle) -> u16 {
        u16::from(self.card().from_wire.pop_front().unwrap_or(u8::MAX))
    }

    fn take(&mut self, _: Cycle, data: u16) {
        let mut card = self.card();
        card.to_wire.push(data as u8);
        card.wanted = card.wanted.saturating_sub(1);
    }
}
