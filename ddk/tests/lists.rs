//! A driver in C of a bus master, on the dry dock: every way to have a list, and to give it back.
#![allow(unsafe_code, clippy::unwrap_used)] // Routines of the module are called, and what a test sets up works.

mod support;

use libloading::os::unix::{Library, Symbol};
use longshore_core::{Event, Passive};
use longshore_ddk::{Edge, Module};
use longshore_drydock::machine::{Machine, What};
use longshore_drydock::{Config as Dock, Plan, Run, run};
use longshore_hardware::{BusAddress, Lease};
use longshore_netdma::NetDma;
use longshore_netdma::registry::Config;
use longshore_wdm::{MapRegisters, Platform, Policy};
use std::path::{Path, PathBuf};
use support::module;

/// What a bus master with 16 address bits reaches.
const NEAR: u64 = 1 << 16;

/// The driver's buffer is out of a narrow device's reach.
fn fill_near(machine: &Machine) -> Vec<Lease<<Machine as longshore_core::machine::Machine>::Memory>> {
    use longshore_core::machine::Machine as _;
    let mut filler = Vec::new();
    loop {
        let lease = Lease::new(machine.memory(), 4096, 4096).unwrap();
        if lease.address().raw() >= NEAR {
            return filler;
        }
        filler.push(lease);
    }
}

/// Runs one of the module's tests and returns how the run went.
fn one(plan: &Plan, path: &Path, test: &'static str) -> Run {
    let path = path.to_owned();
    let scenario = move |machine: &Machine, passive: &mut Passive| {
        let near = BusAddress::new(NEAR);
        let registers = MapRegisters::new(passive, machine, 8, near).unwrap();
        let _filler = fill_near(machine);
        let platform = Platform::new(machine, Some(registers), Policy::default());
        let net = NetDma::new(passive, machine, Config::default());
        let edge = Edge::open_with_dma(&net, &platform, passive, machine.engine_cpu());
        let attached = edge.attach(passive, &Module::load(&path).unwrap()).unwrap();
        // SAFETY: the module stays loaded, and its source says that it has this routine.
        let wrong = unsafe {
            let library = Library::new(&path).unwrap();
            let routine: Symbol<unsafe extern "C" fn() -> u32> = library.get(test.as_bytes()).unwrap();
            routine()
        };
        assert_eq!(wrong, 0, "line {wrong} of master.c");
        drop(attached);
    };
    run(&Dock::default(), plan, Default::default(), scenario)
}

/// What a run heard of misuse, and of Windows' codes for it.
fn heard(run: &Run) -> (Vec<(&'static str, &'static str)>, Vec<u8>) {
    let mut misuses = Vec::new();
    let mut codes = Vec::new();
    for step in &run.trace {
        match step.what {
            What::Event(Event::Misuse(call, rule, _)) => misuses.push((call, rule.0)),
            What::Event(Event::VerifierStop { code, .. }) => codes.push(code),
            _ => {}
        }
    }
    (misuses, codes)
}

/// The driver by each compiler, with everything in reach and with nothing: then all is copied.
fn drivers(name: &str) -> Vec<PathBuf> {
    let mut built = Vec::new();
    for compiler in ["gcc", "clang"] {
        for (reach, width) in [("wide", "-DADDRESS_WIDTH=64"), ("narrow", "-DADDRESS_WIDTH=16")] {
            let output = format!("master-{name}-{reach}-{compiler}.so");
            built.extend(module(compiler, &output, &["tests/c/master.c"], &[width]));
        }
    }
    built
}

/// Runs a test of the module on each driver, straight and by some seeds.
fn check(test: &'static str, misuses: &[(&'static str, &'static str)], codes: &[u8]) {
    for path in drivers(test) {
        for plan in std::iter::once(Plan::straight()).chain((0..10).map(Plan::seed)) {
            let run = one(&plan, &path, test);
            let findings = &run.findings;
            assert!(findings.is_empty(), "{plan} {}: {findings:#?}", path.display());
            assert_eq!(
                heard(&run),
                (misuses.to_vec(), codes.to_vec()),
                "{plan} {}",
                path.display()
            );
        }
    }
}

/// Proves: WDM-079, WDM-080, WDM-195, WDM-207, WDM-236.
#[test]
fn what_the_device_writes_through_a_list_arrives() {
    check("MasterRead", &[], &[]);
}

/// Proves: WDM-081, WDM-195.
#[test]
fn what_the_device_reads_through_a_list_is_the_buffer() {
    check("MasterWrite", &[("PutScatterGatherList", "WDM-081")], &[]);
}

/// Proves: WDM-204, WDM-238, WDM-239.
#[test]
fn a_list_is_built_in_the_callers_memory_if_it_is_large_enough() {
    check("MasterBuild", &[], &[]);
}

/// Proves: WDM-015, WDM-192, WDM-196, WDM-201, WDM-202, WDM-203.
#[test]
fn a_list_is_an_answer_or_a_callback() {
    let call = "GetScatterGatherListEx";
    let misuses = [
        (call, "WDM-202"),
        (call, "WDM-202"),
        (call, "WDM-015"),
        (call, "WDM-201"),
    ];
    check("MasterEx", &misuses, &[0x24]);
}

/// Proves: WDM-205.
#[test]
fn a_list_that_waits_is_called_in_its_turn_or_taken_back() {
    check("MasterWaits", &[], &[]);
}

/// Proves: WDM-195.
#[test]
fn code_0x06_a_list_is_put_once() {
    check("MasterPutTwice", &[("PutScatterGatherList", "WDM-195")], &[0x06]);
}

/// Proves: WDM-106.
#[test]
fn code_0x0a_an_adapter_with_a_list_out_is_not_put() {
    check("MasterPutsAdapter", &[("PutDmaAdapter", "WDM-106")], &[0x0a]);
}

/// Proves: WDM-240.
#[test]
fn a_list_is_its_original_buffer_where_nothing_was_copied() {
    check(
        "MasterMdl",
        &[("BuildMdlFromScatterGatherList", "WDM-240"); 2],
        &[],
    );
}
