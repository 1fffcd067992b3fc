//! The engine of one shared channel: who holds its claim, and what the holder does.
//!
//! The claim is the lock around the [`Walker`]. It is only ever tried, once for a whole run of descriptors, and holds
//! its owner at DISPATCH, so nobody who could want it is kept waiting on its owner's CPU. Whoever has asked for
//! something tries it too and serves itself. Between two steps the holder looks at one word and at nothing else.

use super::atomic::{AtomicU32, Ordering};
use super::config::Config;
use super::desk::{Desk, Errand, LeaseNumber, command};
use super::goal::{Goal, Run};
use super::requests::{Answer, Request};
use super::teller::Teller;
use super::walker::{Foreman, Walker, Wanted};
use alloc::sync::{Arc, Weak};
use longshore_core::completion::Cause;
use longshore_core::machine::{Cpu, Deferred, Lock};
use longshore_core::{Device, Dispatch, Irql, Machine};
use longshore_hardware::BusAddress;
use longshore_netdma::ChannelInterface;
use longshore_netdma::provider::{ChannelParameters, Unsuccessful};
use longshore_netdma::state::State;

/// What the machine runs for a channel. Kept apart from [`Worker`], which the routines themselves hold: so no
/// routine keeps alive what must be dropped to stop it.
pub(super) struct Parts<M: Machine> {
    pub(super) worker: M::Deferred,
    pub(super) report: M::Deferred,
    /// Held for its drop, which disconnects the handler.
    pub(super) _connection: M::Connection,
}

impl<M: Machine> Parts<M> {
    /// Queues the worker, if the engine is still there.
    pub(super) fn kick(parts: &Weak<Self>) {
        if let Some(parts) = parts.upgrade() {
            parts.worker.queue();
        }
    }
}

/// What everybody may use who knows of a channel.
pub(super) struct Shared<M: Machine> {
    pub(super) machine: M,
    pub(super) config: Config,
    pub(super) teller: Teller<M>,
    /// What waits at the desk. Relaxed: it carries no data, and whoever acts on it goes to the desk.
    command: AtomicU32,
    desk: M::Lock<Desk>,
}

impl<M: Machine> Shared<M> {
    /// Looks at or changes the desk, and keeps the command word in step with it.
    pub(super) fn desk<R>(&self, section: impl FnOnce(&mut Desk) -> R) -> R {
        self.desk.with(|desk| {
            let result = section(desk);
            self.command.store(desk.command(), Ordering::Relaxed);
            result
        })
    }

    fn waits(&self) -> u32 {
        self.command.load(Ordering::Relaxed)
    }
}

/// The foreman of a shared channel's walker.
pub(super) struct Remote<M: Machine> {
    shared: Arc<Shared<M>>,
    goal: Arc<Goal>,
    /// How many descriptors the worker does in one deferred call.
    budget: u32,
}

impl<M: Machine> Foreman for Remote<M> {
    #[inline]
    fn wanted(&self) -> Wanted {
        let waits = self.shared.waits();
        if waits & command::RELEASE != 0 {
            Wanted::Released
        } else if waits & command::CHAIN != 0 {
            Wanted::Replaced
        } else {
            Wanted::Yes
        }
    }

    #[inline]
    fn hold(&mut self) -> bool {
        self.shared.waits() & command::HOLD != 0 && self.shared.desk(Desk::hold)
    }

    fn held(&mut self, answer: Answer) {
        self.shared.desk(|desk| desk.finish(Request::Suspend, answer));
    }

    fn beyond(&self, run: Run, heard: u64) -> u64 {
        self.goal.beyond(run, heard)
    }

    fn changed(&mut self, run: Run, state: State, heard: u64, next: BusAddress) {
        if state == State::Idle {
            self.goal.say_dry(run, heard, next);
        }
        self.goal.say(run, state);
    }

    fn failed(&mut self, at: BusAddress, cause: Cause) {
        self.shared.desk(|desk| desk.failed(at, cause));
    }

    fn context(&mut self, target: u32) {
        self.goal.say_context(target);
    }

    fn interrupt(&mut self, last: BusAddress, error: bool) {
        self.shared.teller.interrupt(last, error);
    }
}

type Claimed<M> = Walker<M, Remote<M>>;

/// One channel's engine.
pub(super) struct Worker<M: Machine> {
    pub(super) shared: Arc<Shared<M>>,
    claim: M::Lock<Claimed<M>>,
}

impl<M: Machine> Worker<M> {
    pub(super) fn new(machine: &M, config: Config, cpu: Cpu, line: M::Line) -> Self {
        let shared = Arc::new(Shared {
            machine: machine.clone(),
            config,
            teller: Teller::new(machine, cpu, line),
            command: AtomicU32::new(0),
            desk: machine.lock("CPU engine desk", Irql::DISPATCH, Desk::new()),
        });
        let remote = Remote {
            shared: shared.clone(),
            goal: Arc::new(Goal::new()),
            budget: config.budget,
        };
        let walker = Walker::new(machine, config, remote);
        Self {
            shared,
            claim: machine.lock("CPU engine claim", Irql::DISPATCH, walker),
        }
    }

    /// Gives the channel to a new user, if it has none and nobody works for the last one.
    pub(super) fn allocate(&self, parameters: &ChannelParameters) -> Option<(LeaseNumber, Arc<Goal>)> {
        let goal = Arc::new(Goal::new());
        self.try_claim(|walker| {
            let lease = self.shared.desk(|desk| desk.take(goal.clone()))?;
            walker.foreman.goal = goal.clone();
            walker.foreman.budget = self.shared.config.share(parameters.priority);
            walker.allocate(parameters.completion);
            Some(lease)
        })
        .flatten()
        .map(|lease| (lease, goal))
    }

    /// Takes the channel from this user: nothing more is told, and the engine lets go of it as soon as it can. Hands out
    /// whom it told, to be dropped outside of every lock.
    pub(super) fn close(
        &self,
        lease: LeaseNumber,
    ) -> Result<Option<Arc<dyn ChannelInterface>>, Unsuccessful> {
        self.shared.desk(|desk| {
            desk.release(lease)?;
            Ok(self.shared.teller.close())
        })
    }

    /// Does something with the walker, unless somebody else has it. What waits at the desk is done first.
    fn try_claim<R>(&self, section: impl FnOnce(&mut Claimed<M>) -> R) -> Option<R> {
        self.claim.try_with(|walker| {
            self.attend(walker);
            section(walker)
        })
    }

    /// The worker's deferred call. It ends after `budget` steps, so that no chain, however long or looped, keeps
    /// the CPU (AMB-16).
    pub(super) fn run(&self, _: &Dispatch, parts: &Weak<Parts<M>>) {
        // If somebody else has the claim, he calls the worker when he lets go of it.
        if self.claim.try_with(|walker| self.walk(walker)) == Some(true) {
            Parts::kick(parts);
        }
    }

    /// As many descriptors as the budget allows. True if there is more to do.
    fn walk(&self, walker: &mut Claimed<M>) -> bool {
        walker.foreman.goal.get_up();
        let mut left = walker.foreman.budget.max(1);
        while left > 0 {
            if self.shared.waits() != 0 {
                self.attend(walker);
            }
            if !walker.step() && self.rests(walker) {
                return false;
            }
            left -= u32::from(!walker.in_the_middle());
            self.shared.machine.point();
        }
        true
    }

    /// Lies down, unless something was appended meanwhile. Whoever does anything else calls the worker anyway.
    fn rests(&self, walker: &mut Claimed<M>) -> bool {
        let (run, heard) = walker.heard();
        walker.foreman.goal.lie_down();
        self.shared.machine.point();
        let more = walker.foreman.goal.last_look(run, heard);
        if more == 0 {
            return true;
        }
        walker.foreman.goal.get_up();
        walker.take_in(more);
        false
    }

    /// Does what waits at the desk. In the middle of a descriptor some of it stays there.
    fn attend(&self, walker: &mut Claimed<M>) {
        while let Some(errand) = self.shared.desk(|desk| desk.errand(walker.in_the_middle())) {
            match errand {
                Errand::Release { silently } => {
                    let drained = if silently { walker.release() } else { walker.free() };
                    self.shared.desk(|desk| desk.gone(!drained));
                }
                Errand::Serve(chain, request) => {
                    if let Some(chain) = chain {
                        self.shared.teller.forget_error();
                        walker.load(chain);
                    }
                    if let Some(request) = request {
                        let answer = walker.serve(request);
                        self.shared.desk(|desk| desk.finish(request, answer));
                    }
                }
            }
        }
    }

    /// Does what waits at the desk on the caller's stack, the rest of the current descriptor included if it waits for
    /// that. At DISPATCH nothing comes in between, and the worker may belong to this very CPU.
    pub(super) fn serve(&self, parts: &Weak<Parts<M>>) {
        let served = self.try_claim(|walker| {
            while self.shared.waits() != 0 && walker.in_the_middle() {
                walker.step();
                self.shared.machine.point();
                self.attend(walker);
            }
        });
        // The worker may have come by in the meantime and found the claim taken.
        if served.is_some() {
            Parts::kick(parts);
        }
    }

    /// The interrupt handler.
    pub(super) fn handle_interrupt(&self, device: &Device, parts: &Weak<Parts<M>>) -> bool {
        self.shared
            .teller
            .handle_interrupt(device, parts, |parts| &parts.report)
    }
}
