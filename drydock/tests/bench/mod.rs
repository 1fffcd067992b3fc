//! A machine with the reference controller on it, and the ways to run a scenario there.
#![allow(dead_code)] // Each test program uses its own part of this.

pub(crate) mod driver;
pub(crate) mod master;
pub(crate) mod misuse;
pub(crate) mod narrow;
pub(crate) mod nic;
pub(crate) mod watched;

use longshore_core::Passive;
use longshore_core::event::{Event, Owner, Rule};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_drydock::machine::{Device, Machine, Memory};
use longshore_drydock::reference::{
    CancelStyle, Interrupts, Options, Port, ReferenceController, ReferenceDevice,
};
use longshore_drydock::{Config, Plan, Run, run};
use longshore_hardware::{BusAddress, Lease};
use longshore_wdm::{
    Adapter, Controller, DeviceDescription, DeviceObject, DmaWidth, Platform, Policy, Setup, SystemDma,
};
use std::sync::Arc;

/// The device that transfers are for.
pub(crate) const DEVICE: DeviceObject = DeviceObject(0x1234);

/// The line on which the device asks.
const LINE: u32 = 1;

/// The line of another device.
const OTHER_LINE: u32 = 0;

/// Some bytes of the machine's.
pub(crate) type Buffer = Lease<Memory>;

/// What a scenario works on.
pub(crate) struct Bench {
    pub(crate) machine: Machine,
    pub(crate) platform: Platform<Machine>,
    pub(crate) system: SystemDma<Machine>,
    /// The far end of channel 0.
    pub(crate) port: Port,
    /// The far end of channel 1.
    pub(crate) other: Port,
}

impl Bench {
    fn new(machine: &Machine, passive: &Passive, style: CancelStyle, interrupts: bool) -> Self {
        Self::wrapped(machine, passive, style, interrupts, |controller| {
            Arc::new(controller)
        })
    }

    /// A bench whose controller stands behind another one.
    pub(crate) fn wrapped(
        machine: &Machine,
        passive: &Passive,
        style: CancelStyle,
        interrupts: bool,
        wrap: impl FnOnce(ReferenceController<Device>) -> Arc<dyn Controller>,
    ) -> Self {
        let line = machine.line(passive, "dma", Cpu(1));
        let interrupts = if interrupts {
            Interrupts::Controller
        } else {
            Interrupts::None
        };
        let options = Options::new().style(style).interrupts(interrupts);
        let device = ReferenceDevice::new(options);
        let (port, other) = (device.port(LINE), device.port(OTHER_LINE));
        let registers = machine.attach("dma", Box::new(device), std::slice::from_ref(&line));
        let controller = ReferenceController::new(registers, machine.memory(), options);
        let platform = Platform::new(machine, None, Policy::default());
        let setup = Setup::new(wrap(controller)).line(line);
        let system = platform.register(passive, setup).unwrap();
        Self {
            machine: machine.clone(),
            platform,
            system,
            port,
            other,
        }
    }

    pub(crate) fn description(looped: bool) -> DeviceDescription {
        DeviceDescription {
            device_address: BusAddress::new(0x10),
            maximum_length: 4096,
            auto_initialize: looped,
            width: DmaWidth::BITS_32,
            ..DeviceDescription::system(0, LINE)
        }
    }

    pub(crate) fn adapter(&self, passive: &Passive, looped: bool) -> Adapter<Machine> {
        self.system.adapter(passive, Self::description(looped)).unwrap()
    }

    /// The adapter of channel 1.
    pub(crate) fn other_adapter(&self, passive: &Passive) -> Adapter<Machine> {
        let description = DeviceDescription {
            channel: 1,
            request_line: OTHER_LINE,
            ..Self::description(false)
        };
        self.system.adapter(passive, description).unwrap()
    }

    pub(crate) fn buffer(&self, len: u64) -> Buffer {
        Lease::new(self.machine.memory(), len, 8).unwrap()
    }

    /// A buffer that begins with a page of its own.
    pub(crate) fn page(&self, len: u64) -> Buffer {
        Lease::new(self.machine.memory(), len, 4096).unwrap()
    }
}

/// One run of a scenario.
pub(crate) fn one(
    plan: Plan,
    style: CancelStyle,
    interrupts: bool,
    scenario: impl Fn(&Bench, &mut Passive) + Send + Clone + 'static,
) -> Run {
    run(
        &Config::default(),
        &plan,
        Default::default(),
        move |machine, passive| {
            let bench = Bench::new(machine, passive, style, interrupts);
            scenario(&bench, passive);
        },
    )
}

/// Prints what was wrong and what led to it, and fails.
pub(crate) fn expect_clean(run: &Run) {
    explain(run, "");
}

fn explain(run: &Run, plan: &str) {
    if run.findings.is_empty() {
        return;
    }
    let from = run.trace.len().saturating_sub(40);
    for step in &run.trace[from..] {
        println!("{step}");
    }
    panic!("plan {plan}: {:#?}", run.findings);
}

/// The run must have found that this rule is broken.
pub(crate) fn expect_finding(run: &Run, rule: &str) {
    let found = run.findings.iter().any(|finding| finding.rule.0 == rule);
    assert!(found, "{rule} is not among {:#?}", run.findings);
}

/// Runs a scenario straight on and under so many seeds; all must be clean.
pub(crate) fn explore(
    seeds: u64,
    style: CancelStyle,
    interrupts: bool,
    scenario: impl Fn(&Bench, &mut Passive) + Send + Clone + 'static,
) -> Vec<Run> {
    explore_runs(seeds, &format!("{style:?}"), |plan| {
        one(plan, style, interrupts, scenario.clone())
    })
}

/// The same for anything that a plan decides.
pub(crate) fn explore_runs(seeds: u64, about: &str, go: impl Fn(Plan) -> Run) -> Vec<Run> {
    let plans = std::iter::once(Plan::straight()).chain((0..seeds).map(Plan::seed));
    plans
        .map(|plan| {
            let run = go(plan.clone());
            explain(&run, &format!("{plan} {about}"));
            run
        })
        .collect()
}

/// Runs a scenario with its intruder acting at each point in turn, straight on and under a few seeds.
pub(crate) fn strike_everywhere(
    style: CancelStyle,
    interrupts: bool,
    scenario: impl Fn(&Bench, &mut Passive) + Send + Clone + 'static,
) {
    strike_runs(&format!("{style:?}"), |plan| {
        one(plan, style, interrupts, scenario.clone())
    });
}

/// The same for anything that a plan decides.
pub(crate) fn strike_runs(about: &str, go: impl Fn(Plan) -> Run) {
    let plans = std::iter::once(Plan::straight()).chain((0..4).map(Plan::seed));
    for plan in plans {
        let quiet = go(plan.clone());
        explain(&quiet, &format!("{plan} {about}"));
        for point in 0..quiet.armed_points {
            let plan = plan.clone().strike_at(point);
            let run = go(plan.clone());
            explain(&run, &format!("{plan} {about}"));
            assert!(run.struck);
        }
    }
}

/// Runs a scenario that makes its own hardware.
pub(crate) fn go(plan: Plan, scenario: impl Fn(&Machine, &mut Passive) + Send + 'static) -> Run {
    run(&Config::default(), &plan, Default::default(), scenario)
}

/// Memory that whoever wants may touch, as that of a device.
pub(crate) fn shared(machine: &Machine, len: u64, align: u64) -> Lease<Memory> {
    let lease = Lease::new(machine.memory(), len, align).unwrap();
    machine.emit(Event::Handover(lease.range(), Owner::Both, Rule("WDM-024")));
    lease
}
