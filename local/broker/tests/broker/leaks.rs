//! Nothing of a client's session reaches the next client of it.

use futures_util::future::join_all;
use tokio_postgres::Client;
use zerocart_core::{Call, Env, Setup};
use zerocart_postgres::Database;

use crate::support::{PATIENCE, Served, World, ask, backend};

/// What a client does to its session, and a question that shows it. All answers are those of a new session,
/// if nothing is left.
const KINDS: [(&str, &str, &str); 16] = [
    (
        "a temporary table",
        "CREATE TEMP TABLE left_behind (id int)",
        "SELECT count(*) FROM pg_class WHERE relname = 'left_behind'",
    ),
    (
        "a setting",
        "SET statement_timeout = '77s'",
        "SHOW statement_timeout",
    ),
    (
        "a setting of its own",
        "SET my.secret = 'canary'",
        "SELECT coalesce(current_setting('my.secret', true), '')",
    ),
    (
        "a setting that the server reports",
        "SET TIME ZONE 'Asia/Tokyo'",
        "SHOW TIME ZONE",
    ),
    (
        "a schema path",
        "SET search_path = pg_catalog",
        "SHOW search_path",
    ),
    ("a role", "SET ROLE pg_monitor", "SELECT current_user"),
    (
        "a default of transactions",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SHOW default_transaction_read_only",
    ),
    (
        "an open transaction",
        "BEGIN; INSERT INTO kept VALUES (1)",
        "SELECT count(*) FROM kept",
    ),
    (
        "a failed transaction",
        "BEGIN; INSERT INTO kept VALUES (2); SELECT 1 / 0",
        "SELECT count(*) FROM kept",
    ),
    (
        "a setting of an open transaction",
        "BEGIN; SET LOCAL work_mem = '77MB'",
        "SHOW work_mem",
    ),
    (
        "an advisory lock",
        "SELECT pg_advisory_lock(77)",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77",
    ),
    (
        "a prepared statement",
        "PREPARE mine AS SELECT 1",
        "SELECT count(*) FROM pg_prepared_statements",
    ),
    (
        "a cursor",
        "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
        "SELECT count(*) FROM pg_cursors",
    ),
    (
        "a channel",
        "LISTEN mine",
        "SELECT count(*) FROM pg_listening_channels()",
    ),
    (
        "the value of a sequence",
        "SELECT nextval('counter')",
        "SELECT CASE WHEN pg_sequence_last_value('counter') IS NULL THEN 'never' ELSE 'used' END",
    ),
    (
        "the application's name",
        "SET application_name = 'canary'",
        "SHOW application_name",
    ),
];

#[tokio::test]
async fn nothing_of_a_session_reaches_the_next_client() {
    let world = World::shared().await;
    let admin = world.admin().await;
    admin
        .batch_execute(
            "CREATE TABLE kept (id int); GRANT SELECT, INSERT ON kept TO zerocart_user;
             CREATE SEQUENCE counter; GRANT USAGE, SELECT ON SEQUENCE counter TO zerocart_user;
             GRANT TEMPORARY ON DATABASE zerocart_user TO zerocart_user;
             GRANT pg_monitor TO zerocart_user",
        )
        .await
        .unwrap();
    let mut options = world.options();
    // With one session, the next client waits until it is free, and gets it.
    options.logins[0].max_sessions = 1;
    (options.warm, options.wait_timeout) = (1, PATIENCE);
    for broker in Served::both(&options) {
        nothing_is_left(&broker, &admin).await;
    }
}

async fn nothing_is_left(broker: &Served, admin: &Client) {
    for (kind, change, question) in KINDS {
        let kind = format!("{kind}, {:?}", broker.way);
        admin
            .batch_execute("ALTER SEQUENCE counter RESTART")
            .await
            .unwrap();
        let first = broker.client().await;
        let pid = backend(&first).await;
        let mut before = ask(&first, question).await;
        // A failure is what some of them are for.
        let _ = first.simple_query(change).await;
        drop(first);
        if kind.starts_with("the value of a sequence") {
            // That value is the sequence's, but `currval` is the session's.
            before = Some("used".into());
        }
        let next = broker.client().await;
        assert_eq!(backend(&next).await, pid, "{kind}");
        assert_eq!(ask(&next, question).await, before, "{kind}");
        let currval = next.simple_query("SELECT currval('counter')").await;
        assert!(currval.is_err(), "{kind}");
    }
}

#[tokio::test]
async fn sessions_are_lent_again_and_each_to_one_client() {
    let world = World::shared().await;
    let mut options = world.options();
    options.logins[0].max_sessions = 8;
    (options.warm, options.wait_timeout) = (0, PATIENCE);
    for broker in Served::both(&options) {
        each_to_one(&broker).await;
    }
}

async fn each_to_one(broker: &Served) {
    let clients = join_all((0..8).map(|_| broker.client())).await;
    let mut pids = join_all(clients.iter().map(backend)).await;
    pids.sort();
    let mut distinct = pids.clone();
    distinct.dedup();
    assert_eq!(distinct, pids);
    drop(clients);
    // Each waits for a seat, so all eight sessions are needed again.
    let clients = join_all((0..8).map(|_| broker.client())).await;
    let mut again = join_all(clients.iter().map(backend)).await;
    again.sort();
    assert_eq!(again, pids);
}

#[tokio::test]
async fn a_function_that_ends_gives_its_sessions_back() {
    let world = World::shared().await;
    let mut options = world.options();
    options.logins[0].max_sessions = 1;
    options.wait_timeout = PATIENCE;
    let broker = Served::new(options);
    let url = broker.url();
    let mut pids = Vec::new();
    for _ in 0..4 {
        let mut setup = Setup::new(Env::from_iter([("DATABASE_URL", url.as_str())]), "test");
        let database = Database::from_setup(&mut setup, Default::default()).unwrap();
        let cx = Call::internal(PATIENCE);
        let session = database.session(&cx).await.unwrap();
        let pid = session.query_one("SELECT pg_backend_pid()", &[]).await;
        pids.push(pid.unwrap().get::<_, i32>(0));
        drop(session);
        setup.lasting().end().await;
    }
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}
