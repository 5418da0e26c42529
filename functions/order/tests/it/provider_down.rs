//! Orders while the payment provider cannot be used, and the circuit breaker around it.

use std::time::Duration;

use serde_json::Value;
use zerocart_order::CreateOrder;
use zerocart_proto::{
    order::{OrderResponse, OrderStatus},
    rpc::CreateOrder as Rpc,
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::Running,
};

use crate::{
    CUP, Shop, TEA, assert_unavailable, create, new_id, order_in, until,
    world::{Fault, Spot, Standing},
};

const REASON: &str = "the payment provider is unavailable";

/// A customer of their own orders a Tea and a Cup.
async fn order(shop: &Shop, function: &Running, wire: Wire) -> Outcome<OrderResponse> {
    let user = new_id();
    shop.world.fill_cart(&user, &[(TEA, 1.0, 1), (CUP, 2.0, 1)]);
    let client = shop.customer(wire, function, &user);
    client.call::<Rpc>(&create(&user)).await
}

/// What the function says of its breaker.
async fn breaker(function: &Running) -> Value {
    let client = Client::new(Wire::Http1, function.address());
    let health: Value = client.get("/health").await.json();
    health["circuit_breakers"]["process-payment"].clone()
}

#[tokio::test]
async fn the_order_fails_with_its_reason_and_gives_all_back() {
    for wire in Wire::ALL {
        let shop = Shop::new().await;
        let function = shop.start::<CreateOrder>().await;
        shop.world.set(Spot::Charge, Fault::Unavailable);
        let outcome = order(&shop, &function, wire).await;
        assert_unavailable(&outcome, wire);
        assert!(outcome.message.contains(REASON), "{}", outcome.message);
        assert!(outcome.retry_after.unwrap() >= Duration::from_secs(1));
        let stored = shop.only_order().await;
        assert_eq!(outcome.metadata["order_id"], stored.id, "{wire:?}");
        assert_eq!(stored.end(), ("FAILED", Some("unavailable"), REASON));
        // It may have been charged, so it is made sure that it never will be.
        let payment = shop.world.payment(&stored.id).unwrap();
        assert_eq!(payment.standing, Standing::Barred, "{wire:?}");
        let did = shop.world.did(&stored.id);
        let (first, last) = (&did[..2], &did[did.len() - 3..]);
        assert_eq!(first, ["reserve Tea 1, Cup 1", "charge 3.00"]);
        assert_eq!(last, ["ask payment", "refund", "release Tea 1, Cup 1"]);
        assert_eq!(shop.world.cart(&stored.user_id).len(), 2);
        shop.assert_settled().await;
    }
}

#[tokio::test]
async fn after_three_orders_the_provider_is_left_alone() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    assert_eq!(breaker(&function).await["state"], "closed");
    shop.world.set(Spot::Charge, Fault::Unavailable);
    // Three orders, each of which asks three times.
    for orders in 1..=3 {
        assert_eq!(breaker(&function).await["state"], "closed");
        assert_unavailable(&order(&shop, &function, Wire::Http1).await, Wire::Http1);
        let shown = breaker(&function).await;
        assert_eq!(shown["consecutive_failures"], orders, "{shown}");
        assert_eq!(shop.world.count(Spot::Charge), 3 * orders);
    }
    assert_eq!(breaker(&function).await["state"], "open");

    // Also one that was just started, which has seen no failure.
    let fresh = shop.start::<CreateOrder>().await;
    shop.world.heal();
    for function in [&fresh, &function] {
        for wire in Wire::ALL {
            let outcome = order(&shop, function, wire).await;
            assert_unavailable(&outcome, wire);
            let wait = outcome.retry_after.unwrap();
            assert!(wait > Duration::from_secs(3000), "{wire:?} {wait:?}");
            let stored = shop.order(&outcome.metadata["order_id"]).await;
            assert_eq!(stored.end(), ("FAILED", Some("unavailable"), REASON));
            // It was certainly not charged: nothing is asked of the provider at all.
            assert_eq!(
                shop.world.did(&stored.id),
                ["reserve Tea 1, Cup 1", "release Tea 1, Cup 1"]
            );
        }
        let shown = breaker(function).await;
        assert_eq!(shown["state"], "open", "{shown}");
        assert_eq!(shown["consecutive_failures"], 3, "{shown}");
    }
    assert_eq!(shop.world.count(Spot::Charge), 9);
    shop.assert_settled().await;
}

#[tokio::test]
async fn once_the_provider_is_back_two_orders_close_the_breaker() {
    let shop = Shop::new().await;
    let quick = [("BREAKER_OPEN_MS", "200")];
    let function = shop.start_with::<CreateOrder>(&quick).await;
    shop.world.set(Spot::Charge, Fault::Unavailable);
    until("the breaker opens", async || {
        assert_unavailable(&order(&shop, &function, Wire::Grpc).await, Wire::Grpc);
        breaker(&function).await["state"] == "open"
    })
    .await;
    shop.world.heal();
    let before = shop.world.count(Spot::Charge);
    until("an order is paid", async || {
        let outcome = order(&shop, &function, Wire::Grpc).await;
        if outcome.response.is_none() {
            assert_unavailable(&outcome, Wire::Grpc);
        }
        outcome.response.is_some()
    })
    .await;
    assert_eq!(breaker(&function).await["state"], "half_open");
    let answer = order(&shop, &function, Wire::Grpc).await.ok();
    assert_eq!(order_in(answer).status(), OrderStatus::Paid);
    let shown = breaker(&function).await;
    assert_eq!(shown["state"], "closed", "{shown}");
    assert_eq!(shown["consecutive_failures"], 0, "{shown}");
    assert_eq!(shop.world.count(Spot::Charge), before + 2);
    shop.assert_settled().await;
}

#[tokio::test]
async fn a_declined_payment_does_not_open_it() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    shop.world.set(Spot::Charge, Fault::Declined);
    for wire in Wire::ALL {
        order(&shop, &function, wire).await.ok();
    }
    assert_eq!(breaker(&function).await["state"], "closed");
}

#[tokio::test]
async fn a_charge_whose_answer_was_lost_is_found() {
    for wire in Wire::ALL {
        let shop = Shop::new().await;
        let function = shop.start::<CreateOrder>().await;
        shop.world.set(Spot::Charge, Fault::Lost);
        let answer = order(&shop, &function, wire).await.ok();
        assert!(answer.success, "{wire:?}");
        let order = order_in(answer);
        assert_eq!(order.status(), OrderStatus::Paid);
        let did = shop.world.did(&order.id);
        assert_eq!(
            did[did.len() - 2..],
            ["ask payment", "clear Tea 1, Cup 1"],
            "{did:?}"
        );
        assert_eq!(shop.world.count(Spot::Refund), 0);
        shop.assert_settled().await;
    }
}

/// Charged, and neither told nor found: it must not stand.
#[tokio::test]
async fn a_charge_that_cannot_be_found_is_refunded() {
    for wire in Wire::ALL {
        let shop = Shop::new().await;
        let function = shop.start::<CreateOrder>().await;
        shop.world.set(Spot::Charge, Fault::Lost);
        shop.world.set(Spot::AskPayment, Fault::Unavailable);
        let outcome = order(&shop, &function, wire).await;
        assert_unavailable(&outcome, wire);
        let stored = shop.only_order().await;
        assert_eq!(stored.end(), ("FAILED", Some("unavailable"), REASON));
        let payment = shop.world.payment(&stored.id).unwrap();
        assert_eq!(payment.standing, Standing::Refunded, "{wire:?}");
        shop.assert_settled().await;
    }
}

/// Nothing of the provider answers: the order is undone when it does.
#[tokio::test]
async fn a_refund_that_is_not_possible_is_made_later() {
    for wire in Wire::ALL {
        let shop = Shop::new().await;
        let function = shop.start::<CreateOrder>().await;
        shop.world.set(Spot::Charge, Fault::Lost);
        shop.world.set(Spot::AskPayment, Fault::Unavailable);
        shop.world.set(Spot::Refund, Fault::Unavailable);
        let outcome = order(&shop, &function, wire).await;
        assert_unavailable(&outcome, wire);
        let stored = shop.only_order().await;
        assert_eq!(outcome.metadata["order_id"], stored.id);
        assert_eq!(
            (&*stored.status, &*stored.step),
            ("PROCESSING", "refunding")
        );
        // The stock is not sold again before it is known that nobody paid for it.
        assert_eq!(shop.world.held(&stored.id), 2, "{wire:?}");

        shop.world.heal();
        shop.lapse().await;
        shop.recover().await;
        let stored = shop.only_order().await;
        assert_eq!(stored.end(), ("FAILED", Some("unavailable"), REASON));
        let payment = shop.world.payment(&stored.id).unwrap();
        assert_eq!(payment.standing, Standing::Refunded, "{wire:?}");
        shop.assert_settled().await;
    }
}
