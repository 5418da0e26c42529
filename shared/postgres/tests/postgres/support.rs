//! What these tests share.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use tokio_postgres::{Client, NoTls};
use zerocart_core::{Call, Error, Idempotency, Kind};
use zerocart_postgres::{Config, Database, ErrorExt, Options, RowExt, Session};
use zerocart_test_support::postgres::TestDatabase;

/// Longer than anything here takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn call() -> Call {
    call_within(PATIENCE)
}

pub(crate) fn call_within(time: Duration) -> Call {
    Call::internal(time)
}

pub(crate) fn call_under(key: &str, request: &str) -> Call {
    let idempotency =
        Idempotency::new(key.as_bytes(), "caller", "rpc", "", request.as_bytes()).unwrap();
    Call {
        idempotency: Some(idempotency),
        ..call()
    }
}

/// A database with a table `things (id, amount ≥ 0)`, and a superuser's connection to it.
pub(crate) async fn things() -> (TestDatabase, Client) {
    let test = TestDatabase::new("user").await;
    let admin = prepared(&test).await;
    (test, admin)
}

pub(crate) async fn prepared(test: &TestDatabase) -> Client {
    let admin = connect(test.admin_url()).await;
    admin
        .batch_execute(
            "CREATE TABLE things (
                 id int CONSTRAINT things_pkey PRIMARY KEY,
                 amount int CONSTRAINT things_amount_not_negative CHECK (amount >= 0));
             GRANT SELECT, INSERT, UPDATE, DELETE ON things TO zerocart_user",
        )
        .await
        .unwrap();
    admin
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn config(url: &str) -> Config {
    let mut config = Config::new(url.parse().unwrap());
    config.acquire_timeout = PATIENCE;
    config.connect_timeout = PATIENCE;
    // Nothing here may end because of it.
    config.statement_timeout = 10 * PATIENCE;
    config
}

/// With a single connection, so that a test sees what became of it.
pub(crate) fn database(url: &str) -> Database {
    let mut config = config(url);
    config.pool_size = NonZeroUsize::MIN;
    Database::new(&config, Options::default()).unwrap()
}

pub(crate) async fn insert(session: &Session, id: i32, amount: i32) -> Result<String, Error> {
    session
        .execute(
            "INSERT INTO things (id, amount) VALUES ($1, $2)",
            &[&id, &amount],
        )
        .await
        .on_constraint("things_pkey", || {
            Error::new(Kind::AlreadyExists, "that thing exists")
        })?;
    Ok(format!("thing {id}"))
}

pub(crate) async fn count(admin: &Client, table: &str) -> i64 {
    let row = admin
        .query_one(&format!("SELECT count(*) FROM {table}"), &[])
        .await
        .unwrap();
    row.get(0)
}

/// The pool works: a statement gets its answer.
pub(crate) async fn works(database: &Database) {
    let session = database.session(&call()).await.unwrap();
    let row = session.query_one("SELECT 40 + 2", &[]).await.unwrap();
    assert_eq!(row.column::<i32>(0).unwrap(), 42);
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !condition().await {
        assert!(since.elapsed() < PATIENCE, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Statements of the function's role that the server runs now.
pub(crate) async fn running(admin: &Client) -> i64 {
    let row = admin
        .query_one(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND usename = 'zerocart_user' AND state <> 'idle'",
            &[],
        )
        .await
        .unwrap();
    row.get(0)
}
