//! A bench whose controller reaches little of memory, with map registers where it does.

use super::{DEVICE, expect_clean, explore};
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::machine::{Device, Machine, Memory};
use longshore_drydock::reference::{CancelStyle, Options, Port, ReferenceController, ReferenceDevice};
use longshore_drydock::{Plan, Run};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, ChannelAttributes, Controller, ControllerAttributes,
    DeviceDescription, DmaWidth, Front, MapRegisters, MapRequest, Platform, Policy, PortWidths, Program,
    ProgramError, RegisterBase, Setup, SystemDma, TransferContext,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// How many address bits the controller drives: the first 64 KiB.
pub(crate) const WIDTH: u32 = 16;

/// The first address that it does not.
pub(crate) const REACH: u64 = 1 << WIDTH;

/// How many map registers there are.
pub(crate) const REGISTERS: u32 = 4;

/// A controller whose attributes are somebody else's.
pub(crate) struct Limited {
    inner: ReferenceController<Device>,
    attributes: ControllerAttributes,
    channel: ChannelAttributes,
    /// The next program is refused.
    pub(crate) refuses: AtomicBool,
    /// The fragments of each program.
    pub(crate) programs: Mutex<Vec<Vec<BusRange>>>,
    /// The request line, the device's address, and whether it is on demand, of each program.
    pub(crate) hints: Mutex<Vec<(u32, u64, bool)>>,
    /// What was reported, in its order.
    pub(crate) told: Mutex<Vec<String>>,
}

impl Front for Limited {
    fn behind(&self) -> &dyn Controller {
        &self.inner
    }

    fn attributes(&self) -> ControllerAttributes {
        self.attributes
    }

    fn channel(&self, _: u32) -> ChannelAttributes {
        self.channel
    }

    fn initialize(&self) {
        self.told.lock().unwrap().push("initialize".to_owned());
        self.inner.initialize();
    }

    fn report_common_buffer(&self, channel: u32, buffer: BusRange) {
        let inside = buffer.end().raw() <= REACH;
        let told = format!("buffer of {} for {channel}, in reach: {inside}", buffer.len());
        self.told.lock().unwrap().push(told);
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        let first = self.attributes.request_lines.first;
        self.inner
            .validate_request_line_binding(request_line - first, channel)
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        if self.refuses.swap(false, Ordering::Relaxed) {
            return Err(ProgramError::Gone);
        }
        self.hints.lock().unwrap().push((
            program.request_line,
            program.device_address.raw(),
            program.demand_mode,
        ));
        let fragments = program.segments.iter().collect();
        self.programs.lock().unwrap().push(fragments);
        self.inner.program(channel, program)
    }
}

/// What a scenario works on.
pub(crate) struct Narrow {
    pub(crate) machine: Machine,
    pub(crate) platform: Platform<Machine>,
    pub(crate) system: SystemDma<Machine>,
    pub(crate) pool: MapRegisters<Machine>,
    pub(crate) controller: Arc<Limited>,
    pub(crate) port: Port,
    /// The device on the other line.
    pub(crate) second_port: Port,
}

/// How the controller and its channels differ from the usual ones.
#[derive(Clone, Copy, Default)]
pub(crate) struct Habits {
    pub(crate) channel: ChannelAttributes,
    pub(crate) policy: Policy,
    /// The controller's count means nothing.
    pub(crate) countless: bool,
    /// The only ports it serves.
    pub(crate) widths: Option<PortWidths>,
    pub(crate) style: Option<CancelStyle>,
}

impl Narrow {
    pub(crate) fn new(machine: &Machine, passive: &Passive, habits: Habits) -> Self {
        let line = machine.line(passive, "narrow", Cpu(1));
        let style = habits.style.unwrap_or(CancelStyle::Honest);
        let options = Options::new().style(style);
        let device = ReferenceDevice::new(options);
        let port = device.port(0);
        let second_port = device.port(1);
        let registers = machine.attach("narrow", Box::new(device), std::slice::from_ref(&line));
        let inner = ReferenceController::new(registers, machine.memory(), options);
        let attributes = ControllerAttributes {
            address_width: WIDTH,
            counter_available: !habits.countless,
            port_widths: habits.widths.unwrap_or(PortWidths::UNLIMITED),
            ..inner.attributes()
        };
        let controller = Arc::new(Limited {
            inner,
            attributes,
            channel: habits.channel,
            refuses: AtomicBool::new(false),
            programs: Mutex::default(),
            hints: Mutex::default(),
            told: Mutex::default(),
        });
        let below = BusAddress::new(REACH);
        let pool = MapRegisters::new(passive, machine, REGISTERS, below).unwrap();
        let platform = Platform::new(machine, Some(pool.clone()), habits.policy);
        let setup = Setup::new(Arc::clone(&controller) as Arc<dyn Controller>).line(line);
        let system = platform.register(passive, setup).unwrap();
        Self {
            machine: machine.clone(),
            platform,
            system,
            pool,
            controller,
            port,
            second_port,
        }
    }

    /// An adapter for a channel, for transfers of at most two pages.
    pub(crate) fn adapter(&self, passive: &Passive, channel: u32) -> Adapter<Machine> {
        self.adapter_of(passive, DeviceDescription::system(channel, channel))
    }

    pub(crate) fn adapter_of(&self, passive: &Passive, description: DeviceDescription) -> Adapter<Machine> {
        let description = DeviceDescription {
            maximum_length: 8192,
            width: DmaWidth::BITS_32,
            ..description
        };
        self.platform.adapter(passive, description).unwrap()
    }

    /// Memory in reach, or out of it, that holds a byte in each place.
    pub(crate) fn buffer(&self, len: u64, far: bool, byte: u8) -> Lease<Memory> {
        let align = if far { REACH } else { 8 };
        let lease = Lease::new(self.machine.memory(), len, align).unwrap();
        assert_eq!(lease.address().raw() >= REACH, far);
        self.write(lease.range(), &vec![byte; len as usize]);
        lease
    }

    pub(crate) fn write(&self, range: BusRange, bytes: &[u8]) {
        self.machine.memory().write(range.start(), bytes).unwrap();
    }

    pub(crate) fn read(&self, range: BusRange) -> Vec<u8> {
        let mut bytes = vec![0; range.len() as usize];
        self.machine.memory().read(range.start(), &mut bytes).unwrap();
        bytes
    }

    /// Allocates with so many registers, now or never.
    pub(crate) fn allocate(
        &self,
        passive: &mut Passive,
        adapter: &Adapter<Machine>,
        context: &TransferContext,
        registers: u32,
    ) -> Result<Option<RegisterBase>, NtStatus> {
        let request = Allocation {
            device_object: DEVICE,
            registers,
            flags: AllocationFlags::SYNCHRONOUS,
            routine: None,
        };
        self.machine.raise(passive, |dispatch| {
            let allocated = adapter.allocate_channel(dispatch, context, request);
            allocated.map_err(|refused| refused.why.status())
        })
    }

    pub(crate) fn free(&self, passive: &mut Passive, adapter: &Adapter<Machine>, context: &TransferContext) {
        self.machine.raise(passive, |dispatch| {
            adapter.free_channel(dispatch, context).unwrap();
        });
    }

    /// Maps, and waits until the completion routine was called.
    pub(crate) fn map_and_wait(
        &self,
        passive: &Passive,
        adapter: &Adapter<Machine>,
        context: &TransferContext,
        request: MapRequest<'_, Machine>,
    ) -> u32 {
        let signal = Arc::new(self.machine.signal(passive, "moved"));
        let inside = Arc::clone(&signal);
        let request = MapRequest {
            completion: Some(Arc::new(move |_, _, _, _, _| inside.set())),
            ..request
        };
        let mapped = adapter.map_transfer(passive, context, request).unwrap();
        let _ = signal.wait(passive);
        mapped
    }

    pub(crate) fn programs(&self) -> Vec<Vec<BusRange>> {
        std::mem::take(&mut self.controller.programs.lock().unwrap())
    }

    /// Nothing is held any more.
    pub(crate) fn expect_nothing_held(&self) {
        assert_eq!(self.pool.in_use(), 0, "a run of map registers leaked");
    }
}

/// One buffer as a map wants it.
pub(crate) fn request<'a>(
    segments: &'a [BusRange],
    length: u32,
    write_to_device: bool,
) -> MapRequest<'a, Machine> {
    MapRequest::new(Segments::new(segments), length, write_to_device)
}

/// Runs a scenario on a narrow bench, straight on and under so many seeds; all must be clean.
pub(crate) fn narrow(
    seeds: u64,
    habits: Habits,
    scenario: impl Fn(&Narrow, &mut Passive) + Copy + Send + 'static,
) {
    explore(seeds, CancelStyle::Honest, true, move |bench, passive| {
        let narrow = Narrow::new(&bench.machine, passive, habits);
        scenario(&narrow, passive);
        narrow.expect_nothing_held();
    });
}

/// One run of a scenario on a narrow bench under this plan.
pub(crate) fn narrow_run(
    plan: Plan,
    habits: Habits,
    scenario: impl Fn(&Narrow, &mut Passive) + Copy + Send + 'static,
) -> Run {
    let run = super::one(plan, CancelStyle::Honest, true, move |bench, passive| {
        let narrow = Narrow::new(&bench.machine, passive, habits);
        scenario(&narrow, passive);
        narrow.expect_nothing_held();
    });
    expect_clean(&run);
    run
}
