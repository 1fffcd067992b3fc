//! What the channel knows of itself. Whoever is `busy` may touch memory for it, and nobody else.

use crate::machine::Machine;
use longshore_core::{Event, Machine as _};
use longshore_hardware::BusAddress;
use longshore_netdma::state::{Action, Input, State, TABLE, step};

/// Where the engine goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Nowhere,
    /// At this descriptor.
    At(BusAddress),
    /// Where the link of this descriptor points by then.
    Behind(BusAddress),
}

/// What somebody waits for the engine to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Let go of the current descriptor.
    Cut,
    /// Begin no other descriptor.
    Hold,
}

pub(super) struct Cursor {
    pub(super) state: State,
    pub(super) position: Position,
    /// Descriptors that may still be executed, in version 2.x.
    pub(super) count: u32,
    /// The last completed descriptor of this start.
    pub(super) last: BusAddress,
    /// The first descriptor of this start.
    pub(super) first: BusAddress,
    /// Counts starts and stops, so that an engine in the middle of an old chain notices.
    pub(super) run: u32,
    pub(super) appended: bool,
    pub(super) busy: bool,
    pub(super) wanted: Option<Wanted>,
}

impl Cursor {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Fresh,
            position: Position::Nowhere,
            count: 0,
            last: BusAddress::NULL,
            first: BusAddress::NULL,
            run: 0,
            appended: false,
            busy: false,
            wanted: None,
        }
    }

    pub(super) fn apply(&mut self, machine: &Machine, input: Input) -> Action {
        let (after, action) = step(self.state, input);
        machine.emit(Event::Transition {
            table: TABLE,
            state: self.state.name(),
            event: input.name(),
        });
        self.state = after;
        action
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.state, State::Armed | State::Active)
    }

    /// The right to execute the next descriptor, if there is one.
    pub(super) fn begin(&mut self) -> Option<(Position, u32)> {
        if self.busy || self.wanted.is_some() || !self.runs() || self.position == Position::Nowhere {
            return None;
        }
        self.busy = true;
        self.appended = false;
        Some((self.position, self.run))
    }

    /// Forgets the chain.
    pub(super) fn cut(&mut self) {
        self.run += 1;
        self.position = Position::Nowhere;
        self.count = 0;
        self.appended = false;
    }
}
