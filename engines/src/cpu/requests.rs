//! What others asked of a channel's engine, and what they were told.

use longshore_hardware::BusAddress;
use longshore_netdma::provider::Unsuccessful;
use longshore_netdma::state::Input;

/// Something that only the holder of the claim can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The engine loses its power.
    PowerLoss,
    Abort,
    Reset,
    Suspend,
    Resume,
}

impl Request {
    /// In the order in which they are served: those that cut first.
    const ALL: [Self; 5] = [
        Self::PowerLoss,
        Self::Abort,
        Self::Reset,
        Self::Suspend,
        Self::Resume,
    ];

    pub(super) const fn input(self) -> Input {
        match self {
            Self::PowerLoss => Input::PowerLost,
            Self::Abort => Input::Abort,
            Self::Reset => Input::Reset,
            Self::Suspend => Input::Suspend,
            Self::Resume => Input::Resume,
        }
    }

    /// Whether the current descriptor is left in the middle for it.
    pub(super) const fn cuts(self) -> bool {
        matches!(self, Self::PowerLoss | Self::Abort | Self::Reset)
    }
}

/// What a caller is told.
pub(super) type Answer = Result<BusAddress, Unsuccessful>;

/// What became of a request whose caller has no more patience.
pub(super) enum Withdrawn {
    /// It never took effect, and never will.
    Taken,
    /// It has an answer after all.
    Answered(Answer),
    /// It is taking effect just now: the answer is one memory access away.
    InService,
}

/// The requests of one kind.
#[derive(Clone, Copy)]
struct Queue {
    waiting: u32,
    served: u32,
    answer: Answer,
}

/// All requests to a channel. Several callers may ask for the same; one service answers them all.
pub(super) struct Requests {
    queues: [Queue; 5],
    serving: Option<Request>,
}

impl Requests {
    pub(super) const fn new() -> Self {
        let queue = Queue {
            waiting: 0,
            served: 0,
            answer: Err(Unsuccessful),
        };
        Self {
            queues: [queue; 5],
            serving: None,
        }
    }

    /// Adds a request. The number tells its answer from earlier ones.
    pub(super) fn ask(&mut self, request: Request) -> u32 {
        let being_served = u32::from(self.serving == Some(request));
        let queue = &mut self.queues[request as usize];
        queue.waiting += 1;
        queue.served.wrapping_add(being_served)
    }

    /// The answer to the request with this number, if it was served.
    pub(super) fn answer(&self, request: Request, number: u32) -> Option<Answer> {
        let queue = &self.queues[request as usize];
        (queue.served.wrapping_sub(number) as i32 > 0).then_some(queue.answer)
    }

    /// Takes a request back, unless it is too late for that.
    pub(super) fn withdraw(&mut self, request: Request, number: u32) -> Withdrawn {
        if let Some(answer) = self.answer(request, number) {
            return Withdrawn::Answered(answer);
        }
        let queue = &mut self.queues[request as usize];
        // Whoever asked while an earlier request was being served waits for the next service.
        if self.serving == Some(request) && queue.served == number {
            return Withdrawn::InService;
        }
        queue.waiting = queue.waiting.saturating_sub(1);
        Withdrawn::Taken
    }

    /// Whether somebody waits for this.
    pub(super) fn wants(&self, request: Request) -> bool {
        self.queues[request as usize].waiting > 0
    }

    /// Whether somebody waits for anything.
    pub(super) fn any(&self) -> bool {
        self.next(false).is_some()
    }

    /// Whether somebody waits for the current descriptor to be cut.
    pub(super) fn wants_cut(&self) -> bool {
        self.next(false).is_some_and(Request::cuts)
    }

    /// What to serve next. In the middle of a descriptor only what cuts it.
    pub(super) fn next(&self, in_the_middle: bool) -> Option<Request> {
        Request::ALL
            .into_iter()
            .find(|&request| self.wants(request) && (request.cuts() || !in_the_middle))
    }

    /// All who wait for this are being served now.
    pub(super) fn begin(&mut self, request: Request) {
        self.queues[request as usize].waiting = 0;
        self.serving = Some(request);
    }

    /// What was being served has taken effect as a whole.
    pub(super) fn finish(&mut self, answer: Answer) {
        if let Some(request) = self.serving.take() {
            let queue = &mut self.queues[request as usize];
            queue.answer = answer;
            queue.served = queue.served.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_during_a_service_waits_for_the_next() {
        let mut requests = Requests::new();
        let first = requests.ask(Request::Abort);
        requests.begin(Request::Abort);
        let second = requests.ask(Request::Abort);
        assert!(matches!(
            requests.withdraw(Request::Abort, first),
            Withdrawn::InService
        ));
        requests.finish(Ok(BusAddress::new(0x40)));
        assert_eq!(
            requests.answer(Request::Abort, first),
            Some(Ok(BusAddress::new(0x40)))
        );
        assert_eq!(requests.answer(Request::Abort, second), None);
        assert!(requests.wants_cut());
        assert!(matches!(
            requests.withdraw(Request::Abort, second),
            Withdrawn::Taken
        ));
        assert!(!requests.wants_cut());
    }

    #[test]
    fn a_suspend_waits_for_the_current_descriptor_and_a_cut_does_not() {
        let mut requests = Requests::new();
        requests.ask(Request::Suspend);
        assert_eq!(requests.next(true), None);
        assert_eq!(requests.next(false), Some(Request::Suspend));
        requests.ask(Request::Reset);
        assert_eq!(requests.next(true), Some(Request::Reset));
    }
}
