//! The broker between real clients and a real PostgreSQL.

mod leaks;
mod support;
