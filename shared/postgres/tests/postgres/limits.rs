//! Time limits, full pools, and calls that are dropped.

use std::{num::NonZeroUsize, task::Poll, time::Duration};

use zerocart_core::{Error, Kind};
use zerocart_postgres::{Database, ErrorExt, Options, QueryError, Transaction};

use crate::support::{
    PATIENCE, call, call_within, config, connect, count, database, insert, running, things, until,
    works,
};

const SLEEP: &str = "SELECT pg_sleep(3600)";

#[tokio::test]
async fn the_server_ends_a_statement_that_takes_too_long() {
    let (test, _admin) = things().await;
    let mut config = config(test.url());
    config.pool_size = NonZeroUsize::MIN;
    config.statement_timeout = Duration::from_millis(100);
    let database = Database::new(&config, Options::default()).unwrap();
    let session = database.session(&call()).await.unwrap();
    let error = session.query(SLEEP, &[]).await.unwrap_err();
    assert!(error.is_database_failure());
    assert_eq!(Error::from(error).kind(), Kind::DeadlineExceeded);
    // The connection is as good as before.
    session.query("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_a_statement_on_the_server_too() {
    let (test, admin) = things().await;
    let database = database(test.url());
    works(&database).await;
    let session = database
        .session(&call_within(Duration::from_secs(1)))
        .await
        .unwrap();
    let error = session.query(SLEEP, &[]).await.unwrap_err();
    assert_eq!(Error::from(error).kind(), Kind::DeadlineExceeded);
    let late = session.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(Error::from(late).kind(), Kind::DeadlineExceeded);
    drop(session);
    works(&database).await;
    until("it was cancelled", async || running(&admin).await == 0).await;
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_and_frees_its_locks() {
    let (test, admin) = things().await;
    let database = database(test.url());
    for wait_in_the_server in [true, false] {
        let writing = database.clone();
        let task = tokio::spawn(async move {
            writing
                .write(&call(), |tx: &mut Transaction<'_>| {
                    Box::pin(async move {
                        insert(tx, 1, 1).await?;
                        if wait_in_the_server {
                            tx.query(SLEEP, &[]).await?;
                        }
                        std::future::pending::<Result<String, Error>>().await
                    })
                })
                .await
        });
        until("it has begun", async || {
            let row = admin
                .query_one(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                     AND usename = 'zerocart_user' AND backend_xid IS NOT NULL
                     AND (state = 'active' AND query = $1) = $2",
                    &[&SLEEP, &wait_in_the_server],
                )
                .await
                .unwrap();
            row.get::<_, i64>(0) == 1
        })
        .await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());

        // The same key of the table: it would wait for the lock of the dropped transaction.
        database
            .write(&call(), |tx: &mut Transaction<'_>| {
                Box::pin(insert(tx, 1, 1))
            })
            .await
            .unwrap();
        until("nothing is left", async || running(&admin).await == 0).await;
        assert_eq!(count(&admin, "things").await, 1);
        admin.execute("DELETE FROM things", &[]).await.unwrap();
    }
}

const PID: &str = "SELECT pg_backend_pid()";

/// The pid of the server's session that serves a call.
async fn pid(database: &Database) -> i32 {
    let session = database.session(&call()).await.unwrap();
    session.query_one(PID, &[]).await.unwrap().get(0)
}

/// Drops a call that runs `statement`, once the server waits for a lock of `admin` on its behalf.
async fn dropped_in(statement: &'static str, database: &Database, admin: &tokio_postgres::Client) {
    let reading = database.clone();
    let task = tokio::spawn(async move {
        let session = reading.session(&call()).await.unwrap();
        session.query(statement, &[]).await.map(drop)
    });
    until("it waits", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                       AND usename = 'zerocart_user' AND wait_event_type = 'Lock'";
        admin
            .query_one(waiting, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 1
    })
    .await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_dropped_read_keeps_its_connection_if_it_ends_soon() {
    const WAIT: &str = "SELECT 1 FROM pg_advisory_xact_lock(7)";
    let (test, admin) = things().await;
    for (drain_timeout, is_kept) in [(PATIENCE, true), (Duration::from_millis(1), false)] {
        let mut config = config(test.url());
        config.pool_size = NonZeroUsize::MIN;
        config.drain_timeout = drain_timeout;
        let database = Database::new(&config, Options::default()).unwrap();
        let before = pid(&database).await;
        let lock = "SELECT pg_advisory_lock(7)";
        admin.batch_execute(lock).await.unwrap();
        dropped_in(WAIT, &database, &admin).await;
        if is_kept {
            // The pool is as full as it was: nobody else gets a connection.
            assert_eq!(running(&admin).await, 1);
            let mut next = std::pin::pin!(pid(&database));
            let polled =
                std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending()));
            assert!(polled.await);
            assert_eq!(running(&admin).await, 1);
            let unlock = "SELECT pg_advisory_unlock(7)";
            admin.batch_execute(unlock).await.unwrap();
            assert_eq!(next.await, before);
        } else {
            // The lock is still there: the wait for it was cancelled.
            assert_ne!(pid(&database).await, before);
            until("it was cancelled", async || running(&admin).await == 0).await;
        }
    }
}

/// What is being prepared has no name yet by which it could be taken away.
#[tokio::test]
async fn a_call_that_is_dropped_while_it_prepares_leaves_nothing_in_a_session() {
    let (test, admin) = things().await;
    let mut config = config(test.url());
    config.pool_size = NonZeroUsize::MIN;
    config.drain_timeout = PATIENCE;
    let database = Database::new(&config, Options::default()).unwrap();
    let before = pid(&database).await;
    // Not `admin`: inside of a transaction pg_stat_activity stays as it was when it was first read.
    let holder = connect(test.admin_url()).await;
    let lock = "BEGIN; LOCK TABLE things";
    holder.batch_execute(lock).await.unwrap();
    dropped_in("SELECT id FROM things", &database, &admin).await;
    assert_ne!(pid(&database).await, before);
    until("it was cancelled", async || running(&admin).await == 0).await;
}

#[tokio::test]
async fn a_full_pool_is_unavailable() {
    let (test, _admin) = things().await;
    let mut config = config(test.url());
    config.pool_size = NonZeroUsize::MIN;
    config.acquire_timeout = Duration::from_millis(50);
    let options = Options {
        breaker: Some(zerocart_resilience::breaker::Config {
            failure_threshold: 1,
            ..Default::default()
        }),
        ..Options::default()
    };
    let database = Database::new(&config, options).unwrap();
    let holder = database.session(&call()).await.unwrap();
    let error = database.session(&call()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("in use"), "{error}");
    assert!(error.retry_after().is_some());
    drop(holder);
    // Nor has the breaker counted it.
    works(&database).await;
}

#[tokio::test]
async fn statements_can_share_a_round_trip() {
    let (test, _admin) = things().await;
    let session = database(test.url()).session(&call()).await.unwrap();
    let (one, many) = tokio::try_join!(
        session.query_one("SELECT 1", &[]),
        session.query("SELECT generate_series(1, 3)", &[]),
    )
    .unwrap();
    assert_eq!(one.get::<_, i32>(0), 1);
    assert_eq!(many.len(), 3);
}

#[tokio::test]
async fn rows_are_counted() {
    let (test, _admin) = things().await;
    let session = database(test.url()).session(&call()).await.unwrap();
    let none = session.query_opt("SELECT 1 WHERE false", &[]).await;
    assert!(none.unwrap().is_none());
    let internal = |error: QueryError| {
        assert!(!error.is_database_failure());
        assert_eq!(Error::from(error).kind(), Kind::Internal);
    };
    internal(
        session
            .query_one("SELECT 1 WHERE false", &[])
            .await
            .unwrap_err(),
    );
    internal(session.query_opt("VALUES (1), (2)", &[]).await.unwrap_err());
    // A parameter of a wrong type, and a statement that is none.
    internal(session.query("SELECT $1::int", &[&"x"]).await.unwrap_err());
    internal(session.query("SELEKT", &[]).await.unwrap_err());
}

#[tokio::test]
async fn constraints_are_known_by_name() {
    let (test, _admin) = things().await;
    let session = database(test.url()).session(&call()).await.unwrap();
    let add = async |amount: i32| {
        session
            .execute("INSERT INTO things VALUES (1, $1)", &[&amount])
            .await
            .on_constraint("things_pkey", || Error::new(Kind::AlreadyExists, "twice"))
            .on_constraint("things_amount_not_negative", || {
                Error::new(Kind::FailedPrecondition, "too few")
            })
            .map_err(Error::from)
    };
    assert_eq!(add(1).await.unwrap(), 1);
    assert_eq!(add(1).await.unwrap_err().kind(), Kind::AlreadyExists);
    assert_eq!(add(-1).await.unwrap_err().kind(), Kind::FailedPrecondition);
    let overflow = session
        .execute("UPDATE things SET amount = amount + 2147483647", &[])
        .await
        .unwrap_err();
    assert_eq!(Error::from(overflow).kind(), Kind::InvalidArgument);
}

#[tokio::test]
async fn values_of_rows_stay_out_of_the_log() {
    let (test, _admin) = things().await;
    let session = database(test.url()).session(&call()).await.unwrap();
    let add = "INSERT INTO things VALUES (987654, 1)";
    session.execute(add, &[]).await.unwrap();
    let error = Error::from(session.execute(add, &[]).await.unwrap_err());
    assert!(!format!("{error:?}").contains("987654"), "{error:?}");
    assert!(format!("{error:?}").contains("things_pkey"), "{error:?}");
}

#[tokio::test]
async fn a_migration_costs_no_more_than_one_error() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let all = "SELECT * FROM things";
    let session = database.session(&call()).await.unwrap();
    session.query(all, &[]).await.unwrap();
    drop(session);
    admin
        .batch_execute("ALTER TABLE things ADD COLUMN more int")
        .await
        .unwrap();
    let session = database.session(&call()).await.unwrap();
    session.query(all, &[]).await.unwrap_err();
    drop(session);
    let session = database.session(&call()).await.unwrap();
    session.query(all, &[]).await.unwrap();
}
