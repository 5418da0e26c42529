//! The place of a request: at an instance, or in the queue.

use std::fmt;
use std::sync::Arc;

use super::Pool;
use crate::instance::Instance;

/// A request's place at an instance, given back when dropped.
pub(crate) struct Permit {
    pub(super) pool: Arc<Pool>,
    pub(super) slot: u64,
    pub(crate) instance: Arc<Instance>,
}

impl Permit {
    /// Takes an instance that has died out of use, before its own task does.
    pub(crate) fn retire(self) {
        self.pool.leave(self.slot);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("slot", &self.slot).finish()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.release(self.slot);
    }
}

/// A queued request that gives up leaves the queue.
pub(super) struct Waiting<'a> {
    pub(super) pool: &'a Pool,
    pub(super) id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if let Ok(index) = state.queue.binary_search_by_key(&self.id, |(id, _)| *id) {
            state.queue.remove(index);
            state.left();
        }
    }
}
