//! The provider in C, under the suite that judges every provider.
#![allow(clippy::unwrap_used)] // helpers of tests

mod support;

use longshore_ddk::{Edge, Module};
use longshore_drydock::suites::client::check_client;
use longshore_drydock::{Bay, Check, check_provider};
use longshore_netdma::registry::Config;
use longshore_netdma::{NetDma, Provider, Version};
use std::sync::Arc;
use std::time::Duration;
use support::module;

const SOURCES: [&str; 2] = ["tests/c/provider.c", "tests/c/engine.c"];

/// A computer with message interrupts, so that the provider hears where its own are to arrive.
const MESSAGES: Config = Config {
    version: Version::V2_1,
    message_interrupts: true,
    patience: Duration::from_millis(1),
};

/// Small pieces, so that there are points in the middle of a descriptor.
const PIECE: &str = "-DENGINE_PIECE=16";

/// The provider that a module registers for a device on the machine of this bay.
fn attach(bay: &Bay<'_>, module: &Module) -> Arc<dyn Provider> {
    let net = NetDma::new(bay.passive(), bay.machine(), MESSAGES);
    let edge = Edge::open(&net, bay.passive(), bay.machine().engine_cpu());
    let machine = bay.machine().clone();
    edge.on_misuse(move |call, rule, status| {
        machine.find(
            rule,
            format!("{call} was called against the contract, and refused with {status}"),
        );
    });
    let attached = edge.attach(bay.passive(), module).expect("attached");
    attached.provider().expect("a provider was registered")
}

/// A check of the provider, compiled like this; `None` where the compiler is missing.
fn check(compiler: &'static str, output: &str, defines: &[&str]) -> Option<Check> {
    let path = module(compiler, output, &SOURCES, &[&[PIECE], defines].concat())?;
    let module = Module::load(path).unwrap();
    Some(check_provider(move |bay| attach(bay, &module)).named(compiler))
}

fn assert_clean(compiler: &'static str, output: &str, version: &str) {
    if let Some(check) = check(compiler, output, &[version]) {
        check.seeds(300).at_every_point().assert();
    }
}

/// Proves: NETDMA-054, NETDMA-070.
#[test]
fn the_first_generation_keeps_the_contract_with_gcc() {
    assert_clean("gcc", "gcc-1.so", "-DPROVIDER_VERSION=0x0101");
}

#[test]
fn the_first_generation_keeps_the_contract_with_clang() {
    assert_clean("clang", "clang-1.so", "-DPROVIDER_VERSION=0x0101");
}

#[test]
fn the_second_generation_keeps_the_contract_with_gcc() {
    assert_clean("gcc", "gcc-2.so", "-DPROVIDER_VERSION=0x0200");
}

#[test]
fn the_second_generation_keeps_the_contract_with_clang() {
    assert_clean("clang", "clang-2.so", "-DPROVIDER_VERSION=0x0201");
}

/// NetDMA's own client side over it: the two journeys meet.
#[test]
fn every_copy_by_a_provider_in_c_has_one_outcome() {
    for (output, version) in [
        ("client-1.so", "-DPROVIDER_VERSION=0x0101"),
        ("client-2.so", "-DPROVIDER_VERSION=0x0201"),
    ] {
        let Some(path) = module("gcc", output, &SOURCES, &[PIECE, version]) else {
            return;
        };
        let module = Module::load(path).unwrap();
        check_client(move |bay| attach(bay, &module))
            .seeds(200)
            .at_every_point()
            .assert();
    }
}

/// The code with which the page shows its flaw.
fn told_code() -> String {
    let page = include_str!("../../docs/c-provider.md");
    let (_, code) = page.split_once("target/flaw.so --replay ").unwrap();
    code.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_flaw_in_c_is_caught_under_its_rule() {
    let Some(check) = check("gcc", "flaw.so", &["-DFLAW_WORD_BEFORE_DATA"]) else {
        return;
    };
    let check = check.named("flaw").seeds(20);
    let (again, _) = check.replay(&told_code()).unwrap();
    for report in [check.run(), again] {
        let rules: Vec<_> = report.violations.iter().map(|found| &found.rule).collect();
        assert!(rules.iter().any(|rule| **rule == "SEED-003-2"), "{rules:?}");
    }
}
