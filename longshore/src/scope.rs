//! Borrowed slices, lent to the engine until a closure returns.

use crate::channel::DmaChannel;
use crate::engine::Engine;
use crate::hardware::BusRange;
use crate::host::Lending;
use crate::job::Kind;
use crate::mail::Key;
use crate::netdma::Request;
use crate::operation::NOT_HERE;
use crate::outcome::{Outcome, Reason};
use std::cell::RefCell;
use std::fmt;
use std::time::{Duration, Instant};

/// Lends slices to a channel's engine; see [`DmaChannel::scope`].
pub struct Scope<'s, 'env, E: Engine> {
    channel: &'s DmaChannel<E>,
    lending: &'s Lending<'env>,
    open: RefCell<Vec<Key>>,
}

/// An operation on borrowed slices. The end of the scope waits for it, if nobody did before.
pub struct Scoped<'s, E: Engine> {
    channel: &'s DmaChannel<E>,
    key: Key,
}

/// What an operation that nobody waited for did instead of completing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeError {
    /// It ended otherwise.
    Ended(Outcome),
    /// The engine did not answer. It cannot reach what was lent any more.
    Unanswered,
}

impl<E: Engine> DmaChannel<E> {
    /// Copies between slices that are only borrowed. Whatever is begun in the section is over when this returns; if the
    /// section panics it is cancelled. Whatever an engine does that will not let go, it reaches nothing of what was lent
    /// from then on.
    ///
    /// Lent memory is slower to reach than a [buffer](Self::buffer).
    ///
    /// ```
    /// use longshore::{DmaChannel, InlineCpu};
    ///
    /// let channel = DmaChannel::open(InlineCpu)?;
    /// let text = String::from("borrowed");
    /// let (mut one, mut two) = ([0; 8], [0; 8]);
    /// channel.scope(|scope| {
    ///     scope.copy(text.as_bytes(), &mut one)?;
    ///     scope.copy(text.as_bytes(), &mut two).map(drop)
    /// })??;
    /// assert_eq!((&one, &two), (b"borrowed", b"borrowed"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Inside, what was lent cannot be touched:
    ///
    /// ```compile_fail,E0506
    /// # use longshore::{DmaChannel, InlineCpu};
    /// # let channel = DmaChannel::open(InlineCpu).unwrap();
    /// let mut bytes = [0; 8];
    /// channel.scope(|scope| {
    ///     scope.fill(&mut bytes, 1);
    ///     bytes[0] = 2;
    /// });
    /// ```
    pub fn scope<'env, R>(
        &self,
        section: impl for<'s> FnOnce(&Scope<'s, 'env, E>) -> R,
    ) -> Result<R, ScopeError> {
        let memory = crate::core::Machine::memory(self.host().machine());
        memory.lending(|lending| {
            let scope = Scope {
                channel: self,
                lending,
                open: RefCell::default(),
            };
            let result = section(&scope);
            scope.finish().map(|()| result)
        })
    }
}

impl<'s, 'env, E: Engine> Scope<'s, 'env, E> {
    /// Copies a slice to another one of the same length.
    pub fn copy(&self, source: &'env [u8], destination: &'env mut [u8]) -> Result<Scoped<'s, E>, Reason> {
        let from = self.lending.lend_to_read(source);
        let to = self.lending.lend(destination);
        let (from, to) = from.zip(to).ok_or(Reason::TooLong)?;
        self.begin(Request::copy(to, from), Kind::Copy, to)
    }

    /// Fills a slice with a pattern, which begins with its low byte and is repeated.
    pub fn fill(&self, bytes: &'env mut [u8], pattern: u64) -> Result<Scoped<'s, E>, Reason> {
        let range = self.lending.lend(bytes).ok_or(Reason::TooLong)?;
        self.begin(Request::fill(range, pattern), Kind::Fill(pattern), range)
    }

    /// Compares two slices of the same length.
    pub fn compare(&self, left: &'env [u8], right: &'env [u8]) -> Result<Scoped<'s, E>, Reason> {
        let (left, right) = self
            .lending
            .lend_to_read(left)
            .zip(self.lending.lend_to_read(right))
            .ok_or(Reason::TooLong)?;
        self.begin(Request::compare(left, right), Kind::Compare, left)
    }

    fn begin(&self, request: Request<'_>, kind: Kind, range: BusRange) -> Result<Scoped<'s, E>, Reason> {
        let channel = self.channel;
        let key = channel.with(|state, _| state.mail_lent(request, kind, range.len()))??;
        self.open.borrow_mut().push(key);
        channel.doorbell()?;
        Ok(Scoped { channel, key })
    }

    /// Waits for everything that nobody waited for. Returns the first that did not complete.
    fn finish(&self) -> Result<(), ScopeError> {
        let open = self.open.take();
        let mut outcomes = vec![None; open.len()];
        self.gather(&open, &mut outcomes);
        if outcomes.contains(&None) {
            self.channel.cancel_keys(&open);
            self.gather(&open, &mut outcomes);
        }
        outcomes.into_iter().try_for_each(|outcome| match outcome {
            Some(Outcome::Completed) => Ok(()),
            Some(outcome) => Err(ScopeError::Ended(outcome)),
            None => Err(ScopeError::Unanswered),
        })
    }

    /// Waits for the outcomes that are missing, for all together as long as the channel's patience.
    fn gather(&self, open: &[Key], outcomes: &mut [Option<Outcome>]) {
        let begin = Instant::now();
        for (&key, outcome) in open.iter().zip(outcomes) {
            if outcome.is_none() {
                *outcome = self.settle(key, self.channel.patience.saturating_sub(begin.elapsed()));
            }
        }
    }

    /// The outcome of an operation that nobody took, if it comes in time. One that was taken is fine.
    fn settle(&self, key: Key, limit: Duration) -> Option<Outcome> {
        if self.channel.is_taken(key) {
            return Some(Outcome::Completed);
        }
        let letter = self.channel.fetch(key, Some(limit));
        letter.map(|letter| letter.outcome)
    }
}

impl<E: Engine> Drop for Scope<'_, '_, E> {
    /// After a panic. Otherwise nothing is left.
    fn drop(&mut self) {
        let open = self.open.take();
        if !open.is_empty() {
            self.channel.cancel_keys(&open);
            self.gather(&open, &mut vec![None; open.len()]);
        }
    }
}

impl<E: Engine> Scoped<'_, E> {
    /// Waits until it is over. It lets an engine go on that is [suspended](DmaChannel::suspend).
    ///
    /// # Panics
    ///
    /// In an interrupt handler: it cannot be waited for there.
    pub fn wait(self) -> Outcome {
        self.channel.fetch(self.key, None).expect(NOT_HERE).outcome
    }

    /// Asks it to end. False if it is over already.
    pub fn cancel(&self) -> bool {
        self.channel.cancel_key(self.key)
    }
}

impl<E: Engine> fmt::Debug for Scope<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({} begun)", self.open.borrow().len())
    }
}

impl<E: Engine> fmt::Debug for Scoped<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scoped")
    }
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(outcome) => write!(f, "an operation that nobody waited for: {outcome}"),
            Self::Unanswered => f.write_str("the engine does not answer: drop the channel to give it up"),
        }
    }
}

impl std::error::Error for ScopeError {}
