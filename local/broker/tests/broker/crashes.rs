//! Clients that are killed, at every point of a conversation, and a server that is.

use std::time::Duration;

use tokio_postgres::{Client, error::SqlState};

use crate::support::{
    PATIENCE, Served, Way, World, ask, backend, code, connect, message, query, until,
};

/// What becomes of the session of a client that was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    LentAgain,
    Closed,
}
use Session::{Closed, LentAgain};

#[tokio::test]
async fn a_client_may_be_killed_at_any_point() {
    let world = World::shared().await;
    let admin = world.admin().await;
    admin
        .batch_execute("CREATE TABLE marks (mark int); GRANT ALL ON marks TO zerocart_user")
        .await
        .unwrap();
    let mut options = world.options();
    // With one session, the next client comes when the one before is done with.
    options.logins[0].max_sessions = 1;
    (options.warm, options.wait_timeout) = (1, PATIENCE);
    options.settle_timeout = Duration::from_millis(300);
    for broker in Served::both(&options) {
        killed_at_any_point(&broker, &admin).await;
    }
}

async fn killed_at_any_point(broker: &Served, admin: &Client) {
    let insert = query("INSERT INTO marks VALUES (1)");
    let parse = message(b'P', b"\0INSERT INTO marks VALUES (1)\0\0\0");
    let bind = message(b'B', b"\0\0\0\0\0\0\0\0");
    let execute = message(b'E', b"\0\0\0\0\0");
    let unsynced = [parse, bind, execute, message(b'H', b"")].concat();
    let half = insert[..insert.len() - 3].to_vec();
    let copy = query("COPY marks FROM STDIN");
    let row = message(b'd', b"1\n");
    let everything = query("COPY (SELECT generate_series(1, 100000000)) TO STDOUT");
    let slow = query("INSERT INTO marks VALUES (1); SELECT pg_sleep(60)");
    let terminate = message(b'X', b"");
    // What is sent, the message that is awaited before the end, how often the mark is there after it, and
    // what becomes of the session.
    let cases = [
        ("before it asked", vec![], None, 0, LentAgain),
        (
            "in a transaction",
            query("BEGIN; INSERT INTO marks VALUES (1)"),
            Some(b'Z'),
            0,
            LentAgain,
        ),
        (
            "in a failed one",
            query("BEGIN; SELECT 1 / 0"),
            Some(b'Z'),
            0,
            LentAgain,
        ),
        ("before the answer", insert.clone(), None, 1, LentAgain),
        (
            "after it said that it goes",
            [insert.clone(), terminate].concat(),
            None,
            1,
            LentAgain,
        ),
        ("in a slow statement", slow, None, 0, Closed),
        ("in a message", half, None, 0, Closed),
        (
            "after a whole message, in one",
            [insert.clone(), b"Q\0".to_vec()].concat(),
            Some(b'Z'),
            1,
            Closed,
        ),
        ("before Sync", unsynced, Some(b'C'), 0, Closed),
        (
            "in COPY to the server",
            [copy, row].concat(),
            Some(b'G'),
            0,
            Closed,
        ),
        ("in COPY to the client", everything, Some(b'd'), 0, Closed),
    ];
    for (when, bytes, awaited, marks, session) in cases {
        admin.batch_execute("TRUNCATE marks").await.unwrap();
        let next = broker.client().await;
        let pid = backend(&next).await;
        drop(next);
        let mut client = broker.started().await;
        client.send(&bytes).await;
        if let Some(tag) = awaited {
            assert_eq!(client.until(tag).await.last(), Some(&tag), "{when}");
        }
        drop(client);

        let next = broker.client().await;
        let same = backend(&next).await == pid;
        // What a client has sent that has the session's socket, nobody else has seen.
        let lent_again = session == LentAgain && broker.way == Way::Relayed;
        assert_eq!(same, lent_again, "{when}, {:?}", broker.way);
        // Nothing of it is left: no lock, no transaction.
        let count = "SET lock_timeout = 1; LOCK marks; SELECT count(*) FROM marks";
        let counted = ask(admin, &format!("BEGIN; {count}")).await;
        admin.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(counted, Some(marks.to_string()), "{when}, {:?}", broker.way);
    }
}

#[tokio::test]
async fn a_server_may_end_and_come_back() {
    let mut world = World::own().await;
    for broker in Served::both(&world.options()) {
        ends_and_comes_back(&mut world, &broker).await;
    }
}

async fn ends_and_comes_back(world: &mut World, broker: &Served) {
    let client = broker.client().await;
    assert_eq!(ask(&client, "SELECT 1").await.as_deref(), Some("1"));

    world.server.stop().await.unwrap();
    assert!(client.simple_query("SELECT 1").await.is_err());
    let error = connect(&broker.config()).await.unwrap_err();
    assert_eq!(code(&error), SqlState::CONNECTION_FAILURE);

    world.server.restart().await.unwrap();
    // No dead session is lent: the first client that gets one can use it.
    for domain in [0, 1] {
        let client = until("the server is back", async || {
            connect(&broker.config_of(domain)).await.ok()
        });
        assert_eq!(ask(&client.await, "SELECT 1").await.as_deref(), Some("1"));
    }
}

#[tokio::test]
async fn a_session_that_an_administrator_ended_is_not_lent() {
    let world = World::shared().await;
    let admin = world.admin().await;
    let mut options = world.options();
    options.warm = 0;
    for (broker, _) in Served::both(&options)
        .iter()
        .flat_map(|b| (0..10).map(move |n| (b, n)))
    {
        let client = broker.client().await;
        let pid = backend(&client).await;
        drop(client);
        // Whether it is idle, or being reset, or lent.
        let ended = format!("SELECT pg_terminate_backend({pid}, 30000)");
        assert_eq!(ask(&admin, &ended).await.as_deref(), Some("t"));
        assert_ne!(backend(&broker.client().await).await, pid);
    }
}
