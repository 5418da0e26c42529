//! Errors on the wire: RFC 9457 problem documents over HTTP, status with details over gRPC.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use tonic::Code;
use tonic_types::{
    BadRequest, ErrorDetail, ErrorInfo, FieldViolation, RequestInfo, RetryInfo, StatusExt,
};

use zerocart_core::{Error, Kind, trace::TraceContext};

use zerocart_telemetry::redact::text;

/// `google.rpc.ErrorInfo.domain`.
const DOMAIN: &str = "zerocart";

/// The media type of a problem document.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The problem document of `error`.
pub(crate) fn http(error: &Error, trace: &TraceContext) -> Response<Body> {
    http_with(error, trace, Map::new())
}

/// The problem document of `error`, with `members` beside its own.
pub(crate) fn http_with(
    error: &Error,
    trace: &TraceContext,
    members: Map<String, Value>,
) -> Response<Body> {
    let status =
        StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut document = members;
    // No page describes the problem beyond its code: RFC 9457, section 4.2.1.
    document.insert("type".into(), "about:blank".into());
    document.insert("title".into(), error.kind().title().into());
    document.insert("status".into(), status.as_u16().into());
    document.insert("detail".into(), text(error.message()).into());
    document.insert("code".into(), error.kind().name().into());
    document.insert("trace_id".into(), trace.trace_id().into());
    if !error.violations().is_empty() {
        let errors: Vec<Value> = error
            .violations()
            .iter()
            .map(|v| json!({"field": text(&v.field), "description": text(&v.description)}))
            .collect();
        document.insert("errors".into(), errors.into());
    }
    for (key, value) in error.metadata() {
        document.insert((*key).into(), text(value).into());
    }
    let mut response = Response::new(Body::from(Value::Object(document).to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    if let Some(after) = error.retry_after() {
        // Whole seconds, rounded up: RFC 9110, section 10.2.3.
        let seconds = after.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
            headers.insert(header::RETRY_AFTER, value);
        }
    }
    // What would have been taken (RFC 9110, section 12.5.3).
    if error
        .violations()
        .iter()
        .any(|v| v.field == "content-encoding")
    {
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
    }
    if error.kind() == Kind::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The gRPC status of `error`, with `google.rpc` details.
pub(crate) fn grpc(error: &Error, trace: &TraceContext) -> tonic::Status {
    let metadata = error
        .metadata()
        .iter()
        .map(|(key, value)| ((*key).to_owned(), text(value).into_owned()))
        .collect::<std::collections::HashMap<_, _>>();
    let mut details = vec![
        ErrorDetail::ErrorInfo(ErrorInfo::new(error.kind().name(), DOMAIN, metadata)),
        ErrorDetail::RequestInfo(RequestInfo::new(trace.trace_id(), "")),
    ];
    if !error.violations().is_empty() {
        let violations: Vec<_> = error
            .violations()
            .iter()
            .map(|v| FieldViolation::new(text(&v.field), text(&v.description)))
            .collect();
        details.push(ErrorDetail::BadRequest(BadRequest::new(violations)));
    }
    if let Some(after) = error.retry_after() {
        details.push(ErrorDetail::RetryInfo(RetryInfo::new(Some(after))));
    }
    tonic::Status::with_error_details_vec(
        Code::from(error.grpc_code()),
        text(error.message()),
        details,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_kind_is_the_one_of_its_name() {
        for kind in Kind::ALL {
            let code = format!("{:?}", Code::from(kind.grpc_code()));
            assert_eq!(kind.name().replace('_', ""), code.to_uppercase());
        }
    }
}
