//! The activator with real processes, sockets and signals.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers fail the test that calls them"
)]

mod failures;
mod forwarding;
mod harness;
mod jobs;
mod manifests;
mod orphans;
mod scaling;
