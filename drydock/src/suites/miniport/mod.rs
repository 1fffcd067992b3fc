//! What an NDIS miniport's system DMA must do: set up, complete, in both directions, early, and at every point.

use super::controller::Rig;
use super::{Bay, Check};
use crate::explore::{Scenario, Target};
use crate::machine::{Machine, Memory};
use crate::reference::FarEnd;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{Passive, Rule};
use longshore_hardware::{BusAddress, DmaMemory, Lease};
use longshore_ndis::{
    Assigned, Attributes, Completed, Direction, DmaChannel, DmaDescription, Miniport as NdisMiniport,
    NdisStatus, Registration,
};
use longshore_wdm::{Platform, Policy, Setup};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the transfer.
const LENGTH: u32 = 24;

/// Where in its buffer it begins.
const OFFSET: u32 = 8;

/// Polls before a healthy transfer must be over.
const PATIENCE: u32 = 400;

type Build = Arc<dyn Fn(&Bay<'_>) -> Rig + Send + Sync>;

/// Checks NDIS system DMA over a controller. `build` makes the controller anew for each run.
pub fn check_miniport(build: impl Fn(&Bay<'_>) -> Rig + Send + Sync + 'static) -> Check {
    let build: Build = Arc::new(build);
    let scenario = |name, act: fn(&Arc<Miniport>, &mut Passive)| {
        let build = Arc::clone(&build);
        Scenario::new(name, move |machine: &Machine, passive| {
            if let Some(miniport) = Miniport::new(machine, passive, &build) {
                act(&miniport, passive);
                machine.disarm();
            }
        })
    };
    Check::new(Target {
        name: "miniport".to_owned(),
        suite: "miniport",
        scenarios: vec![
            scenario("send", send),
            scenario("receive", receive),
            scenario("complete-early", complete_early),
            scenario("twice", twice),
        ],
    })
}

struct Miniport {
    machine: Machine,
    channel: DmaChannel<Machine>,
    buffer: Lease<Memory>,
    port: Arc<dyn FarEnd>,
    claimed: AtomicBool,
}

impl Miniport {
    fn new(machine: &Machine, passive: &Passive, build: &Build) -> Option<Arc<Self>> {
        let rig = build(&Bay::new(machine, passive));
        let wired = rig.devices.first()?.clone();
        let platform = Platform::new(machine, None, Policy::default());
        if let Err(error) = platform.register(passive, Setup::new(rig.controller).lines(rig.lines)) {
            machine.find(
                Rule("WDM-309"),
                format!("the controller could not be registered: {error}"),
            );
            return None;
        }
        let assigned = Assigned {
            channel: wired.channel,
            request_line: wired.request_line,
            device_address: wired.device_address,
        };
        let description = DmaDescription {
            channel: Some(wired.channel),
            width: wired.width,
            ..DmaDescription::default()
        };
        let miniport = NdisMiniport::new(&platform, Some(assigned));
        let channel = miniport.initialize(passive, || {
            miniport.set_attributes(passive, Attributes::SUBORDINATE);
            miniport.register_dma_channel(
                passive,
                Registration {
                    description,
                    ..Registration::new(4096)
                },
            )
        });
        let channel = match channel {
            Ok(channel) => channel,
            Err(error) => {
                machine.find(
                    Rule("NDIS-016"),
                    format!("the channel could not be registered: {error}"),
                );
                return None;
            }
        };
        let buffer = Lease::new(machine.memory(), u64::from(LENGTH + 2 * OFFSET), 8).ok()?;
        let claimed = AtomicBool::new(false);
        Some(Arc::new(Self {
            machine: machine.clone(),
            channel,
            buffer,
            port: wired.far,
            claimed,
        }))
    }

    fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
    }

    fn pattern() -> Vec<u8> {
        (0..LENGTH).map(|at| (at * 5 + 3).to_le_bytes()[0]).collect()
    }

    /// The bytes of the transfer, and the address of the first.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH as usize];
        let _ = self.machine.memory().read(self.first(), &mut bytes);
        bytes
    }

    fn first(&self) -> BusAddress {
        self.buffer
            .address()
            .checked_add(u64::from(OFFSET))
            .unwrap_or(BusAddress::NULL)
    }

    /// Sets up, waits until the counter says that nothing is left or `until` says stop, and completes.
    fn transfer(
        &self,
        passive: &Passive,
        direction: Direction,
        until: impl Fn() -> bool,
    ) -> Option<Completed<()>> {
        let ranges = [self.buffer.range()];
        let set_up = self.channel.set_up(passive, ranges, OFFSET, LENGTH, direction);
        let set_up = match set_up {
            Ok(set_up) => set_up,
            Err(refused) => {
                self.require(false, "NDIS-031", || {
                    format!("a free channel was not set up: {refused:?}")
                });
                return None;
            }
        };
        for _ in 0..PATIENCE {
            if set_up.remaining(passive) == 0 || until() {
                break;
            }
            self.machine.relax();
        }
        // The counter may read zero a moment before the controller has ended.
        (0..4).for_each(|_| self.machine.relax());
        match set_up.complete(passive) {
            Ok(Completed { status, residual, .. }) => Some(Completed {
                status,
                residual,
                buffer: (),
            }),
            Err(_) => None,
        }
    }
}

/// Host to NIC: after complete, the NIC has every byte.
fn send(miniport: &Arc<Miniport>, passive: &mut Passive) {
    let _ = miniport
        .machine
        .memory()
        .write(miniport.first(), &Miniport::pattern());
    let completed = miniport.transfer(passive, Direction::WriteToDevice, || false);
    let taken = miniport.port.taken();
    judge(miniport, completed, taken == Miniport::pattern(), "SEED-002-8");
}

/// NIC to host: after complete, memory has every byte.
fn receive(miniport: &Arc<Miniport>, passive: &mut Passive) {
    miniport.port.supply(&Miniport::pattern());
    let completed = miniport.transfer(passive, Direction::ReadFromDevice, || false);
    let there = miniport.bytes() == Miniport::pattern();
    judge(miniport, completed, there, "SEED-002-9");
}

/// A transfer that was given its time succeeds, and success means that the data is there.
fn judge(miniport: &Miniport, completed: Option<Completed<()>>, there: bool, rule: &'static str) {
    let Some(completed) = completed else { return };
    let healthy = completed.status == NdisStatus::SUCCESS && completed.residual == 0;
    miniport.require(healthy, "SEED-002-6", || {
        format!("a healthy transfer ended with {completed:?}")
    });
    miniport.require(there, rule, || {
        format!("{completed:?}, but the data is not there")
    });
}

/// Completed at any point: the channel is free in every case, and the residual is the truth (NDIS-044).
fn complete_early(miniport: &Arc<Miniport>, passive: &mut Passive) {
    miniport.port.supply(&Miniport::pattern());
    let striker = Arc::clone(miniport);
    miniport
        .machine
        .arm(move |_| striker.claimed.store(true, Ordering::Relaxed));
    let completed = miniport.transfer(passive, Direction::ReadFromDevice, || {
        miniport.claimed.load(Ordering::Relaxed)
    });
    miniport.machine.disarm();
    let Some(completed) = completed else { return };
    let moved = u64::from(LENGTH - completed.residual.min(LENGTH));
    let really = miniport.port.moved().unwrap_or(moved);
    miniport.require(moved == really, "RL-09", || {
        format!("{completed:?}, but {really} bytes were moved")
    });
    let bytes = miniport.bytes();
    let right = bytes
        .iter()
        .zip(Miniport::pattern())
        .enumerate()
        .all(|(at, (&now, new))| now == if (at as u64) < moved { new } else { 0 });
    miniport.require(right, "NDIS-044", || {
        format!("{moved} bytes were moved, memory holds {bytes:?}")
    });
    let status = if completed.residual == 0 {
        NdisStatus::SUCCESS
    } else {
        NdisStatus::RESOURCES
    };
    miniport.require(completed.status == status, "SEED-002-7", || {
        format!("{completed:?}")
    });
    // The controller was reset and the channel released: the next transfer works.
    let again = miniport.transfer(passive, Direction::WriteToDevice, || false);
    miniport.require(
        again.is_some_and(|again| again.status == NdisStatus::SUCCESS),
        "SEED-002-1",
        || format!("the transfer after an early complete gave {again:?}"),
    );
}

/// A second set-up while one is up is refused and disturbs nothing; a second complete is refused.
fn twice(miniport: &Arc<Miniport>, passive: &mut Passive) {
    miniport.port.supply(&Miniport::pattern());
    let ranges = [miniport.buffer.range()];
    let up = miniport
        .channel
        .setup_dma_transfer(&*passive, Segments::new(&ranges), OFFSET, LENGTH, false);
    let again = miniport
        .channel
        .setup_dma_transfer(&*passive, Segments::new(&ranges), OFFSET, LENGTH, false);
    miniport.require(
        up == NdisStatus::SUCCESS && again == NdisStatus::RESOURCES,
        "NDIS-032",
        || format!("set up once: {up:?}, twice: {again:?}"),
    );
    for _ in 0..PATIENCE {
        if miniport.channel.read_counter(&*passive) == 0 {
            break;
        }
        miniport.machine.relax();
    }
    (0..4).for_each(|_| miniport.machine.relax());
    let complete = |offset| {
        miniport
            .channel
            .complete_dma_transfer(&*passive, Segments::new(&ranges), offset, LENGTH, false)
    };
    let (mismatched, first, second) = (complete(OFFSET + 1), complete(OFFSET), complete(OFFSET));
    miniport.require(mismatched == NdisStatus::RESOURCES, "NDIS-043", || {
        format!("a mismatch gave {mismatched:?}")
    });
    miniport.require(first == NdisStatus::SUCCESS, "NDIS-040", || {
        format!("the complete gave {first:?}")
    });
    miniport.require(second == NdisStatus::RESOURCES, "NDIS-045", || {
        format!("a second complete gave {second:?}")
    });
    let there = miniport.bytes() == Miniport::pattern();
    miniport.require(there, "SEED-002-9", || "the data is not there".into());
}
