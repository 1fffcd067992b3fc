//! Who asked a channel to stop, and what they were told.

use longshore_hardware::BusAddress;
use longshore_netdma::provider::Unsuccessful;
use longshore_netdma::state::Input;

/// A way to stop a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Abort,
    Reset,
    Suspend,
}

impl Stop {
    /// In the order in which they are served: the one that cuts first.
    const ALL: [Self; 3] = [Self::Abort, Self::Reset, Self::Suspend];

    pub(super) const fn input(self) -> Input {
        match self {
            Self::Abort => Input::Abort,
            Self::Reset => Input::Reset,
            Self::Suspend => Input::Suspend,
        }
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

/// The requests for one way to stop.
#[derive(Clone, Copy)]
struct Queue {
    waiting: u32,
    served: u32,
    answer: Answer,
}

/// All requests to stop a channel. Several callers may ask for the same; one service answers them all.
pub(super) struct Stops {
    queues: [Queue; 3],
    serving: Option<Stop>,
}

impl Stops {
    pub(super) const fn new() -> Self {
        let queue = Queue {
            waiting: 0,
            served: 0,
            answer: Err(Unsuccessful),
        };
        Self {
            queues: [queue; 3],
            serving: None,
        }
    }

    /// Adds a request. The number tells its answer from earlier ones.
    pub(super) fn ask(&mut self, stop: Stop) -> u32 {
        let being_served = u32::from(self.serving == Some(stop));
        let queue = &mut self.queues[stop as usize];
        queue.waiting += 1;
        queue.served.wrapping_add(being_served)
    }

    /// The answer to the request with this number, if it was served.
    pub(super) fn answer(&self, stop: Stop, number: u32) -> Option<Answer> {
        let queue = &self.queues[stop as usize];
        (queue.served.wrapping_sub(number) as i32 > 0).then_some(queue.answer)
    }

    /// Takes a request back, unless it is too late for that.
    pub(super) fn withdraw(&mut self, stop: Stop, number: u32) -> Withdrawn {
        if let Some(answer) = self.answer(stop, number) {
            return Withdrawn::Answered(answer);
        }
        let queue = &mut self.queues[stop as usize];
        // Whoever asked while an earlier request was being served waits for the next service.
        if self.serving == Some(stop) && queue.served == number {
            return Withdrawn::InService;
        }
        queue.waiting = queue.waiting.saturating_sub(1);
        Withdrawn::Taken
    }

    /// Whether somebody waits for this.
    pub(super) fn wants(&self, stop: Stop) -> bool {
        self.queues[stop as usize].waiting > 0
    }

    /// Whether somebody waits for the current descriptor to be cut.
    pub(super) fn wants_cut(&self) -> bool {
        self.wants(Stop::Abort) || self.wants(Stop::Reset)
    }

    /// What to serve next. A suspend waits for the current descriptor.
    pub(super) fn next(&self, in_the_middle: bool) -> Option<Stop> {
        Stop::ALL
            .into_iter()
            .find(|&stop| self.wants(stop) && !(in_the_middle && stop == Stop::Suspend))
    }

    /// All who wait for this are being served now.
    pub(super) fn begin(&mut self, stop: Stop, answer: Answer) {
        let queue = &mut self.queues[stop as usize];
        queue.waiting = 0;
        queue.answer = answer;
        self.serving = Some(stop);
    }

    /// What was being served has taken effect as a whole.
    pub(super) fn finish(&mut self) {
        if let Some(stop) = self.serving.take() {
            let queue = &mut self.queues[stop as usize];
            queue.served = queue.served.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_during_a_service_waits_for_the_next() {
        let mut stops = Stops::new();
        let first = stops.ask(Stop::Abort);
        stops.begin(Stop::Abort, Ok(BusAddress::new(0x40)));
        let second = stops.ask(Stop::Abort);
        assert!(matches!(stops.withdraw(Stop::Abort, first), Withdrawn::InService));
        stops.finish();
        assert_eq!(stops.answer(Stop::Abort, first), Some(Ok(BusAddress::new(0x40))));
        assert_eq!(stops.answer(Stop::Abort, second), None);
        assert!(stops.wants_cut());
        assert!(matches!(stops.withdraw(Stop::Abort, second), Withdrawn::Taken));
        assert!(!stops.wants_cut());
    }

    #[test]
    fn a_suspend_waits_for_the_current_descriptor_and_a_cut_does_not() {
        let mut stops = Stops::new();
        stops.ask(Stop::Suspend);
        assert_eq!(stops.next(true), None);
        assert_eq!(stops.next(false), Some(Stop::Suspend));
        stops.ask(Stop::Reset);
        assert_eq!(stops.next(true), Some(Stop::Reset));
    }
}
