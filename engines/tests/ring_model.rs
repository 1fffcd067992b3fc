//! A ring against a short model: whatever is asked of it in whatever order, each operation is reported once, with the
//! outcome that the model foresees, and what is completed comes in order.

#![allow(clippy::unwrap_used)] // the helpers of a test may panic as the test itself

mod support;

use longshore_core::completion::{Outcome, Verdict};
use longshore_hardware::{BusRange, Lease};
use longshore_host::{Host, Machine};
use longshore_netdma::ring::{Done, Request, Ring};
use longshore_netdma::{Handlers, Version};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use std::collections::VecDeque;
use std::fmt;
use support::manual::{Manual, manual_ring};
use support::*;

/// Bytes of each descriptor.
const PART: u64 = 16;

/// What is done to a ring, and to the engine beneath it.
#[derive(Clone, Debug)]
enum Act {
    /// An operation of so many descriptors.
    Submit(u64),
    Doorbell,
    /// The engine does so many descriptors.
    Step(usize),
    /// With so much room.
    Poll(usize),
    /// The one with this number, modulo how many there are.
    Cancel(usize),
    CancelOdd,
    Abort,
    Restart,
}

/// An operation as the model sees it.
#[derive(Clone, Debug)]
struct Op {
    /// How many of its descriptors are not done.
    undone: u64,
    fate: Option<Verdict>,
}

/// The model: the operations, which of them are queued, and what the engine has.
#[derive(Clone, Debug, Default)]
struct Model {
    ops: Vec<Op>,
    queued: Vec<usize>,
    chain: VecDeque<usize>,
}

impl Model {
    fn cancel(&mut self, index: usize) {
        let fate = &mut self.ops[index].fate;
        if fate.is_none() {
            *fate = Some(Verdict::Cancelled);
            self.queued.retain(|&queued| queued != index);
            self.chain.retain(|&given| given != index);
        }
    }

    fn ring(&mut self) {
        for index in std::mem::take(&mut self.queued) {
            let parts = self.ops[index].undone as usize;
            self.chain.extend(std::iter::repeat_n(index, parts));
        }
    }

    fn step(&mut self) {
        if let Some(index) = self.chain.pop_front() {
            let op = &mut self.ops[index];
            op.undone -= 1;
            if op.undone == 0 {
                op.fate = Some(Verdict::Completed);
            }
        }
    }

    fn outcome(&self, index: usize) -> Option<Outcome> {
        let op = &self.ops[index];
        Some(Outcome {
            verdict: op.fate?,
            residue: op.undone * PART,
        })
    }
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Act;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::default()).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Act> {
        prop_oneof![
            6 => (1..4u64).prop_map(Act::Submit),
            3 => Just(Act::Doorbell),
            4 => (1..6usize).prop_map(Act::Step),
            3 => (0..4usize).prop_map(Act::Poll),
            3 => any::<usize>().prop_map(Act::Cancel),
            1 => Just(Act::CancelOdd),
            1 => Just(Act::Abort),
            1 => Just(Act::Restart),
        ]
        .boxed()
    }

    fn apply(mut model: Model, act: &Act) -> Model {
        match *act {
            Act::Submit(undone) => {
                model.queued.push(model.ops.len());
                model.ops.push(Op { undone, fate: None });
            }
            Act::Doorbell => model.ring(),
            Act::Step(count) => (0..count).for_each(|_| model.step()),
            Act::Poll(_) => {}
            Act::Cancel(_) if model.ops.is_empty() => {}
            Act::Cancel(index) => model.cancel(index % model.ops.len()),
            Act::CancelOdd => (0..model.ops.len())
                .filter(|n| n % 2 == 1)
                .for_each(|n| model.cancel(n)),
            Act::Abort => (0..model.ops.len()).for_each(|n| model.cancel(n)),
            Act::Restart => {
                for index in model.chain.clone() {
                    model.cancel(index);
                }
                model.ring();
            }
        }
        model
    }
}

/// The ring under test.
struct Bench {
    ring: Ring<Machine, Manual, usize>,
    manual: Manual,
    buffer: Lease<Memory>,
    tickets: Vec<longshore_netdma::Ticket>,
    told: Vec<Option<Outcome>>,
    /// The last one that was told to be completed.
    last: Option<usize>,
    host: Host,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, told: {:?}", self.ring, self.told)
    }
}

impl Bench {
    /// A ring that has gone round before, so that it will again.
    fn new(version: Version, handlers: Handlers) -> Self {
        let host = host();
        let machine = host.machine().clone();
        let (ring, manual) = manual_ring(&machine, version, handlers, 256);
        let buffer = zeros(&machine, 4 * PART);
        let mut bench = Self {
            ring,
            manual,
            buffer,
            tickets: Vec::new(),
            told: Vec::new(),
            last: None,
            host,
        };
        let mut model = Model::default();
        for act in [vec![Act::Submit(3); 80], vec![Act::Doorbell, Act::Step(240)]].concat() {
            bench.act(&act);
            model = Model::apply(model, &act);
        }
        bench.settle(&model);
        (bench.tickets, bench.told, bench.last) = (Vec::new(), Vec::new(), None);
        bench
    }

    fn submit(&mut self, parts: u64) {
        let index = self.told.len();
        let parts: Vec<BusRange> = (0..parts)
            .map(|part| self.buffer.range().slice(part * PART, PART).unwrap())
            .collect();
        let ticket = self
            .ring
            .submit(Request::chain(&parts, &parts), index as u64, index)
            .unwrap();
        self.tickets.push(ticket);
        self.told.push(None);
    }

    fn act(&mut self, act: &Act) {
        let machine = self.host.machine().clone();
        let passive = passive(&machine);
        let level = (&passive).into();
        match *act {
            Act::Submit(parts) => self.submit(parts),
            Act::Doorbell => self.ring.doorbell(level).unwrap(),
            Act::Step(count) => {
                for _ in 0..count {
                    self.manual.step_to_data();
                }
            }
            Act::Cancel(_) if self.tickets.is_empty() => {}
            Act::Cancel(index) => drop(self.ring.cancel(level, self.tickets[index % self.tickets.len()])),
            Act::CancelOdd => drop(self.ring.cancel_where(level, |tag, _| tag % 2 == 1)),
            Act::Abort => self.ring.abort(level).unwrap(),
            Act::Restart => self.ring.restart(level).unwrap(),
            Act::Poll(_) => {}
        }
    }

    fn poll(&mut self, room: usize, model: &Model) -> usize {
        let machine = self.host.machine().clone();
        let mut dones: Vec<Done<usize>> = (0..room).map(|_| Done::default()).collect();
        let count = self.ring.poll((&passive(&machine)).into(), &mut dones);
        for done in &dones[..count] {
            let index = done.tag as usize;
            assert_eq!((done.held, done.ticket), (Some(index), self.tickets[index]));
            assert_eq!(Some(done.outcome), model.outcome(index), "operation {index}");
            assert_eq!(
                self.told[index].replace(done.outcome),
                None,
                "operation {index}, twice"
            );
            if done.outcome.verdict == Verdict::Completed {
                assert!(
                    self.last.replace(index) < Some(index),
                    "operation {index} out of order"
                );
            }
        }
        count
    }

    /// Everything goes to its end. Each operation was told.
    fn settle(&mut self, model: &Model) {
        let mut model = model.clone();
        for act in [Act::Doorbell, Act::Step(1_000)] {
            self.act(&act);
            model = Model::apply(model, &act);
        }
        while self.poll(7, &model) > 0 {}
        assert!(self.told.iter().all(Option::is_some) && self.ring.is_quiet());
    }
}

/// The four kinds of rings: both generations, held and stopped for a cancel.
struct Linked;
struct Counted;
struct LinkedStopped;
struct CountedStopped;

macro_rules! against_the_model {
    ($($kind:ident: $version:expr, $handlers:expr;)*) => {
        $(impl StateMachineTest for $kind {
            type SystemUnderTest = Bench;
            type Reference = Model;

            fn init_test(_: &Model) -> Bench {
                Bench::new($version, $handlers)
            }

            fn apply(mut bench: Bench, model: &Model, act: Act) -> Bench {
                match act {
                    Act::Poll(room) => drop(bench.poll(room, model)),
                    act => bench.act(&act),
                }
                bench
            }

            fn teardown(mut bench: Bench, model: Model) {
                bench.settle(&model);
            }
        })*
    };
}

against_the_model! {
    Linked: Version::V1_1, Handlers::all();
    Counted: Version::V2_1, Handlers::all();
    LinkedStopped: Version::V1_1, Handlers::ABORT;
    CountedStopped: Version::V2_1, Handlers::RESET;
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn linked_chains_do_what_the_model_does(sequential 1..60 => Linked);

    #[test]
    fn counted_chains_do_what_the_model_does(sequential 1..60 => Counted);

    #[test]
    fn linked_chains_that_cannot_be_held_do_too(sequential 1..60 => LinkedStopped);

    #[test]
    fn counted_chains_that_cannot_be_held_do_too(sequential 1..60 => CountedStopped);
}
