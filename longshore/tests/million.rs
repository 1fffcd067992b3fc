//! A million operations of every kind, with stops of every kind in between: each ends once, tells the truth about every
//! byte, and leaves nothing behind.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use longshore::{
    Buffer, Buffers, Completion, DmaChannel, Engine, InlineCpu, Job, Options, Outcome, WorkerCpu,
};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

static ALONE: Mutex<()> = Mutex::new(());
const OPERATIONS: u64 = 1_000_000;
const MEMORY: u64 = 32 << 20;
/// What the ring and a little fragmentation at the ends may take of it.
const LARGEST: usize = (MEMORY - (64 << 10)) as usize;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    /// Mostly short, and now and then longer than a piece of the engine.
    fn len(&mut self) -> usize {
        let most = [100, 100, 500, 500, 500, 500, 500, 4_000, 10_000][self.below(9) as usize];
        let most = if self.below(500) == 0 { 200_000 } else { most };
        1 + self.below(most) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(len).collect()
    }
}

/// What must hold when an operation is over.
enum Expected {
    /// The destination holds the new bytes where it was done, and otherwise old or new ones.
    Written {
        new: Vec<u8>,
        old: u8,
    },
    /// The first difference.
    Compared {
        differs: Option<u64>,
    },
    Fence,
}

#[derive(Default, Debug)]
struct Count {
    completed: u64,
    cancelled: u64,
    partly: u64,
    dropped: u64,
    aborts: u64,
    suspends: u64,
}

struct Run<'c, E: Engine> {
    channel: &'c DmaChannel<E>,
    random: Random,
    pending: HashMap<u64, Expected>,
    next: u64,
    count: Count,
    room: Vec<Completion>,
}

impl<E: Engine> Run<'_, E> {
    fn filled(&self, len: usize, byte: u8) -> Buffer {
        self.channel.buffer_from(&vec![byte; len]).unwrap()
    }

    fn cut(&mut self, buffer: Buffer) -> Vec<Buffer> {
        let at = self.random.below(buffer.len() as u64 + 1) as usize;
        let (head, tail) = buffer.split_at(at).unwrap();
        vec![head, tail]
    }

    fn job(&mut self) -> (Job, Expected) {
        let (kind, len) = (self.random.below(10), self.random.len());
        let old = self.random.next() as u8;
        match kind {
            0 => (Job::fence(), Expected::Fence),
            1 => {
                let pattern = self.random.next();
                let new = pattern.to_le_bytes().into_iter().cycle().take(len).collect();
                (
                    Job::fill(self.filled(len, old), pattern),
                    Expected::Written { new, old },
                )
            }
            2 => {
                let mut bytes = self.random.bytes(len);
                let left = self.channel.buffer_from(&bytes).unwrap();
                let at = self.random.below(2 * len as u64);
                let differs = (at < len as u64).then_some(at);
                differs.into_iter().for_each(|at| bytes[at as usize] ^= 1);
                let right = self.channel.buffer_from(&bytes).unwrap();
                (Job::compare(left, right), Expected::Compared { differs })
            }
            _ => {
                let new = self.random.bytes(len);
                let source = self.channel.buffer_from(&new).unwrap();
                let destination = self.filled(len, old);
                let job = if kind < 5 {
                    Job::copy_list(self.cut(source), self.cut(destination))
                } else {
                    Job::copy(source, destination)
                };
                (job, Expected::Written { new, old })
            }
        }
    }

    fn check(&mut self, outcome: Outcome, buffers: Buffers, expected: Expected) {
        match outcome {
            Outcome::Completed | Outcome::Differs { .. } => self.count.completed += 1,
            Outcome::Cancelled { moved, .. } => {
                self.count.cancelled += 1;
                self.count.partly += u64::from(moved > 0);
            }
            Outcome::Failed { .. } => panic!("{outcome}"),
        }
        match expected {
            Expected::Written { new, old } => check_bytes(outcome, &destination(buffers), &new, old),
            Expected::Compared { differs } => match (outcome, differs) {
                (Outcome::Cancelled { .. }, _) | (Outcome::Completed, None) => {}
                (Outcome::Differs { at }, Some(differs)) => assert_eq!(at, differs),
                wrong => panic!("{wrong:?}"),
            },
            Expected::Fence => {}
        }
    }

    fn submit_some(&mut self) {
        for _ in 0..1 + self.random.below(40) {
            if self.next >= OPERATIONS {
                break;
            }
            let (job, expected) = self.job();
            if self.channel.submit(self.next, job).is_err() {
                break;
            }
            self.pending.insert(self.next, expected);
            self.next += 1;
        }
        if self.random.below(8) > 0 {
            self.channel.doorbell().unwrap();
        }
    }

    fn poll(&mut self) {
        let mut room = std::mem::take(&mut self.room);
        let found = self.channel.poll(&mut room);
        for done in &mut room[..found] {
            let done = std::mem::replace(done, Completion::EMPTY);
            let expected = self.pending.remove(&done.tag).expect("each ends once");
            self.check(done.outcome, done.buffers, expected);
        }
        self.room = room;
    }

    /// An owned operation among the others: waited for, or dropped.
    fn own_one(&mut self) {
        let (job, expected) = self.job();
        let Ok(operation) = self.channel.start(job) else {
            return;
        };
        self.next += 1;
        if self.random.below(2) == 0 {
            self.count.dropped += 1;
            return drop(operation);
        }
        let done = operation.wait();
        self.check(done.outcome, done.buffers, expected);
    }

    fn disturb(&mut self) {
        match self.random.below(400) {
            0 => {
                self.channel.abort().unwrap();
                self.count.aborts += 1;
            }
            // A channel that is stopped cannot be held.
            1..4 if self.channel.suspend().is_ok() => {
                self.count.suspends += 1;
                self.submit_some();
                self.poll();
                self.channel.resume().unwrap();
            }
            4..24 => {
                let tag = self.next.saturating_sub(self.random.below(60));
                self.channel.cancel(tag);
            }
            24..28 => {
                let part = self.random.below(5);
                self.channel.cancel_where(|tag| tag % 5 == part);
            }
            28..30 => drop(self.channel.cancel_all()),
            30..50 => self.own_one(),
            _ => {}
        }
    }
}

fn destination(buffers: Buffers) -> Vec<u8> {
    match buffers {
        Buffers::One(buffer) => buffer.to_vec(),
        Buffers::Pair(pair) => pair.destination.to_vec(),
        Buffers::Lists(lists) => lists.destination.iter().flat_map(Buffer::to_vec).collect(),
        Buffers::None => panic!("the buffers did not come back"),
    }
}

fn check_bytes(outcome: Outcome, bytes: &[u8], new: &[u8], old: u8) {
    let moved = match outcome {
        Outcome::Cancelled { moved, residue } => {
            assert_eq!(moved + residue, new.len() as u64);
            moved as usize
        }
        _ => new.len(),
    };
    assert!(
        bytes.len() == new.len() && bytes[..moved] == new[..moved],
        "{outcome}"
    );
    let plausible = bytes
        .iter()
        .zip(new)
        .all(|(byte, new)| byte == new || *byte == old);
    assert!(plausible, "{outcome}");
}

/// Pages of memory that the process has.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

fn a_million(engine: impl Engine) {
    // The memory of a process is counted: so one after the other.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let channel = Options::new().entries(128).memory(MEMORY).open(engine).unwrap();
    drop(channel.buffer(LARGEST).expect("all is free"));
    let mut run = Run {
        channel: &channel,
        random: Random(0x9e37_79b9_7f4a_7c15),
        pending: HashMap::new(),
        next: 0,
        count: Count::default(),
        room: (0..64).map(|_| Completion::EMPTY).collect(),
    };
    let mut settled = None;
    let end = Instant::now() + Duration::from_secs(60);
    while run.next < OPERATIONS || !run.pending.is_empty() {
        assert!(Instant::now() < end, "{channel:?}, {:?}", run.count);
        run.submit_some();
        run.disturb();
        run.poll();
        if settled.is_none() && run.next > OPERATIONS / 5 {
            settled = Some(resident());
        }
        if run.next >= OPERATIONS {
            channel.doorbell().unwrap();
        }
    }
    // What was dropped may not be found yet.
    while channel.pending() > 0 {
        assert!(Instant::now() < end, "{channel:?}");
        assert_eq!(channel.poll(&mut [Completion::EMPTY]), 0, "each ends once");
    }
    let count = &run.count;
    println!("{count:?}");
    assert_eq!(count.completed + count.cancelled + count.dropped, run.next);
    assert!(count.completed > OPERATIONS / 2 && count.cancelled > OPERATIONS / 100);
    assert!(count.aborts > 20 && count.suspends > 100 && count.dropped > 100);
    drop(channel.buffer(LARGEST).expect("all is free again"));
    let more = resident().saturating_sub(settled.unwrap());
    assert!(more <= 256, "{more} pages more than after a fifth");
}

#[test]
fn a_million_operations_of_the_worker() {
    a_million(WorkerCpu);
}

#[test]
fn a_million_operations_inline() {
    a_million(InlineCpu);
}
