//! gRPC server reflection: what services there are and what their messages are, so that a client such
//! as grpcurl needs no `.proto` files.
//!
//! It is not a function, since no RPC of the contract is served here; it scales to zero as they do, at
//! the same public address. It knows the descriptors and nothing else: no database, no keys, nobody's
//! data. So anyone may ask, as with `/openapi.json`.
//!
//! At the gateway, a stream counts once against the client's limit, for any number of questions. So
//! a stream has its own limits: the size of the questions, the size of the answers, and the time
//! that `knative/edge` allows. At a limit, the stream ends with RESOURCE_EXHAUSTED, and the client
//! may begin another.

mod bounded;

use axum::Router;
use tonic_reflection::server::{Builder, Error};
use tower::layer::layer_fn;
use zerocart_core::{Env, Platform, StartError};
use zerocart_runtime::{Built, Service};

pub use bounded::{MAX_ANSWER_BYTES, MAX_QUESTION_BYTES};

/// The service, for the engine that runs it.
pub const SERVICE: Service = Service {
    name: "grpc-reflection",
    build,
};

fn build(_: Platform, _: Env) -> Result<Built, StartError> {
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
    Ok(Router::new()
        .route_service(
            "/grpc.reflection.v1.ServerReflection/{*method}",
            builder().build_v1()?,
        )
        .route_service(
            "/grpc.reflection.v1alpha.ServerReflection/{*method}",
            builder().build_v1alpha()?,
        )
        .layer(layer_fn(bounded::Bounded::new)))
}

#[cfg(test)]
mod tests;
