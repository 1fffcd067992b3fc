//! What the deterministic machine says about code that uses it wrongly, and what a run reports.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

use longshore_core::event::{Event, Owner, Rule};
use longshore_core::irql::{Irql, Passive};
use longshore_core::machine::{Cpu, Lock, Machine as _, Signal, Waited};
use longshore_drydock::machine::{Machine, What};
use longshore_drydock::{Config, Effort, Fault, Plan, Run, Scenario, Target, run};
use longshore_hardware::{AccessError, BusAddress, BusRange, DmaMemory, Interrupt, Lease, Registers, Width};
use longshore_models::{Model, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn dock(plan: &Plan, scenario: impl FnOnce(&Machine, &mut Passive) + Send + 'static) -> Run {
    run(&Config::default(), plan, Default::default(), scenario)
}

fn rules(run: &Run) -> Vec<&'static str> {
    run.findings.iter().map(|finding| finding.rule.0).collect()
}

#[test]
fn a_wait_under_a_lock_is_a_finding() {
    let run = dock(&Plan::straight(), |machine, passive| {
        let (lock, signal) = (
            machine.lock("held", Irql::DISPATCH, ()),
            machine.signal(passive, "late"),
        );
        let waited = lock.with(|_| signal.wait_for(passive, Duration::from_micros(1)));
        assert_eq!(waited, Waited::TimedOut);
    });
    assert_eq!(rules(&run), ["LEVEL"]);
}

#[test]
fn a_lock_of_dispatch_in_an_interrupt_handler_is_a_finding() {
    let run = dock(&Plan::straight(), |machine, passive| {
        let (lock, line) = (
            Arc::new(machine.lock("low", Irql::DISPATCH, ())),
            machine.line(passive, "line", Cpu(1)),
        );
        let (inside, lower) = (Arc::clone(&lock), line.clone());
        let connection = machine.connect(passive, &line, move |_| {
            inside.with(|()| lower.lower());
            true
        });
        line.raise();
        (0..20).for_each(|_| machine.relax());
        drop(connection);
    });
    assert_eq!(rules(&run), ["LEVEL"]);
}

/// Proves: PAIN-08.
#[test]
fn memory_that_is_given_back_while_a_device_has_it_is_a_finding() {
    let run = dock(&Plan::straight(), |machine, _| {
        let lease = Lease::new(machine.memory(), 64, 8).unwrap();
        machine.emit(Event::Handover(lease.range(), Owner::Device, Rule("NETDMA-079")));
    });
    assert_eq!(rules(&run), ["PAIN-08"]);
}

#[test]
fn memory_that_nobody_has_cannot_be_given_back() {
    let run = dock(&Plan::straight(), |machine, _| {
        let lease = Lease::new(machine.memory(), 64, 8).unwrap();
        machine.memory().free(lease.range().slice(0, 32).unwrap());
        machine
            .memory()
            .free(BusRange::new(BusAddress::new(8192), 8).unwrap());
    });
    assert_eq!(rules(&run), ["PAIN-18", "PAIN-18"]);
}

#[test]
fn handlers_of_a_shared_line_are_asked_in_turn() {
    let run = dock(&Plan::straight(), |machine, passive| {
        let line = machine.line(passive, "shared", Cpu(1));
        let asked = Arc::new(AtomicU32::new(0));
        let connect = |mine: u32| {
            let (asked, lower) = (Arc::clone(&asked), line.clone());
            machine.connect(passive, &line, move |_| {
                asked.fetch_add(mine, Ordering::Relaxed);
                lower.lower();
                mine != 1
            })
        };
        let (first, second, third) = (connect(1), connect(10), connect(100));
        line.raise();
        (0..20).for_each(|_| machine.relax());
        // The first passes on, the second claims, the third is not asked.
        assert_eq!(asked.load(Ordering::Relaxed), 11);
        drop(second);
        line.raise();
        (0..20).for_each(|_| machine.relax());
        assert_eq!(asked.load(Ordering::Relaxed), 112);
        drop((first, third));
    });
    assert_eq!(rules(&run), [""; 0]);
}

/// Works for ever once it is told to, and counts its steps.
struct Busy(bool, Arc<AtomicU32>);

impl Model for Busy {
    fn read(&mut self, _: u64, _: Width) -> Result<u64, AccessError> {
        Ok(0)
    }

    fn write(&mut self, _: u64, _: Width, value: u64) -> Result<(), AccessError> {
        self.0 = value != 0;
        Ok(())
    }

    fn step(&mut self, _: &dyn DmaMemory) -> Step {
        self.1.fetch_add(1, Ordering::Relaxed);
        if self.0 { Step::Worked } else { Step::Idle }
    }

    fn lines(&self) -> u32 {
        u32::from(self.0)
    }
}

#[test]
fn a_stall_stops_devices_and_the_engine_s_cpu() {
    let plan = Plan::straight().with_fault(Fault::Stall {
        at: 5,
        micros: u32::MAX,
    });
    let run = dock(&plan, |machine, passive| {
        let line = machine.line(passive, "device", Cpu(1));
        let steps = Arc::new(AtomicU32::new(0));
        let device = machine.attach("busy", Box::new(Busy(false, Arc::clone(&steps))), &[line]);
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let inside = machine.clone();
        machine.spawn(machine.engine_cpu(), "engine", move |_| {
            while !inside.is_over() {
                counted.fetch_add(1, Ordering::Relaxed);
                inside.relax();
            }
        });
        machine.arm(|_| {});
        (0..10).for_each(|_| machine.relax());
        let then = count.load(Ordering::Relaxed);
        device.write(0, Width::Long, 1).unwrap();
        (0..50).for_each(|_| machine.relax());
        assert_eq!(count.load(Ordering::Relaxed), then, "the engine's CPU ran on");
        assert_eq!(steps.load(Ordering::Relaxed), 0, "the device went on");
        machine.keep(device);
    });
    assert!(run.trace.iter().any(|step| matches!(step.what, What::Fault(_))));
    // The thread on the engine's CPU never ends, and that is said.
    assert_eq!(rules(&run), ["RL-13"]);
}

/// A warning must not hide what comes behind it.
#[test]
fn every_finding_of_a_run_is_reported() {
    let scenario = Scenario::new("two", |machine: &Machine, _: &mut Passive| {
        machine.find(Rule("RACE-3"), "first");
        machine.find(Rule("SEED-004-6"), "second");
        std::mem::forget(Lease::new(machine.memory(), 64, 8));
    });
    let target = Target {
        name: "two".into(),
        suite: "test",
        scenarios: vec![scenario],
    };
    let report = target.check(
        Effort {
            seeds: 0,
            at_every_point: false,
        },
        &mut |_| {},
    );
    let violations: Vec<_> = report.violations.iter().map(|violation| violation.rule).collect();
    assert_eq!(
        (violations, report.warnings.len()),
        (vec!["SEED-004-6", "PAIN-18"], 1)
    );
}
