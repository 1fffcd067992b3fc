//! How a scenario waits, and lets its intruder strike.

use super::berth::Berth;
use longshore_core::machine::{Machine as _, Signal as _, Waited};
use longshore_core::{Dispatch, Passive};
use longshore_hardware::netdma::{CompletionWord, TransferStatus};
use longshore_hardware::{BusAddress, DmaMemory};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longer than any healthy channel takes.
pub(super) const LONG: Duration = Duration::from_millis(50);

/// Looks in a row before a wait lets time pass in leaps.
const LOOKS: u32 = 200;

/// How the suite finds out that a descriptor is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It waits for the provider's deferred call.
    Interrupt,
    /// It polls the completion word.
    Poll,
    /// It polls, and stops looking when the engine has halted.
    PollUntilHalted,
}

impl Berth {
    pub(super) fn word(&self) -> CompletionWord {
        CompletionWord::from_raw(self.memory.load_u64(self.word).unwrap_or(0))
    }

    /// Whether the caller is the one who does what a scenario does once, driver or intruder.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    /// Whether driver or intruder has begun what the scenario does once.
    pub(super) fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Looks again and again until it is so; no if it is not within a long time.
    pub(super) fn wait_until(&self, passive: &Passive, is_so: impl Fn(&Self) -> bool) -> bool {
        let begin = self.machine.now().0;
        let mut looks = 0;
        while !is_so(self) {
            let late = self.machine.now().0 - begin > LONG.as_nanos() as u64;
            if late || self.machine.is_over() {
                return false;
            }
            looks += 1;
            if looks < LOOKS {
                self.machine.relax();
            } else {
                let _ = self.pause.wait_for(passive, LONG / 10);
            }
        }
        true
    }

    /// Waits until the word names `slot` or the time is up.
    pub(super) fn wait_for(&self, passive: &Passive, slot: usize, look: Look) -> bool {
        let wanted = self.descriptor(slot).start();
        if look == Look::Interrupt {
            return self.wait_for_interrupt(passive, wanted);
        }
        let is_over = |word: CompletionWord| {
            let halted = look == Look::PollUntilHalted && word.status() == TransferStatus::HALTED;
            word.descriptor() == wanted || halted
        };
        self.wait_until(passive, |berth| is_over(berth.word()));
        self.word().descriptor() == wanted
    }

    fn wait_for_interrupt(&self, passive: &Passive, wanted: BusAddress) -> bool {
        while self.word().descriptor() != wanted && !self.machine.is_over() {
            if self.interface.told.wait_for(passive, LONG) != Waited::Signalled {
                break;
            }
            self.interface.told.clear();
        }
        self.word().descriptor() == wanted
    }

    /// Waits until the provider has told of `slot` in its interrupt handler and in its deferred call.
    pub(super) fn wait_until_told(&self, passive: &Passive, slot: usize) -> bool {
        let descriptor = self.descriptor(slot).start();
        self.wait_until(passive, |berth| berth.interface.was_told(descriptor))
    }

    /// Gives others a few turns.
    pub(super) fn rest(&self) {
        (0..8).for_each(|_| self.machine.relax());
    }

    /// Lets time pass that is longer than any stall that ends, so that whatever is still under way comes.
    pub(super) fn leap(&self, passive: &Passive) {
        let _ = self.pause.wait_for(passive, LONG);
    }

    /// Lets the intruder act wherever it strikes until `is_over`; if it does not, the driver acts then. Both at
    /// DISPATCH.
    pub(super) fn strike(
        self: &Arc<Self>,
        passive: &mut Passive,
        is_over: impl Fn(&Self) -> bool,
        act: impl Fn(&Self, &Dispatch) + Send + Clone + 'static,
    ) {
        let acted = Arc::new(self.machine.signal(passive, "the intruder"));
        let (striker, done, strike) = (Arc::clone(self), Arc::clone(&acted), act.clone());
        self.machine.arm(move |dispatch: &Dispatch| {
            if striker.claim() {
                strike(&striker, dispatch);
                done.set();
            }
        });
        let ended = self.wait_until(passive, |berth| berth.is_claimed() || is_over(berth));
        if self.claim() {
            self.require(ended, "SEED-003-8", || "the chain never ended".into());
            self.machine.raise(passive, |dispatch| act(self, dispatch));
        } else {
            let _ = acted.wait_for(passive, LONG);
        }
        self.machine.disarm();
    }
}
