//! Whole stories: the real engine, its real functions, a real PostgreSQL, over real sockets.

mod access;
mod coldstart;
mod complete;
mod dashboard;
mod edge;
mod forged;
mod grpcio;
mod keys;
mod leaks;
mod life;
mod openapi;
mod outage;
mod prometheus;
mod python;
mod reflection;
mod resilience;
mod schemathesis;
mod secrets;
mod spans;
mod story;
mod telemetry;
mod traces;
mod watch;
mod zero;

pub(crate) use zerocart_tests::harness::engine;
use zerocart_tests::harness::{http, processes, until, until_every};
