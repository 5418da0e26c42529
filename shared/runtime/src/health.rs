//! Liveness, readiness and metrics, over HTTP and as `grpc.health.v1.Health`.

use axum::{body::Body, extract::State};
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};
use tonic::{Request, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

use zerocart_core::{Error, Function};

use crate::invoke::Runtime;

/// `GET /health`: the process lives. Touches nothing else, because Knative asks every 50 ms.
pub(crate) async fn live<F: Function>(State(runtime): State<Runtime<F>>) -> Response<Body> {
    document(StatusCode::OK, "ok", runtime.function().health())
}

/// `GET /health` of what has nothing to say beside it.
pub(crate) async fn ok() -> Response<Body> {
    document(StatusCode::OK, "ok", Map::new())
}

/// `GET /ready`: what the function depends on answers, within a second.
pub(crate) async fn ready<F: Function>(State(runtime): State<Runtime<F>>) -> Response<Body> {
    match runtime.ready().await {
        Ok(()) => document(StatusCode::OK, "ready", runtime.function().health()),
        Err(error) => {
            log(&error);
            let mut response = document(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                runtime.function().health(),
            );
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

/// `GET /metrics`.
pub(crate) async fn metrics<F: Function>(State(runtime): State<Runtime<F>>) -> Response<Body> {
    let (status, text) = match runtime.metrics().encode() {
        Ok(text) => (StatusCode::OK, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    response
}

fn document(status: StatusCode, word: &'static str, more: Map<String, Value>) -> Response<Body> {
    let mut document = Map::from_iter([("status".to_owned(), Value::from(word))]);
    document.extend(more);
    let mut response = Response::new(Body::from(Value::Object(document).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn log(error: &Error) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(reason = error.message(), cause, "not ready");
}

/// `grpc.health.v1.Health`.
pub(crate) struct GrpcHealth<F>(pub(crate) Runtime<F>);

impl<F: Function> GrpcHealth<F> {
    /// The status of `service`: the whole process (""), or the service of the function's RPC.
    async fn status(&self, service: &str) -> Result<HealthCheckResponse, Status> {
        let ours = Runtime::<F>::INFO.grpc_path.split('/').nth(1);
        if !service.is_empty() && Some(service) != ours {
            return Err(Status::not_found("this function serves no such service"));
        }
        let status = match self.0.ready().await {
            Ok(()) => ServingStatus::Serving,
            Err(error) => {
                log(&error);
                ServingStatus::NotServing
            }
        };
        Ok(HealthCheckResponse {
            status: status.into(),
        })
    }
}

#[tonic::async_trait]
impl<F: Function> Health for GrpcHealth<F> {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        let status = self.status(&request.get_ref().service).await?;
        Ok(tonic::Response::new(status))
    }

    type WatchStream = stream::Once<std::future::Ready<Result<HealthCheckResponse, Status>>>;

    /// The present status, and the end of the stream: a watch held open would keep a function
    /// from scaling to zero.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        let status = self.status(&request.get_ref().service).await?;
        Ok(tonic::Response::new(stream::once(std::future::ready(Ok(
            status,
        )))))
    }
}
