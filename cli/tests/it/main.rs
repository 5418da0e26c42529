//! The command, as a person runs it.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod backup;
mod databases;
mod gateway;
mod lambda;
mod provision;
