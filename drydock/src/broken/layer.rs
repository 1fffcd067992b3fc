//! An NDIS that is wrong on purpose, each time in one way.

use super::Exhibit;
use super::controller;
use crate::machine::Machine;
use crate::reference::Options;
use crate::suites::Check;
use crate::suites::controller::reference_rig;
use crate::suites::miniport::{Arguments, Layer, RealLayer, check_layer, check_miniport};
use longshore_core::AtMostDispatch;
use longshore_core::machine::Machine as _;
use longshore_ndis::{DmaChannel, NdisStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What is wrong with an NDIS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// What a transfer has left is forgotten when it is completed (RL-09).
    ForgetsResidual,
    /// Whatever is set up is completed, with whichever arguments (NDIS-043).
    CompletesAnything,
    /// A second set-up is accepted (NDIS-032).
    AcceptsASecond,
    /// A second set-up waits until the first is completed (NDIS-063, NDIS-064).
    WaitsForTheFirst,
    /// A channel whose data is doubtful is not freed (NDIS-041, NDIS-063).
    KeepsTheChannel,
    /// A transfer that was cut is a success.
    CutIsSuccess,
}

/// A flaw, a name, the scenario that shows it, what is wrong in words, and the rule.
type Case = (Flaw, &'static str, &'static str, &'static str, &'static str);

const CASES: [Case; 6] = [
    (
        Flaw::ForgetsResidual,
        "forgets-residual",
        "receive-complete",
        "after completing the counter reads zero, whatever is left",
        "RL-09",
    ),
    (
        Flaw::CompletesAnything,
        "completes-anything",
        "receive-other-offset",
        "a completion with other arguments than the set-up's is accepted",
        "NDIS-043",
    ),
    (
        Flaw::AcceptsASecond,
        "accepts-a-second",
        "send-set-up",
        "a second set-up is accepted while the first transfer runs",
        "NDIS-032",
    ),
    (
        Flaw::WaitsForTheFirst,
        "waits-for-the-first",
        "send-set-up",
        "a second set-up waits until the first transfer is completed",
        "NDIS-064",
    ),
    (
        Flaw::KeepsTheChannel,
        "keeps-the-channel",
        "receive-complete",
        "a channel whose data is doubtful is not freed",
        "NDIS-041",
    ),
    (
        Flaw::CutIsSuccess,
        "cut-is-success",
        "receive-complete",
        "a transfer that was cut is reported as a success",
        "SEED-002-6",
    ),
];

/// The NDIS of this project with a flaw in front of it.
struct Flawed {
    machine: Machine,
    flaw: Flaw,
    /// What was set up last.
    up: Mutex<Option<Arguments>>,
    /// Whether anything was completed since.
    over: AtomicBool,
    kept: AtomicBool,
}

impl Flawed {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }
}

impl Layer for Flawed {
    fn set_up(
        &self,
        level: AtMostDispatch<'_>,
        channel: &DmaChannel<Machine>,
        arguments: &Arguments,
    ) -> NdisStatus {
        if self.kept.load(Ordering::Relaxed) {
            return NdisStatus::RESOURCES;
        }
        let mut status = RealLayer.set_up(level, channel, arguments);
        while self.is(Flaw::WaitsForTheFirst) && status != NdisStatus::SUCCESS && !self.machine.is_over() {
            self.machine.relax();
            status = RealLayer.set_up(level, channel, arguments);
        }
        if status == NdisStatus::SUCCESS {
            self.over.store(false, Ordering::Relaxed);
            *self.up.lock().unwrap_or_else(PoisonError::into_inner) = Some(arguments.clone());
        }
        if self.is(Flaw::AcceptsASecond) {
            return NdisStatus::SUCCESS;
        }
        status
    }

    fn complete(
        &self,
        level: AtMostDispatch<'_>,
        channel: &DmaChannel<Machine>,
        arguments: &Arguments,
    ) -> NdisStatus {
        let up = self.up.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let arguments = match &up {
            Some(up) if self.is(Flaw::CompletesAnything) => up,
            _ => arguments,
        };
        let status = RealLayer.complete(level, channel, arguments);
        self.over.store(true, Ordering::Relaxed);
        let doubtful = status == NdisStatus::RESOURCES;
        if doubtful && self.is(Flaw::KeepsTheChannel) {
            self.kept.store(true, Ordering::Relaxed);
        }
        if self.is(Flaw::CutIsSuccess) {
            return NdisStatus::SUCCESS;
        }
        status
    }

    fn read_counter(&self, level: AtMostDispatch<'_>, channel: &DmaChannel<Machine>) -> u32 {
        let left = RealLayer.read_counter(level, channel);
        if self.is(Flaw::ForgetsResidual) && self.over.load(Ordering::Relaxed) {
            return 0;
        }
        left
    }
}

/// The check of an NDIS with this flaw, on the reference controller.
pub fn flawed(flaw: Flaw) -> Check {
    check_layer(move |bay| {
        let layer = Flawed {
            machine: bay.machine().clone(),
            flaw,
            up: Mutex::default(),
            over: AtomicBool::new(false),
            kept: AtomicBool::new(false),
        };
        (reference_rig(bay, Options::new()), Arc::new(layer))
    })
}

/// Every broken NDIS, and what is below a miniport when a completion returns too early.
pub(super) fn exhibits() -> impl Iterator<Item = Exhibit> {
    let layers = CASES
        .into_iter()
        .map(|(flaw, name, scenario, words, rule)| Exhibit {
            target: super::only(scenario, flawed(flaw).named(name).into_target()),
            flaw: words,
            rule,
        });
    let runs_on = check_miniport(|bay| controller::rig(controller::Flaw::CancelLies, bay));
    layers.chain([Exhibit {
        target: super::only(
            "receive-early",
            runs_on.named("completed-and-runs-on").into_target(),
        ),
        flaw: "data of a transfer that was completed early still arrives",
        rule: "PAIN-08",
    }])
}
