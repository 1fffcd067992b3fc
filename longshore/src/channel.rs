//! A channel, and its first floor: operations with tags.

use crate::bell::Bell;
use crate::buffer::{Buffer, BufferError};
use crate::core::machine::{Instant, Machine as _, Timer as _};
use crate::core::{AtMostDispatch, Passive};
use crate::cpu::InlineCpu;
use crate::engine::Engine;
use crate::host::{Host, Machine, Timer};
use crate::job::Job;
use crate::netdma::provider::Unsuccessful;
use crate::netdma::{Ring, RingOptions};
use crate::options::{OpenError, Options};
use crate::outcome::{Completion, Reason, Refused, Unanswered};
use crate::state::State;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// A channel that moves memory, for one user.
///
/// It can be sent to another thread, but not be shared by two: a program that copies on several threads opens a channel
/// on each, with one [host](Options::host) if buffers are to go from one to the other.
///
/// ```
/// use longshore::{Completion, DmaChannel, Job, WorkerCpu};
///
/// let channel = DmaChannel::open(WorkerCpu)?;
/// let (source, destination) = (channel.buffer_from(b"twelve bytes")?, channel.buffer(12)?);
/// channel.submit(7, Job::copy(source, destination))?;
/// channel.doorbell()?;
/// assert!(channel.wait(None));
///
/// let mut done = [Completion::EMPTY];
/// assert_eq!(channel.poll(&mut done), 1);
/// let [done] = done;
/// assert!(done.tag == 7 && done.outcome.is_completed());
/// let buffers = done.buffers.pair().expect("a copy has two");
/// assert_eq!(buffers.destination.to_vec(), b"twelve bytes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping a channel ends everything that is pending. If the engine does not answer, what it has is left to it for good.
/// The memory of buffers that came back stays valid as long as they do.
pub struct DmaChannel<E: Engine = InlineCpu> {
    // First of all to be dropped: from then on nobody rings.
    state: RefCell<State<E>>,
    bell: Arc<Bell>,
    /// Rings when a time is up, for those who sleep.
    alarm: Timer,
    armed: Cell<Option<Instant>>,
    /// Tasks may wait for the bell.
    awaited: Cell<bool>,
    looks: u32,
    pub(crate) patience: Duration,
    machine: Machine,
    host: Arc<Host>,
}

impl<E: Engine> DmaChannel<E> {
    /// Opens a channel on an engine, with a host of its own. Needs an ordinary thread.
    pub fn open(engine: E) -> Result<Self, OpenError> {
        Options::new().open(engine)
    }

    pub(crate) fn open_with(engine: E, options: Options) -> Result<Self, OpenError> {
        let host = options.find_host()?;
        let machine = host.machine().clone();
        let passive = Passive::now(&machine).ok_or(OpenError::NotPassive)?;
        let bell = Arc::new(Bell::new(&passive, &machine));
        let started = engine.start(&passive, &machine);
        let ring_options = RingOptions {
            entries: options.entries,
            interrupts: E::RUNS_BY_ITSELF,
            ..RingOptions::default()
        };
        let ring = Ring::open(
            &passive,
            &machine,
            started.limits,
            ring_options,
            bell.clone(),
            |level, parameters, interface| {
                bell.set_word(parameters.completion);
                (started.allocate)(level, parameters, interface)
            },
        )
        .map_err(OpenError::Ring)?;
        bell.set_cpu(ring.cpu());
        let alarm = {
            let bell = bell.clone();
            machine.timer(&passive, "channel alarm", move |_| bell.ring())
        };
        Ok(Self {
            state: RefCell::new(State::new(ring, &machine)),
            bell,
            alarm,
            armed: Cell::new(None),
            awaited: Cell::new(false),
            looks: options.looks,
            patience: options.patience,
            machine,
            host,
        })
    }

    /// The host that it runs on.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    // ---- buffers ----

    /// Reserves a buffer. It holds whatever these bytes held before.
    pub fn buffer(&self, len: usize) -> Result<Buffer, BufferError> {
        Buffer::new(&self.machine.memory(), len)
    }

    /// Reserves a buffer that holds a copy of these bytes.
    pub fn buffer_from(&self, bytes: &[u8]) -> Result<Buffer, BufferError> {
        let mut buffer = self.buffer(bytes.len())?;
        buffer.write(0, bytes)?;
        Ok(buffer)
    }

    // ---- operations with tags ----

    /// Queues a job, whole or not at all. The engine hears of it at the [doorbell](Self::doorbell). Tags need not be
    /// different from each other.
    #[inline]
    pub fn submit(&self, tag: u64, job: Job) -> Result<(), Refused> {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Err(Refused {
                reason: Reason::NotHere,
                given: job,
            });
        };
        state.submit(tag, job, || self.machine.now())?;
        self.arm(&state);
        self.keep_event(&state);
        Ok(())
    }

    /// Gives all that is queued to the engine. If that fails it stays queued.
    #[inline]
    pub fn doorbell(&self) -> Result<(), Reason> {
        self.with(|state, level| state.ring.doorbell(level))?
            .map_err(Reason::from)
    }

    /// Hands out outcomes of operations with tags, as many as there are and as there is room for. Returns how many. It
    /// never waits, and does a bounded amount of work. It overwrites what lies in the room from a poll before.
    #[inline]
    pub fn poll(&self, room: &mut [Completion]) -> usize {
        self.look(|state, level| state.poll(level, room)).unwrap_or(0)
    }

    /// Rings the doorbell and waits until there is an outcome to poll, or the time is up. False also if no operation with
    /// a tag is pending, or the engine does not take what is queued. Without a limit, it lets a suspended engine go on.
    pub fn wait(&self, limit: Option<Duration>) -> bool {
        if self.doorbell().is_err() {
            return false;
        }
        let found = self.block(limit, |state| match state.has_tagged() {
            false if state.pending_tags() > 0 => None,
            found => Some(found),
        });
        found.unwrap_or(false)
    }

    /// Cancels the operations with this tag. Returns how many were asked to end; their outcomes come by
    /// [poll](Self::poll), and may still be another one.
    pub fn cancel(&self, tag: u64) -> usize {
        self.with(|state, level| state.cancel_tag(level, tag))
            .unwrap_or(0)
    }

    /// Cancels the operations with such tags, all in one go. `wanted` may use the channel; what it submits is not asked
    /// for.
    pub fn cancel_where(&self, mut wanted: impl FnMut(u64) -> bool) -> usize {
        // Nothing is borrowed while the user's closure runs.
        let Ok(mut chosen) = self.with(|state, level| state.tagged_operations(level)) else {
            return 0;
        };
        chosen.retain(|&(_, tag)| wanted(tag));
        self.with(|state, level| state.cancel_chosen(level, &chosen))
            .unwrap_or(0)
    }

    /// Cancels everything that is pending, with a tag or without.
    pub fn cancel_all(&self) -> usize {
        self.with(|state, level| state.ring.cancel_all(level))
            .unwrap_or(0)
    }

    /// Stops the engine at once, in the middle of a copy, and cancels everything that is pending. The channel starts
    /// again with the next doorbell.
    pub fn abort(&self) -> Result<(), Unanswered> {
        self.stop(|state, level| state.ring.abort(level))
    }

    /// Holds the engine between two descriptors, until it is resumed or aborted. Until then only what was done already
    /// ends, or is cancelled. A wait without a limit lets the engine go on, as it could not end otherwise; polls, waits with
    /// a limit, awaiting and the end of a scope do not.
    pub fn suspend(&self) -> Result<(), Unanswered> {
        self.stop(|state, level| state.ring.suspend(level))
    }

    /// Lets the engine go on.
    pub fn resume(&self) -> Result<(), Unanswered> {
        self.stop(|state, level| state.ring.resume(level))
    }

    /// An event for poll(2), select(2) or an epoll set. It is readable while a [poll](Self::poll) has something to do:
    /// hand out outcomes, or work that only goes on in polls. Only polls make it unreadable again; nobody else may read
    /// it.
    pub fn event_fd(&self) -> io::Result<BorrowedFd<'_>> {
        let fd = self.bell.fd()?;
        // Whatever has happened so far is told by this look.
        let _ = self.look(|state, level| state.collect(level));
        Ok(fd)
    }

    /// How many operations, with a tag or without, are not over as far as is known.
    pub fn pending(&self) -> usize {
        self.state
            .try_borrow()
            .map_or(0, |state| state.ring.pending() as usize)
    }

    fn stop(
        &self,
        stop: impl FnOnce(&mut State<E>, AtMostDispatch<'_>) -> Result<(), Unsuccessful>,
    ) -> Result<(), Unanswered> {
        let answer = self.with(stop).map_err(|_| Unanswered)?;
        answer.map_err(|_| Unanswered)
    }

    // ---- for all floors ----

    /// A call that looks for outcomes.
    #[inline]
    pub(crate) fn look<R>(
        &self,
        look: impl FnOnce(&mut State<E>, AtMostDispatch<'_>) -> R,
    ) -> Result<R, Reason> {
        if self.bell.has_fd() {
            self.bell.lower();
        }
        self.with(look)
    }

    /// A call that may change what is pending.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        call: impl FnOnce(&mut State<E>, AtMostDispatch<'_>) -> R,
    ) -> Result<R, Reason> {
        let mut state = self.state.try_borrow_mut().map_err(|_| Reason::NotHere)?;
        if self.bell.has_fd() {
            // The engine may be done before this call is.
            self.bell.expect();
        }
        let result = self.at_level(|level| call(&mut state, level))?;
        self.arm(&state);
        self.keep_event(&state);
        // What this call brought about, no interrupt tells those who await it.
        let news = self.awaited.get() && (state.take_mailed() || state.ring.has_work());
        drop(state);
        if news {
            // A waker may come back into the channel at once.
            self.awaited.set(false);
            self.bell.wake_tasks();
        }
        Ok(result)
    }

    /// This task is to be woken when there is news. It must look once more before it lies down.
    pub(crate) fn listen(&self, waker: &Waker) {
        self.awaited.set(true);
        self.bell.listen(waker);
    }

    #[inline]
    fn at_level<R>(&self, call: impl FnOnce(AtMostDispatch<'_>) -> R) -> Result<R, Reason> {
        let level = AtMostDispatch::now(&self.machine).ok_or(Reason::NotHere)?;
        Ok(call(level))
    }

    /// Sets the alarm to the next time that is up.
    #[inline]
    fn arm(&self, state: &State<E>) {
        let next = state.ring.next_deadline();
        if next == self.armed.get() {
            return;
        }
        self.armed.set(next);
        if let Some(next) = next {
            self.alarm
                .set(Duration::from_nanos(next.0.saturating_sub(self.machine.now().0)));
        }
    }

    /// Keeps the event right, if there is one.
    #[inline]
    fn keep_event(&self, state: &State<E>) {
        if self.bell.has_fd() {
            let more = state.has_tagged() || state.is_busy();
            let expecting = state.ring.is_engine_busy() || state.ring.next_deadline().is_some();
            self.bell.looked(more, expecting, state.ring.last_done());
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.machine.now()
    }

    /// Looks for outcomes until `find` finds something, or the time is up. Sleeps where that is of use.
    pub(crate) fn block<R>(
        &self,
        limit: Option<Duration>,
        mut find: impl FnMut(&mut State<E>) -> Option<R>,
    ) -> Option<R> {
        let end = limit.map(|limit| {
            let nanoseconds = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
            self.now().0.saturating_add(nanoseconds)
        });
        let mut looks = 0;
        loop {
            let (found, busy, held) = self.seek(&mut find).ok()?;
            if found.is_some() {
                return found;
            }
            let left = end.map(|end| end.saturating_sub(self.now().0));
            if left == Some(0) {
                return None;
            }
            if left.is_none() && held {
                let _ = self.with(State::let_go);
                continue;
            }
            if busy {
                continue;
            }
            looks += 1;
            if !held && (looks < self.looks || !E::RUNS_BY_ITSELF) {
                self.machine.relax();
            } else if let Some(found) = self.sleep(left, &mut find) {
                return Some(found);
            }
        }
    }

    /// One look. Returns also whether another one would have something to do, and whether the engine is held.
    fn seek<R>(
        &self,
        find: &mut impl FnMut(&mut State<E>) -> Option<R>,
    ) -> Result<(Option<R>, bool, bool), Reason> {
        self.look(|state, level| {
            if let Some(found) = find(state) {
                return (Some(found), true, false);
            }
            state.collect(level);
            (find(state), state.is_busy(), state.is_held())
        })
    }

    /// Sleeps until there is news, unless a last look finds something.
    fn sleep<R>(&self, left: Option<u64>, find: &mut impl FnMut(&mut State<E>) -> Option<R>) -> Option<R> {
        self.bell.lie_down();
        let found = match (self.seek(find).ok()?, Passive::probe(&self.machine)) {
            ((None, false, _), Some(passive)) => {
                let _ = self.bell.sleep(&passive, left.map(Duration::from_nanos));
                None
            }
            ((found, ..), _) => found,
        };
        self.bell.get_up();
        found
    }
}

impl<E: Engine> fmt::Debug for DmaChannel<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DmaChannel({} pending)", self.pending())
    }
}
