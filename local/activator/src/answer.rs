//! The activator's own answers, in the form that the caller speaks: RFC 9457 problem details,
//! or a gRPC status without a message.

use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

/// What gRPC encodes in `grpc-message` ("Percent-Byte" in gRPC over HTTP/2).
const GRPC_MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// Why the activator answers instead of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
    /// The time after which a retry makes sense.
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    /// The name of the gRPC status.
    pub(crate) fn code(&self) -> &'static str {
        self.kind.facts().1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No such function.
    Unknown,
    /// The function exited before it was ready, or died during the request.
    Failed,
    /// Not ready, or not answered, in time.
    Late,
    /// Too many requests are held, or the engine is stopping.
    Busy,
    /// Its head is larger than a function takes.
    TooLarge,
}

impl Kind {
    /// HTTP status, name and number of the gRPC status, title.
    fn facts(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                // The gRPC status that a client derives from a 404 (gRPC's HTTP to gRPC status
                // mapping).
                "12",
                "No such function",
            ),
            Self::Failed => (
                StatusCode::BAD_GATEWAY,
                "UNAVAILABLE",
                "14",
                "The function failed",
            ),
            Self::Late => (
                StatusCode::GATEWAY_TIMEOUT,
                "DEADLINE_EXCEEDED",
                "4",
                "The function did not answer in time",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "UNAVAILABLE",
                "14",
                "Too busy",
            ),
            Self::TooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "RESOURCE_EXHAUSTED",
                "8",
                "The head is too large",
            ),
        }
    }
}

/// The parts of a request that decide the form of its answer.
#[derive(Debug)]
pub(crate) struct Caller {
    grpc: Option<HeaderValue>,
    trace_id: Option<String>,
}

impl Caller {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let grpc = headers
            .get(CONTENT_TYPE)
            .filter(|value| value.as_bytes().starts_with(b"application/grpc"))
            .cloned();
        // W3C trace context: version-traceid-parentid-flags.
        let trace_id = headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split('-').nth(1))
            .filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .map(str::to_owned);
        Self { grpc, trace_id }
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
}

impl Refusal {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            retry_after: None,
        }
    }

    pub(crate) fn answer(&self, caller: &Caller) -> Response<Body> {
        let (status, code, grpc_status, title) = self.kind.facts();
        let mut response = match &caller.grpc {
            Some(content_type) => {
                let mut response = Response::new(Body::empty());
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, content_type.clone());
                headers.insert("grpc-status", HeaderValue::from_static(grpc_status));
                let message = utf8_percent_encode(&self.detail, GRPC_MESSAGE).to_string();
                if let Ok(message) = HeaderValue::try_from(message) {
                    headers.insert("grpc-message", message);
                }
                response
            }
            None => {
                let problem = Problem {
                    r#type: "about:blank",
                    title,
                    status: status.as_u16(),
                    detail: &self.detail,
                    code,
                    trace_id: caller.trace_id.as_deref(),
                };
                let body = serde_json::to_vec(&problem).expect("strings and numbers serialize");
                let mut response = Response::new(Body::from(body));
                *response.status_mut() = status;
                let content_type = HeaderValue::from_static("application/problem+json");
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }
        };
        if let Some(retry_after) = self.retry_after {
            let seconds = retry_after.as_millis().div_ceil(1000).max(1);
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn caller(headers: &[(&'static str, &'static str)]) -> Caller {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)));
        Caller::of(&headers.collect())
    }

    #[tokio::test]
    async fn a_problem_for_json() {
        let refusal = Refusal {
            retry_after: Some(Duration::from_millis(1_200)),
            ..Refusal::new(Kind::Failed, "it exited")
        };
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let response = refusal.answer(&caller(&[("traceparent", trace)]));
        assert_eq!(response.status(), 502);
        assert_eq!(response.headers()["retry-after"], "2");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "type": "about:blank", "title": "The function failed", "status": 502,
            "detail": "it exited", "code": "UNAVAILABLE",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_status_for_grpc() {
        let refusal = Refusal::new(Kind::Late, "100 % läte\nreally");
        let response = refusal.answer(&caller(&[("content-type", "application/grpc+proto")]));
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/grpc+proto");
        assert_eq!(headers["grpc-status"], "4");
        assert_eq!(headers["grpc-message"], "100 %25 l%C3%A4te%0Areally");
    }
}
