//! Orders under an idempotency key: one order, one charge, one answer.

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;
use tonic::Code;
use zerocart_order::CreateOrder;
use zerocart_proto::{
    order::{OrderResponse, OrderStatus},
    rpc::CreateOrder as Rpc,
};
use zerocart_test_support::{
    clients::{Client, Reply, Wire, request},
    functions::Running,
};

use crate::{
    CUP, JSON_WIRES, ME, STOCK, Shop, TEA, create,
    left::Left,
    new_id, order_in, until,
    world::{Fault, Gate, Spot, Standing},
};

/// A customer's client, under a key.
fn keyed(shop: &Shop, function: &Running, wire: Wire, user: &str) -> Client {
    let client = shop.customer(wire, function, user);
    client.header("idempotency-key", "k")
}

async fn post(client: &Client, user: &str) -> Reply {
    let body = format!(r#"{{"user_id": "{user}"}}"#);
    client.send(request(Method::POST, "/orders", body)).await
}

/// Asks again by every wire, and expects what came first, to the byte.
async fn assert_same(shop: &Shop, function: &Running, user: &str, first: &Reply) {
    for wire in JSON_WIRES {
        let again = post(&keyed(shop, function, wire, user), user).await;
        assert_eq!(again.status, first.status, "{wire:?} {}", again.text());
        assert_eq!(again.body, first.body, "{wire:?}");
        let location = |reply: &Reply| reply.headers.get("location").cloned();
        assert_eq!(location(&again), location(first));
    }
    let first: OrderResponse = first.json();
    for wire in [Wire::Grpc, Wire::GrpcWeb] {
        let client = keyed(shop, function, wire, user);
        let again = client.call::<Rpc>(&create(user)).await.ok();
        assert_eq!(again, first, "{wire:?}");
    }
}

#[tokio::test]
async fn a_paid_order_stays_the_answer() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in JSON_WIRES {
        let user = new_id();
        shop.world.fill_cart(&user, &[(TEA, 0.29, 3)]);
        let first = post(&keyed(&shop, &function, wire, &user), &user).await;
        assert_eq!(first.status, 201);
        // With any content of the cart by now.
        assert_same(&shop, &function, &user, &first).await;
        shop.world.fill_cart(&user, &[(CUP, 1.0, 1)]);
        assert_same(&shop, &function, &user, &first).await;
        // In every later state of the order.
        let order = order_in(first.json());
        for status in ["SHIPPED", "DELIVERED"] {
            let moved = format!(
                "UPDATE orders SET status = '{status}', updated_at = clock_timestamp()
                 WHERE id = '{}'",
                order.id
            );
            shop.sql.execute(&moved, &[]).await.unwrap();
            assert_same(&shop, &function, &user, &first).await;
        }
        // By a function that was just started.
        let fresh = shop.start::<CreateOrder>().await;
        assert_same(&shop, &fresh, &user, &first).await;
        shop.order_of(&user).await;
    }
    assert_eq!(shop.world.count(Spot::Charge), 2);
    shop.assert_settled().await;
}

#[tokio::test]
async fn a_paid_order_that_was_cancelled_stays_the_answer() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    shop.world.fill_cart(ME, &[(TEA, 0.29, 3)]);
    let first = post(&keyed(&shop, &function, Wire::Http1, ME), ME).await;
    let order = order_in(first.json());
    let cancelled = format!(
        "UPDATE orders SET status = 'CANCELLED', cause = 'cancelled', reason = 'why'
         WHERE id = '{}'",
        order.id
    );
    shop.sql.execute(&cancelled, &[]).await.unwrap();
    assert_same(&shop, &function, ME, &first).await;
}

#[tokio::test]
async fn a_failed_order_stays_the_answer() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for (what, fault) in [("declined", Some(Fault::Declined)), ("refused", None)] {
        let user = new_id();
        let quantity = match fault {
            Some(fault) => {
                shop.world.set(Spot::Charge, fault);
                1
            }
            None => STOCK + 1,
        };
        shop.world.fill_cart(&user, &[(TEA, 0.29, quantity)]);
        let first = post(&keyed(&shop, &function, Wire::Http1, &user), &user).await;
        assert_eq!(first.status, 201, "{what}");
        let answer: OrderResponse = first.json();
        assert!(!answer.success, "{what}");
        // The bank has changed its mind, and there is enough now.
        shop.world.heal();
        shop.world.fill_cart(&user, &[(TEA, 0.29, 1)]);
        assert_same(&shop, &function, &user, &first).await;
        let stored = shop.order_of(&user).await;
        assert_eq!(stored.cause.as_deref(), Some(what));
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn an_order_that_the_provider_failed_stays_the_answer() {
    for first_wire in Wire::ALL {
        let shop = Shop::new().await;
        let function = shop.start::<CreateOrder>().await;
        shop.world.fill_cart(ME, &[(TEA, 0.29, 3)]);
        shop.world.set(Spot::Charge, Fault::Unavailable);
        let client = keyed(&shop, &function, first_wire, ME);
        let first = client.call::<Rpc>(&create(ME)).await;
        assert_eq!(first.code, Code::Unavailable, "{first:?}");
        shop.world.heal();
        let fresh = shop
            .start_with::<CreateOrder>(&[("BREAKER_OPEN_MS", "1")])
            .await;
        for function in [&function, &fresh] {
            for wire in Wire::ALL {
                let client = keyed(&shop, function, wire, ME);
                let again = client.call::<Rpc>(&create(ME)).await;
                assert_eq!(again.code, Code::Unavailable, "{wire:?} {again:?}");
                assert!(!wire.is_json() || again.http_status == 503);
                assert!(again.retry_after.is_some(), "{wire:?}");
                assert_eq!(again.message, first.message, "{wire:?}");
                assert_eq!(again.metadata, first.metadata, "{wire:?}");
            }
        }
        let order = shop.only_order().await;
        assert_eq!(first.metadata["order_id"], order.id);
        assert_eq!(order.status, "FAILED");
        shop.assert_settled().await;
    }
}

#[tokio::test]
async fn many_at_once_make_one_order() {
    let shop = Shop::new().await;
    // Two instances: nothing of it is in memory.
    let functions = [
        shop.start::<CreateOrder>().await,
        shop.start::<CreateOrder>().await,
    ];
    shop.world.fill_cart(ME, &[(TEA, 0.29, 3), (CUP, 1.0, 1)]);
    let calls = (0..8).map(|n| {
        let client = keyed(&shop, &functions[n % 2], Wire::ALL[n / 2], ME);
        async move { client.call::<Rpc>(&create(ME)).await }
    });
    let outcomes = join_all(calls).await;
    let order = shop.only_order().await;
    let mut answers = Vec::new();
    for outcome in outcomes {
        match outcome.code {
            Code::Ok => answers.push(outcome.ok()),
            code => {
                assert_eq!(code, Code::Aborted, "{outcome:?}");
                assert!([200, 409].contains(&outcome.http_status), "{outcome:?}");
                assert!(outcome.retry_after.is_some(), "{outcome:?}");
            }
        }
    }
    assert!(!answers.is_empty());
    for wire in Wire::ALL {
        let client = keyed(&shop, &functions[0], wire, ME);
        answers.push(client.call::<Rpc>(&create(ME)).await.ok());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].success);
    assert_eq!(order_in(answers.remove(0)).id, order.id);
    assert_eq!(shop.world.count(Spot::Charge), 1);
    assert_eq!(shop.world.count(Spot::Reserve), 1);
    shop.assert_settled().await;
}

#[tokio::test]
async fn while_it_is_made_a_retry_is_told_so() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        let user = new_id();
        let gate = Gate::shut();
        shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(TEA, 0.29, 3)]);
        let client = keyed(&shop, &function, wire, &user);
        let (first, asked) = (client.clone(), create(&user));
        let first = tokio::spawn(async move { first.call::<Rpc>(&asked).await });
        until("it is charged", async || {
            shop.world.count_of(Spot::Charge, &user) == 1
        })
        .await;
        let again = client.call::<Rpc>(&create(&user)).await;
        assert_eq!(again.code, Code::Aborted, "{wire:?} {again:?}");
        assert!(!wire.is_json() || again.http_status == 409);
        assert!(again.retry_after.is_some());
        gate.open();
        let first = first.await.unwrap().ok();
        assert_eq!(client.call::<Rpc>(&create(&user)).await.ok(), first);
        assert_eq!(shop.world.count_of(Spot::Charge, &user), 1);
    }
    shop.assert_settled().await;
}

/// Its driver died, and the customer asks again: they still want it, so it goes on.
#[tokio::test]
async fn a_retry_drives_an_abandoned_order_on() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        // A first answer, whose order is then put back to where its driver might have died.
        let user = new_id();
        let client = keyed(&shop, &function, wire, &user);
        let mut left = [
            Left::at("PENDING", "reserving", 0),
            Left::at("PENDING", "reserving", 1),
            Left::at("PROCESSING", "charging", 0),
            Left::at("PROCESSING", "charging", 0).asked(),
        ][n]
            .clone()
            .of(&user);
        shop.world.fill_cart(&user, &left.cart());
        client.call::<Rpc>(&create(&user)).await.ok();
        left.id = shop.order_of(&user).await.id;
        let back = format!(
            "DELETE FROM order_steps WHERE order_id = '{0}';
             DELETE FROM order_items WHERE order_id = '{0}';
             DELETE FROM orders WHERE id = '{0}'",
            left.id
        );
        shop.sql.batch_execute(&back).await.unwrap();
        shop.world.forget(&left.id);
        left.play(&shop.world, true);
        shop.insert(&left).await;

        let answer = client.call::<Rpc>(&create(&user)).await.ok();
        assert!(answer.success, "{wire:?} {answer:?}");
        let order = order_in(answer);
        assert_eq!(order.id, left.id, "{wire:?}");
        assert_eq!(order.status(), OrderStatus::Paid);
        let payment = shop.world.payment(&left.id).unwrap();
        assert_eq!(payment.standing, Standing::Charged);
        assert_eq!(shop.order_of(&user).await.fence, 2, "{wire:?}");
    }
    shop.assert_settled().await;
}

/// Paid, and only the cart is not cleared: the answer is known.
#[tokio::test]
async fn a_paid_order_is_answered_though_its_cart_is_not_cleared() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        let user = new_id();
        shop.world.fill_cart(&user, &[(TEA, 0.29, 3)]);
        shop.world.set(Spot::ClearCart, Fault::Unavailable);
        let client = keyed(&shop, &function, wire, &user);
        let first = client.call::<Rpc>(&create(&user)).await;
        let first = first.ok();
        assert!(first.success, "{wire:?}");
        let stored = shop.order_of(&user).await;
        assert_eq!((&*stored.status, &*stored.step), ("PAID", "clearing"));
        assert_eq!(client.call::<Rpc>(&create(&user)).await.ok(), first);
        // The cart is still that of this order.
        let another = shop.customer(wire, &function, &user);
        let outcome = another.call::<Rpc>(&create(&user)).await;
        assert_eq!(outcome.code, Code::Aborted, "{wire:?}");
        shop.world.heal();
        shop.lapse().await;
        shop.recover().await;
        assert_eq!(client.call::<Rpc>(&create(&user)).await.ok(), first);
        assert_eq!(shop.world.cart(&user), []);
    }
    shop.assert_settled().await;
}

/// The problem document of a refusal, without what differs from call to call.
fn problem(reply: &Reply) -> Value {
    let mut problem: Value = reply.json();
    problem.as_object_mut().unwrap().remove("trace_id");
    problem
}

#[tokio::test]
async fn a_refusal_stays_the_answer_to_the_byte() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in JSON_WIRES {
        let user = new_id();
        let client = keyed(&shop, &function, wire, &user);
        let first = post(&client, &user).await;
        assert_eq!(first.status, 409);
        shop.world.fill_cart(&user, &[(TEA, 0.29, 3)]);
        let again = post(&client, &user).await;
        assert_eq!(
            (again.status, problem(&again)),
            (first.status, problem(&first))
        );
    }
    assert!(shop.orders().await.is_empty());
}
