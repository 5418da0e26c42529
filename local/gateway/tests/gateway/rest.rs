//! Requests and answers over HTTP/1.1: what passes, what is added, what is refused.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::Value;

use crate::support::{Answer, Echo, Running, config};
use zerocart_gateway::Consumers;

const PLAIN: &str = "{name: r, paths: [/], strip_path: false}";

async fn plain() -> (Echo, Running) {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, "", PLAIN, ""), Consumers::none()).await;
    (echo, running)
}

fn seen<'a>(saw: &'a Value, name: &str) -> Option<&'a str> {
    saw["headers"].get(name).and_then(Value::as_str)
}

#[tokio::test]
async fn a_request_reaches_the_upstream_as_kong_sends_it() {
    let (echo, running) = plain().await;
    let request = Request::post("/users//x/%2e%2e/%7Eme?limit=1&q=a%20b")
        .header("content-type", "application/json")
        .header("x-forwarded-for", "9.9.9.9")
        .header("x-forwarded-proto", "https")
        .header("x-consumer-username", "spoofed")
        .header("x-consumer-custom-id", "spoofed")
        .header("x-credential-identifier", "spoofed")
        .header("connection", "x-hop")
        .header("x-hop", "1");
    let answer = running.send(request, "{\"a\":1}").await;
    assert_eq!(answer.status, 200);
    let saw = answer.json();
    assert_eq!(saw["method"], "POST");
    assert_eq!(saw["uri"], "/users/~me?limit=1&q=a%20b");
    assert_eq!(saw["version"], "HTTP/1.1");
    assert_eq!(saw["body"], "{\"a\":1}");
    assert_eq!(
        seen(&saw, "host"),
        Some(format!("127.0.0.1:{}", echo.port).as_str())
    );
    assert_eq!(seen(&saw, "x-forwarded-for"), Some("9.9.9.9, 127.0.0.1"));
    assert_eq!(seen(&saw, "x-forwarded-proto"), Some("http"));
    assert_eq!(seen(&saw, "x-forwarded-host"), Some("127.0.0.1"));
    assert_eq!(
        seen(&saw, "x-forwarded-port"),
        Some(running.port.to_string().as_str())
    );
    assert_eq!(
        seen(&saw, "x-forwarded-path"),
        Some("/users//x/%2e%2e/%7Eme")
    );
    assert_eq!(seen(&saw, "x-real-ip"), Some("127.0.0.1"));
    for gone in [
        "x-consumer-username",
        "x-consumer-custom-id",
        "x-credential-identifier",
        "x-hop",
    ] {
        assert_eq!(seen(&saw, gone), None, "{gone}");
    }

    assert_eq!(answer.header("x-upstream"), "yes");
    assert!(!answer.headers.contains_key("keep-alive"));
    for banner in ["server", "via"] {
        assert!(!answer.headers.contains_key(banner), "{banner}");
    }
    let of_kong = |name: &&http::HeaderName| name.as_str().starts_with("x-kong");
    assert_eq!(answer.headers.keys().find(of_kong), None);
    assert_eq!(seen(&saw, "x-kong-request-id").map(str::len), Some(32));
}

#[tokio::test]
async fn strip_path_and_preserve_host() {
    let echo = Echo::start().await;
    let routes = "{name: a, paths: [/api], preserve_host: true}, \
                  {name: b, paths: ['~/v[0-9]+/x'], strip_path: true}";
    let text = config(echo.port, "path: /base,", routes, "");
    let running = Running::start(&text, Consumers::none()).await;
    let request = Request::get("/api/users?x=1").header("host", "shop.example:99");
    let saw = running.send(request, "").await.json();
    assert_eq!(saw["uri"], "/base/users?x=1");
    assert_eq!(saw["headers"]["host"], "shop.example:99");
    assert_eq!(saw["headers"]["x-forwarded-host"], "shop.example");
    assert_eq!(saw["headers"]["x-forwarded-prefix"], "/api");
    assert_eq!(running.get("/v12/x/y").await.json()["uri"], "/base/y");
    assert_eq!(running.get("/api").await.json()["uri"], "/base");
}

#[tokio::test]
async fn no_route_is_kongs_404() {
    let echo = Echo::start().await;
    let routes = "{name: r, paths: ['~/users/(?<id>[^/]+)$'], methods: [GET], strip_path: false}";
    let running = Running::start(&config(echo.port, "", routes, ""), Consumers::none()).await;
    assert_eq!(running.get("/users/1").await.status, 200);
    for (method, path) in [
        ("GET", "/users"),
        ("POST", "/users/1"),
        ("GET", "/users/1/orders"),
    ] {
        let answer = running
            .send(Request::builder().method(method).uri(path), "")
            .await;
        assert_eq!(answer.status, 404, "{method} {path}");
        assert_eq!(
            answer.header("content-type"),
            "application/json; charset=utf-8"
        );
        assert!(!answer.headers.contains_key("server"));
        let body = answer.json();
        assert_eq!(body["message"], "no Route matched with those values");
        assert_eq!(body["request_id"].as_str().map(str::len), Some(32));
    }
    assert_eq!(echo.seen(), 1);
}

#[tokio::test]
async fn malformed_requests_go_nowhere() {
    let (echo, running) = plain().await;
    let cases: [(&[u8], &str); 10] = [
        (b"GET /a HTTP/1.1\r\n\r\n", "400"),
        (b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        (
            b"GET /../a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "400",
        ),
        (
            b"GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "400",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            "400",
        ),
        (
            b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n",
            "400",
        ),
        (
            b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "405",
        ),
        (
            b"GET http://a/ HTTP/1.1\r\nConnection: close\r\n\r\n",
            "400",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a..b\r\nConnection: close\r\n\r\n",
            "400",
        ),
        (b"no http at all\r\n\r\n", "400"),
    ];
    for (request, status) in cases {
        let mut closing = request.to_vec();
        if !request.windows(5).any(|part| part == b"close") {
            closing = String::from_utf8(closing)
                .unwrap()
                .replacen("\r\n", "\r\nConnection: close\r\n", 1)
                .into_bytes();
        }
        let answer = running.raw(&closing).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(
            answer.starts_with(&expected),
            "{:?}\n{answer}",
            String::from_utf8_lossy(request)
        );
    }
    assert_eq!(echo.seen(), 0);
}

/// As nginx refuses them: 400 for two lengths, 501 for another coding. The connection ends, so that
/// nothing behind them is taken for a request.
#[tokio::test]
async fn two_lengths_cannot_hide_a_request() {
    let (echo, running) = plain().await;
    let chunked = "3\r\nabc\r\n0\r\n\r\n";
    let fine = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n".to_owned();
    let fine = fine + chunked + "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    for (lengths, status) in [
        ("Content-Length: 13\r\nTransfer-Encoding: chunked", "400"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 13", "400"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "400",
        ),
        ("Transfer-Encoding: gzip, chunked", "501"),
        ("Transfer-Encoding: chunked, chunked", "501"),
        ("Transfer-Encoding: identity, chunked", "501"),
        // nginx: 501. It does not reach the gateway's own code.
        ("Transfer-Encoding: gzip", "400"),
        ("Transfer-Encoding: chunked, identity", "400"),
        ("Content-Length: 3\r\nContent-Length: 13", "400"),
        ("Content-Length: 13\r\nContent-Length: 13", "400"),
        ("X: a\r\n Transfer-Encoding: chunked", "400"),
    ] {
        for before in ["", &fine] {
            let answered = before.matches("POST").count();
            let seen = echo.seen() + answered;
            let request = format!(
                "{before}POST / HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\n{chunked}\
                 GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
            );
            let answer = running.raw(request.as_bytes()).await;
            let answers: Vec<_> = answer.matches("HTTP/1.1 ").collect();
            assert_eq!(answers.len(), answered + 1, "{lengths}: {answer}");
            assert_eq!(
                answer.matches("HTTP/1.1 200 ").count(),
                answered,
                "{answer}"
            );
            let expected = format!("HTTP/1.1 {status} ");
            assert!(answer.contains(&expected), "{lengths}: {answer}");
            assert!(answer.contains("connection: close"), "{lengths}: {answer}");
            assert_eq!(echo.seen(), seen, "{lengths}");
        }
    }
}

/// HTTP/2 has no other way to end an answer to HEAD than its head.
#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let echo = Echo::start().await;
    let document = "{name: request-termination, config: {status_code: 200, body: abc}}";
    let routes = format!(
        "{{name: own, paths: [/own], plugins: [{document}]}}, {{name: r, paths: [/a], \
         strip_path: false}}"
    );
    let running = Running::start(&config(echo.port, "", &routes, ""), Consumers::none()).await;
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", running.port)).await;
    let io = hyper_util::rt::TokioIo::new(stream.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let connected = hyper::client::conn::http2::handshake(executor, io).await;
    let (mut client, connection) = connected.unwrap();
    tokio::spawn(connection);
    for (path, status) in [("/own", 200), ("/a", 200), ("/nowhere", 404)] {
        let uri = format!("http://a{path}");
        let request = Request::head(&uri).body(Full::new(Bytes::new())).unwrap();
        let two = Answer::read(client.send_request(request).await.unwrap()).await;
        let one = running.send(Request::head(path), "").await;
        let get = running.get(path).await;
        for answer in [two, one] {
            assert_eq!((answer.status, get.status), (status, status), "{path}");
            assert!(answer.body.is_empty(), "{path}");
            if path != "/a" {
                let length = get.header("content-length");
                assert_eq!(answer.header("content-length"), length, "{path}");
            }
            let kind = get.header("content-type");
            assert_eq!(answer.header("content-type"), kind, "{path}");
        }
    }
}

#[tokio::test]
async fn cors_marks_answers_and_answers_preflights() {
    let echo = Echo::start().await;
    let plugins = "{name: cors, config: {origins: ['http://localhost:3000'], credentials: true, \
                   max_age: 300, methods: [GET, POST], exposed_headers: [Location]}}, \
                   {name: jwt}, {name: rate-limiting, config: {minute: 1, limit_by: ip}}";
    let text = config(echo.port, "", PLAIN, plugins);
    let running = Running::start(&text, Consumers::none()).await;
    for _ in 0..3 {
        let preflight = Request::options("/users")
            .header("origin", "http://localhost:3000")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization");
        let answer = running.send(preflight, "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "http://localhost:3000"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert_eq!(answer.header("access-control-allow-methods"), "GET,POST");
        assert_eq!(
            answer.header("access-control-allow-headers"),
            "authorization"
        );
        assert_eq!(answer.header("access-control-max-age"), "300");
        assert_eq!(answer.header("vary"), "Origin");
        assert_eq!(answer.header("content-length"), "0");
    }
    assert_eq!(echo.seen(), 0, "a preflight wakes nothing");

    // A browser must be able to read a refusal, too.
    let refused = running
        .send(
            Request::get("/users").header("origin", "http://localhost:3000"),
            "",
        )
        .await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        "http://localhost:3000"
    );
    assert_eq!(refused.header("access-control-expose-headers"), "Location");
}

#[tokio::test]
async fn correlation_ids_go_both_ways() {
    let echo = Echo::start().await;
    let plugins = "{name: correlation-id, config: {header_name: X-Correlation-Id, \
                   generator: uuid, echo_downstream: true}}";
    let text = config(echo.port, "", PLAIN, plugins);
    let running = Running::start(&text, Consumers::none()).await;
    let answer = running
        .send(Request::get("/").header("x-correlation-id", "mine"), "")
        .await;
    assert_eq!(answer.header("x-correlation-id"), "mine");
    assert_eq!(answer.json()["headers"]["x-correlation-id"], "mine");
    let answer = running.get("/").await;
    let made = answer.header("x-correlation-id");
    assert_eq!(made.len(), 36);
    assert_eq!(answer.json()["headers"]["x-correlation-id"], made);
}

#[tokio::test]
async fn metrics_are_counted_per_route() {
    let echo = Echo::start().await;
    let plugins = "{name: prometheus, config: {status_code_metrics: true, latency_metrics: true}}, \
                   {name: request-size-limiting, config: {allowed_payload_size: 3, size_unit: bytes}}";
    let text = config(echo.port, "", PLAIN, plugins);
    let running = Running::start(&text, Consumers::none()).await;
    running.get("/").await;
    running.get("/").await;
    running.send(Request::post("/"), "four").await;
    let expected = [
        "kong_http_requests_total{service=\"s\",route=\"r\",code=\"200\",source=\"service\",\
         consumer=\"\"} 2",
        "kong_http_requests_total{service=\"s\",route=\"r\",code=\"413\",source=\"kong\",\
         consumer=\"\"} 1",
        "kong_upstream_latency_ms_count{service=\"s\",route=\"r\"} 2",
        "kong_request_latency_ms_count{service=\"s\",route=\"r\"} 3",
    ];
    // A sample is taken when the last byte is sent, which may be after the client has it.
    let all_there = async {
        loop {
            let text = running.gateway.metrics_text();
            if expected
                .iter()
                .all(|line| text.lines().any(|known| known == *line))
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::support::DEADLINE, all_there)
        .await
        .unwrap_or_else(|_| panic!("{}", running.gateway.metrics_text()));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = running.gateway.clone();
    let serving =
        tokio::spawn(async move { gateway.serve_status(listener, std::future::pending()).await });
    let mut status = running;
    status.port = port;
    let answer = status.get("/metrics").await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(String::from_utf8_lossy(&answer.body).contains(expected[0]));
    assert_eq!(status.get("/").await.status, 404);
    serving.abort();
}
