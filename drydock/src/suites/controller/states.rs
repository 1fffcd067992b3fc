//! Each call in each state of a transfer context.

use super::calls::{At, Call};
use super::client::{Client, Terms};
use super::expect::{Said, after, counter, said};
use super::site::Site;
use super::told::DEVICE;
use longshore_core::machine::Machine as _;
use longshore_core::{NtStatus, Passive};
use longshore_wdm::{IoAllocationAction, State, TransferContext};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A call in a state.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    at: At,
    call: Call,
}

/// A context in a state, and another one beside it.
struct Stage {
    client: Arc<Client>,
    other: Arc<Client>,
    /// Holds the channel where somebody else must.
    holder: Arc<Client>,
    /// How often the AdapterControl of either was called.
    granted: Arc<AtomicU32>,
    mapped: u32,
}

impl Pair {
    /// Every pair that can be, with its name, such as `own-then-map`.
    pub(super) fn all() -> impl Iterator<Item = (String, Self)> {
        At::ALL.iter().flat_map(|&at| {
            // A channel that the context holds, or waits for, is not free.
            let can = move |call: &&Call| at.allows(**call);
            Call::ALL.iter().filter(can).map(move |&call| {
                let name = format!("{at:?}-then-{call:?}").to_lowercase();
                (name, Self { at, call })
            })
        })
    }

    pub(super) fn run(self, site: &Arc<Site>, passive: &mut Passive) {
        let looped = matches!(self.at, At::RunLoop | At::LoopX) || self.call == Call::MapLoop;
        let ended = matches!(self.at, At::Done | At::DoneX);
        let registers = matches!(self.call, Call::KeepRegisters | Call::FreeRegisters) || self.at == At::Kept;
        let waits = looped || matches!(self.at, At::Run | At::RunX) || self.call == Call::Map;
        let abilities = site.abilities;
        if waits && !abilities.starves
            || looped && !abilities.loops
            || looped && ended && !abilities.errors
            || registers && site.beyond().is_none()
        {
            return;
        }
        let terms = Terms {
            looped,
            beyond: [false, registers, false],
            ..Terms::RECEIVE
        };
        let client = |terms| Client::new(site, passive, terms);
        let (Some(client), Some(other), Some(holder)) =
            (client(terms), client(Terms::RECEIVE), client(Terms::RECEIVE))
        else {
            return;
        };
        let mut stage = Stage {
            client,
            other,
            holder,
            granted: Arc::default(),
            mapped: 0,
        };
        if !stage.bring(self.at, passive) {
            return;
        }
        let answer = stage.call(self, passive);
        self.judge(&stage, answer, passive);
        stage.strike_set(passive);
    }

    fn judge(self, stage: &Stage, answer: Said, passive: &mut Passive) {
        let Self { at, call } = self;
        let client = &stage.client;
        let wanted = said(at, call);
        let right = match (wanted, answer) {
            (Said::No, Said::Status(status)) => status != NtStatus::SUCCESS,
            (wanted, answer) => wanted == answer,
        };
        client.require(right, rule(call), || {
            format!("{call:?} in {at:?} said {answer:?}, which should be {wanted:?}")
        });
        let (state, wanted) = (client.state(passive), after(at, call));
        client.require(state == wanted, rule(call), || {
            format!("{call:?} in {at:?} left the context {state:?}, which should be {wanted:?}")
        });
        let granted = stage.granted.load(Ordering::Relaxed);
        let wanted = u32::from(call == Call::Allocate && said(at, call) == Said::Yes)
            + u32::from(call == Call::OtherQueues && !at.holds() && !at.waits());
        client.require(granted == wanted, "WDM-128", || {
            format!("{call:?} in {at:?}: AdapterControl ran {granted} times, which should be {wanted}")
        });
        if at.is_mapped() && client.interrupts() {
            let told = client.told.count();
            client.require(told <= 1, "WDM-019", || {
                format!("{call:?} in {at:?}: the completion routine ran {told} times")
            });
        }
    }
}

/// The rule that says most about a call's answers.
fn rule(call: Call) -> &'static str {
    match call {
        Call::Initialize => "WDM-114",
        Call::Allocate | Call::AllocateNow => "WDM-115",
        Call::AllocateBusy | Call::OtherNow => "WDM-124",
        Call::OtherQueues => "WDM-120",
        Call::CancelAllocation => "WDM-140",
        Call::Configure => "WDM-211",
        Call::Map | Call::MapLoop => "WDM-158",
        Call::FreeRegisters => "WDM-194",
        Call::CancelMapped => "WDM-183",
        Call::ReadCounter => "A-19",
        Call::Flush => "WDM-172",
        Call::Free => "WDM-190",
        Call::Deallocate | Call::KeepRegisters | Call::Keep => "WDM-191",
        Call::Put => "WDM-106",
    }
}

impl Stage {
    /// Brings the context into a state.
    fn bring(&mut self, at: At, passive: &mut Passive) -> bool {
        if at == At::Blank {
            let fresh = Arc::new(TransferContext::new());
            return Arc::get_mut(&mut self.client).is_some_and(|client| {
                client.context = fresh;
                true
            });
        }
        if at.waits() && !(self.holder.take_channel(passive) && self.queue(false, passive) == Said::Yes) {
            return false;
        }
        if (at.holds() || matches!(at, At::Free | At::Kept)) && !self.client.take_channel(passive) {
            return false;
        }
        if at == At::Free {
            self.client.release(passive);
        }
        if at == At::Kept && self.free(Call::KeepRegisters, passive) != Said::Yes {
            return false;
        }
        let client = &self.client;
        if at.is_mapped() {
            let complete = matches!(at, At::Done | At::DoneX);
            if complete && client.terms.looped {
                // A loop ends by itself only where its device fails.
                client.far.fail_at(4);
            }
            let Some(mapped) = client.start(passive, u64::from(complete)) else {
                return false;
            };
            self.mapped = mapped;
            if complete {
                client.wait(passive);
                client.state(passive);
            }
        }
        if matches!(at, At::Pre | At::PreX) {
            client
                .adapter
                .cancel_adapter_channel(&*passive, &client.context, DEVICE);
        }
        if at.is_marked() {
            client.cancel((&*passive).into());
        }
        true
    }

    /// Asks for the channel with this context or the other one, which may wait.
    fn queue(&self, other: bool, passive: &mut Passive) -> Said {
        let client = if other { &self.other } else { &self.client };
        let granted = Arc::clone(&self.granted);
        let answer = client.machine.raise(passive, |dispatch| {
            client.queue(dispatch, move |_| {
                granted.fetch_add(1, Ordering::Relaxed);
                IoAllocationAction::KEEP_OBJECT
            })
        });
        of(answer.map_err(|error| error.status()))
    }

    fn now(&self, other: bool, passive: &mut Passive) -> Said {
        let client = if other { &self.other } else { &self.client };
        let answer = client
            .machine
            .raise(passive, |dispatch| client.allocate(dispatch));
        of(answer.map_err(|error| error.status()))
    }

    fn call(&mut self, Pair { at, call }: Pair, passive: &mut Passive) -> Said {
        if call == Call::Initialize {
            return self.initialize(passive);
        }
        if call == Call::AllocateBusy && !at.holds() && !at.waits() {
            self.holder.take_channel(passive);
        }
        let client = &self.client;
        let (adapter, context) = (&client.adapter, &client.context);
        match call {
            Call::Allocate => self.queue(false, passive),
            Call::AllocateNow | Call::AllocateBusy => self.now(false, passive),
            Call::OtherQueues => self.queue(true, passive),
            Call::OtherNow => self.now(true, passive),
            Call::CancelAllocation => {
                if adapter.cancel_adapter_channel(&*passive, context, DEVICE) {
                    Said::Yes
                } else {
                    Said::No
                }
            }
            Call::Configure => {
                let answer = adapter.configure(&*passive, context, 0x8fff, 0);
                of(answer.map(|_| ()).map_err(|refusal| refusal.status()))
            }
            Call::CancelMapped => of(adapter
                .cancel_mapped(&*passive, context)
                .map_err(|refusal| refusal.status())),
            Call::ReadCounter => {
                let (left, wanted) = (adapter.read_counter(&*passive), counter(at, self.mapped));
                let right = left == wanted || !client.site.counts();
                client.require(right, "A-19", || {
                    format!("the counter in {at:?} reads {left}, which should be {wanted}")
                });
                Said::Yes
            }
            Call::Map | Call::MapLoop => of(client
                .map((&*passive).into())
                .map(|_| ())
                .map_err(|error| error.status())),
            Call::Flush => of(client
                .try_flush((&*passive).into())
                .map_err(|error| error.status())),
            Call::Put => of(adapter
                .clone()
                .put(&*passive)
                .map_err(|refused| refused.why.status())),
            _ => self.free(call, passive),
        }
    }

    fn initialize(&mut self, passive: &Passive) -> Said {
        let Some(client) = Arc::get_mut(&mut self.client) else {
            return Said::No;
        };
        let Some(context) = Arc::get_mut(&mut client.context) else {
            return Said::No;
        };
        let answer = client.adapter.initialize_transfer_context(passive, context);
        of(answer.map_err(|refusal| refusal.status()))
    }

    fn free(&self, call: Call, passive: &mut Passive) -> Said {
        let client = &self.client;
        let answer = client.machine.raise(passive, |dispatch| {
            if call == Call::FreeRegisters {
                // A base that is not there names nothing.
                let freed = client.free_registers(dispatch);
                return freed.unwrap_or(Err(longshore_wdm::Refusal::NotKept));
            }
            let object = |action| client.adapter.free_object(dispatch, &client.context, action);
            match call {
                Call::Deallocate => object(IoAllocationAction::DEALLOCATE_OBJECT),
                Call::KeepRegisters => object(IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS),
                Call::Keep => object(IoAllocationAction::KEEP_OBJECT),
                _ => client.adapter.free_channel(dispatch, &client.context),
            }
        });
        of(answer.map_err(|refusal| refusal.status()))
    }

    /// Takes everything away again.
    fn strike_set(&self, passive: &mut Passive) {
        // Who waits goes first, so that nobody is granted what the other one frees.
        let all = [&self.client, &self.other, &self.holder];
        for client in all {
            if matches!(client.state(passive), State::Wait | State::WaitX) {
                client.release(passive);
            }
        }
        all.iter().for_each(|client| client.leave(passive));
    }
}

fn of(answer: Result<(), NtStatus>) -> Said {
    match answer {
        Ok(()) => Said::Yes,
        Err(status) => Said::Status(status),
    }
}
