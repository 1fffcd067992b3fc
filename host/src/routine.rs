//! A callback, and the promise that it no longer runs once its owner has dropped it.

use crate::lock::hold;
use crate::panics::Panics;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// A callback that one or more threads of the machine run, and that its owner can retire.
pub(crate) struct Routine<F: ?Sized> {
    name: &'static str,
    state: Mutex<State<F>>,
    quiet: Condvar,
}

struct State<F: ?Sized> {
    /// Gone once the owner retired the routine.
    body: Option<Arc<F>>,
    /// Who runs it now. There is room for every thread that may.
    runners: Vec<ThreadId>,
}

impl<F: ?Sized> Routine<F> {
    /// A routine that at most `threads` threads run at the same time.
    pub(crate) fn new(name: &'static str, threads: usize, body: Arc<F>) -> Self {
        Self {
            name,
            state: Mutex::new(State {
                body: Some(body),
                runners: Vec::with_capacity(threads),
            }),
            quiet: Condvar::new(),
        }
    }

    /// Runs it, unless it is retired. No result either if it panics.
    pub(crate) fn run<R>(&self, panics: &Panics, call: impl FnOnce(&F) -> R) -> Option<R> {
        let body = self.enter()?;
        let result = panics.catch(self.name, move || {
            let result = call(&body);
            // Given up before the routine counts as over, so that whoever waits for that drops what it captured.
            drop(body);
            result
        });
        self.leave();
        result
    }

    /// Keeps it from running again and returns once it no longer runs. A routine that retires itself does not wait
    /// for itself; what it captured is then dropped when it returns.
    pub(crate) fn retire(&self) {
        let me = thread::current().id();
        let mut state = hold(&self.state);
        let body = state.body.take();
        while state.runners.iter().any(|runner| *runner != me) {
            state = self.quiet.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        // What the routine captured is dropped with no lock of ours held.
        drop(body);
    }

    fn enter(&self) -> Option<Arc<F>> {
        let mut state = hold(&self.state);
        let body = state.body.clone()?;
        state.runners.push(thread::current().id());
        Some(body)
    }

    fn leave(&self) {
        let me = thread::current().id();
        let mut state = hold(&self.state);
        if let Some(position) = state.runners.iter().position(|runner| *runner == me) {
            state.runners.swap_remove(position);
        }
        drop(state);
        self.quiet.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::time::Duration;

    type Body = dyn Fn() + Send + Sync;

    #[test]
    fn a_retired_routine_runs_no_more_and_lets_go_of_what_it_captured() {
        let captured = Arc::new(());
        let body: Arc<Body> = Arc::new({
            let captured = captured.clone();
            move || drop(captured.clone())
        });
        let routine = Routine::new("test", 1, body);
        let panics = Panics::default();
        assert_eq!(routine.run(&panics, |body| body()), Some(()));
        routine.retire();
        assert_eq!(Arc::strong_count(&captured), 1);
        assert_eq!(routine.run(&panics, |body| body()), None);
    }

    #[test]
    fn retiring_waits_for_another_thread_that_runs_it() {
        let waited_for = Arc::new(AtomicBool::new(false));
        let (begun, has_begun) = mpsc::channel();
        let (retired, is_retired) = mpsc::channel::<()>();
        let is_retired = Mutex::new(is_retired);
        let body: Arc<Body> = Arc::new({
            let waited_for = waited_for.clone();
            move || {
                begun.send(()).unwrap();
                let early = hold(&is_retired).recv_timeout(Duration::from_millis(50));
                waited_for.store(early == Err(RecvTimeoutError::Timeout), Ordering::SeqCst);
            }
        });
        let routine = Routine::new("test", 1, body);
        thread::scope(|scope| {
            scope.spawn(|| routine.run(&Panics::default(), |body| body()));
            has_begun.recv().unwrap();
            routine.retire();
            // Nobody listens any more, if all is well.
            let _ = retired.send(());
        });
        assert!(waited_for.load(Ordering::SeqCst), "retired while it ran");
    }

    #[test]
    fn a_panic_ends_the_run() {
        let body: Arc<Body> = Arc::new(|| panic!("on purpose"));
        let routine = Routine::new("test", 1, body);
        let panics = Panics::default();
        assert_eq!(routine.run(&panics, |body| body()), None);
        assert_eq!(panics.count(), 1);
        // Would hang if the run still counted.
        thread::spawn(move || routine.retire()).join().unwrap();
    }
}
