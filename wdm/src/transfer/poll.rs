//! Finding the end of a transfer whose controller does not interrupt.
//!
//! No completion routine runs there (WDM-012), and none is made up: the driver polls from a timer of its own, and
//! this is that timer.

use crate::adapter::Adapter;
use crate::transfer::{Progress, TransferContext};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::fmt;
use core::time::Duration;
use longshore_core::machine::{Lock, Machine, Timer};
use longshore_core::{AtMostDispatch, Dispatch, Event, Irql, Passive};

/// What runs, at DISPATCH, when a watched transfer has ended. It is told how far the transfer came, and it may flush.
pub type EndRoutine<M> = Box<dyn Fn(&Dispatch, &Adapter<M>, Progress) + Send + Sync>;

/// What is watched just now.
struct Watched {
    context: TransferContext,
    /// Which mapping of the context's: a later one is none of ours.
    mapping: u32,
    period: Duration,
    /// Which watch it is, so that the end of one is never taken for the end of the next.
    watch: u64,
}

struct Inner<M: Machine> {
    adapter: Adapter<M>,
    routine: EndRoutine<M>,
    watched: M::Lock<(u64, Option<Watched>)>,
    timer: M::Timer,
}

/// A timer that polls one transfer at a time, period by period, and calls a routine once when it has ended.
///
/// It stops by itself: at the end of the transfer, and when somebody else flushes it first. Dropping it stops it; a
/// routine that runs just then still returns by itself.
pub struct TransferWatch<M: Machine>(Arc<Inner<M>>);

impl<M: Machine> fmt::Debug for TransferWatch<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransferWatch({:?})", self.0.adapter)
    }
}

impl<M: Machine> TransferWatch<M> {
    /// A watch that watches nothing yet.
    pub fn new(passive: &Passive, adapter: &Adapter<M>, routine: EndRoutine<M>) -> Self {
        let machine = adapter.machine();
        Self(Arc::new_cyclic(|me: &Weak<Inner<M>>| {
            let me = Weak::clone(me);
            Inner {
                adapter: adapter.clone(),
                routine,
                watched: machine.lock("transfer watch", Irql::DISPATCH, (0, None)),
                timer: machine.timer(passive, "transfer watch", move |dispatch| {
                    if let Some(inner) = me.upgrade() {
                        inner.look(dispatch);
                    }
                }),
            }
        }))
    }

    /// Watches what the context has mapped. False, and nothing will be called, if that is nothing, or if another
    /// transfer is watched still.
    pub fn start<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        context: &TransferContext,
        period: Duration,
    ) -> bool {
        let _ = level.into();
        let Some(mapping) = self.0.adapter.mapping_number(context) else {
            return false;
        };
        let context = context.clone();
        let started = self.0.watched.with(|(watches, watched)| {
            if watched.is_some() {
                return false;
            }
            *watches += 1;
            *watched = Some(Watched {
                context,
                mapping,
                period,
                watch: *watches,
            });
            true
        });
        if started {
            self.0.timer.set(period);
        }
        started
    }

    /// Stops watching. True: the routine will not be called. False: it was called already, or is about to be, or
    /// nothing was watched.
    pub fn stop<'l>(&self, level: impl Into<AtMostDispatch<'l>>) -> bool {
        let _ = level.into();
        self.0.halt()
    }
}

impl<M: Machine> Drop for TransferWatch<M> {
    fn drop(&mut self) {
        self.0.halt();
    }
}

impl<M: Machine> Inner<M> {
    fn halt(&self) -> bool {
        let watched = self.watched.with(|(_, watched)| watched.take());
        self.timer.cancel();
        watched.is_some()
    }

    /// One look. The timer's routine.
    fn look(&self, dispatch: &Dispatch) {
        let now = self.watched.with(|(_, watched)| {
            let watched = watched.as_ref()?;
            Some((
                watched.context.clone(),
                watched.mapping,
                watched.period,
                watched.watch,
            ))
        });
        let Some((context, mapping, period, watch)) = now else {
            return;
        };
        let progress = self.adapter.poll(dispatch, &context);
        // A mapping is flushed by whoever may: then its end is known already, and this is not to tell it.
        let ours = self.adapter.mapping_number(&context) == Some(mapping);
        if ours && progress.outcome.is_none() {
            // Stopped meanwhile? Then the next look finds nothing.
            self.timer.set(period);
            return;
        }
        let ended = self
            .watched
            .with(|(_, watched)| watched.take_if(|watched| watched.watch == watch));
        if ours && ended.is_some() {
            self.adapter.machine().emit(Event::Callback("EndRoutine", 0));
            (self.routine)(dispatch, &self.adapter, progress);
        }
    }
}
