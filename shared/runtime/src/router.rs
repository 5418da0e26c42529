//! The routes of a function: its one RPC, health, metrics, and a clean answer to all else.

use axum::{
    Router,
    body::Body,
    routing::{MethodFilter, get, on, post},
};
use http::{HeaderValue, Request, Response, header};
use tonic_health::pb::health_server::HealthServer;
use zerocart_proto::rpc::Rpc;

use crate::{
    error::{Error, Kind},
    function::Function,
    grpc, health,
    invoke::Runtime,
    json, problem,
    trace::TraceContext,
};

/// Everything that a function answers, on its one port.
pub(crate) fn router<F: Function>(runtime: Runtime<F>) -> Router {
    let info = &F::Rpc::INFO;
    let health_service = HealthServer::new(health::GrpcHealth(runtime.clone()));
    Router::new()
        .route(
            info.http_path,
            on(method(info.http_method), json::call::<F>).fallback(wrong_method::<F>),
        )
        .route(info.grpc_path, post(grpc::call::<F>).fallback(post_only))
        .route("/health", get(health::live::<F>).fallback(get_only))
        .route("/ready", get(health::ready::<F>).fallback(get_only))
        .route("/metrics", get(health::metrics::<F>).fallback(get_only))
        .route_service("/grpc.health.v1.Health/{*method}", health_service)
        .fallback(nothing_here)
        .with_state(runtime)
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

async fn nothing_here(request: Request<Body>) -> Response<Body> {
    let trace = TraceContext::from_headers(request.headers());
    let is_grpc = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if is_grpc {
        let error = Error::new(Kind::Unimplemented, "this function serves another RPC");
        return problem::grpc(&error, &trace).into_http();
    }
    problem::http(&Error::not_found("this function has no such path"), &trace)
}

async fn wrong_method<F: Function>(request: Request<Body>) -> Response<Body> {
    let allowed = match F::Rpc::INFO.http_method {
        // The router answers HEAD with the head of GET.
        "GET" => "GET, HEAD",
        method => method,
    };
    not_allowed(&request, allowed)
}

async fn post_only(request: Request<Body>) -> Response<Body> {
    not_allowed(&request, "POST")
}

async fn get_only(request: Request<Body>) -> Response<Body> {
    not_allowed(&request, "GET, HEAD")
}

fn not_allowed(request: &Request<Body>, allowed: &'static str) -> Response<Body> {
    let trace = TraceContext::from_headers(request.headers());
    let error = Error::new(Kind::Unimplemented, format!("this path answers {allowed}"))
        .with_http_status(405);
    let mut response = problem::http(&error, &trace);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
