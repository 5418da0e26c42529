//! What the gateway says of itself: whether it is ready, its connections, its metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use crate::plugins::prometheus::Metrics;

/// Counts of a gateway that serves.
#[derive(Debug, Default)]
pub(crate) struct Status {
    serving: AtomicBool,
    accepted: AtomicU64,
    active: AtomicU64,
    requests: AtomicU64,
}

/// A connection, which is active as long as this lives.
#[derive(Debug)]
pub(crate) struct Active<'a>(&'a Status);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Status {
    /// Whether new connections are accepted.
    pub(crate) fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }

    pub(crate) fn connected(&self) -> Active<'_> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        Active(self)
    }

    pub(crate) fn requested(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn ready(&self) -> (StatusCode, serde_json::Value) {
        match self.serving.load(Ordering::Relaxed) {
            true => (StatusCode::OK, json!({"message": "ready"})),
            false => (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({"message": "draining"}),
            ),
        }
    }

    fn counts(&self) -> serde_json::Value {
        let accepted = self.accepted.load(Ordering::Relaxed);
        json!({"server": {
            "connections_accepted": accepted,
            "connections_handled": accepted,
            "connections_active": self.active.load(Ordering::Relaxed),
            "total_requests": self.requests.load(Ordering::Relaxed),
        }})
    }

    /// The answer of the status port.
    pub(crate) fn answer(&self, metrics: &Metrics, method: &Method, path: &str) -> Response<Body> {
        const JSON: &str = "application/json; charset=utf-8";
        const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let (status, kind, body) = match path {
            "/metrics" => (StatusCode::OK, OPEN_METRICS, metrics.text()),
            "/status" => (StatusCode::OK, JSON, self.counts().to_string()),
            "/status/ready" => {
                let (status, body) = self.ready();
                (status, JSON, body.to_string())
            }
            _ => {
                let body = json!({"message": "Not found"}).to_string();
                (StatusCode::NOT_FOUND, JSON, body)
            }
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        if status != StatusCode::NOT_FOUND && !matches!(*method, Method::GET | Method::HEAD) {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            *response.body_mut() = Body::empty();
        }
        response
    }
}
