//! Sleeping: tasks, threads and poll(2), all woken by the engine's deferred call.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use longshore::{Completion, DmaChannel, Engine, InlineCpu, Job, Options, Outcome, WorkerCpu};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::future::Future;
use std::os::fd::BorrowedFd;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel as queue};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// Says its number whenever it is woken.
struct Caller {
    number: usize,
    woken: Mutex<Sender<usize>>,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        let _ = self.woken.lock().unwrap().send(self.number);
    }
}

fn caller(number: usize, woken: &Sender<usize>) -> Waker {
    Waker::from(Arc::new(Caller {
        number,
        woken: Mutex::new(woken.clone()),
    }))
}

/// An executor that polls a task only when it was woken, and fails if nobody is for long.
fn run_tasks<'a>(tasks: Vec<Pin<Box<dyn Future<Output = ()> + 'a>>>) {
    let (woken, heard): (_, Receiver<usize>) = queue();
    let mut tasks: Vec<_> = tasks.into_iter().map(Some).collect();
    (0..tasks.len()).for_each(|task| woken.send(task).unwrap());
    while tasks.iter().any(Option::is_some) {
        let number = heard.recv_timeout(LONG).expect("a wake-up was lost");
        let Some(task) = &mut tasks[number] else { continue };
        let waker = caller(number, &woken);
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            tasks[number] = None;
        }
    }
}

fn copy_once<E: Engine>(channel: &DmaChannel<E>, len: usize) -> longshore::Operation<'_, longshore::Pair, E> {
    let source = channel.buffer_from(&vec![7; len]).unwrap();
    channel.copy(source, channel.buffer(len).unwrap()).unwrap()
}

/// Many tasks on one channel, each with a waker of its own; some drop what they await.
fn tasks_are_all_woken(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    let over = AtomicUsize::new(0);
    let (channel, over) = (&channel, &over);
    let tasks = (0..20).map(|task| {
        let work = async move {
            for round in 0..50 {
                let len = 1 + (task * 997 + round * 4099) % 90_000;
                if round % 7 == task % 7 {
                    let mut given_up = pin!(copy_once(channel, len));
                    let once = std::future::poll_fn(|context| {
                        Poll::Ready(given_up.as_mut().poll(context).is_ready())
                    });
                    once.await;
                } else {
                    let done = copy_once(channel, len).await;
                    assert_eq!(done.outcome, Outcome::Completed);
                    assert_eq!(done.buffers.destination.to_vec(), vec![7; len]);
                }
            }
            over.fetch_add(1, Ordering::Relaxed);
        };
        Box::pin(work) as Pin<Box<dyn Future<Output = ()>>>
    });
    run_tasks(tasks.collect());
    assert_eq!(over.load(Ordering::Relaxed), 20);
}

#[test]
fn tasks_are_all_woken_inline() {
    tasks_are_all_woken(InlineCpu);
}

#[test]
fn tasks_are_all_woken_by_the_worker() {
    tasks_are_all_woken(WorkerCpu);
}

/// The task whose waker came last keeps its operation, but looks at it no more. The other one hears all the same.
#[test]
fn a_task_that_does_not_look_swallows_no_wake() {
    let channel = DmaChannel::open(WorkerCpu).unwrap();
    let _ = channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let (woken, heard) = queue();
    let (mut one, mut other) = (copy_once(&channel, 10), copy_once(&channel, 10));
    let first = caller(1, &woken);
    assert!(
        Pin::new(&mut one)
            .poll(&mut Context::from_waker(&first))
            .is_pending()
    );
    assert!(
        Pin::new(&mut other)
            .poll(&mut Context::from_waker(&caller(2, &woken)))
            .is_pending()
    );
    channel.resume().unwrap();
    while heard.recv_timeout(LONG).expect("a wake-up was lost") != 1 {}
    let mut polls = 0;
    while Pin::new(&mut one)
        .poll(&mut Context::from_waker(&first))
        .is_pending()
    {
        polls += 1;
        heard.recv_timeout(LONG).expect("a wake-up was lost");
    }
    assert!(polls < 10);
    drop(other);
}

/// Outcomes that somebody else's call brings wake their tasks as well.
#[test]
fn a_cancel_wakes_who_awaits() {
    let channel = DmaChannel::open(WorkerCpu).unwrap();
    let _ = channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let (woken, heard) = queue();
    let waker = caller(1, &woken);
    let mut context = Context::from_waker(&waker);
    let mut copy = copy_once(&channel, 10);
    assert!(Pin::new(&mut copy).poll(&mut context).is_pending());
    assert_eq!(channel.cancel_all(), 1);
    assert_eq!(heard.recv_timeout(LONG), Ok(1));
    assert!(Pin::new(&mut copy).poll(&mut context).is_ready());
}

/// A time limit wakes a task, although the engine has nothing to tell.
#[test]
fn a_time_limit_wakes_a_task() {
    let channel = DmaChannel::open(WorkerCpu).unwrap();
    let _ = channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let (source, destination) = (channel.buffer(9).unwrap(), channel.buffer(9).unwrap());
    let job = Job::copy(source, destination).within(Duration::from_millis(20));
    let mut outcome = None;
    let copy = channel.start(job).unwrap();
    run_tasks(vec![Box::pin(async { outcome = Some(copy.await.outcome) })]);
    assert_eq!(outcome, Some(Outcome::Cancelled { moved: 0, residue: 9 }));
}

/// A thread that looks only once before it sleeps is woken each time.
#[test]
fn a_sleeping_thread_is_woken() {
    let channel = Options::new().looks(1).open(WorkerCpu).unwrap();
    for round in 0..500 {
        let copy = copy_once(&channel, 1 + round * 131);
        assert!(copy.wait_for(LONG).unwrap().outcome.is_completed());
        channel.submit(1, Job::fence()).unwrap();
        let filled = channel.fill(channel.buffer(5_000).unwrap(), 1).unwrap();
        assert!(channel.wait(Some(LONG)));
        assert_eq!(channel.poll(&mut [Completion::EMPTY]), 1);
        assert!(filled.wait_for(LONG).unwrap().outcome.is_completed());
    }
}

fn is_readable(fd: BorrowedFd<'_>, limit: Duration) -> bool {
    let limit = Timespec {
        tv_sec: limit.as_secs() as i64,
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    let mut wanted = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut wanted, Some(&limit)).unwrap() > 0
}

/// Polls whenever the event is readable, until so many outcomes came.
fn sleep_for<E: Engine>(channel: &DmaChannel<E>, fd: BorrowedFd<'_>, mut count: usize) {
    let end = Instant::now() + LONG;
    while count > 0 {
        assert!(
            Instant::now() < end && is_readable(fd, LONG),
            "{count} are missing"
        );
        count -= channel.poll(&mut [Completion::EMPTY; 2]);
    }
}

fn the_event_tells_when_to_poll(engine: impl Engine) {
    let channel = DmaChannel::open(engine).unwrap();
    let fd = channel.event_fd().unwrap();
    let now = Duration::ZERO;
    assert!(!is_readable(fd, now), "nothing was asked for");
    channel.submit(1, Job::fence()).unwrap();
    assert!(!is_readable(fd, now), "the doorbell was not rung");
    channel.doorbell().unwrap();
    assert!(is_readable(fd, LONG));
    sleep_for(&channel, fd, 1);
    assert!(!is_readable(fd, now), "everything was polled");

    for tag in 0..5 {
        channel.submit(tag, Job::fence()).unwrap();
    }
    assert_eq!(channel.cancel(3), 1);
    assert!(is_readable(fd, now), "an outcome waits");
    channel.doorbell().unwrap();
    sleep_for(&channel, fd, 5);
    assert!(!is_readable(fd, now));

    // Not even the doorbell was rung: only the time tells of this.
    channel
        .submit(9, Job::fence().within(Duration::from_millis(20)))
        .unwrap();
    assert!(!is_readable(fd, now));
    sleep_for(&channel, fd, 1);
    assert!(!is_readable(fd, now));

    for round in 0..200 {
        channel
            .submit(1, Job::fill(channel.buffer(9_000).unwrap(), 1))
            .unwrap();
        channel.submit(2, Job::fence()).unwrap();
        channel.doorbell().unwrap();
        sleep_for(&channel, fd, 2);
        assert!(!is_readable(fd, now), "round {round}");
    }
}

#[test]
fn the_event_tells_when_to_poll_inline() {
    the_event_tells_when_to_poll(InlineCpu);
}

#[test]
fn the_event_tells_when_to_poll_the_worker() {
    the_event_tells_when_to_poll(WorkerCpu);
}

/// The engine has more to tell, but nothing is there to be polled yet.
#[test]
fn the_event_is_not_readable_while_the_engine_is_held() {
    let channel = DmaChannel::open(WorkerCpu).unwrap();
    let _ = channel.start(Job::fence()).unwrap().wait();
    let fd = channel.event_fd().unwrap();
    channel.suspend().unwrap();
    for tag in 0..2 {
        channel.submit(tag, Job::fence()).unwrap();
    }
    channel.doorbell().unwrap();
    assert!(!is_readable(fd, Duration::from_millis(10)));
    assert_eq!(channel.cancel(1), 1);
    sleep_for(&channel, fd, 1);
    assert!(!is_readable(fd, Duration::from_millis(10)));
    channel.resume().unwrap();
    sleep_for(&channel, fd, 1);
    assert!(!is_readable(fd, Duration::ZERO));
}

/// The event is asked for when outcomes wait already.
#[test]
fn a_late_event_tells_of_what_was_before() {
    let channel = DmaChannel::open(WorkerCpu).unwrap();
    channel.submit(1, Job::fence()).unwrap();
    assert!(channel.wait(Some(LONG)));
    let fd = channel.event_fd().unwrap();
    assert!(is_readable(fd, Duration::ZERO));
    sleep_for(&channel, fd, 1);
    assert!(!is_readable(fd, Duration::ZERO));
}
