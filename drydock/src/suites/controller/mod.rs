//! What system DMA must do: a controller, and the stack between it and a driver.
//!
//! The suite is a driver. It maps transfers, lets the device move the bytes or cuts it off, and judges what its
//! completion routine is told, what polling shows and what memory holds.
//!
//! Bottom to top:
//! * `rig`: what is checked, and what it can do; `chips`: the real ones;
//! * `site`: it, registered;
//! * `told`: the completion routine;
//! * `client`: a driver with one transfer, call by call, and `leave`: how it leaves, and what must hold then;
//! * `basic`: healthy transfers and failing ones;
//! * `cancel`: cancelled at every point; `loops`: the same for loops;
//! * `queue`: who waits for a channel;
//! * `calls`: the states and the calls; `states`: each call in each state, and `expect`: what it must say.

mod basic;
mod calls;
mod cancel;
mod chips;
mod client;
mod expect;
mod leave;
mod loops;
mod queue;
mod rig;
mod site;
mod states;
mod told;

pub use chips::{i8237_rig, pdma_rig};
pub use rig::{Abilities, Rig, Wired, reference_rig};

use super::{Bay, Check};
use crate::explore::{Faults, Scenario, Target};
use crate::machine::Machine;
use client::{Client, Terms};
use longshore_core::{AtMostDispatch, Passive};
use longshore_wdm::{Adapter, MapError, MapRequest, TransferContext};
use site::Site;
use states::Pair;
use std::sync::Arc;

/// Which pieces of a buffer are beyond the controller's reach, so that they go through map registers.
const PLACES: [(&str, [bool; 3]); 3] = [
    ("", [false; 3]),
    ("-mixed", [false, true, false]),
    ("-beyond", [true; 3]),
];

/// Random walks of a scenario of the matrix, which is one of hundreds that are alike.
const MATRIX_SEEDS: u64 = 2;

/// Random walks of a scenario that is about one thing.
const PARTICULAR_SEEDS: u64 = 50;

/// What maps a transfer: the stack under test. Anything but [`RealStack`] is there to be caught.
pub trait Stack: Send + Sync {
    /// MapTransferEx.
    fn map(
        &self,
        level: AtMostDispatch<'_>,
        adapter: &Adapter<Machine>,
        context: &Arc<TransferContext>,
        request: MapRequest<'_, Machine>,
    ) -> Result<u32, MapError>;
}

/// The stack of this project.
pub struct RealStack;

impl Stack for RealStack {
    fn map(
        &self,
        level: AtMostDispatch<'_>,
        adapter: &Adapter<Machine>,
        context: &Arc<TransferContext>,
        request: MapRequest<'_, Machine>,
    ) -> Result<u32, MapError> {
        adapter.map_transfer(level, context, request)
    }
}

/// Builds what is checked, anew for each run.
pub type Build = Arc<dyn Fn(&Bay<'_>) -> (Rig, Arc<dyn Stack>) + Send + Sync>;

/// Checks a system DMA controller under the stack of this project.
pub fn check_controller(build: impl Fn(&Bay<'_>) -> Rig + Send + Sync + 'static) -> Check {
    check_stack(move |bay| (build(bay), Arc::new(RealStack)))
}

/// Checks a controller together with a stack.
pub fn check_stack(build: impl Fn(&Bay<'_>) -> (Rig, Arc<dyn Stack>) + Send + Sync + 'static) -> Check {
    let suite = Suite {
        build: Arc::new(build),
    };
    let mut scenarios = suite.basic();
    scenarios.extend(suite.cancelled());
    scenarios.extend(suite.sites());
    scenarios.extend(suite.states());
    Check::new(Target {
        name: "controller".to_owned(),
        suite: "controller",
        scenarios,
    })
}

/// Makes the scenarios of one controller.
struct Suite {
    build: Build,
}

impl Suite {
    /// A scenario of the whole site.
    fn site(
        &self,
        name: impl Into<Arc<str>>,
        act: impl Fn(&Arc<Site>, &mut Passive) + Send + Sync + 'static,
    ) -> Scenario {
        let build = Arc::clone(&self.build);
        Scenario::new(name, move |machine: &Machine, passive| {
            if let Some(site) = Site::new(machine, passive, &build) {
                act(&site, passive);
                machine.disarm();
                let in_use = site.registers.in_use();
                site.require(in_use == 0, "PAIN-18", || {
                    format!("{in_use} map registers were not given back")
                });
            }
        })
    }

    /// A scenario of one client that holds its channel.
    fn one(&self, name: impl Into<Arc<str>>, terms: Terms, act: fn(&Arc<Client>, &mut Passive)) -> Scenario {
        self.site(name, move |site, passive| {
            if terms.looped && !site.abilities.loops {
                return;
            }
            let Some(client) = Client::new(site, passive, terms) else {
                return;
            };
            if client.take_channel(passive) {
                act(&client, passive);
                client.leave(passive);
            }
        })
    }

    fn basic(&self) -> Vec<Scenario> {
        let early = Faults {
            early_interrupts: true,
            ..Faults::default()
        };
        let bus = Faults {
            bus_errors: true,
            ..Faults::default()
        };
        let receive = Terms::RECEIVE;
        vec![
            self.one("to-device", Terms::SEND, basic::healthy)
                .with_faults(early),
            self.one("from-device", receive, basic::healthy)
                .with_faults(early),
            self.one("device-error", receive, basic::device_error),
            self.one("bus-error", receive, basic::bus_error).with_faults(bus),
            self.one("starved", receive, basic::starved),
            self.one("cancel-twice", receive, cancel::twice),
            self.one("cancel-error", receive, cancel::error),
            self.one("cancel-flush-free", receive, cancel::flush_free),
        ]
    }

    /// A cancel at every point: both ways, in one go and looped.
    fn cancelled(&self) -> Vec<Scenario> {
        let mut all = Vec::new();
        for (way, write) in [("to", true), ("from", false)] {
            let terms = Terms {
                write,
                ..Terms::RECEIVE
            };
            let looped = Terms {
                looped: true,
                ..terms
            };
            for (name, beyond) in PLACES {
                let terms = Terms { beyond, ..terms };
                let looped = Terms { beyond, ..looped };
                all.push(self.one(format!("cancel-{way}{name}"), terms, cancel::pieces));
                all.push(self.one(format!("loop-{way}{name}"), looped, loops::looped));
                all.push(self.one(format!("flush-{way}{name}"), terms, cancel::flush_early));
            }
        }
        let looped = Terms {
            looped: true,
            ..Terms::RECEIVE
        };
        all.push(self.one("loop-error", looped, loops::error));
        all
    }

    fn sites(&self) -> impl Iterator<Item = Scenario> {
        let all = [
            self.site("bound-again", basic::bound_again),
            self.site("two-channels", basic::two_channels),
            self.site("in-turn", queue::in_turn),
            self.site("marked", queue::marked),
            self.site("two-cpus", queue::from_two_cpus),
        ];
        all.into_iter()
            .map(|scenario| scenario.with_at_most(PARTICULAR_SEEDS))
    }

    /// Each call in each state.
    fn states(&self) -> impl Iterator<Item = Scenario> {
        Pair::all().map(|(name, pair)| {
            self.site(name, move |site, passive| pair.run(site, passive))
                .with_at_most(MATRIX_SEEDS)
        })
    }
}
