//! Circuit breaker: stops calls to a dependency that keeps failing, and finds out when it works
//! again.
//!
//! When it is closed, calls pass, and several failures in a row open it. When it is open, calls are
//! rejected with [`BreakerOpen`] and are not made. After a while it is half-open: the next call
//! passes as a probe. Enough successful probes close the breaker; one failed probe opens it again.
//!
//! The caller decides what is a failure. An answer such as "not found" is a success, because the
//! dependency works. A call without a verdict (cancelled, panicked) does not count, and frees its
//! probe's slot. So put the time limit inside the breaker: a call that hangs until a deadline
//! outside cuts it off never counts. Put retries inside the breaker, too: three attempts of one
//! call are one failure, not three.
//!
//! Clones of a [`Breaker`] share its state, and so do all services that one layer makes. The state
//! lives as long as the process. [`shared`] keeps it in a store instead, for a whole fleet.
//! [`state`] has the rules of both.

mod layer;
pub mod shared;
pub mod state;

pub use layer::{Layer, ResponseFuture, Service};
pub use state::{BreakerOpen, Config, Outcome, Snapshot, State, Transition};

use crate::InvalidConfig;
use state::Machine;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A circuit breaker whose state is in memory. A clone shares it.
#[derive(Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

type Listener = Arc<dyn Fn(Transition) + Send + Sync>;

struct Shared {
    config: Config,
    epoch: Instant,
    machine: Mutex<Machine>,
    listeners: Mutex<Vec<Listener>>,
}

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    ///
    /// When a threshold, the number of probes or a duration is zero.
    pub fn new(config: Config) -> Result<Self, InvalidConfig> {
        config.check()?;
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                epoch: Instant::now(),
                machine: Mutex::new(Machine::new()),
                listeners: Mutex::new(Vec::new()),
            }),
        })
    }

    /// Calls `listener` at every transition from now on, on the thread that caused it.
    ///
    /// The breaker is not locked meanwhile, so the listener may read it. Transitions that two
    /// threads cause may be reported out of order; their generations say which came first.
    pub fn on_transition(&self, listener: impl Fn(Transition) + Send + Sync + 'static) {
        lock(&self.shared.listeners).push(Arc::new(listener));
    }

    /// Asks for a call to pass.
    ///
    /// # Errors
    ///
    /// [`BreakerOpen`] while open, and while half-open with all probes on their way.
    pub fn try_acquire(&self) -> Result<Permit, BreakerOpen> {
        self.try_acquire_at(self.now())
    }

    /// Runs `call` unless the breaker is open, and judges its result.
    ///
    /// An open breaker drops `call` without polling it. Dropping the returned future is no
    /// verdict.
    ///
    /// # Errors
    ///
    /// The error of `call`, or [`BreakerOpen`] converted to it.
    pub async fn run<F, T, E>(
        &self,
        call: F,
        classify: impl FnOnce(&Result<T, E>) -> Outcome,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<BreakerOpen>,
    {
        let permit = self.try_acquire()?;
        let result = call.await;
        permit.settle(classify(&result));
        result
    }

    /// The state now. An open breaker stays so until the first call after `open_for`.
    pub fn state(&self) -> State {
        lock(&self.shared.machine).state()
    }

    /// The state now, with what it counts.
    pub fn snapshot(&self) -> Snapshot {
        let machine = *lock(&self.shared.machine);
        machine.snapshot(&self.shared.config, self.now())
    }

    fn now(&self) -> Duration {
        self.shared.epoch.elapsed()
    }

    fn try_acquire_at(&self, now: Duration) -> Result<Permit, BreakerOpen> {
        let generation = self.step(|machine| machine.acquire(&self.shared.config, now))?;
        Ok(Permit {
            breaker: self.clone(),
            generation,
            settled: false,
        })
    }

    fn settle(&self, generation: u64, outcome: Outcome) {
        let now = self.now();
        self.step(|machine| {
            let after = machine.settle(&self.shared.config, generation, outcome, now);
            (after, ())
        });
    }

    /// Takes one step of the machine, and reports the transition, if there was one.
    fn step<T>(&self, step: impl FnOnce(Machine) -> (Machine, T)) -> T {
        let (transition, result) = {
            let mut machine = lock(&self.shared.machine);
            let before = *machine;
            let (after, result) = step(before);
            *machine = after;
            (after.transition_from(&before), result)
        };
        if let Some(transition) = transition {
            let listeners = lock(&self.shared.listeners).clone();
            for listener in listeners {
                listener(transition);
            }
        }
        result
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("config", &self.shared.config)
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

/// The permission to make one call. Dropped without a verdict, it counts as [`Outcome::Ignore`].
#[derive(Debug)]
#[must_use = "a permit that is dropped at once says nothing about the call"]
pub struct Permit {
    breaker: Breaker,
    generation: u64,
    settled: bool,
}

impl Permit {
    /// The dependency works.
    pub fn success(self) {
        self.settle(Outcome::Success);
    }

    /// The dependency does not work.
    pub fn failure(self) {
        self.settle(Outcome::Failure);
    }

    /// The call says nothing about the dependency.
    pub fn ignore(self) {
        self.settle(Outcome::Ignore);
    }

    /// Gives the verdict.
    ///
    /// It counts only in the state that admitted the call: a verdict that comes after a
    /// transition changes nothing.
    pub fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        self.breaker.settle(self.generation, outcome);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker.settle(self.generation, Outcome::Ignore);
        }
    }
}

/// Locks, even if another thread panicked with the lock: every value that is stored here is
/// complete.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
