//! Locks: a spin lock for contract code, and how the machine takes its own.

use crate::processor;
use longshore_core::{Irql, machine};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Takes a lock of the machine's own. Poison is ignored: no callback runs under one, so nothing is ever half done.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Data that one CPU at a time may touch.
///
/// Taking the lock raises the level (never lowers it) and spins. A section that panics leaves the data as it is then,
/// puts the level back and frees the lock for the next one. Taking a lock inside its own section spins for ever, as it
/// does on any real machine.
pub struct Lock<T> {
    name: &'static str,
    level: Irql,
    value: Mutex<T>,
}

impl<T> Lock<T> {
    pub(crate) fn new(name: &'static str, level: Irql, value: T) -> Self {
        Self {
            name,
            level,
            value: Mutex::new(value),
        }
    }

    fn try_take(&self) -> Option<MutexGuard<'_, T>> {
        match self.value.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// A mutex that is only ever tried is a spin lock.
    fn spin(&self) -> MutexGuard<'_, T> {
        loop {
            match self.try_take() {
                Some(guard) => return guard,
                None => processor::relax(),
            }
        }
    }
}

impl<T: Send> machine::Lock<T> for Lock<T> {
    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
        // Declared first, hence dropped last: the lock is free before the level falls.
        let _raised = processor::raise_to(self.level);
        section(&mut self.spin())
    }

    fn try_with<R>(&self, section: impl FnOnce(&mut T) -> R) -> Option<R> {
        let _raised = processor::raise_to(self.level);
        Some(section(&mut *self.try_take()?))
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lock({:?} at {:?})", self.name, self.level)
    }
}
