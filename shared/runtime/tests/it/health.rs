//! Liveness, readiness, metrics.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body as AxumBody;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::ServiceExt;
use zerocart_core::{Env, Error};
use zerocart_proto::rpc::GetProduct;
use zerocart_runtime::build;
use zerocart_test_support::{
    clients::{Body, Client, Wire, request},
    functions::{Running, Script, Scripted},
};

use crate::{env, get_tea, serve, tea};

const JSON_WIRES: [Wire; 2] = [Wire::Http1, Wire::Http2];

#[tokio::test]
async fn health_touches_nothing_and_shows_what_the_function_says() {
    let script = Script::<GetProduct>::answers(tea())
        .ready(|| async { panic!("liveness asked for readiness") })
        .health("breaker", "closed");
    let function = serve(script).await;
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address());
        let reply = client.get("/health").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["content-type"], "application/json");
        let expected = json!({"status": "ok", "breaker": "closed"});
        assert_eq!(reply.json::<Value>(), expected, "{wire:?}");
        let head = client.send(request(Method::HEAD, "/health", "")).await;
        assert_eq!(head.status, 200);
        assert!(head.body.is_empty());
    }
}

/// A function that is ready while the switch says so.
async fn switched() -> (Running, Arc<AtomicBool>) {
    let ready = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&ready);
    let script = Script::<GetProduct>::answers(tea()).ready(move || {
        let ready = asked.load(Ordering::SeqCst);
        async move {
            if ready {
                Ok(())
            } else {
                Err(Error::internal(
                    "password authentication failed for hunter2",
                ))
            }
        }
    });
    (serve(script).await, ready)
}

#[tokio::test]
async fn readiness_follows_what_the_function_depends_on() {
    let (function, ready) = switched().await;
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address());
        ready.store(true, Ordering::SeqCst);
        let reply = client.get("/ready").await;
        assert_eq!(reply.status, 200, "{wire:?}");
        assert_eq!(reply.json::<Value>(), json!({"status": "ready"}));

        ready.store(false, Ordering::SeqCst);
        let reply = client.get("/ready").await;
        assert_eq!(reply.status, 503, "{wire:?}");
        assert_eq!(reply.headers["retry-after"], "1");
        assert_eq!(reply.json::<Value>(), json!({"status": "unavailable"}));

        // Not ready is not dead.
        assert_eq!(client.get("/health").await.status, 200, "{wire:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_waits_for_a_second() {
    for (takes_ms, status) in [(900, 200), (1_100, 503), (1_000_000, 503)] {
        let script = Script::<GetProduct>::answers(tea()).ready(move || async move {
            tokio::time::sleep(Duration::from_millis(takes_ms)).await;
            Ok(())
        });
        let variables = env(&[]).into_iter().chain([script.into_env()]);
        let built = build::<Scripted<GetProduct>>(Env::from_iter(variables)).unwrap();
        let request = Request::get("/ready").body(AxumBody::empty()).unwrap();
        let began = Instant::now();
        let response = built.router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{takes_ms}");
        assert!(
            began.elapsed() <= Duration::from_millis(1_002),
            "{takes_ms}"
        );
    }
}

#[tokio::test]
async fn grpc_health_knows_the_process_and_its_service() {
    let (function, ready) = switched().await;
    let channel = Endpoint::from_shared(format!("http://{}", function.address())).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    let request = |service: &str| HealthCheckRequest {
        service: service.into(),
    };
    for service in ["", "product.ProductService"] {
        for (state, status) in [
            (true, ServingStatus::Serving),
            (false, ServingStatus::NotServing),
        ] {
            ready.store(state, Ordering::SeqCst);
            let got = client.check(request(service)).await.unwrap();
            assert_eq!(got.into_inner().status(), status, "{service:?}");
            let mut watch = client.watch(request(service)).await.unwrap().into_inner();
            let first = watch.message().await.unwrap().unwrap();
            assert_eq!(first.status(), status, "{service:?}");
            assert!(watch.message().await.unwrap().is_none(), "{service:?}");
        }
    }
    for other in [
        "user.UserService",
        "product",
        "product.ProductService/GetProduct",
    ] {
        let error = client.check(request(other)).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound, "{other:?}");
    }
}

/// A check takes one message, as the functions' own RPCs do.
#[tokio::test]
async fn grpc_health_reads_one_message() {
    let (function, _) = switched().await;
    for (what, body, status) in [
        ("one message", &[0; 5][..], "0"),
        ("none", &[], "12"),
        ("two", &[0; 10], "12"),
        ("one, and more", &[0; 6], "12"),
        ("half of one", &[0; 3], "13"),
        ("compressed, and nobody said how", &[1, 0, 0, 0, 0], "13"),
        ("one that is too large", &[0, 0, 1, 0, 1], "8"),
    ] {
        for method in ["Check", "Watch"] {
            let request = Request::post(format!("/grpc.health.v1.Health/{method}"))
                .header("content-type", "application/grpc")
                .body(Body::new(Full::from(body)))
                .unwrap();
            let client = Client::new(Wire::Grpc, function.address());
            let reply = client.send(request).await;
            let trailers = reply.trailers.as_ref().unwrap_or(&reply.headers);
            assert_eq!(trailers["grpc-status"], status, "{method}: {what}");
        }
    }
}

/// Samples of the OpenMetrics text format, by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            (
                name.to_owned(),
                value.parse().unwrap_or_else(|_| panic!("{line}")),
            )
        })
        .collect()
}

#[tokio::test]
async fn metrics_count_calls_by_protocol_and_code() {
    let function = serve(Script::<GetProduct>::new(|_, _| async { Ok(tea()) })).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        client.call::<GetProduct>(&get_tea()).await.ok();
        let mut bad = get_tea();
        bad.id = "7".into();
        client.call::<GetProduct>(&bad).await;
    }
    let client = Client::new(Wire::Http1, function.address());
    let reply = client.get("/metrics").await;
    let media_type = reply.headers["content-type"].to_str().unwrap();
    assert!(media_type.starts_with("application/openmetrics-text"));
    let samples = samples(&reply.text());
    let calls = |protocol: &str, code: &str| {
        samples[&format!(
            "zerocart_calls_total{{function=\"get-product\",protocol=\"{protocol}\",code=\"{code}\"}}"
        )]
    };
    for protocol in ["json", "grpc"] {
        assert_eq!(calls(protocol, "OK"), 2.0);
        assert_eq!(calls(protocol, "INVALID_ARGUMENT"), 2.0);
    }
    let plain = |name: &str| samples[&format!("zerocart_{name}{{function=\"get-product\"}}")];
    assert_eq!(plain("calls_in_flight"), 0.0);
    assert_eq!(plain("cold_starts_total"), 1.0);
    assert_eq!(plain("call_duration_seconds_count"), 8.0);
}
