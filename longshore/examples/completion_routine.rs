//! A driver of system DMA with a completion routine, in the order of calls of the contract: adapter, transfer context,
//! channel, map, completion, flush, free. The controller is a model of SiFive's PDMA behind its own driver; on a machine
//! that has one, only `plug_in` would differ.

use longshore::core::machine::{Cpu, Machine as _, Signal as _};
use longshore::core::scatter::Segments;
use longshore::core::{Dispatch, Passive};
use longshore::engines::pdma::PdmaController;
use longshore::hardware::pdma::LINES;
use longshore::hardware::{BusAddress, DmaMemory, Lease};
use longshore::host::{Config, Host, Machine};
use longshore::models::pdma::{Behaviour, Pdma};
use longshore::wdm::{
    Allocation, AllocationFlags, CompletionContext, CompletionRoutine, DeviceDescription, DeviceObject,
    DmaCompletionStatus, DmaWidth, FlushRequest, MapRequest, Platform, Policy, Setup, TransferContext,
};
use std::error::Error;
use std::sync::{Arc, Mutex};

/// How many bytes are moved.
const LENGTH: u32 = 64;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::new(Config::default())?;
    let machine = host.machine();
    let mut passive = Passive::now(machine).ok_or("a program runs at PASSIVE")?;
    let platform = plug_in(machine, &passive)?;
    let memory = machine.memory();

    // What the device gives: its data port is a piece of memory here.
    let port = Lease::new(memory.clone(), u64::from(LENGTH), 64)?;
    let given: Vec<u8> = (0..LENGTH).map(|at| at as u8).collect();
    memory.write(port.address(), &given)?;
    let buffer = Lease::new(memory.clone(), u64::from(LENGTH), 64)?;

    let adapter = platform.adapter(&passive, describe(port.address()))?;
    let mut context = TransferContext::new();
    adapter.initialize_transfer_context(&passive, &mut context)?;
    let request = Allocation {
        device_object: DeviceObject(1),
        registers: 0, // everything is in reach
        flags: AllocationFlags::SYNCHRONOUS,
        routine: None,
    };
    machine
        .raise(&mut passive, |dispatch| {
            adapter.allocate_channel(dispatch, &context, request)
        })
        .map_err(|refused| refused.why)?;

    // The routine may run before the map returns, so everything it needs is there first.
    let told = Arc::new(Mutex::new(None));
    let done = Arc::new(machine.signal(&passive, "completion routine"));
    let (tell, signal) = (Arc::clone(&told), Arc::clone(&done));
    let routine: CompletionRoutine<Machine> = Arc::new(move |_: &Dispatch, _, _, context, status| {
        if let Ok(mut told) = tell.lock() {
            *told = Some((context, status));
        }
        signal.set();
    });
    let segments = [buffer.range()];
    let mapped = adapter.map_transfer(
        &passive,
        &context,
        MapRequest {
            completion: Some(routine),
            context: CompletionContext(0xfeed),
            ..MapRequest::new(Segments::new(&segments), LENGTH, false)
        },
    )?;

    let _ = done.wait(&passive);
    let (returned, status) = told
        .lock()
        .map_err(|_| "a routine panicked")?
        .ok_or("nobody was told")?;
    assert_eq!(returned, CompletionContext(0xfeed));
    let what = match status {
        DmaCompletionStatus::COMPLETE => "complete",
        DmaCompletionStatus::ERROR => "an error",
        DmaCompletionStatus::CANCELLED => "cancelled",
        other => unreachable!("{other:?} is never produced"),
    };
    println!("the completion routine was told: {what}");

    // Only after the flush are the bytes the driver's again.
    let flush = FlushRequest {
        buffer: Segments::new(&segments),
        offset: 0,
        length: mapped,
        write_to_device: false,
    };
    adapter.flush(&passive, &context, flush)?;
    let mut received = vec![0; LENGTH as usize];
    memory.read(buffer.address(), &mut received)?;
    assert_eq!(received, given);
    println!("{mapped} bytes came from the device");

    machine.raise(&mut passive, |dispatch| adapter.free_channel(dispatch, &context))?;
    adapter.wait_for_callbacks(&passive);
    adapter.put(&passive).map_err(|refused| refused.why)?;
    Ok(())
}

/// Puts the controller on the machine, with an interrupt line for each of its outputs.
fn plug_in(machine: &Machine, passive: &Passive) -> Result<Platform<Machine>, Box<dyn Error>> {
    let lines: Vec<_> = (0..LINES)
        .map(|_| machine.line(passive, "PDMA", Cpu(0)))
        .collect();
    let registers = machine.attach(Box::new(Pdma::new(16, Behaviour::Manual)), &lines)?;
    let platform = Platform::new(machine, None, Policy::default());
    let setup = Setup::new(Arc::new(PdmaController::new(registers))).lines(lines);
    platform.register(passive, setup)?;
    Ok(platform)
}

/// What the device says about its transfers.
fn describe(port: BusAddress) -> DeviceDescription {
    DeviceDescription {
        device_address: port,
        maximum_length: 4096,
        width: DmaWidth::BITS_32,
        ..DeviceDescription::system(0, 0)
    }
}
