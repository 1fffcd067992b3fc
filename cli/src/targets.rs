//! What is built in and can be checked.

use crate::console::Failure;
use longshore_drydock::broken::{Exhibit, gallery};
use longshore_drydock::reference::{CancelStyle, Counter, Interrupts, Options};
use longshore_drydock::suites::client::check_client;
use longshore_drydock::suites::controller::{i8237_rig, pdma_rig, reference_rig};
use longshore_drydock::suites::miniport::check_miniport;
use longshore_drydock::suites::provider::Subject;
use longshore_drydock::{Bay, Check, Machine, Target, check_bus_master, check_controller, check_provider};
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_models::i8237::Quirks;
use longshore_models::pdma::Behaviour;
use longshore_netdma::Version;
use std::sync::Arc;

/// Every implementation of this project that can be checked. A new one is one line.
pub(crate) fn built_in() -> Vec<Target> {
    let mut all = vec![
        check_provider(|bay| subject(bay, Version::V1_1)).named("cpu-1.x"),
        check_provider(|bay| subject(bay, Version::V2_1)).named("cpu-2.x"),
        check_client(|bay| cpu(bay, Version::V1_1)).named("netdma-client-1.x"),
        check_client(|bay| cpu(bay, Version::V2_1)).named("netdma-client-2.x"),
    ];
    all.extend(references().map(|(name, options)| {
        check_controller(move |bay| reference_rig(bay, options)).named(&format!("reference-{name}"))
    }));
    all.extend([
        check_bus_master().named("reference-bus-master"),
        check_controller(|bay| i8237_rig(bay, [1, 2], Quirks::empty())).named("i8237-bytes"),
        check_controller(|bay| i8237_rig(bay, [5, 7], Quirks::empty())).named("i8237-words"),
        check_controller(|bay| pdma_rig(bay, Behaviour::Manual)).named("pdma-manual"),
        check_controller(|bay| pdma_rig(bay, Behaviour::Qemu)).named("pdma-qemu"),
    ]);
    // Not on pdma: at its far end is a window of memory, which asks for nothing and does not count, so that neither an early
    // completion nor a residual can be judged there.
    let silent = Options::new().interrupts(Interrupts::None);
    all.extend([
        check_miniport(|bay| reference_rig(bay, Options::new())).named("ndis-reference"),
        check_miniport(move |bay| reference_rig(bay, silent)).named("ndis-without-interrupt"),
        check_miniport(|bay| i8237_rig(bay, [1, 2], Quirks::empty())).named("ndis-i8237-bytes"),
        check_miniport(|bay| i8237_rig(bay, [5, 7], Quirks::empty())).named("ndis-i8237-words"),
    ]);
    all.into_iter().map(Check::into_target).collect()
}

/// The reference controller, with each habit that was seen in the field.
fn references() -> [(&'static str, Options); 11] {
    use CancelStyle::{AlwaysTrue, LatchedReportsCancelled, LatchedReportsCompletion, Slow};
    let plain = Options::new();
    [
        ("plain", plain),
        ("late-completion", plain.style(LatchedReportsCompletion)),
        ("late-cancelled", plain.style(LatchedReportsCancelled)),
        ("slow-cancel", plain.style(Slow)),
        ("cancel-always-true", plain.style(AlwaysTrue)),
        ("without-interrupt", plain.interrupts(Interrupts::None)),
        (
            "without-counter",
            Options {
                counter: Counter::Absent,
                ..plain
            },
        ),
        (
            "wiped-counter",
            Options {
                counter: Counter::Wiped,
                ..plain
            },
        ),
        ("narrow", NARROW),
        ("software-loop", SOFTWARE_LOOP),
        (
            "common-buffer",
            Options {
                common_buffer: true,
                ..plain
            },
        ),
    ]
}

/// One that reaches little, in few fragments and large units.
const NARROW: Options = Options {
    fragments: 2,
    minimum_unit: 4,
    address_width: 24,
    boundary: 0x1_0000,
    ..Options::new()
};

/// One that interrupts on a line for each channel, reads its fragments from memory, is started anew after each period
/// by its driver, and whose request lines are not the system's first.
const SOFTWARE_LOOP: Options = Options {
    interrupts: Interrupts::Channels,
    first_line: 40,
    one_read: true,
    software_loop: true,
    ..Options::new()
};

/// The CPU engine, which copies in small pieces here, so that there is something between two of them.
fn cpu(bay: &Bay<'_>, version: Version) -> Arc<CpuEngine<Machine>> {
    let cpu = bay.machine().engine_cpu();
    let config = Config {
        version,
        piece: 16,
        cpu,
        patience: 1_000,
        ..Config::default()
    };
    Arc::new(CpuEngine::open(bay.passive(), bay.machine(), config))
}

/// The CPU engine, with everything that can be done to it.
fn subject(bay: &Bay<'_>, version: Version) -> Subject {
    let engine = cpu(bay, version);
    let power = Arc::clone(&engine);
    Subject::new(engine)
        .with_power(move |level| {
            // An engine that does not answer is found by what it does afterwards.
            let _ = power.lose_power(level);
        })
        .tolerant()
}

/// Every name that can be checked: what is built in, and what is broken on purpose.
fn names() -> String {
    let built_in = built_in().into_iter().map(|target| target.name);
    let broken = gallery().into_iter().map(|exhibit| exhibit.target.name);
    let list = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>().join(", ");
    format!(
        "{}; broken on purpose are {}",
        list(&mut built_in.into_iter()),
        list(&mut broken.into_iter())
    )
}

/// The target with this name, built in or broken on purpose.
pub(crate) fn find(name: &str) -> Result<Target, Failure> {
    let broken = gallery().into_iter().map(|Exhibit { target, .. }| target);
    built_in()
        .into_iter()
        .chain(broken)
        .find(|target| target.name == name)
        .ok_or_else(|| {
            Failure::new(format!(
                "there is no target {name:?}; what stands before a dash names all that begin so; the targets are {}",
                names()
            ))
        })
}

/// Everything built in whose name goes on with a dash behind this one: `cpu` stands for `cpu-1.x` and `cpu-2.x`. A
/// name that is itself a target's stands for that one alone.
fn group(name: &str) -> Vec<Target> {
    let all = built_in();
    if all.iter().any(|target| target.name == name) {
        return Vec::new();
    }
    let belongs = |target: &Target| {
        target
            .name
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('-'))
    };
    all.into_iter().filter(belongs).collect()
}

/// The targets with these names, or everything that is built in if there are none.
pub(crate) fn select(names: &[String]) -> Result<Vec<Target>, Failure> {
    if names.is_empty() {
        return Ok(built_in());
    }
    let mut selected: Vec<Target> = Vec::new();
    for name in names {
        let group = group(name);
        let found = if group.is_empty() {
            vec![find(name)?]
        } else {
            group
        };
        for target in found {
            if selected.iter().all(|known| known.name != target.name) {
                selected.push(target);
            }
        }
    }
    Ok(selected)
}
