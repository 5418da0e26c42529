//! Deadline: ends a call at an instant.
//!
//! The deadline of a call is an instant that its request carries, or a fixed time after the call
//! started. When it passes, the call's future is dropped (which cancels everything below it) and
//! the answer is [`Elapsed`]. A call whose deadline has already passed is not made at all.
//!
//! Clones and the services of one layer share nothing: a deadline belongs to one call.

mod layer;

pub use layer::{Layer, ResponseFuture, Service};

use crate::InvalidConfig;
use std::time::Duration;
use tokio::time::Instant;

/// The deadline passed before the answer came.
///
/// The work may have been done all the same. To repeat it safely, a caller needs an idempotency
/// key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the deadline passed before the answer came")]
#[non_exhaustive]
pub struct Elapsed;

/// Where the deadline of a call comes from.
///
/// Asked once per call, at its start. Closures `Fn(&Req) -> Option<Instant>` are sources.
pub trait Source<Req> {
    /// The instant at which the call ends, or `None` when nothing limits it.
    fn deadline(&self, request: &Req) -> Option<Instant>;
}

impl<Req, F> Source<Req> for F
where
    F: Fn(&Req) -> Option<Instant>,
{
    fn deadline(&self, request: &Req) -> Option<Instant> {
        self(request)
    }
}

/// The same time budget for every call, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After(Duration);

impl After {
    /// A budget per call.
    ///
    /// # Errors
    ///
    /// When the budget is zero: no call could be made.
    pub fn new(budget: Duration) -> Result<Self, InvalidConfig> {
        InvalidConfig::unless(
            !budget.is_zero(),
            "deadline.budget",
            "must be longer than zero",
        )?;
        Ok(Self(budget))
    }
}

impl<Req> Source<Req> for After {
    /// A budget beyond the end of the clock limits nothing.
    fn deadline(&self, _: &Req) -> Option<Instant> {
        Instant::now().checked_add(self.0)
    }
}
