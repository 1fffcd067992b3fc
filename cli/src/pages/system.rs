//! A system DMA controller with a driver, as small as pages 000 to 002 need it.

use super::stage::{Act, LONG, Stage, Trouble, until};
use super::timeline::Telling;
use longshore_core::completion::Outcome;
use longshore_core::event::Event;
use longshore_core::machine::{Cpu, Machine, Signal, Waited};
use longshore_core::scatter::Segments;
use longshore_core::{Irql, Passive};
use longshore_drydock::machine::{Step, View, What};
use longshore_drydock::reference::{Interrupts, Options, Port, ReferenceController, ReferenceDevice};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, CompletionContext, CompletionRoutine, DeviceDescription,
    DeviceObject, DmaCompletionStatus, FlushRequest, MapRequest, Platform, Policy, Setup, SystemDma,
    TransferContext,
};
use std::sync::{Arc, Mutex, PoisonError};

/// How many bytes a transfer has.
pub(super) const LENGTH: u32 = 32;

/// How many bytes the controller moves at a time.
const UNIT: u32 = 8;

/// What the driver gives to MapTransferEx, and wants back bit for bit.
pub(super) const CONTEXT: CompletionContext = CompletionContext(0xfeed_f00d);

/// The physical device object that the driver says it is.
pub(super) const DEVICE: DeviceObject = DeviceObject(0xd0d0);

/// A transfer's data.
pub(super) fn pattern() -> Vec<u8> {
    (1..=LENGTH).map(|byte| byte as u8).collect()
}

/// What the device says about its transfers.
pub(super) fn description() -> DeviceDescription {
    DeviceDescription {
        device_address: BusAddress::new(0x1_0000),
        maximum_length: 4096,
        ..DeviceDescription::system(0, 0)
    }
}

/// A registered controller, and the device that it serves.
pub(super) struct Rig<M: Machine> {
    pub(super) platform: Platform<M>,
    pub(super) system: SystemDma<M>,
    pub(super) port: Port,
    pub(super) buffer: Lease<M::Memory>,
    pub(super) memory: M::Memory,
}

/// Builds a reference controller that interrupts, or does not.
pub(super) fn rig<S: Stage>(
    stage: &S,
    passive: &Passive,
    interrupts: bool,
) -> Result<Rig<S::Machine>, Trouble> {
    let machine = stage.machine();
    let interrupts = if interrupts {
        Interrupts::Controller
    } else {
        Interrupts::None
    };
    let options = Options {
        channels: 1,
        burst: UNIT,
        interrupts,
        ..Options::new()
    };
    let model = ReferenceDevice::new(options);
    let port = model.port(0);
    let line = (options.lines() > 0).then(|| machine.line(passive, "DMA controller", Cpu(1)));
    let registers = stage.attach("DMA controller", Box::new(model), line.as_slice())?;
    let controller = ReferenceController::new(registers, machine.memory(), options);
    let platform = Platform::new(machine, None, Policy::default());
    let system = platform
        .register(passive, Setup::new(Arc::new(controller)).lines(line))
        .map_err(|error| format!("the controller was not registered: {error}"))?;
    let memory = machine.memory();
    let buffer = Lease::new(machine.memory(), u64::from(LENGTH), 8)
        .map_err(|error| format!("no memory for the page: {error}"))?;
    memory
        .write(buffer.address(), &[0; LENGTH as usize])
        .map_err(|error| error.to_string())?;
    Ok(Rig {
        platform,
        system,
        port,
        buffer,
        memory,
    })
}

impl<M: Machine> Rig<M> {
    /// How many bytes of the pattern memory holds, or nothing if it holds anything else.
    pub(super) fn received(&self) -> Option<u32> {
        let mut bytes = [0; LENGTH as usize];
        self.memory.read(self.buffer.address(), &mut bytes).ok()?;
        let count = bytes.iter().take_while(|byte| **byte != 0).count();
        let truthful = bytes[..count] == pattern()[..count] && bytes[count..].iter().all(|byte| *byte == 0);
        truthful.then_some(count as u32)
    }
}

/// How a transfer is to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// All bytes are moved.
    Complete,
    /// The device fails in the middle.
    Error,
    /// The driver cancels in the middle.
    Cancel,
}

/// A MapTransferEx from device to memory on a controller that interrupts or does not, and its end.
#[derive(Clone, Copy)]
pub(super) struct Transfer {
    pub(super) ending: Ending,
    pub(super) interrupts: bool,
}

/// One call of the completion routine.
#[derive(Clone)]
pub(super) struct Called {
    pub(super) level: Irql,
    pub(super) adapter: bool,
    pub(super) device: DeviceObject,
    pub(super) context: CompletionContext,
    pub(super) status: DmaCompletionStatus,
    /// How many bytes the device had moved by then.
    pub(super) moved: u64,
}

/// What was seen of a transfer.
pub(super) struct Seen {
    pub(super) called: Vec<Called>,
    /// What polling found, where nothing is called.
    pub(super) polled: Option<Outcome>,
    /// How many of the bytes memory held after the flush.
    pub(super) received: Option<u32>,
    pub(super) buffer: BusRange,
}

impl Act for Transfer {
    type Seen = Seen;

    fn act<S: Stage>(&self, stage: &S, passive: &mut Passive) -> Result<Seen, Trouble> {
        let rig = rig(stage, passive, self.interrupts)?;
        let machine = stage.machine();
        let adapter = rig
            .system
            .adapter(passive, description())
            .map_err(|error| format!("IoGetDmaAdapter: {error}"))?;
        let mut context = TransferContext::new();
        adapter
            .initialize_transfer_context(&*passive, &mut context)
            .map_err(|refused| format!("InitializeDmaTransferContext: {refused:?}"))?;
        allocate(machine, passive, &adapter, &context)?;
        self.supply(&rig.port);
        let calls = Calls::new(machine, passive, &rig.port);
        let range = [rig.buffer.range()];
        let mut request = MapRequest::new(Segments::new(&range), LENGTH, false);
        request.completion = Some(calls.routine(machine));
        request.context = CONTEXT;
        adapter
            .map_transfer(&*passive, &context, request)
            .map_err(|error| format!("MapTransferEx: {error}"))?;
        let polled = self.wait(machine, passive, &rig.port, (&adapter, &context), &calls)?;
        finish(machine, passive, &adapter, &context, &range)?;
        adapter.wait_for_callbacks(passive);
        Ok(Seen {
            called: calls.taken(),
            polled,
            received: rig.received(),
            buffer: rig.buffer.range(),
        })
    }
}

impl Transfer {
    fn supply(&self, port: &Port) {
        let pattern = pattern();
        match self.ending {
            Ending::Complete => port.supply(&pattern),
            Ending::Error => {
                port.supply(&pattern);
                port.fail_at(u64::from(LENGTH / 2));
            }
            // The rest never comes, so only a cancel can end it.
            Ending::Cancel => port.supply(&pattern[..LENGTH as usize / 2]),
        }
    }

    /// Cancels if need be, and waits for the end as a driver of this controller must.
    fn wait<M: Machine>(
        &self,
        machine: &M,
        passive: &Passive,
        port: &Port,
        (adapter, context): (&Adapter<M>, &TransferContext),
        calls: &Calls<M>,
    ) -> Result<Option<Outcome>, Trouble> {
        if self.ending == Ending::Cancel {
            until(machine, || port.moved() == u64::from(LENGTH / 2));
            adapter
                .cancel_mapped(passive, context)
                .map_err(|refused| format!("CancelMappedTransfer: {refused:?}"))?;
        }
        if self.interrupts {
            return match calls.signal.wait_for(passive, LONG) {
                Waited::Signalled => Ok(None),
                _ => Err("the completion routine was not called".to_owned()),
            };
        }
        let look = || adapter.poll(passive, context).outcome;
        if !until(machine, || look().is_some()) {
            return Err("polling did not find the end".to_owned());
        }
        Ok(look())
    }
}

fn allocate<M: Machine>(
    machine: &M,
    passive: &mut Passive,
    adapter: &Adapter<M>,
    context: &TransferContext,
) -> Result<(), Trouble> {
    let request = Allocation {
        device_object: DEVICE,
        registers: 0,
        flags: AllocationFlags::SYNCHRONOUS,
        routine: None,
    };
    machine
        .raise(passive, |dispatch| {
            adapter.allocate_channel(dispatch, context, request)
        })
        .map(drop)
        .map_err(|refused| format!("AllocateAdapterChannelEx: {}", refused.why))
}

fn finish<M: Machine>(
    machine: &M,
    passive: &mut Passive,
    adapter: &Adapter<M>,
    context: &TransferContext,
    range: &[BusRange],
) -> Result<(), Trouble> {
    let request = FlushRequest {
        buffer: Segments::new(range),
        offset: 0,
        length: LENGTH,
        write_to_device: false,
    };
    adapter
        .flush(&*passive, context, request)
        .map_err(|error| format!("FlushAdapterBuffersEx: {error}"))?;
    machine
        .raise(passive, |dispatch| adapter.free_channel(dispatch, context))
        .map_err(|refused| format!("FreeAdapterChannel: {refused:?}"))
}

/// What the completion routine writes down.
struct Calls<M: Machine> {
    signal: Arc<M::Signal>,
    called: Arc<Mutex<Vec<Called>>>,
    port: Port,
}

impl<M: Machine> Calls<M> {
    fn new(machine: &M, passive: &Passive, port: &Port) -> Self {
        Self {
            signal: Arc::new(machine.signal(passive, "the completion routine was called")),
            called: Arc::default(),
            port: port.clone(),
        }
    }

    fn routine(&self, machine: &M) -> CompletionRoutine<M> {
        let (signal, called, port) = (self.signal.clone(), self.called.clone(), self.port.clone());
        let machine = machine.clone();
        Arc::new(move |_, adapter, device, context, status| {
            let call = Called {
                level: machine.level(),
                adapter: adapter.description() == description(),
                device,
                context,
                status,
                moved: port.moved(),
            };
            called.lock().unwrap_or_else(PoisonError::into_inner).push(call);
            signal.set();
        })
    }

    fn taken(&self) -> Vec<Called> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A status in the form `DmaError (2)`.
pub(super) fn numbered(status: DmaCompletionStatus) -> String {
    format!("{status:?} ({})", status.0)
}

/// A step in the names of the pages.
pub(super) fn tell(step: &Step, buffer: BusRange) -> Telling {
    Telling::Words(match step.what {
        What::Wrote(View::Device, range) if buffer.contains(range.start()) => {
            return Telling::Bytes("come from the device to memory".to_owned(), range.len());
        }
        What::Read(View::Device, range) if buffer.contains(range.start()) => {
            return Telling::Bytes("go from memory to the device".to_owned(), range.len());
        }
        What::Raised(_) => return Telling::Device("the DMA controller interrupts".to_owned()),
        What::Begins("interrupt", _) => "its interrupt is handled".to_owned(),
        What::Event(Event::Callback("DmaCompletionRoutine", status)) => {
            let status = DmaCompletionStatus(u32::try_from(status).unwrap_or(u32::MAX));
            format!("DmaCompletionRoutine is called, Status = {}", numbered(status))
        }
        What::Event(Event::Call(name) | Event::Return(name, _)) if !is_background(name) => {
            step.what.to_string()
        }
        _ => return Telling::Silent,
    })
}

/// Calls that every transfer has and no page is about.
fn is_background(name: &str) -> bool {
    matches!(
        name,
        "IoGetDmaAdapter"
            | "InitializeDmaTransferContext"
            | "AllocateAdapterChannelEx"
            | "FreeAdapterChannel"
    )
}
