//! Each call in each state, held against the table itself; also those calls that NetDMA never makes, for a provider that
//! says what becomes of them.

use super::berth::Berth;
use super::watch::Stop;
use super::{INTERRUPT, STATUS};
use longshore_core::machine::Machine as _;
use longshore_core::{AtMostDispatch, Dispatch, Passive};
use longshore_hardware::netdma::ControlFlags;
use longshore_netdma::state::{Action, Input, State, step};
use std::sync::Arc;

const BOTH: ControlFlags = STATUS.union(INTERRUPT);

/// The states that a channel can be brought into and stays in, and `Active` for one that runs.
const STATES: [State; 8] = [
    State::Fresh,
    State::Active,
    State::Idle,
    State::Suspended,
    State::Aborted,
    State::Error,
    State::ContextLost,
    State::Free,
];

/// What somebody can do to a channel.
const CALLS: [Input; 8] = [
    Input::Start,
    Input::Append,
    Input::Suspend,
    Input::Resume,
    Input::Abort,
    Input::Reset,
    Input::Free,
    Input::PowerLost,
];

/// A call in a state.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    state: State,
    call: Input,
}

impl Pair {
    /// Every pair, with its name, such as `idle-abort`.
    pub(super) fn all() -> impl Iterator<Item = (String, Self)> {
        STATES.into_iter().flat_map(|state| {
            CALLS.into_iter().map(move |call| {
                let name = format!("{}-then-{}", state.name(), call.name()).to_lowercase();
                (name, Self { state, call })
            })
        })
    }

    /// Whether this provider can be brought there and may be called so.
    fn applies(self, berth: &Berth) -> bool {
        let outstanding = matches!(self.state, State::Active | State::Suspended);
        let forbidden = self.state == State::Free || (self.call == Input::Free && outstanding);
        let state = match self.state {
            State::Suspended => berth.can_suspend(),
            State::Aborted => berth.can_abort(),
            State::ContextLost => berth.subject.power.is_some(),
            _ => true,
        };
        let call = match self.call {
            Input::Suspend | Input::Resume => berth.can_suspend(),
            Input::Abort => berth.can_abort(),
            Input::Reset => berth.can_reset(),
            Input::PowerLost => berth.subject.power.is_some() && self.state != State::Free,
            _ => true,
        };
        state && call && (berth.subject.tolerant || !forbidden)
    }

    /// Runs it.
    pub(super) fn run(self, berth: &Arc<Berth>, passive: &mut Passive) {
        if !self.applies(berth) {
            return berth.close((&*passive).into());
        }
        if self.state == State::Active {
            berth.prepare(0..4, |_| BOTH);
            berth.start((&*passive).into(), 0..4);
            let over = |berth: &Berth| berth.watch.lock().is_moved_up_to(3);
            berth.strike(passive, over, move |berth, dispatch| self.act(berth, dispatch));
        } else {
            self.reach(berth, passive);
            berth.machine.raise(passive, |dispatch| self.act(berth, dispatch));
        }
        if self.call != Input::Free {
            self.wind_up(berth, passive);
        }
        berth.end(passive, self.call == Input::Free);
    }

    /// Brings the channel into the state.
    fn reach(self, berth: &Arc<Berth>, passive: &mut Passive) {
        if matches!(self.state, State::Fresh | State::Free) {
            if self.state == State::Free {
                berth.free((&*passive).into());
            }
            return;
        }
        let mut chain = berth.plain(0..2, |_| BOTH);
        if self.state == State::Error {
            chain[1].content.control |= ControlFlags::from_bits_retain(0x1200_0000);
            chain[1].spoil();
        }
        berth.submit(chain);
        berth.start((&*passive).into(), 0..2);
        let level = AtMostDispatch::from(&*passive);
        match self.state {
            State::Suspended => {
                berth.suspend(level);
            }
            State::Aborted => {
                berth.abort(level);
            }
            State::Error => super::matrix::check_failed(berth, passive),
            _ => {
                berth.wait_until_moved(passive, "SEED-003-8");
            }
        }
        if self.state == State::ContextLost {
            berth.lose_power((&*passive).into());
        }
    }

    /// Makes the call. Its answer must be the table's; while the channel runs, that of any state that it may be in.
    fn act(self, berth: &Berth, dispatch: &Dispatch) {
        let wanted = step(self.state, self.call).1 != Action::Refuse;
        if matches!(self.call, Input::Start | Input::Append) && wanted {
            let slots = if self.call == Input::Start {
                12..14
            } else {
                self.appended()
            };
            berth.prepare(slots, |_| BOTH);
        }
        let level = dispatch.into();
        let accepted = match self.call {
            Input::Start if wanted => berth.start(level, 12..14),
            Input::Start => berth.start_at(level, berth.descriptor(12).start(), 0, 1),
            Input::Append if wanted => berth.append(level, self.appended()),
            Input::Append => berth.append_at(level, berth.descriptor(2).start(), 1),
            Input::Suspend => berth.suspend(level).is_some(),
            Input::Resume => berth.resume(level),
            Input::Abort => berth.abort(level),
            Input::Reset => berth.reset(level),
            Input::Free => {
                // What is freed while it is held is stopped, and says so.
                berth.watch.lock().stop = Stop::No;
                berth.free(level);
                wanted
            }
            _ => {
                berth.lose_power(level);
                wanted
            }
        };
        let (state, call) = (self.state.name(), self.call.name());
        berth.require(accepted == wanted, "PAIN-21", || {
            let answer = if accepted { "accepted" } else { "refused" };
            format!("{call} was {answer} by a channel that is {state}")
        });
    }

    fn appended(self) -> std::ops::Range<usize> {
        if self.state == State::Active { 4..6 } else { 2..4 }
    }

    /// Leaves nothing outstanding.
    fn wind_up(self, berth: &Arc<Berth>, passive: &mut Passive) {
        berth.leap(passive);
        let level = AtMostDispatch::from(&*passive);
        if self.state != State::Free {
            if self.call == Input::Reset {
                berth.watch.lock().started(0); // a fresh channel that is aborted says so
            }
            let quiet =
                (berth.can_abort() && berth.abort(level)) || (berth.can_reset() && berth.reset(level));
            berth.require(quiet, "SEED-004-3", || "the channel could not be stopped".into());
        }
    }
}

impl Berth {
    /// The engine loses its power: nothing is written and nobody is interrupted.
    fn lose_power(&self, level: AtMostDispatch<'_>) {
        let words = self.watch.lock().words;
        if let Some(lose) = &self.subject.power {
            lose(level);
        }
        self.watch.lock().stop = Stop::Quiet;
        let running = words != self.watch.lock().words;
        self.require(!running || self.is_claimed(), "NETDMA-113", || {
            "the completion word was written when the power went".into()
        });
    }
}
