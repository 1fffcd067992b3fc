//! A miniport in C on the dry dock, over the reference controller and over the 8237A.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use crate::support::module;
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
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const LENGTH: u32 = 24;
/// What the miniport fills its ring with.
pub(crate) const UNTOUCHED: u32 = 0xa5;
/// How often a starving transfer is looked at before it is ended.
pub(crate) const PATIENCE: u32 = 60;

pub(crate) const IDLE: u32 = 0;
pub(crate) const LAST: u32 = 1;
pub(crate) const LEFT: u32 = 2;
pub(crate) const HEAD: u32 = 3;
pub(crate) const MISTAKES: u32 = 4;

/// The routines of the module that a test calls.
#[derive(Clone)]
pub(crate) struct Nic {
    pub(crate) send: unsafe extern "C" fn(u32) -> u32,
    pub(crate) receive: unsafe extern "C" fn(u32) -> u32,
    pub(crate) signalled: unsafe extern "C" fn(),
    pub(crate) stop: unsafe extern "C" fn(),
    pub(crate) counter: unsafe extern "C" fn() -> u32,
    pub(crate) look: unsafe extern "C" fn(u32) -> u32,
    pub(crate) byte: unsafe extern "C" fn(u32) -> u32,
}

impl Nic {
    pub(crate) fn load(path: &Path) -> Self {
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

    pub(crate) fn start(&self, write: bool, length: u32) -> NdisStatus {
        let routine = if write { self.send } else { self.receive };
        // SAFETY: as above.
        NdisStatus(unsafe { routine(length) })
    }

    pub(crate) fn signalled(&self) {
        // SAFETY: as above.
        unsafe { (self.signalled)() }
    }

    pub(crate) fn stop(&self) {
        // SAFETY: as above.
        unsafe { (self.stop)() }
    }

    pub(crate) fn counter(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (self.counter)() }
    }

    pub(crate) fn look(&self, what: u32) -> u32 {
        // SAFETY: as above.
        unsafe { (self.look)(what) }
    }

    pub(crate) fn last(&self) -> NdisStatus {
        NdisStatus(self.look(LAST))
    }

    pub(crate) fn bytes(&self, from: u32, length: u32) -> Vec<u32> {
        // SAFETY: as above.
        (from..from + length)
            .map(|index| unsafe { (self.byte)(index) })
            .collect()
    }
}

/// What moves the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Board {
    Reference,
    Bytes,
    Words,
}

impl Board {
    pub(crate) fn rig(self, bay: &Bay<'_>) -> Rig {
        match self {
            Self::Reference => reference_rig(bay, Options::new()),
            Self::Bytes => i8237_rig(bay, [1, 2], Quirks::empty()),
            Self::Words => i8237_rig(bay, [5, 7], Quirks::empty()),
        }
    }

    pub(crate) fn define(self) -> &'static str {
        match self {
            Self::Words => "-DNIC_WIDTH=Width16Bits",
            _ => "-DNIC_WIDTH=Width8Bits",
        }
    }
}

pub(crate) const BOARDS: [Board; 3] = [Board::Reference, Board::Bytes, Board::Words];

/// A machine with a controller and an edge, on which modules are attached.
pub(crate) struct Bench {
    pub(crate) machine: Machine,
    pub(crate) edge: Arc<Edge>,
    pub(crate) port: Arc<dyn FarEnd>,
    pub(crate) assigned: Assigned,
    pub(crate) path: PathBuf,
}

impl Bench {
    pub(crate) fn new(machine: &Machine, passive: &Passive, board: Board, path: &Path) -> Self {
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

    pub(crate) fn attach_module(
        &self,
        passive: &Passive,
        path: &Path,
    ) -> Result<(Arc<Attached>, Nic), NtStatus> {
        let module = Module::load(path).unwrap();
        let attached = self.edge.attach_miniport(passive, &module, self.assigned)?;
        Ok((attached, Nic::load(path)))
    }

    pub(crate) fn attach(&self, passive: &Passive) -> Result<(Arc<Attached>, Nic), NtStatus> {
        self.attach_module(passive, &self.path)
    }

    /// The NIC has bytes, or takes so many.
    pub(crate) fn offer(&self, write: bool, bytes: u32) {
        self.port.begin();
        if write {
            self.port.take_at_most(u64::from(bytes));
        } else {
            let supply: Vec<u8> = (100..).take(bytes as usize).collect();
            self.port.supply(&supply);
        }
    }

    pub(crate) fn moved(&self) -> u32 {
        self.port.moved().unwrap() as u32
    }

    /// Waits for the NIC's signal, which is when its last byte has gone, or ends what takes too long.
    pub(crate) fn finish(&self, nic: &Nic, length: u32) {
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
    pub(crate) fn check_truth(&self, nic: &Nic, write: bool, from: u32) {
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
    pub(crate) fn transfer(&self, nic: &Nic, write: bool, from: u32) {
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
pub(crate) fn miniport(compiler: &'static str, output: &str, defines: &[&str]) -> Option<PathBuf> {
    module(
        compiler,
        &format!("miniport-{output}-{compiler}.so"),
        &["tests/c/miniport.c"],
        defines,
    )
}

pub(crate) fn one(
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

pub(crate) fn expect_clean(run: &Run, board: Board, plan: &Plan) {
    let misuses = misuses(run);
    if run.findings.is_empty() && misuses.is_empty() {
        return;
    }
    let from = run.trace.len().saturating_sub(60);
    run.trace[from..].iter().for_each(|step| println!("{step}"));
    panic!("{board:?} {plan}: {misuses:?} {:#?}", run.findings);
}

pub(crate) fn misuses(run: &Run) -> Vec<(&'static str, &'static str)> {
    let misuse = |step: &Step| match step.what {
        What::Event(Event::Misuse(call, rule, _)) => Some((call, rule.0)),
        _ => None,
    };
    run.trace.iter().filter_map(misuse).collect()
}

pub(crate) fn plans(seeds: u64) -> impl Iterator<Item = Plan> {
    std::iter::once(Plan::straight()).chain((0..seeds).map(Plan::seed))
}
