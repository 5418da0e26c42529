//! What a function is, and what it is given.
//!
//! A function implements [`Function`], and a job implements [`Job`]. Both are built from a [`Setup`]. Both
//! get a [`Call`], and return an [`Error`] if they fail. The libraries of functions (PostgreSQL, clients of
//! other functions) depend on this crate and not on the server, which is `zerocart-runtime`.
//!
//! This crate knows no transport, no server and no engine.

pub mod call;
pub mod config;
pub mod error;
mod function;
pub mod job;
mod lasting;
pub mod metrics;
mod readiness;
mod start;
pub mod time;
pub mod voids;
pub use zerocart_telemetry as trace;

pub use call::{Call, Idempotency};
pub use config::{Env, Invalid, Platform, Setup, StartError};
pub use error::{Error, Kind};
pub use function::{Function, Request, Response};
pub use job::Job;
pub use lasting::{Lasting, Running};
pub use readiness::{READY_TIMEOUT, Readiness};
pub use start::Start;
