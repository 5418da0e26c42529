//! The routes of a function: its one RPC, health, metrics, and a clean answer to all else.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    routing::{MethodFilter, MethodRouter, get, on, post},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use tonic_health::pb::health_server::HealthServer;
use tower::{ServiceExt, util::MapResponseLayer};
use zerocart_core::{Error, Function, Kind, trace::TraceContext};
use zerocart_framing::Refused;
use zerocart_proto::rpc::{self, Info, Rpc};

use crate::{
    frames::OneMessage,
    grpc,
    health::{self, Probed},
    invoke::Runtime,
    json, problem,
};

/// What a browser is told of every answer that says nothing else: it is JSON, for this one reader, to be
/// kept nowhere, and nothing of it is a page. HSTS is said where TLS ends, which is not here.
const PROTECTION: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

/// Everything that a function answers, on its one port.
pub(crate) fn router<F: Function>(runtime: Runtime<F>) -> Router {
    let over_json = on(method(F::Rpc::INFO.http_method), json::call::<F>);
    let over_grpc = post(grpc::call::<F>);
    routes(
        over_json.with_state(runtime.clone()),
        over_grpc.with_state(runtime.clone()),
        runtime.probed(),
    )
}

/// The same of a function whose type is not known here: this is compiled once, and not for each function.
fn routes(over_json: MethodRouter, over_grpc: MethodRouter, function: Arc<dyn Probed>) -> Router {
    let info = function.info();
    let health_service = HealthServer::new(health::GrpcHealth(Arc::clone(&function)))
        .map_request(|request: Request<Body>| request.map(OneMessage::new));
    let wrong_method = move |request| async move { wrong_method(info, &request) };
    Router::new()
        .route("/health", get(health::live).fallback(get_only))
        .route("/ready", get(health::ready).fallback(get_only))
        .route("/metrics", get(health::metrics).fallback(get_only))
        .with_state(function)
        .route(info.http_path, over_json.fallback(wrong_method))
        .route(info.grpc_path, over_grpc.fallback(post_only))
        .route_service("/grpc.health.v1.Health/{*method}", health_service)
        .fallback(nothing_here)
        .layer(MapResponseLayer::new(protect))
}

/// The routes of what is no function and depends on nothing: it is ready while it lives.
pub(crate) fn of_routes(routes: Router) -> Router {
    routes
        .route("/health", get(health::ok).fallback(get_only))
        .route("/ready", get(health::ok).fallback(get_only))
        .fallback(nothing_here)
        .layer(MapResponseLayer::new(protect))
}

/// Adds [`PROTECTION`] to what a browser may read: no client of gRPC looks at it. A header that is there
/// stays: a page says more exactly what it may do.
fn protect(mut response: Response<Body>) -> Response<Body> {
    if !is_grpc(response.headers()) {
        for (name, value) in PROTECTION {
            response.headers_mut().entry(name).or_insert(value);
        }
    }
    response
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn method(name: &str) -> MethodFilter {
    match name {
        "GET" => MethodFilter::GET,
        "PUT" => MethodFilter::PUT,
        "PATCH" => MethodFilter::PATCH,
        "DELETE" => MethodFilter::DELETE,
        _ => MethodFilter::POST,
    }
}

/// The answer to a request whose length can be understood in two ways. Nothing of it is read.
pub(crate) fn misframed(refused: Refused, headers: &HeaderMap) -> Response<Body> {
    let trace = TraceContext::from_headers(headers);
    let error = match refused {
        Refused::TwoLengths => {
            Error::field("content-length", "must not stand beside transfer-encoding")
        }
        Refused::Repeated => Error::field("transfer-encoding", "must be given once"),
        Refused::Coding => {
            Error::field("transfer-encoding", "must be chunked").with_kind(Kind::Unimplemented)
        }
    };
    let status = refused.status().as_u16();
    let mut response = protect(problem::http(&error.with_http_status(status), &trace));
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// The answer of a path that there is not: 404, and to gRPC UNIMPLEMENTED.
pub async fn nothing_here(request: Request<Body>) -> Response<Body> {
    let trace = TraceContext::from_headers(request.headers());
    if is_grpc(request.headers()) {
        let error = Error::new(Kind::Unimplemented, "this function serves another RPC");
        return problem::grpc(&error, &trace).into_http();
    }
    problem::http(&Error::not_found("this function has no such path"), &trace)
}

fn wrong_method(info: &Info, request: &Request<Body>) -> Response<Body> {
    // Those of the resource (RFC 9110, section 10.2.1), of which this function may serve one alone.
    let allowed = rpc::methods(rpc::ALL, info.http_path).join(", ");
    not_allowed(request, &allowed)
}

async fn post_only(request: Request<Body>) -> Response<Body> {
    not_allowed(&request, "POST")
}

/// The answer to another method of a path that is only read: 405, with the methods that it has.
pub async fn get_only(request: Request<Body>) -> Response<Body> {
    not_allowed(&request, "GET, HEAD")
}

fn not_allowed(request: &Request<Body>, allowed: &str) -> Response<Body> {
    let trace = TraceContext::from_headers(request.headers());
    let error = Error::new(Kind::Unimplemented, format!("this path answers {allowed}"))
        .with_http_status(405);
    let mut response = problem::http(&error, &trace);
    if let Ok(allowed) = HeaderValue::try_from(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}
