//! An order is shipped only while its payment stands.

use tonic::Code;
use zerocart_order::{CreateOrder, UpdateOrderStatus};
use zerocart_proto::{
    order::OrderStatus::{Cancelled, Delivered, Shipped},
    rpc::UpdateOrderStatus as Rpc,
};
use zerocart_test_support::clients::Wire;

use crate::{
    Shop, assert_unavailable, order_in, until,
    update_order_status::{keyed, paid, update},
    world::{Fault, Gate, Spot},
};

/// Refunded by an admin, under a version before that allowed it.
#[tokio::test]
async fn an_order_whose_payment_was_refunded_is_not_shipped_but_cancelled() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let (id, user) = paid(&shop, &maker).await;
        shop.world.refund(&id, &user);
        for (key, asked_before) in [(None, 0), (Some("k"), 1), (Some("k"), 2)] {
            let client = match key {
                Some(key) => keyed(&shop, &function, wire, &format!("{key} {wire:?}")),
                None => shop.admin(wire, &function),
            };
            let outcome = client.call::<Rpc>(&update(&id, Shipped)).await;
            assert_eq!(
                outcome.code,
                Code::FailedPrecondition,
                "{wire:?} {outcome:?}"
            );
            assert!(!wire.is_json() || outcome.http_status == 409);
            assert!(outcome.message.contains("refunded"), "{}", outcome.message);
            let stored = shop.order(&id).await;
            assert_eq!((&*stored.status, stored.fence), ("PAID", 1), "{wire:?}");
            let did = shop.world.did(&id);
            let asked = did.iter().filter(|did| *did == "ask payment").count();
            // The recorded refusal is answered again, without a new look at the payment.
            assert_eq!(asked, (asked_before + 1).min(2), "{wire:?} {did:?}");
        }
        let admin = shop.admin(wire, &function);
        let answer = admin.call::<Rpc>(&update(&id, Cancelled)).await.ok();
        assert_eq!(order_in(answer).status(), Cancelled, "{wire:?}");
        assert_eq!(shop.world.held(&id), 0, "{wire:?}");
    }
    shop.assert_settled().await;
}

/// A shipped order can be delivered in every state of its payment.
#[tokio::test]
async fn a_shipped_order_is_delivered_without_a_look_at_its_payment() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let (id, _) = paid(&shop, &maker).await;
        let admin = shop.admin(wire, &function);
        admin.call::<Rpc>(&update(&id, Shipped)).await.ok();
        let asked = shop.world.count(Spot::AskPayment);
        shop.world.set(Spot::AskPayment, Fault::Unavailable);
        for status in [Shipped, Delivered, Delivered] {
            admin.call::<Rpc>(&update(&id, status)).await.ok();
        }
        assert_eq!(shop.world.count(Spot::AskPayment), asked, "{wire:?}");
        shop.world.heal();
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn while_the_payment_cannot_be_looked_at_nothing_is_shipped() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let (id, _) = paid(&shop, &maker).await;
        let client = keyed(&shop, &function, wire, &id);
        shop.world.set(Spot::AskPayment, Fault::Unavailable);
        let outcome = client.call::<Rpc>(&update(&id, Shipped)).await;
        assert_unavailable(&outcome, wire);
        let stored = shop.order(&id).await;
        assert_eq!((&*stored.status, stored.fence), ("PAID", 1), "{wire:?}");
        shop.world.heal();
        let answer = client.call::<Rpc>(&update(&id, Shipped)).await.ok();
        assert_eq!(order_in(answer).status(), Shipped, "{wire:?}");
    }
    shop.assert_settled().await;
}

/// While its payment is looked at, nothing is locked: another admin calls the order off.
#[tokio::test]
async fn an_order_that_is_cancelled_while_its_payment_is_looked_at_is_not_shipped() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let (id, _) = paid(&shop, &maker).await;
        let (gate, before) = (Gate::shut(), shop.world.count(Spot::AskPayment));
        shop.world.set(Spot::AskPayment, Fault::Held(gate.clone()));
        let (client, asked) = (keyed(&shop, &function, wire, &id), update(&id, Shipped));
        let shipping = tokio::spawn(async move { client.call::<Rpc>(&asked).await });
        until("its payment is looked at", async || {
            shop.world.count(Spot::AskPayment) == before + 1
        })
        .await;
        let admin = shop.admin(wire, &function);
        admin.call::<Rpc>(&update(&id, Cancelled)).await.ok();
        gate.open();
        let outcome = shipping.await.unwrap();
        assert_eq!(
            outcome.code,
            Code::FailedPrecondition,
            "{wire:?} {outcome:?}"
        );
        assert_eq!(shop.order(&id).await.status, "CANCELLED", "{wire:?}");
    }
    shop.assert_settled().await;
}
