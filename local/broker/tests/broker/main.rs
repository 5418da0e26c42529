//! The broker between real clients and a real PostgreSQL.

mod abuse;
mod cancels;
mod crashes;
mod leaks;
mod limits;
mod process;
mod support;
