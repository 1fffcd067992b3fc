//! What a miniport in C does wrong is refused and found, and what it leaves behind is taken back.
#![allow(unsafe_code, clippy::unwrap_used)] // Routines of the module are called, and what a test sets up works.

mod nic;
mod support;

use longshore_core::Passive;
use longshore_drydock::{Plan, Run};
use longshore_ndis::NdisStatus;
use nic::*;

/// Runs a flawed miniport with a receive, which ends well because what is wrong is refused; and then one without flaws.
fn flawed(name: &str, flaw: &str, leave_up: bool) -> Option<Run> {
    let path = miniport("gcc", name, &[flaw])?;
    let plain = miniport("gcc", &format!("beside-{name}"), &[])?;
    let scenario = move |bench: &Bench, passive: &mut Passive| {
        let (attached, nic) = bench.attach(passive).unwrap();
        bench.transfer(&nic, true, 0);
        if leave_up {
            bench.offer(false, 10);
            assert_eq!(nic.start(false, LENGTH), NdisStatus::SUCCESS);
        }
        drop(attached);
        let (_again, nic) = bench.attach_module(passive, &plain).unwrap();
        bench.transfer(&nic, false, 0);
    };
    Some(one(&Plan::straight(), Board::Reference, &path, scenario))
}

/// The machine has heard of these, and so has whoever watches the edge.
fn expect_found(run: &Run, expected: &[(&'static str, &'static str)]) {
    assert_eq!(misuses(run), expected);
    let found: Vec<_> = run.findings.iter().map(|finding| finding.rule.0).collect();
    let rules: Vec<_> = expected.iter().map(|(_, rule)| *rule).collect();
    assert_eq!(found, rules, "{:#?}", run.findings);
}

/// Proves: NDIS-045.
#[test]
fn a_second_completion_is_refused_and_found() {
    if let Some(run) = flawed("twice", "-DFLAW_COMPLETE_TWICE", false) {
        expect_found(&run, &[("NdisMCompleteDmaTransfer", "NDIS-045")]);
    }
}

/// Proves: NDIS-043.
#[test]
fn a_completion_with_another_offset_is_refused_and_found() {
    if let Some(run) = flawed("offset", "-DFLAW_OTHER_OFFSET", false) {
        expect_found(&run, &[("NdisMCompleteDmaTransfer", "NDIS-043")]);
    }
}

/// Proves: NDIS-019.
#[test]
fn a_channel_with_a_transfer_up_is_not_deregistered() {
    if let Some(run) = flawed("up", "-DFLAW_DEREGISTER_WHILE_UP", true) {
        expect_found(&run, &[("NdisMDeregisterDmaChannel", "NDIS-019")]);
    }
}

/// Also with a transfer up, whose buffer is freed: the next miniport has the channel, and the old one's bytes are left
/// alone.
///
/// Proves: NDIS-018, NDIS-019, NDIS-037.
#[test]
fn a_channel_that_is_left_at_the_halt_is_found_and_taken_back() {
    if let Some(run) = flawed("leak", "-DFLAW_LEAK", false) {
        expect_found(&run, &[("MiniportHaltEx", "NDIS-018")]);
    }
    if let Some(run) = flawed("leak-up", "-DFLAW_LEAK", true) {
        let all = [
            ("IoFreeMdl", "NDIS-037"),
            ("MiniportHaltEx", "NDIS-018"),
            ("MiniportHaltEx", "NDIS-019"),
        ];
        expect_found(&run, &all);
    }
}

/// Proves: NDIS-018.
#[test]
fn a_handle_that_was_given_back_is_dead() {
    if let Some(run) = flawed("dead", "-DFLAW_DEAD_HANDLE", false) {
        expect_found(&run, &[("NdisMReadDmaCounter", "NDIS-018")]);
    }
}

/// Proves: NDIS-011.
#[test]
fn a_channel_is_registered_only_while_the_miniport_initialises() {
    if let Some(run) = flawed("late", "-DFLAW_REGISTER_LATE", false) {
        expect_found(&run, &[("NdisMRegisterDmaChannel", "NDIS-011")]);
    }
}

/// Runs a miniport that does not initialise, and then one that does.
fn failing(name: &str, flaws: &[&str], status: NdisStatus) -> Option<Run> {
    let path = miniport("gcc", name, flaws)?;
    let plain = miniport("gcc", &format!("beside-{name}"), &[])?;
    let scenario = move |bench: &Bench, passive: &mut Passive| {
        let failed = bench.attach(passive).err();
        assert_eq!(failed, Some(status.into()));
        let (_again, nic) = bench.attach_module(passive, &plain).unwrap();
        bench.transfer(&nic, false, 0);
    };
    Some(one(&Plan::straight(), Board::Reference, &path, scenario))
}

/// Proves: NDIS-011, NDIS-017, NDIS-020.
#[test]
fn a_miniport_that_is_refused_fails_and_is_detached() {
    const CALL: &str = "NdisMRegisterDmaChannel";
    if let Some(run) = failing("early", &["-DFLAW_REGISTER_EARLY"], NdisStatus::FAILURE) {
        expect_found(&run, &[(CALL, "NDIS-011")]);
    }
    if let Some(run) = failing("description", &["-DFLAW_DESCRIPTION"], NdisStatus::FAILURE) {
        expect_found(&run, &[(CALL, "NDIS-020")]);
    }
}

/// Proves: NDIS-017.
#[test]
fn a_miniport_that_fails_with_a_channel_is_found_and_the_channel_is_free() {
    if let Some(run) = failing("fails", &["-DFLAW_FAIL_AND_LEAK"], NdisStatus::RESOURCES) {
        expect_found(&run, &[("MiniportInitializeEx", "NDIS-017")]);
    }
}

/// Proves: NDIS-017.
#[test]
fn a_miniport_that_succeeds_though_it_was_refused_is_found() {
    let flaws = ["-DFLAW_SUCCEED_REFUSED", "-DFLAW_DESCRIPTION"];
    let Some(path) = miniport("gcc", "succeeds", &flaws) else {
        return;
    };
    let run = one(&Plan::straight(), Board::Reference, &path, |bench, passive| {
        bench.attach(passive).unwrap();
    });
    let both = [
        ("NdisMRegisterDmaChannel", "NDIS-020"),
        ("MiniportInitializeEx", "NDIS-017"),
    ];
    expect_found(&run, &both);
}

/// Two at once on one channel: the second is refused it, fails, and gives everything back.
///
/// Proves: NDIS-016, NDIS-017.
#[test]
fn a_channel_that_somebody_has_is_a_conflict() {
    let Some(path) = miniport("gcc", "conflict", &[]) else {
        return;
    };
    for board in [Board::Reference, Board::Bytes] {
        let plan = Plan::straight();
        let run = one(&plan, board, &path, |bench, passive| {
            let _first = bench.attach(passive).unwrap();
            let second = bench.attach(passive).err();
            assert_eq!(second, Some(NdisStatus::RESOURCE_CONFLICT.into()));
        });
        expect_clean(&run, board, &plan);
    }
}
