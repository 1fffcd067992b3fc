//! What a run told of: misuse that the scenario committed, and none that it did not; calls that were refused, which touch
//! no hardware; and transfers, which stay in reach.

use crate::machine::{HIGH, Machine, Step, View, What};
use longshore_core::event::{Event, Rule};
use longshore_ndis::state::{self, Input, State};
use std::sync::{Mutex, PoisonError};

pub(super) const SET_UP: &str = "NdisMSetupDmaTransfer";
pub(super) const COMPLETE: &str = "NdisMCompleteDmaTransfer";
pub(super) const REGISTER: &str = "NdisMRegisterDmaChannel";
pub(super) const DEREGISTER: &str = "NdisMDeregisterDmaChannel";
pub(super) const ATTRIBUTES: &str = "NdisMSetMiniportAttributes";
pub(super) const ALIGNMENT: &str = "NdisMGetDmaAlignment";
pub(super) const INITIALIZE: &str = "MiniportInitializeEx";
pub(super) const HALT: &str = "MiniportHaltEx";

/// A misuse, and the rules under one of which it is told: which one may depend on who comes first.
type Expected = (&'static str, &'static [&'static str]);

/// The misuse that a scenario has committed.
#[derive(Default)]
pub(super) struct Misuses(Mutex<Vec<Expected>>);

impl Misuses {
    /// From now on this misuse must have been told once more.
    pub(super) fn expect(&self, call: &'static str, rules: &'static [&'static str]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((call, rules));
    }

    /// Compares with what was told: each misuse once, and nothing else.
    pub(super) fn check(&self, machine: &Machine) {
        let mut expected = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Those that leave no choice take theirs first.
        expected.sort_by_key(|(_, rules)| rules.len());
        let mut told = machine.look_back(misuses);
        for (call, rules) in expected {
            let found = told
                .iter()
                .position(|(name, rule)| *name == call && rules.contains(&rule.0));
            match found {
                Some(found) => drop(told.swap_remove(found)),
                None => machine.find(
                    Rule(rules[0]),
                    format!("{call} broke {}, and that was not told", rules.join(" or ")),
                ),
            }
        }
        for (call, rule) in told {
            machine.find(rule, format!("{call} is said to break {rule}, and does not"));
        }
    }
}

fn misuses(steps: &[Step]) -> Vec<(&'static str, Rule)> {
    let misuse = |step: &Step| match step.what {
        What::Event(Event::Misuse(call, rule, _)) => Some((call, rule)),
        _ => None,
    };
    steps.iter().filter_map(misuse).collect()
}

/// A call that is under way on some CPU.
#[derive(Clone, Copy, Default)]
struct Open {
    refused: bool,
    touched: bool,
}

/// The calls that were refused for what is set up, or is not, and touched the hardware all the same.
fn touching(steps: &[Step]) -> Vec<&'static str> {
    let mut open: [Option<Open>; 8] = [None; 8];
    let mut found = Vec::new();
    for step in steps {
        let cpu = step.cpu.and_then(|cpu| open.get_mut(cpu as usize));
        let Some(cpu) = cpu else { continue };
        match step.what {
            What::Event(Event::Call(SET_UP | COMPLETE)) => *cpu = Some(Open::default()),
            What::Event(Event::Return(call @ (SET_UP | COMPLETE), _)) => {
                if cpu.take().is_some_and(|call| call.refused && call.touched) {
                    found.push(call);
                }
            }
            what => {
                if let Some(call) = cpu {
                    call.refused |= refuses(what);
                    call.touched |= matches!(what, What::RegisterRead(..) | What::RegisterWritten(..));
                }
            }
        }
    }
    found
}

fn refuses(what: What) -> bool {
    match what {
        What::Event(Event::Misuse(COMPLETE, ..)) => true,
        What::Event(Event::Transition { table, state, event }) => {
            table == state::TABLE && event == Input::SetUp.name() && state != State::Idle.name()
        }
        _ => false,
    }
}

/// NDIS-032, NDIS-043, NDIS-045: what is refused disturbs nothing.
pub(super) fn check_refused(machine: &Machine) {
    for call in machine.look_back(touching) {
        let rule = if call == SET_UP { "NDIS-032" } else { "NDIS-045" };
        machine.find(
            Rule(rule),
            format!("{call} was refused, and touched the hardware"),
        );
    }
}

/// NDIS-014: where a NIC drives 24 address lines, nothing is moved to or from what lies beyond.
pub(super) fn check_reach(machine: &Machine) {
    let beyond = |step: &Step| match step.what {
        What::Read(View::Device, range) | What::Wrote(View::Device, range) => range.end() > HIGH,
        _ => false,
    };
    if machine.look_back(|steps| steps.iter().any(beyond)) {
        machine.find(Rule("NDIS-014"), "the device was sent beyond 24 address bits");
    }
}
