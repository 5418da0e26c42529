//! Resilience layers for calls to a dependency that may be slow, overloaded or gone.
//!
//! There are four tower layers, each of which also works alone, and tower's own time limit per
//! attempt. Around a call to another function they are in this order, outermost first:
//!
//! 1. [`breaker`]: around everything, so that a call with all its attempts is one outcome. Its
//!    state is in memory, or [shared](breaker::shared) by a fleet.
//! 2. [`deadline`]: no layer below may take longer than the caller is willing to wait. It is inside
//!    the breaker, so that the breaker sees a call whose time ran out.
//! 3. [`retry`]: inside the deadline, so that all attempts and pauses share one budget of time.
//! 4. [`bulkhead`]: inside retry, so that no slot is held during a pause.
//! 5. [`attempt`]: innermost, so that the time of waiting for a slot does not count.
//!
//! # Errors
//!
//! A layer adds its own named error to those of the service that it wraps. It requires only
//! `S::Error: From<TheNamedError>`. A client with one error enum keeps it through the whole stack,
//! and matches on it exhaustively, without downcasts. A stack of [`tower::BoxError`] satisfies the
//! same bound, so tower's own layers can be mixed in. tower's timeout boxes its error; one
//! `map_err` above it restores the enum.
//!
//! # Readiness
//!
//! Nothing waits in `poll_ready`, which is always ready. The wrapped service is awaited inside the
//! future of `call`, where the deadline covers it and the permit is held. tower's timeout is the
//! exception: it starts in `call`. So the service that it wraps should always be ready, as hyper's
//! and tonic's clients are. Otherwise use [`deadline::Layer::after`], which covers both.
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
/// Its error is boxed, and is another type than that of a deadline: only an attempt that took too
/// long is worth another attempt, not a deadline that has passed.
pub mod attempt {
    pub use tower::timeout::error::Elapsed;
    pub use tower::timeout::{Timeout as Service, TimeoutLayer as Layer};
}

/// A value that a layer cannot work with.
///
/// Constructors return it, so a bad setting stops a process at its start.
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
