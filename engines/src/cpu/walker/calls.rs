//! What is put into a walker from outside: chains, requests, and what was appended.

use super::{Chain, Foreman, Position, Walker};
use crate::cpu::goal::Run;
use crate::cpu::requests::{Answer, Request};
use longshore_core::Machine;
use longshore_hardware::netdma::TransferStatus;
use longshore_hardware::{BusAddress, BusRange};
use longshore_netdma::provider::Unsuccessful;
use longshore_netdma::state::{Action, Input, step};

impl<M: Machine, F: Foreman> Walker<M, F> {
    /// A new chain.
    pub(in crate::cpu) fn load(&mut self, chain: Chain) {
        self.forget();
        self.run = chain.run;
        self.heard = 0;
        self.last = BusAddress::NULL;
        self.position = Position::At(chain.first);
        self.count = u64::from(chain.count);
        if self.apply(Input::Start) == Action::Refuse {
            return self.forget();
        }
        self.foreman
            .changed(self.run, self.state, self.heard, self.next());
    }

    /// Does what was asked for, its completion word included.
    pub(in crate::cpu) fn serve(&mut self, request: Request) -> Answer {
        if request == Request::Resume {
            return self.resume();
        }
        // What was accepted before is accepted for good, also while nothing is done.
        self.hear();
        let status = match self.apply(request.input()) {
            Action::Refuse => return Err(Unsuccessful),
            Action::WriteHalted => Some(TransferStatus::HALTED),
            Action::WriteSuspend => Some(TransferStatus::SUSPEND),
            _ => None,
        };
        let last = self.last;
        if request.cuts() {
            self.forget();
        }
        if let Some(status) = status {
            // An engine that cannot write its word has stopped all the same.
            let _ = self.write_word(last, status);
        }
        if request == Request::Reset {
            self.last = BusAddress::NULL;
        }
        Ok(last)
    }

    /// The chain goes on behind the last descriptor, whose link may have been edited (NETDMA-091).
    fn resume(&mut self) -> Answer {
        self.hear();
        if self.apply(Input::Resume) == Action::Refuse {
            return Err(Unsuccessful);
        }
        if self.counted && self.count == 0 {
            self.apply(Input::RanDry);
        } else if !self.last.is_null() {
            self.position = Position::Behind(self.last);
        }
        Ok(self.last)
    }

    /// Takes the channel back. False if something was outstanding, which its user had promised against (NETDMA-043).
    pub(in crate::cpu) fn free(&mut self) -> bool {
        self.hear();
        let (drained, last) = (self.drained(), self.last);
        self.forget();
        let kept = match self.apply(Input::Free) {
            Action::Refuse => return false,
            Action::CutAndRelease => false,
            Action::ReleaseIfDrained => drained,
            _ => true,
        };
        if !kept {
            // It is cut as an abort cuts it.
            let _ = self.write_word(last, TransferStatus::HALTED);
        }
        self.word = BusRange::EMPTY;
        kept
    }

    /// Takes the channel back, and tells nobody. False if nobody had it.
    pub(in crate::cpu) fn release(&mut self) -> bool {
        self.word = BusRange::EMPTY;
        self.forget();
        self.apply(Input::Free) != Action::Refuse
    }

    /// Whether nothing is known to be pending.
    fn drained(&self) -> bool {
        let more = if self.counted {
            self.count > 0
        } else {
            !self.next().is_null()
        };
        self.current.is_none() && !more
    }

    /// Forgets the chain: from here on no descriptor of it is looked at (NETDMA-093).
    pub(super) fn forget(&mut self) {
        self.current = None;
        self.position = Position::At(BusAddress::NULL);
        self.count = 0;
    }

    /// Takes in what was appended. True if there was anything.
    pub(in crate::cpu) fn hear(&mut self) -> bool {
        let more = self.foreman.beyond(self.run, self.heard);
        self.take_in(more)
    }

    /// Takes in that much more.
    pub(in crate::cpu) fn take_in(&mut self, more: u64) -> bool {
        if more == 0 {
            return false;
        }
        self.heard = self.heard.wrapping_add(more);
        // It was accepted before the channel stopped, and ended with it.
        if step(self.state, Input::Append).1 != Action::Refuse {
            self.count = self.count.saturating_add(more);
            self.apply(Input::Append);
        }
        true
    }

    /// How much was heard of.
    pub(in crate::cpu) fn heard(&self) -> (Run, u64) {
        (self.run, self.heard)
    }
}
