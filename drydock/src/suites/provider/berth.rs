//! NetDMA's side of one channel, as small as a suite needs it: the channel and its calls.

use super::Subject;
use super::chain::OWNED;
use super::interface::Interface;
use super::slots::Slots;
use super::watch::{SharedWatch, Stop};
use crate::machine::{Machine, Memory, Schedule, Signal};
use crate::suites::Bay;
use longshore_core::event::{Event, Owner};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{AtMostDispatch, Irql, NtStatus, Passive, Rule};
use longshore_hardware::{BusAddress, BusRange, Lease};
use longshore_netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore_netdma::{ChannelParameters, Characteristics, Handlers, ProviderChannel};
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// What a channel is allocated with.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// Whether it gets a completion address.
    pub(super) completion: bool,
    /// The CPUs that its deferred call may run on.
    pub(super) cpus: u32,
    pub(super) priority: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            completion: true,
            cpus: 0b10,
            priority: 0,
        }
    }
}

/// One channel of the provider under test, and everything around it.
pub(super) struct Berth {
    pub(super) machine: Machine,
    pub(super) characteristics: Characteristics,
    /// Lives as long as its channel.
    pub(super) subject: Subject,
    pub(super) channel: Arc<dyn ProviderChannel>,
    pub(super) interface: Arc<Interface>,
    pub(super) watch: SharedWatch,
    pub(super) slots: Slots,
    pub(super) terms: Terms,
    pub(super) memory: Memory,
    /// Given back when the channel is closed.
    pub(super) leases: Mutex<Vec<Lease<Memory>>>,
    pub(super) word: BusAddress,
    /// Never signalled: a poll that lasts waits for it, so that time passes in leaps.
    pub(super) pause: Signal,
    straight: bool,
    pub(super) claimed: AtomicBool,
}

impl Berth {
    /// Opens a channel of the provider that `build` makes.
    pub(super) fn open(
        machine: &Machine,
        passive: &Passive,
        terms: Terms,
        build: &dyn Fn(&Bay<'_>) -> Subject,
    ) -> Option<Arc<Self>> {
        let lease = |(len, align)| Lease::new(machine.memory(), len, align).ok();
        let leases = vec![lease(Slots::DESCRIPTORS)?, lease((64, 64))?, lease(Slots::DATA)?];
        let word = leases[1].address();
        let watch = SharedWatch::new(word);
        machine.emit(Event::Handover(leases[1].range(), Owner::Both, OWNED));
        machine.observe(watch.clone());
        let told = machine.signal(passive, "the provider's deferred call");
        let interface = Arc::new(Interface::new(machine, watch.clone(), told));
        let subject = build(&Bay::new(machine, passive));
        let completion = if terms.completion { word } else { BusAddress::NULL };
        let parameters = ChannelParameters {
            priority: terms.priority,
            ..ChannelParameters::new(completion, terms.cpus)
        };
        let allocated = subject
            .provider
            .allocate_channel(passive.into(), parameters, interface.clone());
        let allocated = allocated
            .map_err(|error| {
                machine.find(
                    Rule("NETDMA-041"),
                    format!("no channel could be allocated: {error}"),
                )
            })
            .ok()?;
        let characteristics = subject.provider.characteristics();
        watch.lock().scratch = !characteristics.version.counted();
        watch.lock().blind = !terms.completion;
        let berth = Self {
            machine: machine.clone(),
            characteristics,
            subject,
            channel: allocated.channel,
            interface,
            watch,
            slots: Slots::new(leases[0].address(), leases[2].address()),
            terms,
            memory: machine.memory(),
            leases: Mutex::new(leases),
            word,
            pause: machine.signal(passive, "a moment"),
            straight: machine.plan().schedule == Schedule::Straight,
            claimed: AtomicBool::new(false),
        };
        berth.check_allocation(allocated.cpu);
        Some(Arc::new(berth))
    }

    fn check_allocation(&self, cpu: Cpu) {
        let allowed = self.terms.cpus & 1u32.checked_shl(cpu.0).unwrap_or(0) != 0;
        self.require(allowed, "NETDMA-042", || {
            format!(
                "{cpu:?} was chosen, which is not in the mask {:#b}",
                self.terms.cpus
            )
        });
        self.interface.ask_for(cpu);
        self.require(self.watch.lock().words == 0, "AMB-22", || {
            "the completion word was written while the channel was allocated".into()
        });
    }

    /// Says that what was expected did not come true.
    pub(super) fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> bool {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
        holds
    }

    pub(super) fn counted(&self) -> bool {
        self.characteristics.version.counted()
    }

    /// The rule under which what is appended is executed, once.
    pub(super) fn append_rule(&self) -> &'static str {
        if self.counted() { "RACE-2" } else { "RACE-1" }
    }

    fn has(&self, handlers: Handlers) -> bool {
        self.characteristics.handlers.contains(handlers)
    }

    pub(super) fn can_suspend(&self) -> bool {
        self.has(Handlers::SUSPEND_RESUME)
    }

    pub(super) fn can_abort(&self) -> bool {
        self.has(Handlers::ABORT)
    }

    pub(super) fn can_reset(&self) -> bool {
        self.has(Handlers::RESET)
    }

    /// Calls a handler of the provider, with the call and its result in the trace. A call that is refused must not
    /// have made its CPU do an engine's work.
    fn call<T, E: Copy>(
        &self,
        (name, rule): (&'static str, &'static str),
        status: impl FnOnce(E) -> NtStatus,
        handler: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let cpu = self.machine.cpu().0;
        // Below DISPATCH an engine that belongs to this CPU may come in between.
        let worked = || (self.machine.level() >= Irql::DISPATCH).then(|| self.watch.lock().worked(cpu));
        let before = worked();
        self.machine.emit(Event::Call(name));
        let result = handler();
        let status = result
            .as_ref()
            .map_or_else(|error| status(*error), |_| NtStatus::SUCCESS);
        self.machine.emit(Event::Return(name, status));
        if result.is_err() {
            self.require(worked() == before, rule, || {
                format!("{name} was refused, but touched memory or the interrupt line before")
            });
        }
        result
    }

    pub(super) fn start(&self, level: AtMostDispatch<'_>, slots: Range<usize>) -> bool {
        let count = u32::try_from(slots.len()).unwrap_or(0);
        self.start_at(level, self.descriptor(slots.start).start(), slots.len(), count)
    }

    /// Starts with the descriptors that were submitted last, `submitted` of them, and says that they are `count`.
    pub(super) fn start_at(
        &self,
        level: AtMostDispatch<'_>,
        first: BusAddress,
        submitted: usize,
        count: u32,
    ) -> bool {
        self.watch.lock().started(submitted);
        self.call(("ProviderStartDma", "NETDMA-076"), StartError::status, || {
            self.channel.start(level, first, count)
        })
        .is_ok()
    }

    /// Links the tail, where the version wants it, and appends.
    pub(super) fn append(&self, level: AtMostDispatch<'_>, slots: Range<usize>) -> bool {
        let count = u32::try_from(slots.len()).unwrap_or(0);
        if !self.counted() && slots.start > 0 {
            self.link(slots.start - 1, self.descriptor(slots.start).start());
        }
        self.append_at(level, self.descriptor(slots.start).start(), count)
    }

    pub(super) fn append_at(&self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> bool {
        self.call(("ProviderAppendDma", "NETDMA-076"), AppendError::status, || {
            self.channel.append(level, first, count)
        })
        .is_ok()
    }

    /// Aborts, with the oracle watching what the engine still does.
    pub(super) fn abort(&self, level: AtMostDispatch<'_>) -> bool {
        self.stopping(("ProviderAbortDma", "SEED-004-3"), || self.channel.abort(level))
    }

    /// As `abort`, and the channel is as if just allocated.
    pub(super) fn reset(&self, level: AtMostDispatch<'_>) -> bool {
        self.stopping(("ProviderResetChannel", "NETDMA-093"), || {
            self.channel.reset(level)
        })
    }

    fn stopping(
        &self,
        name: (&'static str, &'static str),
        handler: impl FnOnce() -> Result<(), Unsuccessful>,
    ) -> bool {
        let before = self.watch.lock().stop;
        if before != Stop::Quiet {
            // On a straight run nothing runs between here and the moment when the provider waits for its engine.
            self.watch.lock().stop = if self.straight { Stop::Cutting } else { Stop::No };
        }
        let stopped = self.call(name, Unsuccessful::status, handler).is_ok();
        self.watch.lock().stop = if stopped { Stop::Quiet } else { before };
        stopped
    }

    pub(super) fn suspend(&self, level: AtMostDispatch<'_>) -> Option<BusAddress> {
        self.watch.lock().was_held = true;
        let handler = || self.channel.suspend(level);
        let last = self.call(("ProviderSuspendDma", "RACE-4"), Unsuccessful::status, handler);
        if let Ok(last) = last {
            let mut watch = self.watch.lock();
            watch.stop = Stop::Held;
            watch.held = last;
        }
        last.ok()
    }

    pub(super) fn resume(&self, level: AtMostDispatch<'_>) -> bool {
        let before = {
            let mut watch = self.watch.lock();
            let before = watch.stop;
            if before == Stop::Held {
                watch.stop = Stop::No;
            }
            before
        };
        let handler = || self.channel.resume(level);
        let resumed = self.call(("ProviderResumeDma", "AMB-11"), Unsuccessful::status, handler);
        if resumed.is_err() {
            self.watch.lock().stop = before;
        }
        resumed.is_ok()
    }

    /// Gives the channel back.
    pub(super) fn free(&self, level: AtMostDispatch<'_>) {
        self.machine.emit(Event::Call("ProviderFreeDmaChannel"));
        self.channel.free(level);
        self.interface.close();
    }

    /// Gives the channel back, then everything else.
    pub(super) fn close(&self, level: AtMostDispatch<'_>) {
        self.free(level);
        self.give_up_memory();
    }

    /// Gives everything back; the channel too, if it was not given back before.
    pub(super) fn end(&self, passive: &Passive, freed: bool) {
        if !freed {
            self.free(passive.into());
        }
        self.give_up_memory();
    }

    fn give_up_memory(&self) {
        self.take_back();
        let word = BusRange::new(self.word, 64).unwrap_or(BusRange::EMPTY);
        self.hand_over(word, Owner::Cpu);
        let leases = std::mem::take(&mut *self.leases.lock().unwrap_or_else(PoisonError::into_inner));
        drop(leases);
    }

    /// Leaves everything with an engine that never became quiet.
    pub(super) fn abandon(self: &Arc<Self>) {
        self.machine.keep(Arc::clone(self));
    }
}
