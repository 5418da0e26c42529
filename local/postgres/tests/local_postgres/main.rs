//! A real server: its life, its death, its data, its roles and its migrations.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod children;
mod fetch;
mod life;
mod migrations;
mod provisioning;
mod support;
