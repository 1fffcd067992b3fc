//! The same order of calls on the 8237A, which cannot interrupt. No completion routine runs there: the driver polls, as
//! the contract tells it to, from a timer of its own. The buffer lies where 24 address bits do not reach, so the bytes
//! go through map registers.

use longshore::core::machine::{Machine as _, Signal as _};
use longshore::core::scatter::Segments;
use longshore::core::{Dispatch, Passive};
use longshore::engines::i8237::I8237Controller;
use longshore::hardware::{BusAddress, DmaMemory, Lease};
use longshore::host::{Config, Host, Machine};
use longshore::models::i8237::{Cycle, I8237, Requester, Wired};
use longshore::wdm::{
    Allocation, AllocationFlags, DeviceDescription, DeviceObject, DmaWidth, EndRoutine, FlushRequest,
    MapRegisters, MapRequest, Platform, Policy, Setup, TransferContext, TransferWatch,
};
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The channel of a PC's floppy drive.
const CHANNEL: u32 = 2;
const SECTOR: u32 = 512;
/// Where the reach of 24 address bits ends.
const REACH: u64 = 16 << 20;

/// A drive that gives bytes counting up, for as long as it is asked.
struct Drive(u8);

impl Requester for Drive {
    fn dreq(&mut self, channel: u8) -> bool {
        u32::from(channel) == CHANNEL
    }

    fn give(&mut self, _: Cycle) -> u16 {
        let byte = self.0;
        self.0 = byte.wrapping_add(1);
        u16::from(byte)
    }

    fn take(&mut self, _: Cycle, _: u16) {}
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::new(Config {
        memory: 2 * REACH,
        ..Config::default()
    })?;
    let machine = host.machine();
    let mut passive = Passive::now(machine).ok_or("a program runs at PASSIVE")?;
    let platform = plug_in(machine, &passive)?;
    let memory = machine.memory();

    // Aligned so that it cannot lie below.
    let buffer = Lease::new(memory.clone(), u64::from(SECTOR), REACH)?;
    assert!(buffer.address().raw() >= REACH, "out of the controller's reach");

    let description = DeviceDescription {
        maximum_length: SECTOR,
        width: DmaWidth::BITS_8,
        ..DeviceDescription::system(CHANNEL, CHANNEL)
    };
    let adapter = platform.adapter(&passive, description)?;
    let mut context = TransferContext::new();
    adapter.initialize_transfer_context(&passive, &mut context)?;
    let request = Allocation {
        device_object: DeviceObject(1),
        registers: adapter.map_registers(),
        flags: AllocationFlags::SYNCHRONOUS,
        routine: None,
    };
    machine
        .raise(&mut passive, |dispatch| {
            adapter.allocate_channel(dispatch, &context, request)
        })
        .map_err(|refused| refused.why)?;

    let segments = [buffer.range()];
    let map = MapRequest::new(Segments::new(&segments), SECTOR, false);
    let mapped = adapter.map_transfer(&passive, &context, map)?;

    let ended = Arc::new(Mutex::new(None));
    let done = Arc::new(machine.signal(&passive, "end"));
    let (tell, signal) = (Arc::clone(&ended), Arc::clone(&done));
    let routine: EndRoutine<Machine> = Box::new(move |_: &Dispatch, _, progress| {
        if let Ok(mut ended) = tell.lock() {
            *ended = progress.outcome;
        }
        signal.set();
    });
    let watch = TransferWatch::new(&passive, &adapter, routine);
    watch.start(&passive, &context, Duration::from_millis(1));
    let _ = done.wait(&passive);
    let outcome = ended
        .lock()
        .map_err(|_| "a routine panicked")?
        .ok_or("nobody was told")?;
    println!("polling found: {outcome:?}");

    let flush = FlushRequest {
        buffer: Segments::new(&segments),
        offset: 0,
        length: mapped,
        write_to_device: false,
    };
    adapter.flush(&passive, &context, flush)?;
    let mut received = vec![0; SECTOR as usize];
    memory.read(buffer.address(), &mut received)?;
    assert!(received.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    println!("{mapped} bytes came from the drive, through map registers");

    machine.raise(&mut passive, |dispatch| adapter.free_channel(dispatch, &context))?;
    drop(watch);
    adapter.put(&passive).map_err(|refused| refused.why)?;
    Ok(())
}

/// Puts the pair of controllers on the machine, with map registers below 16 MiB.
fn plug_in(machine: &Machine, passive: &Passive) -> Result<Platform<Machine>, Box<dyn Error>> {
    let ports = machine.attach(Box::new(Wired::new(I8237::new(), Drive(0))), &[])?;
    let registers = MapRegisters::new(passive, machine, 4, BusAddress::new(REACH))?;
    let platform = Platform::new(machine, Some(registers), Policy::default());
    platform.register(passive, Setup::new(Arc::new(I8237Controller::new(ports))))?;
    Ok(platform)
}
