//! The ways to the server: its Unix socket, and TCP where that cannot be used.

use std::fs;

use tokio_postgres::error::SqlState;
use zerocart_broker::Options;

use crate::support::{Served, World, ask, code};

/// Whether the session of the broker is over TCP.
async fn is_tcp(broker: &Served) -> bool {
    let client = broker.client().await;
    let tcp = ask(&client, "SELECT inet_client_addr() IS NOT NULL").await;
    tcp.unwrap() == "t"
}

/// Whether a statement can be cancelled.
async fn cancels(broker: &Served) {
    let client = broker.client().await;
    let token = client.cancel_token();
    let sleeping = client.simple_query("SELECT pg_sleep(60)");
    let cancelling = async {
        // One that comes before the statement does nothing.
        loop {
            broker.cancel(&token).await;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        slept = sleeping => assert_eq!(code(&slept.unwrap_err()), SqlState::QUERY_CANCELED),
        () = cancelling => {}
    }
}

#[tokio::test]
async fn sessions_and_requests_to_cancel_go_over_the_socket_else_over_tcp() {
    let world = World::shared().await;
    let both = world.address();

    let broker = Served::new(world.options());
    assert!(!is_tcp(&broker).await);

    // Nothing listens at this port: all goes over the socket.
    let mut socket_alone = both.clone();
    socket_alone.tcp.set_port(1);
    for broker in Served::both(&Options::new(socket_alone, world.logins.clone())) {
        assert!(!is_tcp(&broker).await);
        cancels(&broker).await;
    }

    // There is no such socket.
    let mut gone = both.clone();
    gone.socket = gone.socket.map(|path| path.with_file_name("gone"));
    for broker in Served::both(&Options::new(gone, world.logins.clone())) {
        assert!(is_tcp(&broker).await);
        cancels(&broker).await;
    }

    let broker = Served::new(Options::new(both.tcp, world.logins.clone()));
    assert!(is_tcp(&broker).await);
}

#[tokio::test]
async fn a_pg_hba_conf_without_the_socket_leaves_tcp() {
    let mut world = World::own().await;
    let path = world.server.cluster().join("pg_hba.conf");
    let hba = fs::read_to_string(&path).unwrap();
    for method in ["", "local all all peer\n", "local all all reject\n"] {
        let without: String = hba
            .lines()
            .filter(|line| !line.starts_with("local"))
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(&path, format!("{method}{without}")).unwrap();
        world.server.restart().await.unwrap();
        assert!(is_tcp(&Served::new(world.options())).await, "{method:?}");
    }
    fs::write(&path, hba).unwrap();
    world.server.restart().await.unwrap();
    assert!(!is_tcp(&Served::new(world.options())).await);
}
