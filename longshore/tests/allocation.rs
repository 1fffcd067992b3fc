//! From opening on, operations with tags allocate nothing: not in the caller, and not in the engine's threads.
#![allow(unsafe_code)] // An allocator that counts is one.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use longshore::{
    Buffer, Buffers, Completion, DmaChannel, Engine, InlineCpu, Job, Lists, Options, Pair, WorkerCpu,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The same operation again, with the buffers that came back.
fn again(done: &mut Completion, round: u64) -> Job {
    match std::mem::take(&mut done.buffers) {
        Buffers::None => Job::fence(),
        Buffers::One(buffer) => Job::fill(buffer, round),
        Buffers::Pair(Pair { source, destination }) if done.tag.is_multiple_of(2) => {
            Job::copy(source, destination)
        }
        Buffers::Pair(Pair { source, destination }) => Job::compare(source, destination),
        Buffers::Lists(Lists { source, destination }) => Job::copy_list(source, destination),
    }
}

fn work<E: Engine>(channel: &DmaChannel<E>, room: &mut [Completion], rounds: u64) {
    for round in 0..rounds {
        while !channel.wait(None) {}
        let found = channel.poll(room);
        for done in &mut room[..found] {
            let job = again(done, round);
            channel.submit(done.tag, job).unwrap();
        }
        channel.doorbell().unwrap();
        if round % 16 == 0 {
            channel.cancel(round % 20);
        }
    }
}

fn allocates_nothing<E: Engine>(channel: &DmaChannel<E>) {
    let buffer = || channel.buffer(300).unwrap();
    let halves = || Vec::from(<[Buffer; 2]>::from(buffer().split_at(100).unwrap()));
    for tag in 0..16 {
        let job = if tag % 2 == 0 {
            Job::copy(buffer(), buffer())
        } else {
            Job::compare(buffer(), buffer())
        };
        channel.submit(tag, job).unwrap();
    }
    channel.submit(16, Job::fill(buffer(), 1)).unwrap();
    channel.submit(17, Job::fence()).unwrap();
    channel.submit(18, Job::copy_list(halves(), halves())).unwrap();
    let mut room: Vec<_> = (0..8).map(|_| Completion::EMPTY).collect();
    work(channel, &mut room, 200);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work(channel, &mut room, 5_000);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
}

/// Every thread of the machine has done something, and so has begun: the clock, the interrupt's and the engine's.
fn wake_every_thread(channel: &DmaChannel<WorkerCpu>) {
    channel.start(Job::fence()).unwrap().wait();
    channel.suspend().unwrap();
    let late = Job::fence().within(Duration::from_millis(5));
    let late = channel.start(late).unwrap().wait_for(Duration::from_secs(20));
    assert!(late.unwrap().outcome.is_cancelled());
    channel.resume().unwrap();
}

/// One after the other: the count is everybody's.
#[test]
fn operations_with_tags_allocate_nothing() {
    let worker = Options::new().looks(1).open(WorkerCpu).unwrap();
    wake_every_thread(&worker);
    allocates_nothing(&worker);
    let inline = Options::new()
        .host(worker.host().clone())
        .open(InlineCpu)
        .unwrap();
    allocates_nothing(&inline);
}
