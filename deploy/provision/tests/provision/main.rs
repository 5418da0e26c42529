//! A real server: databases, roles and migrations, by a superuser and by one who is none.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod administrators;
mod expand;
mod migrations;
mod support;
mod tls;
