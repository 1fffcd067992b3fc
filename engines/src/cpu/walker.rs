//! Everything a CPU engine knows of one channel's chain, as one value that somebody has alone.
//!
//! Nothing here is shared: there is no lock and no atomic access but those of the memory. What others want is asked of
//! a [`Foreman`] when a descriptor is done, and nowhere else. Between two [steps](Walker::step) the owner may put
//! anything into the walker, also in the middle of a descriptor.

use super::config::Config;
use super::goal::Run;
use super::requests::{Answer, Request};
use super::transfer::{Head, Transfer, only_piece};
use longshore_core::completion::Cause;
use longshore_core::{Event, Machine, NtStatus};
use longshore_hardware::netdma::{
    CompletionWord, DESCRIPTOR_ALIGNMENT, DESCRIPTOR_SIZE, Descriptor, TransferStatus, offset,
};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, MemoryError};
use longshore_netdma::provider::Unsuccessful;
use longshore_netdma::state::{Action, Input, State, TABLE, step};

/// How often a tail's link is looked at again because something was appended. Each time is one append, and one that means
/// this tail is among the first; so a user who appends and appends without linking anything holds nobody up.
const LOOKS: u32 = 64;

/// Whether the chain is still the one that the channel's user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    /// Another one was started. The current descriptor is finished for the user (NETDMA-077).
    Replaced,
    /// The channel was given back. Nobody hears of it any more.
    Released,
}

/// Who a walker works for.
pub(super) trait Foreman {
    /// Whether the chain is still wanted.
    fn wanted(&self) -> Wanted;

    /// Whether to hold behind the descriptor that is done just now. If so, [`Foreman::held`] must be told.
    fn hold(&mut self) -> bool;

    /// What came of holding.
    fn held(&mut self, answer: Answer);

    /// How much was appended to this run beyond `heard`.
    fn beyond(&self, run: Run, heard: u64) -> u64;

    /// The channel is in this state now. An idle one has done all that was `heard` of, and would go on at `next`.
    fn changed(&mut self, run: Run, state: State, heard: u64, next: BusAddress);

    /// The engine stopped at this descriptor.
    fn failed(&mut self, at: BusAddress, cause: Cause);

    /// The context was changed to this target.
    fn context(&mut self, target: u32);

    /// An interrupt is due. `last` is the last completed descriptor.
    fn interrupt(&mut self, last: BusAddress, error: bool);
}

/// A chain to start with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) run: Run,
    pub(super) first: BusAddress,
    pub(super) count: u32,
}

/// Where the engine goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// At this descriptor.
    At(BusAddress),
    /// At whatever the link of this descriptor says by then.
    Behind(BusAddress),
}

/// The engine of one channel.
pub(super) struct Walker<M: Machine, F> {
    pub(super) foreman: F,
    machine: M,
    memory: M::Memory,
    config: Config,
    counted: bool,
    state: State,
    /// Where the completion word stands, or nothing.
    word: BusRange,
    run: Run,
    last: BusAddress,
    position: Position,
    /// How many descriptors are left. It means something in version 2 only.
    count: u64,
    heard: u64,
    current: Option<Transfer>,
}

impl<M: Machine, F: Foreman> Walker<M, F> {
    /// An engine whose channel nobody has.
    pub(super) fn new(machine: &M, config: Config, foreman: F) -> Self {
        Self {
            foreman,
            machine: machine.clone(),
            memory: machine.device_memory(),
            config,
            counted: config.version.counted(),
            state: State::Free,
            word: BusRange::EMPTY,
            run: Run::FIRST,
            last: BusAddress::NULL,
            position: Position::At(BusAddress::NULL),
            count: 0,
            heard: 0,
            current: None,
        }
    }

    /// Gives the channel to a user.
    pub(super) fn allocate(&mut self, completion: BusAddress) {
        self.forget();
        self.state = State::Fresh;
        self.run = Run::FIRST;
        self.heard = 0;
        self.last = BusAddress::NULL;
        // A word that does not fit into the address space is at least as much refused as one outside of memory.
        self.word = if completion.is_null() {
            BusRange::EMPTY
        } else {
            BusRange::new(completion, 8).unwrap_or(BusRange::EMPTY)
        };
    }

    /// Where the channel stands.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether a descriptor is done in part.
    pub(super) fn in_the_middle(&self) -> bool {
        self.current.is_some()
    }

    /// Where an engine that has run out would go on, if it knows.
    pub(super) fn next(&self) -> BusAddress {
        match self.position {
            Position::At(next) => next,
            Position::Behind(_) => BusAddress::NULL,
        }
    }

    #[inline]
    fn apply(&mut self, input: Input) -> Action {
        let (after, action) = step(self.state, input);
        self.machine.emit(Event::Transition {
            table: TABLE,
            state: self.state.name(),
            event: input.name(),
        });
        if after != self.state {
            self.state = after;
            let next = self.next();
            self.foreman.changed(self.run, after, self.heard, next);
        }
        action
    }

    // ---- what is put into it ----

    /// A new chain.
    pub(super) fn load(&mut self, chain: Chain) {
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
    pub(super) fn serve(&mut self, request: Request) -> Answer {
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
    pub(super) fn free(&mut self) -> bool {
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
    pub(super) fn release(&mut self) -> bool {
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
    fn forget(&mut self) {
        self.current = None;
        self.position = Position::At(BusAddress::NULL);
        self.count = 0;
    }

    /// Takes in what was appended. True if there was anything.
    pub(super) fn hear(&mut self) -> bool {
        let more = self.foreman.beyond(self.run, self.heard);
        self.take_in(more)
    }

    /// Takes in that much more.
    pub(super) fn take_in(&mut self, more: u64) -> bool {
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
    pub(super) fn heard(&self) -> (Run, u64) {
        (self.run, self.heard)
    }

    // ---- its work ----

    /// Does a descriptor, or one piece of a long one, or looks for the next. False if there is nothing to do.
    #[inline]
    pub(super) fn step(&mut self) -> bool {
        if let Some(transfer) = self.current.take() {
            self.copy(transfer);
            return true;
        }
        if !self.runs() {
            return false;
        }
        match self.position {
            Position::At(address) => self.begin(address),
            Position::Behind(tail) => self.look_behind(tail),
        }
        true
    }

    /// Whether there is a next one. An idle engine finds out by listening.
    #[inline]
    fn runs(&mut self) -> bool {
        match self.state {
            State::Armed | State::Active => true,
            State::Idle => self.hear(),
            _ => false,
        }
    }

    /// Begins with the next descriptor. One that is a single piece is done here and now.
    #[inline]
    fn begin(&mut self, address: BusAddress) {
        let descriptor = match self.fetch(address) {
            Ok(descriptor) => descriptor,
            Err(cause) => return self.fail(address, cause),
        };
        let Some(piece) = only_piece(&descriptor, self.config.piece, self.word) else {
            return self.begin_odd(address, &descriptor);
        };
        if self.memory.copy(piece.to, piece.from, piece.len).is_err() {
            return self.fail(address, Cause::BUS);
        }
        self.complete(&Head::new(address, &descriptor));
    }

    /// Reads a descriptor once, whole, before any of it is used.
    #[inline]
    fn fetch(&self, address: BusAddress) -> Result<Descriptor, Cause> {
        if !is_descriptor(address) {
            return Err(Cause::PROGRAM);
        }
        let mut bytes = [0; DESCRIPTOR_SIZE as usize];
        self.memory.read(address, &mut bytes).map_err(|_| Cause::BUS)?;
        Ok(Descriptor::parse(&bytes))
    }

    /// Begins with a long descriptor, or one that asks for something special.
    #[inline(never)]
    fn begin_odd(&mut self, address: BusAddress, descriptor: &Descriptor) {
        match Transfer::new(address, descriptor, self.config.version, self.word) {
            Ok(transfer) => {
                if let Some(rule) = transfer.misuse {
                    let status = NtStatus::UNSUCCESSFUL;
                    self.machine
                        .emit(Event::Misuse("NET_DMA_DESCRIPTOR", rule, status));
                }
                self.copy(transfer);
            }
            Err(cause) => self.fail(address, cause),
        }
    }

    /// Reads only the link of a descriptor, fresh and in one access: NetDMA may be writing it (NETDMA-079).
    fn link(&self, descriptor: BusAddress) -> Result<BusAddress, Cause> {
        let at = descriptor.checked_add(offset::NEXT).ok_or(Cause::PROGRAM)?;
        let link = self.memory.load_u64(at).map_err(|_| Cause::BUS)?;
        Ok(BusAddress::new(link))
    }

    /// Copies the next piece.
    #[inline(never)]
    fn copy(&mut self, mut transfer: Transfer) {
        if let Some(piece) = transfer.next_piece(self.config.piece) {
            if self.memory.copy(piece.to, piece.from, piece.len).is_err() {
                return self.fail(transfer.head.address, Cause::BUS);
            }
            if !transfer.advance(piece.len) {
                self.current = Some(transfer);
                return;
            }
        }
        self.complete(&transfer.head);
    }

    /// A descriptor's data is moved. Data, then the word, then the interrupt (NETDMA-086).
    #[inline]
    fn complete(&mut self, done: &Head) {
        match self.foreman.wanted() {
            Wanted::Yes => {}
            Wanted::Replaced => return self.complete_old(done),
            Wanted::Released => return,
        }
        let hold = self.foreman.hold();
        let more = match self.look_on(done, hold) {
            Ok(more) => more,
            Err(cause) => return self.fail(done.address, cause),
        };
        self.last = done.address;
        if let Some(target) = done.context {
            self.foreman.context(target);
        }
        if hold {
            return self.hold(done);
        }
        let input = if more {
            Input::DescriptorDone
        } else {
            Input::ChainEnd
        };
        let status = match self.apply(input) {
            Action::ReportIdle => TransferStatus::IDLE,
            _ => TransferStatus::ACTIVE,
        };
        self.tell(done, done.wants_word().then_some(status));
    }

    /// Finds out where the chain goes on behind a descriptor that is done. True if it is known to go on.
    #[inline]
    fn look_on(&mut self, done: &Head, hold: bool) -> Result<bool, Cause> {
        self.position = Position::At(done.link);
        if self.counted {
            self.count = self.count.saturating_sub(1);
            return Ok(self.count > 0 || self.hear());
        }
        if !done.link.is_null() {
            return Ok(true);
        }
        self.position = Position::Behind(done.address);
        // Where an append was heard in the meantime, only another look tells whether this is the tail (RACE-1).
        for _ in 0..LOOKS {
            if hold || !self.hear() {
                return Ok(false);
            }
            let link = self.link(done.address)?;
            if !link.is_null() {
                self.position = Position::At(link);
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Holds behind a descriptor. Its own word is replaced, and the channel does not go idle even where it was the
    /// tail (RACE-5).
    fn hold(&mut self, done: &Head) {
        self.apply(Input::Suspend);
        self.tell(done, Some(TransferStatus::SUSPEND));
        let held = self.state == State::Suspended;
        self.foreman
            .held(if held { Ok(self.last) } else { Err(Unsuccessful) });
    }

    #[inline]
    fn tell(&mut self, done: &Head, status: Option<TransferStatus>) {
        if let Some(status) = status
            && self.write_word(done.address, status).is_err()
        {
            return self.fail(done.address, Cause::BUS);
        }
        if done.wants_interrupt() {
            self.foreman.interrupt(done.address, false);
        }
    }

    /// A descriptor of a chain that was replaced in the meantime. It says Active (RACE-7); the new chain's last
    /// descriptor is not it.
    fn complete_old(&mut self, done: &Head) {
        self.tell(done, done.wants_word().then_some(TransferStatus::ACTIVE));
    }

    /// Looks again at the link of the last descriptor.
    fn look_behind(&mut self, tail: BusAddress) {
        // Whoever appends from here on must be heard; what was linked before is read now.
        self.hear();
        match self.link(tail) {
            Err(cause) => self.fail(tail, cause),
            Ok(link) if self.counted || !link.is_null() => self.position = Position::At(link),
            Ok(_) => {
                if !self.hear() {
                    self.apply(Input::RanDry);
                }
            }
        }
    }

    /// The engine cannot go on because of the descriptor at `at`. If the chain is not wanted any more nobody cares.
    #[cold]
    fn fail(&mut self, at: BusAddress, cause: Cause) {
        if self.foreman.wanted() != Wanted::Yes || self.apply(Input::Error) != Action::ReportError {
            return;
        }
        self.forget();
        self.foreman.failed(at, cause);
        // The last good descriptor, not the bad one (AMB-05). Where even this word cannot be written, the interrupt
        // alone has to do.
        let _ = self.write_word(self.last, TransferStatus::HALTED);
        self.foreman.interrupt(self.last, true);
    }

    #[inline]
    fn write_word(&self, last: BusAddress, status: TransferStatus) -> Result<(), MemoryError> {
        if self.word.is_empty() {
            return Ok(());
        }
        let word = CompletionWord::new(last, status);
        self.memory.store_u64(self.word.start(), word.raw())
    }
}

/// Whether a descriptor can stand here.
pub(super) fn is_descriptor(address: BusAddress) -> bool {
    !address.is_null() && address.is_aligned(DESCRIPTOR_ALIGNMENT)
}

#[cfg(test)]
mod tests;
