//! Databases for tests, on real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use zerocart_test_support::postgres::{TestDatabase, TestServer};
use zerocart_test_support::workspace_root;

const USERS: &str = "CREATE TABLE users (id int PRIMARY KEY);
GRANT SELECT, INSERT ON users TO zerocart_user;";

fn migrations(sql: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("1_first.sql"), sql).unwrap();
    folder
}

async fn run(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

async fn count(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM users")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn tests_at_once_do_not_see_each_other() {
    let server = TestServer::private().await;
    let folder = migrations(USERS);
    let get = || server.database_from("user", folder.path());
    let (one, two, three) = tokio::join!(get(), get(), get());
    assert_ne!(one.name(), two.name());
    for database in [&one, &two, &three] {
        run(database.url(), "INSERT INTO users VALUES (1)")
            .await
            .unwrap();
    }
    run(one.url(), "INSERT INTO users VALUES (2)")
        .await
        .unwrap();
    assert_eq!(count(one.url()).await, 2);
    assert_eq!(count(two.admin_url()).await, 1);
    assert_eq!(
        count(get().await.url()).await,
        0,
        "a copy has no test's rows"
    );

    // Only what the migrations granted; the owner may do more.
    assert!(run(one.url(), "DELETE FROM users").await.is_err());
    run(one.owner_url(), "DELETE FROM users").await.unwrap();
}

#[tokio::test]
async fn a_server_of_its_own_stops_and_comes_back() {
    let mut server = TestServer::private().await;
    let folder = migrations(USERS);
    let database = server.database_from("user", folder.path()).await;
    run(database.url(), "INSERT INTO users VALUES (1)")
        .await
        .unwrap();
    let mut open = PgConnection::connect(database.url()).await.unwrap();

    server.stop().await;
    assert!(open.ping().await.is_err());
    assert!(PgConnection::connect(database.url()).await.is_err());

    server.start().await;
    assert_eq!(count(database.url()).await, 1);
}

#[tokio::test]
async fn every_domains_migrations_apply() {
    let root = workspace_root().join("migrations");
    let mut domains = 0;
    for entry in fs::read_dir(&root).unwrap() {
        let entry = entry.unwrap();
        // A file beside the folders says what was released.
        if !entry.file_type().unwrap().is_dir() {
            continue;
        }
        let domain = entry.file_name().into_string().unwrap();
        let database = TestDatabase::new(&domain).await;
        run(database.url(), "SELECT 1").await.unwrap();
        domains += 1;
    }
    assert!(domains > 0, "none in {}", root.display());
}

// Two runtimes, one server: each test has a runtime of its own, which ends with it.
#[test]
fn the_shared_server_outlives_the_runtime_that_started_it() {
    let pid = |_| {
        tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(async { TestServer::shared().await.pid().unwrap() })
    };
    let pids = [(), ()].map(pid);
    assert_eq!(pids[0], pids[1]);
}

#[tokio::test]
#[should_panic(expected = "1_first.sql:1: syntax error")]
async fn a_bad_migration_is_named() {
    let server = TestServer::private().await;
    let folder = migrations("SELEKT 1;");
    server.database_from("user", folder.path()).await;
}
