//! A real OpenTelemetry Collector with the configuration of a cluster: it keeps the traces that functions wrote,
//! and counts what the collector of the local engine counts from the same lines.

mod cloudwatch;
mod otelcol;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use zerocart_collector::{Collector, Options};
use zerocart_core::trace::{Kind, Recorder, Resource, Trace, TraceContext};
use zerocart_observability::metrics;

use super::{
    stage::{Provider, Stage, post_order, send},
    traces::{Recorded, recorded_spans},
    until,
};
use otelcol::{OtelCollector, Receiver, write_log};

/// A call that its caller does not sample. The local engine counts it and does not keep it.
const UNSAMPLED: &str = "00-99999999999999999999999999999999-00f067aa0ba902b7-00";

/// The container runtime divides longer lines.
const CHUNK: usize = 16 * 1024;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenTelemetry Collector: just collector-test"]
async fn a_real_collector_keeps_and_counts_what_the_local_one_does() {
    let logs = written().await;
    let all: String = logs.iter().map(|(_, text)| text.as_str()).collect();
    let lines = || all.lines();
    // What this test is about is there.
    assert!(lines().any(|line| line.starts_with("{\"resourceSpans\"") && line.len() > CHUNK));
    assert!(lines().any(|line| !line.starts_with("{\"resourceSpans\"")));

    let wanted = counted_here(&logs);

    let receiver = Receiver::start().await;
    // A part is there before the Collector starts, the rest comes while it reads.
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, text) in &logs {
        write_log(folder.path(), name, &half(text).0);
    }
    let collector = OtelCollector::start(folder.path(), &receiver).await;
    for (name, text) in &logs {
        write_log(folder.path(), name, &half(text).1);
    }

    agrees(&collector, &receiver, &all, &wanted).await;

    // An exemplar is shown until the next interval begins, and names a trace that was kept.
    let traces: BTreeSet<_> = kept_traces(&all);
    let mut more = 0;
    let exemplar = until("a histogram has an exemplar", async || {
        let text = collector.metrics().await?;
        text.split("# {trace_id=\"")
            .nth(1)?
            .get(..32)
            .map(str::to_owned)
    });
    let exemplar = tokio::select! {
        exemplar = exemplar => exemplar,
        () = async {
            loop {
                more += 1;
                let line = lines().find(|line| line.starts_with("{\"resourceSpans\"")).unwrap_or_default();
                write_log(folder.path(), "get-product", &format!("{line}\n"));
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            }
        } => unreachable!("it has no end"),
    };
    assert!(
        traces.contains(&exemplar),
        "{exemplar} after {more} more lines"
    );

    // Kong and Knative send theirs.
    collector.send(include_str!("collector/kong.json")).await;
    until("a span that was sent has arrived", async || {
        let spans = receiver.spans();
        spans
            .iter()
            .any(|span| span.function == "kong")
            .then_some(())
    })
    .await;
    collector.stop().await;
}

/// What the collector of the local engine counts from these logs.
fn counted_here(logs: &[(String, String)]) -> BTreeMap<String, f64> {
    let local = Collector::new(&Options::default());
    for (_, text) in logs {
        let mut source = local.source();
        for line in text
            .lines()
            .filter(|line| line.starts_with("{\"resourceSpans\""))
        {
            source.take(format!("{line}\n").as_bytes());
        }
    }
    let counted = series(&local.metrics_text());
    assert!(counted.len() > 100, "{counted:#?}");
    counted
}

/// Waits until all spans of these logs are in the store of traces, and the Collector has counted them. Each span is
/// there once and as it was written, and each series has the value that is wanted.
async fn agrees(
    collector: &OtelCollector,
    receiver: &Receiver,
    all: &str,
    wanted: &BTreeMap<String, f64>,
) {
    let expected = kept(all);
    until("all spans have arrived", async || {
        (receiver.spans().len() >= expected.len()).then_some(())
    })
    .await;
    let mut counted = BTreeMap::new();
    let equal = until("the same is counted", async || {
        counted = series(&collector.metrics().await?);
        let missing = wanted.keys().any(|name| !counted.contains_key(name));
        (!missing && calls(&counted) == calls(wanted)).then_some(())
    });
    equal.await;
    for (name, value) in wanted {
        let same = counted.get(name).is_some_and(|other| {
            // A sum of durations is added up in another order.
            (value - other).abs() <= value.abs() * 1e-9
        });
        assert!(same, "{name}: {value} here, {:?} there", counted.get(name));
    }
    let more: Vec<_> = counted
        .keys()
        .filter(|name| !wanted.contains_key(*name))
        .collect();
    assert!(more.is_empty(), "{more:#?}");

    // Each once, and as it was written.
    let arrived = receiver.spans();
    let shown = |spans: &[Recorded]| {
        let mut shown: Vec<_> = spans.iter().map(|span| format!("{span:?}")).collect();
        shown.sort();
        shown
    };
    assert_eq!(shown(&arrived), shown(&expected));
}

/// What functions and a job write in some orders, by their names.
async fn written() -> Vec<(String, String)> {
    let stage = Stage::new().await;
    let otlp = [("LOG_FORMAT", "otlp"), ("LOG_LEVEL", "debug")];
    let (process, address) = stage.start("create-order", stage.order_env(&otlp)).await;
    let order = async |key: &str, parent: Option<&'static str>| {
        let product = stage.shop.product(450, 10).await;
        let buyer = stage.shop.buyer();
        stage.add(&buyer, product, 1).await;
        let mut request = post_order(&buyer, key);
        if let Some(parent) = parent {
            let value = http::HeaderValue::from_static(parent);
            request.headers_mut().insert("traceparent", value);
        }
        send(address, request)
            .await
            .expect("it lives")
            .status
            .as_u16()
    };
    assert_eq!(order("first", None).await, 201);
    assert_eq!(order("second", None).await, 201);
    assert_eq!(order("unsampled", Some(UNSAMPLED)).await, 201);
    stage.shop.provider(Provider::DECLINES).await;
    order("declined", None).await;
    stage.shop.provider(Provider::DOWN).await;
    order("down", None).await;
    stage.shop.provider(Provider::WORKS).await;
    // SIGKILL: all was written before the answers.
    process.kill().await;
    stage.shop.lapse().await;
    stage.recover().await;

    let mut logs = stage.lines();
    logs.push(("get-product".to_owned(), long_line()));
    for name in ["create-order", "recover-orders"] {
        let log = fs::read_to_string(stage.shop.log(name)).expect("there is a log");
        logs.push((name.to_owned(), log));
    }
    logs
}

/// A call with so many statements that the container runtime divides its line.
fn long_line() -> String {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let recorder = Recorder::new(
        &Resource::new("get-product", "test"),
        move |line: &[u8]| {
            kept.lock()
                .expect("nobody panics here")
                .extend_from_slice(line);
        },
    );
    let trace = Trace::begin(&recorder, TraceContext::new());
    let mut call = trace.root("GET /products/{id}", Kind::Server);
    for _ in 0..100 {
        let mut statement = call.trace().span("SELECT products", Kind::Client);
        statement.set("db.system.name", "postgresql");
        statement.set("db.query.summary", "SELECT products");
        statement.end();
    }
    call.set("zerocart.protocol", "json");
    call.set("zerocart.code", "OK");
    call.end();
    let lines = lines.lock().expect("nobody panics here");
    String::from_utf8(lines.clone()).expect("it is JSON")
}

/// The first lines of a log, and the others.
fn half(text: &str) -> (String, String) {
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    (first.concat(), second.concat())
}

/// The spans of a log that are kept: all but those that are only counted.
fn kept(text: &str) -> Vec<Recorded> {
    let unwanted = |line: &Value| {
        let spans = &line["resourceSpans"][0]["scopeSpans"][0]["spans"];
        let span = &spans[0];
        let cold = span["attributes"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|attribute| {
                attribute["key"] == "faas.coldstart" && attribute["value"]["boolValue"] == true
            });
        spans.as_array().is_some_and(|spans| spans.len() == 1)
            && span["flags"].as_u64().is_some_and(|flags| flags & 1 == 0)
            && span["status"]["code"] != 2
            && !cold
    };
    let lines = text
        .lines()
        .filter(|line| line.starts_with("{\"resourceSpans\""));
    let lines = lines.map(|line| serde_json::from_str(line).expect("a line of spans is JSON"));
    let (only_counted, kept): (Vec<Value>, Vec<Value>) = lines.partition(unwanted);
    assert!(!only_counted.is_empty(), "no call is unsampled");
    kept.iter().flat_map(recorded_spans).collect()
}

fn kept_traces(text: &str) -> BTreeSet<String> {
    let lines = text
        .lines()
        .filter(|line| line.starts_with("{\"resourceSpans\""));
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"));
    let ids = lines.flat_map(|line| {
        let spans = line["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
        let spans = spans.as_array().cloned().unwrap_or_default().into_iter();
        spans.filter(|span| span["flags"].as_u64().is_some_and(|flags| flags & 1 == 1))
    });
    ids.filter_map(|span| span["traceId"].as_str().map(str::to_owned))
        .collect()
}

/// The calls of all functions.
fn calls(series: &BTreeMap<String, f64>) -> f64 {
    let calls = series
        .iter()
        .filter(|(name, _)| name.starts_with("zerocart_calls_total"));
    calls.map(|(_, value)| value).sum()
}

/// The series of metrics that are made of spans: name and labels without the empty ones, and the value.
fn series(text: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let line = line.split(" # {").next().unwrap_or(line);
        let (series, value) = line.rsplit_once(' ').expect("a series has a value");
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.trim_end_matches('}')),
            None => (series, ""),
        };
        let of_spans = metrics::find(name)
            .is_some_and(|metric| matches!(metric.source, metrics::Source::Spans { .. }));
        if !of_spans {
            continue;
        }
        // No value of a label has a comma before a quote.
        let labels: BTreeSet<_> = labels
            .split("\",")
            .map(|label| label.trim_end_matches('"'))
            .filter(|label| !label.ends_with("=\"") && !label.is_empty())
            .map(|label| match label.strip_prefix("le=\"") {
                Some("+Inf") | None => label.to_owned(),
                Some(bound) => format!(
                    "le=\"{}",
                    bound.parse::<f64>().expect("a bound is a number")
                ),
            })
            .collect();
        let value = value.parse().expect("a value is a number");
        all.insert(format!("{name}{labels:?}"), value);
    }
    all
}
