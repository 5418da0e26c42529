//! The access log and the metrics: one line and one sample for each request, when it is over.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method};
use tokio::time::Instant;

use crate::config::Route;
use crate::plugins::jwt::Identity;
use crate::plugins::prometheus::{Metrics, Sample};

/// nginx's status for a client that left before its answer.
const CLIENT_LEFT: u16 = 499;

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
        }
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

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
