//! What a NetDMA provider must do.
//!
//! The suite stands in for NetDMA: it writes descriptors, calls the provider's handlers, and is called back. Its
//! oracle knows what each descriptor should move and sees each byte and each completion word the moment it is
//! written, so that "the word before the data" is found whether or not anybody looked at that moment.

mod berth;
mod watch;

use super::{Bay, Check};
use crate::explore::{Faults, Scenario, Target};
use crate::machine::{Fault, Machine};
use berth::{Berth, LONG, Look};
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::{Dispatch, Passive};
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::{CompletionWord, ControlFlags, TransferStatus};
use longshore_netdma::{Handlers, Provider};
use std::sync::Arc;

/// Builds a provider, anew for each run.
pub(crate) type Build = Arc<dyn Fn(&Bay<'_>) -> Arc<dyn Provider> + Send + Sync>;

const STATUS: ControlFlags = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
const INTERRUPT: ControlFlags = ControlFlags::INTERRUPT_ON_COMPLETION;

/// Checks a NetDMA provider. `build` makes it anew for each run.
pub fn check_provider(build: impl Fn(&Bay<'_>) -> Arc<dyn Provider> + Send + Sync + 'static) -> Check {
    let build: Build = Arc::new(build);
    let scenario = |name, act: fn(&Arc<Berth>, &mut Passive)| {
        let build = Arc::clone(&build);
        Scenario::new(name, move |machine: &Machine, passive| {
            if let Some(berth) = Berth::open(machine, passive, build.as_ref()) {
                act(&berth, passive);
            }
        })
    };
    let early = Faults {
        early_interrupts: true,
        ..Faults::default()
    };
    let bus = Faults {
        bus_errors: true,
        ..Faults::default()
    };
    let stalls = Faults {
        stalls: true,
        ..Faults::default()
    };
    Check::new(Target {
        name: "provider".to_owned(),
        suite: "provider",
        scenarios: vec![
            scenario("chain", chain).with_faults(early),
            scenario("poll", poll),
            scenario("silent", silent),
            scenario("append", append),
            scenario("abort", abort),
            scenario("suspend", suspend),
            scenario("restart", restart),
            scenario("bus-error", bus_error).with_faults(bus),
            scenario("stall", stall).with_faults(stalls),
        ],
    })
}

/// Status and interrupt on the last of four descriptors; the others ask for one, the other and nothing.
fn mixed(slot: usize) -> ControlFlags {
    match slot % 4 {
        0 => ControlFlags::empty(),
        1 => STATUS,
        2 => INTERRUPT,
        _ => STATUS | INTERRUPT,
    }
}

/// A chain of four with every combination of the two completion methods ends with word, data and interrupts.
fn chain(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.machine.arm(|_| {});
    berth.prepare(0..4, mixed);
    if berth.require(berth.start((&*passive).into(), 0..4), "NETDMA-076", || {
        "the start was refused".into()
    }) {
        let there = berth.wait_for(passive, 3, Look::Interrupt);
        berth.require(there, "SEED-003-12", || {
            "the chain ended without its last word".into()
        });
        berth.require_word(3, TransferStatus::IDLE, "NETDMA-082");
        let told = berth.wait_until_told(passive, 3);
        berth.require(told, "SEED-003-14", || {
            "NetDmaIsr and NetDmaInterruptDpc were never told of the last descriptor".into()
        });
    }
    berth.close((&*passive).into());
}

/// Only completion words: the end is found by polling, and no interrupt comes.
fn poll(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.prepare(0..4, |_| STATUS);
    if berth.require(berth.start((&*passive).into(), 0..4), "NETDMA-076", || {
        "the start was refused".into()
    }) {
        let there = berth.wait_for(passive, 3, Look::Poll);
        berth.require(there, "SEED-003-8", || {
            "the last completion word never came".into()
        });
        berth.require_word(3, TransferStatus::IDLE, "NETDMA-082");
    }
    berth.close((&*passive).into());
}

/// Neither word nor interrupt: the data moves and nothing else happens. A last descriptor tells the end.
fn silent(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.prepare(0..4, |slot| {
        if slot == 3 {
            STATUS | ControlFlags::NULL_TRANSFER
        } else {
            ControlFlags::empty()
        }
    });
    if berth.require(berth.start((&*passive).into(), 0..4), "NETDMA-076", || {
        "the start was refused".into()
    }) {
        let there = berth.wait_for(passive, 3, Look::Poll);
        berth.require(there, "NETDMA-085", || {
            "the word of the NULL transfer never came".into()
        });
    }
    berth.close((&*passive).into());
}

/// Descriptors appended while the engine runs, ends, or has ended: each is executed once.
fn append(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.prepare(0..1, |_| STATUS);
    let mut going = berth.start((&*passive).into(), 0..1);
    for next in 1..5 {
        berth.prepare(next..next + 1, |slot| {
            if slot == 4 { STATUS | INTERRUPT } else { STATUS }
        });
        going = going && berth.append((&*passive).into(), next..next + 1);
    }
    if berth.require(going, "NETDMA-075", || {
        "an append to a running channel was refused".into()
    }) {
        let there = berth.wait_for(passive, 4, Look::Poll);
        berth.require(there, "RACE-1", || {
            "an appended descriptor was never executed".into()
        });
        berth.require_word(4, TransferStatus::IDLE, "NETDMA-082");
    }
    berth.close((&*passive).into());
}

/// What an abort must leave behind, whoever made it and whenever it came.
fn after_abort(berth: &Berth, passive: &Passive) {
    let word = berth.word();
    berth.require(word.status() == TransferStatus::HALTED, "SEED-004-7", || {
        format!("after the abort the completion word is {word:?}, not Halted")
    });
    berth.take_back();
    berth.check_memory_after_stop(1);
    let refused = !berth.append(passive.into(), 4..5);
    berth.require(refused, "SEED-004-9", || {
        "an append was accepted before the restart".into()
    });
    berth.prepare(4..6, mixed_restart);
    if berth.require(berth.start(passive.into(), 4..6), "SEED-004-8", || {
        "the channel did not start again".into()
    }) {
        let there = berth.wait_for(passive, 5, Look::Poll);
        berth.require(there, "SEED-004-8", || {
            "the restarted channel did not finish".into()
        });
    }
}

fn mixed_restart(slot: usize) -> ControlFlags {
    if slot == 5 { STATUS | INTERRUPT } else { STATUS }
}

/// An abort at any point: at once, Halted with the last good address, no append, ready to start.
fn abort(berth: &Arc<Berth>, passive: &mut Passive) {
    if !berth.characteristics.handlers.contains(Handlers::ABORT) {
        return berth.close((&*passive).into());
    }
    berth.prepare(0..4, |_| STATUS);
    let cut = Arc::new(berth.machine.signal(passive, "the abort"));
    let (striker, striken) = (Arc::clone(berth), Arc::clone(&cut));
    if !berth.start((&*passive).into(), 0..4) {
        return berth.close((&*passive).into());
    }
    berth.machine.arm(move |dispatch: &Dispatch| {
        if !striker.claim() {
            return;
        }
        let aborted = striker.abort(dispatch.into());
        striker.require(aborted, "SEED-004-3", || {
            "the abort of a healthy channel failed".into()
        });
        striken.set();
    });
    let reached = berth.wait_for(passive, 3, Look::PollUntilHalted);
    if !berth.claim() {
        let _ = cut.wait_for(passive, LONG);
    } else {
        berth.require(reached, "SEED-003-8", || "the chain never ended".into());
        let aborted = berth.abort((&*passive).into());
        berth.require(aborted, "SEED-004-3", || {
            "the abort of an idle channel failed".into()
        });
    }
    berth.machine.disarm();
    after_abort(berth, passive);
    berth.close((&*passive).into());
}

/// Suspend finishes the current descriptor and says which it was; resume goes on behind it.
fn suspend(berth: &Arc<Berth>, passive: &mut Passive) {
    if !berth.characteristics.handlers.contains(Handlers::SUSPEND_RESUME) {
        return berth.close((&*passive).into());
    }
    berth.prepare(0..4, |_| STATUS);
    if !berth.start((&*passive).into(), 0..4) {
        return berth.close((&*passive).into());
    }
    act_once(berth, passive, 3, hold_and_go_on);
    let there = berth.wait_for(passive, 3, Look::Poll);
    berth.require(there, "NETDMA-091", || "the resumed chain never ended".into());
    berth.close((&*passive).into());
}

/// Lets the intruder act wherever it strikes while the chain runs up to `slot`; if it does not, the driver acts then.
fn act_once(berth: &Arc<Berth>, passive: &mut Passive, slot: usize, act: fn(&Berth, &Dispatch)) {
    let acted = Arc::new(berth.machine.signal(passive, "the intruder"));
    let (striker, done) = (Arc::clone(berth), Arc::clone(&acted));
    berth.machine.arm(move |dispatch: &Dispatch| {
        if striker.claim() {
            act(&striker, dispatch);
            done.set();
        }
    });
    berth.wait_for(passive, slot, Look::PollUntilClaimed);
    if berth.claim() {
        berth.machine.raise(passive, |dispatch| act(berth, dispatch));
    } else {
        let _ = acted.wait_for(passive, LONG);
    }
}

fn hold_and_go_on(berth: &Berth, dispatch: &Dispatch) {
    let Some(last) = berth.suspend(dispatch.into()) else {
        berth.require(false, "NETDMA-090", || {
            "a started channel could not be suspended".into()
        });
        return;
    };
    let word = berth.word();
    let wanted = CompletionWord::new(last, TransferStatus::SUSPEND);
    berth.require(word == wanted, "NETDMA-090", || {
        format!("suspended behind {last}, but the completion word is {word:?}")
    });
    (0..8).for_each(|_| berth.machine.relax());
    let later = berth.word();
    berth.require(later == word, "NETDMA-090", || {
        format!("a suspended channel went on to {later:?}")
    });
    berth.resume(dispatch.into());
}

/// A start while a chain runs: the current descriptor is finished, the rest dropped, the new chain executed.
fn restart(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.prepare(0..4, |_| STATUS);
    if !berth.start((&*passive).into(), 0..4) {
        return berth.close((&*passive).into());
    }
    act_once(berth, passive, 3, start_over);
    let there = berth.wait_for(passive, 6, Look::Poll);
    berth.require(there, "NETDMA-077", || "the new chain never ended".into());
    berth.close((&*passive).into());
}

fn start_over(berth: &Berth, dispatch: &Dispatch) {
    berth.watch.lock().restarted = true;
    berth.prepare(4..7, |_| STATUS);
    let started = berth.start(dispatch.into(), 4..7);
    berth.require(started, "NETDMA-077", || {
        "a start on a running channel was refused".into()
    });
}

/// The bus fails at some byte: Halted with the last good descriptor, an interrupt, NULL to the deferred call, and
/// the channel can be started again.
fn bus_error(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.machine.arm(|_| {});
    berth.prepare(0..4, |slot| if slot == 3 { STATUS | INTERRUPT } else { STATUS });
    if !berth.start((&*passive).into(), 0..4) {
        return berth.close((&*passive).into());
    }
    let there = berth.wait_for(passive, 3, Look::Interrupt);
    if matches!(berth.machine.fault(), Some(Fault::BusError(_))) {
        let told = berth.interface.errors.load(std::sync::atomic::Ordering::Relaxed);
        berth.require(told > 0, "NETDMA-102", || {
            "the error was not reported to NetDmaInterruptDpc".into()
        });
        let word = berth.word();
        // Where the bus failed on the completion word itself, nothing can be read from it.
        let halted =
            word.status() == TransferStatus::HALTED || there || word.descriptor() == BusAddress::NULL;
        berth.require(halted, "AMB-05", || {
            format!("after an error the completion word is {word:?}")
        });
        berth.machine.disarm();
        recover(berth, passive);
    } else {
        berth.require(there, "SEED-003-12", || "the chain never ended".into());
    }
    berth.machine.disarm();
    berth.close((&*passive).into());
}

/// A channel that stopped with an error starts again.
fn recover(berth: &Berth, passive: &Passive) {
    berth.take_back();
    berth.watch.lock().error = false;
    berth.watch.lock().restarted = true;
    berth.prepare(4..6, mixed_restart);
    if berth.require(berth.start(passive.into(), 4..6), "AMB-08", || {
        "the channel did not start again".into()
    }) {
        let there = berth.wait_for(passive, 5, Look::Poll);
        berth.require(there, "AMB-08", || "the restarted channel did not finish".into());
    }
}

/// The engine stands still. For a while: everything ends. For ever: the abort says so in a bounded time, or proves
/// that the engine is quiet; it never claims a stop that it cannot know of.
fn stall(berth: &Arc<Berth>, passive: &mut Passive) {
    berth.machine.arm(|_| {});
    berth.prepare(0..4, |_| STATUS);
    if !berth.start((&*passive).into(), 0..4) {
        return berth.close((&*passive).into());
    }
    match berth.machine.fault() {
        Some(Fault::Stall { micros: u32::MAX, .. }) => stalled_for_ever(berth, passive),
        Some(Fault::Stall {
            micros: LONG_STALL, ..
        }) => stalled_for_long(berth, passive),
        _ => {
            let ended = berth.wait_for(passive, 3, Look::Poll);
            berth.require(ended, "SEED-003-8", || {
                "the chain never ended, though the engine goes on".into()
            });
            berth.close((&*passive).into());
        }
    }
}

/// How long an engine stands still that nobody has the patience for, in microseconds.
const LONG_STALL: u32 = 5_000;

/// An abort that comes while the engine stands still. If it claims success the engine is quiet, and moves nothing when
/// it wakes up; if it does not, the chain goes on.
fn stalled_for_long(berth: &Arc<Berth>, passive: &mut Passive) {
    (0..40).for_each(|_| berth.machine.relax());
    let can = berth.characteristics.handlers.contains(Handlers::ABORT);
    let aborted = can && berth.abort((&*passive).into());
    let ended = berth.wait_for(
        passive,
        3,
        if aborted {
            Look::PollUntilHalted
        } else {
            Look::Poll
        },
    );
    // Longer than the engine stands still: the oracle sees whether it moves anything when it wakes up.
    berth.leap(passive);
    berth.require(aborted || ended, "SEED-003-8", || {
        "the abort did not succeed, and the chain never ended".into()
    });
    berth.close((&*passive).into());
}

fn stalled_for_ever(berth: &Arc<Berth>, passive: &mut Passive) {
    let ended = berth.wait_for(passive, 3, Look::Poll);
    if !ended && berth.characteristics.handlers.contains(Handlers::ABORT) {
        berth.abort((&*passive).into());
    }
    // Even an engine that proved to be quiet may stand in its own code; taking it apart would wait for ever.
    berth.abandon();
}
