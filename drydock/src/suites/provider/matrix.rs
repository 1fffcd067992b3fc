//! The matrix: each call, and each error, at every point of chains of one to eight descriptors, with each way of
//! completion.

use super::berth::Berth;
use super::judge::Next;
use super::{INTERRUPT, STATUS};
use crate::explore::Faults;
use longshore_core::machine::Machine as _;
use longshore_core::{Dispatch, Passive};
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::{ControlFlags, TransferStatus};
use std::sync::Arc;

/// What is done to a running chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Start,
    Append,
    Suspend,
    Resume,
    Abort,
    Reset,
    Error,
}

impl Act {
    pub(super) const ALL: [(Self, &'static str); 7] = [
        (Self::Start, "start"),
        (Self::Append, "append"),
        (Self::Suspend, "suspend"),
        (Self::Resume, "resume"),
        (Self::Abort, "abort"),
        (Self::Reset, "reset"),
        (Self::Error, "error"),
    ];
}

/// How the descriptors tell that they are done.
const METHODS: [(ControlFlags, &str); 4] = [
    (ControlFlags::empty(), "none"),
    (STATUS, "word"),
    (INTERRUPT, "interrupt"),
    (STATUS.union(INTERRUPT), "both"),
];

/// Descriptors in the longest chain.
pub(super) const LONGEST: usize = 8;

/// Where the chain begins that a start or an append adds.
const SECOND: usize = 12;

/// Where the chain begins that shows that the channel can be used again.
const AGAIN: usize = 18;

/// One case: what is done to which chain.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) act: Act,
    pub(super) length: usize,
    pub(super) method: ControlFlags,
}

impl Case {
    /// Every case, with its name, such as `abort-5-word`.
    pub(super) fn all() -> impl Iterator<Item = (String, Self)> {
        let acts = Act::ALL.into_iter();
        acts.flat_map(|(act, name)| {
            (1..=LONGEST).flat_map(move |length| {
                METHODS.into_iter().map(move |(method, word)| {
                    (format!("{name}-{length}-{word}"), Self { act, length, method })
                })
            })
        })
    }

    /// The faults that the case is about.
    pub(super) fn faults(self) -> Faults {
        Faults {
            bus_errors: self.act == Act::Error,
            bus_walks: self.act == Act::Error,
            ..Faults::default()
        }
    }

    /// Runs it.
    pub(super) fn run(self, berth: &Arc<Berth>, passive: &mut Passive) {
        let can = match self.act {
            Act::Suspend | Act::Resume => berth.can_suspend(),
            Act::Abort => berth.can_abort(),
            Act::Reset => berth.can_reset(),
            Act::Start | Act::Append | Act::Error => true,
        };
        if can {
            self.run_what_there_is(berth, passive);
        }
        berth.close((&*passive).into());
    }

    fn run_what_there_is(self, berth: &Arc<Berth>, passive: &mut Passive) {
        if self.act == Act::Error {
            berth.machine.arm(|_| {});
        }
        berth.prepare(0..self.length, |_| self.method);
        let started = berth.start((&*passive).into(), 0..self.length);
        if !berth.require(started, "NETDMA-076", || "the start was refused".into()) {
            return;
        }
        if self.act == Act::Error {
            return self.fail(berth, passive);
        }
        let last = self.length - 1;
        berth.strike(
            passive,
            move |berth| berth.watch.lock().is_moved_up_to(last),
            move |berth, dispatch| self.act(berth, dispatch),
        );
        match self.act {
            Act::Start => self.after_start(berth, passive),
            Act::Suspend => self.after_suspend(berth, passive),
            Act::Abort | Act::Reset => {
                berth.leap(passive);
                berth.check_starts_again(passive, AGAIN..AGAIN + 2, "SEED-004-8");
            }
            Act::Append => {
                berth.wait_until_moved(passive, berth.append_rule());
                berth.check_ended(berth.append_rule());
            }
            Act::Resume | Act::Error => {
                berth.wait_until_moved(passive, "NETDMA-091");
                berth.check_ended("NETDMA-091");
            }
        }
    }

    fn act(self, berth: &Berth, dispatch: &Dispatch) {
        match self.act {
            Act::Start => self.start(berth, dispatch),
            Act::Append => self.append(berth, dispatch),
            Act::Suspend => {
                hold(berth, dispatch);
            }
            Act::Resume => resume_at_once(berth, dispatch),
            Act::Abort => abort(berth, dispatch),
            Act::Reset => self.reset(berth, dispatch),
            Act::Error => {}
        }
    }

    /// The current descriptor is finished, the rest dropped, the new chain loaded.
    fn start(self, berth: &Berth, dispatch: &Dispatch) {
        berth.prepare(SECOND..SECOND + 3, |_| self.method);
        let started = berth.start(dispatch.into(), SECOND..SECOND + 3);
        berth.require(started, "NETDMA-077", || {
            "a start on a running channel was refused".into()
        });
    }

    fn after_start(self, berth: &Berth, passive: &Passive) {
        berth.wait_until_moved(passive, "NETDMA-077");
        berth.check_ended("NETDMA-077");
        let chain = berth.watch.lock().chain[..self.length].to_vec();
        let states: Vec<_> = chain
            .iter()
            .map(|expect| expect.state(|range| berth.machine.look(range)))
            .collect();
        let done = states.iter().take_while(|state| state.new).count();
        let dropped = states[done..].iter().all(|state| state.old);
        berth.require(dropped, "NETDMA-077", || {
            format!("{done} descriptors of the old chain were finished, but behind them something was moved")
        });
    }

    fn append(self, berth: &Berth, dispatch: &Dispatch) {
        let added = self.length..self.length + 2;
        berth.prepare(added.clone(), |_| self.method);
        let appended = berth.append(dispatch.into(), added);
        berth.require(appended, "NETDMA-075", || {
            "an append to a started channel was refused".into()
        });
    }

    fn after_suspend(self, berth: &Berth, passive: &Passive) {
        berth.leap(passive);
        let last = hold_again(berth, passive);
        let words = berth.watch.lock().words;
        let resumed = berth.resume(passive.into());
        if !berth.require(resumed, "NETDMA-091", || {
            "a suspended channel was not resumed".into()
        }) {
            return;
        }
        berth.wait_until_moved(passive, "NETDMA-091");
        let at_the_end = last == berth.descriptor(self.length - 1).start();
        let wrote = berth.watch.lock().words != words;
        berth.require(!(at_the_end && wrote), "RACE-5", || {
            "a resume that found nothing to do wrote the completion word".into()
        });
        berth.check_ended("NETDMA-091");
    }

    /// As an abort; and the channel is as fresh as after its allocation.
    fn reset(self, berth: &Berth, dispatch: &Dispatch) {
        let reset = berth.reset(dispatch.into());
        berth.require(reset, "NETDMA-093", || {
            "the reset of a healthy channel failed".into()
        });
        check_cut(berth, "NETDMA-093");
        berth.check_refusals(dispatch);
        berth.require(berth.reset(dispatch.into()), "NETDMA-093", || {
            "a channel that was reset could not be reset".into()
        });
        if self.length.is_multiple_of(2) && berth.can_abort() {
            // As if just allocated: nothing is complete, and the abort says so.
            berth.watch.lock().started(0);
            berth.require(berth.abort(dispatch.into()), "SEED-004-3", || {
                "the abort of a fresh channel failed".into()
            });
            berth.require_word(BusAddress::NULL, TransferStatus::HALTED, "AMB-04");
        }
    }

    /// The bus fails at some byte, or nowhere.
    fn fail(self, berth: &Arc<Berth>, passive: &mut Passive) {
        let last = self.length - 1;
        berth.wait_until(passive, |berth| {
            let watch = berth.watch.lock();
            watch.error || watch.is_moved_up_to(last)
        });
        berth.leap(passive);
        berth.machine.disarm();
        if berth.watch.lock().error {
            let then = self.length % 3;
            check_failed(berth, passive);
            berth
                .machine
                .raise(passive, |dispatch| leave_error(berth, dispatch, then));
            berth.check_starts_again(passive, AGAIN..AGAIN + 2, "AMB-08");
        } else {
            berth.wait_until_moved(passive, "SEED-003-8");
            berth.check_ended("SEED-003-8");
        }
    }
}

/// Suspends. The current descriptor is finished; behind it nothing is begun.
pub(super) fn hold(berth: &Berth, dispatch: &Dispatch) -> Option<BusAddress> {
    let last = berth.suspend(dispatch.into());
    berth.require(last.is_some(), "NETDMA-090", || {
        "a started channel could not be suspended".into()
    });
    let last = last?;
    berth.require_word(last, TransferStatus::SUSPEND, "NETDMA-088");
    berth.check_memory(last, Next::Untouched, "NETDMA-090");
    berth.rest();
    berth.check_memory(last, Next::Untouched, "NETDMA-090");
    Some(last)
}

/// A second suspend changes nothing.
pub(super) fn hold_again(berth: &Berth, passive: &Passive) -> BusAddress {
    let last = berth.last_of(TransferStatus::SUSPEND, "NETDMA-090");
    let again = berth.suspend(passive.into());
    berth.require(
        again.is_some() && (again == Some(last) || !berth.terms.completion),
        "AMB-11",
        || format!("suspended behind {last}, but a second suspend says {again:?}"),
    );
    berth.check_memory(last, Next::Untouched, "AMB-11");
    last
}

/// A resume is refused where nothing is suspended, and goes on where something is.
fn resume_at_once(berth: &Berth, dispatch: &Dispatch) {
    berth.require(!berth.resume(dispatch.into()), "AMB-11", || {
        "a channel that is not suspended was resumed".into()
    });
    let Some(last) = hold(berth, dispatch) else { return };
    berth.require(berth.resume(dispatch.into()), "NETDMA-091", || {
        format!("a channel that was suspended behind {last} was not resumed")
    });
    berth.require(!berth.resume(dispatch.into()), "AMB-11", || {
        "a channel was resumed twice".into()
    });
}

/// Aborts. The current descriptor is cut, and behind it nothing is begun.
pub(super) fn abort(berth: &Berth, dispatch: &Dispatch) {
    let aborted = berth.abort(dispatch.into());
    berth.require(aborted, "SEED-004-3", || {
        "the abort of a healthy channel failed".into()
    });
    check_cut(berth, "SEED-004-5");
    berth.check_refusals(dispatch);
    berth.require(berth.abort(dispatch.into()), "SEED-004-3", || {
        "a channel that was aborted could not be aborted".into()
    });
}

/// What abort and reset leave behind.
pub(super) fn check_cut(berth: &Berth, rule: &'static str) {
    let last = berth.last_of(TransferStatus::HALTED, "SEED-004-7");
    berth.check_memory_if_known(last, Next::Torn, rule);
}

/// What an error leaves behind: Halted behind the last good descriptor, an interrupt, and NULL for the deferred call.
pub(super) fn check_failed(berth: &Berth, passive: &Passive) {
    berth.wait_until(passive, |berth| berth.interface.errors() > 0);
    berth.require(berth.interface.errors() > 0, "NETDMA-102", || {
        "the error was not reported to NetDmaInterruptDpc".into()
    });
    // Where the bus failed on the completion word itself, nothing can be read from it.
    let lost = {
        let watch = berth.watch.lock();
        watch.error && watch.error_at == watch.word
    };
    if !lost {
        let last = berth.last_of(TransferStatus::HALTED, "AMB-05");
        berth.check_memory_if_known(last, Next::Torn, "AMB-05");
    }
    berth.watch.lock().stop = super::watch::Stop::Quiet;
}

/// A failed channel refuses what goes on, and takes what begins anew.
pub(super) fn leave_error(berth: &Berth, dispatch: &Dispatch, then: usize) {
    berth.check_refusals(dispatch);
    if then == 1 && berth.can_abort() {
        berth.require(berth.abort(dispatch.into()), "AMB-08", || {
            "a channel with an error could not be aborted".into()
        });
    } else if then == 2 && berth.can_reset() {
        berth.require(berth.reset(dispatch.into()), "AMB-08", || {
            "a channel with an error could not be reset".into()
        });
    }
}
