//! Every order of the steps of those who sleep and of the engine.
//!
//! Each step is one section under the bell's lock, or one access to the word; so all that threads can do to each other
//! here is to put these steps into some order.

use super::*;
use crate::hardware::Lease;
use crate::host::{Config, Host};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Wake;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Task so and so listens.
    Listen(usize),
    /// It looks whether the word has come so far that it is over.
    Look(usize),
    /// The engine writes its word, one further than before.
    Word,
    /// Its deferred call.
    Ring,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Run {
    bell: Arc<Bell>,
    word: usize,
    woken: [Arc<Woken>; 3],
    over: [bool; 3],
}

impl Run {
    fn new(bell: &Arc<Bell>) -> Self {
        bell.wake_tasks(); // of the run before
        Self {
            bell: bell.clone(),
            word: 0,
            woken: Default::default(),
            over: [false; 3],
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Listen(task) => self.bell.listen(&Waker::from(self.woken[task].clone())),
            Step::Look(task) => self.over[task] |= self.word > task,
            Step::Word => self.word += 1,
            Step::Ring => self.bell.ring(),
        }
    }

    /// Nothing comes any more, but whoever is woken looks again. Returns whether that is everybody who is not over.
    fn everybody_hears(&mut self, tasks: &[usize]) -> bool {
        tasks
            .iter()
            .all(|&task| self.over[task] || self.woken[task].0.load(Ordering::Relaxed))
    }
}

/// Calls `see` with every order of the steps of these sequences. Returns how many there are.
fn orders(sequences: &[&[Step]], sofar: &mut Vec<Step>, see: &mut impl FnMut(&[Step])) -> usize {
    if sequences.iter().all(|sequence| sequence.is_empty()) {
        see(sofar);
        return 1;
    }
    let mut count = 0;
    for (number, sequence) in sequences.iter().enumerate() {
        if let [first, rest @ ..] = sequence {
            let mut left = sequences.to_vec();
            left[number] = rest;
            sofar.push(*first);
            count += orders(&left, sofar, see);
            sofar.pop();
        }
    }
    count
}

fn on_a_bell(test: impl FnOnce(&Passive, &Arc<Bell>)) {
    let host = Host::new(Config::default()).unwrap();
    let passive = Passive::now(host.machine()).unwrap();
    test(&passive, &Arc::new(Bell::new(&passive, host.machine())));
}

const ENGINE: [Step; 4] = [Step::Word, Step::Ring, Step::Word, Step::Ring];

/// Two tasks wait for the first and the second word; a third listens and is dropped.
#[test]
fn listening_before_looking_loses_no_wake() {
    use Step::{Listen, Look};
    on_a_bell(|_, bell| {
        let tasks: [&[Step]; 4] = [
            &[Listen(0), Look(0)],
            &[Listen(1), Look(1)],
            &[Listen(2)],
            &ENGINE,
        ];
        let count = orders(&tasks, &mut Vec::new(), &mut |order| {
            let mut run = Run::new(bell);
            order.iter().for_each(|&step| run.step(step));
            assert!(run.everybody_hears(&[0, 1]), "lost: {order:?}");
        });
        assert_eq!(count, 3_780);
    });
}

/// The exploration finds what is wrong with the other order.
#[test]
fn looking_before_listening_does() {
    use Step::{Listen, Look};
    on_a_bell(|_, bell| {
        let mut lost = 0;
        orders(
            &[&[Look(0), Listen(0)], &ENGINE[..2]],
            &mut Vec::new(),
            &mut |order| {
                let mut run = Run::new(bell);
                order.iter().for_each(|&step| run.step(step));
                lost += usize::from(!run.everybody_hears(&[0]));
            },
        );
        assert_eq!(lost, 1, "look, word, ring, listen");
    });
}

/// The same for a thread: it lies down, looks, and sleeps unless it saw something.
#[test]
fn a_thread_that_lies_down_first_does_not_sleep_in() {
    on_a_bell(|passive, bell| {
        let (lie, look) = (Step::Listen(0), Step::Look(0));
        orders(&[&[lie, look], &ENGINE[..2]], &mut Vec::new(), &mut |order| {
            let mut run = Run::new(bell);
            for &step in order {
                match step {
                    Step::Listen(_) => bell.lie_down(),
                    step => run.step(step),
                }
            }
            let slept = bell.sleep(passive, Some(Duration::ZERO));
            assert!(run.over[0] || slept == Waited::Signalled, "overslept: {order:?}");
            bell.get_up();
        });
    });
}

/// A doorbell's steps, as far as the event is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Knock {
    Expect,
    /// The engine has something to do from here on.
    Give,
    Return,
    /// The engine is done, and rings.
    Ring,
}

/// How often the event stays unreadable although the engine rang, over every order of a doorbell and the engine.
fn lost_events(doorbell: &[Knock]) -> usize {
    fn interleave(doorbell: &[Knock], rung: bool, sofar: &[Knock], see: &mut impl FnMut(&[Knock])) {
        let and = |step| [sofar, &[step]].concat();
        if !rung && sofar.contains(&Knock::Give) {
            interleave(doorbell, true, &and(Knock::Ring), see);
        }
        match doorbell {
            [] if rung => see(sofar),
            [] => {}
            [first, rest @ ..] => interleave(rest, rung, &and(*first), see),
        }
    }
    let mut lost = 0;
    on_a_bell(|_, bell| {
        bell.fd().unwrap();
        interleave(doorbell, false, &[], &mut |order| {
            bell.lower();
            bell.looked(false, false, BusAddress::NULL);
            for step in order {
                match step {
                    Knock::Expect => bell.expect(),
                    Knock::Give => {}
                    Knock::Return => bell.looked(false, true, BusAddress::NULL),
                    Knock::Ring => bell.ring(),
                }
            }
            lost += usize::from(!bell.sleepers().raised);
        });
    });
    lost
}

/// An engine that is done before the doorbell returns is heard, if it was expected before it was given anything.
#[test]
fn a_doorbell_expects_the_engine_before_it_gives() {
    use Knock::{Expect, Give, Return};
    assert_eq!(lost_events(&[Expect, Give, Return]), 0);
    assert_eq!(lost_events(&[Give, Return]), 1, "give, ring, return");
}

/// One that stopped has something to tell even where it has done nothing since the last look.
#[test]
fn an_engine_that_stops_makes_the_event_readable() {
    let host = Host::new(Config::default()).unwrap();
    let machine = host.machine();
    let mut passive = Passive::now(machine).unwrap();
    let bell = Bell::new(&passive, machine);
    let lease = Lease::new(machine.memory(), 8, 8).unwrap();
    bell.set_word(lease.range().start());
    bell.fd().unwrap();

    let (seen, next) = (BusAddress::new(64), BusAddress::new(128));
    let mut tells = |descriptor, status, last| {
        bell.lower();
        bell.looked(false, true, seen);
        let word = CompletionWord::new(descriptor, status).raw();
        machine.memory().store_u64(lease.range().start(), word).unwrap();
        machine.raise(&mut passive, |dispatch| bell.interrupt_dpc(dispatch, last));
        bell.sleepers().raised
    };
    assert!(!tells(seen, TransferStatus::IDLE, seen), "nothing new");
    assert!(tells(next, TransferStatus::IDLE, next));
    assert!(tells(seen, TransferStatus::HALTED, seen));
    assert!(tells(seen, TransferStatus::IDLE, BusAddress::NULL), "an error");
}
