//! Page 001, DMA_COMPLETION_ROUTINE: when it is called, and with what.

use super::stage::{Trouble, cleanly_in_the_dry_dock, on_threads};
use super::system::{CONTEXT, DEVICE, Ending, LENGTH, Seen, Transfer, numbered, tell};
use super::timeline::timeline;
use super::{Observation, Page, Play};
use longshore_core::Irql;
use longshore_core::completion::Verdict;
use longshore_drydock::Plan;
use longshore_wdm::DmaCompletionStatus;

/// The page.
pub(super) const PAGE: Page = Page {
    number: "001",
    name: "DmaCompletionRoutine",
    title: "DMA_COMPLETION_ROUTINE (DmaCompletionRoutine)",
    observe,
    play,
};

const WITH_INTERRUPT: Transfer = Transfer {
    ending: Ending::Complete,
    interrupts: true,
};

const WITHOUT_INTERRUPT: Transfer = Transfer {
    ending: Ending::Complete,
    interrupts: false,
};

/// What is not as the page says where the controller interrupts.
fn wrong_with(seen: &Seen) -> Option<String> {
    let expected = match seen.called.as_slice() {
        [call] => {
            call.level == Irql::DISPATCH
                && call.adapter
                && call.device == DEVICE
                && call.context == CONTEXT
                && call.status == DmaCompletionStatus::COMPLETE
                && call.moved == u64::from(LENGTH)
                && seen.received == Some(LENGTH)
        }
        _ => false,
    };
    (!expected).then(|| {
        format!(
            "the page asks for one call at DISPATCH_LEVEL after the last byte, with what MapTransferEx was given, not for {}",
            with(seen)
        )
    })
}

/// What is not as the page says where it does not.
fn wrong_without(seen: &Seen) -> Option<String> {
    let complete = seen
        .polled
        .is_some_and(|outcome| outcome.verdict == Verdict::Completed);
    let expected = seen.called.is_empty() && complete && seen.received == Some(LENGTH);
    (!expected).then(|| {
        format!(
            "the page asks for no call and an end that polling finds, not for {} calls, {:?}",
            seen.called.len(),
            seen.polled
        )
    })
}

fn with(seen: &Seen) -> String {
    let calls: Vec<_> = seen
        .called
        .iter()
        .map(|call| {
            format!(
                "at {:?} with CompletionContext {:#x}, {} after {} of {LENGTH} bytes",
                call.level,
                call.context.0,
                numbered(call.status),
                call.moved
            )
        })
        .collect();
    format!("called {} {}", times(calls.len()), calls.join(" and "))
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn without(seen: &Seen) -> String {
    let polled = seen
        .polled
        .map_or("nothing".to_owned(), |outcome| format!("{:?}", outcome.verdict));
    match seen.called.len() {
        0 => format!("not called, polling finds {polled}"),
        count => format!("called {}, polling finds {polled}", times(count)),
    }
}

fn observe() -> Result<Observation, Trouble> {
    let (called, _) = cleanly_in_the_dry_dock(WITH_INTERRUPT, &Plan::straight())?;
    let (polled, _) = cleanly_in_the_dry_dock(WITHOUT_INTERRUPT, &Plan::straight())?;
    let threads = (on_threads(WITH_INTERRUPT)?, on_threads(WITHOUT_INTERRUPT)?);
    let wrong = [
        wrong_with(&called),
        wrong_with(&threads.0),
        wrong_without(&polled),
        wrong_without(&threads.1),
    ];
    let line = |called, polled| format!("{}; without an interrupt {}", with(called), without(polled));
    Ok(Observation {
        docked: line(&called, &polled),
        threaded: line(&threads.0, &threads.1),
        besides: None,
        wrong: wrong.into_iter().flatten().collect(),
    })
}

fn play() -> Result<Play, Trouble> {
    let (called, run) = cleanly_in_the_dry_dock(WITH_INTERRUPT, &Plan::straight())?;
    let (polled, _) = cleanly_in_the_dry_dock(WITHOUT_INTERRUPT, &Plan::straight())?;
    let bytes = |seen: &Seen| seen.received.map_or("?".to_owned(), |bytes| bytes.to_string());
    Ok(Play {
        lines: vec![
            format!(
                "MapTransferEx of {LENGTH} bytes from a device to memory, CompletionContext {:#x}, DeviceObject {:#x}",
                CONTEXT.0, DEVICE.0
            ),
            "on a system DMA controller that interrupts, DmaCompletionRoutine is".to_owned(),
            format!("  {}; {} bytes are in memory", with(&called), bytes(&called)),
            "on one that does not, it is".to_owned(),
            format!("  {}; {} bytes are in memory", without(&polled), bytes(&polled)),
        ],
        heading: "the controller interrupts",
        timeline: timeline(&run.trace, |step| tell(step, called.buffer)),
    })
}
