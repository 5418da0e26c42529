//! The span of a call.

use std::sync::Arc;

use zerocart_core::{
    Error, Kind,
    trace::{Attributes, Name, Span, Value},
};
use zerocart_proto::rpc::{Info, Rpc};

use super::Protocol;

/// What the spans of all calls have in common.
pub(super) struct Spans {
    pub(super) json: (Name, Attributes),
    pub(super) grpc: (Name, Attributes),
}

impl Spans {
    pub(super) fn new(info: &'static Info) -> Self {
        // `/order.OrderService/CreateOrder`.
        let rpc = info.grpc_path.trim_start_matches('/');
        let (service, method) = rpc.split_once('/').unwrap_or((rpc, ""));
        let route: Arc<str> = format!("{} {}", info.http_method, info.http_path).into();
        let json = Attributes::default()
            .with("zerocart.protocol", Protocol::Json.name())
            .with("faas.trigger", "http")
            .with("http.request.method", info.http_method)
            .with("http.route", info.http_path)
            // A path has ids of people, and what clients have put there by mistake.
            .with("url.path", info.http_path)
            .with("url.scheme", "http");
        let grpc = Attributes::default()
            .with("zerocart.protocol", Protocol::Grpc.name())
            .with("faas.trigger", "http")
            .with("rpc.system", "grpc")
            .with("rpc.service", service)
            .with("rpc.method", method)
            .with("server.address", info.name);
        Self {
            json: (route.into(), json),
            grpc: (rpc.into(), grpc),
        }
    }
}

/// Ends the span of a call. Refused requests are the client's errors, and their spans have not failed.
pub(super) fn end(
    mut span: Span,
    protocol: Protocol,
    status: u16,
    cold: bool,
    error: Option<&Error>,
) {
    if !span.is_on() {
        return;
    }
    let code = error.map_or("OK", |error| error.kind().name());
    span.set("zerocart.code", code);
    span.set("faas.coldstart", cold);
    match protocol {
        // Nobody got an answer.
        Protocol::Json if error.is_some_and(|error| error.kind() == Kind::Cancelled) => {}
        Protocol::Json => span.set("http.response.status_code", status),
        Protocol::Grpc => {
            let number = error.map_or(0, Error::grpc_code);
            span.set("rpc.grpc.status_code", i64::from(number));
        }
    }
    match error {
        Some(error) if status >= 500 => span.fail(code, error.message()),
        Some(error) => span.set("zerocart.reason", Value::Message(error.message())),
        None => {}
    }
    span.end();
}

/// The HTTP status of a response.
pub(super) fn success_status<R: Rpc>(message: &R::Response) -> u16 {
    match R::refusal(message) {
        Some((status, _)) => status,
        None if R::INFO.creates => 201,
        None => 200,
    }
}
