//! The payment provider is down, and comes back.

use std::net::SocketAddr;

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;
use uuid::Uuid;
use zerocart_core::Platform;
use zerocart_proto::order::OrderResponse;
use zerocart_test_support::{
    clients::{self, Outcome},
    functions::Running,
};

use super::{
    stage::{Buyer, Provider, Shop, Stage, entry, expect_answer, post_order, send},
    until,
};

/// How long the breaker is open where a test waits for it: long enough for ten orders to meet it
/// open, and short enough to wait for.
const OPEN_MS: &str = "400";

/// Charges that the provider was asked for: when each was begun and ended, in microseconds.
async fn charges(shop: &Shop) -> Vec<(i64, i64)> {
    spans(shop, "SELECT number, started_at, ended_at FROM attempts").await
}

/// The same by order: from the first that it asked for to the end of the last.
async fn charged_orders(shop: &Shop) -> Vec<(i64, i64)> {
    let orders =
        "SELECT payment_id, min(started_at), max(ended_at) FROM attempts GROUP BY payment_id";
    spans(shop, orders).await
}

async fn spans(shop: &Shop, of: &str) -> Vec<(i64, i64)> {
    let query = format!(
        "WITH attempts AS (SELECT * FROM payment_attempts WHERE kind = 'CHARGE'),
              spans (what, began, ended) AS ({of})
         SELECT (extract(epoch FROM began) * 1000000)::bigint,
                (extract(epoch FROM ended) * 1000000)::bigint
         FROM spans ORDER BY began"
    );
    let rows = shop.sql("payment").await.query(&query, &[]).await;
    let rows = rows.expect("attempts can be read");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// The number of requests that the provider has got, of all kinds.
async fn attempts(shop: &Shop) -> i64 {
    let count = "SELECT count(*) FROM payment_attempts";
    let row = shop.sql("payment").await.query_one(count, &[]).await;
    row.expect("attempts can be counted").get(0)
}

/// Someone with a cart of one unit.
async fn buyer(stage: &Stage, product: Uuid) -> Buyer {
    let buyer = stage.shop.buyer();
    stage.add(&buyer, product, 1).await;
    buyer
}

/// An order under a key of its own.
async fn order(address: SocketAddr, buyer: &Buyer) -> Outcome<OrderResponse> {
    let key = Uuid::now_v7().to_string();
    let answer = send(address, post_order(buyer, &key)).await;
    answer.expect("an answer").outcome()
}

/// What the health of create-order says of the breaker.
async fn health(address: SocketAddr) -> String {
    let reply = send(address, clients::request(Method::GET, "/health", "")).await;
    let health: Value = reply.expect("an answer").json();
    let state = &health["circuit_breakers"]["process-payment"]["state"];
    state.as_str().expect("health shows the breaker").to_owned()
}

/// Expects that the order failed without the provider.
fn expect_refused(outcome: &Outcome<OrderResponse>) {
    assert_eq!(outcome.http_status, 503, "{outcome:?}");
    let after = outcome.retry_after.expect("it says when to come back");
    assert!((1..=30).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_three_orders_no_instance_asks_it() {
    let stage = Stage::new().await;
    let product = stage.shop.product(475, 100).await;
    let (old, address) = stage.start("create-order", stage.order_env(&[])).await;
    assert_eq!(health(address).await, "closed");
    stage.shop.provider(Provider::DOWN).await;
    // Three orders, each with all its attempts: what one customer meets refuses nobody else.
    for _ in 0..3 {
        assert_eq!(health(address).await, "closed");
        let outcome = order(address, &buyer(&stage, product).await).await;
        expect_refused(&outcome);
    }
    assert_eq!(health(address).await, "open");
    let before = attempts(&stage.shop).await;
    assert_eq!(charges(&stage.shop).await.len(), 9);

    // This instance, and one that starts now.
    let (new, fresh) = stage.start("create-order", stage.order_env(&[])).await;
    for address in [address, fresh] {
        for _ in 0..3 {
            let buyer = buyer(&stage, product).await;
            let outcome = order(address, &buyer).await;
            expect_refused(&outcome);
            let books = stage.shop.check("an order without a provider").await;
            let order = books.orders_of(buyer.id)[0];
            assert_eq!(
                (order.status.as_str(), order.cause.as_deref()),
                ("FAILED", Some("unavailable"))
            );
            assert_eq!(order.reason, "the payment provider is unavailable");
            expect_answer(&outcome, order, "an order without a provider");
            assert_eq!(books.stock(product), 100);
        }
        assert_eq!(health(address).await, "open");
    }
    assert_eq!(attempts(&stage.shop).await, before);
    old.kill().await;
    new.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_instances_probe_it_as_one_until_it_is_back() {
    let stage = Stage::new().await;
    let product = stage.shop.product(475, 1_000).await;
    let mut instances = Vec::new();
    for _ in 0..10 {
        let env = stage.order_env(&[("BREAKER_OPEN_MS", OPEN_MS)]);
        let built = (entry("create-order").build)(Platform::default(), env.into_iter().collect());
        instances.push(Running::serve(built.expect("the environment is right")).await);
    }
    let mut buyers = Vec::new();
    for _ in &instances {
        buyers.push(buyer(&stage, product).await);
    }
    stage.shop.provider(Provider::DOWN).await;
    let all = async || {
        let orders = instances.iter().zip(&buyers);
        join_all(orders.map(|(instance, buyer)| order(instance.address(), buyer))).await
    };
    // Three failures, from whichever instances, and those that were on their way then.
    until("the breaker is open", async || {
        all().await.iter().for_each(expect_refused);
        (health(instances[0].address()).await == "open").then_some(())
    })
    .await;
    // By now all have heard of it.
    all().await.iter().for_each(expect_refused);

    let before = charged_orders(&stage.shop).await.len();
    assert!(before >= 3, "{before}");
    let probes = until("four probes", async || {
        all().await.iter().for_each(expect_refused);
        let probes = charged_orders(&stage.shop).await.split_off(before);
        (probes.len() >= 4).then_some(probes)
    })
    .await;
    // A failed probe, which is one order with all its attempts, opens the breaker anew: ten instances
    // that want to probe have one in a period.
    let open_us = OPEN_MS.parse::<i64>().expect("a number") * 1_000;
    for pair in probes.windows(2) {
        let [(_, ended), (began, _)] = pair else {
            unreachable!("windows of two");
        };
        assert!(began - ended >= open_us, "{probes:?}");
    }
    stage.shop.check("an outage").await;

    stage.shop.provider(Provider::WORKS).await;
    let back = async |n: usize| {
        let buyer = &buyers[n];
        until("an order is paid", async || {
            let outcome = order(instances[n].address(), buyer).await;
            if outcome.http_status != 201 {
                expect_refused(&outcome);
            }
            outcome.response.filter(|response| response.success)
        })
        .await;
        health(instances[n].address()).await
    };
    assert_eq!(back(1).await, "half_open");
    assert_eq!(back(2).await, "closed");
    // The whole fleet is back.
    for n in 3..10 {
        back(n).await;
    }
    stage.shop.check("the outage").await;
}
