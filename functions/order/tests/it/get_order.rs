//! Reading an order.

use tonic::Code;
use zerocart_order::{CreateOrder, GetOrder};
use zerocart_proto::{
    order::{GetOrderRequest, OrderStatus},
    rpc::{CreateOrder as Create, GetOrder as Rpc},
};
use zerocart_test_support::clients::Wire;

use crate::{
    CUP, INTERRUPTED, ME, Shop, TEA, create,
    left::Left,
    new_id, order_in, until,
    world::{Fault, Gate, Spot},
};

fn get(id: &str) -> GetOrderRequest {
    GetOrderRequest { id: id.into() }
}

#[tokio::test]
async fn an_order_is_read_as_it_was_made() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<GetOrder>().await;
    for wire in Wire::ALL {
        let user = new_id();
        shop.world
            .fill_cart(&user, &[(TEA, 0.29, 3), (CUP, 988.5, 1)]);
        let client = shop.customer(wire, &maker, &user);
        let made = order_in(client.call::<Create>(&create(&user)).await.ok());
        let asked = shop.world.did(&made.id).len();
        for id in [made.id.clone(), made.id.to_uppercase()] {
            for client in [
                shop.customer(wire, &function, &user),
                shop.admin(wire, &function),
            ] {
                let outcome = client.call::<Rpc>(&get(&id)).await;
                assert_eq!(outcome.http_status, 200);
                let answer = outcome.ok();
                assert!(answer.success, "{wire:?}");
                assert_eq!(order_in(answer), made, "{wire:?}");
            }
        }
        assert_eq!(shop.world.did(&made.id).len(), asked, "it only reads");
    }
}

#[tokio::test]
async fn a_failed_order_says_why() {
    let shop = Shop::new().await;
    let function = shop.start::<GetOrder>().await;
    for wire in Wire::ALL {
        for (status, cause) in [("FAILED", "declined"), ("CANCELLED", "cancelled")] {
            let left = Left::at(status, "ended", 0).because(cause);
            left.play(&shop.world, true);
            shop.insert(&left).await;
            let client = shop.customer(wire, &function, &left.user_id);
            let answer = client.call::<Rpc>(&get(&left.id)).await.ok();
            assert_eq!(answer.message, "as it was", "{wire:?}");
            let order = order_in(answer);
            assert_eq!(order.status().as_str_name(), status);
            assert_eq!(order.reason, "as it was");
            assert_eq!(order.total_amount, 10.46);
            let prices: Vec<_> = order.items.iter().map(|i| i.total_price).collect();
            assert_eq!(prices, [0.58, 9.88]);
        }
    }
}

#[tokio::test]
async fn an_abandoned_order_is_brought_to_its_end() {
    let shop = Shop::new().await;
    let function = shop.start::<GetOrder>().await;
    for wire in Wire::ALL {
        for (left, status, reason) in [
            (
                Left::at("PENDING", "reserving", 1),
                OrderStatus::Failed,
                INTERRUPTED,
            ),
            (
                Left::at("PROCESSING", "charging", 0).asked(),
                OrderStatus::Paid,
                "",
            ),
            (Left::at("PAID", "clearing", 0), OrderStatus::Paid, ""),
            (
                Left::at("PAID", "refunding", 0).because("cancelled"),
                OrderStatus::Cancelled,
                "as it was",
            ),
        ] {
            left.play(&shop.world, true);
            shop.insert(&left).await;
            let client = shop.customer(wire, &function, &left.user_id);
            let order = order_in(client.call::<Rpc>(&get(&left.id)).await.ok());
            assert_eq!(order.status(), status, "{wire:?} {left:?}");
            assert_eq!(order.reason, reason, "{wire:?} {left:?}");
            assert_eq!(shop.order(&left.id).await.step, "ended");
        }
    }
    assert_eq!(shop.world.callers(), ["service get-order"]);
    shop.assert_settled().await;
}

/// A stranger cannot make it go on.
#[tokio::test]
async fn nothing_is_done_for_who_may_not_read_it() {
    let shop = Shop::new().await;
    let function = shop.start::<GetOrder>().await;
    let left = Left::at("PROCESSING", "charging", 0).asked();
    left.play(&shop.world, false);
    shop.insert(&left).await;
    for wire in Wire::ALL {
        let client = shop.customer(wire, &function, ME);
        let outcome = client.call::<Rpc>(&get(&left.id)).await;
        assert_eq!(outcome.code, Code::PermissionDenied, "{wire:?}");
    }
    let order = shop.only_order().await;
    assert_eq!((&*order.step, order.fence), ("charging", 1));
    assert!(shop.world.callers().is_empty());
}

#[tokio::test]
async fn an_order_that_is_being_made_is_shown_as_it_is() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<GetOrder>().await;
    for wire in Wire::ALL {
        for (spot, status) in [
            (Spot::Reserve, OrderStatus::Pending),
            (Spot::Charge, OrderStatus::Processing),
            (Spot::ClearCart, OrderStatus::Paid),
        ] {
            let (user, gate) = (new_id(), Gate::shut());
            let before = shop.world.count(spot);
            shop.world.set(spot, Fault::Held(gate.clone()));
            shop.world.fill_cart(&user, &[(TEA, 0.29, 3)]);
            let client = shop.customer(wire, &maker, &user);
            let asked = create(&user);
            let call = tokio::spawn(async move { client.call::<Create>(&asked).await });
            until("it is under way", async || {
                shop.world.count(spot) == before + 1
            })
            .await;
            let stored = shop.order_of(&user).await;
            let client = shop.customer(wire, &function, &user);
            let order = order_in(client.call::<Rpc>(&get(&stored.id)).await.ok());
            assert_eq!(order.status(), status, "{wire:?}");
            assert_eq!((&*order.reason, order.total_amount), ("", 0.87));
            let charged = status == OrderStatus::Paid;
            assert_eq!(!order.payment_id.is_empty(), charged, "{wire:?}");
            gate.open();
            call.await.unwrap().ok();
            assert_eq!(shop.order_of(&user).await.fence, 1, "{wire:?}");
        }
    }
    shop.assert_settled().await;
}

/// What cannot be ended now is told as it is.
#[tokio::test]
async fn an_order_that_cannot_be_ended_is_shown_as_it_is() {
    let shop = Shop::new().await;
    let function = shop.start::<GetOrder>().await;
    for wire in Wire::ALL {
        let left = Left::at("PAID", "refunding", 0).because("cancelled");
        left.play(&shop.world, true);
        shop.insert(&left).await;
        shop.world.set(Spot::Refund, Fault::Unavailable);
        let client = shop.customer(wire, &function, &left.user_id);
        for _ in 0..2 {
            let order = order_in(client.call::<Rpc>(&get(&left.id)).await.ok());
            assert_eq!(order.status(), OrderStatus::Paid, "{wire:?}");
            assert_eq!(order.reason, "as it was");
        }
        // Once: then it pauses.
        assert_eq!(shop.order(&left.id).await.tries, 1, "{wire:?}");
        shop.world.heal();
        shop.lapse().await;
        let order = order_in(client.call::<Rpc>(&get(&left.id)).await.ok());
        assert_eq!(order.status(), OrderStatus::Cancelled, "{wire:?}");
    }
    shop.assert_settled().await;
}
