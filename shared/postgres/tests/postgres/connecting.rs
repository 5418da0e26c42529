//! Connecting: retries, the first connection, dead ones.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use zerocart_core::{Env, Kind, Setup};
use zerocart_postgres::{BoxFuture, Database, Options, Password, PasswordSource};
use zerocart_test_support::postgres::{TestDatabase, TestServer};

use crate::{
    proxy::{Fate, Proxy},
    support::{call, call_within, config, connect, database, until, works},
};

#[tokio::test]
async fn connecting_is_tried_again_while_the_server_starts() {
    let test = TestDatabase::new("user").await;
    let fates = [
        Fate::Refused("57P03"),
        Fate::Closed,
        Fate::Refused("53300"),
        Fate::Refused("57P03"),
    ];
    let proxy = Proxy::before(test.url(), fates).await;
    works(&database(&proxy.url(test.url()))).await;
    assert_eq!(proxy.accepted(), 5);
}

/// A server that recovers from a crash says so more often than anybody would try.
#[tokio::test]
async fn a_server_that_starts_is_waited_for_as_long_as_the_call_lasts() {
    let test = TestDatabase::new("user").await;
    let starting = Fate::Refused("57P03");
    let proxy = Proxy::before(test.url(), [starting; 9]).await;
    works(&database(&proxy.url(test.url()))).await;
    assert_eq!(proxy.accepted(), 10);

    let proxy = Proxy::before(test.url(), [starting; 100]).await;
    let database = database(&proxy.url(test.url()));
    let impatient = call_within(Duration::from_millis(300));
    let error = database.session(&impatient).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
}

#[tokio::test]
async fn after_five_attempts_it_is_unavailable() {
    let test = TestDatabase::new("user").await;
    let proxy = Proxy::before(test.url(), [Fate::Closed; 5]).await;
    let database = database(&proxy.url(test.url()));
    let error = database.session(&call()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.retry_after().is_some());
    assert_eq!(proxy.accepted(), 5);
    works(&database).await;
}

#[tokio::test]
async fn a_refused_password_is_not_tried_again() {
    let test = TestDatabase::new("user").await;
    let proxy = Proxy::before(test.url(), [Fate::Refused("28P01")]).await;
    let error = database(&proxy.url(test.url()))
        .session(&call())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(!error.message().contains("refused"));
    assert!(format!("{error:?}").contains("refused"), "{error:?}");
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn attempts_end_with_the_deadline() {
    let test = TestDatabase::new("user").await;
    let proxy = Proxy::before(test.url(), [Fate::Closed; 100]).await;
    let database = database(&proxy.url(test.url()));
    let error = database
        .session(&call_within(Duration::from_millis(1)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert!(proxy.accepted() < 5);
}

#[tokio::test]
async fn the_first_calls_wait_for_the_connection_that_is_being_made() {
    let test = TestDatabase::new("user").await;
    let proxy = Proxy::before(test.url(), []).await;
    let options = Options {
        prepare: &["SELECT 40 + 2", "no such statement"],
        ..Options::default()
    };
    // A pool of two: a second connection would be allowed.
    let database = Database::new(&config(&proxy.url(test.url())), options).unwrap();
    let ((), (), ()) = tokio::join!(database.warm_up(), works(&database), database.warm_up());
    assert_eq!(proxy.accepted(), 1);
    let first = database.session(&call()).await.unwrap();
    works(&database).await;
    assert_eq!(proxy.accepted(), 2);
    drop(first);
}

#[tokio::test]
async fn a_call_that_gives_up_hands_the_first_connection_on() {
    let test = TestDatabase::new("user").await;
    let proxy = Proxy::before(test.url(), [Fate::Closed; 2]).await;
    let database = database(&proxy.url(test.url()));
    let impatient = call_within(Duration::from_millis(20));
    let patient = call();
    let (first, second) = tokio::join!(database.session(&impatient), database.session(&patient));
    // Which of the two connects does not matter; the patient one gets a connection.
    drop(first);
    second.unwrap();
}

#[tokio::test]
async fn a_connection_that_the_server_closed_costs_no_call_an_error() {
    let test = TestDatabase::new("user").await;
    let admin = connect(test.admin_url()).await;
    let proxy = Proxy::before(test.url(), []).await;
    let database = database(&proxy.url(test.url()));
    works(&database).await;
    let ended = admin
        .execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
             WHERE datname = current_database() AND usename = 'zerocart_user'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(ended, 1);
    works(&database).await;
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn a_restart_of_the_server_is_survived() {
    let mut server = TestServer::private().await;
    let test = server.database("user").await;
    let database = database(test.url());
    works(&database).await;
    server.stop().await;
    let error = database.ping(Duration::from_secs(1)).await.unwrap_err();
    assert!(error.retryable(), "{error:?}");
    server.start().await;
    works(&database).await;
    database.ping(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test]
async fn verified_recycling_asks_the_server() {
    let test = TestDatabase::new("user").await;
    let admin = connect(test.admin_url()).await;
    let mut config = config(test.url());
    config.recycling = zerocart_postgres::Recycling::Verified;
    let database = Database::new(&config, Options::default()).unwrap();
    drop(database.session(&call()).await.unwrap());
    let last = async || -> String {
        let row = admin
            .query_one(
                "SELECT query FROM pg_stat_activity
                 WHERE datname = current_database() AND usename = 'zerocart_user'",
                &[],
            )
            .await
            .unwrap();
        row.get(0)
    };
    let session = database.session(&call()).await.unwrap();
    session.execute("SELECT 1", &[]).await.unwrap();
    drop(session);
    until("the statement shows", async || last().await == "SELECT 1").await;
    drop(database.session(&call()).await.unwrap());
    until("the empty check shows", async || last().await.is_empty()).await;
}

#[tokio::test]
async fn a_setup_gives_a_database_that_works() {
    let test = TestDatabase::new("user").await;
    let env = Env::from_iter([("DATABASE_URL", test.url()), ("DATABASE_POOL_SIZE", "1")]);
    let database = Database::from_setup(&mut Setup::new(env, "test"), Options::default()).unwrap();
    works(&database).await;
    assert!(database.breaker().is_none());
}

#[tokio::test]
async fn statements_have_a_limit_that_the_server_knows() {
    let test = TestDatabase::new("user").await;
    let env = Env::from_iter([("DATABASE_URL", test.url())]);
    let database = Database::from_setup(&mut Setup::new(env, "test"), Options::default()).unwrap();
    let session = database.session(&call()).await.unwrap();
    for setting in ["statement_timeout", "idle_in_transaction_session_timeout"] {
        let row = session
            .query_one("SELECT current_setting($1)", &[&setting])
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), "5s", "{setting}");
    }
}

/// Gives one password after the other.
#[derive(Debug)]
struct Passwords(Mutex<Vec<Result<String, &'static str>>>);

impl Password for Passwords {
    fn get<'a>(
        &'a self,
        _: &'a tokio_postgres::Config,
    ) -> BoxFuture<'a, Result<String, zerocart_core::error::BoxError>> {
        let next = self.0.lock().unwrap().pop();
        let next = next.unwrap_or(Err("there are no more")).map_err(Into::into);
        Box::pin(std::future::ready(next))
    }
}

#[tokio::test]
async fn a_platforms_password_is_asked_for_at_each_connection() {
    let test = TestDatabase::new("user").await;
    let mut config = config(test.url());
    let known: tokio_postgres::Config = test.url().parse().unwrap();
    let right = String::from_utf8(known.get_password().unwrap().to_vec()).unwrap();
    let all = vec![Ok(right), Ok("wrong".to_owned()), Err("no credentials")];
    let source = Arc::new(Passwords(Mutex::new(all)));
    config.password = Some(PasswordSource(source.clone()));
    let database = Database::new(&config, Options::default()).unwrap();
    // The one in the URL would be right, but the platform's wins.
    for _ in 0..2 {
        let error = database.session(&call()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    works(&database).await;
    assert_eq!(source.0.lock().unwrap().len(), 0);
    // The connection is there: nobody is asked again.
    works(&database).await;
}
