//! A function on a real port, called by every wire.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod access;
mod drain;
mod errors;
mod grpc;
mod health;
mod http;
mod idempotency;
mod json;
mod limits;
mod panics;
mod routes;
mod trace;
mod voids;
mod wires;

use zerocart_proto::{
    product::{CreateProductRequest, GetProductRequest, Product, ProductResponse},
    rpc::Rpc,
};
use zerocart_test_support::functions::{Authority, Running, Script};

/// A user.
const ME: &str = "018f4e9a-7c1b-7def-8000-000000000001";
/// Another user.
const OTHER: &str = "018f4e9a-7c1b-7def-8000-000000000002";
/// A product.
const TEA: &str = "018f4e9a-7c1b-7def-8000-0000000000aa";

/// The function of `R` by `script`, with keys that nobody has a token of.
async fn serve<R: Rpc>(script: Script<R>) -> Running {
    Running::scripted(Authority::generate().env(), script).await
}

/// The environment of a function whose callers need no token, with more variables.
fn env(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let more = more.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    Authority::generate()
        .env()
        .into_iter()
        .chain(more)
        .collect()
}

fn tea() -> ProductResponse {
    ProductResponse {
        product: Some(Product {
            id: TEA.into(),
            name: "Tea".into(),
            description: "Grün, 100 g".into(),
            price: 19.99,
            inventory: 7,
            created_at: "2026-11-22T10:00:00.000001Z".into(),
            ..Default::default()
        }),
        message: "found".into(),
    }
}

fn get_tea() -> GetProductRequest {
    GetProductRequest { id: TEA.into() }
}

fn create_tea() -> CreateProductRequest {
    CreateProductRequest {
        name: "Tea".into(),
        price: 19.99,
        inventory: 7,
        ..Default::default()
    }
}
