//! What a channel's one submitter wants of its engine, and what the engine says of itself, without a lock.
//!
//! Each word has one writer: what was submitted is written by the submitter, and the rest by whoever holds the claim.
//! Both begin with the number of the run, so that what belongs to an older run is not mistaken for news. Whoever
//! writes his own word and then looks at the other's puts a fence in between: so of an append and an engine that lies
//! down, at least one sees the other.

use super::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use longshore_hardware::BusAddress;
use longshore_netdma::state::State;

/// How many bits of a word are not the number of the run.
const SHIFT: u32 = 48;
const REST: u64 = (1 << SHIFT) - 1;

/// Which start of a channel something belongs to. It counts on from 0 again after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run(u16);

impl Run {
    /// The run before the first start.
    pub(super) const FIRST: Self = Self(0);

    /// A word of this run.
    fn word(self, rest: u64) -> u64 {
        u64::from(self.0) << SHIFT | rest & REST
    }

    /// The run that a word belongs to.
    fn of(word: u64) -> Self {
        Self((word >> SHIFT) as u16)
    }
}

/// Words that different CPUs write lie in different cache lines.
#[repr(align(64))]
struct Apart<T>(T);

/// What was submitted. The submitter writes it.
struct Asked {
    /// The run, and how much was appended to it.
    appended: AtomicU64,
}

/// What the engine says. Whoever holds the claim writes it.
struct Said {
    /// The run, and the state.
    state: AtomicU64,
    /// The run, and how much had been appended when the engine found that nothing was left to do.
    dry: AtomicU64,
    /// Where it would go on then.
    next: AtomicU64,
    /// Whether it must be woken up.
    sleeps: AtomicBool,
    /// The target of the last context change, above a bit that says that there was one.
    context: AtomicU64,
}

/// The two sides of a channel that was allocated once.
pub(super) struct Goal {
    asked: Apart<Asked>,
    said: Apart<Said>,
    /// The channel was given back. Never taken back.
    closed: AtomicBool,
}

impl Goal {
    /// A channel that was not started yet.
    pub(super) fn new() -> Self {
        let word = |state: State| AtomicU64::new(Run::FIRST.word(state as u64));
        Self {
            asked: Apart(Asked {
                appended: AtomicU64::new(0),
            }),
            said: Apart(Said {
                state: word(State::Fresh),
                dry: AtomicU64::new(u64::MAX),
                next: AtomicU64::new(0),
                sleeps: AtomicBool::new(true),
                context: AtomicU64::new(0),
            }),
            closed: AtomicBool::new(false),
        }
    }

    // ---- the submitter ----

    /// A new run begins. What is said of older ones is not said of it.
    pub(super) fn begin(&self) -> Run {
        let run = Run(Run::of(self.asked.0.appended.load(Ordering::Relaxed))
            .0
            .wrapping_add(1));
        self.asked.0.appended.store(run.word(0), Ordering::Release);
        run
    }

    /// Where the channel stands. A run that the engine has not taken up yet is armed.
    #[inline]
    pub(super) fn state(&self) -> State {
        if self.closed.load(Ordering::Acquire) {
            return State::Free;
        }
        let said = self.said.0.state.load(Ordering::Acquire);
        if Run::of(said) == Run::of(self.asked.0.appended.load(Ordering::Relaxed)) {
            state_from((said & REST) as usize)
        } else {
            State::Armed
        }
    }

    /// Where the chain must go on, if the engine has done everything and so knows it (NETDMA-074).
    #[inline]
    pub(super) fn next(&self) -> Option<BusAddress> {
        let asked = self.asked.0.appended.load(Ordering::Relaxed);
        let dry = self.said.0.dry.load(Ordering::Acquire) == asked;
        dry.then(|| BusAddress::new(self.said.0.next.load(Ordering::Relaxed)))
    }

    /// The target of the last context change.
    pub(super) fn context(&self) -> Option<u32> {
        let context = self.said.0.context.load(Ordering::Relaxed);
        (context & 1 != 0).then_some((context >> 1) as u32)
    }

    /// That much more is wanted. What was written for it before is seen by whoever hears of it.
    #[inline]
    pub(super) fn append(&self, more: u64) {
        let asked = self.asked.0.appended.load(Ordering::Relaxed);
        let sum = Run::of(asked).word(asked.wrapping_add(more));
        self.asked.0.appended.store(sum, Ordering::Release);
    }

    /// Whether the engine must be woken up, since it may not have seen the append before this.
    #[inline]
    pub(super) fn sleeps(&self) -> bool {
        fence(Ordering::SeqCst);
        self.said.0.sleeps.load(Ordering::Relaxed)
    }

    /// The channel is given back: nothing is taken any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    // ---- the holder of the claim ----

    /// How much was appended to this run beyond `heard`.
    #[inline]
    pub(super) fn beyond(&self, run: Run, heard: u64) -> u64 {
        let asked = self.asked.0.appended.load(Ordering::Acquire);
        if Run::of(asked) == run {
            asked.wrapping_sub(heard) & REST
        } else {
            0
        }
    }

    /// The channel is in this state. An engine that has run dry says first where it would go on.
    pub(super) fn say(&self, run: Run, state: State) {
        self.said.0.state.store(run.word(state as u64), Ordering::Release);
    }

    /// Everything that was heard of is done, and the chain goes on at `next`.
    pub(super) fn say_dry(&self, run: Run, heard: u64, next: BusAddress) {
        self.said.0.next.store(next.raw(), Ordering::Relaxed);
        self.said.0.dry.store(run.word(heard), Ordering::Release);
    }

    /// The context was changed to this target.
    pub(super) fn say_context(&self, target: u32) {
        self.said
            .0
            .context
            .store(u64::from(target) << 1 | 1, Ordering::Relaxed);
    }

    /// The engine is about to rest, and then looks once more whether there is anything to do.
    pub(super) fn lie_down(&self) {
        self.said.0.sleeps.store(true, Ordering::Relaxed);
    }

    /// The last look before the engine rests. Whoever appends behind it sees that the engine sleeps.
    pub(super) fn last_look(&self, run: Run, heard: u64) -> u64 {
        fence(Ordering::SeqCst);
        self.beyond(run, heard)
    }

    /// The engine is awake.
    #[inline]
    pub(super) fn get_up(&self) {
        self.said.0.sleeps.store(false, Ordering::Relaxed);
    }
}

impl Default for Goal {
    fn default() -> Self {
        Self::new()
    }
}

fn state_from(number: usize) -> State {
    State::ALL.get(number).copied().unwrap_or(State::Free)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The states travel as their place among all.
    #[test]
    fn every_state_comes_back_as_it_was_said() {
        let goal = Goal::new();
        for state in State::ALL {
            goal.say(Run::FIRST, state);
            assert_eq!(goal.state(), state);
        }
        goal.close();
        assert_eq!(goal.state(), State::Free);
    }

    #[test]
    fn what_belongs_to_an_older_run_is_no_news() {
        let goal = Goal::new();
        let old = goal.begin();
        goal.append(3);
        assert_eq!(goal.beyond(old, 0), 3);
        goal.say(old, State::Idle);
        goal.say_dry(old, 3, BusAddress::new(0x40));
        assert_eq!(
            (goal.state(), goal.next()),
            (State::Idle, Some(BusAddress::new(0x40)))
        );
        let new = goal.begin();
        assert_eq!((goal.state(), goal.next()), (State::Armed, None));
        assert_eq!((goal.beyond(old, 0), goal.beyond(new, 0)), (0, 0));
    }

    /// Whoever counts past the end of a word harms neither the run nor the sum.
    #[test]
    fn counts_go_on_past_the_last_number() {
        let goal = Goal::new();
        let run = goal.begin();
        goal.append(REST);
        goal.append(5);
        assert_eq!(goal.beyond(run, REST), 5);
        assert_eq!(goal.beyond(run, 4), 0);
    }
}
