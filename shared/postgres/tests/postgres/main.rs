//! Against a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    reason = "what these helpers unwrap is the test's to have"
)]

mod breaker;
mod connecting;
mod idempotency;
mod limits;
mod proxy;
mod reading;
mod shared_breaker;
mod support;
mod times;
mod tls;
mod voids;
mod writing;
