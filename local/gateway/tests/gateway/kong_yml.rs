//! The file that is deployed, with what no client of the conformance suite asks of it.

use std::path::Path;

use http::Request;
use zerocart_gateway::{Config, Gateway, HttpUpstream};

use crate::support::{Echo, Running, Signer};

#[tokio::test]
async fn what_no_function_answers_wakes_nothing() {
    let echo = Echo::start().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kong/kong.yml");
    let text = std::fs::read_to_string(path).unwrap();
    // The functions' hosts do not resolve here: one upstream stands for all of them, told apart
    // by the path of its service.
    let text: String = text
        .lines()
        .map(|line| {
            let host = line
                .strip_prefix("  host: ")
                .and_then(|host| host.split('.').next());
            match (host, line) {
                (Some(function), _) => format!("  host: 127.0.0.1\n  tags: [{function}]\n"),
                (None, "  port: 80" | "  port: 8082") => format!("  port: {}\n", echo.port),
                (None, line) => format!("{line}\n"),
            }
        })
        .collect();
    let config = Config::parse("kong.yml", &text).unwrap();
    let signer = Signer::new("key-1");
    let gateway = Gateway::new(config, signer.consumers(), HttpUpstream::new()).unwrap();
    let running = Running::of(gateway).await;

    let known = Request::get("/products")
        .header("x-name-yourself", "1")
        .header("x-consumer-username", "admin")
        .header("x-authenticated-groups", "admin");
    let answer = running.send(known, "").await;
    assert_eq!(answer.status, 200);
    for gone in ["server", "x-envoy-upstream-service-time"] {
        assert!(!answer.headers.contains_key(gone), "{gone}");
    }
    for gone in ["x-consumer-username", "x-authenticated-groups"] {
        assert_eq!(answer.json()["headers"].get(gone), None, "{gone}");
    }
    let asked = echo.seen();
    // Another method of a path is refused with those that it has, and goes nowhere.
    for (method, path, allow) in [
        ("OPTIONS", "/products", "GET, HEAD, POST"),
        ("PROPFIND", "/products", "GET, HEAD, POST"),
        ("HEAD", "/auth/login", "POST"),
        ("DELETE", "/orders", "GET, HEAD, POST"),
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/health", "GET, HEAD"),
        ("POST", "/app/orders", "GET, HEAD"),
        ("POST", "/app/two%0Alines", "GET, HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path);
        let answer = running.send(request, "").await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        assert_eq!(
            answer.header("cache-control"),
            "no-store",
            "{method} {path}"
        );
        answer.header("x-correlation-id");
        if method != "HEAD" {
            assert_eq!(answer.message(), "Method not allowed", "{method} {path}");
        }
    }
    // What nginx takes for no method is none, and what has no path at all is not found.
    for (method, path, status) in [
        ("get", "/products", 400),
        ("G@T", "/products", 400),
        ("GET", "/users/1/orders/2", 404),
        ("POST", "/recover-orders", 404),
        ("OPTIONS", "/recover-orders", 404),
        ("GET", "/health", 200),
        ("GET", "/health/", 404),
        ("HEAD", "/", 200),
        ("GET", "/apple", 404),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = running.raw(request.as_bytes()).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{method} {path}: {answer}");
    }
    assert_eq!(echo.seen(), asked, "nothing was woken");
}
