//! Clients that do not keep to the protocol, or do nothing at all.

use std::time::Duration;

use futures_util::future::join_all;

use crate::support::{PATIENCE, Served, World, ask, backend, message, packet, query, startup};

const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;

#[tokio::test]
async fn what_is_no_startup_is_refused_by_name() {
    let world = World::shared().await;
    let mut options = world.options();
    options.startup_timeout = Duration::from_millis(200);
    let broker = Served::new(options);
    let start = broker.startup();
    let ssl = packet(&SSL.to_be_bytes());
    let huge = [100_000_u32.to_be_bytes(), (3_u32 << 16).to_be_bytes()].concat();
    let no_end = packet(&[&(3_u32 << 16).to_be_bytes()[..], b"user\0me"].concat());
    let odd = packet(&[&(3_u32 << 16).to_be_bytes()[..], b"user\0\0"].concat());
    let latin = packet(&[&(3_u32 << 16).to_be_bytes()[..], b"user\0\xe9\0\0"].concat());
    let replication = startup(
        3 << 16,
        &[("user", "zerocart_user"), ("replication", "true")],
    );
    let with = |more: &[u8]| [&start[..], more].concat();
    let cases: [(&str, Vec<u8>, Option<&str>); 16] = [
        ("silence", vec![], Some("08P01")),
        ("half a length", vec![0, 0], Some("08P01")),
        ("half a packet", start[..20].to_vec(), Some("08P01")),
        ("no password", start.clone(), Some("08P01")),
        ("half a password", with(b"p\0\0\0\x10abc"), Some("08P01")),
        ("a length of 3", vec![0, 0, 0, 3, 0, 3, 0, 0], Some("08P01")),
        ("a huge packet", huge, Some("08P01")),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), Some("08P01")),
        ("protocol 2", startup(2 << 16, &[]), Some("0A000")),
        ("a name without end", no_end, Some("08P01")),
        ("a name without value", odd, Some("08P01")),
        ("nobody", startup(3 << 16, &[]), Some("28000")),
        ("no UTF-8", latin, Some("22021")),
        ("replication", replication, Some("0A000")),
        (
            "a query as password",
            with(&query("SELECT 1")),
            Some("08P01"),
        ),
        ("a huge password", with(b"p\x7f\0\0\0"), Some("08P01")),
    ];
    for (what, bytes, refusal) in cases {
        let mut raw = broker.raw().await;
        raw.send(&bytes).await;
        assert_eq!(raw.refused().await.as_deref(), refusal, "{what}");
    }
    for request in [SSL, GSSENC] {
        let mut raw = broker.raw().await;
        raw.send(&packet(&request.to_be_bytes())).await;
        assert_eq!(raw.byte().await, b'N');
        raw.send(&broker.startup()).await;
        raw.send(&broker.password()).await;
        assert_eq!(raw.until(b'Z').await.last(), Some(&b'Z'));
    }
    let mut raw = broker.raw().await;
    raw.send(&[ssl.clone(), ssl].concat()).await;
    assert_eq!(raw.byte().await, b'N');
    assert_eq!(raw.refused().await.as_deref(), Some("08P01"));
    // Nobody else noticed.
    assert_eq!(
        ask(&broker.client().await, "SELECT 1").await.as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn a_newer_protocol_is_answered_with_ours() {
    let world = World::shared().await;
    let broker = Served::new(world.options());
    let user = ("user", "zerocart_user");
    for packet in [
        startup((3 << 16) + 2, &[user]),
        startup(3 << 16, &[user, ("_pq_.some_day", "on")]),
    ] {
        let mut raw = broker.raw().await;
        raw.send(&packet).await;
        raw.send(&broker.password()).await;
        let tags = raw.until(b'Z').await;
        assert_eq!((tags[0], tags.last()), (b'v', Some(&b'Z')));
    }
}

#[tokio::test]
async fn what_is_no_message_ends_the_connection_and_the_session() {
    let world = World::shared().await;
    let mut options = world.options();
    options.logins[0].max_sessions = 1;
    (options.warm, options.wait_timeout) = (1, PATIENCE);
    let broker = Served::new(options);
    for bytes in [&b"Q\0\0\0\0"[..], b"Q\0\0\0\x03", b"\0\0\0\0\0\0"] {
        let before = broker.client().await;
        let pid = backend(&before).await;
        drop(before);
        let mut raw = broker.started().await;
        raw.send(bytes).await;
        assert_eq!(raw.until(0).await, [0; 0]);
        assert_ne!(backend(&broker.client().await).await, pid, "{bytes:?}");
    }
    // A tag that does not exist is for the server to refuse.
    let mut raw = broker.started().await;
    raw.send(&message(b'%', b"")).await;
    assert_eq!(raw.refused().await.as_deref(), Some("08P01"));
}

#[tokio::test]
async fn a_crowd_that_says_nothing_does_not_keep_others_out() {
    let world = World::shared().await;
    let mut options = world.options();
    options.max_clients = 4;
    options.startup_timeout = Duration::from_millis(100);
    let broker = Served::new(options);
    let silent = join_all((0..12).map(|_| broker.raw())).await;
    let client = broker.client().await;
    assert_eq!(ask(&client, "SELECT 1").await.as_deref(), Some("1"));
    drop(silent);
}

#[tokio::test]
async fn large_messages_pass_in_both_directions() {
    let world = World::shared().await;
    for broker in Served::both(&world.options()) {
        large_messages(&broker).await;
    }
}

async fn large_messages(broker: &Served) {
    let client = broker.client().await;
    let large = "x".repeat(5_000_000);
    let row = client
        .query_one("SELECT $1 || $1", &[&large])
        .await
        .unwrap();
    assert!(row.get::<_, String>(0) == large.repeat(2));
    // Many statements at once, of which nobody reads the answers until all are sent.
    let many = join_all((0..2000).map(|n: i32| {
        let client = &client;
        async move {
            client
                .query_one("SELECT $1::int, repeat('y', 5000)", &[&n])
                .await
        }
    }));
    let rows = many
        .await
        .into_iter()
        .map(|row| row.unwrap().get::<_, i32>(0));
    assert!(rows.eq(0..2000));
    // A message that ends as a client's last one does is still a message.
    let ending = format!("{}X\0\0\0\x04", "x".repeat(3_000_000)).into_bytes();
    for _ in 0..20 {
        let row = client.query_one("SELECT $1::bytea", &[&ending]).await;
        assert!(row.unwrap().get::<_, Vec<u8>>(0) == ending);
    }
}
