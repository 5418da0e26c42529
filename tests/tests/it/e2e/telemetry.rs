//! What the engine's collector counts, keeps, shows and forwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use axum::{Router, routing::post};
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use zerocart_test_support::clients::Wire;

use super::{
    engine::{Data, Engine, PATIENCE, UP, zerocart},
    http::Http,
    until,
};

/// `zerocart …`: what it prints, or what it says when it refuses.
pub(super) async fn command(data: &Data, args: &[&str]) -> Result<String, String> {
    let mut command = tokio::process::Command::from(zerocart(&data.path()));
    let output = command.args(args).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await;
    let output = output.expect("it ends").expect("zerocart can be started");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// The metrics of the engine: series and value.
pub(super) async fn metrics(data: &Data) -> BTreeMap<String, f64> {
    let text = fs::read(data.path().join("engine.json")).expect("the engine runs");
    let engine: Value = serde_json::from_slice(&text).expect("JSON");
    let address = engine["status"].as_str().expect("an address").to_owned();
    let reply = Http::to(address, Ipv4Addr::LOCALHOST, Wire::Http1)
        .get("/metrics")
        .await;
    let kind = reply.headers["content-type"].to_str().expect("text");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = reply.text();
    assert_eq!(text.matches("# EOF").count(), 1);
    assert!(text.ends_with("# EOF\n"));
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let series = series.map(|line| {
        let line = line.split(" # ").next().unwrap_or(line);
        let (name, value) = line.rsplit_once(' ').expect("a series has a value");
        (name.to_owned(), value.parse().expect("it is a number"))
    });
    series.collect()
}

fn calls(metrics: &BTreeMap<String, f64>, function: &str) -> f64 {
    let of_function = format!("zerocart_calls_total{{function=\"{function}\"");
    let of_function = metrics
        .iter()
        .filter(|(name, _)| name.starts_with(&of_function));
    of_function.map(|(_, value)| value).sum()
}

/// All spans of an export, each with its function.
pub(super) fn spans(export: &Value) -> impl Iterator<Item = (String, &Value)> {
    let resources = export["resourceSpans"].as_array().expect("OTLP JSON");
    resources.iter().flat_map(|of_resource| {
        let attributes = of_resource["resource"]["attributes"].as_array();
        let mut attributes = attributes.expect("a resource has some").iter();
        let name = attributes
            .find(|a| a["key"] == "service.name")
            .expect("a name");
        let name = name["value"]["stringValue"].as_str().expect("a text");
        let scopes = of_resource["scopeSpans"]
            .as_array()
            .expect("OTLP JSON")
            .iter();
        let spans = scopes.flat_map(|scope| scope["spans"].as_array().expect("OTLP JSON"));
        spans.map(|span| (name.to_owned(), span))
    })
}

fn services(export: &Value) -> BTreeSet<String> {
    spans(export).map(|(service, _)| service).collect()
}

/// Buys a thing, as a trace with this id.
async fn buy(engine: &Engine, trace: &str) {
    let http = engine.http();
    let admin = engine.sign_in_admin().await;
    let call = async |method, path: &str, body: Value, headers: &[(&'static str, &str)]| {
        let reply = http.call(method, path, body.to_string(), headers).await;
        assert!(reply.status.is_success(), "{path}: {}", reply.text());
        reply.json::<Value>()
    };
    let as_admin = [("authorization", admin.as_str())];
    let works = json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0});
    call(Method::POST, "/admin/failure-rate", works, &as_admin).await;
    let tea = json!({"name": "Tea", "price": 4.75, "inventory": 3});
    let tea = call(Method::POST, "/products", tea, &as_admin).await;
    let ada = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
    let ada = call(Method::POST, "/users", ada, &[]).await;
    let id = ada["user"]["id"].as_str().expect("an id");
    let token = engine.sign_in("ada@example.com", "correct horse").await;
    let line = json!({"product_id": tea["product"]["id"], "quantity": 1});
    let as_ada = [("authorization", token.as_str())];
    call(Method::POST, &format!("/carts/{id}/items"), line, &as_ada).await;
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let traced = [("authorization", token.as_str()), ("traceparent", &parent)];
    let order = call(Method::POST, "/orders", json!({ "user_id": id }), &traced).await;
    assert_eq!(order["order"]["status"], "PAID");
}

/// The spans of a trace, once all of these functions have written theirs.
async fn whole_trace(data: &Data, id: &str, functions: &[&str]) -> Value {
    until("the trace is whole", PATIENCE, || async {
        let export = command(data, &["trace", id, "--json"]).await.ok()?;
        let export: Value = serde_json::from_str(&export).expect("JSON");
        let services = services(&export);
        let whole = functions.iter().all(|name| services.contains(*name));
        whole.then_some(export)
    })
    .await
}

const BOUGHT_WITH: [&str; 5] = [
    "create-order",
    "get-cart",
    "update-inventory",
    "process-payment",
    "clear-cart",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_is_one_trace_that_is_shown_and_forwarded() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&received);
    let take = async move |body: bytes::Bytes| {
        let export: Value = serde_json::from_slice(&body).expect("OTLP JSON");
        kept.lock().expect("nobody panics here").push(export);
        "{}"
    };
    let receiver = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("there is a free port");
    let url = format!("http://{}", receiver.local_addr().expect("an address"));
    let router = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(receiver, router).await });

    let data = Data::new();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let no_engine = command(&data, &["traces"]).await.unwrap_err();
    assert!(no_engine.contains("nothing is running"), "{no_engine}");
    let engine = Engine::start_with(&data, &["--otlp", &url, "--trace-memory", "8"]).await;
    buy(&engine, trace).await;
    let export = whole_trace(&data, trace, &BOUGHT_WITH).await;
    assert!(spans(&export).all(|(_, span)| span["traceId"] == trace));

    let shown = command(&data, &["trace", trace])
        .await
        .expect("it is shown");
    for text in BOUGHT_WITH.map(|name| format!("[{name}]")) {
        assert!(shown.contains(&text), "{text} is not in\n{shown}");
    }
    for text in ["POST /orders", "cold", "charge", "order=PAID", "█"] {
        assert!(shown.contains(text), "{text} is not in\n{shown}");
    }
    assert!(!shown.contains("(not finished)"), "{shown}");
    let listed = command(&data, &["traces", "--cold", "--function", "create-order"]).await;
    let listed = listed.expect("it is listed");
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(
        listed.contains(trace) && listed.contains("process-payment"),
        "{listed}"
    );
    let none = command(&data, &["traces", "--slow", "600000"]).await;
    assert_eq!(none.as_deref(), Ok(""));
    let unknown = command(&data, &["trace", &"ab".repeat(16)])
        .await
        .unwrap_err();
    assert!(unknown.contains("there is no trace abab"), "{unknown}");
    let bad = command(&data, &["trace", "17"]).await.unwrap_err();
    assert!(bad.contains("32 hexadecimal digits"), "{bad}");

    let seen = metrics(&data).await;
    for (series, value) in [
        (r#"zerocart_orders_total{status="PAID",cause=""}"#, 1.0),
        (
            r#"zerocart_saga_steps_total{step="charge",outcome="done"}"#,
            1.0,
        ),
        (
            r#"zerocart_payment_provider_replies_total{operation="CHARGE",reply="CHARGED"}"#,
            1.0,
        ),
        (
            r#"zerocart_calls_total{function="process-payment",protocol="grpc",code="OK"}"#,
            1.0,
        ),
    ] {
        assert_eq!(seen.get(series), Some(&value), "{series} in {seen:#?}");
    }
    // The log is for people.
    let log = fs::read_to_string(data.path().join("logs/create-order.log")).unwrap_or_default();
    assert!(!log.contains("resourceSpans"), "{log}");
    engine.stop().await;

    let received = received.lock().expect("nobody panics here");
    let ids = |export: &Value| -> BTreeSet<_> {
        let of_trace = spans(export).filter(|(_, span)| span["traceId"] == trace);
        of_trace
            .map(|(_, span)| span["spanId"].to_string())
            .collect()
    };
    let forwarded: BTreeSet<_> = received.iter().flat_map(ids).collect();
    assert!(forwarded.is_superset(&ids(&export)), "{forwarded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_in_the_engines_process_write_the_same_traces() {
    let data = Data::new();
    let engine = Engine::start_with(&data, &["--in-process"]).await;
    let trace = "5bf92f3577b34da6a3ce929d0e0e4736";
    buy(&engine, trace).await;
    whole_trace(&data, trace, &BOUGHT_WITH).await;
    let seen = metrics(&data).await;
    assert_eq!(calls(&seen, "create-order"), 1.0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_cannot_be_is_refused_before_anything_starts() {
    let data = Data::new();
    for url in ["localhost:4318", "http://user:secret@localhost"] {
        let refused = command(&data, &[&UP[..], &["--otlp", url]].concat())
            .await
            .unwrap_err();
        assert!(
            refused.contains("--otlp") && !refused.contains("secret"),
            "{refused}"
        );
    }
    assert!(!data.path().join("postgres").exists());
}
