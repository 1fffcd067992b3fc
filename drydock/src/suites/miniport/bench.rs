//! A miniport that runs, with one channel, one buffer and the NIC at the far end.

use super::Build;
use super::facts::{Facts, needed};
use super::layer::{Arguments, Layer};
use super::place::{Buffer, Place};
use super::stubborn::Stubborn;
use super::told::{Misuses, check_reach, check_refused};
use crate::machine::{Machine, Memory};
use crate::reference::FarEnd;
use crate::suites::Bay;
use crate::suites::controller::Wired;
use longshore_core::machine::Machine as _;
use longshore_core::{AtMostDispatch, Passive, Rule};
use longshore_hardware::BusAddress;
use longshore_ndis::{
    Assigned, Attributes, DmaChannel, DmaDescription, Miniport, NdisStatus, RegisterError, Registration,
};
use longshore_wdm::{Controller, MapRegisters, Platform, Policy, Setup};
use std::sync::Arc;

/// Bytes of a transfer.
pub(super) const LENGTH: u32 = 24;

/// Where in its buffer it begins, and how many bytes there are behind it.
pub(super) const OFFSET: u32 = 8;

/// Bytes of the buffer.
pub(super) const WHOLE: u32 = OFFSET + LENGTH + OFFSET;

/// The most bytes of one transfer, as the channel is registered.
pub(super) const MOST: u32 = 64;

/// What the buffer holds where nothing has come.
const OLD: u8 = 0xee;

/// Polls before a healthy transfer must be over.
pub(super) const PATIENCE: u32 = 400;

/// How many map registers there are.
const REGISTERS: u32 = 4;

/// Where the map registers end: every controller reaches them.
pub(super) const REGISTER_REACH: u64 = 1 << 16;

/// What a bench is for.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// From memory to the NIC.
    pub(super) write: bool,
    /// Where the buffer is.
    pub(super) place: Place,
    /// The channel starts over at the end.
    pub(super) looped: bool,
    /// The NIC transfers on demand.
    pub(super) demand: bool,
    /// The hardware does not stop at once when it is told to.
    pub(super) stubborn: bool,
}

impl Terms {
    /// A receive into memory in reach.
    pub(super) const RECEIVE: Self = Self {
        write: false,
        place: Place::Near,
        looped: false,
        demand: false,
        stubborn: false,
    };
}

/// The computer that miniports are on.
pub(super) struct Site {
    pub(super) machine: Machine,
    pub(super) platform: Platform<Machine>,
    pub(super) registers: MapRegisters<Machine>,
    pub(super) wired: Wired,
    pub(super) layer: Arc<dyn Layer>,
    pub(super) facts: Facts,
    pub(super) misuses: Misuses,
}

impl Site {
    /// The computer, with what is built. Nothing if it cannot be had, which is found.
    pub(super) fn new(machine: &Machine, passive: &Passive, build: &Build, stubborn: bool) -> Option<Self> {
        // What NDIS asks of WDM is nothing that Windows' own verifier would stop for.
        machine.verify();
        let (rig, layer) = build(&Bay::new(machine, passive));
        let wired = needed(machine, rig.devices.first().cloned(), "a device")?;
        let registers = MapRegisters::new(passive, machine, REGISTERS, BusAddress::new(REGISTER_REACH)).ok();
        let registers = needed(machine, registers, "map registers")?;
        let platform = Platform::new(machine, Some(registers.clone()), Policy::default());
        let facts = Facts::of(&rig, &wired);
        let controller: Arc<dyn Controller> = if stubborn {
            Arc::new(Stubborn::new(rig.controller))
        } else {
            rig.controller
        };
        if let Err(error) = platform.register(passive, Setup::new(controller).lines(rig.lines)) {
            let what = format!("the controller could not be registered: {error}");
            machine.find(Rule("WDM-309"), what);
            return None;
        }
        Some(Self {
            machine: machine.clone(),
            platform,
            registers,
            wired,
            layer,
            facts,
            misuses: Misuses::default(),
        })
    }

    /// Notes a finding unless this holds.
    pub(super) fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> bool {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
        holds
    }

    /// A miniport whose NIC is the rig's, stopped.
    pub(super) fn miniport(&self) -> Miniport<Machine> {
        let assigned = Assigned {
            channel: self.wired.channel,
            request_line: self.wired.request_line,
            device_address: self.wired.device_address,
        };
        Miniport::new(&self.platform, Some(assigned))
    }

    /// What a miniport says of its channel. It drives 24 address lines, so that every controller leaves memory out of
    /// reach.
    pub(super) fn registration(&self) -> Registration {
        Registration {
            description: DmaDescription {
                channel: Some(self.wired.channel),
                width: self.wired.width,
                ..DmaDescription::default()
            },
            ..Registration::new(MOST)
        }
    }

    /// Initialises a miniport with one channel.
    pub(super) fn start(
        &self,
        passive: &Passive,
        miniport: &Miniport<Machine>,
        registration: Registration,
    ) -> Option<DmaChannel<Machine>> {
        let channel = miniport.initialize(passive, || -> Result<_, RegisterError> {
            miniport.set_attributes(passive, Attributes::SUBORDINATE);
            miniport.register_dma_channel(passive, registration)
        });
        self.require(channel.is_ok(), "NDIS-016", || {
            format!(
                "a free channel could not be registered: {:?}",
                channel.as_ref().err()
            )
        });
        channel.ok()
    }

    /// What must hold when everything is over.
    pub(super) fn leave(&self) {
        if self.machine.is_over() {
            return;
        }
        let in_use = self.registers.in_use();
        self.require(in_use == 0, "PAIN-18", || {
            format!("{in_use} map registers were not given back")
        });
        self.misuses.check(&self.machine);
        check_refused(&self.machine);
        check_reach(&self.machine);
    }
}

pub(super) struct Bench {
    pub(super) site: Site,
    pub(super) machine: Machine,
    pub(super) miniport: Miniport<Machine>,
    /// There until it is given back.
    pub(super) channel: Option<DmaChannel<Machine>>,
    pub(super) far: Arc<dyn FarEnd>,
    pub(super) terms: Terms,
    pub(super) buffer: Buffer,
    /// A buffer of the same size that the transfer is not of.
    pub(super) other: Buffer,
    memory: Memory,
}

impl Bench {
    /// A bench under these terms, which the rig's facts allow. Nothing if it cannot be had all the same, which is found.
    pub(super) fn new(machine: &Machine, passive: &Passive, build: &Build, terms: Terms) -> Option<Self> {
        let site = Site::new(machine, passive, build, terms.stubborn)?;
        let allowed = site.facts.allow(terms).then_some(());
        needed(machine, allowed, "what it had when the check was made")?;
        let mut registration = site.registration();
        registration.description.auto_initialize = terms.looped;
        registration.description.demand_mode = terms.demand;
        let buffer = |place| {
            let buffer = Buffer::new(machine, place, site.facts.boundary);
            needed(machine, buffer, &format!("a buffer that is {place:?}"))
        };
        let (buffer, other) = (buffer(terms.place)?, buffer(Place::Near)?);
        let miniport = site.miniport();
        let channel = site.start(passive, &miniport, registration)?;
        Some(Self {
            machine: machine.clone(),
            miniport,
            channel: Some(channel),
            far: Arc::clone(&site.wired.far),
            terms,
            buffer,
            other,
            memory: machine.memory(),
            site,
        })
    }

    pub(super) fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> bool {
        self.site.require(holds, rule, what)
    }

    /// Byte by byte what is sent or received.
    pub(super) fn byte(at: u64) -> u8 {
        (at * 5 + 3).to_le_bytes()[0]
    }

    pub(super) fn pattern(range: std::ops::Range<u64>) -> Vec<u8> {
        range.map(Self::byte).collect()
    }

    /// What the transfer is set up with.
    pub(super) fn arguments(&self) -> Arguments {
        self.part(OFFSET, LENGTH)
    }

    /// The same for another part of the buffer.
    pub(super) fn part(&self, offset: u32, length: u32) -> Arguments {
        Arguments {
            buffer: self.buffer.ranges(),
            offset,
            length,
            write_to_device: self.terms.write,
        }
    }

    pub(super) fn set_up(&self, level: AtMostDispatch<'_>, arguments: &Arguments) -> NdisStatus {
        let call = |channel| self.site.layer.set_up(level, channel, arguments);
        self.channel.as_ref().map_or(NdisStatus::FAILURE, call)
    }

    pub(super) fn complete(&self, level: AtMostDispatch<'_>, arguments: &Arguments) -> NdisStatus {
        let call = |channel| self.site.layer.complete(level, channel, arguments);
        self.channel.as_ref().map_or(NdisStatus::FAILURE, call)
    }

    pub(super) fn counter(&self, level: AtMostDispatch<'_>) -> u32 {
        let call = |channel| self.site.layer.read_counter(level, channel);
        self.channel.as_ref().map_or(0, call)
    }

    /// Fills the whole buffer with old bytes, or with these from the transfer's first on.
    pub(super) fn fill(&self, offset: u32, bytes: &[u8]) {
        let mut whole = vec![OLD; WHOLE as usize];
        whole[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        self.buffer.write(&self.memory, &whole);
    }

    /// What the whole buffer holds.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.buffer.read(&self.memory)
    }

    /// Prepares buffer and NIC for `most` bytes of a transfer, whose bytes are the pattern from `first` on.
    pub(super) fn prepare(&self, first: u64, most: u64) {
        self.far.begin();
        if self.terms.write {
            self.fill(OFFSET, &Self::pattern(first..first + u64::from(LENGTH)));
            self.far.take_at_most(most);
        } else {
            self.fill(0, &[]);
            self.far.supply(&Self::pattern(first..first + most));
        }
    }

    /// How many bytes the NIC says were moved.
    pub(super) fn moved(&self) -> u64 {
        self.far.moved().unwrap_or(0)
    }

    /// Waits until nothing is left or `until` says stop. Somebody else may go first each time.
    pub(super) fn wait(&self, passive: &Passive, until: impl Fn() -> bool) {
        for _ in 0..PATIENCE {
            if self.counter(passive.into()) == 0 || until() {
                return;
            }
            self.machine.relax();
        }
    }

    /// The first `moved` bytes of the pattern from `first` on were moved, and nothing else was touched.
    pub(super) fn check_data(&self, first: u64, moved: u64) {
        let wanted = Self::pattern(first..first + moved);
        let there = if self.terms.write {
            self.far.taken() == wanted
        } else {
            let mut whole = vec![OLD; WHOLE as usize];
            whole[OFFSET as usize..][..wanted.len()].copy_from_slice(&wanted);
            self.bytes() == whole
        };
        let rule = if self.terms.write {
            "SEED-002-8"
        } else {
            "SEED-002-9"
        };
        self.require(there, rule, || {
            format!(
                "{moved} bytes were moved; memory holds {:x?}, the NIC has {:x?}",
                self.bytes(),
                self.far.taken()
            )
        });
    }

    /// What must hold of the one transfer that was completed: so many successes were told of it, the counter stays what
    /// it was, and the data is there as far as it was moved.
    pub(super) fn judge(&self, passive: &Passive, successes: usize) {
        let moved = self.moved();
        let whole = moved == u64::from(LENGTH);
        self.require(whole || successes == 0, "SEED-002-6", || {
            format!("success was told {successes} times, but {moved} of {LENGTH} bytes were moved")
        });
        self.require(!whole || successes == 1, "NDIS-041", || {
            format!("everything was moved, and success was told {successes} times")
        });
        self.check_rest(passive);
    }

    /// The counter tells what was not moved, and memory what was (RL-09).
    pub(super) fn check_rest(&self, passive: &Passive) {
        let moved = self.moved();
        let left = u64::from(self.counter(passive.into()));
        self.require(left + moved == u64::from(LENGTH), "RL-09", || {
            format!("after completing the counter reads {left}, but {moved} of {LENGTH} bytes were moved")
        });
        self.check_data(0, moved);
    }

    /// The next transfer works, whatever became of the one before.
    pub(super) fn again(&self, passive: &Passive) {
        let first = 100;
        self.prepare(first, u64::from(LENGTH));
        let arguments = self.arguments();
        let set_up = self.set_up(passive.into(), &arguments);
        self.require(set_up == NdisStatus::SUCCESS, "NDIS-041", || {
            format!("the channel is not free after a complete: a set-up gave {set_up:?}")
        });
        if set_up != NdisStatus::SUCCESS {
            return;
        }
        self.wait(passive, || false);
        let completed = self.complete(passive.into(), &arguments);
        self.require(completed == NdisStatus::SUCCESS, "SEED-002-1", || {
            format!("the transfer after a completed one gave {completed:?}")
        });
        self.check_data(first, u64::from(LENGTH));
    }

    /// The miniport halts, and gives its channel back.
    pub(super) fn leave(mut self, passive: &Passive) {
        let channel = self.channel.take();
        let gone = self.miniport.halt(passive, || {
            channel.map_or(Ok(()), |channel| {
                channel.deregister(passive).map_err(|refused| refused.rule)
            })
        });
        self.require(gone == Some(Ok(())), "NDIS-018", || {
            format!("a channel with nothing set up was not deregistered: {gone:?}")
        });
        self.site.leave();
    }
}
