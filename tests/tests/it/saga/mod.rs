//! That an order survives a crash at any point, and what its customers see of that.
//!
//! - [`stage`]: a PostgreSQL server with the four databases, and the functions on them; [`books`]:
//!   what must hold in these databases, after every failure.
//! - [`boundary`], [`sql_proxy`], [`forwarder`]: everything that passes between a process and the
//!   database and the functions, so that the process can be killed at any such point.
//! - [`process`]: the processes that drive orders; [`town`]: all functions as processes; [`refunds`]
//!   and [`cancels`]: an admin who refunds orders meanwhile, and customers who cancel them.
//!
//! [`voids`] is about accounts: a void token is refused in every domain, after a crash, too.
//!
//! [`cost`] counts what an order costs at the databases. [`collector`] has a real OpenTelemetry Collector read
//! what all of them write.
//!
//! The product has no code for these tests: it is killed from outside.

mod backup;
mod books;
mod boundary;
mod broker;
mod cancels;
mod chaos;
mod collector;
mod cost;
mod deadlines;
mod forwarder;
mod kill;
mod last_unit;
mod lost_end;
mod process;
mod provider_down;
mod refunds;
mod retries;
mod sql_proxy;
mod stage;
mod town;
mod traces;
mod voids;

use std::time::Duration;

use zerocart_test_support::functions::PATIENCE;

/// Waits until `done` gives something.
///
/// # Panics
///
/// When it does not within a time that no test that passes needs.
async fn until<T>(what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(value) = done().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(2 * PATIENCE, waiting).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {:?}", 2 * PATIENCE),
    }
}
