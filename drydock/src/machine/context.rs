//! Stacks that can be left and taken up again.
//!
//! Everything that runs on a virtual CPU is a coroutine on the one thread of its run. The code on it calls the
//! machine like any other code; the machine calls [`suspend`] and the runner decides who goes on.
#![allow(unsafe_code)] // One pointer: the way back to the runner, kept while a coroutine runs.

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

type Back = Yielder<(), ()>;

thread_local! {
    static BACK: Cell<Option<NonNull<Back>>> = const { Cell::new(None) };
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

const STACK_SIZE: usize = 256 * 1024;

/// How a coroutine ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its code returned.
    Returned,
    /// It was told to stop.
    Stopped,
    /// Its code panicked, with this message.
    Panicked(String),
}

/// What a stopped coroutine unwinds with.
struct Stop;

/// Code on a stack of its own.
pub(crate) struct Context {
    coroutine: Option<Coroutine<(), (), Ended>>,
}

impl Context {
    pub(crate) fn new(body: impl FnOnce() + 'static) -> std::io::Result<Self> {
        let pooled = STACKS.with_borrow_mut(Vec::pop);
        let stack = match pooled {
            Some(stack) => stack,
            None => DefaultStack::new(STACK_SIZE)?,
        };
        let coroutine = Coroutine::with_stack(stack, move |back: &Back, ()| {
            BACK.set(Some(NonNull::from(back)));
            match catch_unwind(AssertUnwindSafe(body)) {
                Ok(()) => Ended::Returned,
                Err(payload) if payload.is::<Stop>() => Ended::Stopped,
                Err(payload) => Ended::Panicked(message(payload.as_ref())),
            }
        });
        Ok(Self {
            coroutine: Some(coroutine),
        })
    }

    /// Lets the code run until it suspends or ends.
    pub(crate) fn resume(&mut self) -> Option<Ended> {
        let result = match &mut self.coroutine {
            Some(coroutine) => coroutine.resume(()),
            None => return Some(Ended::Stopped),
        };
        BACK.set(None);
        match result {
            CoroutineResult::Yield(()) => None,
            CoroutineResult::Return(ended) => {
                if let Some(coroutine) = self.coroutine.take() {
                    STACKS.with_borrow_mut(|stacks| stacks.push(coroutine.into_stack()));
                }
                Some(ended)
            }
        }
    }
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

/// Whether the caller runs on a coroutine.
pub(crate) fn on_one() -> bool {
    BACK.get().is_some()
}

/// Gives control back to the runner until it resumes this coroutine. Does nothing elsewhere.
pub(crate) fn suspend() {
    let Some(back) = BACK.get() else { return };
    // SAFETY: BACK is set only by code that runs on the coroutine `back` belongs to: at its start above, and below
    // when it is resumed. `resume` clears it before anything else runs on this thread, so here we are on that
    // coroutine's own stack, and the yielder lives as long as that stack does.
    unsafe { back.as_ref() }.suspend(());
    BACK.set(Some(back));
}

/// Leaves the coroutine for good.
pub(crate) fn stop() -> ! {
    resume_unwind(Box::new(Stop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn suspend_finds_its_own_way_back_when_coroutines_alternate() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let make = |name: &'static str| {
            let log = Rc::clone(&log);
            Context::new(move || {
                for step in 0..3 {
                    log.borrow_mut().push((name, step));
                    suspend();
                }
            })
            .unwrap()
        };
        let (mut a, mut b) = (make("a"), make("b"));
        for _ in 0..3 {
            assert_eq!(a.resume(), None);
            assert_eq!(b.resume(), None);
        }
        assert!(!on_one());
        assert_eq!(a.resume(), Some(Ended::Returned));
        assert_eq!(b.resume(), Some(Ended::Returned));
        let expected: Vec<_> = (0..3).flat_map(|step| [("a", step), ("b", step)]).collect();
        assert_eq!(*log.borrow(), expected);
    }

    #[test]
    fn a_stop_unwinds_and_a_panic_is_told() {
        let mut stopped = Context::new(|| stop()).unwrap();
        assert_eq!(stopped.resume(), Some(Ended::Stopped));
        let mut panicked = Context::new(|| panic!("told")).unwrap();
        assert_eq!(panicked.resume(), Some(Ended::Panicked("told".into())));
    }

    #[test]
    fn suspend_does_nothing_outside() {
        suspend();
        assert!(!on_one());
    }
}
