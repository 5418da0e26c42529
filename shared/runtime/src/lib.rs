//! What turns a function into a process.
//!
//! A function implements [`Function`](zerocart_core::Function) and its `main` is [`run`]. Around it the
//! runtime does everything else: JSON and gRPC on one port, parsing and field rules, identity and
//! access, deadline, overload, panics, errors on the wire, logs, metrics, health, drain.
//!
//! Nothing here knows about PostgreSQL, Knative or Lambda, and no function knows about HTTP.

pub mod frames;
mod grpc;
mod health;
mod invoke;
pub mod job;
mod json;
mod lines;
mod precondition;
mod problem;
mod router;
mod server;
mod service;
mod voids;

pub use job::{JobEntry, run_job, run_once};
pub use router::{get_only, nothing_here};
pub use server::{LogFormat, init_logs, recorder, run, run_service, serve_router};
pub use service::{Built, Entry, Service, build, build_on};
pub use zerocart_telemetry::redact;
