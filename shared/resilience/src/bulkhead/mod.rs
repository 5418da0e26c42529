//! Bulkhead: at most N calls run at once, and a bounded number of calls waits a bounded time for a
//! slot.
//!
//! A call takes a slot when it is made and holds it until it ends or is dropped. When no slot is
//! free it takes a place in the queue; when the queue is full, or the wait too long, it is
//! rejected with [`BulkheadFull`]. Slots are given out in the order in which calls began to wait.
//!
//! Clones of a [`Bulkhead`] share slots and queue, and so do all services that one layer makes.

mod layer;

pub use layer::{Layer, ResponseFuture, Service};

use crate::InvalidConfig;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All slots are taken, and the queue is full or was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many calls are running; try again in {retry_after:?}")]
pub struct BulkheadFull {
    /// How long to wait before trying again: [`Config::retry_after`].
    pub retry_after: Duration,
}

/// How many calls may run and wait, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Calls that may run at once. Default 16. The next one waits.
    pub max_in_flight: usize,
    /// Calls that may wait for a slot. Default 16; with 0, every call that cannot run at once is
    /// rejected.
    pub max_waiting: usize,
    /// The longest that a call waits for a slot. Default 100 ms. Not used without a queue.
    pub max_wait: Duration,
    /// The wait that a rejected call is told. Default 1 s, the smallest value of HTTP's
    /// `Retry-After`.
    pub retry_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_in_flight: 16,
            max_waiting: 16,
            max_wait: Duration::from_millis(100),
            retry_after: Duration::from_secs(1),
        }
    }
}

impl Config {
    fn check(&self) -> Result<(), InvalidConfig> {
        let max = Semaphore::MAX_PERMITS;
        InvalidConfig::unless(
            (1..=max).contains(&self.max_in_flight),
            "bulkhead.max_in_flight",
            "must be at least 1 and at most usize::MAX / 8",
        )?;
        InvalidConfig::unless(
            self.max_waiting <= max,
            "bulkhead.max_waiting",
            "must be at most usize::MAX / 8",
        )?;
        InvalidConfig::unless(
            self.max_waiting == 0 || !self.max_wait.is_zero(),
            "bulkhead.max_wait",
            "must be longer than zero where calls may wait",
        )
    }
}

/// The slots and the queue. Clones share both.
#[derive(Clone)]
pub struct Bulkhead {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    slots: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// A slot of a [`Bulkhead`], free again when this is dropped.
#[derive(Debug)]
#[must_use = "dropping a permit frees its slot"]
pub struct Permit {
    _slot: OwnedSemaphorePermit,
}

/// The result of asking for a slot.
enum Entry {
    Admitted(Permit),
    Queued(Pin<Box<dyn Future<Output = Result<Permit, BulkheadFull>> + Send>>),
    Full(BulkheadFull),
}

impl Bulkhead {
    /// A bulkhead with all its slots free.
    ///
    /// # Errors
    ///
    /// When there is no slot, or a queue without time to wait in it.
    pub fn new(config: Config) -> Result<Self, InvalidConfig> {
        config.check()?;
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                slots: Arc::new(Semaphore::new(config.max_in_flight)),
                places: Arc::new(Semaphore::new(config.max_waiting)),
            }),
        })
    }

    /// Takes a slot, after waiting for one as the configuration allows.
    ///
    /// The place in the queue is taken when this is called, before the future is polled.
    ///
    /// # Errors
    ///
    /// [`BulkheadFull`] when the queue is full or the wait was too long.
    pub fn acquire(&self) -> impl Future<Output = Result<Permit, BulkheadFull>> + Send + use<> {
        let entry = self.enter();
        async {
            match entry {
                Entry::Admitted(permit) => Ok(permit),
                Entry::Queued(turn) => turn.await,
                Entry::Full(full) => Err(full),
            }
        }
    }

    /// Calls that hold a slot now.
    pub fn in_flight(&self) -> usize {
        self.shared.config.max_in_flight - self.shared.slots.available_permits()
    }

    /// Calls that wait for a slot now.
    pub fn waiting(&self) -> usize {
        self.shared.config.max_waiting - self.shared.places.available_permits()
    }

    fn enter(&self) -> Entry {
        let Shared {
            config,
            slots,
            places,
        } = &*self.shared;
        if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            return Entry::Admitted(Permit { _slot: slot });
        }
        let full = BulkheadFull {
            retry_after: config.retry_after,
        };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            return Entry::Full(full);
        };
        // Made here and not inside the block, so that the wait counts from now.
        let turn = tokio::time::timeout(config.max_wait, Arc::clone(slots).acquire_owned());
        Entry::Queued(Box::pin(async move {
            let _place = place;
            match turn.await {
                Ok(Ok(slot)) => Ok(Permit { _slot: slot }),
                // The semaphore is never closed. Only the types need this arm.
                Ok(Err(_)) | Err(_) => Err(full),
            }
        }))
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("config", &self.shared.config)
            .field("in_flight", &self.in_flight())
            .field("waiting", &self.waiting())
            .finish()
    }
}
