//! What the driver knows of one channel. Its words are atomic only because calls take `&self`: they are serialised.

use super::configure::ServiceMode;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// What a channel does, as far as its driver knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Idle,
    /// A transfer whose end was not told.
    Once,
    /// A transfer without an end.
    Loop,
    /// A bus master has the channel's request line.
    Cascade,
}

const USES: [Use; 4] = [Use::Idle, Use::Once, Use::Loop, Use::Cascade];

#[derive(Debug, Default)]
pub(super) struct Channel {
    using: AtomicU8,
    service: AtomicU8,
    /// How many bytes the transfer has.
    length: AtomicU32,
    /// How many of them were left when that was last known.
    left: AtomicU32,
}

impl Channel {
    pub(super) fn using(&self) -> Use {
        USES[usize::from(self.using.load(Ordering::Relaxed) & 3)]
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.using(), Use::Once | Use::Loop)
    }

    pub(super) fn set_using(&self, using: Use) {
        self.using.store(using as u8, Ordering::Relaxed);
    }

    pub(super) fn service(&self) -> ServiceMode {
        ServiceMode::from_number(usize::from(self.service.load(Ordering::Relaxed))).unwrap_or_default()
    }

    pub(super) fn set_service(&self, service: ServiceMode) {
        self.service.store(service as u8, Ordering::Relaxed);
    }

    pub(super) fn begin(&self, using: Use, length: u32) {
        self.length.store(length, Ordering::Relaxed);
        self.left.store(length, Ordering::Relaxed);
        self.set_using(using);
    }

    pub(super) fn length(&self) -> u32 {
        self.length.load(Ordering::Relaxed)
    }

    pub(super) fn left(&self) -> u32 {
        self.left.load(Ordering::Relaxed)
    }

    /// Takes in a count, unless it cannot be: it is never more than the whole, and goes up only where a loop starts over.
    pub(super) fn note_left(&self, left: u32) -> u32 {
        let known = self.left();
        let most = if self.using() == Use::Loop {
            self.length()
        } else {
            known
        };
        if left > most {
            return known;
        }
        self.left.store(left, Ordering::Relaxed);
        left
    }

    pub(super) fn forget(&self) {
        self.set_using(Use::Idle);
        self.left.store(0, Ordering::Relaxed);
    }
}
