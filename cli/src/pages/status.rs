//! Page 000, DMA_COMPLETION_STATUS: what the completion routine is told.

use super::stage::{Trouble, cleanly_in_the_dry_dock, on_threads};
use super::system::{Ending, LENGTH, Seen, Transfer, numbered, tell};
use super::timeline::timeline;
use super::{Observation, Page, Play};
use longshore_drydock::{Plan, Run};
use longshore_wdm::DmaCompletionStatus;

/// The page.
pub(super) const PAGE: Page = Page {
    number: "000",
    name: "DMA_COMPLETION_STATUS",
    title: "DMA_COMPLETION_STATUS (what DmaCompletionRoutine gets as Status)",
    observe,
    play,
};

/// How a transfer ends, what the page calls that, and how many bytes are moved by then.
struct Case {
    ending: Ending,
    words: &'static str,
    status: DmaCompletionStatus,
    value: u32,
    moved: u32,
}

const CASES: [Case; 3] = [
    Case {
        ending: Ending::Complete,
        words: "all bytes moved",
        status: DmaCompletionStatus::COMPLETE,
        value: 0,
        moved: LENGTH,
    },
    Case {
        ending: Ending::Error,
        words: "the device failed",
        status: DmaCompletionStatus::ERROR,
        value: 2,
        moved: LENGTH / 2,
    },
    Case {
        ending: Ending::Cancel,
        words: "the client cancelled",
        status: DmaCompletionStatus::CANCELLED,
        value: 3,
        moved: LENGTH / 2,
    },
];

impl Case {
    fn transfer(&self) -> Transfer {
        Transfer {
            ending: self.ending,
            interrupts: true,
        }
    }

    fn in_the_dry_dock(&self) -> Result<(Seen, Run), Trouble> {
        cleanly_in_the_dry_dock(self.transfer(), &Plan::straight())
    }

    /// What is not as the page says.
    fn wrong(&self, seen: &Seen) -> Option<String> {
        let told: Vec<_> = seen.called.iter().map(|call| call.status).collect();
        let expected =
            told == [self.status] && self.status.0 == self.value && seen.received == Some(self.moved);
        (!expected).then(|| {
            format!(
                "where {} the page asks for {} with {} bytes in memory, not for {told:?} with {:?}",
                self.words,
                numbered(self.status),
                self.moved,
                seen.received
            )
        })
    }
}

fn told(seen: &Seen) -> String {
    let told: Vec<_> = seen.called.iter().map(|call| numbered(call.status)).collect();
    told.join(", ")
}

/// Whether DmaAborted was told, which nobody produces.
fn aborted(seen: &[Seen]) -> &'static str {
    let mut calls = seen.iter().flat_map(|seen| &seen.called);
    if calls.any(|call| call.status == DmaCompletionStatus::ABORTED) {
        "was seen"
    } else {
        "never seen"
    }
}

fn line(seen: &[Seen]) -> String {
    let told = CASES
        .iter()
        .zip(seen)
        .map(|(case, seen)| format!("{} when {}", told(seen), case.words));
    let told: Vec<_> = told.collect();
    format!("{}; DmaAborted (1) {}", told.join(", "), aborted(seen))
}

fn observe() -> Result<Observation, Trouble> {
    let (mut docked, mut threaded, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for case in CASES {
        let (in_the_dry_dock, _) = case.in_the_dry_dock()?;
        let on_threads = on_threads(case.transfer())?;
        wrong.extend(
            [case.wrong(&in_the_dry_dock), case.wrong(&on_threads)]
                .into_iter()
                .flatten(),
        );
        docked.push(in_the_dry_dock);
        threaded.push(on_threads);
    }
    Ok(Observation {
        docked: line(&docked),
        threaded: line(&threaded),
        besides: None,
        wrong,
    })
}

fn play() -> Result<Play, Trouble> {
    let mut lines = vec![format!(
        "three MapTransferEx of {LENGTH} bytes from a device to memory:"
    )];
    let (mut shown, mut all) = (Vec::new(), Vec::new());
    for case in CASES {
        let (seen, run) = case.in_the_dry_dock()?;
        let bytes = seen.received.map_or("?".to_owned(), |bytes| bytes.to_string());
        lines.push(format!(
            "  {:<22} Status = {:<18} {bytes} bytes are in memory",
            case.words,
            told(&seen)
        ));
        if case.ending == Ending::Cancel {
            shown = timeline(&run.trace, |step| tell(step, seen.buffer));
        }
        all.push(seen);
    }
    lines.push(format!(
        "  not used:              {}, {}",
        numbered(DmaCompletionStatus::ABORTED),
        aborted(&all)
    ));
    Ok(Play {
        lines,
        heading: "the client cancels",
        timeline: shown,
    })
}
