//! What turns a handler into a process.
//!
//! A function implements [`Function`] and its `main` is [`run`]. Around the handler the runtime
//! does everything else: JSON and gRPC on one port, parsing and field rules, identity and access,
//! deadline, overload, panics, errors, trace context, logs, metrics, health, drain.
//!
//! Nothing here knows about PostgreSQL, Knative or Lambda, and no handler knows about HTTP.

pub mod call;
pub mod config;
pub mod error;
pub mod frames;
mod function;
mod grpc;
mod health;
mod invoke;
pub mod job;
mod json;
mod lasting;
pub mod metrics;
mod problem;
mod readiness;
pub mod redact;
mod router;
mod server;
pub mod trace;

pub use call::{Call, Idempotency};
pub use config::{Env, Invalid, Platform, Setup, StartError};
pub use error::{Error, Kind};
pub use function::{Built, Entry, Function, Request, Response, Service, build, build_on};
pub use job::{Job, JobEntry, run_job, run_once};
pub use lasting::Lasting;
pub use readiness::READY_TIMEOUT;
pub use server::{init_logs, run, run_service, serve_router};
