//! System DMA controllers that are wrong on purpose, each in one way.

use super::Exhibit;
use crate::reference::{Interrupts, Options};
use crate::suites::controller::{Rig, check_controller, reference_rig};
use longshore_core::NtStatus;
use longshore_core::scatter::Segments;
use longshore_hardware::BusRange;
use longshore_wdm::{ChannelAttributes, Controller, Front, InterruptType, Program, ProgramError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is wrong with a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It says that it has cancelled, and lets the channel run on.
    CancelLies,
    /// An end with its error bit set is reported as completion (RL-23).
    ErrorIsCompletion,
    /// A program is accepted, and nothing starts (WDM-320).
    NeverStarts,
    /// No program is accepted.
    RefusesToStart,
    /// The system's request line becomes another one of the hardware's.
    TranslatesBadly,
    /// A channel that was found fit once is taken until it is cancelled (RL-26).
    KeepsBinding,
    /// The count is that of the bytes that were moved.
    CountsUp,
    /// Its own function says that all is well, and does nothing.
    IgnoresConfigure,
    /// The last fragment of a list is left out (RL-26).
    ForgetsLastFragment,
    /// A list is complete after its first element (PAIN-12).
    EndsWithTheFirst,
    /// A loop ends after its first lap.
    LoopsOnce,
    /// The common buffer is too small for as many fragments as it says it takes (RL-25).
    ReservesTooLittle,
    /// The end of a transfer is acknowledged and never reported.
    LosesTheEnd,
}

/// A flaw, a name, the scenario that shows it, what is wrong in words, and the rule.
type Case = (Flaw, &'static str, &'static str, &'static str, &'static str);

const CASES: [Case; 13] = [
    (
        Flaw::CancelLies,
        "cancel-lies",
        "cancel-from",
        "the controller says that it has cancelled, and goes on",
        "PAIN-08",
    ),
    (
        Flaw::ErrorIsCompletion,
        "error-is-completion",
        "device-error",
        "an end with its error bit set is reported as completion",
        "SEED-000-4",
    ),
    (
        Flaw::NeverStarts,
        "never-starts",
        "from-device",
        "a program is accepted, and nothing starts",
        "WDM-320",
    ),
    (
        Flaw::RefusesToStart,
        "refuses-to-start",
        "from-device",
        "no program is accepted",
        "WDM-150",
    ),
    (
        Flaw::TranslatesBadly,
        "translates-badly",
        "to-device",
        "the system's request line becomes another one of the hardware's",
        "WDM-310",
    ),
    (
        Flaw::KeepsBinding,
        "keeps-binding",
        "bound-again",
        "a channel that was found fit once is taken until it is cancelled",
        "RL-26",
    ),
    (
        Flaw::CountsUp,
        "counts-up",
        "loop-from",
        "the counter tells how many bytes were moved",
        "WDM-213",
    ),
    (
        Flaw::IgnoresConfigure,
        "ignores-configure",
        "loop-from",
        "the controller's own function says that all is well, and does nothing",
        "WDM-211",
    ),
    (
        Flaw::ForgetsLastFragment,
        "forgets-last-fragment",
        "from-device",
        "the last fragment of a list is left out",
        "SEED-000-3",
    ),
    (
        Flaw::EndsWithTheFirst,
        "ends-with-the-first",
        "to-device",
        "a list is complete after its first element",
        "SEED-000-3",
    ),
    (
        Flaw::LoopsOnce,
        "loops-once",
        "loop-from",
        "a loop ends after its first lap",
        "A-31",
    ),
    (
        Flaw::ReservesTooLittle,
        "reserves-too-little",
        "from-device",
        "the common buffer is too small for the fragments that fit into a transfer",
        "PAIN-18",
    ),
    (
        Flaw::LosesTheEnd,
        "loses-the-end",
        "from-device",
        "the end of a transfer is acknowledged and never reported",
        "SEED-001-5",
    ),
];

/// The reference controller with a flaw in front of it.
struct Flawed {
    inner: Arc<dyn Controller>,
    flaw: Flaw,
    bound: AtomicBool,
}

impl Flawed {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }
}

impl Front for Flawed {
    fn behind(&self) -> &dyn Controller {
        self.inner.as_ref()
    }

    fn channel(&self, channel: u32) -> ChannelAttributes {
        let attributes = self.inner.channel(channel);
        let common_buffer_length = match attributes.common_buffer_length {
            // Room for two descriptors of 16 bytes, not for three.
            right if self.is(Flaw::ReservesTooLittle) => right.min(32),
            right => right,
        };
        ChannelAttributes {
            common_buffer_length,
            ..attributes
        }
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        let taken = self.is(Flaw::KeepsBinding) && self.bound.swap(true, Ordering::Relaxed);
        !taken && self.inner.validate_request_line_binding(request_line, channel)
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        let mut segments: Vec<BusRange> = program.segments.iter().collect();
        let mut wrong = *program;
        match self.flaw {
            Flaw::NeverStarts => return Ok(()),
            Flaw::RefusesToStart => return Err(ProgramError::Gone),
            // So another device of the same controller is served.
            Flaw::TranslatesBadly => {
                let lines = self.inner.attributes().request_lines;
                let line = (program.request_line - lines.first + 1) % lines.count;
                wrong.request_line = lines.first + line;
            }
            Flaw::LoopsOnce => wrong.looped = false,
            Flaw::ForgetsLastFragment if segments.len() > 1 => drop(segments.pop()),
            Flaw::EndsWithTheFirst => segments.truncate(1),
            _ => {}
        }
        wrong.segments = Segments::new(&segments);
        self.inner.program(channel, &wrong)
    }

    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus {
        match self.inner.configure(channel, function, context) {
            NtStatus::NOT_IMPLEMENTED => NtStatus::NOT_IMPLEMENTED,
            _ if self.is(Flaw::IgnoresConfigure) => NtStatus::SUCCESS,
            status => status,
        }
    }

    fn flush(&self, channel: u32) {
        // Flushing would reset the channel, and with it hide the lie.
        if !self.is(Flaw::CancelLies) {
            self.inner.flush(channel);
        }
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        let (channel, kind) = self.inner.interrupt()?;
        match self.flaw {
            Flaw::LosesTheEnd => None,
            Flaw::ErrorIsCompletion => Some((channel, InterruptType::Completion)),
            _ => Some((channel, kind)),
        }
    }

    fn remaining(&self, channel: u32) -> u32 {
        let left = self.inner.remaining(channel);
        if self.is(Flaw::CountsUp) {
            24u32.saturating_sub(left)
        } else {
            left
        }
    }

    fn cancel(&self, channel: u32) -> bool {
        self.is(Flaw::CancelLies) || self.inner.cancel(channel)
    }
}

/// The reference controller with a flaw.
pub(super) fn rig(flaw: Flaw, bay: &crate::suites::Bay<'_>) -> Rig {
    let options = Options {
        common_buffer: flaw == Flaw::ReservesTooLittle,
        interrupts: Interrupts::Controller,
        first_line: 40,
        ..Options::new()
    };
    let rig = reference_rig(bay, options);
    Rig {
        controller: Arc::new(Flawed {
            inner: rig.controller,
            flaw,
            bound: AtomicBool::new(false),
        }),
        ..rig
    }
}

/// Every broken controller.
pub(super) fn exhibits() -> impl Iterator<Item = Exhibit> {
    CASES.into_iter().map(|(flaw, name, scenario, words, rule)| {
        let check = check_controller(move |bay| rig(flaw, bay)).named(name);
        Exhibit {
            target: super::only(scenario, check.into_target()),
            flaw: words,
            rule,
        }
    })
}
