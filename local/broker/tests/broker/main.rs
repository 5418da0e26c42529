//! The broker between real clients and a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod abuse;
mod addresses;
mod cancels;
mod crashes;
mod leaks;
mod limits;
mod process;
mod support;
