//! A real server: start, stop, crash, data, roles and migrations.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod children;
mod fetch;
mod life;
mod migrations;
mod provisioning;
mod support;
