//! What is known of a channel. It stands behind a lock; nothing here touches memory or calls anybody back.
//!
//! Whoever may touch memory for the channel holds the *claim* (`busy`), which is given out by [`Book::claim`] and
//! given back by [`Book::release`]. All else only changes the book.

use super::stops::{Stop, Stops};
use super::transfer::Transfer;
use longshore_core::completion::Cause;
use longshore_core::{Event, Machine};
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::{CompletionWord, TransferStatus};
use longshore_netdma::provider::ChannelParameters;
use longshore_netdma::state::{Action, Input, State, TABLE, step};

/// Which allocation of a channel somebody holds. A channel that was freed and allocated again is another lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaseNumber(u32);

/// Where the engine goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// At this descriptor.
    At(BusAddress),
    /// At whatever the link of this descriptor says by then.
    Behind(BusAddress),
}

/// What the holder of the claim is to do.
pub(super) enum Task {
    /// Read the descriptor at this address and do it.
    Fetch { address: BusAddress, run: u32 },
    /// Read the link of this descriptor again.
    Relink { tail: BusAddress, run: u32 },
    /// Go on in the middle.
    Copy(Transfer),
    /// Write this word, if any: the channel has stopped.
    Stopped(Option<CompletionWord>),
}

/// What the holder of the claim tells the world after a descriptor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Report {
    pub(super) word: Option<CompletionWord>,
    pub(super) interrupt: bool,
    pub(super) error: bool,
    pub(super) last: BusAddress,
}

/// What to do when a descriptor's data is moved.
pub(super) enum Finished {
    /// Read its link again first: somebody may have linked on.
    LinkAgain,
    /// Tell.
    Report(Report),
}

/// Everything known of one channel.
pub(super) struct Book {
    pub(super) lease: LeaseNumber,
    pub(super) state: State,
    pub(super) counted: bool,
    pub(super) completion: BusAddress,
    pub(super) last: BusAddress,
    pub(super) position: Position,
    pub(super) count: u64,
    pub(super) appended: bool,
    pub(super) run: u32,
    pub(super) busy: bool,
    pub(super) current: Option<Transfer>,
    pub(super) stops: Stops,
    pub(super) fault: Option<(BusAddress, Cause)>,
    pub(super) context: Option<u32>,
}

impl Book {
    pub(super) const fn new(counted: bool) -> Self {
        Self {
            lease: LeaseNumber(0),
            state: State::Free,
            counted,
            completion: BusAddress::NULL,
            last: BusAddress::NULL,
            position: Position::At(BusAddress::NULL),
            count: 0,
            appended: false,
            run: 0,
            busy: false,
            current: None,
            stops: Stops::new(),
            fault: None,
            context: None,
        }
    }

    pub(super) fn apply<M: Machine>(&mut self, machine: &M, input: Input) -> Action {
        let (after, action) = step(self.state, input);
        machine.emit(Event::Transition {
            table: TABLE,
            state: self.state.name(),
            event: input.name(),
        });
        self.state = after;
        action
    }

    // ---- allocation ----

    /// Gives the channel to a new user, if it has none and nobody works for the last one.
    pub(super) fn allocate(&mut self, parameters: &ChannelParameters) -> Option<LeaseNumber> {
        if self.state != State::Free || self.busy {
            return None;
        }
        let lease = LeaseNumber(self.lease.0.wrapping_add(1));
        // Who still waits for an answer about the last lease must be able to find it.
        let stops = core::mem::replace(&mut self.stops, Stops::new());
        *self = Self {
            lease,
            state: State::Fresh,
            completion: parameters.completion,
            run: self.run.wrapping_add(1),
            stops,
            ..Self::new(self.counted)
        };
        Some(lease)
    }

    /// Whether a free must stop the engine first, or `None` if there is nothing to free.
    pub(super) fn free_needs_cut(&self, lease: LeaseNumber) -> Option<bool> {
        match step(self.state_for(lease), Input::Free).1 {
            Action::Refuse => None,
            Action::CutAndRelease => Some(true),
            Action::ReleaseIfDrained => Some(!self.drained()),
            _ => Some(false),
        }
    }

    /// Takes the channel back. What the engine may still do has no effect any more.
    pub(super) fn free<M: Machine>(&mut self, machine: &M, lease: LeaseNumber) {
        if self.state_for(lease) != State::Free {
            self.apply(machine, Input::Free);
            self.cut();
            self.completion = BusAddress::NULL;
        }
    }

    /// As `free`, whoever has it.
    pub(super) fn close<M: Machine>(&mut self, machine: &M) {
        self.free(machine, self.lease);
    }

    pub(super) fn state_for(&self, lease: LeaseNumber) -> State {
        if lease == self.lease {
            self.state
        } else {
            State::Free
        }
    }

    /// Whether nothing is known to be pending.
    fn drained(&self) -> bool {
        let more = match self.position {
            Position::At(next) => !next.is_null(),
            Position::Behind(_) => false,
        };
        self.current.is_none() && if self.counted { self.count == 0 } else { !more }
    }

    // ---- the claim ----

    /// The next thing to do, and the right to touch memory for it.
    pub(super) fn claim<M: Machine>(&mut self, machine: &M) -> Option<Task> {
        if let Some(task) = self.claim_stop(machine) {
            return Some(task);
        }
        if self.busy || self.wants_cut() || !self.runs() {
            return None;
        }
        self.busy = true;
        // Whoever appends from here on must be heard; what was linked before is read now.
        self.appended = false;
        let run = self.run;
        Some(match self.position {
            Position::At(address) => Task::Fetch { address, run },
            Position::Behind(tail) => Task::Relink { tail, run },
        })
    }

    /// As `claim`, but only what a stop has to wait for, and the stop itself.
    pub(super) fn claim_stop<M: Machine>(&mut self, machine: &M) -> Option<Task> {
        if self.busy {
            return None;
        }
        if let Some(stop) = self.stops.next(self.current.is_some()) {
            self.busy = true;
            return Some(Task::Stopped(self.serve(machine, stop)));
        }
        let transfer = self.current.take()?;
        self.busy = true;
        Some(Task::Copy(transfer))
    }

    fn runs(&self) -> bool {
        matches!(self.state, State::Armed | State::Active)
    }

    /// Gives the claim back. True if there is more to do.
    pub(super) fn release(&mut self) -> bool {
        self.busy = false;
        self.stops.finish();
        self.current.is_some() || self.runs() || self.stops.next(false).is_some()
    }

    /// The current descriptor waits in the middle, because somebody wants to cut it.
    pub(super) fn pause(&mut self, transfer: Transfer) {
        if self.state != State::Free {
            self.current = Some(transfer);
        }
    }

    // ---- what the engine found ----

    /// A descriptor's data is moved, and its link is `link`.
    pub(super) fn complete<M: Machine>(
        &mut self,
        machine: &M,
        transfer: &Transfer,
        link: BusAddress,
        linked_again: bool,
    ) -> Finished {
        if transfer.run != self.run || !self.runs() {
            return Finished::Report(self.complete_old(transfer));
        }
        let suspends = self.stops.wants(Stop::Suspend) && !self.stops.wants_cut();
        let at_the_end = !self.counted && link.is_null();
        if at_the_end && self.appended && !suspends && !linked_again {
            self.appended = false;
            return Finished::LinkAgain;
        }
        self.last = transfer.address;
        self.count = self.count.saturating_sub(1);
        self.context = transfer.context.or(self.context);
        self.position = if at_the_end {
            Position::Behind(transfer.address)
        } else {
            Position::At(link)
        };
        let word = if suspends {
            // Its own word is replaced, and it does not go idle even where it was the tail (RACE-5).
            self.serve(machine, Stop::Suspend)
        } else {
            let more = if self.counted {
                self.count > 0
            } else {
                !at_the_end || self.appended
            };
            self.report(machine, transfer, more)
        };
        Finished::Report(Report {
            word,
            interrupt: transfer.wants_interrupt(),
            error: false,
            last: transfer.address,
        })
    }

    fn report<M: Machine>(&mut self, machine: &M, transfer: &Transfer, more: bool) -> Option<CompletionWord> {
        let input = if more {
            Input::DescriptorDone
        } else {
            Input::ChainEnd
        };
        let status = match self.apply(machine, input) {
            Action::ReportActive => TransferStatus::ACTIVE,
            Action::ReportIdle => TransferStatus::IDLE,
            _ => return None,
        };
        if transfer.wants_word() {
            self.word(transfer.address, status)
        } else {
            None
        }
    }

    /// A descriptor of a chain that was replaced in the meantime. It says Active (RACE-7); the new chain's last
    /// descriptor is not it.
    fn complete_old(&self, transfer: &Transfer) -> Report {
        if self.state == State::Free {
            return Report::default();
        }
        let word = self.word(transfer.address, TransferStatus::ACTIVE);
        Report {
            word: word.filter(|_| transfer.wants_word()),
            interrupt: transfer.wants_interrupt(),
            error: false,
            last: transfer.address,
        }
    }

    /// The link of the tail was read again.
    pub(super) fn relinked<M: Machine>(&mut self, machine: &M, run: u32, link: BusAddress) {
        if run != self.run || !self.runs() {
            return;
        }
        if self.counted || !link.is_null() {
            self.position = Position::At(link);
        } else if !self.appended {
            self.apply(machine, Input::RanDry);
        }
    }

    /// A descriptor or link could not be read. If its chain was replaced in the meantime nobody cares (NETDMA-077).
    pub(super) fn fail_to_read<M: Machine>(
        &mut self,
        machine: &M,
        run: u32,
        address: BusAddress,
        cause: Cause,
    ) -> Report {
        if run == self.run {
            self.fail(machine, address, cause)
        } else {
            Report::default()
        }
    }

    /// The engine cannot go on because of the descriptor at `address`.
    pub(super) fn fail<M: Machine>(&mut self, machine: &M, address: BusAddress, cause: Cause) -> Report {
        if self.apply(machine, Input::Error) != Action::ReportError {
            return Report::default();
        }
        self.cut();
        self.fault = Some((address, cause));
        Report {
            // The last good descriptor, not the bad one (AMB-05).
            word: self.word(self.last, TransferStatus::HALTED),
            interrupt: true,
            error: true,
            last: self.last,
        }
    }

    pub(super) fn word(&self, last: BusAddress, status: TransferStatus) -> Option<CompletionWord> {
        (!self.completion.is_null()).then(|| CompletionWord::new(last, status))
    }

    // ---- queries ----

    /// Where the completion word stands.
    pub(super) fn completion(&self) -> BusAddress {
        self.completion
    }

    /// Whether nobody holds the claim.
    pub(super) fn at_rest(&self) -> bool {
        !self.busy
    }

    /// The descriptor at which the engine stopped, and why.
    pub(super) fn fault(&self, lease: LeaseNumber) -> Option<(BusAddress, Cause)> {
        self.fault.filter(|_| lease == self.lease)
    }

    /// The target of the last context change.
    pub(super) fn context(&self, lease: LeaseNumber) -> Option<u32> {
        self.context.filter(|_| lease == self.lease)
    }

    /// Where the channel stands.
    pub(super) fn state(&self, lease: LeaseNumber) -> State {
        self.state_for(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::calls::Asked;
    use longshore_hardware::netdma::{ControlFlags, Descriptor};
    use longshore_host::{Config, Host};
    use longshore_netdma::Version;

    fn at(raw: u64) -> BusAddress {
        BusAddress::new(raw)
    }

    /// A channel that was given out and started at 0x40, and its machine.
    fn started(version: Version, count: u32) -> (Host, Book, LeaseNumber) {
        let host = Host::new(Config::default()).unwrap();
        let mut book = Book::new(version.counted());
        let lease = book.allocate(&parameters()).unwrap();
        book.start(host.machine(), lease, at(0x40), count).unwrap();
        (host, book, lease)
    }

    fn parameters() -> ChannelParameters {
        ChannelParameters::new(at(0x1000), 1)
    }

    /// The descriptor that the engine is to read, as it is read now.
    fn fetch(book: &mut Book, host: &Host, next: BusAddress) -> Transfer {
        let Some(Task::Fetch { address, run }) = book.claim(host.machine()) else {
            panic!("nothing to read");
        };
        let mut descriptor = Descriptor::copy(at(0x3000), at(0x2000), 16);
        descriptor.control = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
        descriptor.next = next;
        Transfer::new(address, run, &descriptor, Version::V2_0).unwrap()
    }

    fn word(finished: Finished) -> CompletionWord {
        match finished {
            Finished::Report(report) => report.word.unwrap(),
            Finished::LinkAgain => panic!("the link was read again"),
        }
    }

    /// Proves: NETDMA-091.
    ///
    /// While a channel is suspended its user may edit the chain behind the last completed descriptor, so what was
    /// read of it before must not be used.
    #[test]
    fn a_resume_goes_on_behind_the_last_completed_descriptor() {
        for version in [Version::V1_1, Version::V2_0] {
            let (host, mut book, lease) = started(version, 3);
            let machine = host.machine();
            let first = fetch(&mut book, &host, at(0x80));
            let asked = book.ask(machine, lease, Stop::Suspend);
            assert!(matches!(asked, Asked::Waiting(_)));
            let finished = book.complete(machine, &first, at(0x80), false);
            assert_eq!(
                word(finished),
                CompletionWord::new(at(0x40), TransferStatus::SUSPEND)
            );
            book.release();
            book.resume(machine, lease).unwrap();
            assert_eq!(book.position, Position::Behind(at(0x40)));
            assert!(matches!(book.claim(machine), Some(Task::Relink { tail, .. }) if tail == at(0x40)));
        }
    }

    /// Proves: NETDMA-043.
    #[test]
    fn who_had_the_channel_before_can_do_nothing_to_it() {
        let (host, mut book, old) = started(Version::V1_1, 1);
        let machine = host.machine();
        book.free(machine, old);
        let new = book.allocate(&parameters()).unwrap();
        assert_eq!(
            (book.state_for(old), book.state_for(new)),
            (State::Free, State::Fresh)
        );
        assert!(book.start(machine, old, at(0x40), 1).is_err());
        book.start(machine, new, at(0x80), 1).unwrap();
        assert!(book.append(machine, old, at(0xc0), 1).is_err());
        assert_eq!(book.free_needs_cut(old), None);
        book.free(machine, old);
        assert_eq!(book.state_for(new), State::Armed);
        assert_eq!(book.completion(), at(0x1000));
    }

    /// Proves: NETDMA-077.
    #[test]
    fn a_replaced_chain_that_cannot_be_read_harms_nobody() {
        let (host, mut book, lease) = started(Version::V1_1, 1);
        let machine = host.machine();
        let Some(Task::Fetch { address, run }) = book.claim(machine) else {
            panic!("nothing to read");
        };
        book.start(machine, lease, at(0x80), 1).unwrap();
        let report = book.fail_to_read(machine, run, address, Cause::BUS);
        assert_eq!(
            (report.word, report.interrupt, report.error),
            (None, false, false)
        );
        assert_eq!((book.state_for(lease), book.fault(lease)), (State::Armed, None));
        let report = book.fail_to_read(machine, book.run, at(0x80), Cause::BUS);
        assert!(report.error && report.interrupt);
        assert_eq!(book.fault(lease), Some((at(0x80), Cause::BUS)));
    }

    /// Proves: NETDMA-043.
    ///
    /// The worker looks here right before it writes: the memory is not the channel's any more.
    #[test]
    fn a_freed_channel_has_no_completion_word() {
        let (host, mut book, lease) = started(Version::V1_1, 1);
        book.free(host.machine(), lease);
        assert!(book.completion().is_null());
        assert_eq!(book.word(at(0x40), TransferStatus::IDLE), None);
    }

    /// Proves: RACE-1.
    ///
    /// An append may be heard while its descriptor is being done: its link was followed as soon as it was there.
    /// Only another look tells whether the descriptor is the tail, and so whether it says Idle or Active.
    #[test]
    fn a_tail_s_link_is_read_again_where_an_append_was_heard() {
        for (fresh, status) in [
            (BusAddress::NULL, TransferStatus::IDLE),
            (at(0x80), TransferStatus::ACTIVE),
        ] {
            let (host, mut book, lease) = started(Version::V1_1, 1);
            let machine = host.machine();
            let tail = fetch(&mut book, &host, BusAddress::NULL);
            book.append(machine, lease, at(0x80), 1).unwrap();
            let heard = book.complete(machine, &tail, BusAddress::NULL, false);
            assert!(matches!(heard, Finished::LinkAgain));
            let finished = book.complete(machine, &tail, fresh, true);
            assert_eq!(word(finished), CompletionWord::new(at(0x40), status));
        }
    }
}
