//! Dispatchers: the threads that run deferred calls, one for each CPU.

use crate::lock::hold;
use crate::machine::Machine;
use crate::panics::Panics;
use crate::processor;
use crate::routine::Routine;
use longshore_core::machine::Cpu;
use longshore_core::{Dispatch, Irql};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What runs at DISPATCH.
pub(crate) type DispatchRoutine = dyn Fn(&Dispatch) + Send + Sync;

/// A routine that a dispatcher can run, and whether it waits for that in a queue.
pub(crate) struct Call {
    routine: Routine<DispatchRoutine>,
    queued: AtomicBool,
}

impl Call {
    /// Marks the call as queued. False if it is already. Whoever marks it also sees what the last run wrote, and the
    /// next run sees what was written before the attempt, whether it succeeded or not.
    fn mark(&self) -> bool {
        !self.queued.swap(true, Ordering::AcqRel)
    }

    fn unmark(&self) {
        self.queued.swap(false, Ordering::AcqRel);
    }

    fn run(&self, panics: &Panics, dispatch: &Dispatch) {
        // From here on it can be queued again, on this CPU or another, also by itself.
        self.unmark();
        self.routine.run(panics, |routine| routine(dispatch));
    }
}

/// The dispatchers of all CPUs.
pub(crate) struct Dispatchers {
    each: Vec<Dispatcher>,
    /// How many calls exist. Each is queued once at most, so this is the room that every queue needs.
    calls: Mutex<usize>,
}

impl Dispatchers {
    pub(crate) fn new(cpus: u32) -> Self {
        Self {
            each: (0..cpus).map(|_| Dispatcher::default()).collect(),
            calls: Mutex::new(0),
        }
    }

    /// Makes a call, and room for it in every queue.
    pub(crate) fn make(&self, name: &'static str, routine: Arc<DispatchRoutine>) -> Arc<Call> {
        let mut calls = hold(&self.calls);
        *calls += 1;
        for dispatcher in &self.each {
            dispatcher.make_room(*calls);
        }
        Arc::new(Call {
            routine: Routine::new(name, self.each.len(), routine),
            queued: AtomicBool::new(false),
        })
    }

    /// Forgets a call and returns once it no longer runs. Nobody can queue it any more: its owner is being dropped.
    pub(crate) fn retire(&self, call: &Call) {
        self.forget(call);
        call.routine.retire();
        *hold(&self.calls) -= 1;
    }

    /// Queues the call on `cpu`, counted round where there are not so many. False if it is queued already, or the
    /// machine is off.
    pub(crate) fn queue(&self, call: &Arc<Call>, cpu: Cpu) -> bool {
        let index = cpu.0 as usize % self.each.len();
        call.mark() && self.each[index].push(call)
    }

    /// Takes the call out of the queue it is in, if it is in one.
    pub(crate) fn forget(&self, call: &Call) -> bool {
        self.each.iter().any(|dispatcher| dispatcher.forget(call))
    }

    /// The work of the dispatcher thread of `cpu`, until it is stopped.
    pub(crate) fn work(&self, machine: &Machine, cpu: Cpu) {
        processor::become_cpu(cpu, Irql::DISPATCH);
        let dispatch = Dispatch::now(machine).expect("the level was just set");
        let dispatcher = &self.each[cpu.0 as usize];
        while let Some(call) = dispatcher.next() {
            call.run(machine.panics_record(), &dispatch);
        }
    }

    /// Forgets all that is queued and ends the threads.
    pub(crate) fn stop(&self) {
        for dispatcher in &self.each {
            dispatcher.stop();
        }
    }
}

/// The queue of one CPU.
#[derive(Default)]
struct Dispatcher {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<Arc<Call>>,
    off: bool,
}

impl Dispatcher {
    fn make_room(&self, calls: usize) {
        let mut queue = hold(&self.queue);
        let more = calls - queue.calls.len().min(calls);
        queue.calls.reserve(more);
    }

    fn push(&self, call: &Arc<Call>) -> bool {
        let mut queue = hold(&self.queue);
        if queue.off {
            call.unmark();
            return false;
        }
        debug_assert!(
            queue.calls.len() < queue.calls.capacity(),
            "queueing would allocate"
        );
        queue.calls.push_back(call.clone());
        drop(queue);
        self.filled.notify_one();
        true
    }

    fn forget(&self, call: &Call) -> bool {
        let mut queue = hold(&self.queue);
        let position = queue
            .calls
            .iter()
            .position(|queued| std::ptr::eq(Arc::as_ptr(queued), call));
        let found = position.and_then(|position| queue.calls.remove(position));
        drop(queue);
        if let Some(call) = &found {
            call.unmark();
        }
        found.is_some()
    }

    fn next(&self) -> Option<Arc<Call>> {
        let mut queue = hold(&self.queue);
        loop {
            if queue.off {
                return None;
            }
            if let Some(call) = queue.calls.pop_front() {
                return Some(call);
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stop(&self) {
        let mut queue = hold(&self.queue);
        queue.off = true;
        let forgotten = std::mem::take(&mut queue.calls);
        drop(queue);
        for call in &forgotten {
            call.unmark();
        }
        self.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_call_leaves_nothing_in_any_queue() {
        let dispatchers = Dispatchers::new(3);
        let call = dispatchers.make("test", Arc::new(|_: &Dispatch| {}));
        assert!(dispatchers.queue(&call, Cpu(2)));
        assert_eq!(Arc::strong_count(&call), 2);
        dispatchers.retire(&call);
        assert_eq!(Arc::strong_count(&call), 1);
        assert!(!dispatchers.forget(&call));
    }

    #[test]
    fn every_queue_has_room_for_every_call() {
        let dispatchers = Dispatchers::new(2);
        let rooms = || [0, 1].map(|cpu: usize| hold(&dispatchers.each[cpu].queue).calls.capacity());
        let calls: Vec<_> = (0..100)
            .map(|_| dispatchers.make("test", Arc::new(|_: &Dispatch| {})))
            .collect();
        let before = rooms();
        for cpu in [0, 1] {
            assert!(calls.iter().all(|call| dispatchers.queue(call, Cpu(cpu))));
            assert_eq!(rooms(), before);
            assert!(calls.iter().all(|call| dispatchers.forget(call)));
        }
    }
}
