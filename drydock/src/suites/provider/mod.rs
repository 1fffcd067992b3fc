//! What a NetDMA provider must do.
//!
//! The suite stands in for NetDMA: it writes descriptors, calls the provider's handlers, and is called back. Its
//! oracle knows what each descriptor should move and sees each byte and each completion word the moment it is
//! written, so that "the word before the data" is found whether or not anybody looked at that moment.
//!
//! Bottom to top:
//! * `slots`: where descriptors and data stand;
//! * `expect`: what a descriptor should do;
//! * `watch`: the oracle, and `words`: what it says to a completion word;
//! * `interface`: what the provider tells;
//! * `berth`: a channel and its calls; `chain`: its descriptors; `waits`: how a scenario waits;
//! * `judge`: what must hold after a call, byte by byte;
//! * `calls`: each call in each state, against the table;
//! * `matrix`: each call at every point of each chain;
//! * `held`: what may be done to a suspended channel;
//! * `odd` and `bad`: descriptors of every kind, sound and not;
//! * `life`: a channel before its first chain, and what it is allocated with;
//! * `basic`: mixtures, races and faults.

mod bad;
mod basic;
mod berth;
mod calls;
mod chain;
mod expect;
mod held;
mod interface;
mod judge;
mod life;
mod matrix;
mod odd;
mod slots;
mod waits;
mod watch;
mod words;

use super::{Bay, Check};
use crate::explore::{Faults, Scenario, Target};
use crate::machine::Machine;
use berth::{Berth, Terms};
use calls::Pair;
use longshore_core::{AtMostDispatch, Passive};
use longshore_hardware::netdma::ControlFlags;
use longshore_netdma::Provider;
use matrix::{Act, Case};
use std::sync::Arc;

/// Builds a provider, anew for each run.
pub(crate) type Build = Arc<dyn Fn(&Bay<'_>) -> Arc<dyn Provider> + Send + Sync>;

const STATUS: ControlFlags = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
const INTERRUPT: ControlFlags = ControlFlags::INTERRUPT_ON_COMPLETION;

/// Random walks of a scenario of the matrix, which is one of hundreds that are alike.
const MATRIX_SEEDS: u64 = 4;

/// Random walks of a scenario that is about one thing.
const PARTICULAR_SEEDS: u64 = 50;

/// Takes an engine's power away.
type Power = Box<dyn Fn(AtMostDispatch<'_>) + Send + Sync>;

/// A provider that is to be checked, and what more can be done to it than the contract says.
pub struct Subject {
    provider: Arc<dyn Provider>,
    power: Option<Power>,
    tolerant: bool,
}

impl Subject {
    /// A provider of which nothing is known but that it is one.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            power: None,
            tolerant: false,
        }
    }

    /// The same, and this takes its engine's power away.
    #[must_use]
    pub fn with_power(mut self, lose: impl Fn(AtMostDispatch<'_>) + Send + Sync + 'static) -> Self {
        self.power = Some(Box::new(lose));
        self
    }

    /// The same, and it keeps to the table also where NetDMA breaks the contract (NETDMA-043): a channel that is freed
    /// with work outstanding is stopped first, and one that was freed refuses every call.
    #[must_use]
    pub fn tolerant(mut self) -> Self {
        self.tolerant = true;
        self
    }
}

impl<P: Provider + 'static> From<Arc<P>> for Subject {
    fn from(provider: Arc<P>) -> Self {
        Self::new(provider)
    }
}

impl From<Arc<dyn Provider>> for Subject {
    fn from(provider: Arc<dyn Provider>) -> Self {
        Self::new(provider)
    }
}

/// Makes the scenarios of one subject.
struct Suite {
    build: Arc<dyn Fn(&Bay<'_>) -> Subject + Send + Sync>,
}

impl Suite {
    fn scenario(
        &self,
        name: impl Into<Arc<str>>,
        terms: Terms,
        act: impl Fn(&Arc<Berth>, &mut Passive) + Send + Sync + 'static,
    ) -> Scenario {
        let build = Arc::clone(&self.build);
        Scenario::new(name, move |machine: &Machine, passive| {
            if let Some(berth) = Berth::open(machine, passive, terms, build.as_ref()) {
                act(&berth, passive);
            }
        })
    }

    fn basic(&self, name: &'static str, act: fn(&Arc<Berth>, &mut Passive)) -> Scenario {
        self.scenario(name, Terms::default(), act)
    }

    fn case(&self, name: impl Into<Arc<str>>, case: Case) -> Scenario {
        let run = move |berth: &Arc<Berth>, passive: &mut Passive| case.run(berth, passive);
        self.scenario(name, Terms::default(), run)
            .with_faults(case.faults())
    }

    /// The scenarios that stand alone. Those named after a call are cases of the matrix that get every random walk.
    fn alone(&self) -> Vec<Scenario> {
        let early = Faults {
            early_interrupts: true,
            ..Faults::default()
        };
        let stalls = Faults {
            stalls: true,
            ..Faults::default()
        };
        let four = |name, act| {
            let case = Case {
                act,
                length: 4,
                method: STATUS,
            };
            self.case(name, case)
        };
        vec![
            self.basic("chain", basic::chain).with_faults(early),
            self.basic("poll", basic::poll),
            self.basic("silent", basic::silent),
            self.basic("append", basic::append),
            four("abort", Act::Abort),
            four("suspend", Act::Suspend),
            four("restart", Act::Start),
            four("bus-error", Act::Error),
            self.basic("stall", basic::stall).with_faults(stalls),
        ]
    }

    /// Each has one idea, and a few random walks show it.
    fn particular(&self) -> Vec<Scenario> {
        let mut all = Vec::new();
        for (name, act) in held::ALL {
            let run = move |berth: &Arc<Berth>, passive: &mut Passive| held::run(act, berth, passive);
            all.push(self.scenario(name, Terms::default(), run));
        }
        all.push(self.basic("second", held::second));
        let bus = Faults {
            bus_errors: true,
            bus_walks: true,
            ..Faults::default()
        };
        all.push(self.basic("held-error", held::error).with_faults(bus));
        all.extend(odd::ALL.map(|(name, act)| self.basic(name, act)));
        for (wrong, name) in bad::Wrong::ALL {
            for at in 0..bad::LENGTH - 1 {
                let run =
                    move |berth: &Arc<Berth>, passive: &mut Passive| bad::run(wrong, at, berth, passive);
                all.push(self.scenario(format!("bad-{name}-{at}"), Terms::default(), run));
            }
        }
        for (word, name) in [(true, "onto-word"), (false, "onto-itself")] {
            let run = move |berth: &Arc<Berth>, passive: &mut Passive| bad::onto(word, berth, passive);
            all.push(self.scenario(name, Terms::default(), run));
        }
        all.push(self.basic("fresh", life::fresh));
        all.push(self.basic("misplaced", life::misplaced));
        for cpu in 0..3 {
            let terms = Terms {
                cpus: 1 << cpu,
                priority: 7 * cpu,
                ..Terms::default()
            };
            all.push(self.scenario(format!("cpu-{cpu}"), terms, life::chain));
        }
        all.into_iter()
            .map(|scenario| scenario.with_at_most(PARTICULAR_SEEDS))
            .collect()
    }

    /// Each call in each state.
    fn calls(&self) -> impl Iterator<Item = Scenario> {
        Pair::all().map(|(name, pair)| {
            let run = move |berth: &Arc<Berth>, passive: &mut Passive| pair.run(berth, passive);
            self.scenario(name, Terms::default(), run)
                .with_at_most(MATRIX_SEEDS)
        })
    }

    /// A channel without a completion address has interrupts only.
    fn blind(&self) -> impl Iterator<Item = Scenario> {
        let terms = Terms {
            completion: false,
            ..Terms::default()
        };
        Act::ALL.into_iter().map(move |(act, name)| {
            let case = Case {
                act,
                length: 4,
                method: STATUS | INTERRUPT,
            };
            let run = move |berth: &Arc<Berth>, passive: &mut Passive| case.run(berth, passive);
            self.scenario(format!("{name}-4-blind"), terms, run)
                .with_faults(case.faults())
                .with_at_most(PARTICULAR_SEEDS)
        })
    }

    fn matrix(&self) -> impl Iterator<Item = Scenario> {
        Case::all().map(|(name, case)| self.case(name, case).with_at_most(MATRIX_SEEDS))
    }
}

/// Checks a NetDMA provider. `build` makes it anew for each run.
pub fn check_provider<S: Into<Subject>>(build: impl Fn(&Bay<'_>) -> S + Send + Sync + 'static) -> Check {
    let suite = Suite {
        build: Arc::new(move |bay| build(bay).into()),
    };
    let mut scenarios = suite.alone();
    scenarios.extend(suite.particular());
    scenarios.extend(suite.calls());
    scenarios.extend(suite.blind());
    scenarios.extend(suite.matrix());
    Check::new(Target {
        name: "provider".to_owned(),
        suite: "provider",
        scenarios,
    })
}
