//! The circuit breaker around the database, as callers see it.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;
use tonic::Code;
use zerocart_product::{CreateProduct, GetProduct, ListProducts, UpdateInventory};
use zerocart_proto::{
    product::{GetProductRequest, ListProductsRequest},
    rpc::{GetProduct as Get, ListProducts as List, UpdateInventory as Update},
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire, request},
    functions::{PATIENCE, Running},
    postgres::TestServer,
};

use crate::{Domain, UNKNOWN, update_inventory::change};

const CLOSED: &str = "0";
const OPEN: &str = "2";

/// A function and a request that it answers as long as it has its database.
struct Probe {
    function: Running,
    client: Client,
    method: Method,
    path: String,
    body: &'static str,
}

impl Probe {
    async fn call(&self) -> Outcome<Value> {
        let request = request(self.method.clone(), &self.path, self.body);
        self.client.send(request).await.outcome()
    }

    /// What the function itself says of its breaker.
    async fn state(&self) -> String {
        let metrics = Client::new(Wire::Http1, self.function.address());
        let text = metrics.get("/metrics").await.text();
        let line = text
            .lines()
            .find(|line| line.starts_with("zerocart_database_breaker_state"));
        let line = line.unwrap_or_else(|| panic!("no state in {text}"));
        line.split_whitespace().last().unwrap().to_owned()
    }

    /// Fails three times, and is then open.
    async fn trip(&self) {
        for n in 0..3 {
            assert_eq!(self.state().await, CLOSED, "{} after {n}", self.path);
            let outcome = self.call().await;
            assert_unavailable(&outcome);
        }
        assert_eq!(self.state().await, OPEN, "{}", self.path);
    }
}

#[track_caller]
fn assert_unavailable(outcome: &Outcome<Value>) {
    assert_eq!(outcome.code, Code::Unavailable, "{outcome:?}");
    assert_eq!(outcome.http_status, 503);
    assert!(outcome.retry_after.is_some(), "{outcome:?}");
    assert_eq!(outcome.message, "the database is unavailable");
}

/// All four functions, with breakers that stay open for `open_ms`.
async fn probes(domain: &Domain, open_ms: &str) -> [Probe; 4] {
    let env = [("BREAKER_OPEN_MS", open_ms)];
    let id = domain.add_product(1000).await;
    let probe = |function: Running, method, path: String, body| Probe {
        client: domain.admin(Wire::Http1, &function),
        function,
        method,
        path,
        body,
    };
    [
        probe(
            domain.start_with::<GetProduct>(&env).await,
            Method::GET,
            format!("/products/{id}"),
            "",
        ),
        probe(
            domain.start_with::<ListProducts>(&env).await,
            Method::GET,
            "/products".into(),
            "",
        ),
        probe(
            domain.start_with::<UpdateInventory>(&env).await,
            Method::PATCH,
            format!("/products/{id}/inventory"),
            r#"{"quantity_change": -1}"#,
        ),
        probe(
            domain.start_with::<CreateProduct>(&env).await,
            Method::POST,
            "/products".into(),
            r#"{"name": "Tea", "price": 1}"#,
        ),
    ]
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.unwrap_or_else(|_| panic!("never came true: {what}"));
}

#[tokio::test]
async fn after_three_failures_the_database_is_left_alone() {
    let mut server = TestServer::private().await;
    let domain = Domain::of(&server).await;
    let probes = probes(&domain, "3600000").await;
    for probe in &probes {
        assert!(probe.call().await.http_status < 300, "{}", probe.path);
    }
    server.stop().await;
    join_all(probes.iter().map(Probe::trip)).await;

    // The database is back, and readiness knows; but nobody asks it for an hour.
    server.start().await;
    for probe in &probes {
        let ready = Client::new(Wire::Http1, probe.function.address());
        until("ready", async || ready.get("/ready").await.status == 200).await;
        let outcome = probe.call().await;
        assert_unavailable(&outcome);
        let retry_after = outcome.retry_after.unwrap();
        assert!(retry_after > Duration::from_secs(3000), "{retry_after:?}");
    }
    let [get, list, ..] = &probes;
    for wire in Wire::ALL {
        let client = Client::new(wire, get.function.address());
        let asked = GetProductRequest { id: UNKNOWN.into() };
        let outcome = client.call::<Get>(&asked).await;
        assert_eq!(outcome.code, Code::Unavailable, "{wire:?}");
        assert!(outcome.retry_after.unwrap() > Duration::from_secs(3000));
        // What is wrong with a request is known without the database.
        let client = Client::new(wire, list.function.address());
        let asked = ListProductsRequest {
            limit: 101,
            ..Default::default()
        };
        let outcome = client.call::<List>(&asked).await;
        assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?}");
    }
}

#[tokio::test]
async fn functions_recover_by_themselves() {
    let mut server = TestServer::private().await;
    let domain = Domain::of(&server).await;
    let probes = probes(&domain, "100").await;
    for probe in &probes {
        assert!(probe.call().await.http_status < 300, "{}", probe.path);
    }
    server.stop().await;
    join_all(probes.iter().map(Probe::trip)).await;
    server.start().await;
    for probe in &probes {
        until("it answers", async || {
            let outcome = probe.call().await;
            if outcome.code != Code::Ok {
                assert_unavailable(&outcome);
            }
            outcome.code == Code::Ok
        })
        .await;
        // The second success.
        assert_eq!(probe.call().await.code, Code::Ok, "{}", probe.path);
        assert_eq!(probe.state().await, CLOSED, "{}", probe.path);
    }
}

#[tokio::test]
async fn answers_never_open_it() {
    let domain = Domain::new().await;
    let [get, _, update, _] = probes(&domain, "3600000").await;
    let empty = domain.add_product(0).await;
    for wire in Wire::ALL {
        let reader = Client::new(wire, get.function.address());
        let writer = domain.admin(wire, &update.function);
        let asked = GetProductRequest { id: UNKNOWN.into() };
        for _ in 0..2 {
            let outcome = reader.call::<Get>(&asked).await;
            assert_eq!(outcome.code, Code::NotFound);
            let outcome = writer.call::<Update>(&change(&empty, -1)).await;
            assert_eq!(outcome.code, Code::FailedPrecondition);
            let outcome = writer.call::<Update>(&change(UNKNOWN, -1)).await;
            assert_eq!(outcome.code, Code::NotFound);
        }
    }
    for probe in [get, update] {
        assert_eq!(probe.state().await, CLOSED);
        assert_eq!(probe.call().await.code, Code::Ok);
    }
}
