//! Liveness, readiness and metrics, over HTTP and as `grpc.health.v1.Health`.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};
use tonic::{Request, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

use zerocart_core::{Error, Readiness, metrics::Metrics};
use zerocart_proto::rpc::Info;

/// A function as its health sees it. No type of a function is in here: what answers about health is compiled
/// once, and not for each function.
pub(crate) trait Probed: Send + Sync {
    /// The facts of its RPC.
    fn info(&self) -> &'static Info;
    /// What its answer to `GET /health` has beside `status`.
    fn health(&self) -> Map<String, Value>;
    fn metrics(&self) -> &Metrics;
    fn readiness(&self) -> &Readiness;
}

/// `GET /health`: the process lives. Touches nothing else, because Knative asks every 50 ms.
pub(crate) async fn live(State(function): State<Arc<dyn Probed>>) -> Response<Body> {
    document(StatusCode::OK, "ok", function.health())
}

/// `GET /health` of what has nothing to say beside it.
pub(crate) async fn ok() -> Response<Body> {
    document(StatusCode::OK, "ok", Map::new())
}

/// `GET /ready`: what the function depends on answers, within a second.
pub(crate) async fn ready(State(function): State<Arc<dyn Probed>>) -> Response<Body> {
    match function.readiness().check().await {
        Ok(()) => document(StatusCode::OK, "ready", function.health()),
        Err(error) => {
            log(&error);
            let mut response = document(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                function.health(),
            );
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(function): State<Arc<dyn Probed>>) -> Response<Body> {
    let (status, text) = match function.metrics().encode() {
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
pub(crate) struct GrpcHealth(pub(crate) Arc<dyn Probed>);

impl GrpcHealth {
    /// The status of `service`: the whole process (""), or the service of the function's RPC.
    async fn status(&self, service: &str) -> Result<HealthCheckResponse, Status> {
        let ours = self.0.info().grpc_path.split('/').nth(1);
        if !service.is_empty() && Some(service) != ours {
            return Err(Status::not_found("this function serves no such service"));
        }
        let status = match self.0.readiness().check().await {
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
impl Health for GrpcHealth {
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
