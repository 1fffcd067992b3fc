//! What a rig has that decides which scenarios there are of it. What a rig cannot have is no scenario: one that passed
//! there would count without having looked at anything.

use super::Build;
use super::bench::Terms;
use super::place::{Place, crossing};
use crate::machine::{Config, Machine, Pairs, Plan, run};
use crate::suites::Bay;
use crate::suites::controller::{Rig, Wired};
use longshore_core::Rule;
use std::sync::{Arc, Mutex, PoisonError};

/// What a suite needs of a rig, and does not get. It is no rule of the ledger, since no page is about suites.
const RIG: Rule = Rule("RIG");

/// What a rig and the channel of its first device have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The channel's transfers are multiples of this many bytes.
    pub(super) unit: u32,
    /// What the channel must not cross, or 0.
    pub(super) boundary: u64,
    /// It starts over at the end.
    loops: bool,
}

impl Facts {
    /// What is known of a rig that could not be looked at. Each of its scenarios finds that out for itself.
    const NONE: Self = Self {
        unit: 1,
        boundary: 0,
        loops: false,
    };

    pub(super) fn of(rig: &Rig, wired: &Wired) -> Self {
        let (whole, channel) = (rig.controller.attributes(), rig.controller.channel(wired.channel));
        Self {
            unit: whole.minimum_unit.max(channel.minimum_unit).max(1),
            boundary: channel.boundary,
            loops: rig.abilities.loops,
        }
    }

    /// Builds the rig once, on a machine of its own, and looks.
    pub(super) fn learn(build: &Build) -> Self {
        let build = Arc::clone(build);
        let learnt = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&learnt);
        run(
            &Config::default(),
            &Plan::straight(),
            Pairs::default(),
            move |machine, passive| {
                let (rig, _) = build(&Bay::new(machine, passive));
                let facts = rig.devices.first().map(|wired| Self::of(&rig, wired));
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = facts;
            },
        );
        let learnt = *learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.unwrap_or(Self::NONE)
    }

    /// Whether there can be a bench under these terms.
    pub(super) fn allow(&self, terms: Terms) -> bool {
        let place = terms.place != Place::Across || crossing(self.boundary).is_some();
        place && (self.loops || !terms.looped)
    }
}

/// What a scenario cannot do without. That it is not there is a finding, since the scenario would pass otherwise.
pub(super) fn needed<T>(machine: &Machine, thing: Option<T>, what: &str) -> Option<T> {
    if thing.is_none() && !machine.is_over() {
        machine.find(RIG, format!("nothing can be checked here without {what}"));
    }
    thing
}
