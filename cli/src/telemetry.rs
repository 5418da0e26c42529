//! The collector of the engine: its options, and what it answers.

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery},
    routing::get,
};
use clap::Args as ClapArgs;
use http::{HeaderValue, Response, StatusCode, header};
use zerocart_activator::Activator;
use zerocart_collector::{Collector, Filter, FilterError, Forwarding, Options, Target};
use zerocart_core::Env;

use crate::{broker::Teller, gauges, status::json};

/// The headers of what is forwarded, in OpenTelemetry's variable for them. They are secret, so they are no
/// option: arguments can be read by other users.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// OpenMetrics, which alone has exemplars.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is done with the telemetry of functions.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Forward all spans to a receiver of OTLP/HTTP, such as http://localhost:4318. Its headers come from the
    /// variable OTEL_EXPORTER_OTLP_HEADERS
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// The memory for the newest traces, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    trace_memory: u16,
}

impl Args {
    /// The receiver of `--otlp`. The errors name the option or variable, and no value.
    pub(crate) fn target(&self) -> Result<Option<Target>> {
        let Some(url) = &self.otlp else {
            return Ok(None);
        };
        let target = Target::new(url).context("--otlp cannot be used")?;
        let headers = Env::of_process().get(HEADERS).map(str::to_owned);
        let target = target.with_headers(&headers.unwrap_or_default());
        target.context(HEADERS).map(Some)
    }

    pub(crate) fn collector(&self) -> Collector {
        Collector::new(&Options {
            ring_bytes: usize::from(self.trace_memory) << 20,
            ..Options::default()
        })
    }
}

/// Begins to forward, if there is a receiver.
pub(crate) fn forward(collector: &Collector, target: Option<Target>) -> Result<Option<Forwarding>> {
    let forwarding = target.map(|target| Forwarding::start(collector.clone(), target));
    forwarding.transpose().context("--otlp cannot be used")
}

/// `GET /traces`, `GET /traces.json`, `GET /traces/{id}`, and `GET /metrics`, to whose text that of the gateway
/// and of the engine's state are added.
pub(crate) fn router(
    collector: Collector,
    activator: Activator,
    sessions: Teller,
    gateway: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router {
    let (of_list, of_export, of_trace) = (collector.clone(), collector.clone(), collector.clone());
    let list = async move |query: RawQuery| {
        answer(query, move |filter| {
            let traces = of_list.traces(filter);
            json(StatusCode::OK, &traces)
        })
        .await
    };
    let export = async move |query: RawQuery| {
        answer(query, move |filter| {
            document(of_export.export_traces(filter))
        })
        .await
    };
    let trace = async move |Path(id): Path<String>| {
        let number = u128::from_str_radix(&id, 16)
            .ok()
            .filter(|_| id.len() == 32);
        let Some(number) = number else {
            return json(
                StatusCode::BAD_REQUEST,
                &"a trace id has 32 hexadecimal digits",
            );
        };
        let found = tokio::task::spawn_blocking(move || of_trace.trace(number)).await;
        match found.ok().flatten() {
            Some(spans) => document(spans),
            None => json(StatusCode::NOT_FOUND, &format!("there is no trace {id}")),
        }
    };
    let metrics = async move || {
        let sessions = sessions.status().await;
        let state = gauges::text(&activator.status(), sessions.as_ref());
        // The gateway's ends with the mark that ends all.
        let text = format!("{}{state}{}", collector.metrics_text(), gateway());
        typed(text.into_bytes(), OPEN_METRICS)
    };
    Router::new()
        .route("/traces", get(list))
        .route("/traces.json", get(export))
        .route("/traces/{id}", get(trace))
        .route("/metrics", get(metrics))
}

/// Looks through all traces, which takes some milliseconds, on a thread where nobody waits for that.
async fn answer(
    RawQuery(query): RawQuery,
    find: impl FnOnce(&Filter) -> Response<Body> + Send + 'static,
) -> Response<Body> {
    let filter: Result<Filter, FilterError> = query.unwrap_or_default().parse();
    match filter {
        Ok(filter) => {
            let found = tokio::task::spawn_blocking(move || find(&filter)).await;
            found
                .unwrap_or_else(|error| json(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))
        }
        Err(error) => json(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn document(spans: Vec<u8>) -> Response<Body> {
    typed(spans, "application/json")
}

fn typed(body: Vec<u8>, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
