//! Requests to cancel.

use tokio_postgres::error::SqlState;

use crate::support::{PATIENCE, Served, World, ask, backend, code, startup};

#[tokio::test]
async fn a_statement_is_cancelled_by_its_own_client_alone() {
    let world = World::shared().await;
    let mut options = world.options();
    options.logins[0].max_sessions = 1;
    (options.warm, options.wait_timeout) = (1, PATIENCE);
    for broker in Served::both(&options) {
        cancelled_by_its_own(&world, &broker).await;
    }
}

async fn cancelled_by_its_own(world: &World, broker: &Served) {
    let client = broker.client().await;
    let pid = backend(&client).await;
    let earlier = client.cancel_token();
    let cancel = async {
        // Before it runs, there is nothing to cancel.
        let admin = world.admin().await;
        let runs =
            format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'PgSleep'");
        while ask(&admin, &runs).await.is_none() {}
        broker.cancel(&earlier).await;
    };
    let (slept, ()) = tokio::join!(client.simple_query("SELECT pg_sleep(60)"), cancel);
    assert_eq!(code(&slept.unwrap_err()), SqlState::QUERY_CANCELED);
    drop(client);

    // The next client has the same session. Neither the earlier client nor a guess can cancel its statement.
    let client = broker.client().await;
    assert_eq!(backend(&client).await, pid);
    let cancel = async {
        for _ in 0..20 {
            broker.cancel(&earlier).await;
            let mut guess = broker.raw().await;
            let key = [80_877_102_u32, pid.parse().unwrap(), 0].map(u32::to_be_bytes);
            guess
                .send(&[16_u32.to_be_bytes(), key[0], key[1], key[2]].concat())
                .await;
            assert_eq!(guess.refused().await, None, "it says nothing");
        }
    };
    let (slept, ()) = tokio::join!(client.simple_query("SELECT pg_sleep(0.2)"), cancel);
    slept.unwrap();
}

#[tokio::test]
async fn a_late_request_never_hits_the_next_client() {
    let world = World::shared().await;
    let mut options = world.options();
    options.logins[0].max_sessions = 1;
    (options.warm, options.wait_timeout) = (1, PATIENCE);
    for (broker, _) in Served::both(&options)
        .iter()
        .flat_map(|b| (0..50).map(move |n| (b, n)))
    {
        let client = broker.client().await;
        let cancelling = tokio::spawn(broker.cancel(&client.cancel_token()));
        drop(client);
        let next = broker.client().await;
        let statements = "SELECT pg_sleep(0.001); SELECT pg_sleep(0.001)";
        next.simple_query(statements).await.unwrap();
        cancelling.await.unwrap();
        next.simple_query(statements).await.unwrap();
    }
}

#[tokio::test]
async fn the_secret_of_a_client_is_the_brokers_own() {
    let world = World::shared().await;
    let mut options = world.options();
    options.logins[0].max_sessions = 1;
    // Clients have one session after the other, and none is made beside it.
    (options.warm, options.wait_timeout) = (0, PATIENCE);
    let broker = Served::new(options);
    let mut keys = Vec::new();
    for _ in 0..3 {
        let mut raw = broker.raw().await;
        raw.send(&broker.startup()).await;
        raw.send(&broker.password()).await;
        let messages = raw.messages(b'Z').await;
        let key = messages
            .into_iter()
            .find(|(tag, _)| *tag == b'K')
            .unwrap()
            .1;
        keys.push(key);
    }
    let pids: Vec<_> = keys.iter().map(|key| &key[..4]).collect();
    assert_eq!(pids[0], pids[2], "one session");
    assert!(keys[0] != keys[1] && keys[1] != keys[2], "other secrets");
    // A packet that only looks like a request to cancel is none.
    let mut raw = broker.raw().await;
    raw.send(&startup(80_877_102, &[])).await;
    assert_eq!(raw.refused().await, None);
}
