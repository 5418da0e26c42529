//! The file that is deployed.

use std::collections::BTreeMap;
use std::path::Path;

use http::Request;
use zerocart_gateway::{Config, Gateway, HttpUpstream, Protocol, Route};

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
    let guarded = [
        "get-user",
        "create-product",
        "update-inventory",
        "add-to-cart",
        "get-cart",
        "update-cart-item",
        "remove-from-cart",
        "clear-cart",
        "process-payment",
        "get-payment-status",
        "set-failure-rate",
        "create-order",
        "get-order",
        "list-user-orders",
        "update-order-status",
    ];
    let open = [
        "create-user",
        "authenticate-user",
        "get-product",
        "list-products",
    ];
    for function in guarded.iter().chain(&open) {
        let rest = routes[*function];
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
                guarded.contains(function),
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
        assert!(
            rest.methods.contains(&http::Method::OPTIONS),
            "{function} has no preflight"
        );
    }
    // And the two that describe the API.
    for name in ["openapi", "grpc-reflection"] {
        let route = routes[name];
        assert!(route.limits_rate() && !route.requires_token(), "{name}");
    }
    assert_eq!(routes.len(), 2 * (guarded.len() + open.len()) + 2);
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

    let calls = [
        ("POST", "/users", "create-user"),
        ("POST", "/auth/login", "authenticate-user"),
        ("GET", "/users/1", "get-user"),
        ("POST", "/products", "create-product"),
        ("GET", "/products/1", "get-product"),
        ("GET", "/products?limit=1", "list-products"),
        ("PATCH", "/products/1/inventory", "update-inventory"),
        ("POST", "/carts/1/items", "add-to-cart"),
        ("GET", "/carts/1", "get-cart"),
        ("PUT", "/carts/1/items/2", "update-cart-item"),
        ("DELETE", "/carts/1/items/2", "remove-from-cart"),
        ("DELETE", "/carts/1", "clear-cart"),
        ("POST", "/payments", "process-payment"),
        ("GET", "/payments/1", "get-payment-status"),
        ("POST", "/admin/failure-rate", "set-failure-rate"),
        ("POST", "/orders", "create-order"),
        ("GET", "/orders/1", "get-order"),
        ("GET", "/users/1/orders?limit=1", "list-user-orders"),
        ("PATCH", "/orders/1/status", "update-order-status"),
    ];
    for (method, path, route) in calls {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", signer.token(60)));
        let answer = running.send(request, "").await;
        assert_eq!(answer.status, 200, "{route}");
        assert_eq!(answer.json()["uri"], path);
        let limit = if route == "authenticate-user" {
            "10"
        } else {
            "100"
        };
        assert_eq!(answer.header("x-ratelimit-limit-minute"), limit, "{route}");
        answer.header("x-correlation-id");
    }
    for (method, path) in [
        ("GET", "/users"),
        ("POST", "/products/1"),
        ("GET", "/users/1/orders/2"),
        ("GET", "/orders"),
        ("GET", "/carts/1/items"),
        ("POST", "/recover-orders"),
        ("GET", "/health"),
    ] {
        let request = Request::builder().method(method).uri(path);
        assert_eq!(
            running.send(request, "").await.status,
            404,
            "{method} {path}"
        );
    }
    let open = [
        "create-user",
        "authenticate-user",
        "get-product",
        "list-products",
    ];
    for (method, path, route) in calls {
        let request = Request::builder().method(method).uri(path);
        let status = running.send(request, "").await.status;
        let wanted = if open.contains(&route) { 200 } else { 401 };
        assert_eq!(status, wanted, "{method} {path} without a token");
    }
    let counted = running.gateway.metrics_text();
    for (_, _, route) in calls {
        let label = format!("service=\"{route}\",route=\"{route}\",code=\"200\"");
        assert!(counted.contains(&label), "{label} is not in\n{counted}");
    }
}
