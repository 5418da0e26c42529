//! The file that is deployed.

use std::collections::BTreeMap;
use std::path::Path;

use http::Request;
use zerocart_gateway::{Config, Gateway, HttpUpstream, Protocol, Route};
use zerocart_proto::rpc;

use crate::support::{Echo, Running, Signer};

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kong/kong.yml")
}

#[test]
fn every_function_has_its_routes() {
    let config = Config::load(&path()).unwrap();
    let routes: BTreeMap<&str, &Route> = config
        .routes()
        .iter()
        .map(|route| (route.name.as_str(), route))
        .collect();
    for info in rpc::ALL {
        let function = info.name;
        let rest = routes[function];
        let grpc = routes[format!("{function}-grpc").as_str()];
        for route in [rest, grpc] {
            let service = &route.service;
            assert_eq!(
                service.host,
                format!("{function}.zerocart.svc.cluster.local")
            );
            assert_eq!(service.name, route.name);
            assert_eq!(service.read_timeout.as_secs(), 30);
            assert_eq!(service.write_timeout.as_secs(), 30);
            assert!(service.connect_timeout < service.read_timeout);
            assert_eq!(service.retries, 3);
            assert_eq!(
                route.requires_token(),
                !info.access.anyone,
                "{}",
                route.name
            );
            assert!(!route.strip_path && !route.preserve_host);
        }
        assert_eq!(
            (rest.service.protocol, rest.service.port),
            (Protocol::Http, 80)
        );
        assert_eq!(
            (grpc.service.protocol, grpc.service.port),
            (Protocol::Grpc, 8082)
        );
    }
    // And the two that describe the API, and those that say which methods a path has.
    for name in ["openapi", "grpc-reflection"] {
        let route = routes[name];
        assert!(route.limits_rate() && !route.requires_token(), "{name}");
    }
    let refusing = routes.values().filter(|route| route.answers().is_some());
    let named = 2 * rpc::ALL.len() + 2;
    assert_eq!(routes.len(), named + refusing.count());
}

#[tokio::test]
async fn it_routes_every_function() {
    let echo = Echo::start().await;
    let text = std::fs::read_to_string(path()).unwrap();
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

    // One segment for each parameter, and a query, which routes do not look at.
    let calls: Vec<_> = rpc::ALL
        .iter()
        .map(|info| {
            let segments = info.http_path.split('/');
            let segments = segments.map(|part| if part.starts_with('{') { "1" } else { part });
            (
                info,
                format!("{}?limit=1", segments.collect::<Vec<_>>().join("/")),
            )
        })
        .collect();
    for (info, path) in &calls {
        let route = info.name;
        let request = Request::builder()
            .method(info.http_method)
            .uri(path)
            .header("authorization", format!("Bearer {}", signer.token(60)));
        let answer = running.send(request, "").await;
        assert_eq!(answer.status, 200, "{route}");
        assert_eq!(answer.json()["uri"], *path);
        let limit = if route == "authenticate-user" {
            "10"
        } else {
            "100"
        };
        assert_eq!(answer.header("x-ratelimit-limit-minute"), limit, "{route}");
        answer.header("x-correlation-id");
    }
    // HEAD goes where GET does, with its limits and its token, and has no body.
    let reads = calls.iter().filter(|(info, _)| info.http_method == "GET");
    for (info, path) in reads {
        let route = info.name;
        let of = |authorization: String| {
            let request = Request::head(path).header("authorization", authorization);
            running.send(request, "")
        };
        let answer = of(format!("Bearer {}", signer.token(60))).await;
        assert_eq!(answer.status, 200, "{route}");
        assert!(answer.body.is_empty(), "{route}");
        assert_ne!(answer.header("content-length"), "0", "{route}");
        assert_eq!(answer.header("x-ratelimit-limit-minute"), "100", "{route}");
        let refused = of("Bearer junk".into()).await;
        let status = if info.access.anyone { 200 } else { 401 };
        assert_eq!(refused.status, status, "{route}");
        assert!(refused.body.is_empty(), "{route}");
    }
    let asked = echo.seen();
    // Another method of a path is refused with those that it has, and goes nowhere.
    let mut paths: Vec<_> = calls
        .iter()
        .map(|(info, path)| (path, rpc::methods(rpc::ALL, info.http_path)))
        .collect();
    let openapi = "/openapi.json".to_owned();
    paths.push((&openapi, vec!["GET", "HEAD"]));
    for (path, allowed) in &paths {
        let others = ["HEAD", "PUT", "OPTIONS", "PROPFIND"].into_iter();
        for method in others.filter(|method| !allowed.contains(method)) {
            let request = Request::builder().method(method).uri(*path);
            let answer = running.send(request, "").await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(
                answer.header("allow"),
                allowed.join(", "),
                "{method} {path}"
            );
            let cache = answer.header("cache-control");
            assert_eq!(cache, "no-store", "{method} {path}");
            answer.header("x-correlation-id");
            if method != "HEAD" {
                assert_eq!(answer.message(), "Method not allowed", "{method} {path}");
            }
        }
    }
    // A preflight is no such method: the browser asks for what the path has.
    let preflight = Request::options("/products/1/inventory")
        .header("origin", "http://localhost:3000")
        .header("access-control-request-method", "PATCH");
    let answer = running.send(preflight, "").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("PATCH")
    );
    // What nginx takes for no method is none, and what has no path at all is not found.
    for (method, path, status) in [
        ("get", "/products", 400),
        ("G@T", "/products", 400),
        ("GET", "/users/1/orders/2", 404),
        ("POST", "/recover-orders", 404),
        ("OPTIONS", "/recover-orders", 404),
        ("GET", "/health", 404),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = running.raw(request.as_bytes()).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{method} {path}: {answer}");
    }
    assert_eq!(echo.seen(), asked, "nothing was woken");
    for (info, path) in &calls {
        let request = Request::builder().method(info.http_method).uri(path);
        let status = running.send(request, "").await.status;
        let wanted = if info.access.anyone { 200 } else { 401 };
        assert_eq!(status, wanted, "{} without a token", info.name);
    }
    let counted = running.gateway.metrics_text();
    for (info, _) in &calls {
        let route = info.name;
        let label = format!("service=\"{route}\",route=\"{route}\",code=\"200\"");
        assert!(counted.contains(&label), "{label} is not in\n{counted}");
    }
}
