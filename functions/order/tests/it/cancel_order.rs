//! Cancelling an order, by its customer and by an admin. How the order is undone is that of update-order-status,
//! which has the tests of it.

use futures_util::future::join_all;
use tonic::Code;
use zerocart_order::{CancelOrder, CreateOrder, UpdateOrderStatus};
use zerocart_proto::{
    order::{
        CancelOrderRequest, OrderStatus,
        OrderStatus::{Cancelled, Delivered, Failed, Shipped},
    },
    rpc::{CancelOrder as Rpc, CreateOrder as Create, UpdateOrderStatus as Update},
};
use zerocart_test_support::clients::{Client, Wire};

use crate::{
    OTHER, STATUSES, Shop, TEA, assert_unavailable, create,
    left::Left,
    new_id, order_in, until,
    update_order_status::{of_status, paid, update},
    world::{Fault, Gate, Spot, Standing},
};

const BY_CUSTOMER: &str = "cancelled by the customer";
const BY_SHOP: &str = "cancelled by the shop";

fn cancel(id: &str) -> CancelOrderRequest {
    CancelOrderRequest { id: id.into() }
}

fn keyed(client: Client, key: &str) -> Client {
    client.header("idempotency-key", key)
}

#[tokio::test]
async fn an_order_is_cancelled_until_it_is_shipped() {
    let shop = Shop::new().await;
    let function = shop.start::<CancelOrder>().await;
    for wire in Wire::ALL {
        for (status, by_customer) in STATUSES.iter().flat_map(|s| [(*s, true), (*s, false)]) {
            for left in of_status(status) {
                let at = format!("{wire:?} {status:?} at {} {by_customer}", left.step);
                left.play(&shop.world, true);
                shop.insert(&left).await;
                let before = shop.order(&left.id).await;
                let client = match by_customer {
                    true => shop.customer(wire, &function, &left.user_id),
                    false => shop.admin(wire, &function),
                };
                let outcome = client.call::<Rpc>(&cancel(&left.id.to_uppercase())).await;
                let stored = shop.order(&left.id).await;
                if [Shipped, Delivered, Failed].contains(&status) {
                    assert_eq!(outcome.code, Code::FailedPrecondition, "{at} {outcome:?}");
                    assert!(!wire.is_json() || outcome.http_status == 409, "{at}");
                    let says = format!(
                        "an order that is {} cannot become CANCELLED",
                        status.as_str_name()
                    );
                    assert_eq!(outcome.message, says, "{at}");
                    assert_eq!((&stored.status, stored.fence), (&before.status, 1), "{at}");
                    assert_eq!(shop.world.did(&left.id), [""; 0], "{at}");
                    continue;
                }
                assert_eq!(outcome.http_status, 200, "{at} {outcome:?}");
                let answer = outcome.ok();
                assert!(answer.success, "{at}");
                assert_eq!(answer.message, "the order is CANCELLED", "{at}");
                let order = order_in(answer);
                assert_eq!(order.status(), Cancelled, "{at}");
                assert_eq!(order.reason, stored.reason, "{at}");
                if status == Cancelled {
                    assert_eq!(stored.updated_at, before.updated_at, "{at}");
                    assert_eq!(stored.fence, 1, "{at}");
                    assert_eq!(shop.world.did(&left.id), [""; 0], "{at}");
                } else {
                    let reason = if by_customer { BY_CUSTOMER } else { BY_SHOP };
                    assert_eq!(stored.end(), ("CANCELLED", Some("cancelled"), reason));
                    assert_eq!((&*stored.step, shop.world.held(&left.id)), ("ended", 0));
                }
            }
        }
    }
    // What was left half done is brought to its end, and nothing was lost by any of it.
    shop.recover().await;
    shop.assert_settled().await;
}

#[tokio::test]
async fn what_is_being_undone_for_another_reason_ends_failed() {
    let shop = Shop::new().await;
    let function = shop.start::<CancelOrder>().await;
    for wire in Wire::ALL {
        let left = Left::at("PROCESSING", "refunding", 0).because("unavailable");
        left.play(&shop.world, false);
        shop.insert(&left).await;
        let client = shop.customer(wire, &function, &left.user_id);
        let outcome = client.call::<Rpc>(&cancel(&left.id)).await;
        assert_eq!(outcome.code, Code::FailedPrecondition, "{wire:?}");
        let says = "an order that is PROCESSING and being undone cannot become CANCELLED";
        assert_eq!(outcome.message, says, "{wire:?}");
        assert_eq!(shop.order(&left.id).await.fence, 1, "{wire:?}");
    }
}

#[tokio::test]
async fn a_paid_order_is_refunded_and_restocked() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<CancelOrder>().await;
    for wire in Wire::ALL {
        let (id, user) = paid(&shop, &maker).await;
        let client = shop.customer(wire, &function, &user);
        let order = order_in(client.call::<Rpc>(&cancel(&id)).await.ok());
        assert_eq!((order.status(), &*order.reason), (Cancelled, BY_CUSTOMER));
        let payment = shop.world.payment(&id).unwrap();
        assert_eq!(payment.standing, Standing::Refunded, "{wire:?}");
        let did = shop.world.did(&id);
        assert_eq!(did[did.len() - 2..], ["refund", "release Tea 2"]);
        // It calls them in the name of the shop, with its own identity.
        let callers = shop.world.callers();
        assert!(
            callers.contains(&"service cancel-order".to_owned()),
            "{callers:?}"
        );
    }
    shop.assert_settled().await;
    assert_eq!(shop.world.missing(), 0);
}

#[tokio::test]
async fn only_its_owner_and_admins_cancel_an_order() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<CancelOrder>().await;
    let (id, user) = paid(&shop, &maker).await;
    for wire in Wire::ALL {
        let stranger = shop.customer(wire, &function, OTHER);
        for client in [stranger.clone(), keyed(stranger, "k")] {
            let outcome = client.call::<Rpc>(&cancel(&id)).await;
            assert_eq!(outcome.code, Code::PermissionDenied, "{wire:?}");
        }
        for client in [
            shop.customer(wire, &function, &user),
            shop.admin(wire, &function),
        ] {
            let outcome = client.call::<Rpc>(&cancel(&new_id())).await;
            assert_eq!(outcome.code, Code::NotFound, "{wire:?}");
            let outcome = client.call::<Rpc>(&cancel("nonsense")).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?}");
            assert_eq!(outcome.field_names(), ["id"], "{wire:?}");
        }
    }
    assert_eq!(shop.order(&id).await.status, "PAID");
    shop.assert_settled().await;
}

/// A driver is at work in another process. It reads who asked for the cancellation, and undoes its steps.
#[tokio::test]
async fn an_order_that_is_being_made_is_cancelled_by_its_driver() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<CancelOrder>().await;
    for wire in Wire::ALL {
        let (user, gate) = (new_id(), Gate::shut());
        let before = shop.world.count(Spot::Charge);
        shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(TEA, 1.25, 2)]);
        let (customer, asked) = (shop.customer(wire, &maker, &user), create(&user));
        let making = tokio::spawn(async move { customer.call::<Create>(&asked).await });
        until("it is charged", async || {
            shop.world.count(Spot::Charge) == before + 1
        })
        .await;
        let id = shop.order_of(&user).await.id;
        let client = shop.customer(wire, &function, &user);
        let (customer, asked) = (client, cancel(&id));
        let cancelling = tokio::spawn(async move { customer.call::<Rpc>(&asked).await });
        let wanted = "SELECT cancel_asked FROM orders WHERE id = $1";
        let uuid = uuid::Uuid::try_parse(&id).unwrap();
        until("it is asked for", async || {
            let row = shop.sql.query_one(wanted, &[&uuid]).await.unwrap();
            row.get(0)
        })
        .await;
        // An admin asks later: the reason is that of who asked first.
        let (admin, asked) = (shop.admin(wire, &function), cancel(&id));
        let later = tokio::spawn(async move { admin.call::<Rpc>(&asked).await });
        gate.open();
        for cancelled in [cancelling, later] {
            let order = order_in(cancelled.await.unwrap().ok());
            assert_eq!((order.status(), &*order.reason), (Cancelled, BY_CUSTOMER));
        }
        let stored = shop.order(&id).await;
        assert_eq!(stored.fence, 1, "{wire:?}: its own driver did it");
        let payment = shop.world.payment(&id).unwrap();
        assert_eq!(payment.standing, Standing::Refunded, "{wire:?}");
        // Its customer is told what became of the order when it was made.
        assert!(making.await.unwrap().ok().success, "{wire:?}");
        shop.assert_settled().await;
    }
}

/// With a key, without one, and by another caller: it is undone once, and each is told.
#[tokio::test]
async fn many_at_once_cancel_it_once() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<CancelOrder>().await;
    let (id, user) = paid(&shop, &maker).await;
    let asked = &cancel(&id);
    let calls = (0..12).map(|n| {
        let customer = shop.customer(Wire::ALL[n % 4], &function, &user);
        let client = match n / 4 {
            0 => keyed(customer, "k"),
            1 => customer,
            _ => shop.admin(Wire::ALL[n % 4], &function),
        };
        async move { crate::answer::<Rpc>(&client, asked).await.ok() }
    });
    let mut answers = join_all(calls).await;
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(shop.world.count(Spot::Refund), 1);
    assert_eq!(shop.world.count(Spot::Release), 1);
    // Another request under the key does nothing.
    let (other, _) = paid(&shop, &maker).await;
    let admin = keyed(shop.admin(Wire::Grpc, &function), "k");
    admin.call::<Rpc>(asked).await.ok();
    let outcome = admin.call::<Rpc>(&cancel(&other)).await;
    assert_eq!(outcome.field_names(), ["idempotency-key"], "{outcome:?}");
    assert_eq!(shop.order(&other).await.status, "PAID");
    shop.assert_settled().await;
}

/// One of both is done, and the other is refused.
#[tokio::test]
async fn an_order_is_shipped_or_cancelled() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<CancelOrder>().await;
    let shipper = shop.start::<UpdateOrderStatus>().await;
    for wire in Wire::ALL {
        for _ in 0..4 {
            let (id, user) = paid(&shop, &maker).await;
            let customer = shop.customer(wire, &function, &user);
            let admin = shop.admin(wire, &shipper);
            let (cancels, ships) = (cancel(&id), update(&id, Shipped));
            let (cancelled, shipped) =
                tokio::join!(customer.call::<Rpc>(&cancels), admin.call::<Update>(&ships));
            let expected = match shop.order(&id).await.status.as_str() {
                "CANCELLED" => [Code::Ok, Code::FailedPrecondition],
                "SHIPPED" => [Code::FailedPrecondition, Code::Ok],
                other => panic!("{other}"),
            };
            assert_eq!([cancelled.code, shipped.code], expected, "{wire:?}");
        }
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn a_refund_that_is_not_possible_now_is_made_later() {
    for wire in Wire::ALL {
        let shop = Shop::new().await;
        let maker = shop.start::<CreateOrder>().await;
        let function = shop.start::<CancelOrder>().await;
        let (id, user) = paid(&shop, &maker).await;
        shop.world.set(Spot::Refund, Fault::Unavailable);
        let client = keyed(shop.customer(wire, &function, &user), "k");
        let outcome = client.call::<Rpc>(&cancel(&id)).await;
        assert_unavailable(&outcome, wire);
        assert_eq!(outcome.metadata["order_id"], id, "{wire:?}");
        let refunds = shop.world.count(Spot::Refund);
        // It is put off: who asks again meanwhile is told so, and does not wait for the next try.
        let admin = shop.admin(wire, &function);
        for client in [&client, &admin] {
            assert_unavailable(&client.call::<Rpc>(&cancel(&id)).await, wire);
        }
        assert_eq!(shop.world.count(Spot::Refund), refunds, "{wire:?}");
        let stored = shop.order(&id).await;
        assert_eq!((&*stored.status, &*stored.step), ("PAID", "refunding"));

        shop.world.heal();
        shop.lapse().await;
        shop.recover().await;
        let stored = shop.order(&id).await;
        assert_eq!(stored.end(), ("CANCELLED", Some("cancelled"), BY_CUSTOMER));
        let answer = client.call::<Rpc>(&cancel(&id)).await.ok();
        assert_eq!(order_in(answer).status(), OrderStatus::Cancelled);
        shop.assert_settled().await;
    }
}
