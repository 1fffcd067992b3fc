//! What a miniport in C may do wrong. A test plays its handlers, over the reference controller on the dry dock.

use super::super::kernel;
use super::super::mdl::*;
use super::super::ndis::*;
use crate::abi::dma::Mdl;
use crate::abi::ndis::{
    DmaDescription, DriverCharacteristics, InitParameters, ObjectHeader, RegistrationAttributes,
};
use crate::abi::types::{Pointer, Status};
use crate::calls;
use crate::edge::Edge;
use crate::handles::{Handle, hold};
use longshore_core::machine::Machine as _;
use longshore_core::{Event, Irql, NtStatus, Passive};
use longshore_drydock::machine::{Device, Machine, Step, What};
use longshore_drydock::reference::registers as at;
use longshore_drydock::reference::{Options, Port, ReferenceController, ReferenceDevice, Stubborn};
use longshore_drydock::{Config as Dock, Plan, run};
use longshore_hardware::{BusAddress, Registers as _, Width};
use longshore_ndis::{Assigned, NdisStatus};
use longshore_netdma::{NetDma, registry};
use longshore_wdm::{Platform, Policy, Setup};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{null, null_mut, with_exposed_provenance_mut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

mod freed;
mod hostile;
mod registering;
mod transfers;

const SUCCESS: NdisStatus = NdisStatus::SUCCESS;
const FAILURE: NdisStatus = NdisStatus::FAILURE;
const RESOURCES: NdisStatus = NdisStatus::RESOURCES;

/// The longest transfer, and how long buffers are.
const LONGEST: u32 = 64;

fn said(status: Status) -> NdisStatus {
    NdisStatus(NtStatus::from(status).0)
}

/// What the handlers of a miniport do. Its address is the driver's context and the adapter's.
struct Script<'a> {
    initialize: Box<dyn FnMut(Pointer, InitParameters) -> NdisStatus + 'a>,
    halt: Box<dyn FnMut() + 'a>,
}

unsafe extern "C" fn initialize(adapter: Pointer, context: Pointer, told: *mut InitParameters) -> Status {
    // SAFETY: the context is a script that outlives its device, and the parameters are there until this returns.
    let (script, told) = unsafe { (&mut *context.cast::<Script<'_>>(), *told) };
    let call = AssertUnwindSafe(|| (script.initialize)(adapter, told));
    let status = catch_unwind(call).unwrap_or_else(|payload| {
        calls::keep_panic(payload);
        FAILURE
    });
    NtStatus::from(status).into()
}

unsafe extern "C" fn halt(context: Pointer, _: u32) {
    // SAFETY: as above.
    let script = unsafe { &mut *context.cast::<Script<'_>>() };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (script.halt)())) {
        calls::keep_panic(payload);
    }
}

fn characteristics() -> DriverCharacteristics {
    DriverCharacteristics {
        header: ObjectHeader {
            kind: DriverCharacteristics::KIND,
            revision: 1,
            size: DriverCharacteristics::SIZE,
        },
        major_ndis_version: 6,
        minor_ndis_version: 0,
        major_driver_version: 1,
        minor_driver_version: 0,
        flags: 0,
        set_options: null_mut(),
        initialize: Some(initialize),
        halt: Some(halt),
        others: [null_mut(); 12],
    }
}

fn attributes(context: Pointer) -> RegistrationAttributes {
    RegistrationAttributes {
        header: ObjectHeader {
            kind: RegistrationAttributes::KIND,
            revision: 1,
            size: RegistrationAttributes::SIZE,
        },
        adapter_context: context,
        attribute_flags: 1,
        check_for_hang_time_in_seconds: 0,
        interface_type: 1,
    }
}

/// A NIC on demand, so that it can have less than it was set up for.
fn description() -> DmaDescription {
    DmaDescription {
        demand_mode: 1,
        ..DmaDescription::default()
    }
}

/// A machine with the reference controller and an edge, on which a test plays C code.
struct Board {
    machine: Machine,
    edge: Arc<Edge>,
    port: Port,
    registers: Device,
    device: Handle,
    /// The hardware does not stop when it is told to.
    goes_on: Arc<AtomicBool>,
    /// All that was told at the edge, and how much of it a test has seen.
    told: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
    seen: AtomicUsize,
}

impl Board {
    fn new(machine: &Machine, passive: &Passive) -> Self {
        let options = Options::new();
        let model = ReferenceDevice::new(options);
        let port = model.port(0);
        let line = machine.line(passive, "dma", longshore_core::machine::Cpu(1));
        let registers: Device = machine.attach("dma", Box::new(model), std::slice::from_ref(&line));
        let goes_on = Arc::new(AtomicBool::new(false));
        let reference = ReferenceController::new(registers.clone(), machine.memory(), options);
        let controller = Stubborn::new(reference, goes_on.clone());
        let platform = Platform::new(machine, None, Policy::default());
        let setup = Setup::new(Arc::new(controller)).line(line);
        platform.register(passive, setup).unwrap();
        let net = NetDma::new(passive, machine, registry::Config::default());
        let edge = Edge::open_with_dma(&net, &platform, passive, machine.engine_cpu());
        let told: Arc<Mutex<Vec<_>>> = Arc::default();
        let hears = told.clone();
        edge.on_misuse(move |call, rule, _| hold(&hears).push((call, rule.0)));
        let device = Handle::new();
        edge.devices.insert(device, ());
        edge.enter();
        Self {
            machine: machine.clone(),
            edge,
            port,
            registers,
            device,
            goes_on,
            told,
            seen: AtomicUsize::new(0),
        }
    }

    fn pdo(&self) -> Pointer {
        with_exposed_provenance_mut(self.device.raw())
    }

    fn assigned() -> Assigned {
        Assigned {
            channel: 1,
            request_line: 0,
            device_address: BusAddress::new(0x1_0000),
        }
    }

    /// What was said to be misuse since the last time.
    fn misuse(&self) -> Vec<(&'static str, &'static str)> {
        let told = hold(&self.told);
        let seen = self.seen.swap(told.len(), Ordering::Relaxed);
        told[seen..].to_vec()
    }

    /// Runs a section at another level, as C code can be that came there some way.
    fn at<R>(&self, level: Irql, section: impl FnOnce() -> R) -> R {
        let before = self.edge.world.set_level(level);
        let result = section();
        self.edge.world.set_level(before);
        result
    }

    fn register_driver(
        &self,
        context: Pointer,
        given: *const DriverCharacteristics,
    ) -> (NdisStatus, Pointer) {
        let mut driver = null_mut();
        // SAFETY: the pointers are NULL or good.
        let status = unsafe { NdisMRegisterMiniportDriver(self.pdo(), null(), context, given, &mut driver) };
        (said(status), driver)
    }

    /// Attaches the device of a miniport with this script. Its driver, and how its device initialised.
    fn attach(&self, script: &mut Script<'_>) -> (Pointer, Result<(), NtStatus>) {
        let context = std::ptr::from_mut(script).cast();
        self.edge.ndis.open(self.device);
        let (status, driver) = self.register_driver(context, &characteristics());
        self.edge.ndis.close(self.device);
        assert_eq!(status, SUCCESS);
        (
            driver,
            self.edge.start_miniport(self.device, Some(Self::assigned())),
        )
    }

    /// Halts and detaches it.
    fn detach(&self, driver: Pointer) {
        self.edge.stop_miniport(self.device);
        NdisMDeregisterMiniportDriver(driver);
    }

    fn set_attributes(&self, adapter: Pointer, given: &RegistrationAttributes) -> NdisStatus {
        // SAFETY: the attributes are as long as they say.
        said(unsafe { NdisMSetMiniportAttributes(adapter, given) })
    }

    fn register(&self, adapter: Pointer, given: *const DmaDescription) -> (NdisStatus, Pointer) {
        let mut channel = null_mut();
        // SAFETY: the pointers are NULL or good.
        let status = unsafe { NdisMRegisterDmaChannel(&mut channel, adapter, 7, 0, given, LONGEST) };
        (said(status), channel)
    }

    /// Runs `body` in a miniport that has a channel, and gives both back.
    fn with_channel(&self, given: DmaDescription, body: impl FnOnce(Pointer)) {
        self.with_miniport(given, |channel| NdisMDeregisterDmaChannel(channel), body);
    }

    /// The same, where it does something else with its channel at the halt.
    fn with_miniport(&self, given: DmaDescription, leave: impl Fn(Pointer), body: impl FnOnce(Pointer)) {
        let channel = std::cell::Cell::new(null_mut());
        let mut script = Script {
            initialize: Box::new(|_, _| SUCCESS),
            halt: Box::new(|| leave(channel.get())),
        };
        let context: Pointer = std::ptr::from_mut(&mut script).cast();
        let made = &channel;
        let make = move |adapter, _: InitParameters| {
            assert_eq!(self.set_attributes(adapter, &attributes(context)), SUCCESS);
            let (status, handle) = self.register(adapter, &given);
            made.set(handle);
            status
        };
        script.initialize = Box::new(make);
        let (driver, started) = self.attach(&mut script);
        assert_eq!(started, Ok(()));
        body(channel.get());
        self.detach(driver);
    }

    fn buffer(&self, length: u32) -> Bytes {
        let bytes = kernel::ExAllocatePoolWithTag(0, length as usize, 1);
        let mdl = IoAllocateMdl(bytes, length, 0, 0, null_mut());
        MmBuildMdlForNonPagedPool(mdl);
        Bytes {
            mdl,
            bytes: bytes.cast(),
            length,
        }
    }

    /// Touches a register of the channel, upon which one that starves goes on.
    fn touch(&self) {
        let status = at::FIRST_CHANNEL + at::CHANNEL_STRIDE + at::STATUS;
        // Nothing is taken back.
        self.registers.write(status, Width::Long, 0).unwrap();
    }

    /// Waits until so many bytes went through the port.
    fn wait(&self, bytes: u64) {
        while self.port.moved() < bytes && !self.machine.is_over() {
            self.machine.relax();
        }
    }
}

/// Pool memory with an MDL over it.
struct Bytes {
    mdl: *mut Mdl,
    bytes: *mut u8,
    length: u32,
}

impl Bytes {
    fn fill(&self, byte: u8) {
        for at in 0..self.length as usize {
            // SAFETY: it lies in the block.
            unsafe { self.bytes.add(at).write(byte) };
        }
    }

    fn look(&self) -> Vec<u8> {
        // SAFETY: as above.
        (0..self.length as usize)
            .map(|at| unsafe { self.bytes.add(at).read() })
            .collect()
    }

    fn free(self) {
        IoFreeMdl(self.mdl);
        kernel::ExFreePoolWithTag(self.bytes.cast(), 1);
    }
}

/// MDL, offset, length, direction.
type Arguments = (*mut Mdl, u32, u32, u8);

fn set_up(channel: Pointer, (mdl, offset, length, write): Arguments) -> NdisStatus {
    let mut status = Status(-1);
    // SAFETY: the place is good.
    unsafe { NdisSetupDmaTransfer(&mut status, channel, mdl, offset, length, write) };
    said(status)
}

fn complete(channel: Pointer, (mdl, offset, length, write): Arguments) -> NdisStatus {
    let mut status = Status(-1);
    // SAFETY: the place is good.
    unsafe { NdisCompleteDmaTransfer(&mut status, channel, mdl, offset, length, write) };
    said(status)
}

/// What was misuse.
type Misuse = Vec<(&'static str, &'static str)>;

/// Runs a scenario. What was told at the edge is what the machine has heard, and nothing is left behind.
fn on_board(plan: &Plan, scenario: impl FnOnce(&Board, &mut Passive) + Send + 'static) {
    let (told, heard) = play(plan, scenario);
    assert_eq!(told, heard, "{plan}");
}

/// Runs a scenario that leaves nothing behind. What was told at the edge, and what the machine has heard.
fn play(plan: &Plan, scenario: impl FnOnce(&Board, &mut Passive) + Send + 'static) -> (Misuse, Misuse) {
    let told: Arc<Mutex<Vec<_>>> = Arc::default();
    let kept = told.clone();
    let run = run(
        &Dock::default(),
        plan,
        Default::default(),
        move |machine, passive| {
            let board = Board::new(machine, passive);
            scenario(&board, passive);
            assert_eq!(board.edge.pool.blocks(), 0, "pool memory was left");
            board.edge.clear_device(board.device);
            *hold(&kept) = hold(&board.told).clone();
        },
    );
    assert!(run.findings.is_empty(), "{plan}: {:#?}", run.findings);
    let misuse = |what: &What| match *what {
        What::Event(Event::Misuse(call, rule, _)) => Some((call, rule.0)),
        _ => None,
    };
    let heard = run.trace.iter().filter_map(|step| misuse(&step.what)).collect();
    (hold(&told).clone(), heard)
}
