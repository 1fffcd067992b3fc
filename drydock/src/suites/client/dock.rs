//! An exclusive ring over a provider, and the operations that it is asked for.

use super::job::{Job, Kind};
use super::mask::Masked;
use crate::machine::{Machine, Schedule, Signal};
use crate::suites::Bay;
use crate::suites::provider::Build;
use longshore_core::completion::{Outcome, Verdict};
use longshore_core::machine::{Cpu, Instant, Machine as _, Signal as _};
use longshore_core::{AtMostDispatch, Device, Dispatch, Passive, Rule};
use longshore_hardware::BusAddress;
use longshore_netdma::operation::{Refused, Ticket};
use longshore_netdma::ring::{Done, Limits, RequestFlags, Ring, RingOptions};
use longshore_netdma::{ChannelInterface, Handlers, Provider, ProviderChannel};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a poll finds nothing before the ring is taken for stuck.
const PATIENCE: u32 = 5_000;

/// Descriptors of the ring.
const ENTRIES: u32 = 16;

/// Nobody sleeps: the scenarios poll.
struct Bell;

impl ChannelInterface for Bell {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(1)
    }

    fn interrupt_dpc(&self, _: &Dispatch, _: BusAddress) {}
}

/// A ring, its operations, and what became of them.
pub(super) struct Dock {
    pub(super) machine: Machine,
    /// Goes before its provider.
    pub(super) ring: Ring<Machine, Arc<dyn ProviderChannel>, usize>,
    _provider: Arc<dyn Provider>,
    pub(super) jobs: Vec<Job>,
    tickets: Vec<Ticket>,
    /// The last operation that completed.
    last: Option<usize>,
    pause: Signal,
    struck: Arc<AtomicBool>,
}

impl Dock {
    pub(super) fn open(machine: &Machine, passive: &Passive, build: &Build, left: Handlers) -> Option<Self> {
        let provider = build(&Bay::new(machine, passive));
        let provider: Arc<dyn Provider> = Arc::new(Masked::new(machine, provider, left));
        let options = RingOptions {
            entries: ENTRIES,
            ..RingOptions::default()
        };
        let limits = Limits::new(&provider.characteristics(), &provider.attributes());
        let opened = Ring::open(
            passive,
            machine,
            limits,
            options,
            Arc::new(Bell),
            |level, asked, bell| {
                let allocated = provider.allocate_channel(level, asked, bell)?;
                Ok((allocated.channel, allocated.cpu))
            },
        );
        let ring = match opened {
            Ok(ring) => ring,
            Err(error) => {
                machine.find(Rule("NETDMA-041"), format!("no ring could be opened: {error:?}"));
                return None;
            }
        };
        Some(Self {
            machine: machine.clone(),
            ring,
            _provider: provider,
            jobs: Vec::new(),
            tickets: Vec::new(),
            last: None,
            pause: machine.signal(passive, "a moment"),
            struck: Arc::default(),
        })
    }

    /// The intruder only says when: a ring belongs to one user.
    pub(super) fn arm(&self) {
        let struck = Arc::clone(&self.struck);
        self.machine.arm(move |_| struck.store(true, Ordering::Relaxed));
    }

    /// Whether the intruder has struck, told once.
    pub(super) fn is_struck(&self) -> bool {
        self.struck.swap(false, Ordering::Relaxed)
    }

    pub(super) fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
    }

    /// A number to begin a random walk of one's own from.
    pub(super) fn seed(&self) -> u64 {
        match self.machine.plan().schedule {
            Schedule::Seed(seed) => seed,
            _ => 0,
        }
    }

    /// Submits a new operation of this kind. A ring that is full is no fault.
    pub(super) fn submit(&mut self, kind: Kind, flags: RequestFlags, deadline: Option<Instant>) -> bool {
        let index = self.jobs.len();
        let Some(job) = Job::new(&self.machine, kind, index) else {
            return false;
        };
        let mut request = job.request().and(flags);
        if let Some(deadline) = deadline {
            request = request.until(deadline);
        }
        match self.ring.submit(request, index as u64, index) {
            Ok(ticket) => {
                self.jobs.push(job);
                self.tickets.push(ticket);
                true
            }
            Err(refusal) => {
                let full = matches!(refusal.why, Refused::Full | Refused::OutcomeNotTaken);
                self.require(full && refusal.held == index, "NETDMA-202", || {
                    format!("operation {index} was refused: {refusal:?}")
                });
                false
            }
        }
    }

    pub(super) fn submit_all(&mut self, kinds: &[Kind]) {
        for &kind in kinds {
            let submitted = self.submit(kind, RequestFlags::empty(), None);
            self.require(submitted, "NETDMA-202", || format!("no room for a {kind:?}"));
        }
    }

    pub(super) fn doorbell(&mut self, level: AtMostDispatch<'_>) {
        let rung = self.ring.doorbell(level);
        self.require(rung.is_ok(), "NETDMA-078", || {
            format!("a healthy channel took no doorbell: {rung:?}")
        });
    }

    /// Cancels one operation. What the ring has not given to the engine is not begun.
    pub(super) fn cancel(&mut self, level: AtMostDispatch<'_>, index: usize) -> bool {
        self.ring.cancel(level, self.tickets[index])
    }

    /// Polls once, with room for so many. Returns how many outcomes came.
    pub(super) fn poll(&mut self, level: AtMostDispatch<'_>, room: usize) -> usize {
        let mut room: Vec<Done<usize>> = (0..room).map(|_| Done::default()).collect();
        let count = self.ring.poll(level, &mut room);
        for done in room.drain(..count) {
            self.note(&done);
        }
        count
    }

    fn note(&mut self, done: &Done<usize>) {
        let index = done.tag as usize;
        let known = self.tickets.get(index) == Some(&done.ticket) && done.held == Some(index);
        self.require(known, "NETDMA-202", || format!("nobody submitted {done:?}"));
        if !known {
            return;
        }
        let before = self.jobs[index].outcome.replace(done.outcome);
        self.require(before.is_none(), "PAIN-09", || {
            format!(
                "operation {index} ended with {before:?}, and again with {:?}",
                done.outcome
            )
        });
        if done.outcome.verdict == Verdict::Completed {
            let in_order = self.last.is_none_or(|last| last < index);
            let last = self.last.replace(index);
            self.require(in_order, "NETDMA-084", || {
                format!("operation {index} completed after {last:?}")
            });
        }
    }

    /// Polls until nothing is pending, and lets others go on meanwhile. False if something never ends.
    pub(super) fn finish(&mut self, passive: &Passive) -> bool {
        for _ in 0..PATIENCE {
            self.poll(passive.into(), 2);
            if self.ring.is_quiet() && self.jobs.iter().all(|job| job.outcome.is_some()) {
                return true;
            }
            if self.machine.is_over() {
                return false;
            }
            self.rest(passive);
        }
        false
    }

    /// Lets others go on.
    pub(super) fn rest(&self, passive: &Passive) {
        let _ = self.pause.wait_for(passive, Duration::from_micros(1));
    }

    /// Everything has its one outcome, memory shows it, and the channel goes on and is given back.
    pub(super) fn end(mut self, passive: &Passive) {
        let finished = self.finish(passive);
        self.require(finished, "PAIN-23", || {
            format!("{:?} never comes to an end", self.ring)
        });
        self.machine.disarm();
        for (index, job) in self.jobs.iter().enumerate() {
            job.judge(&self.machine, index);
        }
        let next = self.jobs.len();
        self.submit_all(&[Kind::Copy]);
        self.doorbell(passive.into());
        let finished = self.finish(passive);
        let outcome = self.jobs.get(next).and_then(|job| job.outcome);
        self.require(
            finished && outcome == Some(Outcome::COMPLETED),
            "SEED-004-8",
            || format!("a copy after all that ended with {outcome:?}"),
        );
        let machine = self.machine.clone();
        let closed = self.ring.close(passive.into());
        if closed.is_err() && !machine.is_over() {
            machine.find(Rule("NETDMA-043"), "a quiet ring was not closed");
        }
    }
}
