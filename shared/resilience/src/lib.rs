//! What stands between a caller and a dependency that may be slow, overloaded or gone.
//!
//! Four tower layers, each of which works alone, and tower's own time limit per attempt. Around a
//! call to another function they go in this order, outermost first:
//!
//! 1. [`breaker`]: around everything, so that a call with all its attempts is one outcome; in memory,
//!    or [shared](breaker::shared) by a fleet.
//! 2. [`deadline`]: nothing below may outlive what the caller is willing to wait. Inside the breaker,
//!    so that it can be judged when the time runs out.
//! 3. [`retry`]: inside the deadline, so that all attempts and pauses share one budget of time.
//! 4. [`bulkhead`]: inside retry, so that no slot is held during a pause.
//! 5. [`attempt`]: innermost, so that waiting for a slot is not held against the dependency.
//!
//! # Errors
//!
//! A layer adds its own named error to those of the service it wraps, and asks only
//! `S::Error: From<TheNamedError>`. A client with one error enum keeps it through the whole stack
//! and matches on it exhaustively, without downcasts; a stack of [`tower::BoxError`] satisfies the
//! same bound, so tower's own layers mix in. Where tower boxes (its timeout), one `map_err` above
//! it restores the enum.
//!
//! # Readiness
//!
//! Nothing waits in `poll_ready`: it is always ready, and the wrapped service is awaited inside
//! the future of `call`, where the deadline covers it and its permit is held. tower's timeout is
//! the exception: it starts in `call`, so what it wraps should be always ready, as hyper's and
//! tonic's clients are, or be limited by [`deadline::Layer::after`] instead, which covers both.
//!
//! ```
//! use std::time::Duration;
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//! use zerocart_resilience::{attempt, breaker, bulkhead, deadline};
//!
//! # tokio_test::block_on(async {
//! let breaker = breaker::Breaker::new(breaker::Config::default())?;
//! let bulkhead = bulkhead::Bulkhead::new(bulkhead::Config::default())?;
//! // A deadline that passes says that it did not work: nothing else limits the whole call.
//! let classify = |result: &Result<u32, BoxError>| match result {
//!     Ok(_) => breaker::Outcome::Success,
//!     Err(error) if error.is::<bulkhead::BulkheadFull>() => breaker::Outcome::Ignore,
//!     Err(_) => breaker::Outcome::Failure,
//! };
//! let client = ServiceBuilder::new()
//!     .layer(breaker::Layer::new(breaker, classify))
//!     .layer(deadline::Layer::after(Duration::from_secs(5))?)
//!     .layer(bulkhead::Layer::new(bulkhead))
//!     .layer(attempt::Layer::new(Duration::from_secs(1)))
//!     .service(service_fn(async |n: u32| Ok::<_, BoxError>(n + 1)));
//! assert_eq!(client.oneshot(1).await?, 2);
//! # Ok::<_, BoxError>(())
//! # }).unwrap();
//! ```

pub mod breaker;
pub mod bulkhead;
pub mod deadline;
pub mod retry;

/// The time limit of one attempt: tower's own timeout, under the names of this crate.
///
/// Its error is boxed, and a type of its own: an attempt that took too long is not a deadline
/// that has passed, and only the former is worth another attempt.
pub mod attempt {
    pub use tower::timeout::error::Elapsed;
    pub use tower::timeout::{Timeout as Service, TimeoutLayer as Layer};
}

/// A value that a layer cannot work with.
///
/// Constructors return it, so that a bad setting stops a process at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidConfig {
    /// The setting, as `layer.field`.
    pub field: &'static str,
    /// What is wrong with it, as the rest of the sentence.
    pub problem: &'static str,
}

impl InvalidConfig {
    fn unless(ok: bool, field: &'static str, problem: &'static str) -> Result<(), Self> {
        if ok {
            Ok(())
        } else {
            Err(Self { field, problem })
        }
    }
}
