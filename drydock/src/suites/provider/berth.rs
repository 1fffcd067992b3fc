//! NetDMA's side of one channel, as small as a suite needs it: the channel and its calls.

use super::Subject;
use super::expect::Expect;
use super::interface::Interface;
use super::slots::{Slots, pattern};
use super::watch::{SharedWatch, Stop};
use crate::machine::{Machine, Memory, Schedule, Signal};
use crate::suites::Bay;
use longshore_core::event::{Event, Owner};
use longshore_core::machine::{Cpu, Machine as _, Signal as _, Waited};
use longshore_core::{AtMostDispatch, Dispatch, Irql, NtStatus, Passive, Rule};
use longshore_hardware::netdma::{CompletionWord, ControlFlags, Descriptor, TransferStatus, offset};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore_netdma::{ChannelParameters, Characteristics, Handlers, ProviderChannel};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longer than any healthy channel takes.
pub(super) const LONG: Duration = Duration::from_millis(50);

/// Looks in a row before a wait lets time pass in leaps.
const LOOKS: u32 = 200;

const OWNED: Rule = Rule("NETDMA-079");

/// How the suite finds out that a descriptor is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It waits for the provider's deferred call.
    Interrupt,
    /// It polls the completion word.
    Poll,
    /// It polls, and stops looking when the engine has halted.
    PollUntilHalted,
}

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
    leases: Mutex<Vec<Lease<Memory>>>,
    word: BusAddress,
    /// Never signalled: a poll that lasts waits for it, so that time passes in leaps.
    pause: Signal,
    straight: bool,
    claimed: AtomicBool,
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

    // ---- descriptors ----

    pub(super) fn descriptor(&self, slot: usize) -> BusRange {
        self.slots.descriptor(slot)
    }

    /// The completion word.
    pub(super) fn word_range(&self) -> BusRange {
        BusRange::new(self.word, 8).unwrap_or(BusRange::EMPTY)
    }

    /// Memory of the scenario's own, until the channel is closed.
    pub(super) fn lease(&self, len: u64, align: u64) -> BusAddress {
        let lease = Lease::new(self.machine.memory(), len, align);
        let leased = lease.map(|lease| (lease.address(), lease));
        match leased {
            Ok((address, lease)) => {
                self.leases
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(lease);
                address
            }
            Err(_) => BusAddress::NULL,
        }
    }

    /// The descriptors of `slots`, linked as the provider's version wants it.
    pub(super) fn plain(&self, slots: Range<usize>, control: impl Fn(usize) -> ControlFlags) -> Vec<Expect> {
        let last = slots.end - 1;
        let expect = |slot| {
            let mut content = self.slots.content(slot, self.counted() || slot < last);
            content.control = control(slot);
            Expect::new(self.descriptor(slot), content)
        };
        slots.map(expect).collect()
    }

    /// Writes these descriptors and their data, and hands them over as one submission.
    pub(super) fn submit(&self, chain: Vec<Expect>) {
        let last = chain.len() - 1;
        // One may read what another reads or writes, so all are written before any is handed over.
        chain.iter().for_each(|expect| self.write_sources(expect));
        for (index, mut expect) in chain.into_iter().enumerate() {
            self.give(&expect);
            expect.tail = index == last;
            self.watch.lock().chain.push(expect);
        }
    }

    /// Writes what a descriptor reads.
    pub(super) fn write_sources(&self, expect: &Expect) {
        for part in &expect.parts {
            let _ = self.memory.write(part.from.start(), &pattern(part.from));
        }
    }

    /// Writes a descriptor, and hands it over together with its data.
    pub(super) fn give(&self, expect: &Expect) {
        self.write_descriptor(expect.descriptor, &expect.content);
        for part in expect.parts.iter().chain(&expect.kept) {
            self.hand_over(part.from, Owner::Device);
            self.hand_over(part.to, Owner::Device);
        }
    }

    /// Writes a descriptor and hands it over.
    pub(super) fn write_descriptor(&self, descriptor: BusRange, content: &Descriptor) {
        let _ = self.memory.write(descriptor.start(), &content.emit());
        self.hand_over(descriptor, Owner::Device);
        if !self.counted()
            && let Some(next) = descriptor.slice(offset::NEXT, 8)
        {
            // In 1.x the tail's link is written while the engine may read it (RACE-1).
            self.hand_over(next, Owner::Both);
        }
    }

    /// Writes the descriptors of `slots`, linked as the provider's version wants it, and hands them over.
    pub(super) fn prepare(&self, slots: Range<usize>, control: impl Fn(usize) -> ControlFlags) {
        self.submit(self.plain(slots, control));
    }

    pub(super) fn hand_over(&self, range: BusRange, owner: Owner) {
        self.machine.emit(Event::Handover(range, owner, OWNED));
    }

    // ---- calls ----

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

    /// Links a slot's descriptor on, in one access: the engine may be reading it.
    fn link(&self, slot: usize, next: BusAddress) {
        let descriptor = self.descriptor(slot);
        if let Some(link) = descriptor.slice(offset::NEXT, 8) {
            let _ = self.memory.store_u64(link.start(), next.raw());
        }
        let mut watch = self.watch.lock();
        if let Some(index) = watch.index_of(descriptor.start()) {
            watch.chain[index].content.next = next;
        }
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

    // ---- waiting ----

    pub(super) fn word(&self) -> CompletionWord {
        CompletionWord::from_raw(self.memory.load_u64(self.word).unwrap_or(0))
    }

    /// Whether the caller is the one who does what a scenario does once, driver or intruder.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    /// Whether driver or intruder has begun what the scenario does once.
    pub(super) fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Looks again and again until it is so; no if it is not within a long time.
    pub(super) fn wait_until(&self, passive: &Passive, is_so: impl Fn(&Self) -> bool) -> bool {
        let begin = self.machine.now().0;
        let mut looks = 0;
        while !is_so(self) {
            let late = self.machine.now().0 - begin > LONG.as_nanos() as u64;
            if late || self.machine.is_over() {
                return false;
            }
            looks += 1;
            if looks < LOOKS {
                self.machine.relax();
            } else {
                let _ = self.pause.wait_for(passive, LONG / 10);
            }
        }
        true
    }

    /// Waits until the word names `slot` or the time is up.
    pub(super) fn wait_for(&self, passive: &Passive, slot: usize, look: Look) -> bool {
        let wanted = self.descriptor(slot).start();
        if look == Look::Interrupt {
            return self.wait_for_interrupt(passive, wanted);
        }
        let is_over = |word: CompletionWord| {
            let halted = look == Look::PollUntilHalted && word.status() == TransferStatus::HALTED;
            word.descriptor() == wanted || halted
        };
        self.wait_until(passive, |berth| is_over(berth.word()));
        self.word().descriptor() == wanted
    }

    fn wait_for_interrupt(&self, passive: &Passive, wanted: BusAddress) -> bool {
        while self.word().descriptor() != wanted && !self.machine.is_over() {
            if self.interface.told.wait_for(passive, LONG) != Waited::Signalled {
                break;
            }
            self.interface.told.clear();
        }
        self.word().descriptor() == wanted
    }

    /// Waits until the provider has told of `slot` in its interrupt handler and in its deferred call.
    pub(super) fn wait_until_told(&self, passive: &Passive, slot: usize) -> bool {
        let descriptor = self.descriptor(slot).start();
        self.wait_until(passive, |berth| berth.interface.was_told(descriptor))
    }

    /// Gives others a few turns.
    pub(super) fn rest(&self) {
        (0..8).for_each(|_| self.machine.relax());
    }

    /// Lets time pass that is longer than any stall that ends, so that whatever is still under way comes.
    pub(super) fn leap(&self, passive: &Passive) {
        let _ = self.pause.wait_for(passive, LONG);
    }

    /// Lets the intruder act wherever it strikes until `is_over`; if it does not, the driver acts then. Both at
    /// DISPATCH.
    pub(super) fn strike(
        self: &Arc<Self>,
        passive: &mut Passive,
        is_over: impl Fn(&Self) -> bool,
        act: impl Fn(&Self, &Dispatch) + Send + Clone + 'static,
    ) {
        let acted = Arc::new(self.machine.signal(passive, "the intruder"));
        let (striker, done, strike) = (Arc::clone(self), Arc::clone(&acted), act.clone());
        self.machine.arm(move |dispatch: &Dispatch| {
            if striker.claim() {
                strike(&striker, dispatch);
                done.set();
            }
        });
        let ended = self.wait_until(passive, |berth| berth.is_claimed() || is_over(berth));
        if self.claim() {
            self.require(ended, "SEED-003-8", || "the chain never ended".into());
            self.machine.raise(passive, |dispatch| act(self, dispatch));
        } else {
            let _ = acted.wait_for(passive, LONG);
        }
        self.machine.disarm();
    }

    // ---- the end ----

    /// Takes all data and descriptors back.
    pub(super) fn take_back(&self) {
        let chain = self.watch.lock().chain.clone();
        for expect in &chain {
            for part in expect.parts.iter().chain(&expect.kept) {
                self.hand_over(part.from, Owner::Cpu);
                self.hand_over(part.to, Owner::Cpu);
            }
            self.hand_over(expect.descriptor, Owner::Cpu);
        }
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
