//! What waits for the holder of a channel's claim, and what is known of it on the slow way.
//!
//! The desk stands behind a short lock that is never held across a memory access or a callback. Submitting and the
//! engine's work do not come here: one word tells the engine whether anything waits at all.

use super::goal::Goal;
use super::requests::{Answer, Request, Requests, Withdrawn};
use super::walker::Chain;
use alloc::sync::Arc;
use longshore_core::completion::Cause;
use longshore_hardware::BusAddress;
use longshore_netdma::provider::Unsuccessful;

/// Which allocation of a channel somebody holds. A channel that was freed and allocated again is another lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaseNumber(u32);

/// Something waits at the desk: bits of the command word.
pub(super) mod command {
    /// Something waits that may also wait for the current descriptor.
    pub(crate) const CALL: u32 = 1;
    /// The chain is to be held behind the current descriptor.
    pub(crate) const HOLD: u32 = 2;
    /// Another chain was started.
    pub(crate) const CHAIN: u32 = 4;
    /// The channel was given back.
    pub(crate) const RELEASE: u32 = 8;
}

/// What the holder of the claim is to do next.
pub(super) enum Errand {
    /// Take the channel back; tell nobody if its user has stopped waiting for that.
    Release { silently: bool },
    /// Begin this chain, if any, and then do what was asked for, if anything was.
    Serve(Option<Chain>, Option<Request>),
}

/// The desk of one channel.
pub(super) struct Desk {
    lease: LeaseNumber,
    goal: Option<Arc<Goal>>,
    /// Somebody has the channel, or the engine has not let go of it yet.
    taken: bool,
    released: bool,
    /// Nobody waits any more for the engine to let go of it.
    abandoned: bool,
    /// Whether the release found something outstanding.
    outstanding: bool,
    chain: Option<Chain>,
    requests: Requests,
    fault: Option<(BusAddress, Cause)>,
}

impl Desk {
    pub(super) const fn new() -> Self {
        Self {
            lease: LeaseNumber(0),
            goal: None,
            taken: false,
            released: false,
            abandoned: false,
            outstanding: false,
            chain: None,
            requests: Requests::new(),
            fault: None,
        }
    }

    /// The command word as it must be.
    pub(super) fn command(&self) -> u32 {
        let bit = |set, bit| if set { bit } else { 0 };
        let cut = self.requests.wants_cut();
        bit(self.requests.any(), command::CALL)
            | bit(self.requests.wants(Request::Suspend) && !cut, command::HOLD)
            | bit(self.chain.is_some(), command::CHAIN)
            | bit(self.released, command::RELEASE)
    }

    // ---- the channel's users ----

    /// Gives the channel to a new user, if nobody has it. Who still waits for an answer about the last lease finds
    /// it.
    pub(super) fn take(&mut self, goal: Arc<Goal>) -> Option<LeaseNumber> {
        if self.taken {
            return None;
        }
        self.lease = LeaseNumber(self.lease.0.wrapping_add(1));
        self.goal = Some(goal);
        self.taken = true;
        self.outstanding = false;
        self.fault = None;
        Some(self.lease)
    }

    /// Whether this user still has the channel.
    pub(super) fn has(&self, lease: LeaseNumber) -> bool {
        self.taken && !self.released && self.lease == lease
    }

    /// Who has the channel.
    pub(super) fn holder(&self) -> Option<(LeaseNumber, Arc<Goal>)> {
        let goal = self.goal.clone()?;
        self.has(self.lease).then_some((self.lease, goal))
    }

    /// Leaves a chain for the engine. One that it has not begun yet is forgotten.
    pub(super) fn start(&mut self, chain: Chain) {
        self.chain = Some(chain);
        self.fault = None;
    }

    /// Asks for something. The answer comes under the number.
    pub(super) fn ask(&mut self, lease: LeaseNumber, request: Request) -> Option<u32> {
        self.has(lease).then(|| self.requests.ask(request))
    }

    /// The answer to an earlier request.
    pub(super) fn answer(&self, request: Request, number: u32) -> Option<Answer> {
        self.requests.answer(request, number)
    }

    /// Takes a request back.
    pub(super) fn withdraw(&mut self, request: Request, number: u32) -> Withdrawn {
        self.requests.withdraw(request, number)
    }

    /// This user gives the channel back. From here on nothing is taken and nothing is told of it.
    pub(super) fn release(&mut self, lease: LeaseNumber) -> Result<(), Unsuccessful> {
        if !self.has(lease) {
            return Err(Unsuccessful);
        }
        self.released = true;
        self.chain = None;
        if let Some(goal) = self.goal.take() {
            goal.close();
        }
        Ok(())
    }

    /// The user waits no longer for the engine to let go of it.
    pub(super) fn abandon(&mut self, lease: LeaseNumber) {
        self.abandoned = self.released && self.lease == lease;
    }

    /// Whether the engine has let go of it, and if so, whether something was outstanding.
    pub(super) fn let_go(&self, lease: LeaseNumber) -> Option<bool> {
        (self.lease != lease || !self.taken).then_some(self.outstanding)
    }

    // ---- the holder of the claim ----

    /// What to do next. In the middle of a descriptor only what does not wait for it.
    pub(super) fn errand(&mut self, in_the_middle: bool) -> Option<Errand> {
        if self.released {
            let silently = self.abandoned;
            return Some(Errand::Release { silently });
        }
        let request = self.requests.next(in_the_middle);
        let chain = if in_the_middle && request.is_none() {
            None // the current descriptor of the old one is finished
        } else {
            self.chain.take()
        };
        if let Some(request) = request {
            self.requests.begin(request);
        }
        if chain.is_some() {
            self.fault = None;
        }
        (chain.is_some() || request.is_some()).then_some(Errand::Serve(chain, request))
    }

    /// Begins to hold the chain behind the current descriptor, if that is still wanted.
    pub(super) fn hold(&mut self) -> bool {
        let hold = self.requests.wants(Request::Suspend) && !self.requests.wants_cut();
        if hold {
            self.requests.begin(Request::Suspend);
        }
        hold
    }

    /// What was asked for has taken effect as a whole.
    pub(super) fn finish(&mut self, request: Request, answer: Answer) {
        if request == Request::Reset {
            self.fault = None;
        }
        self.requests.finish(answer);
    }

    /// The engine has let go of the channel.
    pub(super) fn gone(&mut self, outstanding: bool) {
        self.taken = false;
        self.released = false;
        self.abandoned = false;
        self.outstanding = outstanding;
    }

    /// The engine stopped at this descriptor. A chain that was started in the meantime knows nothing of it.
    pub(super) fn failed(&mut self, at: BusAddress, cause: Cause) {
        if self.chain.is_none() {
            self.fault = Some((at, cause));
        }
    }

    // ---- queries ----

    /// The descriptor at which the engine stopped, and why.
    pub(super) fn fault(&self, lease: LeaseNumber) -> Option<(BusAddress, Cause)> {
        self.fault.filter(|_| lease == self.lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::goal::Run;

    const CHAIN: Chain = Chain {
        run: Run::FIRST,
        first: BusAddress::new(0x40),
        count: 1,
    };

    /// Proves: NETDMA-043.
    #[test]
    fn who_had_the_channel_before_can_do_nothing_to_it() {
        let mut desk = Desk::new();
        let old = desk.take(Arc::default()).unwrap();
        assert_eq!(desk.take(Arc::default()), None);
        desk.release(old).unwrap();
        assert!(
            !desk.has(old) && desk.take(Arc::default()).is_none(),
            "the engine has it still"
        );
        assert!(matches!(
            desk.errand(true),
            Some(Errand::Release { silently: false })
        ));
        desk.gone(false);
        let new = desk.take(Arc::default()).unwrap();
        assert!(desk.has(new) && !desk.has(old));
        assert_eq!(desk.ask(old, Request::Abort), None);
        assert_eq!(desk.command(), 0);
        assert_eq!(desk.let_go(old), Some(false));
        assert_eq!(desk.let_go(new), None);
    }

    /// Proves: NETDMA-077.
    #[test]
    fn a_new_chain_waits_for_the_current_descriptor_unless_that_is_cut() {
        let mut desk = Desk::new();
        let lease = desk.take(Arc::default()).unwrap();
        desk.start(CHAIN);
        assert!(desk.errand(true).is_none());
        desk.ask(lease, Request::Suspend).unwrap();
        assert!(desk.errand(true).is_none());
        desk.ask(lease, Request::Abort).unwrap();
        let errand = desk.errand(true);
        assert!(matches!(
            errand,
            Some(Errand::Serve(Some(_), Some(Request::Abort)))
        ));
        assert!(!desk.hold() || desk.command() & command::CHAIN == 0);
    }
}
