//! What is done to the controller, always under its lock (WDM-314).

use crate::controller::{ChannelAttributes, Controller, ControllerAttributes, InterruptType, PortWidths};
use crate::registers::MapRegisters;
use crate::state::{self, Answer, Input, State};
use crate::system::Policy;
use crate::system::board::{Board, Channel};
use crate::transfer::mapping::{Job, Mapping};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::Ordering;
use longshore_core::Dispatch;
use longshore_core::completion::{Cause, Outcome, Verdict};
use longshore_core::event::Event;
use longshore_core::machine::{Deferred, Lock, Machine};

/// A controller and the lock around it.
pub(crate) struct Core<M: Machine> {
    pub(crate) machine: M,
    pub(crate) controller: Arc<dyn Controller>,
    pub(crate) attributes: ControllerAttributes,
    pub(crate) channels: Vec<ChannelAttributes>,
    /// Those in its reach.
    pub(crate) registers: Option<MapRegisters<M>>,
    pub(crate) policy: Policy,
    pub(crate) board: M::Lock<Board<M>>,
}

impl<M: Machine> Core<M> {
    /// Asks the table.
    pub(crate) fn consult(&self, state: State, input: Input) -> (State, Answer) {
        self.machine.emit(Event::Transition {
            table: state::TABLE,
            state: state.name(),
            event: input.name(),
        });
        state::next(state, input)
    }

    /// What a channel is.
    pub(crate) fn channel(&self, number: u32) -> ChannelAttributes {
        self.channels.get(number as usize).copied().unwrap_or_default()
    }

    /// How wide the device ports of a channel may be.
    pub(crate) fn port_widths(&self, number: u32) -> PortWidths {
        let own = self.channel(number).port_widths;
        if own == PortWidths::default() {
            self.attributes.port_widths
        } else {
            own
        }
    }

    /// Transfers of a channel are multiples of so many bytes, and begin at such.
    pub(crate) fn unit(&self, number: u32) -> u64 {
        let own = self.channel(number).minimum_unit;
        let unit = if own == 0 {
            self.attributes.minimum_unit
        } else {
            own
        };
        u64::from(unit.max(1))
    }

    /// Whether the end of a channel's transfer interrupts (WDM-308).
    pub(crate) fn interrupts(&self, number: u32) -> bool {
        self.attributes.generates_interrupt || self.channel(number).generates_interrupt
    }

    /// How many bytes a channel has left, as far as that can be known: a count that makes no sense is cut, and
    /// where there is no count nothing is known to have moved.
    pub(crate) fn left(&self, channel: u32, mapping: &Mapping<M>) -> u32 {
        if mapping.adapter.counts() {
            self.controller.remaining(channel).min(mapping.mapped)
        } else {
            mapping.mapped
        }
    }

    /// Tells what is owed on a channel. Runs in its deferred call, alone.
    pub(crate) fn deliver(&self, dispatch: &Dispatch, number: u32) {
        let (to_serve, jobs, periods) = self.board.with(|board| match board.channel(number) {
            Some(channel) => (
                mem::take(&mut channel.to_serve),
                mem::take(&mut channel.deliveries),
                channel
                    .running()
                    .map(|job| (Arc::clone(&job.mapping), mem::take(&mut job.periods))),
            ),
            None => Default::default(),
        });
        for job in jobs {
            // R10: what a loop still had to tell comes before its end.
            job.mapping.tell_periods(dispatch, &self.machine, job.periods);
            if let Some(owed) = job.owed {
                job.mapping.tell_outcome(dispatch, &self.machine, owed);
            }
        }
        if let Some((mapping, periods)) = periods {
            mapping.tell_periods(dispatch, &self.machine, periods);
        }
        if to_serve {
            self.serve(dispatch, number);
        }
    }
}

/// A controller together with the deferred calls of its channels.
pub(crate) struct Hardware<M: Machine> {
    pub(crate) core: Arc<Core<M>>,
    calls: Arc<[M::Deferred]>,
}

impl<M: Machine> Clone for Hardware<M> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            calls: Arc::clone(&self.calls),
        }
    }
}

impl<M: Machine> Hardware<M> {
    pub(crate) fn new(core: Arc<Core<M>>, calls: Arc<[M::Deferred]>) -> Self {
        Self { core, calls }
    }

    pub(crate) fn queue(&self, channel: u32) {
        if let Some(call) = self.calls.get(channel as usize) {
            // Queued already is as good: it takes everything there is when it runs.
            call.queue();
        }
    }

    /// Asks the controller for interrupts until there is none left, and records each. Says whether there was one.
    ///
    /// A controller that never runs out of them is left after a bounded number; its line stays asserted.
    pub(crate) fn drain(&self, board: &mut Board<M>) -> bool {
        let budget = self.core.attributes.channels.saturating_mul(2).saturating_add(2);
        let mut found = false;
        for _ in 0..budget {
            let Some((channel, kind)) = self.core.controller.interrupt() else {
                break;
            };
            found = true;
            self.report(board, channel, kind);
        }
        found
    }

    /// Finds out what has ended without waiting for the interrupt's handler.
    pub(crate) fn collect(&self, board: &mut Board<M>, number: u32) {
        if self.core.interrupts(number) {
            self.drain(board);
        } else {
            let running = board.channel(number).and_then(Channel::running).is_some();
            if running && let Some(kind) = self.core.controller.poll(number) {
                self.report(board, number, kind);
            }
        }
    }

    /// Takes in what the controller says about a channel.
    fn report(&self, board: &mut Board<M>, number: u32, kind: InterruptType) {
        let Some(channel) = board.channel(number) else {
            return;
        };
        // WDM-316: for a channel that runs nothing it is left over from a cancel.
        let Some(job) = channel.running() else { return };
        let asked = job.mapping.cancel_requested();
        match kind {
            InterruptType::Completion if job.mapping.looped => {
                self.period(job, number, asked);
                // A cancel that was told FALSE has disabled the channel: nothing comes after this period.
                if asked {
                    self.finish(channel, number, Verdict::Cancelled);
                }
            }
            InterruptType::Completion => self.finish(channel, number, Verdict::Completed),
            InterruptType::Cancelled if asked => self.finish(channel, number, Verdict::Cancelled),
            // A cancel that nobody asked for is an error of the device's.
            InterruptType::Error | InterruptType::Cancelled => {
                self.finish(channel, number, Verdict::Failed(Cause::DEVICE));
            }
        }
    }

    fn period(&self, job: &mut Job<M>, number: u32, asked: bool) {
        let state = if asked { State::LoopX } else { State::Loop };
        self.core.consult(state, Input::Period);
        if self.owes_callback(job, number) {
            job.periods = job.periods.saturating_add(1);
            self.queue(number);
        }
    }

    /// WDM-011: whether anybody is to be called.
    fn owes_callback(&self, job: &Job<M>, number: u32) -> bool {
        self.core.interrupts(number) && job.mapping.routine.is_some()
    }

    /// Fixes the outcome of what a channel runs. The hardware is quiet.
    fn finish(&self, channel: &mut Channel<M>, number: u32, verdict: Verdict) {
        let Some(job) = channel.running() else { return };
        let left = match verdict {
            Verdict::Completed => 0,
            _ => job.left.min(self.core.left(number, &job.mapping)),
        };
        let outcome = Outcome {
            verdict,
            residue: u64::from(left),
        };
        let owes_callback = self.owes_callback(job, number);
        let mapping = Arc::clone(&job.mapping);
        let promise = mapping.promise(&self.core.machine);
        let Ok(delivery) = mapping.cell.end(mapping.ticket, outcome, &promise) else {
            return;
        };
        let record = mapping.adapter.record();
        record.last_residue.store(left, Ordering::Relaxed);
        if owes_callback {
            job.owed = Some(delivery.later());
            record.owed.fetch_add(1, Ordering::Relaxed);
            channel.deliveries.append(&mut channel.running);
            self.queue(number);
        } else {
            // nobody is called; whoever polls finds it.
            delivery.deliver();
        }
    }

    /// Asks the hardware to stop what a channel runs.
    pub(crate) fn stop(&self, board: &mut Board<M>, number: u32) {
        let Some(channel) = board.channel(number) else {
            return;
        };
        let Some(job) = channel.running() else { return };
        // RL-21: before the cancel, for afterwards the count may be gone.
        job.left = job.left.min(self.core.left(number, &job.mapping));
        job.mapping.request_cancel();
        if self.core.controller.cancel(number) {
            // WDM-321: no interrupt will come, so the callback is ours to queue.
            self.finish(channel, number, Verdict::Cancelled);
        } else if !self.core.interrupts(number) {
            self.collect(board, number);
        }
    }

    /// Sees to it that what a channel runs is over: the hardware is stopped and its outcome is fixed. False: it
    /// does not stop, and nothing is fixed.
    pub(crate) fn conclude(&self, board: &mut Board<M>, number: u32) -> bool {
        let asked = board
            .channel(number)
            .and_then(Channel::running)
            .map(|job| job.mapping.cancel_requested());
        match asked {
            None => return true,
            Some(true) => {}
            Some(false) => self.stop(board, number),
        }
        // Asked before its end is looked for: what becomes quiet in between has an end to report.
        let quiet = self.core.controller.is_quiet(number);
        self.collect(board, number);
        let Some(channel) = board.channel(number) else {
            return true;
        };
        if channel.running().is_some() && !quiet {
            return false;
        }
        // Disabled, and with nothing to report: the channel is quiet, and that is all that will ever be known.
        self.finish(channel, number, Verdict::Cancelled);
        true
    }
}
