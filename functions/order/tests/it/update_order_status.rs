//! Moving an order on, and calling it off.

use futures_util::future::join_all;
use tonic::Code;
use zerocart_order::{CreateOrder, UpdateOrderStatus};
use zerocart_proto::{
    order::{
        OrderStatus,
        OrderStatus::{Cancelled, Delivered, Failed, Paid, Pending, Processing, Shipped},
        UpdateOrderStatusRequest,
    },
    rpc::{CreateOrder as Create, UpdateOrderStatus as Rpc},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::Running,
};

use crate::{
    STATUSES, Shop, TEA, assert_unavailable, create,
    left::Left,
    new_id, order_in, until,
    world::{Fault, Gate, Spot, Standing},
};

/// What the reason of an order says that was called off.
const CALLED_OFF: &str = "cancelled by the shop";

pub(crate) fn update(order_id: &str, status: OrderStatus) -> UpdateOrderStatusRequest {
    UpdateOrderStatusRequest {
        order_id: order_id.into(),
        status: status.into(),
    }
}

/// An order of this status, in each of the states that it may be in then.
pub(crate) fn of_status(status: OrderStatus) -> Vec<Left> {
    match status {
        Pending => vec![
            Left::at("PENDING", "reserving", 0),
            Left::at("PENDING", "reserving", 1),
        ],
        Processing => vec![
            Left::at("PROCESSING", "charging", 0),
            Left::at("PROCESSING", "charging", 0).asked(),
        ],
        Paid => vec![
            Left::at("PAID", "ended", 0),
            Left::at("PAID", "clearing", 0),
        ],
        Shipped => vec![
            Left::at("SHIPPED", "ended", 0),
            Left::at("SHIPPED", "clearing", 0),
        ],
        Delivered => vec![
            Left::at("DELIVERED", "ended", 0),
            Left::at("DELIVERED", "clearing", 0),
        ],
        Cancelled => vec![Left::at("CANCELLED", "ended", 0).because("cancelled")],
        _ => vec![Left::at("FAILED", "ended", 0).because("declined")],
    }
}

/// The moves of the contract.
const LEGAL: [(OrderStatus, OrderStatus); 5] = [
    (Pending, Cancelled),
    (Processing, Cancelled),
    (Paid, Cancelled),
    (Paid, Shipped),
    (Shipped, Delivered),
];

#[tokio::test]
async fn only_the_moves_of_the_contract_are_made() {
    let shop = Shop::new().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let client = shop.admin(wire, &function);
        for from in STATUSES {
            for to in STATUSES {
                for left in of_status(from) {
                    let at = format!("{wire:?} {from:?} to {to:?} at {}", left.step);
                    left.play(&shop.world, true);
                    shop.insert(&left).await;
                    let before = shop.order(&left.id).await;
                    let outcome = client.call::<Rpc>(&update(&left.id, to)).await;
                    let stored = shop.order(&left.id).await;
                    if from == to {
                        // The caller gets this answer, and nothing changes.
                        assert_eq!(outcome.http_status, 200, "{at} {outcome:?}");
                        let answer = outcome.ok();
                        assert!(answer.success, "{at}");
                        let order = order_in(answer);
                        assert_eq!(order.status(), from, "{at}");
                        assert_eq!(stored.updated_at, before.updated_at, "{at}");
                        assert_eq!(stored.status, left.status, "{at}");
                        assert_eq!((&*stored.step, stored.fence), (left.step, 1), "{at}");
                        assert_eq!(shop.world.did(&left.id), [""; 0], "{at}");
                    } else if LEGAL.contains(&(from, to)) {
                        assert_eq!(outcome.http_status, 200, "{at} {outcome:?}");
                        let answer = outcome.ok();
                        assert!(answer.success, "{at}");
                        let order = order_in(answer);
                        assert_eq!(order.status(), to, "{at}");
                        assert!(order.updated_at > order.created_at, "{at}");
                        assert_eq!(stored.status, to.as_str_name(), "{at}");
                    } else {
                        assert_eq!(outcome.code, Code::FailedPrecondition, "{at} {outcome:?}");
                        assert!(!wire.is_json() || outcome.http_status == 409, "{at}");
                        for status in [from, to] {
                            let name = status.as_str_name();
                            assert!(outcome.message.contains(name), "{at} {}", outcome.message);
                        }
                        assert_eq!(stored.status, left.status, "{at}");
                        assert_eq!((&*stored.step, stored.fence), (left.step, 1), "{at}");
                    }
                    if to == Cancelled && LEGAL.contains(&(from, to)) {
                        assert_eq!(
                            stored.end(),
                            ("CANCELLED", Some("cancelled"), CALLED_OFF),
                            "{at}"
                        );
                        assert_eq!((&*stored.step, shop.world.held(&left.id)), ("ended", 0));
                    }
                }
            }
        }
    }
    // What was left half done is brought to its end, and nothing was lost by any of it.
    shop.recover().await;
    shop.assert_settled().await;
}

/// An order that is undone for another reason ends FAILED, even if an admin asks for another
/// status.
#[tokio::test]
async fn what_is_being_undone_cannot_be_called_off_or_moved() {
    let shop = Shop::new().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let client = shop.admin(wire, &function);
        for left in [
            Left::at("PROCESSING", "refunding", 0).because("unavailable"),
            Left::at("PENDING", "releasing", 1).because("refused"),
            Left::at("PROCESSING", "releasing", 2).because("declined"),
        ] {
            left.play(&shop.world, false);
            shop.insert(&left).await;
            for to in [Cancelled, Shipped, Failed] {
                let outcome = client.call::<Rpc>(&update(&left.id, to)).await;
                assert_eq!(outcome.code, Code::FailedPrecondition, "{wire:?} {left:?}");
            }
            let stored = shop.order(&left.id).await;
            assert_eq!((&*stored.step, stored.fence), (left.step, 1));
        }
        for left in [
            Left::at("PAID", "refunding", 0).because("cancelled"),
            Left::at("PAID", "releasing", 2).because("cancelled"),
        ] {
            left.play(&shop.world, false);
            shop.insert(&left).await;
            for to in [Shipped, Delivered] {
                let outcome = client.call::<Rpc>(&update(&left.id, to)).await;
                assert_eq!(outcome.code, Code::FailedPrecondition, "{wire:?} {left:?}");
            }
            // But to call it off again only helps.
            let answer = client.call::<Rpc>(&update(&left.id, Cancelled)).await.ok();
            assert_eq!(order_in(answer).status(), Cancelled, "{wire:?}");
        }
    }
    shop.recover().await;
    shop.assert_settled().await;
}

/// A paid order of a customer of their own.
pub(crate) async fn paid(shop: &Shop, maker: &Running) -> (String, String) {
    let user = new_id();
    shop.world.fill_cart(&user, &[(TEA, 1.25, 2)]);
    let client = shop.customer(Wire::Grpc, maker, &user);
    let order = order_in(client.call::<Create>(&create(&user)).await.ok());
    assert_eq!(order.status(), Paid);
    (order.id, user)
}

#[tokio::test]
async fn a_paid_order_that_is_called_off_is_refunded_and_restocked() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let (id, user) = paid(&shop, &maker).await;
        let client = shop.admin(wire, &function);
        let answer = client.call::<Rpc>(&update(&id, Cancelled)).await.ok();
        let order = order_in(answer);
        assert_eq!((order.status(), &*order.reason), (Cancelled, CALLED_OFF));
        let payment = shop.world.payment(&id).unwrap();
        assert_eq!(payment.standing, Standing::Refunded, "{wire:?}");
        assert_eq!(order.payment_id, payment.id);
        let did = shop.world.did(&id);
        assert_eq!(did[did.len() - 2..], ["refund", "release Tea 2"]);
        // What was bought does not come back into the cart.
        assert_eq!(shop.world.cart(&user), []);
    }
    shop.assert_settled().await;
    assert_eq!(shop.world.missing(), 0);
}

/// A driver is at work in another process: it is told, and undoes what it has done.
#[tokio::test]
async fn an_order_that_is_being_made_is_called_off_by_its_driver() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        for (spot, standing) in [
            (Spot::Reserve, None),
            (Spot::Charge, Some(Standing::Refunded)),
            (Spot::ClearCart, Some(Standing::Refunded)),
        ] {
            let at = format!("{wire:?} {spot:?}");
            let (user, gate) = (new_id(), Gate::shut());
            let before = shop.world.count(spot);
            shop.world.set(spot, Fault::Held(gate.clone()));
            shop.world.fill_cart(&user, &[(TEA, 1.25, 2)]);
            let customer = shop.customer(wire, &maker, &user);
            let asked = create(&user);
            let making = tokio::spawn(async move { customer.call::<Create>(&asked).await });
            until("it is under way", async || {
                shop.world.count(spot) == before + 1
            })
            .await;
            let id = shop.order_of(&user).await.id;
            let (admin, asked) = (shop.admin(wire, &function), update(&id, Cancelled));
            let cancelling = tokio::spawn(async move { admin.call::<Rpc>(&asked).await });
            let wanted = "SELECT bool_or(cancel_asked) FROM orders WHERE id = $1";
            let uuid = uuid::Uuid::try_parse(&id).unwrap();
            until("it is asked for", async || {
                let row = shop.sql.query_one(wanted, &[&uuid]).await.unwrap();
                row.get(0)
            })
            .await;
            assert!(!cancelling.is_finished(), "{at}");
            gate.open();
            let order = order_in(cancelling.await.unwrap().ok());
            assert_eq!(order.status(), Cancelled, "{at}");
            let stored = shop.order(&id).await;
            assert_eq!(stored.end(), ("CANCELLED", Some("cancelled"), CALLED_OFF));
            assert_eq!(stored.fence, 1, "{at}: its own driver did it");
            let payment = shop.world.payment(&id);
            assert_eq!(payment.map(|p| p.standing), standing, "{at}");
            // Its customer is told what became of the order when it was made.
            let made = making.await.unwrap().ok();
            assert_eq!(made.success, standing.is_some(), "{at} {made:?}");
            shop.assert_settled().await;
        }
    }
}

#[tokio::test]
async fn an_order_whose_charge_is_declined_meanwhile_fails() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let (user, gate) = (new_id(), Gate::shut());
        let before = shop.world.count(Spot::Charge);
        shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(TEA, 1.25, 2)]);
        let customer = shop.customer(wire, &maker, &user);
        let asked = create(&user);
        let making = tokio::spawn(async move { customer.call::<Create>(&asked).await });
        until("it is charged", async || {
            shop.world.count(Spot::Charge) == before + 1
        })
        .await;
        let id = shop.order_of(&user).await.id;
        let (admin, asked) = (shop.admin(wire, &function), update(&id, Cancelled));
        let cancelling = tokio::spawn(async move { admin.call::<Rpc>(&asked).await });
        let wanted = "SELECT bool_or(cancel_asked) FROM orders WHERE id = $1";
        let uuid = uuid::Uuid::try_parse(&id).unwrap();
        until("it is asked for", async || {
            let row = shop.sql.query_one(wanted, &[&uuid]).await.unwrap();
            row.get(0)
        })
        .await;
        // The bank is first.
        shop.world.charge(&id, &user, 2.5, true);
        gate.open();
        let outcome = cancelling.await.unwrap();
        assert_eq!(
            outcome.code,
            Code::FailedPrecondition,
            "{wire:?} {outcome:?}"
        );
        let made = making.await.unwrap().ok();
        assert_eq!(order_in(made).status(), Failed, "{wire:?}");
    }
    shop.assert_settled().await;
}

/// An admin's client, under a key.
pub(crate) fn keyed(shop: &Shop, function: &Running, wire: Wire, key: &str) -> Client {
    let client = shop.admin(wire, function);
    client.header("idempotency-key", key)
}

#[tokio::test]
async fn under_one_key_it_is_called_off_once() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let (id, _) = paid(&shop, &maker).await;
        let key = n.to_string();
        let asked = update(&id, Cancelled);
        let first = keyed(&shop, &function, wire, &key)
            .call::<Rpc>(&asked)
            .await;
        let first = first.ok();
        let did = shop.world.did(&id).len();
        for wire in Wire::ALL {
            let again = keyed(&shop, &function, wire, &key)
                .call::<Rpc>(&asked)
                .await;
            assert_eq!(again.ok(), first, "{wire:?}");
            // Without it, or under another, it is what was asked for already.
            for client in [
                shop.admin(wire, &function),
                keyed(&shop, &function, wire, &format!("other {n}")),
            ] {
                assert_eq!(client.call::<Rpc>(&asked).await.ok(), first, "{wire:?}");
            }
        }
        assert_eq!(shop.world.did(&id).len(), did);
    }
    shop.assert_settled().await;
}

/// The order was called off, and the record of the answer was not written: the process died.
#[tokio::test]
async fn a_cancellation_whose_answer_was_lost_is_found_under_its_key() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let ended = paid(&shop, &maker).await.0;
        let abandoned = Left::at("PROCESSING", "charging", 0).asked();
        abandoned.play(&shop.world, true);
        shop.insert(&abandoned).await;
        for id in [&ended, &abandoned.id] {
            let client = keyed(&shop, &function, wire, id);
            let asked = update(id, Cancelled);
            client.call::<Rpc>(&asked).await.ok();
            let forget = "DELETE FROM idempotency_keys";
            shop.sql.execute(forget, &[]).await.unwrap();
            let again = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(order_in(again).status(), Cancelled, "{wire:?}");
        }
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn many_at_once_call_it_off_once() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    let (id, _) = paid(&shop, &maker).await;
    let asked = &update(&id, Cancelled);
    let calls = (0..8).map(|n| {
        let client = keyed(&shop, &function, Wire::ALL[n % 4], "k");
        async move { crate::answer::<Rpc>(&client, asked).await.ok() }
    });
    let mut answers = join_all(calls).await;
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let did = shop.world.did(&id);
    assert_eq!(did[did.len() - 2..], ["refund", "release Tea 2"], "{did:?}");
    assert_eq!(shop.world.count(Spot::Refund), 1);
    shop.assert_settled().await;
}

/// The same key with another request does nothing, also when that is a cancellation.
#[tokio::test]
async fn under_a_key_that_was_used_nothing_is_called_off() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let ((shipped, _), (other, _)) = (paid(&shop, &maker).await, paid(&shop, &maker).await);
        let client = keyed(&shop, &function, wire, &n.to_string());
        client.call::<Rpc>(&update(&shipped, Shipped)).await.ok();
        let outcome = client.call::<Rpc>(&update(&other, Cancelled)).await;
        assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?}");
        assert_eq!(outcome.field_names(), ["idempotency-key"]);
        assert!(!wire.is_json() || outcome.http_status == 422);
        assert_eq!(shop.order(&other).await.status, "PAID", "{wire:?}");
    }
    shop.assert_settled().await;
}

/// The answer was a refusal. Under its key it stays a refusal, even if the change is possible by
/// now.
#[tokio::test]
async fn a_refusal_under_a_key_stays_the_answer() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let (id, _) = paid(&shop, &maker).await;
        let client = keyed(&shop, &function, wire, &n.to_string());
        let first = client.call::<Rpc>(&update(&id, Delivered)).await;
        assert_eq!(first.code, Code::FailedPrecondition, "{wire:?}");
        let admin = shop.admin(wire, &function);
        admin.call::<Rpc>(&update(&id, Shipped)).await.ok();
        let again = client.call::<Rpc>(&update(&id, Delivered)).await;
        assert_eq!((again.code, again.message), (first.code, first.message));
        assert_eq!(shop.order(&id).await.status, "SHIPPED", "{wire:?}");
    }
}

#[tokio::test]
async fn a_refund_that_is_not_possible_now_is_made_later() {
    for wire in Wire::ALL {
        let shop = Shop::new().await;
        let maker = shop.start::<CreateOrder>().await;
        let function = shop.start::<UpdateOrderStatus>().await;
        let (id, _) = paid(&shop, &maker).await;
        shop.world.set(Spot::Refund, Fault::Unavailable);
        let client = keyed(&shop, &function, wire, "k");
        let outcome = client.call::<Rpc>(&update(&id, Cancelled)).await;
        assert_unavailable(&outcome, wire);
        assert_eq!(outcome.metadata["order_id"], id, "{wire:?}");
        let stored = shop.order(&id).await;
        assert_eq!((&*stored.status, &*stored.step), ("PAID", "refunding"));
        assert_eq!((stored.tries, shop.world.held(&id)), (1, 2));
        // It is not shipped while it is called off.
        let admin = shop.admin(wire, &function);
        let outcome = admin.call::<Rpc>(&update(&id, Shipped)).await;
        assert_eq!(outcome.code, Code::FailedPrecondition, "{wire:?}");

        shop.world.heal();
        shop.lapse().await;
        shop.recover().await;
        let stored = shop.order(&id).await;
        assert_eq!(stored.end(), ("CANCELLED", Some("cancelled"), CALLED_OFF));
        let payment = shop.world.payment(&id).unwrap();
        assert_eq!(payment.standing, Standing::Refunded, "{wire:?}");
        // And its admin, who asks again, is told.
        let answer = client.call::<Rpc>(&update(&id, Cancelled)).await.ok();
        assert_eq!(order_in(answer).status(), Cancelled, "{wire:?}");
        shop.assert_settled().await;
    }
}

/// Shipped while its cart is being cleared: the old driver does not bring the old status back.
#[tokio::test]
async fn an_order_is_shipped_while_its_cart_is_cleared() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        let (user, gate) = (new_id(), Gate::shut());
        let before = shop.world.count(Spot::ClearCart);
        shop.world.set(Spot::ClearCart, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(TEA, 1.25, 2)]);
        let customer = shop.customer(wire, &maker, &user);
        let customer = customer.header("idempotency-key", "k");
        let (making, asked) = (customer.clone(), create(&user));
        let making = tokio::spawn(async move { making.call::<Create>(&asked).await });
        until("its cart is cleared", async || {
            shop.world.count(Spot::ClearCart) == before + 1
        })
        .await;
        let id = shop.order_of(&user).await.id;
        let admin = shop.admin(wire, &function);
        let answer = admin.call::<Rpc>(&update(&id, Shipped)).await.ok();
        assert_eq!(order_in(answer).status(), Shipped, "{wire:?}");
        gate.open();
        // The customer's own answer may need another try.
        let made = making.await.unwrap();
        assert_eq!(made.code, Code::Ok, "{wire:?} {made:?}");
        let made = crate::answer::<Create>(&customer, &create(&user))
            .await
            .ok();
        assert_eq!(order_in(made).status(), Paid, "{wire:?}");
        shop.recover().await;
        let stored = shop.order(&id).await;
        assert_eq!((&*stored.status, &*stored.step), ("SHIPPED", "ended"));
        assert_eq!(shop.world.cart(&user), []);
    }
    shop.assert_settled().await;
}
