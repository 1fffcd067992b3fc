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

fn observe() -> Result<Observation, Trouble> {
    let mut observed = Vec::new();
    let mut wrong = Vec::new();
    for case in CASES {
        let (docked, _) = case.in_the_dry_dock()?;
        let threaded = on_threads(case.transfer())?;
        wrong.extend([case.wrong(&docked), case.wrong(&threaded)].into_iter().flatten());
        observed.push(format!("{} when {}", told(&docked), case.words));
    }
    Ok(Observation {
        observed: format!("{}; never DmaAborted (1)", observed.join(", ")),
        wrong,
    })
}

fn play() -> Result<Play, Trouble> {
    let mut lines = vec![format!(
        "three MapTransferEx of {LENGTH} bytes from a device to memory:"
    )];
    let mut shown = Vec::new();
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
    }
    lines.push(format!(
        "  {} is not used, and was not seen",
        numbered(DmaCompletionStatus::ABORTED)
    ));
    Ok(Play {
        lines,
        heading: "the client cancels",
        timeline: shown,
    })
}
