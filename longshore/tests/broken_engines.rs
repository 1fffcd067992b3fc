//! Engines that do not do what they should: the user loses nothing but what they have.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use longshore::core::completion::Cause;
use longshore::core::machine::Cpu;
use longshore::core::{AtMostDispatch, Machine as _, Passive};
use longshore::engine::Started;
use longshore::hardware::netdma::{CompletionWord, TransferStatus};
use longshore::hardware::{BusAddress, DmaMemory};
use longshore::host::{Machine, Memory};
use longshore::netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore::netdma::{Handlers, Limits, Port, Version};
use longshore::{Completion, DmaChannel, Engine, InlineCpu, Job, Options, Outcome, Reason, ScopeError};
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// It takes everything, and never answers.
    Silent,
    /// It does not start.
    Refuses,
    /// It stops with an error at once.
    Halts,
    /// It is done when it is looked at for the third time, and has told so before.
    Late,
}

impl Engine for Fault {
    type Port = Broken;
    const RUNS_BY_ITSELF: bool = true;

    fn start(self, _: &Passive, machine: &Machine) -> Started<Broken> {
        let memory = machine.memory();
        Started {
            limits: Limits {
                version: Version::V1_1,
                handlers: Handlers::all(),
                maximum_transfer_size: 1 << 20,
                maximum_address: BusAddress::new(u64::MAX),
            },
            allocate: Box::new(move |_, parameters, _| {
                let word = parameters.completion;
                let fault = self;
                let broken = Broken {
                    fault,
                    memory,
                    word,
                    first: BusAddress::NULL,
                    driven: 0,
                };
                Ok((broken, Cpu(0)))
            }),
        }
    }
}

struct Broken {
    fault: Fault,
    memory: Memory,
    word: BusAddress,
    first: BusAddress,
    driven: u32,
}

impl Port for Broken {
    fn start(&mut self, _: AtMostDispatch<'_>, first: BusAddress, _: u32) -> Result<(), StartError> {
        self.first = first;
        match self.fault {
            Fault::Silent | Fault::Late => Ok(()),
            Fault::Refuses => Err(StartError::Resources),
            Fault::Halts => {
                let word = CompletionWord::new(BusAddress::NULL, TransferStatus::HALTED);
                self.memory.store_u64(self.word, word.raw()).unwrap();
                Ok(())
            }
        }
    }

    fn append(&mut self, _: AtMostDispatch<'_>, _: BusAddress, _: u32) -> Result<(), AppendError> {
        Ok(())
    }

    fn suspend(&mut self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        Err(Unsuccessful)
    }

    fn resume(&mut self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        Err(Unsuccessful)
    }

    fn abort(&mut self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        Err(Unsuccessful)
    }

    fn reset(&mut self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        Err(Unsuccessful)
    }

    fn free(&mut self, _: AtMostDispatch<'_>) {}

    fn drive(&mut self, _: AtMostDispatch<'_>) {
        self.driven += 1;
        if self.fault == Fault::Late && self.driven == 3 {
            let word = CompletionWord::new(self.first, TransferStatus::IDLE);
            self.memory.store_u64(self.word, word.raw()).unwrap();
        }
    }
}

const HALF: usize = 400 << 10;

fn open(fault: Fault) -> DmaChannel<Fault> {
    Options::new().entries(16).memory(1 << 20).open(fault).unwrap()
}

fn halves(channel: &DmaChannel<Fault>) -> (longshore::Buffer, longshore::Buffer) {
    (channel.buffer(HALF).unwrap(), channel.buffer(HALF).unwrap())
}

/// It may write to the buffers for ever, so nobody else gets them. Nothing waits for it for long.
#[test]
fn a_silent_engine_keeps_what_it_has() {
    let channel = open(Fault::Silent);
    let host = channel.host().clone();
    let begin = Instant::now();
    let (source, destination) = halves(&channel);
    let copy = channel.copy(source, destination).unwrap();
    assert!(channel.abort().is_err());
    assert!(channel.suspend().is_err());
    copy.cancel();
    let copy = copy.wait_for(Duration::from_millis(30)).unwrap_err();
    drop(copy);
    assert_eq!(channel.pending(), 1);
    let (queued, _) = (channel.submit(1, Job::fence()), channel.cancel(1));
    queued.unwrap();
    assert_eq!(
        channel.poll(&mut [Completion::EMPTY]),
        1,
        "what it does not have is not lost"
    );
    drop(channel);
    let next = Options::new().entries(16).host(host).open(InlineCpu).unwrap();
    assert!(next.buffer(HALF).is_err());
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_engine_that_does_not_start_gives_everything_back() {
    let channel = open(Fault::Refuses);
    let (source, destination) = halves(&channel);
    let refused = channel.copy(source, destination).unwrap_err();
    assert!(matches!(refused.reason, Reason::Engine(_)), "{refused}");
    assert_eq!(refused.given.destination.len(), HALF);
    assert_eq!(channel.pending(), 0);

    let job = Job::copy(refused.given.source, refused.given.destination);
    channel.submit(4, job).unwrap();
    assert!(matches!(channel.doorbell(), Err(Reason::Engine(_))));
    assert!(!channel.wait(None), "the doorbell failed, so nothing will come");
    assert_eq!(channel.cancel(4), 1);
    let mut room = [Completion::EMPTY];
    assert_eq!(channel.poll(&mut room), 1);
    assert_eq!(
        room[0].outcome,
        Outcome::Cancelled {
            moved: 0,
            residue: HALF as u64
        }
    );
}

/// Its first operation failed, the others were never begun; each has its own cause.
#[test]
fn an_engine_that_stops_fails_what_it_has() {
    let channel = open(Fault::Halts);
    for tag in 0..3 {
        let (source, destination) = (channel.buffer(10).unwrap(), channel.buffer(10).unwrap());
        channel.submit(tag, Job::copy(source, destination)).unwrap();
    }
    assert!(
        channel.wait(Some(Duration::from_secs(10))),
        "what it has is not over"
    );
    let mut room = [Completion::EMPTY; 4];
    assert_eq!(channel.poll(&mut room), 3);
    let outcomes = room.map(|done| (done.tag, done.outcome));
    let failed = |cause| Outcome::Failed { cause, residue: 10 };
    assert_eq!(outcomes[0], (0, failed(Cause::DEVICE)));
    assert_eq!(outcomes[1], (1, failed(Cause::HALTED)));
    assert_eq!(outcomes[2], (2, failed(Cause::HALTED)));
    assert_eq!(channel.pending(), 0);
}

/// What was lent comes back, although the engine does not let go.
#[test]
fn a_scope_ends_without_its_engine() {
    let channel = Options::new()
        .patience(Duration::from_millis(20))
        .open(Fault::Silent)
        .unwrap();
    let (source, mut destination) = ([1; 100], [2; 100]);
    let ended = channel.scope(|scope| scope.copy(&source, &mut destination).map(drop).unwrap());
    assert_eq!(ended, Err(ScopeError::Unanswered));
    drop(channel);
    assert_eq!(destination, [2; 100]);
}

/// The engine is done between a future's first look and the moment from which it would be woken. Its doorbell looks once,
/// and its poll twice: so the second one must find it, as nobody will wake it.
#[test]
fn a_future_looks_again_after_it_listens() {
    let channel = open(Fault::Late);
    let mut copy = channel
        .copy(channel.buffer(8).unwrap(), channel.buffer(8).unwrap())
        .unwrap();
    let polled = Pin::new(&mut copy).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(done) = polled else {
        panic!("it would sleep for ever");
    };
    assert_eq!(done.outcome, Outcome::Completed);
}
