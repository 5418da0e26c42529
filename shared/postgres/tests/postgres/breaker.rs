//! The circuit breaker around the database.

use std::{num::NonZeroUsize, time::Duration};

use zerocart_core::{Env, Kind, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_resilience::breaker::{Config, State};
use zerocart_test_support::postgres::{TestDatabase, TestServer};

use crate::{
    proxy::{Fate, Proxy},
    support::{PATIENCE, call, call_within, config, insert, things, until, works},
};

fn with_breaker(url: &str, open_for: Duration) -> Database {
    let options = Options {
        breaker: Some(Config {
            open_for,
            ..Config::default()
        }),
        ..Options::default()
    };
    let mut config = config(url);
    config.pool_size = NonZeroUsize::new(4).unwrap();
    Database::new(&config, options).unwrap()
}

fn state(database: &Database) -> State {
    database.breaker().unwrap().state()
}

#[tokio::test]
async fn it_opens_after_three_failures_and_closes_after_two_successes() {
    let mut server = TestServer::private().await;
    let test = server.database("user").await;
    let database = with_breaker(test.url(), Duration::from_millis(200));
    works(&database).await;
    server.stop().await;
    for _ in 0..3 {
        assert_eq!(state(&database), State::Closed);
        let error = database.session(&call()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    assert_eq!(state(&database), State::Open);
    server.start().await;
    // Readiness knows at once; the breaker waits for a call.
    database.ping(PATIENCE).await.unwrap();
    assert_eq!(state(&database), State::Open);
    until("a probe is let through", async || {
        let Ok(session) = database.session(&call()).await else {
            return false;
        };
        session.query_one("SELECT 1", &[]).await.is_ok()
    })
    .await;
    assert_eq!(state(&database), State::HalfOpen);
    works(&database).await;
    assert_eq!(state(&database), State::Closed);
}

/// A server that is restarted breaks all connections at once. That is no failure of the one that is
/// there afterwards.
#[tokio::test]
async fn connections_that_end_with_an_old_server_do_not_open_it() {
    let mut server = TestServer::private().await;
    let test = server.database("user").await;
    let database = with_breaker(test.url(), Duration::from_secs(3600));
    let mut sessions = Vec::new();
    for _ in 0..2 {
        sessions = Vec::new();
        for _ in 0..4 {
            let session = database.session(&call()).await.unwrap();
            session.query_one("SELECT 1", &[]).await.unwrap();
            sessions.push(session);
        }
    }
    let failing = sessions.iter().map(async |session| {
        let sleep = session.query("SELECT pg_sleep(3600)", &[]).await;
        assert!(sleep.unwrap_err().is_database_failure());
    });
    tokio::join!(futures_util::future::join_all(failing), server.stop());
    drop(sessions);
    assert_eq!(state(&database), State::Closed);
    let failures = || database.breaker().unwrap().snapshot().consecutive_failures;
    assert_eq!(failures(), 0);
    server.start().await;
    works(&database).await;
}

#[tokio::test]
async fn new_connections_that_end_at_their_first_use_open_it() {
    let test = TestDatabase::new("user").await;
    let proxy = Proxy::before(test.url(), [Fate::LostAt("SELECT 1"); 3]).await;
    let database = with_breaker(&proxy.url(test.url()), Duration::from_secs(3600));
    for _ in 0..3 {
        assert_eq!(state(&database), State::Closed);
        let session = database.session(&call()).await.unwrap();
        // Its answer is lost with the connection.
        session.query_one("SELECT 7", &[]).await.unwrap_err();
    }
    assert_eq!(state(&database), State::Open);
}

#[tokio::test]
async fn while_it_is_open_nobody_connects() {
    let test = TestDatabase::new("user").await;
    // Not tried again, so that each call is one connection.
    let proxy = Proxy::before(test.url(), [Fate::Refused("3D000"); 3]).await;
    let database = with_breaker(&proxy.url(test.url()), Duration::from_secs(3600));
    // The first call makes the first connection.
    for _ in 0..3 {
        database.session(&call()).await.unwrap_err();
    }
    assert_eq!(proxy.accepted(), 3);
    let error = database.session(&call()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let retry_after = error.retry_after().unwrap();
    assert!(retry_after > Duration::from_secs(3000), "{retry_after:?}");
    assert_eq!(proxy.accepted(), 3);
}

#[tokio::test]
async fn answers_are_no_failures() {
    let (test, _admin) = things().await;
    let database = with_breaker(test.url(), Duration::from_secs(3600));
    for _ in 0..5 {
        let session = database.session(&call()).await.unwrap();
        drop(insert(&session, 1, 1).await);
        session
            .query_one("SELECT 1 WHERE false", &[])
            .await
            .unwrap_err();
        session.query("SELECT 1 / 0", &[]).await.unwrap_err();
    }
    assert_eq!(state(&database), State::Closed);
}

#[tokio::test]
async fn statements_that_take_too_long_are_failures() {
    let test = TestDatabase::new("user").await;
    let database = with_breaker(test.url(), Duration::from_secs(3600));
    works(&database).await;
    for dropped in [false, true, false] {
        assert_eq!(state(&database), State::Closed);
        let cx = call_within(Duration::from_millis(1500));
        let session = database.session(&cx).await.unwrap();
        let sleep = session.query("SELECT pg_sleep(3600)", &[]);
        if dropped {
            // As the runtime does it, at the same deadline.
            drop(tokio::time::timeout_at(cx.deadline, sleep).await);
        } else {
            sleep.await.unwrap_err();
        }
    }
    assert_eq!(state(&database), State::Open);
}

#[tokio::test]
async fn a_caller_cannot_open_it_with_impossible_deadlines() {
    let test = TestDatabase::new("user").await;
    let database = with_breaker(test.url(), Duration::from_secs(3600));
    for _ in 0..5 {
        let cx = call_within(Duration::from_millis(10));
        if let Ok(session) = database.session(&cx).await {
            drop(session.query("SELECT pg_sleep(3600)", &[]).await);
        }
    }
    assert_eq!(state(&database), State::Closed);
    works(&database).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_says_nothing() {
    let test = TestDatabase::new("user").await;
    let database = with_breaker(test.url(), Duration::from_secs(3600));
    for _ in 0..5 {
        let session = database.session(&call()).await.unwrap();
        let sleep = session.query("SELECT pg_sleep(3600)", &[]);
        drop(tokio::time::timeout(Duration::from_millis(300), sleep).await);
    }
    assert_eq!(state(&database), State::Closed);
}

#[tokio::test]
async fn bad_settings_are_noted() {
    let env = Env::from_iter([("DATABASE_URL", "postgres://u@localhost/d")]);
    let mut setup = Setup::new(env, "test");
    let options = Options {
        breaker: Some(Config {
            failure_threshold: 0,
            ..Config::default()
        }),
        ..Options::default()
    };
    assert!(Database::from_setup(&mut setup, options).is_err());
    assert!(format!("{setup:?}").contains("failure_threshold"));
}
