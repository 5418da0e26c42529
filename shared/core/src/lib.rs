//! What a function is, and what it is given.
//!
//! A function implements [`Function`], a job implements [`Job`]. Both are built from a [`Setup`], get a
//! [`Call`] and answer with an [`Error`] where they fail. The crates that functions use (PostgreSQL,
//! clients of other functions) need these types too, and no more: the server is in `zerocart-runtime`.
//!
//! Nothing here knows a transport, a server or an engine.

pub mod call;
pub mod config;
pub mod error;
mod function;
pub mod job;
mod lasting;
pub mod metrics;
mod readiness;
pub mod trace;

pub use call::{Call, Idempotency};
pub use config::{Env, Invalid, Platform, Setup, StartError};
pub use error::{Error, Kind};
pub use function::{Function, Request, Response};
pub use job::Job;
pub use lasting::Lasting;
pub use readiness::{READY_TIMEOUT, Readiness};
