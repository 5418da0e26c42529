//! The store of a shared breaker's state.

use super::super::state::Machine;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a store did not answer.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One step of the machine: state and the store's time → state. It may run more than once.
pub type Step<'a> = &'a (dyn Fn(Machine, Duration) -> Machine + Send + Sync);

/// A state as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The state; [`Machine::new`] when none was ever written.
    pub machine: Machine,
    /// The store's own time, since the Unix epoch.
    pub now: Duration,
}

/// A step that the store has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The state before.
    pub before: Machine,
    /// The state after.
    pub after: Machine,
    /// The store's own time that the step was given.
    pub now: Duration,
}

/// The state of one breaker, in a place that all its sharers can reach.
///
/// The time is the store's, so differing clocks of the fleet do not matter. A caller drops a future
/// that takes too long. The store must then have the state before the step, or the state after it.
pub trait Store: Send + Sync + 'static {
    /// Reads the state.
    fn load(&self) -> BoxFuture<'_, Result<Loaded, BoxError>>;

    /// Takes a step atomically: no other step happens between its reading and its writing. A step
    /// that changes nothing writes nothing.
    fn change<'a>(&'a self, step: Step<'a>) -> BoxFuture<'a, Result<Changed, BoxError>>;
}
