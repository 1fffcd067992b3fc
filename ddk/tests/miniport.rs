//! A miniport in C on the dry dock, over the reference controller and over the 8237A: both directions, and its transfer
//! completed early at every point.
#![allow(unsafe_code, clippy::unwrap_used)] // Routines of the module are called, and what a test sets up works.

mod support;

use libloading::os::unix::{Library, Symbol};
use longshore_core::machine::Machine as _;
use longshore_core::{Event, NtStatus, Passive};
use longshore_ddk::{Attached, Edge, Module};
use longshore_drydock::machine::{Machine, Step, What};
use longshore_drydock::reference::{FarEnd, Options};
use longshore_drydock::suites::controller::{Rig, i8237_rig, reference_rig};
use longshore_drydock::{Bay, Config as Dock, Plan, Run, run};
use longshore_models::i8237::Quirks;
use longshore_ndis::{Assigned, NdisStatus};
use longshore_netdma::NetDma;
use longshore_netdma::registry::Config;
use longshore_wdm::{Platform, Policy, Setup};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use support::module;

const LENGTH: u32 = 24;
/// What the miniport fills its ring with.
const UNTOUCHED: u32 = 0xa5;
/// How often a starving transfer is looked at before it is ended.
const PATIENCE: u32 = 60;

const IDLE: u32 = 0;
const LAST: u32 = 1;
const LEFT: u32 = 2;
const HEAD: u32 = 3;
const MISTAKES: u32 = 4;

/// The routines of the module that a test calls.
#[derive(Clone)]
struct Nic {
    send: unsafe extern "C" fn(u32) -> u32,
    receive: unsafe extern "C" fn(u32) -> u32,
    signalled: unsafe extern "C" fn(),
    stop: unsafe extern "C" fn(),
    counter: unsafe extern "C" fn() -> u32,
    look: unsafe extern "C" fn(u32) -> u32,
    byte: unsafe extern "C" fn(u32) -> u32,
}

impl Nic {
    fn load(path: &Path) -> Self {
        // SAFETY: the module is loaded already, and its source says that it has these routines.
        unsafe {
            let library = Library::new(path).unwrap();
            Self {
                send: *(library.get(b"NicSend").unwrap() as Symbol<_>),
                receive: *(library.get(b"NicReceive").unwrap() as Symbol<_>),
                signalled: *(library.get(b"NicSignalled").unwrap() as Symbol<_>),
                stop: *(library.get(b"NicStop").unwrap() as Symbol<_>),
                counter: *(library.get(b"NicCounter").unwrap() as Symbol<_>),
                look: *(library.get(b"NicLook").unwrap() as Symbol<_>),
                byte: *(library.get(b"NicByte").unwrap() as Symbol<_>),
            }
        }
    }

    // SAFETY of the calls below: the module stays loaded, and the NIC lives as long as it is attached.

    fn start(&self, write: bool, length: u32) -> NdisStatus {
        let routine = if write { self.send } else { self.receive };
        // SAFETY: as above.
        NdisStatus(unsafe { routine(length) })
    }

    fn signalled(&self) {
        // SAFETY: as above.
        unsafe { (self.signalled)() }
    }

    fn stop(&self) {
        // SAFETY: as above.
        unsafe { (self.stop)() }
    }

    fn counter(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (self.counter)() }
    }

    fn look(&self, what: u32) -> u32 {
        // SAFETY: as above.
        unsafe { (self.look)(what) }
    }

    fn last(&self) -> NdisStatus {
        NdisStatus(self.look(LAST))
    }

    fn bytes(&self, from: u32, length: u32) -> Vec<u32> {
        // SAFETY: as above.
        (from..from + length)
            .map(|index| unsafe { (self.byte)(index) })
            .collect()
    }
}

/// What moves the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Board {
    Reference,
    Bytes,
    Words,
}

impl Board {
    fn rig(self, bay: &Bay<'_>) -> Rig {
        match self {
            Self::Reference => reference_rig(bay, Options::new()),
            Self::Bytes => i8237_rig(bay, [1, 2], Quirks::empty()),
            Self::Words => i8237_rig(bay, [5, 7], Quirks::empty()),
        }
    }

    fn define(self) -> &'static str {
        match self {
            Self::Words => "-DNIC_WIDTH=Width16Bits",
            _ => "-DNIC_WIDTH=Width8Bits",
        }
    }
}

const BOARDS: [Board; 3] = [Board::Reference, Board::Bytes, Board::Words];

/// A machine with a controller and an edge, on which modules are attached.
struct Bench {
    machine: Machine,
    edge: Arc<Edge>,
    port: Arc<dyn FarEnd>,
    assigned: Assigned,
    path: PathBuf,
}

impl Bench {
    fn new(machine: &Machine, passive: &Passive, board: Board, path: &Path) -> Self {
        let rig = board.rig(&Bay::new(machine, passive));
        let wired = rig.devices.first().unwrap().clone();
        let platform = Platform::new(machine, None, Policy::default());
        let setup = Setup::new(rig.controller).lines(rig.lines);
        platform.register(passive, setup).unwrap();
        let net = NetDma::new(passive, machine, Config::default());
        let edge = Edge::open_with_dma(&net, &platform, passive, machine.engine_cpu());
        let heard = machine.clone();
        edge.on_misuse(move |call, rule, status| {
            heard.find(rule, format!("{call} was refused with {status}"));
        });
        Self {
            machine: machine.clone(),
            edge,
            port: wired.far,
            assigned: Assigned {
                channel: wired.channel,
                request_line: wired.request_line,
                device_address: wired.device_address,
            },
            path: path.to_owned(),
        }
    }

    fn attach_module(&self, passive: &Passive, path: &Path) -> Result<(Arc<Attached>, Nic), NtStatus> {
        let module = Module::load(path).unwrap();
        let attached = self.edge.attach_miniport(passive, &module, self.assigned)?;
        Ok((attached, Nic::load(path)))
    }

    fn attach(&self, passive: &Passive) -> Result<(Arc<Attached>, Nic), NtStatus> {
        self.attach_module(passive, &self.path)
    }

    /// The NIC has bytes, or takes so many.
    fn offer(&self, write: bool, bytes: u32) {
        self.port.begin();
        if write {
            self.port.take_at_most(u64::from(bytes));
        } else {
            let supply: Vec<u8> = (100..).take(bytes as usize).collect();
            self.port.supply(&supply);
        }
    }

    fn moved(&self) -> u32 {
        self.port.moved().unwrap() as u32
    }

    /// Waits for the NIC's signal, which is when its last byte has gone, or ends what takes too long.
    fn finish(&self, nic: &Nic, length: u32) {
        for _ in 0..PATIENCE {
            if nic.look(IDLE) != 0 {
                break;
            }
            if self.moved() == length {
                nic.signalled();
            }
            self.machine.relax();
        }
        nic.stop();
        while nic.look(IDLE) == 0 {
            self.machine.relax();
        }
    }

    /// Whatever happened, what the miniport saw is what happened.
    fn check_truth(&self, nic: &Nic, write: bool, from: u32) {
        let left = nic.look(LEFT);
        let moved = self.moved();
        assert_eq!(LENGTH - left, moved, "each byte that moved is counted");
        let status = match left {
            0 => NdisStatus::SUCCESS,
            _ => NdisStatus::RESOURCES,
        };
        assert_eq!((nic.last(), nic.counter()), (status, left));
        if write {
            let expected: Vec<u8> = (0..moved as u8).collect();
            assert_eq!(self.port.taken(), expected);
        } else {
            let expected = (0..LENGTH).map(|index| if index < moved { 100 + index } else { UNTOUCHED });
            let bytes = nic.bytes(from, LENGTH);
            assert!(bytes.iter().copied().eq(expected), "{bytes:?}");
            assert_eq!(nic.look(HEAD), from + moved);
        }
        assert_eq!(nic.look(MISTAKES), 0);
    }

    /// A whole transfer that nobody disturbs.
    fn transfer(&self, nic: &Nic, write: bool, from: u32) {
        self.offer(write, LENGTH);
        assert_eq!(nic.start(write, LENGTH), NdisStatus::SUCCESS);
        while self.moved() < LENGTH && !self.machine.is_over() {
            self.machine.relax();
        }
        nic.signalled();
        assert_eq!((nic.last(), nic.look(LEFT)), (NdisStatus::SUCCESS, 0));
        self.check_truth(nic, write, from);
    }
}

/// The miniport, compiled like this; `None` where the compiler is missing.
fn miniport(compiler: &'static str, output: &str, defines: &[&str]) -> Option<PathBuf> {
    module(
        compiler,
        &format!("miniport-{output}-{compiler}.so"),
        &["tests/c/miniport.c"],
        defines,
    )
}

fn one(
    plan: &Plan,
    board: Board,
    path: &Path,
    scenario: impl Fn(&Bench, &mut Passive) + Send + Clone + 'static,
) -> Run {
    let path = path.to_owned();
    run(
        &Dock::default(),
        plan,
        Default::default(),
        move |machine, passive| {
            let bench = Bench::new(machine, passive, board, &path);
            scenario(&bench, passive);
            machine.disarm();
        },
    )
}

fn expect_clean(run: &Run, board: Board, plan: &Plan) {
    let misuses = misuses(run);
    if run.findings.is_empty() && misuses.is_empty() {
        return;
    }
    let from = run.trace.len().saturating_sub(60);
    run.trace[from..].iter().for_each(|step| println!("{step}"));
    panic!("{board:?} {plan}: {misuses:?} {:#?}", run.findings);
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

/// Sends and receives in turn, the receives one behind the other into one ring, at PASSIVE and at DISPATCH.
fn transfers(compiler: &'static str, output: &str, more: &[&str]) {
    for board in BOARDS {
        let defines = [&[board.define()], more].concat();
        let Some(path) = miniport(compiler, &format!("{output}-{board:?}"), &defines) else {
            return;
        };
        for plan in plans(40) {
            let run = one(&plan, board, &path, |bench, passive| {
                let (attached, nic) = bench.attach(passive).unwrap();
                bench.transfer(&nic, true, 0);
                bench.transfer(&nic, false, 0);
                bench.machine.raise(passive, |_| {
                    bench.transfer(&nic, false, LENGTH);
                    bench.transfer(&nic, true, 0);
                });
                drop(attached);
            });
            expect_clean(&run, board, &plan);
        }
    }
}

/// Proves: SEED-002-2, NDIS-002, NDIS-013, NDIS-030, NDIS-034, NDIS-035, NDIS-040, NDIS-052, NDIS-053.
#[test]
fn a_miniport_in_c_sends_and_receives_with_gcc() {
    transfers("gcc", "plain", &[]);
}

#[test]
fn a_miniport_in_c_sends_and_receives_with_clang() {
    transfers("clang", "plain", &[]);
}

/// Proves: NDIS-021.
#[test]
fn a_channel_that_the_description_does_not_name_is_the_assigned_one() {
    transfers("gcc", "assigned", &["-DNIC_UNSPECIFIED"]);
}

/// How many bytes were left, of all runs.
type Seen = Arc<Mutex<BTreeSet<u32>>>;

/// A transfer that is ended at some point. Of too few bytes nothing else ends it.
fn stopped(write: bool, offered: u32, seen: &Seen) -> impl Fn(&Bench, &mut Passive) + Send + Clone + 'static {
    let seen = seen.clone();
    move |bench: &Bench, passive: &mut Passive| {
        let (attached, nic) = bench.attach(passive).unwrap();
        bench.offer(write, offered);
        let striker = nic.clone();
        bench.machine.arm(move |_| striker.stop());
        assert_eq!(nic.start(write, LENGTH), NdisStatus::SUCCESS);
        bench.finish(&nic, LENGTH);
        bench.machine.disarm();
        bench.check_truth(&nic, write, 0);
        seen.lock().unwrap().insert(nic.look(LEFT));
        drop(attached);
        // The channel was released, and whoever comes next can have it.
        let (_again, nic) = bench.attach(passive).unwrap();
        bench.transfer(&nic, !write, 0);
    }
}

/// Strikes at each point in turn.
fn strike_everywhere(compiler: &'static str, offered: u32) {
    for board in BOARDS {
        let Some(path) = miniport(compiler, &format!("stop{offered}-{board:?}"), &[board.define()]) else {
            return;
        };
        for write in [false, true] {
            let seen = Seen::default();
            let scenario = stopped(write, offered, &seen);
            for plan in plans(1) {
                let quiet = one(&plan, board, &path, scenario.clone());
                expect_clean(&quiet, board, &plan);
                for point in 0..quiet.armed_points {
                    let plan = plan.clone().strike_at(point);
                    let run = one(&plan, board, &path, scenario.clone());
                    expect_clean(&run, board, &plan);
                    assert!(run.struck);
                }
            }
            // Ends before the first byte, after the last that there is, and in between where it goes by units.
            let seen = seen.lock().unwrap();
            let (most, least) = (seen.last().copied(), seen.first().copied());
            assert_eq!(
                (most, least),
                (Some(LENGTH), Some(LENGTH - offered)),
                "{board:?} {seen:?}"
            );
            assert!(board == Board::Reference || seen.len() > 2, "{board:?} {seen:?}");
        }
    }
}

/// Proves: NDIS-041, NDIS-042, NDIS-044, NDIS-046, NDIS-050, RL-09.
#[test]
fn a_completion_at_every_point_is_told_truthfully_with_gcc() {
    strike_everywhere("gcc", LENGTH);
    strike_everywhere("gcc", 10);
}

#[test]
fn a_completion_at_every_point_is_told_truthfully_with_clang() {
    strike_everywhere("clang", 10);
}

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
