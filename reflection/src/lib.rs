//! gRPC server reflection: what services there are and what their messages are, so that a client such
//! as grpcurl needs no `.proto` files.
//!
//! It is not a function, since no RPC of the contract is served here; it scales to zero as they do, at
//! the same public address. It knows the descriptors and nothing else: no database, no keys, nobody's
//! data. So anyone may ask, as with `/openapi.json`.
//!
//! A client counts against the gateway's limit once for each stream, however much it asks on it, so a
//! stream has limits of its own: [`MAX_STREAM_BYTES`], and the time that `knative/edge` gives.

use axum::{Router, body::Body};
use http_body_util::Limited;
use tonic_reflection::server::{Builder, Error};
use tower::util::MapRequestLayer;
use zerocart_runtime::{Built, Env, Service, StartError};

/// The service, for the engine that runs it.
pub const SERVICE: Service = Service {
    name: "grpc-reflection",
    build,
};

/// The largest question, in bytes. They are names, of files and of symbols.
pub const MAX_QUESTION_BYTES: usize = 1024;

/// What one stream may ask in all, in bytes. Every file, service, method and message of this project,
/// one by one, is a third of it.
pub const MAX_STREAM_BYTES: usize = 16 * 1024;

fn build(_: Env) -> Result<Built, StartError> {
    let routes = routes().map_err(|error| StartError::Config(vec![error.to_string()]))?;
    Ok(Built::from_routes(routes))
}

/// Both versions of the protocol, which differ in nothing but their names: `v1`, and `v1alpha` for
/// clients from before 2023.
fn routes() -> Result<Router, Error> {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(zerocart_proto::DESCRIPTORS)
            // What errors carry (google.rpc.ErrorInfo and its kin), so that a client can show it.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder()
        .build_v1()?
        .max_decoding_message_size(MAX_QUESTION_BYTES);
    let v1alpha = builder()
        .build_v1alpha()?
        .max_decoding_message_size(MAX_QUESTION_BYTES);
    let limit = |request: axum::extract::Request| {
        request.map(|body| Body::new(Limited::new(body, MAX_STREAM_BYTES)))
    };
    Ok(Router::new()
        .route_service("/grpc.reflection.v1.ServerReflection/{*method}", v1)
        .route_service(
            "/grpc.reflection.v1alpha.ServerReflection/{*method}",
            v1alpha,
        )
        .layer(MapRequestLayer::new(limit)))
}

#[cfg(test)]
mod tests;
