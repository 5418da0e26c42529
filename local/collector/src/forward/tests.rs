use std::sync::Mutex;

use axum::{Router, body::Body, extract::State, routing::post};
use tokio::net::TcpListener;
use zerocart_telemetry::{Kind, Recorder, Trace, TraceContext};

use super::*;
use crate::{Options, otlp::Export};

/// What a receiver got, and what it answers next; the last answer stays.
#[derive(Default)]
struct Received {
    requests: Vec<(HeaderMap, Bytes)>,
    answers: VecDeque<(StatusCode, &'static str)>,
}

type Shared = Arc<Mutex<Received>>;

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let mut received = shared.lock().unwrap();
    received.requests.push((headers, body));
    let answer = match received.answers.len() {
        0 => (StatusCode::OK, "{}"),
        1 => received.answers[0],
        _ => received.answers.pop_front().unwrap(),
    };
    let mut response = Response::new(Body::from(answer.1));
    *response.status_mut() = answer.0;
    let at_once = HeaderValue::from_static("0");
    response.headers_mut().insert(header::RETRY_AFTER, at_once);
    response
}

async fn receiver(answers: &[(StatusCode, &'static str)]) -> (String, Shared) {
    let shared = Shared::default();
    shared.lock().unwrap().answers = answers.iter().copied().collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base/", listener.local_addr().unwrap());
    let router = Router::new().route("/base/v1/traces", post(take));
    let router = router.with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, shared)
}

fn call(recorder: &Recorder) {
    let trace = Trace::begin(recorder, TraceContext::new());
    let mut call = trace.root("GET /products/{id}", Kind::Server);
    call.trace().span("SELECT products", Kind::Client).end();
    call.set("zerocart.code", "OK");
    call.set("zerocart.protocol", "json");
    call.end();
}

/// The value of a counter without labels.
fn counter(collector: &Collector, name: &str) -> u64 {
    let text = collector.metrics_text();
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(&format!("{name}_total ")));
    value.expect(name).parse().expect(name)
}

async fn until(collector: &Collector, name: &str, value: u64) {
    while counter(collector, name) < value {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(counter(collector, name), value, "{name}");
}

const FORWARDED: &str = "zerocart_telemetry_forwarded_spans";
const DROPPED: &str = "zerocart_telemetry_dropped_spans";

#[tokio::test]
async fn spans_arrive_in_batches_also_after_answers_that_ask_to_wait() {
    let later = [429, 502, 503, 504].map(|code| (StatusCode::from_u16(code).unwrap(), ""));
    let partial = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#;
    let good = [(StatusCode::OK, "{}"), (StatusCode::OK, partial)];
    let (url, shared) = receiver(&[&later[..], &good].concat()).await;
    let target = Target::new(&url).unwrap();
    let target = target
        .with_headers("x-key=secret%20key, x-other=1")
        .unwrap();
    assert!(!format!("{target:?}").contains("secret"));
    let collector = Collector::new(&Options::default());
    let forwarding = Forwarding::start(collector.clone(), target).unwrap();
    let (one, other) = (
        collector.recorder("get-product", "1"),
        collector.recorder("gateway", "1"),
    );
    for _ in 0..10 {
        call(&one);
        call(&other);
    }
    until(&collector, FORWARDED, 40).await;
    {
        let received = shared.lock().unwrap();
        assert_eq!(
            received.requests.len(),
            5,
            "one batch, sent again four times"
        );
        let (headers, body) = &received.requests[4];
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(
            (&headers["x-key"], &headers["x-other"]),
            (&"secret key".parse().unwrap(), &"1".parse().unwrap())
        );
        let export: Export = serde_json::from_slice(body).unwrap();
        let of =
            |r: &crate::otlp::ResourceSpans| (r.resource.service(), r.scope_spans[0].spans.len());
        let services: Vec<_> = export.resource_spans.iter().map(of).collect();
        assert_eq!(
            services,
            [("get-product".to_owned(), 20), ("gateway".to_owned(), 20)]
        );
    }
    // Of the next batch, the receiver takes a part. What has come is sent before the end.
    for _ in 0..10 {
        call(&one);
    }
    forwarding.stop().await;
    assert_eq!(counter(&collector, FORWARDED), 40 + 17);
    assert_eq!(counter(&collector, DROPPED), 3);
}

#[tokio::test]
async fn a_receiver_that_refuses_or_is_down_costs_spans_that_are_counted_and_no_time() {
    let (url, _) = receiver(&[(StatusCode::BAD_REQUEST, "no")]).await;
    let collector = Collector::new(&Options::default());
    let recorder = collector.recorder("get-product", "1");
    let target = Target::new(&url).unwrap();
    let forwarding = Forwarding::start(collector.clone(), target).unwrap();
    call(&recorder);
    until(&collector, DROPPED, 2).await;
    forwarding.stop().await;

    // Nobody listens there.
    let down = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::new(&format!("http://{}", down.local_addr().unwrap())).unwrap();
    drop(down);
    let collector = Collector::new(&Options::default());
    let recorder = collector.recorder("get-product", "1");
    let limit = 100_000;
    let forwarding = Forwarding::start_with(collector.clone(), target, limit, FIRST_PAUSE).unwrap();
    for _ in 0..1000 {
        call(&recorder);
    }
    drop(collector.metrics_text());
    let waiting = {
        let state = collector.state();
        let queue = state.queue.as_ref().unwrap();
        // A buffer grows by doubling.
        assert!(queue.open.bytes() + queue.sealed_bytes < 2 * limit);
        queue.open.len() as u64 + queue.lost
    };
    assert_eq!(waiting, 2000);
    forwarding.stop().await;
    assert_eq!(counter(&collector, FORWARDED), 0);
    assert!(counter(&collector, DROPPED) > 1500);
    // It is counted and kept all the same.
    assert_eq!(counter(&collector, "zerocart_telemetry_spans"), 2000);
}

#[test]
fn a_target_that_cannot_be_is_refused() {
    for url in [
        "",
        "localhost:4318",
        "ftp://localhost",
        "http://",
        "http://user:secret@localhost",
        "http://localhost?x=secret",
        "http://localhost/#secret",
        "http://localhost/v1/traces",
        "http://local host",
    ] {
        let error = Target::new(url).expect_err(url).to_string();
        assert!(
            error.starts_with("must ") && !error.contains("secret"),
            "{url}: {error}"
        );
    }
    let target = || Target::new("https://example.com:4318/otlp").unwrap();
    assert_eq!(target().url, "https://example.com:4318/otlp/v1/traces");
    assert!(target().with_headers("").unwrap().headers.is_empty());
    for headers in ["a=b,secret", "a=b,se cret=1", "a=b,c=secret%0a"] {
        let error = target().with_headers(headers).unwrap_err().to_string();
        assert!(
            error.contains("member 2") && !error.contains("secret"),
            "{error}"
        );
    }
}
