//! A driver in C of common-buffer system DMA, on the dry dock, over the reference controller.
#![allow(unsafe_code, clippy::unwrap_used)] // Routines of the module are called, and what a test sets up works.

mod support;

use libloading::os::unix::{Library, Symbol};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{Event, Passive};
use longshore_ddk::{Edge, Module};
use longshore_drydock::machine::{Machine, Step, What};
use longshore_drydock::reference::{Options, ReferenceController, ReferenceDevice};
use longshore_drydock::{Config as Dock, Plan, run};
use longshore_netdma::NetDma;
use longshore_netdma::registry::Config;
use longshore_wdm::{Platform, Policy, Setup};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use support::module;

const LAP: u32 = 16;
const LAPS: u32 = 5;
/// In how many runs a lap was seen while a later one was still to come.
static EARLIER: AtomicU32 = AtomicU32::new(0);
/// All laps take no more polls than this, by far.
const POLLS: u32 = 2000;
/// The line on which the driver's device asks.
const LINE: u32 = 1;

/// The routines of the module.
struct Looper {
    start: unsafe extern "C" fn() -> u32,
    poll: unsafe extern "C" fn() -> u32,
    byte: unsafe extern "C" fn(u32) -> u32,
    stop: unsafe extern "C" fn() -> u32,
}

impl Looper {
    fn load(path: &Path) -> Self {
        // SAFETY: the module is loaded already, and its source says that it has these routines.
        unsafe {
            let library = Library::new(path).unwrap();
            Self {
                start: *(library.get(b"LooperStart").unwrap() as Symbol<_>),
                poll: *(library.get(b"LooperPoll").unwrap() as Symbol<_>),
                byte: *(library.get(b"LooperByte").unwrap() as Symbol<_>),
                stop: *(library.get(b"LooperStop").unwrap() as Symbol<_>),
            }
        }
    }
}

fn goes_round(machine: &Machine, passive: &mut Passive, path: &Path) {
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
    let attached = edge.attach(passive, &Module::load(path).unwrap()).unwrap();
    let looper = Looper::load(path);
    let supplied: Vec<u8> = (0..LAPS * LAP).map(|index| index as u8).collect();
    port.supply(&supplied);
    // SAFETY of the calls below: the module stays loaded, and its driver lives as long as it is attached.
    // SAFETY: as above.
    assert_eq!(unsafe { (looper.start)() }, 1);
    let mut earlier = false;
    for _ in 0..POLLS {
        // SAFETY: as above.
        let (at, first) = unsafe { ((looper.poll)(), (looper.byte)(0)) };
        assert!(at <= LAP, "{at} bytes into a lap");
        assert!(first == 0xee || supplied.contains(&(first as u8)), "{first:#x}");
        earlier |= first < (LAPS - 1) * LAP;
        if port.moved() == u64::from(LAPS * LAP) {
            break;
        }
    }
    if earlier {
        EARLIER.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: as above.
    unsafe { (looper.poll)() };
    // SAFETY: as above.
    let seen: Vec<u8> = (0..LAP)
        .map(|index| unsafe { (looper.byte)(index) } as u8)
        .collect();
    assert_eq!(seen, supplied[((LAPS - 1) * LAP) as usize..], "the last lap");
    // SAFETY: as above.
    assert_eq!(unsafe { (looper.stop)() }, 1);
    drop(attached);
}

/// Proves: WDM-220, WDM-268, WDM-269.
#[test]
fn a_driver_in_c_reads_a_common_buffer_while_its_device_goes_round() {
    for compiler in ["gcc", "clang"] {
        let output = format!("looper-{compiler}.so");
        let Some(path) = module(compiler, &output, &["tests/c/looper.c"], &[]) else {
            continue;
        };
        for plan in std::iter::once(Plan::straight()).chain((0..30).map(Plan::seed)) {
            let path = path.clone();
            let scenario =
                move |machine: &Machine, passive: &mut Passive| goes_round(machine, passive, &path);
            let run = run(&Dock::default(), &plan, Default::default(), scenario);
            assert!(run.findings.is_empty(), "{plan}: {:#?}", run.findings);
            let misuse = |step: &Step| match step.what {
                What::Event(Event::Misuse(call, rule, _)) => Some((call, rule.0)),
                _ => None,
            };
            let misuses: Vec<_> = run.trace.iter().filter_map(misuse).collect();
            assert!(
                misuses.is_empty(),
                "nothing but the flush ends it: {plan}: {misuses:?}"
            );
        }
        assert!(
            EARLIER.swap(0, Ordering::Relaxed) > 0,
            "it is read while it goes round"
        );
    }
}
