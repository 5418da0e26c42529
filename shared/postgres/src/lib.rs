//! What a function needs of PostgreSQL.
//!
//! - [`Database`]: a small pool that connects lazily or beside start-up, with backoff, TLS when the
//!   URL asks for it, and a circuit breaker when the function asks for one.
//! - [`Database::session`] gives a [`Session`], whose statements are transactions of their own;
//!   [`Database::read_opt`] reads a row, over a connection that such reads share;
//!   [`Database::write`] and [`Database::write_one`] do an effect once per idempotency key, in one
//!   transaction with the key's record; [`Database::write_known`] and [`Database::write_together`] do
//!   so in fewer round trips; [`Database::write_after`] and
//!   [`Database::write_after_lookup`] let another function speak first;
//!   [`Database::once`] is for what no transaction can span, and [`Database::transaction`] is a part
//!   of that.
//! - [`QueryError`] tells an answer (a constraint by its name, see [`ErrorExt`]) from a failure of
//!   the database, and becomes the runtime's error without telling a client any SQL.
//!
//! - [`breaker_rules`] are the contract's; [`shared_breaker`] keeps the state of a circuit breaker
//!   around another function, for all instances of the caller.
//!
//! - [`rfc3339!`] is the SQL of a time for clients.
//!
//! - [`RecordVoid`] is the function that makes the tokens of a user void in a domain. Each function reads the
//!   list of void tokens in its own database, and the runtime refuses them.
//!
//! The only SQL here is that of sessions and of three tables: `idempotency_keys`, which
//! `migrations/<domain>/0002_idempotency_keys.sql` creates, `circuit_breakers`
//! (`0003_circuit_breakers.sql`), for domains that call others, and `token_voids`. Everything else
//! belongs to the domains.
//!
//! # Time
//!
//! Every wait is bounded by the call's deadline, and every statement by `statement_timeout`, which
//! the server enforces. A session that is dropped half-way leaves nothing behind: its connection is
//! closed and its statement is cancelled, rather than given back in an unknown state.
//!
//! # Settings
//!
//! See [`Config::from_setup`].

/// The SQL that gives a `timestamptz` as clients read it: RFC 3339, in UTC, with microseconds.
///
/// ```
/// # use zerocart_postgres::rfc3339;
/// const SELECT: &str = concat!("SELECT ", rfc3339!("created_at"), " FROM users");
/// ```
#[macro_export]
macro_rules! rfc3339 {
    ($column:literal) => {
        concat!(
            "to_char(",
            $column,
            " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        )
    };
}

mod answer;
mod breaker;
mod config;
mod connect;
mod connections;
mod database;
mod error;
mod idempotency;
mod local;
mod once;
mod password;
mod read;
mod session;
mod statement;
mod tls;
mod url;
mod voids;
mod write;

pub use answer::Answer;
pub use breaker::{BreakerStore, breaker_rules, shared_breaker};
pub use config::{Config, Recycling};
pub use database::{Database, Options};
pub use error::{ErrorExt, QueryError, RowExt};
pub use futures_util::future::BoxFuture;
pub use local::{Local, TAKES_SESSIONS};
pub use password::{Password, PasswordSource};
pub use session::Session;
pub use tls::RootCertificates;
pub use tokio_postgres::{
    Row,
    types::{FromSql, Json, ToSql},
};
pub use url::{DatabaseUrl, InvalidUrl};
pub use voids::RecordVoid;
pub use write::{Transaction, Written};
