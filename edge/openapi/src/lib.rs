//! The OpenAPI 3.1 document of the public REST API, made from the descriptors of `proto/`.
//!
//! Routes, fields, their rules, who may call and every comment are read from what the functions are
//! built from ([`zerocart_proto::DESCRIPTORS`]); what is the same for all of them, such as errors, is
//! written once in `answers`. Nothing of this is in a function's binary: the engine and the tests
//! alone depend on this crate.

mod answers;
mod comments;
mod headers;
mod operations;
mod parameters;
mod rules;
mod schemas;

use anyhow::{Context, Result};
use prost_reflect::DescriptorPool;
use serde_json::{Map, Value, json};
use zerocart_proto::rpc::{self, Info};

use comments::Comments;
use schemas::Schemas;

/// The version of OpenAPI.
const OPENAPI: &str = "3.1.1";

/// What a reader must know that no single operation says.
const DESCRIPTION: &str = "\
Order management in which each RPC is its own function. Every operation is also there as gRPC, on \
the same port.

**JSON.** Requests are proto3 JSON, in UTF-8: a field that is absent or `null` has its default value, a \
number may be written as a string, and an enum value as its number. How many decimal places a number has \
counts as it is written, but for zeros at its end. A field that is not described is refused; a query \
parameter that is not described is ignored, unless it is a field of the body. A UUID in capitals is the \
same UUID; answers write it in lower case. Answers write all fields, also those that have their default value; new ones may be added to them.

**Errors** of a function are problem documents (RFC 9457) with a stable `code`. What the gateway refuses \
itself, before a function is asked, is `application/json` with a `message`.

**HTTP.** `HEAD` is answered wherever `GET` is, as `GET` is, without a body. Another method than those of a \
path is 405 with `Allow`. Bodies are not coded (`Content-Encoding`), and resources have no entity tags.

**Retries.** An operation that writes takes an `Idempotency-Key`: the same key and request give the \
same answer, and the effect once.";

/// The document.
///
/// # Errors
///
/// When the descriptors say something that has no form in OpenAPI. A test makes the document of
/// those that are built in, so that this does not happen to a user.
pub fn document() -> Result<Value> {
    of(zerocart_proto::DESCRIPTORS, rpc::ALL)
}

/// The document of other descriptors.
///
/// # Errors
///
/// As [`document`].
pub fn of(descriptors: &[u8], rpcs: &[Info]) -> Result<Value> {
    let pool = DescriptorPool::decode(descriptors).context("the descriptors cannot be read")?;
    let mut schemas = Schemas::new(&pool)?;
    let mut paths = Map::new();
    let mut tags = Vec::new();
    for service in pool.services() {
        let comment = Comments::of(&service.parent_file()).at(service.path());
        tags.push(json!({"name": service.package_name(), "description": comment}));
        for method in service.methods() {
            let grpc_path = format!("/{}/{}", service.full_name(), method.name());
            let info = rpcs.iter().find(|info| info.grpc_path == grpc_path);
            let info = info.with_context(|| format!("{grpc_path} is no RPC"))?;
            let operation = operations::operation(info, &method, &mut schemas)?;
            let path = paths
                .entry(info.http_path)
                .or_insert_with(|| Value::Object(Map::new()));
            path[info.http_method.to_lowercase()] = operation;
        }
    }
    let mut components = schemas.into_components();
    components.extend(answers::schemas());
    Ok(json!({
        "openapi": OPENAPI,
        "info": {
            "title": "zerocart",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Order management, one function an RPC.",
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The gateway that serves this document."}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": answers::responses(),
            "parameters": parameters::shared(),
            "headers": headers::shared(),
            "securitySchemes": {
                operations::BEARER: {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The `token` that POST /auth/login answers.",
                },
            },
        },
    }))
}
