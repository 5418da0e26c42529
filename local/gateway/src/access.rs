//! The access log and the metrics: one line and one sample for each request, when it is over.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;
use zerocart_telemetry::{Kind, Recorder, Span, Trace, TraceContext};

use crate::config::Route;
use crate::plugins::jwt::Identity;
use crate::plugins::prometheus::{Metrics, Sample};

/// nginx's status for a client that left before its answer.
const CLIENT_LEFT: u16 = 499;

/// The methods that traces name. All others are `_OTHER`, because anybody can make one up.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];

const TRACEPARENT: &str = "traceparent";

/// Follows a request. It reports when it is dropped: after the last byte of the answer, or when the
/// client leaves.
#[derive(Debug)]
pub(crate) struct Observation {
    metrics: Arc<Metrics>,
    pub(crate) started: Instant,
    method: Method,
    pub(crate) request_id: HeaderValue,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) status: u16,
    /// When the request was first sent on.
    pub(crate) sent: Option<Instant>,
    /// When the head of the upstream's answer came.
    pub(crate) answered: Option<Instant>,
    span: Option<Span>,
}

impl Observation {
    pub(crate) fn new(metrics: &Arc<Metrics>, method: &Method, request_id: HeaderValue) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            started: Instant::now(),
            method: method.clone(),
            request_id,
            route: None,
            identity: None,
            status: CLIENT_LEFT,
            sent: None,
            answered: None,
            span: None,
        }
    }

    /// The gateway's span of the request, under that of a client which sent a valid `traceparent`.
    pub(crate) fn begin_span(&mut self, recorder: &Recorder, headers: &HeaderMap) {
        if recorder.is_on() {
            let trace = Trace::begin(recorder, TraceContext::from_headers(headers));
            // Named by its route, at its end.
            let mut span = trace.root("HTTP", Kind::Server);
            span.began_at(self.started.into_std());
            self.span = Some(span);
        }
    }

    /// Makes the gateway's span the parent of the upstream's.
    pub(crate) fn parent(&self, headers: &mut HeaderMap) {
        if let Some(span) = &self.span
            && let Ok(parent) = HeaderValue::try_from(span.context().to_string())
        {
            headers.insert(TRACEPARENT, parent);
        }
    }

    fn end_span(&mut self) {
        let Some(mut span) = self.span.take() else {
            return;
        };
        let method = METHODS.contains(&self.method).then(|| self.method.as_str());
        // The conventions have this word for the name of a span.
        let word = method.unwrap_or("HTTP");
        let name = match self.route.as_deref() {
            Some(route) => {
                span.set("http.route", route.template.as_str());
                // A path has ids of people, and what clients have put there by mistake.
                span.set("url.path", route.template.as_str());
                span.set("zerocart.gateway.route", route.name.as_str());
                format!("{word} {}", route.template)
            }
            None => word.to_owned(),
        };
        span.rename(Arc::<str>::from(name));
        span.set("url.scheme", "http");
        span.set("http.request.method", method.unwrap_or("_OTHER"));
        if self.status != CLIENT_LEFT {
            span.set("http.response.status_code", self.status);
        }
        span.set("zerocart.gateway.from_upstream", self.answered.is_some());
        if let Some(sent) = self.sent {
            let trace = span.trace();
            let mut plugins = trace.span("plugins", Kind::Internal);
            plugins.began_at(self.started.into_std());
            plugins.end_at(sent.into_std());
        }
        if self.status >= 500 {
            span.fail(status_text(self.status), "");
        } else if self.status == CLIENT_LEFT {
            span.fail("cancelled", "the client went away");
        }
        span.end();
    }

    /// Until the request was sent on, or until now.
    pub(crate) fn proxy_latency(&self) -> Duration {
        self.sent.unwrap_or_else(Instant::now) - self.started
    }

    /// From sending the request on to the head of the answer.
    pub(crate) fn upstream_latency(&self) -> Option<Duration> {
        Some(self.answered? - self.sent?)
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.end_span();
        let total_ms = milliseconds(self.started.elapsed());
        let kong_ms = milliseconds(self.proxy_latency());
        let upstream_ms = self.upstream_latency().map(milliseconds);
        let route = self.route.as_deref();
        // Never logs the path, the query, a header or the body: they may hold secrets.
        tracing::info!(
            method = self.method.as_str(),
            route = route.map(|route| route.name.as_str()),
            service = route.map(|route| route.service.name.as_str()),
            status = self.status,
            latency_ms = total_ms,
            upstream_ms,
            request_id = self.request_id.to_str().ok(),
            "request"
        );
        let Some(route) = route else { return };
        if let Some(prometheus) = &route.plugins.prometheus {
            prometheus.record(
                &self.metrics,
                &Sample {
                    service: &route.service.name,
                    route: &route.name,
                    status: self.status,
                    from_upstream: self.answered.is_some(),
                    consumer: self.identity.as_deref().map(|who| who.username.as_str()),
                    total_ms,
                    kong_ms,
                    upstream_ms,
                },
            );
        }
    }
}

/// One of few words for `error.type`.
fn status_text(status: u16) -> &'static str {
    match status {
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => "5xx",
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
