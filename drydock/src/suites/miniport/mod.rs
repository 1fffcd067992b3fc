//! What an NDIS miniport's system DMA must do.
//!
//! The suite is a miniport and its NIC. It sets transfers up, lets the NIC move the bytes or cuts it off, calls what it
//! should not from another CPU at every point, and judges the statuses, the counter, memory, the misuse that is told, and
//! that a call which is refused touches no hardware.
//!
//! Bottom to top:
//! * `layer`: the calls that are under test;
//! * `place`: where a buffer is; `stubborn`: hardware that does not stop at once;
//! * `facts`: what a rig has, and so which scenarios there are of it;
//! * `told`: which misuse must be told, and no other;
//! * `bench`: a miniport that runs, with a channel and a NIC; `intruder`: who comes in between;
//! * `whole`: whole transfers, and early completions as a value;
//! * `wrong`: completions, set-ups and reads from another CPU; `refused`: set-ups that make no sense;
//! * `missing`: completions that never come, and hardware that does not stop;
//! * `ring` and `loops`: one ring of memory, and a channel that starts over at the end;
//! * `life`: who gets a channel, and each call in each phase.

mod bench;
mod facts;
mod intruder;
mod layer;
mod life;
mod loops;
mod missing;
mod place;
mod refused;
mod ring;
mod stubborn;
mod told;
mod whole;
mod wrong;

pub use layer::{Arguments, Layer, RealLayer};

use super::controller::Rig;
use super::{Bay, Check};
use crate::explore::{Faults, Scenario, Target};
use crate::machine::Machine;
use bench::{Bench, Site, Terms};
use facts::Facts;
use longshore_core::Passive;
use longshore_core::event::Rule;
use place::Place;
use std::sync::Arc;
use wrong::Act;

/// Random walks of a scenario of the matrix, which is one of many that are alike.
const MATRIX_SEEDS: u64 = 20;

/// Random walks of a scenario that is about one thing.
const PARTICULAR_SEEDS: u64 = 50;

/// Builds what is checked, anew for each run.
type Build = Arc<dyn Fn(&Bay<'_>) -> (Rig, Arc<dyn Layer>) + Send + Sync>;

/// Checks NDIS system DMA over a controller. It is built once more here, to learn which scenarios there are of it.
pub fn check_miniport(build: impl Fn(&Bay<'_>) -> Rig + Send + Sync + 'static) -> Check {
    check_layer(move |bay| (build(bay), Arc::new(RealLayer)))
}

/// Checks a controller together with an NDIS.
pub fn check_layer(build: impl Fn(&Bay<'_>) -> (Rig, Arc<dyn Layer>) + Send + Sync + 'static) -> Check {
    let build: Build = Arc::new(build);
    let facts = Facts::learn(&build);
    let suite = Suite { build, facts };
    let mut scenarios = suite.matrix();
    scenarios.extend(suite.particular());
    scenarios.extend(suite.lives());
    Check::new(Target {
        name: "miniport".to_owned(),
        suite: "miniport",
        scenarios,
    })
}

/// Makes the scenarios that a rig with these facts can have.
struct Suite {
    build: Build,
    facts: Facts,
}

impl Suite {
    /// A scenario of one bench, which sees to its end itself.
    fn owned(
        &self,
        name: impl Into<Arc<str>>,
        terms: Terms,
        act: impl Fn(Bench, &mut Passive) + Send + Sync + 'static,
    ) -> Scenario {
        let build = Arc::clone(&self.build);
        let body = move |machine: &Machine, passive: &mut Passive| {
            if let Some(bench) = Bench::new(machine, passive, &build, terms) {
                act(bench, passive);
                machine.disarm();
            }
        };
        Scenario::new(name, body).with_at_most(PARTICULAR_SEEDS)
    }

    /// A scenario of one bench that others may have a hand on, and whose miniport halts at the end.
    fn one(
        &self,
        name: impl Into<Arc<str>>,
        terms: Terms,
        act: impl Fn(&Arc<Bench>, &mut Passive) + Send + Sync + 'static,
    ) -> Scenario {
        self.owned(name, terms, move |bench, passive| {
            let bench = Arc::new(bench);
            act(&bench, passive);
            bench.machine.disarm();
            match Arc::try_unwrap(bench) {
                Ok(bench) => bench.leave(passive),
                Err(bench) => bench.machine.find(
                    Rule("NDIS-064"),
                    "a call from another CPU did not return".to_owned(),
                ),
            }
        })
    }

    /// A scenario of miniports and their platform.
    fn life(&self, name: &str, act: fn(&Site, &mut Passive)) -> Scenario {
        let build = Arc::clone(&self.build);
        let body = move |machine: &Machine, passive: &mut Passive| {
            if let Some(site) = Site::new(machine, passive, &build, false) {
                act(&site, passive);
                site.leave();
            }
        };
        Scenario::new(name, body).with_at_most(PARTICULAR_SEEDS)
    }

    /// Both ways, and wherever the buffer is: whole, early, thrown away, and met by each call.
    fn matrix(&self) -> Vec<Scenario> {
        let early = Faults {
            early_interrupts: true,
            ..Faults::default()
        };
        let mut all = Vec::new();
        for (way, write) in [("send", true), ("receive", false)] {
            for (where_, place) in Place::ALL {
                let terms = Terms {
                    write,
                    place,
                    ..Terms::RECEIVE
                };
                if !self.facts.allow(terms) {
                    continue;
                }
                let name = |what: &str| format!("{way}{where_}-{what}");
                all.push(self.one(name("whole"), terms, whole::whole).with_faults(early));
                all.push(self.one(name("early"), terms, whole::early));
                all.push(self.one(name("dropped"), terms, missing::dropped));
                all.push(self.one(
                    name("ring"),
                    Terms {
                        demand: true,
                        ..terms
                    },
                    ring::walk,
                ));
                let looped = Terms {
                    looped: true,
                    ..terms
                };
                if self.facts.allow(looped) {
                    all.push(self.one(name("loop"), looped, loops::laps));
                }
                for (what, act) in Act::ALL {
                    let met =
                        move |bench: &Arc<Bench>, passive: &mut Passive| wrong::met(bench, passive, act);
                    all.push(self.one(name(what), terms, met));
                }
            }
        }
        let few = |scenario: Scenario| scenario.with_at_most(MATRIX_SEEDS);
        all.into_iter().map(few).collect()
    }

    /// What one direction and one buffer show.
    fn particular(&self) -> Vec<Scenario> {
        let receive = Terms::RECEIVE;
        let stubborn = Terms {
            stubborn: true,
            ..receive
        };
        let mut all = vec![
            self.one("lengths", receive, refused::lengths),
            self.owned("channel-dropped", receive, missing::channel_dropped),
            self.owned("deregistered", receive, missing::deregistered),
            self.owned("left-behind", receive, missing::left_behind),
            self.one("does-not-stop", stubborn, missing::does_not_stop),
        ];
        if self.facts.unit > 1 {
            all.push(self.one("odd", receive, refused::odd));
        }
        all
    }

    fn lives(&self) -> [Scenario; 3] {
        [
            self.life("conflicts", life::conflicts),
            self.life("refusals", life::refusals),
            self.life("phases", life::phases),
        ]
    }
}
