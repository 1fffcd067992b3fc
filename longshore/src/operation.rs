//! The second and third floor: operations that somebody owns, waits for or awaits.

use crate::buffer::Buffer;
use crate::channel::DmaChannel;
use crate::engine::Engine;
use crate::job::{Buffers, Job, Lists, Pair, Returned};
use crate::mail::{Key, Letter};
use crate::outcome::{Finished, Reason, Refused};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// An operation under way. It has its buffers until it is over, and gives them back with the outcome, in the form `B`.
///
/// It can be waited for, or awaited in any executor. It runs in either case; but an engine that works on its user's CPU
/// works only while somebody waits, awaits or polls.
///
/// Dropping it cancels it. Its buffers are free when the engine is done with them. Forgetting it leaks its buffers until
/// the channel is dropped, and nothing else.
///
/// What is being copied cannot be touched:
///
/// ```compile_fail,E0382
/// # use longshore::{DmaChannel, InlineCpu};
/// let channel = DmaChannel::open(InlineCpu).unwrap();
/// let (source, mut destination) = (channel.buffer(8).unwrap(), channel.buffer(8).unwrap());
/// let copy = channel.copy(source, destination).unwrap();
/// destination.write(0, b"too soon");
/// ```
///
/// It can when it came back:
///
/// ```
/// # use longshore::{DmaChannel, InlineCpu};
/// let channel = DmaChannel::open(InlineCpu).unwrap();
/// let (source, mut destination) = (channel.buffer(8).unwrap(), channel.buffer(8).unwrap());
/// let copy = channel.copy(source, destination).unwrap();
/// destination = copy.wait().buffers.destination;
/// destination.write(0, b"in time!");
/// ```
///
/// A channel is not freed beneath its operations:
///
/// ```compile_fail,E0505
/// # use longshore::{DmaChannel, InlineCpu};
/// let channel = DmaChannel::open(InlineCpu).unwrap();
/// let copy = channel.copy(channel.buffer(8).unwrap(), channel.buffer(8).unwrap()).unwrap();
/// drop(channel);
/// copy.wait();
/// ```
///
/// ```
/// # use longshore::{DmaChannel, InlineCpu};
/// let channel = DmaChannel::open(InlineCpu).unwrap();
/// let copy = channel.copy(channel.buffer(8).unwrap(), channel.buffer(8).unwrap()).unwrap();
/// copy.wait();
/// drop(channel);
/// ```
#[must_use = "an operation that is dropped is cancelled"]
pub struct Operation<'c, B: Returned, E: Engine> {
    channel: &'c DmaChannel<E>,
    key: Key,
    form: PhantomData<fn() -> B>,
}

impl<E: Engine> DmaChannel<E> {
    /// Copies a buffer to another one of the same length.
    ///
    /// ```
    /// use longshore::{DmaChannel, InlineCpu};
    ///
    /// let channel = DmaChannel::open(InlineCpu)?;
    /// let copy = channel.copy(channel.buffer_from(b"moved")?, channel.buffer(5)?)?;
    /// let done = copy.wait();
    /// assert!(done.outcome.is_completed());
    /// assert_eq!(done.buffers.destination.to_vec(), b"moved");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn copy(&self, source: Buffer, destination: Buffer) -> Result<Operation<'_, Pair, E>, Refused<Pair>> {
        self.begin(Job::copy(source, destination))
    }

    /// Copies bytes that lie in several places, on either side. Together both sides are equally long; they need not be
    /// cut at the same bytes.
    pub fn copy_list(
        &self,
        source: Vec<Buffer>,
        destination: Vec<Buffer>,
    ) -> Result<Operation<'_, Lists, E>, Refused<Lists>> {
        self.begin(Job::copy_list(source, destination))
    }

    /// Fills a buffer with a pattern, which begins with its low byte and is repeated.
    pub fn fill(&self, buffer: Buffer, pattern: u64) -> Result<Operation<'_, Buffer, E>, Refused<Buffer>> {
        self.begin(Job::fill(buffer, pattern))
    }

    /// Compares two buffers of the same length. The outcome is completed where they are the same, and otherwise the
    /// offset of the first difference.
    pub fn compare(&self, left: Buffer, right: Buffer) -> Result<Operation<'_, Pair, E>, Refused<Pair>> {
        self.begin(Job::compare(left, right))
    }

    /// Starts any job, and rings the doorbell.
    pub fn start(&self, job: Job) -> Result<Operation<'_, Buffers, E>, Refused<Buffers>> {
        self.begin(job)
    }

    fn begin<B: Returned>(&self, job: Job) -> Result<Operation<'_, B, E>, Refused<B>> {
        let mut job = Some(job);
        let accepted = self.with(|state, _| job.take().map(|job| state.mail(job, || self.now())));
        let refused = match (accepted, job) {
            (Ok(Some(Ok(key))), _) => return self.ring_for(Operation::new(self, key)),
            (Ok(Some(Err(refused))), _) => refused,
            (Err(reason), Some(given)) => Refused { reason, given },
            (Ok(None) | Err(_), None) | (Ok(None), Some(_)) => unreachable!("a job is taken or left"),
        };
        Err(Refused {
            reason: refused.reason,
            given: as_given(refused.given.into_buffers()),
        })
    }

    /// Rings the doorbell for an operation. If the engine does not take it, it is taken out again.
    fn ring_for<'c, B: Returned>(
        &'c self,
        operation: Operation<'c, B, E>,
    ) -> Result<Operation<'c, B, E>, Refused<B>> {
        let Err(reason) = self.doorbell() else {
            return Ok(operation);
        };
        operation.cancel();
        match operation.wait_for(Duration::ZERO) {
            Ok(taken_out) => Err(Refused {
                reason,
                given: taken_out.buffers,
            }),
            Err(operation) => Ok(operation),
        }
    }

    /// Asks an owned operation to end. False if it is over.
    pub(crate) fn cancel_key(&self, key: Key) -> bool {
        let cancelled = self.with(|state, level| match state.mail.ticket(key) {
            Some(ticket) => state.ring.cancel(level, ticket),
            None => false,
        });
        cancelled.unwrap_or(false)
    }

    /// Asks owned operations to end, all in one go. Those that are over stay as they are.
    pub(crate) fn cancel_keys(&self, keys: &[Key]) {
        let _ = self.with(|state, level| state.cancel_keys(level, keys));
    }

    /// Nobody will ask for the outcome of this operation.
    fn abandon(&self, key: Key) {
        let _ = self.look(|state, level| {
            if let Some(ticket) = state.mail.abandon(key) {
                state.ring.cancel(level, ticket);
                state.collect(level);
            }
        });
    }

    /// Whether the outcome of an owned operation was taken.
    pub(crate) fn is_taken(&self, key: Key) -> bool {
        self.with(|state, _| state.mail.is_taken(key)).unwrap_or(false)
    }

    /// Waits for an outcome and takes it.
    pub(crate) fn fetch(&self, key: Key, limit: Option<Duration>) -> Option<Letter> {
        self.block(limit, |state| state.mail.take(key))
    }
}

/// Without a limit, only a place where nobody can wait ends a wait without an outcome.
pub(crate) const NOT_HERE: &str = "an interrupt handler cannot wait for an operation";

fn as_given<B: Returned>(buffers: Buffers) -> B {
    B::of(buffers).expect("an operation gives back what it was given")
}

impl<'c, B: Returned, E: Engine> Operation<'c, B, E> {
    fn new(channel: &'c DmaChannel<E>, key: Key) -> Self {
        Self {
            channel,
            key,
            form: PhantomData,
        }
    }

    /// Waits until it is over. It lets an engine go on that is [suspended](DmaChannel::suspend).
    ///
    /// # Panics
    ///
    /// In an interrupt handler: it cannot be waited for there.
    pub fn wait(self) -> Finished<B> {
        let letter = self.channel.fetch(self.key, None);
        self.open(letter.expect(NOT_HERE))
    }

    /// Waits until it is over, or gives it back when the time is up. A suspended engine stays so.
    pub fn wait_for(self, limit: Duration) -> Result<Finished<B>, Self> {
        match self.channel.fetch(self.key, Some(limit)) {
            Some(letter) => Ok(self.open(letter)),
            None => Err(self),
        }
    }

    /// Asks it to end. The outcome says what came of that. False if it is over already.
    pub fn cancel(&self) -> bool {
        self.channel.cancel_key(self.key)
    }

    /// Whether it is over, as far as the last look at the channel tells.
    pub fn is_over(&self) -> bool {
        self.channel
            .with(|state, _| state.mail.is_over(self.key))
            .unwrap_or(false)
    }

    fn open(&self, letter: Letter) -> Finished<B> {
        Finished {
            outcome: letter.outcome,
            buffers: as_given(letter.buffers),
        }
    }

    /// Looks once. Says also whether another look would have something to do.
    fn look(&self) -> Result<(Option<Letter>, bool), Reason> {
        self.channel.look(|state, level| {
            if let Some(letter) = state.mail.take(self.key) {
                return (Some(letter), false);
            }
            assert!(
                !state.mail.is_taken(self.key),
                "an operation was polled after it was ready"
            );
            state.collect(level);
            (state.mail.take(self.key), state.is_busy())
        })
    }
}

impl<B: Returned, E: Engine> Future for Operation<'_, B, E> {
    type Output = Finished<B>;

    /// Does a bounded amount of work, also for other operations of the channel. While the engine is
    /// [suspended](DmaChannel::suspend) it is pending: another task may resume it.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker();
        let mut seen = self.look();
        if E::RUNS_BY_ITSELF && matches!(seen, Ok((None, _))) {
            // Listen first, then look: see the bell.
            self.channel.listen(waker);
            seen = self.look();
        }
        match seen {
            Ok((Some(letter), _)) => return Poll::Ready(self.open(letter)),
            Ok((None, false)) if E::RUNS_BY_ITSELF => {}
            // The engine works in these looks, or the CPU has its turn; or the channel is in use just now.
            _ => waker.wake_by_ref(),
        }
        Poll::Pending
    }
}

impl<B: Returned, E: Engine> Drop for Operation<'_, B, E> {
    fn drop(&mut self) {
        self.channel.abandon(self.key);
    }
}

impl<B: Returned, E: Engine> fmt::Debug for Operation<'_, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_over() {
            "Operation(over)"
        } else {
            "Operation(pending)"
        })
    }
}
