//! POST /orders, sent again under its idempotency key.

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use zerocart_proto::order::OrderResponse;
use zerocart_test_support::clients::{self, Reply};

use super::{
    stage::{Buyer, Provider, Stage, expect_answer, keyed, post_order, send},
    until,
};

/// A stage with create-order, and someone with a cart.
async fn stage() -> (Stage, Buyer) {
    let mut stage = Stage::new().await;
    stage.restart("create-order", &[]).await;
    let (tea, cup) = (
        stage.shop.product(475, 20).await,
        stage.shop.product(1_299, 20).await,
    );
    let buyer = stage.shop.buyer();
    stage.add(&buyer, tea, 2).await;
    stage.add(&buyer, cup, 1).await;
    (stage, buyer)
}

async fn post(stage: &Stage, buyer: &Buyer) -> Reply {
    let answer = send(stage.address("create-order"), post_order(buyer, "key")).await;
    answer.expect("an answer")
}

/// Expects the same answer, but for what belongs to the exchange.
#[track_caller]
fn expect_same(again: &Reply, first: &Reply) {
    assert_eq!(again.status, first.status, "{}", again.text());
    assert_eq!(again.json::<Value>(), first.json::<Value>());
    assert_eq!(again.headers.get("location"), first.headers.get("location"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_after_the_other_also_when_the_order_has_gone_on() {
    let (mut stage, buyer) = stage().await;
    let first = post(&stage, &buyer).await;
    assert_eq!(first.status, 201, "{}", first.text());
    expect_same(&post(&stage, &buyer).await, &first);

    stage.restart("update-order-status", &[]).await;
    let admin = stage.shop.authority.admin(&Uuid::now_v7().to_string());
    let id = first
        .json::<OrderResponse>()
        .order
        .expect("the order is told")
        .id;
    for status in ["SHIPPED", "DELIVERED"] {
        let body = json!({"status": status}).to_string();
        let request = clients::request(Method::PATCH, &format!("/orders/{id}/status"), body);
        let moved = send(
            stage.address("update-order-status"),
            keyed(request, &admin, status),
        )
        .await;
        let moved = moved.expect("an answer");
        assert_eq!(moved.status, 200, "{}", moved.text());
        expect_same(&post(&stage, &buyer).await, &first);
    }
    // And by an instance that never saw the order.
    stage.restart("create-order", &[]).await;
    expect_same(&post(&stage, &buyer).await, &first);
    let books = stage.shop.check("four retries").await;
    assert_eq!(books.orders.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_order_stays_declined() {
    let (stage, buyer) = stage().await;
    stage.shop.provider(Provider::DECLINES).await;
    let first = post(&stage, &buyer).await;
    stage.shop.provider(Provider::WORKS).await;
    expect_same(&post(&stage, &buyer).await, &first);
    let books = stage.shop.check("a declined order").await;
    let orders = books.orders_of(buyer.id);
    assert_eq!((orders.len(), orders[0].status.as_str()), (1, "FAILED"));
    expect_answer(&first.outcome(), orders[0], "a declined order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_at_once_are_one_order() {
    let (stage, buyer) = stage().await;
    // So that they meet.
    stage
        .shop
        .provider(Provider {
            delay_ms: 300,
            ..Provider::WORKS
        })
        .await;
    let answers = join_all((0..8).map(|_| post(&stage, &buyer))).await;
    let (first, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert!(!first.is_empty());
    for answer in &first {
        expect_same(answer, first[0]);
    }
    for answer in others {
        let outcome = answer.outcome::<OrderResponse>();
        assert_eq!(outcome.http_status, 409, "{outcome:?}");
        assert!(outcome.retry_after.is_some(), "{outcome:?}");
    }
    expect_same(&post(&stage, &buyer).await, first[0]);
    let books = stage.shop.check("eight at once").await;
    assert_eq!(books.orders.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_request_under_the_key_is_refused() {
    let (stage, buyer) = stage().await;
    let first = post(&stage, &buyer).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let body = json!({"user_id": buyer.id.to_string(), "payment_method": "invoice"}).to_string();
    let other = keyed(
        clients::request(Method::POST, "/orders", body),
        &buyer.token,
        "key",
    );
    let other = send(stage.address("create-order"), other)
        .await
        .expect("an answer");
    let other = other.outcome::<OrderResponse>();
    assert_eq!(other.http_status, 422, "{other:?}");
    assert_eq!(other.field_names(), ["idempotency-key"]);

    // The key is the buyer's own.
    let neighbour = stage.shop.buyer();
    let answer = post(&stage, &neighbour).await.outcome::<OrderResponse>();
    assert_eq!(answer.message, "the cart is empty");
    let books = stage.shop.check("two requests under one key").await;
    assert_eq!(books.orders.len(), 1);
}

/// Two orders of one cart, under different keys: the cart is bought once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cart_is_bought_once() {
    let (stage, buyer) = stage().await;
    let create_order = stage.address("create-order");
    let orders = (0..6).map(async |n: usize| {
        let key = format!("key {n}");
        until("an answer", async || {
            let answer = send(create_order, post_order(&buyer, &key))
                .await
                .expect("an answer");
            let answer = answer.outcome::<OrderResponse>();
            // Another order has the cart.
            (answer.code != tonic::Code::Aborted).then_some(answer)
        })
        .await
    });
    let answers = join_all(orders).await;
    let (paid, others): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.http_status == 201);
    assert_eq!(paid.len(), 1, "{answers:#?}");
    for answer in others {
        assert_eq!(
            (answer.http_status, answer.message.as_str()),
            (409, "the cart is empty")
        );
    }
    let books = stage.shop.check("six orders of one cart").await;
    assert_eq!(books.orders.len(), 1);
    assert!(books.cart(buyer.id).is_empty());
}
