//! NetDMA's client side and the NDIS channel keep their promises at every point.
#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

use longshore_core::completion::Outcome;
use longshore_core::event::Event;
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::{NtStatus, Passive};
use longshore_drydock::coverage::{Coverage, Table};
use longshore_drydock::machine::{Config as Dock, Machine, Pairs, Plan, What, run};
use longshore_drydock::reference::{Interrupts, Options};
use longshore_drydock::suites::client::check_client;
use longshore_drydock::suites::controller::{i8237_rig, reference_rig};
use longshore_drydock::suites::miniport::check_miniport;
use longshore_drydock::{Bay, Check};
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_hardware::Lease;
use longshore_models::i8237::Quirks;
use longshore_netdma::{Channel, Completion, Version};
use std::sync::Arc;
use std::time::Duration;

/// Proves: NETDMA-002, RACE-6, RACE-9, AMB-12, PAIN-08, PAIN-09, PAIN-13, PAIN-23.
///
/// A ring of one user and a channel of several, in both generations, with and without the optional handlers: random
/// mixes, cancels, aborts and restarts at every point. Each operation ends once, in order, and as memory shows.
#[test]
fn every_operation_has_one_truthful_outcome() {
    for version in [Version::V1_1, Version::V2_1] {
        let check = check_client(move |bay| {
            let cpu = bay.machine().engine_cpu();
            let config = Config {
                version,
                piece: 16,
                cpu,
                patience: 1_000,
                ..Config::default()
            };
            Arc::new(CpuEngine::open(bay.passive(), bay.machine(), config))
        });
        check.seeds(1_000).at_every_point().assert();
    }
}

/// Proves: NDIS-011, NDIS-014, NDIS-016, NDIS-017, NDIS-018, NDIS-019, NDIS-021, NDIS-031, NDIS-032, NDIS-033, NDIS-040, NDIS-041, NDIS-043, NDIS-044, NDIS-045, NDIS-050, NDIS-051, NDIS-052, NDIS-053, NDIS-064, RL-09.
///
/// On controllers that interrupt and that do not, for bytes and for words, in reach, beyond and across a boundary.
/// Nothing is broken, warnings included, and each pair of the two tables was seen that can come up.
#[test]
fn set_up_and_complete_keep_the_contract_at_every_point() {
    let mut pairs = Pairs::default();
    for check in miniports() {
        let report = check.seeds(10).at_every_point().strict().run();
        let found = report.violations.iter().map(|found| found.explain("replay "));
        let found: Vec<_> = found.collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
        pairs.join(&report.pairs);
    }
    for table in [Table::Miniport, Table::MiniportChannel] {
        let coverage = Coverage::of_pairs(table, &pairs);
        let all = coverage.missing.is_empty() && coverage.unexpected.is_empty();
        assert!(all && coverage.seen > 0, "{}: {coverage}", table.name());
    }
}

/// What is built in and checked under a miniport.
fn miniports() -> [Check; 4] {
    let reference = |interrupts| {
        let options = Options::new().interrupts(interrupts);
        check_miniport(move |bay| reference_rig(bay, options))
    };
    let i8237 = |channels| check_miniport(move |bay| i8237_rig(bay, channels, Quirks::empty()));
    [
        reference(Interrupts::Controller).named("reference"),
        reference(Interrupts::None).named("without-interrupt"),
        i8237([1, 2]).named("bytes"),
        i8237([5, 7]).named("words"),
    ]
}

/// Every scenario of a miniport sets a transfer up, but for those of its life, which register a channel. What a rig
/// cannot have is no scenario of it.
#[test]
fn no_scenario_of_a_miniport_is_empty() {
    let names = |check: Check| {
        let target = check.into_target();
        for scenario in &target.scenarios {
            let run = scenario.run(&Plan::straight(), Pairs::default());
            let call = match &*scenario.name {
                "conflicts" | "refusals" | "phases" => "NdisMRegisterDmaChannel",
                _ => "NdisMSetupDmaTransfer",
            };
            let worked = What::Event(Event::Return(call, NtStatus::SUCCESS));
            let done = run.trace.iter().any(|step| step.what == worked);
            assert!(done, "{} of {} never has a {call}", scenario.name, target.name);
        }
        let names = target.scenarios.iter().map(|scenario| scenario.name.to_string());
        names.collect::<Vec<_>>()
    };
    let [reference, silent, bytes, words] = miniports().map(names);
    let has = |names: &[String], part: &str| names.iter().any(|name| name.contains(part));
    // The reference has no boundary, and only words can be odd.
    assert_eq!(reference, silent);
    assert!(!has(&reference, "-across-") && has(&bytes, "-across-") && has(&words, "-across-"));
    assert!(!has(&reference, "odd") && !has(&bytes, "odd") && has(&words, "odd"));
    assert!([&reference, &bytes, &words].map(|names| has(names, "send-loop")) == [true; 3]);
}

/// A buffer crosses the channel's boundary wherever there is one in memory, near as it may be; and nothing is found.
#[test]
fn a_boundary_is_crossed_where_there_is_one() {
    for (boundary, crossed) in [(0, false), (0x1000, true), (0x1_0000, true), (1 << 20, false)] {
        let options = Options {
            boundary,
            ..Options::new()
        };
        let scenarios = check_miniport(move |bay| reference_rig(bay, options))
            .into_target()
            .scenarios;
        let mut across = scenarios
            .iter()
            .filter(|scenario| scenario.name.contains("-across-"));
        assert_eq!(across.clone().count() > 0, crossed, "{boundary:#x}");
        assert!(across.all(|scenario| {
            let run = scenario.run(&Plan::straight(), Pairs::default());
            run.findings.is_empty() && run.points > 100
        }));
    }
}

/// A rig without loops has no scenario of one, and one without a device is told of in each scenario.
#[test]
fn what_a_rig_lacks_is_no_scenario_or_is_told() {
    let straight = |bay: &Bay<'_>| i8237_rig(bay, [1, 2], Quirks::empty());
    let no_loops = check_miniport(move |bay| {
        let mut rig = straight(bay);
        rig.abilities.loops = false;
        rig
    });
    let scenarios = no_loops.into_target().scenarios;
    assert!(!scenarios.is_empty() && scenarios.iter().all(|scenario| !scenario.name.contains("loop")));
    let no_device = check_miniport(move |bay| {
        let mut rig = straight(bay);
        rig.devices.clear();
        rig
    });
    let scenarios = no_device.into_target().scenarios;
    assert!(!scenarios.is_empty());
    for scenario in scenarios {
        let run = scenario.run(&Plan::straight(), Pairs::default());
        assert!(
            !run.findings.is_empty(),
            "{} passes without a device",
            scenario.name
        );
    }
}

/// Proves: PAIN-04.
///
/// Whoever asks how many copies are pending has the ring for a moment, and so has the one who looks before he sleeps.
/// The deferred call that comes just then must be made up for, or the sleeper wakes only when his time is up.
#[test]
fn a_question_in_between_swallows_no_interrupt() {
    for seed in 0..500 {
        let body = move |machine: &Machine, passive: &mut Passive| {
            let config = Config {
                cpu: machine.engine_cpu(),
                ..Config::default()
            };
            let engine = CpuEngine::open(passive, machine, config);
            let channel = Arc::new(Channel::open(passive, machine, &engine, 4).unwrap());
            let lease = || Lease::new(machine.memory(), 64, 64).unwrap();
            let (to, from) = (lease(), lease());
            let asks = Arc::clone(&channel);
            let over = Arc::new(machine.signal(passive, "the questions are over"));
            let told = Arc::clone(&over);
            machine.spawn(Cpu(1), "asks", move |_| {
                (0..40).for_each(|_| assert!(asks.pending() <= 1));
                drop(asks);
                told.set();
            });
            let limit = Duration::from_secs(1);
            for _ in 0..4 {
                let (level, interrupt) = ((&*passive).into(), Completion::INTERRUPT);
                let copy = channel.copy(level, to.address(), from.address(), 64, interrupt);
                let begun = machine.now();
                let outcome = channel.wait(passive, copy.unwrap(), limit);
                assert_eq!(outcome, Ok(Outcome::COMPLETED));
                let taken = Duration::from_nanos(machine.now().0 - begun.0);
                assert!(taken < limit, "found only when the time was up");
            }
            let _ = over.wait(passive);
        };
        let run = run(&Dock::default(), &Plan::seed(seed), Pairs::default(), body);
        assert!(run.findings.is_empty(), "seed {seed}: {:?}", run.findings);
    }
}
