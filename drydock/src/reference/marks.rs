//! One bit for each channel.

use std::sync::atomic::{AtomicU32, Ordering};

/// A set of channels. Its words are atomic only because a controller's methods take `&self`: they are serialised by
/// whoever calls them.
#[derive(Debug, Default)]
pub(super) struct Marks(AtomicU32);

pub(super) fn bit(channel: u32) -> u32 {
    1u32.checked_shl(channel).unwrap_or(0)
}

impl Marks {
    pub(super) fn put(&self, channel: u32) {
        self.0.fetch_or(bit(channel), Ordering::Relaxed);
    }

    pub(super) fn take(&self, channel: u32) -> bool {
        self.0.fetch_and(!bit(channel), Ordering::Relaxed) & bit(channel) != 0
    }

    pub(super) fn has(&self, channel: u32) -> bool {
        self.0.load(Ordering::Relaxed) & bit(channel) != 0
    }

    /// Takes out all of them.
    pub(super) fn drain(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }

    pub(super) fn set(&self, all: u32) {
        self.0.store(all, Ordering::Relaxed);
    }
}
