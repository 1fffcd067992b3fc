//! A driver in C on the dry dock, over the reference controller: every outcome, and a cancel at every point.
#![allow(unsafe_code, clippy::unwrap_used)] // Routines of the module are called, and what a test sets up works.

mod support;

use libloading::os::unix::{Library, Symbol};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{Event, Passive};
use longshore_ddk::{Attached, Edge, Module};
use longshore_drydock::machine::{Machine, Step, What};
use longshore_drydock::reference::{FarEnd, Options, ReferenceController, ReferenceDevice};
use longshore_drydock::{Config as Dock, Plan, Run, run};
use longshore_netdma::NetDma;
use longshore_netdma::registry::Config;
use longshore_wdm::{DmaCompletionStatus, Platform, Policy, Setup};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::module;

const LENGTH: u32 = 24;
/// The line on which the driver's device asks.
const LINE: u32 = 1;
/// What the driver fills its buffer with before a read.
const UNTOUCHED: u32 = 0xa5;

const FINISHED: u32 = 0;
const LAST: u32 = 1;
const DONE: u32 = 2;
const CALLS: u32 = 3;
const MISTAKES: u32 = 4;

/// The routines of the module that a test calls.
#[derive(Clone)]
struct Driver {
    prepare: unsafe extern "C" fn(),
    start: unsafe extern "C" fn(u32, u32),
    cancel: unsafe extern "C" fn(),
    look: unsafe extern "C" fn(u32) -> u32,
    byte: unsafe extern "C" fn(u32) -> u32,
}

impl Driver {
    fn load(path: &Path) -> Self {
        // SAFETY: the module is loaded already, and its source says that it has these routines.
        unsafe {
            let library = Library::new(path).unwrap();
            Self {
                prepare: *(library.get(b"DriverPrepare").unwrap() as Symbol<_>),
                start: *(library.get(b"DriverStart").unwrap() as Symbol<_>),
                cancel: *(library.get(b"DriverCancel").unwrap() as Symbol<_>),
                look: *(library.get(b"DriverLook").unwrap() as Symbol<_>),
                byte: *(library.get(b"DriverByte").unwrap() as Symbol<_>),
            }
        }
    }

    // SAFETY of the calls below: the module stays loaded, and the driver lives as long as it is attached.

    fn prepare(&self) {
        // SAFETY: as above.
        unsafe { (self.prepare)() }
    }

    fn start(&self, order: Order) {
        // SAFETY: as above.
        unsafe { (self.start)(u32::from(order.write), u32::from(order.synchronous)) }
    }

    fn cancel(&self) {
        // SAFETY: as above.
        unsafe { (self.cancel)() }
    }

    fn look(&self, what: u32) -> u32 {
        // SAFETY: as above.
        unsafe { (self.look)(what) }
    }

    fn bytes(&self) -> Vec<u32> {
        // SAFETY: as above.
        (0..LENGTH).map(|index| unsafe { (self.byte)(index) }).collect()
    }

    fn last(&self) -> DmaCompletionStatus {
        DmaCompletionStatus(self.look(LAST))
    }
}

/// What the driver is told to do.
#[derive(Clone, Copy)]
struct Order {
    write: bool,
    synchronous: bool,
}

const ORDERS: [Order; 4] = [
    Order {
        write: false,
        synchronous: false,
    },
    Order {
        write: false,
        synchronous: true,
    },
    Order {
        write: true,
        synchronous: false,
    },
    Order {
        write: true,
        synchronous: true,
    },
];

/// A machine with the reference controller and the driver on it.
struct Bench {
    machine: Machine,
    port: Arc<dyn FarEnd>,
    edge: Arc<Edge>,
    driver: Driver,
    attached: Arc<Attached>,
}

impl Bench {
    fn new(machine: &Machine, passive: &Passive, path: &Path) -> Self {
        let line = machine.line(passive, "dma", Cpu(1));
        let device = ReferenceDevice::new(Options::new());
        let port = Arc::new(device.port(LINE));
        let registers = machine.attach("dma", Box::new(device), std::slice::from_ref(&line));
        let controller = ReferenceController::new(registers, machine.memory(), Options::new());
        let platform = Platform::new(machine, None, Policy::default());
        let setup = Setup::new(Arc::new(controller)).line(line);
        platform.register(passive, setup).unwrap();
        let net = NetDma::new(passive, machine, Config::default());
        let edge = Edge::open_with_dma(&net, &platform, passive, machine.engine_cpu());
        let heard = machine.clone();
        edge.on_misuse(move |call, rule, status| {
            heard.find(rule, format!("{call} was refused with {status}"));
        });
        let attached = edge.attach(passive, &Module::load(path).unwrap()).unwrap();
        Self {
            machine: machine.clone(),
            port,
            edge,
            driver: Driver::load(path),
            attached,
        }
    }

    fn finish(&self) {
        while self.driver.look(FINISHED) == 0 {
            self.machine.relax();
        }
        self.machine.disarm();
    }

    /// Whatever happened, what the driver saw is what happened.
    fn check_truth(&self, order: Order) {
        let (driver, moved) = (&self.driver, self.port.moved().unwrap_or(0) as u32);
        assert_eq!(driver.look(DONE), moved, "each byte that moved is counted");
        if order.write {
            let expected: Vec<u8> = (0..moved as u8).collect();
            assert_eq!(self.port.taken(), expected);
        } else {
            let expected = (0..LENGTH).map(|index| if index < moved { 100 + index } else { UNTOUCHED });
            assert!(driver.bytes().into_iter().eq(expected), "{:?}", driver.bytes());
        }
        assert_eq!(driver.look(MISTAKES), 0);
    }

    fn supply(&self) {
        let bytes: Vec<u8> = (100..).take(LENGTH as usize).collect();
        self.port.supply(&bytes);
    }
}

/// The driver, compiled like this; `None` where the compiler is missing.
fn driver(compiler: &'static str, output: &str, defines: &[&str]) -> Option<PathBuf> {
    module(compiler, output, &["tests/c/driver.c"], defines)
}

fn one(plan: &Plan, path: &Path, scenario: impl Fn(&Bench, &mut Passive) + Send + Clone + 'static) -> Run {
    let path = path.to_owned();
    run(
        &Dock::default(),
        plan,
        Default::default(),
        move |machine, passive| {
            let bench = Bench::new(machine, passive, &path);
            scenario(&bench, passive);
            assert!(!format!("{:?}{:?}", bench.edge, bench.attached).is_empty());
        },
    )
}

fn expect_clean(run: &Run, plan: &Plan) {
    if run.findings.is_empty() {
        return;
    }
    let from = run.trace.len().saturating_sub(60);
    run.trace[from..].iter().for_each(|step| println!("{step}"));
    panic!("{plan}: {:#?}", run.findings);
}

fn misuses(run: &Run) -> Vec<(&'static str, &'static str)> {
    let misuse = |step: &Step| match step.what {
        What::Event(Event::Misuse(call, rule, _)) => Some((call, rule.0)),
        _ => None,
    };
    run.trace.iter().filter_map(misuse).collect()
}

fn plans(seeds: u64) -> impl Iterator<Item = Plan> {
    std::iter::once(Plan::straight()).chain((0..seeds).map(Plan::seed))
}

/// A whole transfer, undisturbed.
fn completes(path: &Path) {
    for order in ORDERS {
        let scenario = move |bench: &Bench, _: &mut Passive| {
            bench.supply();
            bench.driver.prepare();
            bench.driver.start(order);
            bench.finish();
            assert_eq!(bench.driver.last(), DmaCompletionStatus::COMPLETE);
            assert_eq!((bench.driver.look(DONE), bench.driver.look(CALLS)), (LENGTH, 3));
            bench.check_truth(order);
        };
        for plan in plans(50) {
            let run = one(&plan, path, scenario);
            expect_clean(&run, &plan);
            assert_eq!(misuses(&run), []);
        }
    }
}

/// Proves: SEED-001-3, SEED-001-4, WDM-006, WDM-008, WDM-009, WDM-010, WDM-021, WDM-128, WDM-151, A-18.
#[test]
fn a_driver_in_c_transfers_with_gcc() {
    if let Some(path) = driver("gcc", "driver-gcc.so", &[]) {
        completes(&path);
    }
}

#[test]
fn a_driver_in_c_transfers_with_clang() {
    if let Some(path) = driver("clang", "driver-clang.so", &[]) {
        completes(&path);
    }
}

/// A transfer that is cancelled at some point. With too few bytes nothing but the cancel ends it.
fn cancelled(order: Order, supply: usize) -> impl Fn(&Bench, &mut Passive) + Send + Clone + 'static {
    move |bench: &Bench, _: &mut Passive| {
        let bytes: Vec<u8> = (100..).take(supply).collect();
        bench.port.supply(&bytes);
        bench.driver.prepare();
        let striker = bench.driver.clone();
        bench.machine.arm(move |_| striker.cancel());
        bench.driver.start(order);
        if supply < LENGTH as usize && !order.write {
            bench.driver.cancel();
        }
        bench.finish();
        let told = bench.driver.last();
        assert!([DmaCompletionStatus::COMPLETE, DmaCompletionStatus::CANCELLED].contains(&told));
        assert!(told != DmaCompletionStatus::COMPLETE || bench.driver.look(DONE) == LENGTH);
        bench.check_truth(order);
    }
}

/// Strikes at each point in turn. Returns how many ways it can end were seen.
fn strike_everywhere(path: &Path, scenario: impl Fn(&Bench, &mut Passive) + Send + Clone + 'static) {
    for plan in plans(2) {
        let quiet = one(&plan, path, scenario.clone());
        expect_clean(&quiet, &plan);
        for point in 0..quiet.armed_points {
            let plan = plan.clone().strike_at(point);
            let run = one(&plan, path, scenario.clone());
            expect_clean(&run, &plan);
            assert!(run.struck);
            assert_eq!(misuses(&run), [], "{plan}");
        }
    }
}

/// Proves: WDM-003, WDM-016.
#[test]
fn a_cancel_at_every_point_is_told_truthfully_with_gcc() {
    let Some(path) = driver("gcc", "driver-cancel-gcc.so", &[]) else {
        return;
    };
    for order in ORDERS {
        strike_everywhere(&path, cancelled(order, LENGTH as usize));
        strike_everywhere(&path, cancelled(order, 13));
    }
}

#[test]
fn a_cancel_at_every_point_is_told_truthfully_with_clang() {
    let Some(path) = driver("clang", "driver-cancel-clang.so", &[]) else {
        return;
    };
    for order in ORDERS {
        strike_everywhere(&path, cancelled(order, 13));
    }
}

/// The device fails at each byte in turn: what moved before is there, and nothing else was touched.
#[test]
fn an_error_is_told_and_what_moved_before_it_is_kept() {
    for compiler in ["gcc", "clang"] {
        let output = if compiler == "gcc" {
            "driver-error-gcc.so"
        } else {
            "driver-error-clang.so"
        };
        let Some(path) = driver(compiler, output, &[]) else {
            continue;
        };
        for order in ORDERS {
            for at in 0..u64::from(LENGTH) {
                let scenario = move |bench: &Bench, _: &mut Passive| {
                    bench.supply();
                    bench.port.fail_at(at);
                    bench.driver.prepare();
                    bench.driver.start(order);
                    bench.finish();
                    assert_eq!(bench.driver.last(), DmaCompletionStatus::ERROR);
                    assert_eq!(u64::from(bench.driver.look(DONE)), at);
                    bench.check_truth(order);
                };
                for plan in plans(3) {
                    let run = one(&plan, &path, scenario);
                    expect_clean(&run, &plan);
                    assert_eq!(misuses(&run), []);
                }
            }
        }
    }
}

/// Runs a flawed driver. Everything it does is refused, so the transfer itself ends well.
fn flawed(output: &str, flaw: &str) -> Option<Run> {
    let path = driver("gcc", output, &[flaw])?;
    let scenario = |bench: &Bench, _: &mut Passive| {
        bench.supply();
        bench.driver.prepare();
        bench.driver.start(ORDERS[0]);
        bench.finish();
        bench.check_truth(ORDERS[0]);
    };
    Some(one(&Plan::straight(), &path, scenario))
}

/// Proves: WDM-090, A-26.
#[test]
fn what_is_for_passive_is_refused_in_a_completion_routine_and_found() {
    let Some(run) = flawed("flaw-passive.so", "-DFLAW_PASSIVE_IN_COMPLETION") else {
        return;
    };
    assert_eq!(misuses(&run), [("IoGetDmaAdapter", "A-26"); 3]);
    assert_eq!(run.findings.len(), 3);
    assert!(run.findings.iter().all(|finding| finding.rule.0 == "A-26"));
}

/// Proves: WDM-158.
#[test]
fn a_map_without_the_flush_before_it_is_refused_and_found() {
    let Some(run) = flawed("flaw-flush.so", "-DFLAW_MAP_WITHOUT_FLUSH") else {
        return;
    };
    assert_eq!(misuses(&run), [("MapTransferEx", "WDM-158")]);
    assert_eq!(run.findings.len(), 1);
    assert_eq!(run.findings[0].rule.0, "WDM-158");
}
