//! A real server: start, stop, crash, data and roles.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod children;
mod fetch;
mod life;
mod provisioning;
mod socket;
mod support;
