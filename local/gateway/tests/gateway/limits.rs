//! Limits of size and of rate.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use zerocart_gateway::Consumers;

use crate::support::{Echo, Running, chunked, config};

const ROUTE: &str = "{name: r, paths: [/], strip_path: false}";

#[tokio::test]
async fn requests_over_the_limit_wake_nothing() {
    let echo = Echo::start().await;
    let plugins = "{name: rate-limiting, config: {hour: 2, limit_by: ip, policy: local}}";
    let text = config(echo.port, "", ROUTE, plugins);
    // An hour may begin within the test; two in a row cannot.
    for _ in 0..2 {
        let running = Running::start(&text, Consumers::none()).await;
        let before = echo.seen();
        let answers = [
            running.get("/a").await,
            running.get("/b").await,
            running.get("/c").await,
        ];
        if answers[0].header("ratelimit-reset").parse::<u64>().unwrap() < 60 {
            continue;
        }
        let [first, second, third] = answers;
        assert_eq!((first.status, second.status, third.status), (200, 200, 429));
        assert_eq!(first.header("x-ratelimit-limit-hour"), "2");
        assert_eq!(first.header("x-ratelimit-remaining-hour"), "1");
        assert_eq!(first.header("ratelimit-limit"), "2");
        assert_eq!(second.header("ratelimit-remaining"), "0");
        assert_eq!(third.header("x-ratelimit-remaining-hour"), "0");
        assert_eq!(third.message(), "API rate limit exceeded");
        let retry: u64 = third.header("retry-after").parse().unwrap();
        assert!((1..=3600).contains(&retry), "{retry}");
        assert_eq!(echo.seen() - before, 2);
        return;
    }
    panic!("an hour ended twice");
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused() {
    let echo = Echo::start().await;
    let plugins = "{name: request-size-limiting, config: {allowed_payload_size: 8, \
                   size_unit: bytes}}";
    let running = Running::start(&config(echo.port, "", ROUTE, plugins), Consumers::none()).await;
    assert_eq!(
        running.send(Request::post("/"), "12345678").await.status,
        200
    );
    let refused = running.send(Request::post("/"), "123456789").await;
    assert_eq!(refused.status, 413);
    assert_eq!(refused.message(), "Request size limit exceeded");
    assert_eq!(echo.seen(), 1);

    let fits = Request::post("/")
        .body(chunked(&[b"1234", b"5678"]))
        .unwrap();
    assert_eq!(running.send_body(fits).await.json()["body"], "12345678");
    let streamed = Request::post("/")
        .body(chunked(&[b"1234", b"5678", b"9"]))
        .unwrap();
    let refused = running.send_body(streamed).await;
    assert_eq!(refused.status, 413);
    assert_eq!(refused.message(), "Request size limit exceeded");

    let waiting = running
        .raw(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\
              Connection: close\r\n\r\n",
        )
        .await;
    assert!(waiting.starts_with("HTTP/1.1 417 "), "{waiting}");
}

#[tokio::test]
async fn a_body_that_is_measured_is_whole_before_anything_is_asked() {
    let echo = Echo::start().await;
    let plugins = "{name: request-size-limiting, config: {allowed_payload_size: 8, \
                   size_unit: bytes}}";
    let running = Running::start(&config(echo.port, "", ROUTE, plugins), Consumers::none()).await;
    for half in [
        &b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n1234"[..],
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ] {
        let answer = running.half(half).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    assert_eq!(echo.seen(), 0);
    // And in pieces it is passed on in one.
    let pieces = Request::post("/").body(chunked(&[b"12", b"34"])).unwrap();
    let saw = running.send_body(pieces).await.json();
    assert_eq!(saw["headers"]["content-length"], "4");
    assert_eq!(echo.seen(), 1);
}

#[tokio::test]
async fn a_line_of_the_head_fits_into_a_buffer() {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, "", ROUTE, ""), Consumers::none()).await;
    let line = |bytes: usize| "x".repeat(bytes);
    let get = |path: String, header: String| {
        format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}Connection: close\r\n\r\n")
    };
    let long = 8 * 1024;
    let around = "GET / HTTP/1.1\r\n".len();
    for (path, header, status) in [
        (format!("/{}", line(long - around)), String::new(), 200),
        (format!("/{}", line(long - around + 1)), String::new(), 414),
        (format!("/?{}", line(long)), String::new(), 414),
        ("/".into(), format!("x: {}\r\n", line(long - 5)), 200),
        ("/".into(), format!("x: {}\r\n", line(long - 4)), 400),
        // Each fits, and all of them do not.
        ("/".into(), format!("x: {}\r\n", line(8_000)).repeat(5), 431),
    ] {
        let answer = running.raw(get(path, header).as_bytes()).await;
        let wanted = format!("HTTP/1.1 {status} ");
        assert!(
            answer.starts_with(&wanted),
            "{wanted}: {}",
            &answer[..answer.len().min(200)]
        );
    }
    assert_eq!(echo.seen(), 2);
}

#[tokio::test]
async fn large_bodies_pass_without_a_limit() {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, "", ROUTE, ""), Consumers::none()).await;
    let body = Bytes::from(vec![b'x'; 4 << 20]);
    let request = Request::put("/").body(Full::new(body.clone())).unwrap();
    let saw = running.send_body(request).await.json();
    assert_eq!(saw["body"].as_str().unwrap().len(), body.len());
    assert_eq!(saw["headers"]["content-length"], body.len().to_string());
}
