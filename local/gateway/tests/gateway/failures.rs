//! Upstreams that fail, and the gateway's end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zerocart_gateway::Consumers;

use crate::support::{DEADLINE, Echo, Running, config};

const ROUTE: &str = "{name: r, paths: [/], strip_path: false}";

/// What an upstream does with a connection once it has read a request's head.
#[derive(Clone, Copy)]
enum Deed {
    /// Closes without an answer.
    Close,
    /// Never answers.
    Hang,
    /// Answers.
    Answer,
    /// Sends half of its answer and then nothing.
    Half,
}

/// An upstream that performs a list of actions in order, and then repeats the last one.
async fn upstream(deeds: &'static [Deed]) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let deed = deeds[number.min(deeds.len() - 1)];
            tokio::spawn(act(stream, deed));
        }
    });
    (port, count)
}

async fn act(mut stream: TcpStream, deed: Deed) {
    let mut head = Vec::new();
    while !head.windows(4).any(|part| part == b"\r\n\r\n") {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).await.unwrap();
        if length == 0 {
            return;
        }
        head.extend_from_slice(&bytes[..length]);
    }
    let answer: &[u8] = match deed {
        Deed::Close => return,
        Deed::Hang => b"",
        Deed::Answer => {
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy"
        }
        Deed::Half => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhal",
    };
    stream.write_all(answer).await.unwrap();
    if !matches!(deed, Deed::Answer) {
        std::future::pending::<()>().await;
    }
}

/// Waits until so many connections came; more would be too many attempts.
async fn reaches(count: &AtomicUsize, expected: usize) {
    let reached = async {
        while count.load(Ordering::SeqCst) < expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, reached).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), expected);
}

async fn gateway(port: u16, service: &str) -> Running {
    Running::start(&config(port, service, ROUTE, ""), Consumers::none()).await
}

#[tokio::test]
async fn idempotent_requests_are_repeated() {
    // As in kong.yml, the body is taken in whole to be measured; a streamed one is sent once.
    let measured = "{name: request-size-limiting, \
                    config: {allowed_payload_size: 1, size_unit: megabytes}}";
    let (port, count) = upstream(&[Deed::Close, Deed::Close, Deed::Answer]).await;
    let config = config(port, "retries: 3,", ROUTE, measured);
    let running = Running::start(&config, Consumers::none()).await;
    let answer = running.send(Request::put("/"), "body").await;
    assert_eq!((answer.status, &answer.body[..]), (503, &b"busy"[..]));
    assert_eq!(
        count.load(Ordering::SeqCst),
        3,
        "an answer is final, whatever it says"
    );
}

#[tokio::test]
async fn attempts_are_counted() {
    let (port, count) = upstream(&[Deed::Close]).await;
    let running = gateway(port, "retries: 2,").await;
    let answer = running.get("/").await;
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.message(),
        "An invalid response was received from the upstream server"
    );
    assert!(!answer.headers.contains_key("server"));
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_not_repeated() {
    for method in ["POST", "PATCH"] {
        let (port, count) = upstream(&[Deed::Close]).await;
        let running = gateway(port, "retries: 3,").await;
        let request = Request::builder().method(method).uri("/");
        assert_eq!(running.send(request, "body").await.status, 502);
        assert_eq!(count.load(Ordering::SeqCst), 1, "{method}");
    }
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let (port, count) = upstream(&[Deed::Hang]).await;
    let running = gateway(port, "retries: 1, read_timeout: 50,").await;
    let answer = running.get("/").await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.message(), "The upstream server is timing out");
    reaches(&count, 2).await;
    let answer = running.send(Request::post("/"), "body").await;
    assert_eq!(answer.status, 504);
    reaches(&count, 3).await;
}

#[tokio::test]
async fn a_pause_within_an_answer_ends_it() {
    let (port, _) = upstream(&[Deed::Half]).await;
    let running = gateway(port, "read_timeout: 500,").await;
    let answer = running.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nhal"),
        "the connection ends without the rest: {answer}"
    );
}

#[tokio::test]
async fn nobody_there_is_502_even_for_a_post() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let running = gateway(port, "retries: 2,").await;
    assert_eq!(running.send(Request::post("/"), "body").await.status, 502);
}

#[tokio::test]
async fn an_unknown_host_is_503() {
    let text = "_format_version: \"3.0\"\n\
                services: [{name: s, host: function.invalid, routes: [{name: r, paths: [/]}]}]\n";
    let running = Running::start(text, Consumers::none()).await;
    let answer = running.get("/").await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (503, "name resolution failed")
    );
}

#[tokio::test]
async fn what_runs_is_finished() {
    let echo = Echo::start().await;
    let mut running = gateway(echo.port, "").await;
    let mut idle = TcpStream::connect(("127.0.0.1", running.port))
        .await
        .unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut rest = Vec::new();
    while !rest.ends_with(b"}") {
        let read = tokio::time::timeout(DEADLINE, idle.read_buf(&mut rest)).await;
        assert_ne!(read.unwrap().unwrap(), 0);
    }
    rest.clear();
    let mut client = TcpStream::connect(("127.0.0.1", running.port))
        .await
        .unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    client.write_all(head).await.unwrap();
    let arrived = async {
        while echo.seen() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, arrived).await.unwrap();

    running.ask_to_stop();
    // An idle connection is closed at once; the busy one gets its answer first.
    tokio::time::timeout(DEADLINE, idle.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(rest.is_empty());
    client.write_all(b"body").await.unwrap();
    tokio::time::timeout(DEADLINE, client.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8(rest).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"body\":\"body\""),
        "{answer}"
    );
    let port = running.port;
    running.stopped().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn what_does_not_end_is_cut_off() {
    let (port, count) = upstream(&[Deed::Hang]).await;
    let text = config(port, "", ROUTE, "");
    let config = zerocart_gateway::Config::parse("test.yml", &text).unwrap();
    let upstream = zerocart_gateway::HttpUpstream::new();
    let gateway = zerocart_gateway::Gateway::new(config, Consumers::none(), upstream)
        .unwrap()
        .with_drain_timeout(std::time::Duration::from_millis(50));
    let mut running = Running::of(gateway).await;
    let mut client = TcpStream::connect(("127.0.0.1", running.port))
        .await
        .unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    reaches(&count, 1).await;
    running.ask_to_stop();
    running.stopped().await;
}
