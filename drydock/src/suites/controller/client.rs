//! A driver with one transfer on one channel: the calls of its life, one by one.

use super::site::Site;
use super::told::{DEVICE, Told};
use crate::machine::{Machine, Memory, Signal};
use crate::reference::FarEnd;
use longshore_core::completion::Verdict;
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Passive};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_wdm::{
    Adapter, AllocateError, Allocation, AllocationFlags, DeviceDescription, DmaCompletionStatus, FlushError,
    FlushRequest, MapError, MapRequest, Refusal, RegisterBase, State, TransferContext,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of the buffer.
pub(super) const LENGTH: u32 = 24;

/// Bytes of each of its pieces. They do not follow each other, so each is a fragment of its own.
const PIECE: u64 = 8;

/// Longer than any healthy transfer takes.
pub(super) const LONG: Duration = Duration::from_millis(50);

/// What a client's transfer is.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// Which of the devices it is for.
    pub(super) device: usize,
    /// From memory to the device.
    pub(super) write: bool,
    /// It starts over at the end.
    pub(super) looped: bool,
    /// Which pieces of the buffer are beyond the controller's reach.
    pub(super) beyond: [bool; 3],
}

impl Terms {
    /// A receive into memory in reach.
    pub(super) const RECEIVE: Self = Self {
        device: 0,
        write: false,
        looped: false,
        beyond: [false; 3],
    };

    /// How many map registers it asks for: one for each piece out of reach.
    fn registers(self) -> u32 {
        self.beyond.into_iter().map(u32::from).sum()
    }

    /// A send of memory in reach.
    pub(super) const SEND: Self = Self {
        write: true,
        ..Self::RECEIVE
    };
}

pub(super) struct Client {
    pub(super) site: Arc<Site>,
    pub(super) machine: Machine,
    pub(super) adapter: Adapter<Machine>,
    pub(super) context: Arc<TransferContext>,
    pub(super) far: Arc<dyn FarEnd>,
    pub(super) description: DeviceDescription,
    pub(super) terms: Terms,
    pub(super) told: Arc<Told>,
    memory: Memory,
    buffer: Vec<Lease<Memory>>,
    interrupts: bool,
    /// The map registers that a request which could not wait was granted.
    base: Mutex<Option<RegisterBase>>,
    /// Where the mapping begins that is not flushed, and where the next one will.
    mapped: AtomicU32,
    next: AtomicU32,
    /// How many maps succeeded.
    maps: AtomicU32,
    pause: Signal,
    claimed: AtomicBool,
    cancelled: AtomicBool,
    settled: Signal,
}

impl Client {
    /// A client with an adapter and a context, but without a channel. Nothing if the site lacks what the terms need.
    pub(super) fn new(site: &Arc<Site>, passive: &Passive, terms: Terms) -> Option<Arc<Self>> {
        let wired = site.devices.get(terms.device)?;
        let description = Site::description(wired, terms.looped);
        let adapter = site.adapter(passive, description, "WDM-105")?;
        let mut context = TransferContext::new();
        let _ = adapter.initialize_transfer_context(passive, &mut context);
        let machine = site.machine.clone();
        let piece = |beyond: bool| {
            let above = if beyond { site.beyond()? } else { BusAddress::NULL };
            Lease::new(machine.memory().above(above), PIECE, 8).ok()
        };
        Some(Arc::new(Self {
            adapter,
            context: Arc::new(context),
            far: Arc::clone(&wired.far),
            description,
            terms,
            told: Told::new(&machine, passive),
            memory: machine.memory(),
            buffer: terms.beyond.into_iter().map(piece).collect::<Option<_>>()?,
            interrupts: site.interrupts(wired.channel),
            base: Mutex::default(),
            mapped: AtomicU32::new(0),
            next: AtomicU32::new(0),
            maps: AtomicU32::new(0),
            pause: machine.signal(passive, "a moment"),
            claimed: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            settled: machine.signal(passive, "the canceller"),
            site: Arc::clone(site),
            machine,
        }))
    }

    pub(super) fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> bool {
        self.site.require(holds, rule, what)
    }

    pub(super) fn interrupts(&self) -> bool {
        self.interrupts
    }

    /// Byte by byte what is sent or received; a loop goes on from lap to lap.
    pub(super) fn byte(at: u64) -> u8 {
        (at * 5 + 3).to_le_bytes()[0]
    }

    pub(super) fn pattern(range: std::ops::Range<u64>) -> Vec<u8> {
        range.map(Self::byte).collect()
    }

    fn pieces(&self) -> Vec<BusRange> {
        self.buffer.iter().map(Lease::range).collect()
    }

    /// What memory holds.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH as usize];
        for (lease, part) in self.buffer.iter().zip(bytes.chunks_mut(PIECE as usize)) {
            let _ = self.memory.read(lease.address(), part);
        }
        bytes
    }

    /// Fills memory.
    pub(super) fn fill(&self, bytes: &[u8]) {
        for (lease, part) in self.buffer.iter().zip(bytes.chunks(PIECE as usize)) {
            let _ = self.memory.write(lease.address(), part);
        }
    }

    fn request(&self, routine: bool) -> Allocation<Machine> {
        Allocation {
            device_object: DEVICE,
            // As many as there are, if that is fewer (WDM-122): then the maps are short.
            registers: self.terms.registers().min(self.adapter.map_registers()),
            flags: if routine {
                AllocationFlags::ASYNCHRONOUS
            } else {
                AllocationFlags::SYNCHRONOUS
            },
            routine: None,
        }
    }

    /// Asks for the channel, now or never.
    pub(super) fn allocate(&self, dispatch: &Dispatch) -> Result<(), AllocateError> {
        let request = self.request(false);
        let granted = self.adapter.allocate_channel(dispatch, &self.context, request);
        let base = granted.map_err(|refused| refused.why)?;
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = base;
        Ok(())
    }

    /// Frees the map registers that were kept; nothing if there are none to name.
    pub(super) fn free_registers(&self, dispatch: &Dispatch) -> Option<Result<(), Refusal>> {
        let base = (*self.base.lock().unwrap_or_else(PoisonError::into_inner))?;
        let count = self.request(false).registers;
        Some(self.adapter.free_map_registers(dispatch, base, count))
    }

    /// Asks for the channel, now or when its turn comes; `granted` is called then, with the channel held.
    pub(super) fn queue(
        &self,
        dispatch: &Dispatch,
        granted: impl FnOnce(&Dispatch) -> longshore_wdm::IoAllocationAction + Send + 'static,
    ) -> Result<(), AllocateError> {
        let request = Allocation {
            routine: Some(Box::new(move |dispatch: &Dispatch, _: &_, _| granted(dispatch))),
            ..self.request(true)
        };
        self.adapter
            .allocate_channel(dispatch, &self.context, request)
            .map(drop)
            .map_err(|refused| refused.why)
    }

    /// Takes a channel that is free.
    pub(super) fn take_channel(&self, passive: &mut Passive) -> bool {
        let allocated = self.machine.raise(passive, |dispatch| self.allocate(dispatch));
        self.require(allocated.is_ok(), "WDM-126", || {
            format!("a free channel was not granted: {allocated:?}")
        })
    }

    /// Maps what is left of the buffer, whatever the answer is.
    pub(super) fn map(&self, level: AtMostDispatch<'_>) -> Result<u32, MapError> {
        let number = self.maps.load(Ordering::Relaxed);
        let offset = self.next.load(Ordering::Relaxed);
        let pieces = self.pieces();
        let mut request = MapRequest::new(Segments::new(&pieces), LENGTH - offset, self.terms.write);
        request.offset = u64::from(offset);
        request.completion =
            Some(
                self.told
                    .routine(&self.machine, number, self.description, self.interrupts),
            );
        request.context = Told::context(number);
        // Before the map: its routine may come before it returns.
        let before = self.mapped.swap(offset, Ordering::Relaxed);
        let mapped = self.site.stack.map(level, &self.adapter, &self.context, request);
        if let Ok(len) = mapped {
            self.maps.store(number + 1, Ordering::Relaxed);
            self.next.store(offset + len, Ordering::Relaxed);
        } else {
            self.mapped.store(before, Ordering::Relaxed);
        }
        mapped
    }

    /// Prepares the device for the bytes from where the next map begins, and maps. Says how many were mapped.
    pub(super) fn start(&self, passive: &Passive, laps: u64) -> Option<u32> {
        let offset = u64::from(self.next.load(Ordering::Relaxed));
        self.far.begin();
        let end = u64::from(LENGTH) * laps;
        if self.terms.write {
            if offset == 0 {
                self.fill(&Self::pattern(0..u64::from(LENGTH)));
            }
            self.far.take_at_most(end.saturating_sub(offset));
        } else if laps > 0 {
            self.far.supply(&Self::pattern(offset..end));
        }
        match self.map(passive.into()) {
            Ok(mapped) => Some(mapped),
            Err(error) => {
                let struck = self.is_cancelled() && error == MapError::Refused(Refusal::Cancelled);
                self.require(struck, "WDM-150", || format!("the map gave {error:?}"));
                None
            }
        }
    }

    /// Flushes what is mapped, which must succeed.
    pub(super) fn flush(&self, level: AtMostDispatch<'_>) {
        let flushed = self.try_flush(level);
        self.require(flushed.is_ok(), "WDM-172", || {
            format!("the flush gave {flushed:?}")
        });
    }

    /// Flushes what is mapped, whatever the answer is.
    pub(super) fn try_flush(&self, level: AtMostDispatch<'_>) -> Result<(), FlushError> {
        let pieces = self.pieces();
        let offset = self.mapped.load(Ordering::Relaxed);
        let request = FlushRequest {
            buffer: Segments::new(&pieces),
            offset: u64::from(offset),
            length: self.next.load(Ordering::Relaxed) - offset,
            write_to_device: self.terms.write,
        };
        self.adapter.flush(level, &self.context, request).map(drop)
    }

    /// How many maps succeeded so far.
    pub(super) fn maps_so_far(&self) -> u32 {
        self.maps.load(Ordering::Relaxed)
    }

    /// The strike is over.
    pub(super) fn settled(&self) {
        self.settled.set();
    }

    /// The number of the last map that succeeded.
    pub(super) fn last_map(&self) -> u32 {
        self.maps.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// The next map is to begin here.
    pub(super) fn rewind(&self, to: u32) {
        self.next.store(to, Ordering::Relaxed);
    }

    /// Where the mapping begins that is not flushed, and where it ends.
    pub(super) fn window(&self) -> (u32, u32) {
        (
            self.mapped.load(Ordering::Relaxed),
            self.next.load(Ordering::Relaxed),
        )
    }

    /// Waits for the end of the last map, as a driver of this controller must: by its completion routine, or by
    /// polling. A loop's periods are passed over.
    pub(super) fn wait(&self, passive: &Passive) -> Option<DmaCompletionStatus> {
        let map = self.last_map();
        let ended = || {
            let is_end = |status: &DmaCompletionStatus| {
                !(self.terms.looped && *status == DmaCompletionStatus::COMPLETE)
            };
            self.told.of(map).into_iter().find(is_end)
        };
        for _ in 0..64 {
            if !self.interrupts {
                if let Some(outcome) = self.adapter.poll(passive, &self.context).outcome {
                    return Some(status_of(outcome.verdict));
                }
                let _ = self.pause.wait_for(passive, LONG / 1000);
                continue;
            }
            // Before the look, so that what is told behind it is not missed.
            self.told.listen();
            let since = self.machine.now();
            if ended().is_some() {
                break;
            }
            self.told.wait(passive, LONG);
            if self.machine.now().0 - since.0 >= u64::try_from(LONG.as_nanos()).unwrap_or(u64::MAX) {
                break;
            }
        }
        ended()
    }

    /// From now on a cancel may strike, once.
    pub(super) fn arm(self: &Arc<Self>) {
        let striker = Arc::clone(self);
        self.machine.arm(move |dispatch| {
            if striker.claim() {
                striker.cancel(dispatch.into());
                striker.settled.set();
            }
        });
    }

    /// Whether the one cancel is the caller's to make.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    /// After this no strike does anything any more, and one that began is over. Says whether there was one.
    pub(super) fn settle(&self, passive: &Passive) -> bool {
        let struck = !self.claim() && self.machine.struck();
        if struck {
            self.wait_settled(passive);
        }
        struck
    }

    /// Whether a cancel has begun.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Waits until the strike is over.
    pub(super) fn wait_settled(&self, passive: &Passive) {
        let _ = self.settled.wait_for(passive, LONG);
    }

    /// The first cancel of a context that is not blank.
    pub(super) fn cancel(&self, level: AtMostDispatch<'_>) {
        self.cancelled.store(true, Ordering::Relaxed);
        let answer = self.adapter.cancel_mapped(level, &self.context);
        self.require(answer.is_ok(), "A-11", || {
            format!("the first cancel failed: {answer:?}")
        });
    }

    pub(super) fn state(&self, passive: &Passive) -> State {
        self.adapter.poll(passive, &self.context).state
    }
}

fn status_of(verdict: Verdict) -> DmaCompletionStatus {
    match verdict {
        Verdict::Completed => DmaCompletionStatus::COMPLETE,
        Verdict::Cancelled => DmaCompletionStatus::CANCELLED,
        Verdict::Failed(_) => DmaCompletionStatus::ERROR,
    }
}
