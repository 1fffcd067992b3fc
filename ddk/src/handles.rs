//! Handles: numbers that C code carries around in the place of pointers.
//!
//! No number is ever given twice in a process, so one that is stale, made up or from another machine names nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A handle. Never NULL, and no address that anything stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Handle(usize);

/// Handles are odd, so that one that is taken for a pointer is misaligned.
const STEP: u64 = 16;

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Handle {
    /// A handle that was never given before.
    pub(crate) fn new() -> Self {
        Self((NEXT.fetch_add(1, Ordering::Relaxed) * STEP + 1) as usize)
    }

    /// What C code handed in.
    pub(crate) const fn from_raw(raw: usize) -> Self {
        Self(raw)
    }

    pub(crate) const fn raw(self) -> usize {
        self.0
    }
}

/// What handles of one kind stand for.
pub(crate) struct Handles<T>(Mutex<HashMap<Handle, T>>);

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A mutex holds nothing that a panic could leave half done.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Clone> Handles<T> {
    pub(crate) fn insert(&self, handle: Handle, value: T) {
        hold(&self.0).insert(handle, value);
    }

    pub(crate) fn get(&self, handle: Handle) -> Option<T> {
        hold(&self.0).get(&handle).cloned()
    }

    /// What the handle stood for. It is dropped by the caller, outside the lock.
    pub(crate) fn remove(&self, handle: Handle) -> Option<T> {
        hold(&self.0).remove(&handle)
    }

    /// All that satisfy `is`, oldest first.
    pub(crate) fn find(&self, is: impl Fn(&T) -> bool) -> Vec<(Handle, T)> {
        let mut found: Vec<_> = hold(&self.0)
            .iter()
            .filter(|(_, value)| is(value))
            .map(|(handle, value)| (*handle, value.clone()))
            .collect();
        found.sort_by_key(|(handle, _)| *handle);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_never_given_twice_and_names_one_thing() {
        let (first, second) = (Handles::default(), Handles::default());
        let handle = Handle::new();
        first.insert(handle, "thing");
        assert_eq!(first.get(handle), Some("thing"));
        assert_eq!(second.get(handle), None::<&str>);
        assert_eq!(first.remove(handle), Some("thing"));
        assert_eq!(first.get(handle), None);
        let later = Handle::new();
        assert!(later != handle && !later.raw().is_multiple_of(8));
        assert_eq!(first.get(Handle::from_raw(0)), None);
    }
}
