//! Reads that share a connection.

use std::{num::NonZeroUsize, time::Duration};

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use zerocart_core::{Error, Kind};
use zerocart_postgres::{Database, Options, RowExt};

use crate::support::{call, call_within, config, connect, running, things, until, works};

const READ: &str = "SELECT amount FROM things WHERE id = $1";
const READS: i32 = 20;

/// A pool of two over some rows. It has one connection already, on which the statement is prepared.
async fn pool(url: &str, admin: &Client) -> Database {
    fill(admin).await;
    let mut config = config(url);
    config.pool_size = NonZeroUsize::new(2).unwrap();
    let database = Database::new(&config, Options::default()).unwrap();
    assert_eq!(read(&database, 1).await.unwrap(), Some(10));
    database
}

async fn fill(admin: &Client) {
    let fill = format!("INSERT INTO things SELECT n, 10 * n FROM generate_series(1, {READS}) n");
    admin.batch_execute(&fill).await.unwrap();
}

/// From here on every read waits, until the connection's transaction ends.
async fn lock(admin: &Client) {
    let lock = "BEGIN; LOCK TABLE things IN ACCESS EXCLUSIVE MODE";
    admin.batch_execute(lock).await.unwrap();
}

async fn read(database: &Database, id: i32) -> Result<Option<i32>, Error> {
    let row = database.read_opt(&call(), READ, &[&id]).await?;
    row.map(|row| row.column(0)).transpose().map_err(Into::into)
}

fn read_all(database: &Database) -> Vec<JoinHandle<Result<Option<i32>, Error>>> {
    let reads = (1..=READS).map(|id| {
        let database = database.clone();
        tokio::spawn(async move { read(&database, id).await })
    });
    reads.collect()
}

async fn all_are_right(reads: Vec<JoinHandle<Result<Option<i32>, Error>>>) {
    for (read, id) in reads.into_iter().zip(1..) {
        assert_eq!(read.await.unwrap().unwrap(), Some(10 * id));
    }
}

/// Connections of the function's role.
async fn connections(admin: &Client) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND usename = 'zerocart_user'";
    admin.query_one(count, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn reads_at_the_same_time_share_a_connection_and_each_gets_its_row() {
    let (test, admin) = things().await;
    let database = pool(test.url(), &admin).await;
    let watch = connect(test.admin_url()).await;
    lock(&admin).await;
    let reads = read_all(&database);
    until("a read waits", async || running(&watch).await == 1).await;
    // Another call has the other connection.
    works(&database).await;
    assert_eq!(connections(&watch).await, 2);
    admin.batch_execute("COMMIT").await.unwrap();
    all_are_right(reads).await;
    assert_eq!(read(&database, READS + 1).await.unwrap(), None);
    // Both are in the pool again.
    let one = database.session(&call()).await.unwrap();
    let two = database.session(&call()).await.unwrap();
    for session in [&one, &two] {
        session.query("SELECT 1", &[]).await.unwrap();
    }
    assert_eq!(connections(&watch).await, 2);
}

#[tokio::test]
async fn reads_whose_connection_ends_are_repeated() {
    let (test, admin) = things().await;
    let database = pool(test.url(), &admin).await;
    let watch = connect(test.admin_url()).await;
    lock(&admin).await;
    let reads = read_all(&database);
    until("a read waits", async || running(&watch).await == 1).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND usename = 'zerocart_user'";
    watch.query(end, &[]).await.unwrap();
    admin.batch_execute("COMMIT").await.unwrap();
    all_are_right(reads).await;
    works(&database).await;
}

#[tokio::test]
async fn a_read_that_is_late_is_cancelled_and_nobody_joins_it() {
    let (test, admin) = things().await;
    let database = pool(test.url(), &admin).await;
    let watch = connect(test.admin_url()).await;
    lock(&admin).await;
    let late = call_within(Duration::from_millis(300));
    let error = database.read_opt(&late, READ, &[&1]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    until("it was cancelled", async || running(&watch).await == 0).await;
    let reads = read_all(&database);
    admin.batch_execute("COMMIT").await.unwrap();
    all_are_right(reads).await;
}

#[tokio::test]
async fn a_read_that_is_dropped_disturbs_no_other() {
    let (test, admin) = things().await;
    let database = pool(test.url(), &admin).await;
    let watch = connect(test.admin_url()).await;
    lock(&admin).await;
    let mut reads = read_all(&database);
    until("a read waits", async || running(&watch).await == 1).await;
    for read in reads.iter().step_by(2) {
        read.abort();
    }
    admin.batch_execute("COMMIT").await.unwrap();
    for (read, id) in reads.drain(..).zip(1..) {
        match read.await {
            Ok(row) => assert_eq!(row.unwrap(), Some(10 * id)),
            Err(aborted) => assert!(aborted.is_cancelled() && id % 2 == 1, "{aborted}"),
        }
    }
    all_are_right(read_all(&database)).await;
}

#[tokio::test]
async fn an_only_connection_is_not_shared() {
    let (test, admin) = things().await;
    fill(&admin).await;
    let database = crate::support::database(test.url());
    all_are_right(read_all(&database)).await;
    works(&database).await;
    assert_eq!(connections(&admin).await, 1);
}
