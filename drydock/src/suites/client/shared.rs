//! What a shared channel must do, whoever comes in between.

use crate::explore::{Faults, Scenario};
use crate::machine::{Machine, Memory, Signal};
use crate::suites::Bay;
use crate::suites::provider::Build;
use longshore_core::completion::{Outcome, Verdict};
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::{Dispatch, Passive, Rule};
use longshore_hardware::{DmaMemory, Lease};
use longshore_netdma::{Channel, Completion, NoOutcome, OperationHandle, Provider};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bytes of each copy.
const LENGTH: u64 = 64;

/// Copies in a scenario.
const COPIES: usize = 4;

/// Longer than any healthy channel takes.
const LONG: Duration = Duration::from_millis(50);

/// The scenarios of a shared channel.
pub(super) fn scenarios(build: &Build) -> Vec<Scenario> {
    let scenario = |name, act: fn(&Arc<Client>, &mut Passive)| {
        let build = Arc::clone(build);
        Scenario::new(name, move |machine: &Machine, passive| {
            if let Some(client) = Client::open(machine, passive, &build) {
                act(&client, passive);
                machine.disarm();
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
    vec![
        scenario("copies", copies).with_faults(early),
        scenario("abort", abort),
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
    fn open(machine: &Machine, passive: &Passive, build: &Build) -> Option<Arc<Self>> {
        let provider = build(&Bay::new(machine, passive));
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
