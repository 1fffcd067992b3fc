//! Page 004, ProviderAbortDma: cut in the middle of a descriptor, Halted, no append, a start.

use super::netdma::{Bench, Chart, Shape};
use super::stage::{Act, LONG, Stage, Trouble, cleanly_in_the_dry_dock, on_threads, until};
use super::timeline::timeline;
use super::{Observation, Page, Play};
use longshore_core::machine::{Machine, Signal, Waited};
use longshore_core::{NtStatus, Passive};
use longshore_drydock::{Plan, Run};
use longshore_hardware::netdma::{CompletionWord, ControlFlags, TransferStatus};
use std::sync::{Arc, Mutex, PoisonError};

/// The page.
pub(super) const PAGE: Page = Page {
    number: "004",
    name: "ProviderAbortDma",
    title: "DMA_ABORT_HANDLER (ProviderAbortDma)",
    observe,
    play,
};

/// In the dry dock every step is known, so a short chain will do.
const SHORT: Cut = Cut(Shape {
    descriptors: 5,
    bytes: 64,
    piece: 16,
    shared: false,
});

/// On threads the abort races with the engine, so there must be more to do than anybody can do in the meantime.
const ENDLESS: Cut = Cut(Shape {
    descriptors: 4096,
    bytes: 1 << 20,
    piece: 1 << 14,
    shared: true,
});

/// Even so a thread may be kept from its CPU for longer than the chain takes.
const ATTEMPTS: u32 = 8;

/// A chain of all descriptors but the last is started and aborted; the last one is what is appended and started
/// then.
#[derive(Clone, Copy)]
struct Cut(Shape);

/// What was seen.
struct Seen {
    chart: Chart,
    shape: Shape,
    aborted: NtStatus,
    /// The word right after the abort.
    word: CompletionWord,
    /// How much of each descriptor's data was there then; not told where all share their data.
    moved: Vec<Option<u32>>,
    appended: NtStatus,
    started: NtStatus,
    /// The word when the new chain had ended.
    end: CompletionWord,
}

impl Act for Cut {
    type Seen = Seen;

    fn act<S: Stage>(&self, stage: &S, passive: &mut Passive) -> Result<Seen, Trouble> {
        let shape = self.0;
        let (last, extra) = (shape.descriptors - 1, shape.descriptors);
        let bench = Bench::open(stage, passive, shape)?;
        bench.write_chain(1..=last, |_| ControlFlags::STATUS_UPDATE_ON_COMPLETION)?;
        let started = bench.start((&*passive).into(), 1);
        if started != NtStatus::SUCCESS {
            return Err(format!("the first ProviderStartDma returned {started}"));
        }
        let aborted = self.abort(stage, passive, &bench)?;
        let word = bench.word();
        bench.take_back();
        let moved = match shape.shared {
            true => Vec::new(),
            false => (1..=last).map(|number| bench.moved(number)).collect(),
        };
        bench.write_chain(extra..=extra, |_| ControlFlags::STATUS_UPDATE_ON_COMPLETION)?;
        let appended = bench.append((&*passive).into(), extra);
        let started = bench.start((&*passive).into(), extra);
        until(bench.machine(), || bench.word_is(extra, TransferStatus::IDLE));
        let end = bench.word();
        bench.close((&*passive).into());
        Ok(Seen {
            chart: bench.chart(),
            shape,
            aborted,
            word,
            moved,
            appended,
            started,
            end,
        })
    }
}

impl Cut {
    /// Somebody calls ProviderAbortDma while the engine works. Returns once that has happened.
    fn abort<S: Stage>(
        &self,
        stage: &S,
        passive: &mut Passive,
        bench: &Arc<Bench<S::Machine>>,
    ) -> Result<NtStatus, Trouble> {
        let answer = Arc::new(Mutex::new(None));
        let done = Arc::new(bench.machine().signal(passive, "the abort returned"));
        let intruder = {
            let (bench, answer, done) = (Arc::clone(bench), Arc::clone(&answer), Arc::clone(&done));
            move |dispatch: &longshore_core::Dispatch| {
                let status = bench.abort(dispatch.into());
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                done.set();
            }
        };
        let two_are_done = || !bench.word().descriptor().is_null();
        stage.strike(passive, two_are_done, intruder);
        if done.wait_for(passive, LONG) != Waited::Signalled {
            return Err("nobody called ProviderAbortDma".to_owned());
        }
        let status = *answer.lock().unwrap_or_else(PoisonError::into_inner);
        status.ok_or_else(|| "ProviderAbortDma did not return".to_owned())
    }
}

fn accepted(status: NtStatus) -> &'static str {
    if status == NtStatus::SUCCESS {
        "accepted"
    } else {
        "refused"
    }
}

impl Seen {
    /// Whether the abort came when two descriptors were done and the third was in the middle.
    fn is_torn_in_the_third(&self) -> bool {
        let torn = self.moved.get(2).copied().flatten();
        self.chart.name(self.word.descriptor()) == "D2"
            && torn.is_some_and(|moved| moved > 0 && moved < self.shape.bytes)
    }

    fn short(&self) -> String {
        format!(
            "word = {}, Append {}, Start {}",
            self.chart.word(self.word),
            accepted(self.appended),
            accepted(self.started)
        )
    }

    /// Whether the chain had come to its end before the abort.
    fn came_too_late(&self) -> bool {
        self.chart.name(self.word.descriptor()) == format!("D{}", self.shape.descriptors - 1)
    }

    /// What holds wherever the abort came.
    fn wrong(&self) -> Option<String> {
        let (last, extra) = (self.shape.descriptors - 1, self.shape.descriptors);
        let end = format!("D{extra}|Idle");
        let expected = self.aborted == NtStatus::SUCCESS
            && self.word.status() == TransferStatus::HALTED
            && !self.came_too_late()
            && self.appended == NtStatus::UNSUCCESSFUL
            && self.started == NtStatus::SUCCESS
            && self.chart.word(self.end) == end;
        (!expected).then(|| {
            format!(
                "the page asks for STATUS_SUCCESS, Halted before D{last}, Append refused, Start accepted and {end} in the end, \
                 not for {}, {}, and {} in the end",
                self.aborted,
                self.short(),
                self.chart.word(self.end)
            )
        })
    }
}

/// A completion word in the page's own words.
fn status_in_full(chart: &Chart, word: CompletionWord) -> String {
    format!(
        "{}|NetDmaTransferStatus{:?}",
        chart.name(word.descriptor()),
        word.status()
    )
}

/// Tries one point after the other until the abort comes in the middle of D3. The same one each time.
fn torn_in_the_third() -> Result<(Seen, Run), Trouble> {
    let mut point = 0;
    loop {
        let (seen, run) = cleanly_in_the_dry_dock(SHORT, &Plan::straight().strike_at(point))?;
        if seen.is_torn_in_the_third() {
            return Ok((seen, run));
        }
        if point >= run.armed_points {
            return Err("no point was found at which D3 is in the middle".to_owned());
        }
        point += 1;
    }
}

/// On threads: the same, until the abort was in time.
fn raced() -> Result<Seen, Trouble> {
    let mut seen = on_threads(ENDLESS)?;
    for _ in 1..ATTEMPTS {
        if !seen.came_too_late() {
            break;
        }
        seen = on_threads(ENDLESS)?;
    }
    Ok(seen)
}

fn observe() -> Result<Observation, Trouble> {
    let (seen, _) = torn_in_the_third()?;
    let threaded = raced()?;
    let torn = seen.moved.get(2).copied().flatten().unwrap_or(0);
    let untouched = seen.moved[3..].iter().all(|moved| *moved == Some(0));
    let mut wrong: Vec<_> = [seen.wrong(), threaded.wrong()].into_iter().flatten().collect();
    if !untouched {
        wrong.push("descriptors behind the aborted one moved data".to_owned());
    }
    Ok(Observation {
        docked: seen.short(),
        threaded: threaded.short(),
        besides: Some(format!(
            "D3 cut after {torn} of {} bytes, D4 {}",
            seen.shape.bytes,
            if untouched { "not begun" } else { "begun" }
        )),
        wrong,
    })
}

fn play() -> Result<Play, Trouble> {
    let (seen, run) = torn_in_the_third()?;
    let moved = |number: usize| {
        let moved = seen.moved.get(number - 1).copied().flatten();
        moved.map_or("?".to_owned(), |moved| moved.to_string())
    };
    Ok(Play {
        lines: vec![
            "D1 to D4 are started, each with NET_DMA_STATUS_UPDATE_ON_COMPLETION; then ProviderAbortDma"
                .into(),
            format!(
                "memory: of 64 bytes each, D1 moved {}, D2 {}, D3 {} (cut), D4 {}",
                moved(1),
                moved(2),
                moved(3),
                moved(4)
            ),
            format!("word:   {}", status_in_full(&seen.chart, seen.word)),
            format!(
                "then:   ProviderAppendDma {}, ProviderStartDma {}; in the end the word is {}",
                accepted(seen.appended),
                accepted(seen.started),
                status_in_full(&seen.chart, seen.end)
            ),
        ],
        heading: "calls, data and word",
        timeline: timeline(&run.trace, |step| seen.chart.tell(step)),
    })
}
