//! What a call of NetDMA does to the book of a channel.

use super::book::{Book, LeaseNumber, Position};
use super::stops::{Answer, Stop, Withdrawn};
use longshore_core::{Event, Machine, Rule};
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::{CompletionWord, DESCRIPTOR_ALIGNMENT, TransferStatus};
use longshore_netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore_netdma::state::{Action, Input, State, step};

/// The answer to a request to stop.
pub(super) enum Asked {
    /// It is answered.
    Answered(Answer),
    /// The answer comes under this number.
    Waiting(u32),
}

impl Book {
    // ---- calls that change the book only ----

    /// A new chain.
    pub(super) fn start<M: Machine>(
        &mut self,
        machine: &M,
        lease: LeaseNumber,
        first: BusAddress,
        count: u32,
    ) -> Result<(), StartError> {
        let refuse = |rule| {
            let status = StartError::Unsuccessful.status();
            machine.emit(Event::Misuse("ProviderStartDma", Rule(rule), status));
            Err(StartError::Unsuccessful)
        };
        if step(self.state_for(lease), Input::Start).1 == Action::Refuse {
            return refuse("NETDMA-043");
        }
        if !is_descriptor(first) {
            return refuse("NETDMA-052");
        }
        if self.counted && count == 0 {
            return refuse("RACE-2");
        }
        self.apply(machine, Input::Start);
        // What is being copied now belongs to the old run: it is finished, and reports Active (RACE-7).
        self.run = self.run.wrapping_add(1);
        self.last = BusAddress::NULL;
        self.position = Position::At(first);
        self.count = u64::from(count);
        self.appended = false;
        self.fault = None;
        Ok(())
    }

    /// The chain goes on. In version 1.x the address is not used: the tail's link says it (RACE-1).
    pub(super) fn append<M: Machine>(
        &mut self,
        machine: &M,
        lease: LeaseNumber,
        first: BusAddress,
        count: u32,
    ) -> Result<(), AppendError> {
        let rule = match step(self.state_for(lease), Input::Append).1 {
            Action::Refuse => Some("NETDMA-076"),
            _ if !is_descriptor(first) => Some("NETDMA-052"),
            _ if self.counted && self.contradicts_cached(first, count) => Some("NETDMA-074"),
            _ => None,
        };
        if let Some(rule) = rule {
            let status = AppendError::Unsuccessful.status();
            machine.emit(Event::Misuse("ProviderAppendDma", Rule(rule), status));
            return Err(AppendError::Unsuccessful);
        }
        if self.counted && count == 0 {
            return Ok(());
        }
        self.apply(machine, Input::Append);
        self.count = self.count.saturating_add(u64::from(count));
        self.appended = true;
        Ok(())
    }

    /// Only an engine that has run out knows where the next chain must begin; before that it has not read the
    /// tail. A suspended one may have been edited.
    fn contradicts_cached(&self, first: BusAddress, count: u32) -> bool {
        count > 0 && self.state == State::Idle && self.position != Position::At(first)
    }

    /// The chain goes on behind the last descriptor, whose link may have been edited (NETDMA-091).
    pub(super) fn resume<M: Machine>(&mut self, machine: &M, lease: LeaseNumber) -> Result<(), Unsuccessful> {
        if step(self.state_for(lease), Input::Resume).1 == Action::Refuse {
            machine.emit(Event::Misuse(
                "ProviderResumeDma",
                Rule("AMB-11"),
                Unsuccessful.status(),
            ));
            return Err(Unsuccessful);
        }
        self.apply(machine, Input::Resume);
        if self.counted && self.count == 0 {
            self.apply(machine, Input::RanDry);
        } else if !self.last.is_null() {
            self.position = Position::Behind(self.last);
        }
        Ok(())
    }

    // ---- stops ----

    /// Somebody wants the channel to stop.
    pub(super) fn ask<M: Machine>(&mut self, machine: &M, lease: LeaseNumber, stop: Stop) -> Asked {
        match step(self.state_for(lease), stop.input()).1 {
            Action::Refuse => Asked::Answered(Err(Unsuccessful)),
            Action::Done | Action::Repeat if !self.busy => {
                self.apply(machine, stop.input());
                let last = self.last;
                self.settle(stop);
                Asked::Answered(Ok(last))
            }
            _ => Asked::Waiting(self.stops.ask(stop)),
        }
    }

    /// The answer to an earlier request.
    pub(super) fn answer(&self, stop: Stop, number: u32) -> Option<Answer> {
        self.stops.answer(stop, number)
    }

    /// Takes a request back.
    pub(super) fn withdraw(&mut self, stop: Stop, number: u32) -> Withdrawn {
        self.stops.withdraw(stop, number)
    }

    /// The worker must let go of the current descriptor.
    pub(super) fn wants_cut(&self) -> bool {
        self.state == State::Free || self.stops.wants_cut()
    }

    pub(super) fn serve<M: Machine>(&mut self, machine: &M, stop: Stop) -> Option<CompletionWord> {
        let action = self.apply(machine, stop.input());
        let answer = match action {
            Action::Refuse => Err(Unsuccessful), // an abort came first
            _ => Ok(self.last),
        };
        self.stops.begin(stop, answer);
        let word = match action {
            Action::WriteHalted => self.word(self.last, TransferStatus::HALTED),
            Action::WriteSuspend => self.word(self.last, TransferStatus::SUSPEND),
            _ => None,
        };
        if answer.is_ok() {
            self.settle(stop);
        }
        word
    }

    fn settle(&mut self, stop: Stop) {
        if stop != Stop::Suspend {
            self.cut();
        }
        if stop == Stop::Reset {
            self.last = BusAddress::NULL;
            self.fault = None;
        }
    }

    /// Forgets the chain: from here on no descriptor of it is looked at (NETDMA-093).
    pub(super) fn cut(&mut self) {
        self.run = self.run.wrapping_add(1);
        self.current = None;
        self.position = Position::At(BusAddress::NULL);
        self.count = 0;
        self.appended = false;
    }
}

fn is_descriptor(address: BusAddress) -> bool {
    !address.is_null() && address.is_aligned(DESCRIPTOR_ALIGNMENT)
}
