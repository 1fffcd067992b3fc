//! NetDMA's side of one channel, as small as a suite needs it: descriptors, a completion word, buffers, and an
//! interface that notes what it is told.

use super::watch::{Expect, SharedWatch, Stop};
use crate::machine::{Machine, Memory, Schedule, Signal};
use crate::suites::Bay;
use longshore_core::event::{Event, Owner};
use longshore_core::machine::{Cpu, Machine as _, Signal as _, Waited};
use longshore_core::{AtMostDispatch, Device, Dispatch, NtStatus, Passive, Rule};
use longshore_hardware::netdma::{
    CompletionWord, ControlFlags, DESCRIPTOR_ALIGNMENT, DESCRIPTOR_SIZE, Descriptor, TransferStatus, offset,
};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_netdma::{ChannelInterface, ChannelParameters, Characteristics, Provider, ProviderChannel};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes that each descriptor moves.
pub(super) const SIZE: u32 = 64;

/// Descriptors in a berth.
pub(super) const SLOTS: usize = 8;

/// Longer than any healthy channel takes.
pub(super) const LONG: Duration = Duration::from_millis(50);

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
    /// It polls, and stops looking when the intruder has begun to act.
    PollUntilClaimed,
}

/// What the provider told NetDMA.
pub(super) struct Interface {
    machine: Machine,
    pub(super) watch: SharedWatch,
    /// Never signalled: a poll that lasts waits for it, so that time passes in leaps.
    pause: Signal,
    /// Signalled at every deferred call.
    pub(super) told: Signal,
    /// What NetDmaIsr and NetDmaInterruptDpc were told, in order.
    isr: Mutex<Vec<BusAddress>>,
    dpc: Mutex<Vec<BusAddress>>,
    pub(super) errors: AtomicU32,
    freed: AtomicBool,
}

impl Interface {
    /// `last` must be a descriptor whose data is complete.
    fn check_last(&self, call: &str, last: BusAddress) {
        let complete = {
            let watch = self.watch.lock();
            watch.error || watch.restarted || watch.is_complete(last)
        };
        // Address zero is what is left to say when an interrupt comes before anything is complete.
        if !complete && !last.is_null() {
            let what = format!("{call} was told {last}, which is no completed descriptor");
            self.machine.find(Rule("SEED-003-14"), what);
        }
        if self.freed.load(Ordering::Relaxed) {
            self.machine.find(
                Rule("RACE-8"),
                format!("{call} was called after the channel was freed"),
            );
        }
    }

    /// Whether both calls have named this descriptor.
    fn was_told(&self, descriptor: BusAddress) -> bool {
        let names = |list: &Mutex<Vec<BusAddress>>| {
            list.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(&descriptor)
        };
        names(&self.isr) && names(&self.dpc)
    }
}

/// The CPU that NetDmaIsr asks for.
const REPORT_CPU: Cpu = Cpu(1);

impl ChannelInterface for Interface {
    fn isr(&self, _: &Device, last: BusAddress) -> Cpu {
        self.machine.emit(Event::Callback("NetDmaIsr", last.raw()));
        self.check_last("NetDmaIsr", last);
        self.isr.lock().unwrap_or_else(PoisonError::into_inner).push(last);
        REPORT_CPU
    }

    fn interrupt_dpc(&self, _: &Dispatch, last: BusAddress) {
        self.machine
            .emit(Event::Callback("NetDmaInterruptDpc", last.raw()));
        self.check_last("NetDmaInterruptDpc", last);
        let cpu = self.machine.cpu();
        if cpu != REPORT_CPU {
            let what = format!("the deferred call runs on {cpu:?}, but NetDmaIsr asked for {REPORT_CPU:?}");
            self.machine.find(Rule("NETDMA-100"), what);
        }
        let error = last.is_null() && self.watch.lock().error;
        if error {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.dpc.lock().unwrap_or_else(PoisonError::into_inner).push(last);
        self.told.set();
    }
}

struct Memories {
    descriptors: Lease<Memory>,
    word: Lease<Memory>,
    data: Lease<Memory>,
}

/// One channel of the provider under test, and everything around it.
pub(super) struct Berth {
    pub(super) machine: Machine,
    pub(super) characteristics: Characteristics,
    /// Lives as long as its channel.
    _provider: Arc<dyn Provider>,
    pub(super) channel: Arc<dyn ProviderChannel>,
    pub(super) interface: Arc<Interface>,
    pub(super) watch: SharedWatch,
    memory: Memory,
    memories: Mutex<Option<Memories>>,
    descriptors: BusAddress,
    word: BusAddress,
    data: BusAddress,
    straight: bool,
    claimed: AtomicBool,
}

impl Berth {
    /// Opens a channel of the provider that `build` makes.
    pub(super) fn open(
        machine: &Machine,
        passive: &Passive,
        build: &dyn Fn(&Bay<'_>) -> Arc<dyn Provider>,
    ) -> Option<Arc<Self>> {
        let memory = machine.memory();
        let lease = |len, align| Lease::new(machine.memory(), len, align).ok();
        let memories = Memories {
            descriptors: lease(DESCRIPTOR_SIZE * SLOTS as u64, DESCRIPTOR_ALIGNMENT)?,
            word: lease(64, 64)?,
            data: lease(3 * u64::from(SIZE) * SLOTS as u64, 64)?,
        };
        let word = memories.word.address();
        let watch = SharedWatch::new(word);
        machine.emit(Event::Handover(memories.word.range(), Owner::Both, OWNED));
        machine.observe(watch.clone());
        let interface = Arc::new(Interface {
            machine: machine.clone(),
            watch: watch.clone(),
            pause: machine.signal(passive, "a moment"),
            told: machine.signal(passive, "the provider's deferred call"),
            isr: Mutex::default(),
            dpc: Mutex::default(),
            errors: AtomicU32::new(0),
            freed: AtomicBool::new(false),
        });
        let provider = build(&Bay::new(machine, passive));
        let parameters = ChannelParameters::new(word, 2);
        let allocated = provider.allocate_channel(passive.into(), parameters, interface.clone());
        let channel = match allocated {
            Ok(allocated) => allocated.channel,
            Err(error) => {
                machine.find(
                    Rule("NETDMA-041"),
                    format!("no channel could be allocated: {error}"),
                );
                return None;
            }
        };
        let berth = Self {
            machine: machine.clone(),
            characteristics: provider.characteristics(),
            _provider: provider,
            channel,
            interface,
            watch,
            memory,
            descriptors: memories.descriptors.address(),
            word,
            data: memories.data.address(),
            memories: Mutex::new(Some(memories)),
            straight: machine.plan().schedule == Schedule::Straight,
            claimed: AtomicBool::new(false),
        };
        berth.fill_sources();
        Some(Arc::new(berth))
    }

    fn fill_sources(&self) {
        let bytes: Vec<u8> = (0..SLOTS as u32 * SIZE)
            .map(|at| (at * 7 + 1).to_le_bytes()[0] | 1)
            .collect();
        let _ = self.memory.write(self.data, &bytes);
    }

    fn slice(base: BusAddress, index: usize, len: u64) -> BusRange {
        let start = base.checked_add(index as u64 * len).unwrap_or(base);
        BusRange::new(start, len).unwrap_or(BusRange::EMPTY)
    }

    pub(super) fn descriptor(&self, slot: usize) -> BusRange {
        Self::slice(self.descriptors, slot % SLOTS, DESCRIPTOR_SIZE)
    }

    fn source(&self, slot: usize) -> BusRange {
        Self::slice(self.data, slot % SLOTS, u64::from(SIZE))
    }

    /// Behind each destination lie as many bytes that stay with software, so that writing on is seen.
    fn destination(&self, slot: usize) -> BusRange {
        Self::slice(self.data, SLOTS + 2 * (slot % SLOTS), u64::from(SIZE))
    }

    /// Writes the descriptors of `slots`, linked as the provider's version wants it, and hands them over.
    pub(super) fn prepare(&self, slots: std::ops::Range<usize>, control: impl Fn(usize) -> ControlFlags) {
        let counted = self.characteristics.version.counted();
        let last = slots.end - 1;
        for slot in slots {
            let (descriptor, source, destination) =
                (self.descriptor(slot), self.source(slot), self.destination(slot));
            let mut content = Descriptor::copy(destination.start(), source.start(), SIZE);
            content.control = control(slot);
            content.user_context = [slot as u64, !0];
            if counted || slot < last {
                content.next = self.descriptor(slot + 1).start();
            }
            let _ = self.memory.write(descriptor.start(), &content.emit());
            self.hand_over(descriptor, Owner::Device);
            if !counted && let Some(next) = descriptor.slice(offset::NEXT, 8) {
                // In 1.x the tail's link is written while the engine may read it (RACE-1).
                self.hand_over(next, Owner::Both);
            }
            self.hand_over(source, Owner::Device);
            self.hand_over(destination, Owner::Device);
            let expect = Expect::new(descriptor.start(), source, destination, content.control);
            self.watch.lock().chain.push(expect);
        }
    }

    fn hand_over(&self, range: BusRange, owner: Owner) {
        self.machine.emit(Event::Handover(range, owner, OWNED));
    }

    /// Calls a handler of the provider, with the call and its result in the trace.
    fn call<T, E: Copy>(
        &self,
        name: &'static str,
        status: impl FnOnce(E) -> NtStatus,
        handler: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.machine.emit(Event::Call(name));
        let result = handler();
        let status = result
            .as_ref()
            .map_or_else(|error| status(*error), |_| NtStatus::SUCCESS);
        self.machine.emit(Event::Return(name, status));
        result
    }

    pub(super) fn start(&self, level: AtMostDispatch<'_>, slots: std::ops::Range<usize>) -> bool {
        let first = self.descriptor(slots.start).start();
        let count = u32::try_from(slots.len()).unwrap_or(0);
        {
            let mut watch = self.watch.lock();
            watch.first = watch.chain.len() - slots.len();
            watch.stop = Stop::No;
        }
        self.call(
            "ProviderStartDma",
            |e: longshore_netdma::provider::StartError| e.status(),
            || self.channel.start(level, first, count),
        )
        .is_ok()
    }

    /// Links the tail, where the version wants it, and appends.
    pub(super) fn append(&self, level: AtMostDispatch<'_>, slots: std::ops::Range<usize>) -> bool {
        let first = self.descriptor(slots.start).start();
        let count = u32::try_from(slots.len()).unwrap_or(0);
        if !self.characteristics.version.counted()
            && let Some(link) = self.descriptor(slots.start + SLOTS - 1).slice(offset::NEXT, 8)
        {
            let _ = self.memory.store_u64(link.start(), first.raw());
        }
        self.call(
            "ProviderAppendDma",
            |e: longshore_netdma::provider::AppendError| e.status(),
            || self.channel.append(level, first, count),
        )
        .is_ok()
    }

    /// Aborts, with the oracle watching what the engine still does.
    pub(super) fn abort(&self, level: AtMostDispatch<'_>) -> bool {
        if self.straight {
            // Nothing runs between here and the moment when the provider waits for its engine.
            self.watch.lock().stop = Stop::Cutting;
        }
        let result = self.call(
            "ProviderAbortDma",
            |e: longshore_netdma::provider::Unsuccessful| e.status(),
            || self.channel.abort(level),
        );
        self.watch.lock().stop = if result.is_ok() { Stop::Quiet } else { Stop::No };
        result.is_ok()
    }

    pub(super) fn suspend(&self, level: AtMostDispatch<'_>) -> Option<BusAddress> {
        self.call(
            "ProviderSuspendDma",
            |e: longshore_netdma::provider::Unsuccessful| e.status(),
            || self.channel.suspend(level),
        )
        .ok()
    }

    pub(super) fn resume(&self, level: AtMostDispatch<'_>) -> bool {
        self.call(
            "ProviderResumeDma",
            |e: longshore_netdma::provider::Unsuccessful| e.status(),
            || self.channel.resume(level),
        )
        .is_ok()
    }

    pub(super) fn word(&self) -> CompletionWord {
        CompletionWord::from_raw(self.memory.load_u64(self.word).unwrap_or(0))
    }

    /// Whether the caller is the one who does what a scenario does once, driver or intruder.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    /// Waits until the word names `slot` or the time is up.
    pub(super) fn wait_for(&self, passive: &Passive, slot: usize, look: Look) -> bool {
        let wanted = self.descriptor(slot).start();
        let begin = self.machine.now().0;
        let mut polls = 0;
        loop {
            let word = self.word();
            if word.descriptor() == wanted {
                return true;
            }
            let late = self.machine.now().0 - begin > LONG.as_nanos() as u64;
            let halted = look == Look::PollUntilHalted && word.status() == TransferStatus::HALTED;
            let claimed = look == Look::PollUntilClaimed && self.is_claimed();
            if late || halted || claimed || self.machine.is_over() {
                return false;
            }
            polls += 1;
            if look != Look::Interrupt && polls < 200 {
                self.machine.relax();
            } else if look != Look::Interrupt {
                let _ = self.interface.pause.wait_for(passive, LONG / 10);
            } else if self.interface.told.wait_for(passive, LONG) == Waited::Signalled {
                self.interface.told.clear();
            } else {
                return self.word().descriptor() == wanted;
            }
        }
    }

    /// Waits until the provider has told of `slot` in its interrupt handler and in its deferred call.
    pub(super) fn wait_until_told(&self, passive: &Passive, slot: usize) -> bool {
        let descriptor = self.descriptor(slot).start();
        while !self.interface.was_told(descriptor) {
            if self.interface.told.wait_for(passive, LONG) != Waited::Signalled {
                return self.interface.was_told(descriptor);
            }
            self.interface.told.clear();
        }
        true
    }

    /// Lets time pass that is longer than any stall that ends.
    pub(super) fn leap(&self, passive: &Passive) {
        let _ = self.interface.pause.wait_for(passive, LONG);
    }

    /// Whether driver or intruder has done what the scenario does once.
    pub(super) fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Takes all data and descriptors back, and looks whether each destination is what `complete` says.
    pub(super) fn take_back(&self) {
        let ranges: Vec<_> = {
            let watch = self.watch.lock();
            watch
                .chain
                .iter()
                .flat_map(|e| [e.source, e.destination])
                .collect()
        };
        ranges
            .into_iter()
            .for_each(|range| self.hand_over(range, Owner::Cpu));
        (0..SLOTS).for_each(|slot| self.hand_over(self.descriptor(slot), Owner::Cpu));
    }

    fn bytes(&self, range: BusRange) -> Vec<u8> {
        let mut bytes = vec![0; range.len() as usize];
        let _ = self.memory.read(range.start(), &mut bytes);
        bytes
    }

    /// Checks what memory holds after the engine stopped behind the descriptor that the word names: what came
    /// before is complete, one descriptor may be torn, the rest is untouched (NETDMA part of abort and errors).
    pub(super) fn check_memory_after_stop(&self, torn: usize) {
        let last = self.word().descriptor();
        let (chain, first) = {
            let watch = self.watch.lock();
            (watch.chain.clone(), watch.first)
        };
        let done = chain
            .iter()
            .rposition(|expect| expect.descriptor == last)
            .filter(|_| !last.is_null());
        for (index, expect) in chain.iter().enumerate().skip(first) {
            let (source, destination) = (self.bytes(expect.source), self.bytes(expect.destination));
            let behind = index as i64 - done.map_or(first as i64 - 1, |done| done as i64);
            let descriptor = expect.descriptor;
            if behind <= 0 && expect.moves() && source != destination {
                let what = format!("the word says that {descriptor} is done, but its data is not there");
                self.machine.find(Rule("SEED-003-2"), what);
            }
            if behind > torn as i64 && destination.iter().any(|&byte| byte != 0) {
                let what = format!("{descriptor} lies behind the one that was cut, but its data was moved");
                self.machine.find(Rule("SEED-004-5"), what);
            }
            let mixed = destination
                .iter()
                .zip(&source)
                .all(|(&now, &new)| now == 0 || now == new);
            if !mixed {
                let what =
                    format!("the destination of {descriptor} holds bytes that are neither old nor new");
                self.machine.find(Rule("NETDMA-092"), what);
            }
        }
        self.check_descriptors_untouched(&chain);
    }

    /// Nobody but the suite writes a descriptor's own part of it.
    fn check_descriptors_untouched(&self, chain: &[Expect]) {
        for expect in chain {
            let bytes =
                self.bytes(BusRange::new(expect.descriptor, DESCRIPTOR_SIZE).unwrap_or(BusRange::EMPTY));
            let Ok(bytes) = bytes.try_into() else { continue };
            if Descriptor::parse(&bytes).user_context[1] != !0 {
                let what = format!("the provider wrote the user context of {}", expect.descriptor);
                self.machine.find(Rule("NETDMA-050"), what);
            }
        }
    }

    /// Says that what was expected did not come true.
    pub(super) fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> bool {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
        holds
    }

    pub(super) fn require_word(&self, slot: usize, status: TransferStatus, rule: &'static str) {
        let wanted = CompletionWord::new(self.descriptor(slot).start(), status);
        let word = self.word();
        self.require(word == wanted, rule, || {
            format!("the completion word is {word:?}, not {wanted:?}")
        });
    }

    /// Gives the channel back, then everything else.
    pub(super) fn close(&self, level: AtMostDispatch<'_>) {
        self.machine.emit(Event::Call("ProviderFreeDmaChannel"));
        self.channel.free(level);
        self.interface.freed.store(true, Ordering::Relaxed);
        self.take_back();
        self.hand_over(Self::slice(self.word, 0, 64), Owner::Cpu);
        let memories = self.memories.lock().map(|mut memories| memories.take());
        drop(memories);
    }

    /// Leaves everything with an engine that never became quiet.
    pub(super) fn abandon(self: &Arc<Self>) {
        self.machine.keep(Arc::clone(self));
    }
}
