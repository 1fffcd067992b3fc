//! What a shared channel must do, whoever comes in between.

use crate::explore::{Faults, Scenario};
use crate::machine::{Machine, Memory, Signal};
use crate::suites::Bay;
use crate::suites::provider::Build;

use super::mask::Masked;
use longshore_core::completion::{Outcome, Verdict};
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::{Dispatch, Passive, Rule};
use longshore_hardware::{DmaMemory, Lease};
use longshore_netdma::{
    Channel, Completion, Handlers, NoOutcome, OperationHandle, Provider, Refused, Request,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Bytes of each copy.
const LENGTH: u64 = 64;

/// Copies in a scenario.
const COPIES: usize = 4;

/// Longer than any healthy channel takes.
const LONG: Duration = Duration::from_millis(50);

/// The scenarios of a shared channel.
pub(super) fn scenarios(build: &Build) -> Vec<Scenario> {
    let masked = |name, left: Handlers, act: fn(&Arc<Client>, &mut Passive)| {
        let build = Arc::clone(build);
        Scenario::new(name, move |machine: &Machine, passive| {
            if let Some(client) = Client::open(machine, passive, &build, left) {
                act(&client, passive);
                machine.disarm();
            }
        })
    };
    let scenario = |name, act| masked(name, Handlers::all(), act);
    let early = Faults {
        early_interrupts: true,
        ..Faults::default()
    };
    let bus = Faults {
        bus_errors: true,
        ..Faults::default()
    };
    vec![
        scenario("copies", copies).with_faults(early),
        scenario("abort", abort),
        masked("abort-by-reset", Handlers::RESET, abort),
        scenario("cancel", cancel),
        masked("cancel-by-abort", Handlers::ABORT, cancel),
        masked("cancel-in-vain", Handlers::empty(), cancel),
        scenario("batch", batch),
        scenario("close", close),
        scenario("bus-error", bus_error).with_faults(bus),
    ]
}

struct Buffers {
    source: Lease<Memory>,
    destination: Lease<Memory>,
}

struct Client {
    machine: Machine,
    /// Goes before its provider.
    channel: Channel<Machine>,
    _provider: Arc<dyn Provider>,
    buffers: Vec<Buffers>,
    claimed: AtomicBool,
    aborted: Signal,
}

impl Client {
    fn open(machine: &Machine, passive: &Passive, build: &Build, left: Handlers) -> Option<Arc<Self>> {
        let provider = build(&Bay::new(machine, passive));
        let provider: Arc<dyn Provider> = Arc::new(Masked::new(machine, provider, left));
        let channel = match Channel::open(passive, machine, provider.as_ref(), 8) {
            Ok(channel) => channel,
            Err(error) => {
                machine.find(
                    Rule("NETDMA-041"),
                    format!("no channel could be opened: {error:?}"),
                );
                return None;
            }
        };
        let buffers = (0..=COPIES)
            .map(|index| buffers(machine, index))
            .collect::<Option<Vec<_>>>()?;
        let aborted = machine.signal(passive, "the abort");
        let claimed = AtomicBool::new(false);
        Some(Arc::new(Self {
            machine: machine.clone(),
            channel,
            _provider: provider,
            buffers,
            claimed,
            aborted,
        }))
    }

    fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
    }

    fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    fn submit(&self, passive: &Passive, index: usize) -> Option<OperationHandle> {
        let buffers = &self.buffers[index];
        let completion = match index % 4 {
            0 => Completion::empty(),
            1 => Completion::STATUS,
            2 => Completion::INTERRUPT,
            _ => Completion::all(),
        };
        let (destination, source) = (buffers.destination.address(), buffers.source.address());
        let handle = self
            .channel
            .copy(passive.into(), destination, source, LENGTH, completion);
        self.require(handle.is_ok(), "NETDMA-078", || {
            format!("a copy was refused: {handle:?}")
        });
        handle.ok()
    }

    fn submit_all(&self, passive: &Passive) -> Vec<OperationHandle> {
        (0..COPIES)
            .filter_map(|index| self.submit(passive, index))
            .collect()
    }

    fn wait(&self, passive: &Passive, handle: OperationHandle) -> Result<Outcome, NoOutcome> {
        self.channel.wait(passive, handle, LONG)
    }

    /// The outcome must be what memory shows.
    fn judge(&self, index: usize, outcome: Result<Outcome, NoOutcome>) {
        let (source, destination) = (
            self.bytes(&self.buffers[index].source),
            self.bytes(&self.buffers[index].destination),
        );
        match outcome {
            Ok(Outcome {
                verdict: Verdict::Completed,
                residue: 0,
            }) => {
                self.require(source == destination, "SEED-003-2", || {
                    format!("copy {index} completed, but its data is not there")
                });
            }
            Ok(Outcome {
                verdict: Verdict::Completed,
                residue,
            }) => {
                self.require(false, "PAIN-23", || {
                    format!("copy {index} completed and lacks {residue} bytes")
                });
            }
            Ok(outcome) => {
                self.require(outcome.residue > 0, "PAIN-23", || {
                    format!("copy {index} ended with {outcome:?}")
                });
            }
            Err(error) => self.require(false, "PAIN-23", || {
                format!("copy {index} has no outcome: {error:?}")
            }),
        }
    }

    fn bytes(&self, lease: &Lease<Memory>) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH as usize];
        let _ = self.machine.memory().read(lease.address(), &mut bytes);
        bytes
    }

    /// After whatever happened, a new copy works.
    fn goes_on(&self, passive: &Passive) {
        self.machine.disarm();
        // The one that is waited for is told by its completion word.
        let buffers = &self.buffers[COPIES];
        let (destination, source) = (buffers.destination.address(), buffers.source.address());
        match self
            .channel
            .copy(passive.into(), destination, source, LENGTH, Completion::all())
        {
            Ok(handle) => {
                let outcome = self.wait(passive, handle);
                self.require(outcome == Ok(Outcome::COMPLETED), "SEED-004-8", || {
                    format!("a copy after the stop ended with {outcome:?}")
                });
            }
            Err(refused) => self.require(false, "SEED-004-8", || {
                format!("a copy after the stop: {refused:?}")
            }),
        }
    }
}

fn buffers(machine: &Machine, index: usize) -> Option<Buffers> {
    let lease = || Lease::new(machine.memory(), LENGTH, 64).ok();
    let buffers = Buffers {
        source: lease()?,
        destination: lease()?,
    };
    let bytes: Vec<u8> = (0..LENGTH as usize)
        .map(|at| (at * 3 + index * 17) as u8 | 1)
        .collect();
    machine.memory().write(buffers.source.address(), &bytes).ok()?;
    Some(buffers)
}

/// Copies with every combination of the two ways to complete all complete.
fn copies(client: &Arc<Client>, passive: &mut Passive) {
    client.machine.arm(|_| {});
    let handles = client.submit_all(passive);
    // The first asks for neither way; it becomes known with the others.
    for (index, handle) in handles.iter().enumerate().rev() {
        let outcome = client.wait(passive, *handle);
        client.require(outcome == Ok(Outcome::COMPLETED), "NETDMA-084", || {
            format!("copy {index} ended with {outcome:?}")
        });
        client.judge(index, outcome);
    }
}

/// An abort at any point: what was done is completed, the rest cancelled, and nothing is lost or told twice.
fn abort(client: &Arc<Client>, passive: &mut Passive) {
    let striker = Arc::clone(client);
    client.machine.arm(move |dispatch: &Dispatch| {
        if striker.claim() {
            cut(&striker, dispatch);
            striker.aborted.set();
        }
    });
    let handles = client.submit_all(passive);
    if client.claim() {
        client.machine.raise(passive, |dispatch| cut(client, dispatch));
    } else {
        let _ = client.aborted.wait_for(passive, LONG);
    }
    for (index, handle) in handles.into_iter().enumerate().rev() {
        // What was submitted behind the abort runs on; the newest of those tells of the others.
        let outcome = client.wait(passive, handle);
        if index > 0 || outcome.is_ok() {
            client.judge(index, outcome);
        }
    }
    client.goes_on(passive);
}

fn cut(client: &Client, dispatch: &Dispatch) {
    let aborted = client.channel.abort(dispatch.into());
    client.require(aborted.is_ok(), "SEED-004-3", || {
        "the abort of a healthy channel failed".into()
    });
}

/// The intruder cancels two of the copies at any point: those are cancelled or done, the others are done.
fn cancel(client: &Arc<Client>, passive: &mut Passive) {
    let handles: Arc<OnceLock<Vec<OperationHandle>>> = Arc::default();
    let (striker, known) = (Arc::clone(client), Arc::clone(&handles));
    client.machine.arm(move |dispatch: &Dispatch| {
        for handle in known.get().into_iter().flat_map(|handles| &handles[1..3]) {
            striker.channel.cancel(dispatch.into(), *handle);
        }
    });
    let submitted = client.submit_all(passive);
    let handles = handles.get_or_init(|| submitted);
    for (index, handle) in handles.iter().enumerate().rev() {
        let outcome = client.wait(passive, *handle);
        let cancelled = matches!(outcome, Ok(outcome) if outcome.verdict == Verdict::Cancelled);
        let allowed = matches!(index, 1 | 2) && !client.channel.characteristics().handlers.is_empty();
        client.require(!cancelled || allowed, "RACE-6", || {
            format!("copy {index} was cancelled, though nobody could")
        });
        client.judge(index, outcome);
    }
    client.goes_on(passive);
}

/// Queued operations are given at once, and nothing of them happens before.
fn batch(client: &Arc<Client>, passive: &mut Passive) {
    client.machine.arm({
        let striker = Arc::clone(client);
        move |dispatch: &Dispatch| {
            striker.channel.poll(dispatch.into());
        }
    });
    let range = |lease: &Lease<Memory>| lease.range();
    let handles: Vec<_> = client.buffers[..COPIES]
        .iter()
        .filter_map(|buffers| {
            let request = Request::copy(range(&buffers.destination), range(&buffers.source));
            client
                .channel
                .queue((&*passive).into(), request, Completion::INTERRUPT)
                .ok()
        })
        .collect();
    let untouched = client.buffers[..COPIES]
        .iter()
        .all(|buffers| client.bytes(&buffers.destination).iter().all(|&byte| byte == 0));
    client.require(handles.len() == COPIES && untouched, "NETDMA-202", || {
        "something was copied that was only queued".into()
    });
    let flushed = client.channel.flush((&*passive).into());
    client.require(flushed.is_ok(), "NETDMA-202", || {
        format!("the flush: {flushed:?}")
    });
    for (index, handle) in handles.into_iter().enumerate() {
        let outcome = client.wait(passive, handle);
        client.require(outcome == Ok(Outcome::COMPLETED), "NETDMA-202", || {
            format!("copy {index} of a batch ended with {outcome:?}")
        });
        client.judge(index, outcome);
    }
    client.goes_on(passive);
}

/// The channel is paused at any point and closed: what was accepted is done, and nothing is accepted any more.
fn close(client: &Arc<Client>, passive: &mut Passive) {
    let striker = Arc::clone(client);
    client.machine.arm(move |_| striker.channel.pause());
    let mut handles = Vec::new();
    for buffers in &client.buffers[..COPIES] {
        let request = Request::copy(buffers.destination.range(), buffers.source.range());
        match client
            .channel
            .submit((&*passive).into(), request, Completion::INTERRUPT)
        {
            Ok(handle) => handles.push(handle),
            Err(refused) => client.require(refused == Refused::Paused, "RACE-9", || format!("{refused:?}")),
        }
    }
    let quiet = client.channel.close(passive, LONG);
    client.require(quiet, "AMB-14", || {
        "a healthy channel was left to its engine".into()
    });
    for (index, handle) in handles.into_iter().enumerate() {
        let outcome = client.channel.take(handle);
        client.require(outcome == Some(Outcome::COMPLETED), "RACE-9", || {
            format!("copy {index} ended with {outcome:?} although it was waited for")
        });
        client.judge(index, outcome.ok_or(NoOutcome::Unknown));
    }
    let after = client
        .channel
        .null_transfer((&*passive).into(), Completion::INTERRUPT);
    client.require(after == Err(Refused::Closed), "RACE-9", || {
        format!("a closed channel says {after:?}")
    });
}

/// The bus fails at some byte: what was done is completed, the rest failed, and the channel goes on.
fn bus_error(client: &Arc<Client>, passive: &mut Passive) {
    client.machine.arm(|_| {});
    let handles = client.submit_all(passive);
    for (index, handle) in handles.into_iter().enumerate().rev() {
        let outcome = client.wait(passive, handle);
        if outcome.is_err() {
            // Where the completion word itself could not be written, only an abort proves that the engine is quiet.
            let _ = client.channel.abort((&*passive).into());
            client.judge(index, client.channel.take(handle).ok_or(NoOutcome::Unknown));
        } else {
            client.judge(index, outcome);
        }
    }
    client.goes_on(passive);
}
