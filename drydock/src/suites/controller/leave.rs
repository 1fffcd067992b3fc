//! How a client leaves, and what must hold when everything is over.

use super::client::{Client, LENGTH};
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_wdm::{DmaCompletionStatus, State};

impl Client {
    /// Gives back whatever the context holds: a running transfer is cancelled, a mapping flushed, the channel freed.
    pub(super) fn release(&self, passive: &mut Passive) {
        for _ in 0..8 {
            match self.state(passive) {
                State::Run | State::Loop => self.cancel((&*passive).into()),
                State::RunX | State::LoopX | State::Done | State::DoneX => {
                    self.machine
                        .raise(passive, |dispatch| self.flush(dispatch.into()));
                }
                State::Own | State::OwnX => {
                    let freed = self.machine.raise(passive, |dispatch| {
                        self.adapter.free_channel(dispatch, &self.context)
                    });
                    self.require(freed.is_ok(), "WDM-190", || {
                        format!("the channel was not freed: {freed:?}")
                    });
                }
                State::Wait | State::WaitX => {
                    let device = super::told::DEVICE;
                    let taken = self
                        .adapter
                        .cancel_adapter_channel(&*passive, &self.context, device);
                    self.require(taken, "WDM-140", || "a waiting request was not taken back".into());
                }
                State::Kept => {
                    let freed = self
                        .machine
                        .raise(passive, |dispatch| self.free_registers(dispatch));
                    self.require(freed == Some(Ok(())), "WDM-194", || {
                        format!("registers that were kept were not freed: {freed:?}")
                    });
                }
                _ => return,
            }
        }
    }

    /// Gives everything back, and checks what the completion routine was told.
    pub(super) fn leave(&self, passive: &mut Passive) {
        self.machine.disarm();
        self.release(passive);
        self.adapter.wait_for_callbacks(passive);
        self.check_told();
        let put = self.adapter.clone().put(&*passive);
        self.require(put.is_ok(), "WDM-106", || {
            format!("an adapter with nothing outstanding was not put back: {put:?}")
        });
    }

    /// Each successful map told its end once; a loop may have told of periods before.
    fn check_told(&self) {
        for map in 0..self.maps_so_far() {
            let told = self.told.of(map);
            let complete = DmaCompletionStatus::COMPLETE;
            if !self.interrupts() {
                self.require(told.is_empty(), "SEED-001-10", || {
                    format!("the completion routine ran with {told:?} on a channel that cannot interrupt")
                });
            } else if self.terms.looped {
                let ends = told.iter().filter(|status| **status != complete).count();
                let once = ends == 1 && told.last() != Some(&complete);
                self.require(once, "A-31", || {
                    format!("a loop told {told:?}, which is not so many periods and one end")
                });
            } else {
                self.require(told.len() == 1, "WDM-019", || {
                    format!(
                        "one map called the completion routine {} times: {told:?}",
                        told.len()
                    )
                });
            }
        }
    }

    /// Whether memory holds these bytes. What went through a map register and was cut off is copied out as far as it is
    /// known to have moved, which may be less than was moved where a cancel takes the count away.
    fn holds(&self, memory: &[u8], start: u64, len: u64) -> bool {
        let uncertain = self.is_cancelled() && !self.site.abilities.counts_cancelled;
        let beyond = |at: usize| self.terms.beyond.get(at / 8) == Some(&true);
        let laps = |at: usize| (0..4).map(move |lap| Self::byte(at as u64 + lap * len));
        let bytes = self.bytes();
        let pairs = bytes.iter().zip(memory).enumerate();
        let may_lack = |at: usize, byte: u8| {
            let maybe = byte == 0 || at as u64 >= start && laps(at).any(|lap| lap == byte);
            uncertain && beyond(at) && maybe
        };
        { pairs }.all(|(at, (byte, right))| byte == right || may_lack(at, *byte))
    }

    /// Compares memory, or what the device was given, with the bytes that were moved: these and no others (PAIN-08).
    /// A device that cannot tell how many they were must have moved the first so many, or none.
    pub(super) fn check_data(&self, moved: Option<u64>) {
        let (start, end) = self.window();
        let (start, len) = (u64::from(start), u64::from(end.saturating_sub(start)).max(1));
        let right = |moved: u64| {
            if self.terms.write {
                let given = self.far.taken();
                let given = |at: u64| given.get(at as usize).copied();
                (0..moved).all(|at| given(at) == Some(Self::byte(start + at % len)))
                    && given(moved).is_none_or(|byte| byte == 0)
            } else {
                let mut memory = Self::pattern(0..start);
                memory.resize(LENGTH as usize, 0);
                for at in 0..moved {
                    if let Some(byte) = memory.get_mut((start + at % len) as usize) {
                        *byte = Self::byte(start + at);
                    }
                }
                self.holds(&memory, start, len)
            }
        };
        let holds = match moved {
            Some(moved) => right(moved),
            None => (0..=len).any(right),
        };
        self.require(holds, "PAIN-08", || {
            format!(
                "{moved:?} bytes from {start} on were moved; memory holds {:?}, the device has {:?}",
                self.bytes(),
                self.far.taken()
            )
        });
    }
}
