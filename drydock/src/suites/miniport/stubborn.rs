//! Hardware that does not stop at once when it is told to.

use longshore_wdm::{Controller, Front};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often it is asked whether it is quiet before it is.
const REFUSALS: u32 = 2;

/// A controller that goes on for a while when it is told to stop. Its first transfer that is stopped finds it so.
pub(super) struct Stubborn {
    inner: Arc<dyn Controller>,
    left: AtomicU32,
}

impl Stubborn {
    pub(super) fn new(inner: Arc<dyn Controller>) -> Self {
        Self {
            inner,
            left: AtomicU32::new(REFUSALS),
        }
    }
}

impl Front for Stubborn {
    fn behind(&self) -> &dyn Controller {
        self.inner.as_ref()
    }

    fn cancel(&self, channel: u32) -> bool {
        self.left.load(Ordering::Relaxed) == 0 && self.inner.cancel(channel)
    }

    fn is_quiet(&self, channel: u32) -> bool {
        match self.left.load(Ordering::Relaxed) {
            0 => self.inner.is_quiet(channel),
            left => {
                self.left.store(left - 1, Ordering::Relaxed);
                // The last one who asks finds it just stopped.
                left == 1 && (self.inner.cancel(channel) || self.inner.is_quiet(channel))
            }
        }
    }
}
