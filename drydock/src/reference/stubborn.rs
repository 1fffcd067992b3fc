//! Hardware that does not stop when it is told to.

use longshore_wdm::{Controller, Front};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A controller whose channels go on when they are told to stop, for as long as the switch is on. They still end by
/// themselves.
#[derive(Debug)]
pub struct Stubborn<C> {
    inner: C,
    goes_on: Arc<AtomicBool>,
}

impl<C: Controller> Stubborn<C> {
    /// Stands in front of a controller. Whoever has the switch lets it stop.
    pub fn new(inner: C, goes_on: Arc<AtomicBool>) -> Self {
        Self { inner, goes_on }
    }

    fn goes_on(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed)
    }
}

impl<C: Controller> Front for Stubborn<C> {
    fn behind(&self) -> &dyn Controller {
        &self.inner
    }

    fn flush(&self, channel: u32) {
        assert!(
            Front::is_quiet(self, channel),
            "it is flushed though it still runs"
        );
        self.inner.flush(channel);
    }

    fn cancel(&self, channel: u32) -> bool {
        !self.goes_on() && self.inner.cancel(channel)
    }

    fn is_quiet(&self, channel: u32) -> bool {
        !self.goes_on() || self.inner.remaining(channel) == 0
    }
}
