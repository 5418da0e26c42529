//! What a client or an upstream of Kong 3.9.3 sees, and so of this gateway. kong/README.md lists the
//! differences that are left.

use http::Request;
use serde_json::Value;
use zerocart_gateway::{Config, Consumers, Gateway, HttpUpstream};

use crate::support::{Echo, Running, config};

const PLAIN: &str = "{name: r, paths: [/], strip_path: false}";

async fn plain() -> (Echo, Running) {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, "", PLAIN, ""), Consumers::none()).await;
    (echo, running)
}

fn status(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ");
    let status = status.unwrap_or_else(|| panic!("{answer:?} is no answer"));
    status[..3].parse().unwrap()
}

/// nginx takes some headers once, on routes with and without jwt, and before it looks for a route.
#[tokio::test]
async fn a_header_that_counts_once_is_sent_once() {
    let echo = Echo::start().await;
    let routes =
        "{name: open, paths: [/open]}, {name: closed, paths: [/closed], plugins: [{name: jwt}]}";
    let running = Running::start(&config(echo.port, "", routes, ""), Consumers::none()).await;
    for (header, [open, closed, nowhere]) in [
        ("Authorization: Bearer a", [400; 3]),
        ("If-Match: a", [400; 3]),
        ("Content-Length: 0", [400; 3]),
        ("Content-Range: bytes 0-1/2", [400; 3]),
        ("Range: bytes=0-1", [200, 401, 404]),
        ("Accept: a", [200, 401, 404]),
        ("Content-Type: a", [200, 401, 404]),
    ] {
        for (path, expected) in [("/open", open), ("/closed", closed), ("/nowhere", nowhere)] {
            let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
            let request = format!("{head}{header}\r\n{header}\r\n\r\n");
            let answer = running.raw(request.as_bytes()).await;
            assert_eq!(status(&answer), expected, "{path} {header}: {answer}");
        }
    }
    assert_eq!(echo.seen(), 3);
}

/// What goes to the upstream of a path, or the status with which it goes nowhere.
#[tokio::test]
async fn a_path_goes_upstream_in_one_form() {
    let (echo, running) = plain().await;
    let mut asked = 0;
    for (path, expected) in [
        (
            "/users//x/%2e%2e/%7Eme?q=a%20b&r=%2f",
            Ok("/users/~me?q=a%20b&r=%2f"),
        ),
        ("/a?", Ok("/a?")),
        ("/%61%20%c3%a4", Ok("/a%20%C3%A4")),
        ("/\u{e4}", Ok("/%C3%A4")),
        ("/a%2fb%3a%25", Ok("/a%2Fb%3A%25")),
        ("/a\"{b}|^", Ok("/a%22%7Bb%7D%7C%5E")),
        ("/a%2fb/../../c", Ok("/c")),
        ("http://b/c", Ok("/c")),
        ("/%zz", Err(400)),
        ("/%", Err(400)),
        ("/%00", Err(400)),
        ("/..%2f..", Err(400)),
        ("/a/%2e%2e/..", Err(400)),
        ("*", Err(400)),
        ("/%ff", Err(404)),
        ("/%c3/..%2f", Err(404)),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        );
        let answer = running.raw(request.as_bytes()).await;
        match expected {
            Ok(sent) => {
                asked += 1;
                assert_eq!(status(&answer), 200, "{path}: {answer}");
                let (_, body) = answer.split_once("\r\n\r\n").unwrap();
                let saw: Value = serde_json::from_str(body).unwrap();
                assert_eq!(saw["uri"], sent, "{path}");
            }
            Err(expected) => assert_eq!(status(&answer), expected, "{path}: {answer}"),
        }
    }
    assert_eq!(echo.seen(), asked);
}

/// `Upgrade` is ignored, `Connection` ends here, and of `TE` only `trailers` goes on.
#[tokio::test]
async fn headers_of_the_connection_end_here() {
    let (_echo, running) = plain().await;
    for (sent, te) in [
        (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            None,
        ),
        (
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            None,
        ),
        (
            "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n",
            None,
        ),
        ("Connection: te\r\nTE: trailers\r\n", Some("trailers")),
        ("TE: gzip, Trailers;q=1, trailers\r\n", Some("trailers")),
        ("TE: gzip\r\n", None),
        (
            "Proxy: http://elsewhere\r\nProxy-Connection: close\r\nTrailer: x\r\n",
            None,
        ),
    ] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: a\r\nX-Kept: 1\r\n{sent}Connection: close\r\n\r\n");
        let answer = running.raw(request.as_bytes()).await;
        assert_eq!(status(&answer), 200, "{sent}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("upgrade"), "{head}");
        let saw: Value = serde_json::from_str(body).unwrap();
        let saw = saw["headers"].as_object().unwrap();
        assert_eq!(saw["x-kept"], "1");
        assert_eq!(saw.get("te").and_then(Value::as_str), te, "{sent}");
        for gone in [
            "upgrade",
            "connection",
            "keep-alive",
            "x-hop",
            "http2-settings",
            "proxy",
            "proxy-connection",
            "trailer",
        ] {
            assert!(!saw.contains_key(gone), "{sent}: {gone}");
        }
    }
}

/// What the gateway says itself has the headers of the global plugins. Only a request that reaches
/// the plugins of its route has those of the route.
#[tokio::test]
async fn global_plugins_mark_every_answer() {
    let echo = Echo::start().await;
    let text = format!(
        "_format_version: \"3.0\"\n\
         services:\n\
         - name: f-grpc\n  host: 127.0.0.1\n  port: {port}\n  protocol: grpc\n\
         \x20 routes:\n  - {{name: f-grpc, protocols: [grpc, grpcs], paths: [/grpc.Echo/Call]}}\n\
         \x20 plugins: [{{name: response-transformer, config: {{add: {{headers: ['X-Own:1']}}}}}}]\n\
         - name: f\n  host: 127.0.0.1\n  port: {port}\n\
         \x20 routes:\n  - {{name: f, paths: [/f], strip_path: false}}\n\
         \x20 plugins:\n\
         \x20 - {{name: request-size-limiting, config: {{allowed_payload_size: 3, size_unit: bytes}}}}\n\
         \x20 - {{name: response-transformer, config: {{add: {{headers: ['X-Own:1']}}}}}}\n\
         plugins:\n\
         - {{name: correlation-id, config: {{header_name: X-Correlation-Id, generator: uuid, echo_downstream: true}}}}\n\
         - {{name: cors, config: {{origins: ['http://shop.example'], exposed_headers: [Location]}}}}\n\
         - {{name: response-transformer, config: {{add: {{headers: ['X-Global:1']}}}}}}\n",
        port = echo.port
    );
    let running = Running::start(&text, Consumers::none()).await;
    let preflight = ("access-control-request-method", "GET");
    let grpc = ("content-type", "application/grpc");
    let no = ("x-other", "1");
    for (method, path, header, body, status, own) in [
        ("GET", "/nowhere", no, "", 404, false),
        ("OPTIONS", "/nowhere", preflight, "", 404, false),
        ("TRACE", "/f", no, "", 405, false),
        ("GET", "/f/%zz", no, "", 400, false),
        ("POST", "/grpc.Echo/Call", no, "{}", 415, false),
        ("POST", "/grpc.Echo/Call", grpc, "", 426, false),
        ("POST", "/f", no, "four", 413, true),
        ("GET", "/f", no, "", 200, true),
    ] {
        for id in ["", "mine"] {
            let what = format!("{method} {path} {id:?}");
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header(header.0, header.1)
                .header("origin", "http://shop.example")
                .header("x-correlation-id", id);
            let answer = running.send(request, body).await;
            assert_eq!(answer.status, status, "{what}");
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed, "http://shop.example", "{what}");
            let exposed = answer.header("access-control-expose-headers");
            assert_eq!(exposed, "Location", "{what}");
            let correlation = answer.header("x-correlation-id");
            match id {
                "" => assert_eq!(correlation.len(), 36, "{what}"),
                id => assert_eq!(correlation, id, "{what}"),
            }
            assert_eq!(answer.headers.contains_key("x-own"), own, "{what}");
            assert_eq!(answer.headers.contains_key("x-global"), !own, "{what}");
        }
    }
    assert_eq!(echo.seen(), 2);
}

/// Errors of Kong follow `Accept`, and are JSON without it. Those of nginx are text without it.
#[tokio::test]
async fn an_error_is_written_as_the_client_accepts_it() {
    let (_echo, running) = {
        let echo = Echo::start().await;
        let routes = "{name: r, paths: [/a]}";
        let running = Running::start(&config(echo.port, "", routes, ""), Consumers::none()).await;
        (echo, running)
    };
    let (json, html) = ("application/json", "text/html");
    let (xml, text) = ("application/xml", "text/plain");
    for (accept, error, failure) in [
        ("", json, text),
        ("Accept: */*\r\n", json, json),
        ("Accept: text/html,application/xml;q=0.9\r\n", html, html),
        ("Accept: application/xml\r\n", xml, xml),
        ("Accept: text/plain\r\n", text, text),
    ] {
        for (path, expected, kind) in [("/nowhere", 404, error), ("/%zz", 400, failure)] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: a\r\n{accept}Connection: close\r\n\r\n");
            let answer = running.raw(request.as_bytes()).await;
            assert_eq!(status(&answer), expected);
            let kind = format!("content-type: {kind}; charset=utf-8\r\n");
            assert!(answer.contains(&kind), "{accept}{path}: {answer}");
        }
    }
}

/// The file's request-transformer and response-transformer take away what must not pass.
#[tokio::test]
async fn transformers_remove_headers() {
    let echo = Echo::start().await;
    let plugins = "{name: request-transformer, config: {remove: {headers: [X-Gone]}}}, \
                   {name: response-transformer, config: {remove: {headers: [X-Upstream]}}}";
    let running = Running::start(&config(echo.port, "", PLAIN, plugins), Consumers::none()).await;
    let request = Request::get("/")
        .header("x-gone", "1")
        .header("x-kept", "1");
    let answer = running.send(request, "").await;
    let saw = answer.json();
    assert_eq!(saw["headers"].get("x-gone"), None);
    assert_eq!(saw["headers"]["x-kept"], "1");
    assert!(!answer.headers.contains_key("x-upstream"));
}

/// `trusted_ips` of Kong, with `real_ip_header = X-Forwarded-For` and `real_ip_recursive = on`.
#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let echo = Echo::start().await;
    let limit = "{name: rate-limiting, config: {hour: 9, limit_by: ip}}";
    let text = config(echo.port, "", PLAIN, limit);
    for (trusted, real_ip, proto) in [
        ("127.0.0.0/8", ["203.0.113.1", "203.0.113.2"], "https"),
        ("10.0.0.0/8", ["127.0.0.1", "127.0.0.1"], "http"),
    ] {
        let config = Config::parse("test.yml", &text).unwrap();
        let gateway = Gateway::new(config, Consumers::none(), HttpUpstream::new()).unwrap();
        let running = Running::of(gateway.with_trusted(trusted.parse().unwrap())).await;
        for (client, real_ip) in ["203.0.113.1", "203.0.113.2"].into_iter().zip(real_ip) {
            let request = Request::get("/")
                .header("x-forwarded-for", format!("6.6.6.6, {client}"))
                .header("x-forwarded-proto", "https");
            let answer = running.send(request, "").await;
            let saw = &answer.json()["headers"];
            assert_eq!(saw["x-real-ip"], real_ip, "{trusted}");
            assert_eq!(saw["x-forwarded-proto"], proto, "{trusted}");
            let list = format!("6.6.6.6, {client}, 127.0.0.1");
            assert_eq!(saw["x-forwarded-for"], *list, "{trusted}");
            // Each client has a limit of its own.
            if proto == "https" {
                assert_eq!(answer.header("x-ratelimit-remaining-hour"), "8");
            }
        }
    }
}
