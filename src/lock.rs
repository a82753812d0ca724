//! The lock for what tasks share and leave valid at every step: a task that panicked with it is no reason to stop the others.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also where a task panicked with the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
