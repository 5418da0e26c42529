//! Who gets a session, and how many there are.

use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::error::SqlState;

use crate::support::{PATIENCE, Served, World, ask, backend, code, connect};

#[tokio::test]
async fn a_role_has_so_many_sessions_and_no_more() {
    let world = World::shared().await;
    let mut options = world.options();
    options.logins[0].max_sessions = 2;
    options.wait_timeout = Duration::from_millis(100);
    for broker in Served::both(&options) {
        so_many_and_no_more(&broker).await;
    }
}

async fn so_many_and_no_more(broker: &Served) {
    let mut clients = join_all((0..2).map(|_| broker.client())).await;
    let error = connect(&broker.config()).await.unwrap_err();
    assert_eq!(code(&error), SqlState::TOO_MANY_CONNECTIONS);
    let said = error.as_db_error().unwrap().message();
    assert!(said.contains("lower max-scale or pool"), "{said}");
    // Another role has its own.
    connect(&broker.config_of(1)).await.unwrap();
    // A cancelled wait takes nothing away, and a seat that is free again is found.
    clients.pop();
    broker.client().await;
}

#[tokio::test]
async fn all_roles_together_have_so_many_sessions_idle_ones_included() {
    let world = World::own().await;
    let mut options = world.options();
    (options.max_sessions, options.warm) = (4, 2);
    options.wait_timeout = PATIENCE;
    let broker = Served::new(options);
    let admin = world.admin().await;
    // More clients than sessions, of both roles, with parameters that differ: idle sessions of other kinds
    // have to go.
    let most = join_all((0..24).map(async |n: usize| {
        let mut config = broker.config_of(n % 2);
        config.application_name(format!("client {}", n % 5));
        let client = connect(&config).await.unwrap();
        let name = ask(&client, "SHOW application_name").await.unwrap();
        assert_eq!(name, format!("client {}", n % 5));
        // A session that was told to end may take a moment.
        let count = "SELECT count(DISTINCT pid) FROM pg_stat_activity
                     WHERE usename IN ('zerocart_user', 'zerocart_order') AND state = 'active'";
        ask(&client, "SELECT pg_sleep(0.01)").await;
        ask(&admin, count).await.unwrap().parse::<usize>().unwrap()
    }));
    let most = most.await.into_iter().max().unwrap();
    assert!(most <= 4, "{most}");
}

#[tokio::test]
async fn only_who_knows_the_password_gets_a_session() {
    let world = World::shared().await;
    let broker = Served::new(world.options());
    let of_order = broker.config_of(1);
    let mut wrong = broker.config();
    wrong.password("wrong");
    let mut of_other = broker.config();
    of_other.password(of_order.get_password().unwrap());
    let mut unknown = broker.config();
    unknown.user("postgres");
    for config in [wrong, of_other, unknown] {
        let error = connect(&config).await.unwrap_err();
        assert_eq!(code(&error), SqlState::INVALID_PASSWORD);
    }
    // The server itself keeps a role out of another domain's database, or one that does not exist.
    for (database, refusal) in [
        ("zerocart_order", SqlState::INSUFFICIENT_PRIVILEGE),
        ("nothing", SqlState::UNDEFINED_DATABASE),
    ] {
        let mut config = broker.config();
        config.dbname(database);
        let error = connect(&config).await.unwrap_err();
        assert_eq!(code(&error), refusal);
    }
    let mut config = broker.config();
    config.options("-c no_such_setting=1");
    let error = connect(&config).await.unwrap_err();
    assert_eq!(code(&error), SqlState::UNDEFINED_OBJECT);
}

#[tokio::test]
async fn a_session_is_warm_for_who_sends_what_was_foretold() {
    let world = World::shared().await;
    let admin = world.admin().await;
    let mut options = world.options();
    let limit = "-c statement_timeout=4321";
    options.logins[0]
        .parameters
        .insert("options".into(), limit.into());
    options.logins[0]
        .parameters
        .insert("application_name".into(), "foretold".into());
    let broker = Served::new(options);
    // All that the broker makes before a client asks: it gives any of them.
    let warm = "SELECT 'all' FROM pg_stat_activity
                WHERE application_name = 'foretold' AND state = 'idle' HAVING count(*) = 2";
    let warm = crate::support::until("two sessions are warm", async || ask(&admin, warm).await);
    warm.await;
    let born = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity
                WHERE application_name = 'foretold' AND backend_start < now() - interval '1 microsecond'";
    let born = ask(&admin, born).await.unwrap();
    let mut config = broker.config();
    config.options(limit).application_name("foretold");
    let client = connect(&config).await.unwrap();
    let pid = backend(&client).await;
    let of_broker = born.split(' ').any(|born| born == pid);
    assert!(of_broker, "{pid} of {born}");
    let shown = ask(&client, "SHOW statement_timeout").await;
    assert_eq!(shown.as_deref(), Some("4321ms"));
}
