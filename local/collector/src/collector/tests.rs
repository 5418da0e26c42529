use zerocart_telemetry::{Kind, Trace, TraceContext};

use super::*;

/// A call with a statement and an attempt, of this trace.
fn call(recorder: &Recorder, context: TraceContext, error: Option<&str>, cold: bool) {
    let trace = Trace::begin(recorder, context);
    let mut call = trace.root("POST /carts/{user_id}/items", Kind::Server);
    call.set("zerocart.protocol", "json");
    let mut statement = call.trace().span("INSERT items", Kind::Client);
    statement.set("db.system.name", "postgresql");
    statement.set("db.query.summary", "INSERT items");
    statement.end();
    let mut attempt = call
        .trace()
        .span("product.ProductService/GetProduct", Kind::Client);
    attempt.set("rpc.service", "product.ProductService");
    attempt.set("faas.invoked_name", "get-product");
    attempt.set("zerocart.breaker.state", "closed");
    attempt.set("http.request.resend_count", 1_u16);
    if let Some(error) = error {
        attempt.fail(error, "");
    }
    attempt.end();
    if cold {
        call.keep();
    }
    call.set("zerocart.code", error.map_or("OK", |_| "UNAVAILABLE"));
    call.set("faas.coldstart", cold);
    if let Some(error) = error {
        call.fail(error, "it failed");
    }
    call.end();
}

fn has(text: &str, line: &str) {
    let found = text
        .lines()
        .any(|known| known == line || known.starts_with(&format!("{line} # {{")));
    assert!(found, "{line}\nis not in\n{text}");
}

/// A trace context of a caller who does not sample.
fn unsampled() -> TraceContext {
    let mut headers = http::HeaderMap::new();
    let value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    headers.insert("traceparent", http::HeaderValue::from_static(value));
    TraceContext::from_headers(&headers)
}

#[test]
fn calls_attempts_and_statements_are_counted_by_function() {
    let collector = Collector::new(&Options::default());
    let recorder = collector.recorder("add-to-cart", "1");
    call(&recorder, TraceContext::new(), None, true);
    call(&recorder, TraceContext::new(), None, false);
    let failed = TraceContext::new();
    call(&recorder, failed, Some("timeout"), false);
    let text = collector.metrics_text();
    for line in [
        r#"zerocart_calls_total{function="add-to-cart",protocol="json",code="OK"} 2"#,
        r#"zerocart_calls_total{function="add-to-cart",protocol="json",code="UNAVAILABLE"} 1"#,
        r#"zerocart_call_duration_seconds_count{function="add-to-cart",protocol="json"} 3"#,
        r#"zerocart_cold_starts_total{function="add-to-cart"} 1"#,
        r#"zerocart_attempts_total{function="add-to-cart",callee="get-product",error_type="",breaker_state="closed"} 2"#,
        r#"zerocart_attempts_total{function="add-to-cart",callee="get-product",error_type="timeout",breaker_state="closed"} 1"#,
        r#"zerocart_retries_total{function="add-to-cart",callee="get-product"} 3"#,
        r#"zerocart_database_statements_total{function="add-to-cart",statement="INSERT items",error_type=""} 3"#,
        r#"zerocart_database_statement_duration_seconds_bucket{le="+Inf",function="add-to-cart",statement="INSERT items"} 3"#,
        "zerocart_telemetry_spans_total 9",
        "zerocart_telemetry_ring_spans 9",
    ] {
        has(&text, line);
    }
    // The trace of a bucket.
    assert!(text.contains(" # {trace_id=\""), "{text}");

    let all = collector.traces(&Filter::default());
    assert_eq!(all.len(), 3);
    let errors: Filter = "errors".parse().unwrap();
    let errors = collector.traces(&errors);
    let [failure] = &*errors else {
        panic!("{errors:?}")
    };
    assert_eq!(failure.trace_id, failed.trace_id());
    assert_eq!((failure.code.as_str(), failure.spans), ("UNAVAILABLE", 3));
    assert_eq!(failure.root, "POST /carts/{user_id}/items");
    let count = |query: &str| collector.traces(&query.parse().unwrap()).len();
    assert_eq!(count("cold"), 1);
    assert_eq!(count("slow_ms=60000"), 0);
    assert_eq!(count("function=add-to-cart&limit=2"), 2);
    assert_eq!(count("function=get-cart"), 0);

    let id = u128::from_str_radix(&failed.trace_id(), 16).unwrap();
    let document = collector.trace(id).unwrap();
    let export: crate::otlp::Export = serde_json::from_slice(&document).unwrap();
    let spans = &export.resource_spans[0].scope_spans[0].spans;
    assert!(spans.iter().all(|span| span.trace_id == failed.trace_id()));
    assert_eq!(spans.len(), 3);
    assert_eq!(collector.trace(1), None);
}

#[test]
fn what_the_caller_does_not_sample_is_counted_and_kept_only_if_it_failed_or_was_cold() {
    let collector = Collector::new(&Options::default());
    let recorder = collector.recorder("add-to-cart", "1");
    call(&recorder, unsampled(), None, false);
    assert_eq!(collector.traces(&Filter::default()), []);
    let kept = |error, cold| {
        call(&recorder, unsampled(), error, cold);
        collector.traces(&Filter::default())[0].spans
    };
    assert_eq!(kept(None, true), 3);
    assert_eq!(kept(Some("timeout"), false), 6);
    let text = collector.metrics_text();
    has(
        &text,
        r#"zerocart_calls_total{function="add-to-cart",protocol="json",code="OK"} 2"#,
    );
}

#[test]
fn sagas_payments_jobs_and_starts_are_counted() {
    let collector = Collector::new(&Options::default());
    let recorder = collector.recorder("recover-orders", "1");
    let trace = Trace::begin(&recorder, TraceContext::new());
    let mut run = trace.root("recover-orders", Kind::Internal);
    run.set("faas.trigger", "timer");
    let span = |name: &'static str, attributes: &[(&'static str, &str)]| {
        let mut span = run.trace().span(name, Kind::Internal);
        for (key, value) in attributes {
            span.set(key, *value);
        }
        span
    };
    span(
        "charge",
        &[
            ("zerocart.saga.step", "charging"),
            ("zerocart.saga.outcome", "done"),
        ],
    )
    .end();
    let mut lost = span("charge", &[("zerocart.saga.step", "charging")]);
    lost.fail("lease_lost", "another driver has taken over");
    lost.end();
    let order = |step, status| {
        let attributes = [
            ("zerocart.order.status", status),
            ("zerocart.saga.step", step),
            ("zerocart.order.cause", "declined"),
        ];
        span("drive order", &attributes).end();
    };
    order("ended", "FAILED");
    // It was put off.
    order("refunding", "FAILED");
    let reply = [
        ("zerocart.provider.operation", "CHARGE"),
        ("zerocart.provider.reply", "DECLINED"),
    ];
    span("payment provider", &reply).end();
    span("database session", &[("db.system.name", "postgresql")]).end();
    for phase in ["process start", "listen", "first database session"] {
        span(phase, &[]).end();
    }
    run.end();
    let text = collector.metrics_text();
    for line in [
        r#"zerocart_saga_steps_total{step="charge",outcome="done"} 1"#,
        r#"zerocart_saga_steps_total{step="charge",outcome="lease_lost"} 1"#,
        r#"zerocart_orders_total{status="FAILED",cause="declined"} 1"#,
        r#"zerocart_payment_provider_replies_total{operation="CHARGE",reply="DECLINED"} 1"#,
        r#"zerocart_job_runs_total{job="recover-orders",error_type=""} 1"#,
        r#"zerocart_job_duration_seconds_count{job="recover-orders"} 1"#,
        r#"zerocart_database_session_wait_seconds_count{function="recover-orders"} 1"#,
        r#"zerocart_cold_start_phase_duration_seconds_count{function="recover-orders",phase="process start"} 1"#,
        r#"zerocart_cold_start_phase_duration_seconds_count{function="recover-orders",phase="listen"} 1"#,
        r#"zerocart_cold_start_phase_duration_seconds_count{function="recover-orders",phase="first database session"} 1"#,
    ] {
        has(&text, line);
    }
}

#[test]
fn a_bad_line_is_counted_and_costs_no_other_one() {
    let collector = Collector::new(&Options::default());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let recorder = Recorder::new(&Resource::new("add-to-cart", "1"), move |line: &[u8]| {
        lock(&written).extend_from_slice(line);
    });
    call(&recorder, TraceContext::new(), None, false);
    let good = lock(&lines).clone();
    let bad = b"{\"resourceSpans\":[{]}\n".as_slice();
    collector
        .source()
        .take(&[bad, &good, &good[..100], b"\n", &good].concat());
    let text = collector.metrics_text();
    has(&text, "zerocart_telemetry_bad_lines_total 2");
    has(
        &text,
        r#"zerocart_calls_total{function="add-to-cart",protocol="json",code="OK"} 2"#,
    );
}

#[test]
fn series_are_bounded() {
    let collector = Collector::new(&Options::default());
    for number in 0..3000 {
        let recorder = collector.recorder(&format!("function-{number}"), "1");
        call(&recorder, TraceContext::new(), None, false);
    }
    let text = collector.metrics_text();
    let series = text
        .lines()
        .filter(|line| line.starts_with("zerocart_calls_total"))
        .count();
    assert_eq!(series, 2001);
    has(
        &text,
        r#"zerocart_calls_total{function="other",protocol="other",code="other"} 1000"#,
    );
}
