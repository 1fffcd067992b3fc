//! Calls that meet a transfer: from another CPU, at every point from before its set-up until after its completion.

use super::bench::{Bench, LENGTH, OFFSET};
use super::intruder::Intruder;
use super::layer::Arguments;
use super::told::COMPLETE;
use longshore_core::{Dispatch, Passive};
use longshore_ndis::NdisStatus;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the intruder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Completes the transfer.
    Complete,
    /// Completes it twice.
    Twice,
    /// Completes a transfer of another buffer.
    Buffer,
    /// Completes one that begins elsewhere.
    Offset,
    /// Completes one of another length.
    Length,
    /// Completes one of the other direction.
    Direction,
    /// Sets the transfer up.
    SetUp,
    /// Reads the counter.
    Counter,
}

impl Act {
    /// Each of them, with its name.
    pub(super) const ALL: [(&str, Self); 8] = [
        ("complete", Self::Complete),
        ("complete-twice", Self::Twice),
        ("other-buffer", Self::Buffer),
        ("other-offset", Self::Offset),
        ("other-length", Self::Length),
        ("other-direction", Self::Direction),
        ("set-up", Self::SetUp),
        ("counter", Self::Counter),
    ];

    /// Whether it ends the transfer.
    fn ends(self) -> bool {
        matches!(self, Self::Complete | Self::Twice)
    }

    /// The arguments of its call.
    fn arguments(self, bench: &Bench) -> Arguments {
        let right = bench.arguments();
        let unit = bench.site.facts.unit;
        match self {
            Self::Buffer => Arguments {
                buffer: bench.other.ranges(),
                ..right
            },
            Self::Offset => bench.part(OFFSET + unit, LENGTH),
            Self::Length => bench.part(OFFSET, LENGTH - unit),
            Self::Direction => Arguments {
                write_to_device: !right.write_to_device,
                ..right
            },
            _ => right,
        }
    }
}

/// Where the transfer is, as whoever makes it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Fresh,
    Up,
    Completing,
    Over,
}

/// What the intruder saw.
#[derive(Clone, Default)]
struct Seen {
    said: Vec<NdisStatus>,
    /// What the counter read, and how many bytes were moved before and after.
    counter: Option<(u64, u32, u64)>,
    stages: Option<(Stage, Stage)>,
}

#[derive(Default)]
struct Log {
    stage: AtomicU8,
    seen: Mutex<Seen>,
}

impl Log {
    fn reach(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Fresh,
            1 => Stage::Up,
            2 => Stage::Completing,
            _ => Stage::Over,
        }
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the intruder does.
    fn act(&self, bench: &Bench, dispatch: &Dispatch, act: Act) {
        let mut seen = Seen::default();
        let began = self.stage();
        let arguments = act.arguments(bench);
        let level = dispatch.into();
        match act {
            Act::Counter => {
                let before = bench.moved();
                let left = bench.counter(level);
                seen.counter = Some((before, left, bench.moved()));
            }
            Act::SetUp => seen.said.push(bench.set_up(level, &arguments)),
            _ => {
                for _ in 0..if act == Act::Twice { 2 } else { 1 } {
                    seen.said.push(bench.complete(level, &arguments));
                }
            }
        }
        seen.stages = Some((began, self.stage()));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// A transfer that is met by one such call: one of all set-ups and one of all completions is accepted, and the others
/// disturb nothing.
pub(super) fn met(bench: &Arc<Bench>, passive: &mut Passive, act: Act) {
    bench.prepare(0, u64::from(LENGTH));
    let log = Arc::new(Log::default());
    let theirs = Arc::clone(&log);
    let intruder = Intruder::on(bench, move |bench, dispatch| theirs.act(bench, dispatch, act));
    let arguments = bench.arguments();
    let first = bench.set_up((&*passive).into(), &arguments);
    log.reach(Stage::Up);
    bench.wait(passive, || act.ends() && intruder.is_done());
    // The transfer stays up until whatever met it is through.
    let returned = intruder.wait();
    bench.require(returned, "NDIS-064", || {
        format!("{act:?} did not return while a transfer was set up")
    });
    log.reach(Stage::Completing);
    let last = bench.complete((&*passive).into(), &arguments);
    log.reach(Stage::Over);
    intruder.settle();
    let seen = log.seen();
    match act {
        Act::SetUp => judge_set_up(bench, passive, first, last, &seen),
        Act::Counter => judge_counter(bench, passive, last, &seen),
        _ if act.ends() => judge_complete(bench, passive, last, &seen),
        _ => judge_mismatch(bench, passive, act, last, &seen),
    }
    bench.require(
        act == Act::SetUp || first == NdisStatus::SUCCESS,
        "NDIS-031",
        || format!("a free channel was not set up: {first:?}"),
    );
    bench.again(passive);
}

fn successes(all: &[NdisStatus]) -> usize {
    all.iter()
        .filter(|status| **status == NdisStatus::SUCCESS)
        .count()
}

/// Of all completions one is accepted, and the others are told (NDIS-045).
fn judge_complete(bench: &Bench, passive: &Passive, last: NdisStatus, seen: &Seen) {
    for _ in &seen.said {
        bench.site.misuses.expect(COMPLETE, &["NDIS-045"]);
    }
    bench.judge(passive, successes(&seen.said) + successes(&[last]));
}

/// It is refused and told, and the transfer goes on as if nothing had been (NDIS-043).
fn judge_mismatch(bench: &Bench, passive: &Passive, act: Act, last: NdisStatus, seen: &Seen) {
    if let Some(stages) = seen.stages {
        // Whether anything is set up only the channel knows, unless it was all the time.
        let rules: &[&str] = match stages {
            (Stage::Up, Stage::Up) => &["NDIS-043"],
            (_, Stage::Fresh) | (Stage::Fresh, _) => &["NDIS-045", "NDIS-043"],
            (Stage::Over, _) => &["NDIS-045"],
            _ => &["NDIS-043", "NDIS-045"],
        };
        bench.site.misuses.expect(COMPLETE, rules);
    }
    let refused = successes(&seen.said) == 0;
    bench.require(refused && last == NdisStatus::SUCCESS, "NDIS-043", || {
        format!(
            "{act:?} was completed, which said {:?}; the transfer itself said {last:?}",
            seen.said
        )
    });
    bench.judge(passive, successes(&[last]));
}

/// A second set-up is refused for as long as there is a first (NDIS-032).
fn judge_set_up(bench: &Bench, passive: &Passive, first: NdisStatus, last: NdisStatus, seen: &Seen) {
    let all = [&[first][..], &seen.said[..]].concat();
    let ups = successes(&all);
    bench.require(ups > 0, "NDIS-031", || {
        format!("a free channel was not set up: {all:?}")
    });
    bench.require(last == NdisStatus::SUCCESS, "SEED-002-6", || {
        format!("a healthy transfer ended with {last:?}")
    });
    if ups < 2 {
        bench.judge(passive, successes(&[last]));
        return;
    }
    let late = seen.stages.is_some_and(|(_, ended)| ended >= Stage::Completing);
    bench.require(late, "NDIS-032", || {
        "two transfers were set up on one channel at a time".into()
    });
    // It came when the first was completed, and the NIC has nothing for it.
    let second = bench.complete(passive.into(), &bench.arguments());
    let left = bench.counter(passive.into());
    let cut = second == NdisStatus::RESOURCES && left == LENGTH;
    bench.require(cut, "SEED-002-7", || {
        format!("a transfer of which nothing was moved ended with {second:?}, and {left} bytes left")
    });
    bench.check_data(0, u64::from(LENGTH));
}

/// The counter tells what is left, whenever it is read (NDIS-050, NDIS-051).
fn judge_counter(bench: &Bench, passive: &Passive, last: NdisStatus, seen: &Seen) {
    if let (Some((before, left, after)), Some((began, _))) = (seen.counter, seen.stages) {
        // One access more or less is under way between the bytes and their count.
        let moved = u64::from(LENGTH).checked_sub(u64::from(left));
        let true_then = moved.is_some_and(|moved| (before..=after).contains(&moved));
        // Before the first set-up nothing was left.
        let fresh = began == Stage::Fresh && left == 0;
        bench.require(true_then || fresh, "NDIS-050", || {
            format!("the counter reads {left} of {LENGTH} when {before} to {after} bytes were moved")
        });
    }
    bench.judge(passive, successes(&[last]));
}
