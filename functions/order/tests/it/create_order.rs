//! Making an order of a cart.

use futures_util::future::join_all;
use http::Method;
use tonic::Code;
use uuid::Uuid;
use zerocart_order::CreateOrder;
use zerocart_proto::{
    order::{CreateOrderRequest, Order, OrderItem, OrderResponse, OrderStatus},
    rpc::CreateOrder as Rpc,
};
use zerocart_test_support::clients::{Wire, request};

use crate::{
    CUP, ME, POT, STOCK, Shop, TEA, answer, assert_unavailable, create, new_id, order_in, until,
    world::{DECLINED, Fault, Gate, Spot, Standing},
};

fn item(product_id: &str, name: &str, price: f64, quantity: i32, total: f64) -> OrderItem {
    OrderItem {
        product_id: product_id.into(),
        product_name: name.into(),
        product_price: price,
        quantity,
        total_price: total,
    }
}

/// RFC 3339 in UTC, microseconds.
fn assert_time(text: &str) {
    assert_eq!(text.len(), "2026-11-22T10:00:00.000001Z".len(), "{text}");
    assert!(text.starts_with("20") && text.ends_with('Z'), "{text}");
}

#[tokio::test]
async fn a_cart_becomes_a_paid_order() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for (n, wire) in (1..).zip(Wire::ALL) {
        let user = new_id();
        // Not in the order of products, and with prices that no double is.
        shop.world
            .fill_cart(&user, &[(CUP, 4.35, 1), (TEA, 0.29, 3)]);
        let asked = CreateOrderRequest {
            user_id: user.to_uppercase(),
            payment_method: "invoice".into(),
        };
        let client = shop.customer(wire, &function, &user);
        let outcome = client.call::<Rpc>(&asked).await;
        let status = if wire.is_json() { 201 } else { 200 };
        assert_eq!(outcome.http_status, status, "{wire:?} {outcome:?}");
        let location = outcome.header("location").map(str::to_owned);
        let trace = outcome.header("traceresponse").unwrap().to_owned();
        let answer = outcome.ok();
        assert!(answer.success, "{wire:?} {answer:?}");
        let order = order_in(answer);
        let trace_id = trace.split('-').nth(1).unwrap();
        assert_eq!(shop.world.traces(&order.id), [trace_id], "{wire:?}");
        if wire.is_json() {
            assert_eq!(location, Some(format!("/orders/{}", order.id)));
        }
        let id = Uuid::try_parse(&order.id).unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_time(&order.created_at);
        assert_time(&order.updated_at);
        assert!(order.created_at < order.updated_at, "{order:?}");
        let payment = shop.world.payment(&order.id).unwrap();
        assert_eq!(
            order,
            Order {
                id: order.id.clone(),
                user_id: user.clone(),
                items: vec![
                    item(TEA, "Tea", 0.29, 3, 0.87),
                    item(CUP, "Cup", 4.35, 1, 4.35)
                ],
                total_amount: 5.22,
                status: OrderStatus::Paid.into(),
                created_at: order.created_at.clone(),
                updated_at: order.updated_at.clone(),
                payment_id: payment.id.clone(),
                reason: String::new(),
            },
            "{wire:?}"
        );
        let paid = (&*payment.user_id, payment.amount, &*payment.method);
        assert_eq!(paid, (&*user, 5.22, "invoice"), "{wire:?}");
        assert_eq!(shop.world.stock(TEA), STOCK - 3 * n);
        assert_eq!(shop.world.stock(CUP), STOCK - n);
        assert_eq!(shop.world.cart(&user), []);
        assert_eq!(
            shop.world.did(&order.id),
            ["reserve Tea 3, Cup 1", "charge 5.22", "clear Tea 3, Cup 1"]
        );
        let steps = shop.steps(&order.id).await;
        let steps: Vec<_> = steps
            .iter()
            .map(|(step, outcome)| (step.as_str(), outcome.as_deref()))
            .collect();
        assert_eq!(
            steps,
            [
                ("reserving", Some("done")),
                ("charging", Some("done")),
                ("clearing the cart", Some("done")),
            ]
        );
    }
    // In its own name: the customer's token is not for others.
    assert_eq!(shop.world.callers(), ["service create-order"]);
    shop.assert_settled().await;
}

#[tokio::test]
async fn it_is_paid_by_credit_card_unless_the_customer_says_how() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    let client = shop.customer(Wire::Http1, &function, ME);
    let bodies = [
        format!(r#"{{"user_id": "{ME}"}}"#),
        format!(r#"{{"user_id": "{ME}", "payment_method": ""}}"#),
    ];
    for body in bodies {
        shop.world.fill_cart(ME, &[(TEA, 1.0, 1)]);
        let reply = client.send(request(Method::POST, "/orders", body)).await;
        let order = order_in(reply.outcome::<OrderResponse>().ok());
        let payment = shop.world.payment(&order.id).unwrap();
        assert_eq!(payment.method, "credit_card");
    }
}

/// The price that the customer saw is charged, even if the cart or the product has changed since.
#[tokio::test]
async fn the_price_that_was_in_the_cart_is_charged() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    let gate = Gate::shut();
    shop.world.set(Spot::Reserve, Fault::Held(gate.clone()));
    shop.world.fill_cart(ME, &[(TEA, 4.75, 2)]);
    let client = shop.customer(Wire::Grpc, &function, ME);
    let call = tokio::spawn(async move { client.call::<Rpc>(&create(ME)).await });
    until("the stock is asked for", async || {
        shop.world.count(Spot::Reserve) == 1
    })
    .await;
    // Two more, at another price.
    shop.world.fill_cart(ME, &[(TEA, 99.0, 4)]);
    gate.open();
    let order = order_in(call.await.unwrap().ok());
    assert_eq!(order.total_amount, 9.5);
    assert_eq!(order.items, [item(TEA, "Tea", 4.75, 2, 9.5)]);
    assert_eq!(shop.world.payment(&order.id).unwrap().amount, 9.5);
    // Only what was bought is taken from the cart.
    assert_eq!(shop.world.cart(ME), [(TEA.to_owned(), 2)]);
    shop.assert_settled().await;
}

#[tokio::test]
async fn an_empty_cart_is_told_and_nothing_is_written() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        let user = new_id();
        let client = shop.customer(wire, &function, &user);
        let keyed = client.clone().header("idempotency-key", "k");
        for client in [&client, &keyed] {
            let outcome = client.call::<Rpc>(&create(&user)).await;
            assert_eq!(outcome.code, Code::FailedPrecondition, "{wire:?}");
            assert!(!wire.is_json() || outcome.http_status == 409);
            assert_eq!(outcome.message, "the cart is empty");
        }
        // Under the key that stays the answer.
        shop.world.fill_cart(&user, &[(TEA, 1.0, 1)]);
        let outcome = keyed.call::<Rpc>(&create(&user)).await;
        assert_eq!(outcome.code, Code::FailedPrecondition, "{wire:?}");
        assert_eq!(outcome.message, "the cart is empty");
        assert_eq!(shop.world.count(Spot::Reserve), 0);
    }
    assert!(shop.orders().await.is_empty());
}

#[tokio::test]
async fn a_declined_payment_is_an_answer() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    shop.world.set(Spot::Charge, Fault::Declined);
    for wire in Wire::ALL {
        let user = new_id();
        shop.world.fill_cart(&user, &[(TEA, 1.5, 2), (CUP, 1.0, 1)]);
        let client = shop.customer(wire, &function, &user);
        let outcome = client.call::<Rpc>(&create(&user)).await;
        let status = if wire.is_json() { 201 } else { 200 };
        assert_eq!(outcome.http_status, status, "{wire:?} {outcome:?}");
        let answer = outcome.ok();
        assert_eq!((answer.success, &*answer.message), (false, DECLINED));
        let order = order_in(answer);
        assert_eq!(order.status(), OrderStatus::Failed, "{wire:?}");
        assert_eq!(order.reason, DECLINED);
        let payment = shop.world.payment(&order.id).unwrap();
        assert_eq!(payment.standing, Standing::Declined);
        // Nothing is to be refunded.
        assert_eq!(
            shop.world.did(&order.id),
            [
                "reserve Tea 2, Cup 1",
                "charge 4.00",
                "release Tea 2, Cup 1"
            ]
        );
        let stored = shop.order(&order.id).await;
        assert_eq!(stored.end(), ("FAILED", Some("declined"), DECLINED));
        // The cart is as it was.
        assert_eq!(shop.world.cart(&user).len(), 2, "{wire:?}");
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn without_enough_in_stock_nothing_is_charged() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        let user = new_id();
        let cart = [(TEA, 1.0, 1), (CUP, 1.0, 2), (POT, 1.0, STOCK + 1)];
        shop.world.fill_cart(&user, &cart);
        let client = shop.customer(wire, &function, &user);
        let answer = client.call::<Rpc>(&create(&user)).await.ok();
        let reason = "there is not enough of Pot in stock";
        assert_eq!((answer.success, &*answer.message), (false, reason));
        let order = order_in(answer);
        assert_eq!(order.status(), OrderStatus::Failed, "{wire:?}");
        assert_eq!((&*order.reason, &*order.payment_id), (reason, ""));
        // All or nothing: there is nothing to give back.
        assert_eq!(
            shop.world.did(&order.id),
            [format!("reserve Tea 1, Cup 2, Pot {}", STOCK + 1)]
        );
        let stored = shop.order(&order.id).await;
        assert_eq!(stored.end(), ("FAILED", Some("refused"), reason));
    }
    assert_eq!(shop.world.count(Spot::Charge), 0);
    shop.assert_settled().await;

    // One line, and of several more than one.
    for (cart, reason) in [
        (
            vec![(TEA, 1.0, STOCK + 1)],
            "there is not enough of Tea in stock",
        ),
        (
            vec![(TEA, 1.0, 1), (CUP, 1.0, STOCK + 1), (POT, 1.0, STOCK + 1)],
            "there is not enough of Cup and Pot in stock",
        ),
    ] {
        shop.world.fill_cart(ME, &cart);
        let client = shop.customer(Wire::Grpc, &function, ME);
        let order = order_in(client.call::<Rpc>(&create(ME)).await.ok());
        assert_eq!(order.reason, reason);
        assert_eq!(shop.world.did(&order.id).len(), 1);
    }
    shop.assert_settled().await;
}

/// update-inventory is not replaced yet, while an update rolls out: it takes one line in a call.
#[tokio::test]
async fn an_update_inventory_of_the_version_before_is_asked_line_by_line() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    shop.world.set_takes_one_line(true);
    for wire in Wire::ALL {
        let user = new_id();
        let client = shop.customer(wire, &function, &user);
        shop.world.fill_cart(&user, &[(TEA, 1.0, 1), (CUP, 1.0, 2)]);
        let order = order_in(client.call::<Rpc>(&create(&user)).await.ok());
        assert_eq!(order.status(), OrderStatus::Paid, "{wire:?}");
        assert_eq!(
            shop.world.did(&order.id)[..2],
            ["reserve Tea 1", "reserve Cup 2"]
        );

        // What was reserved before the line that is refused goes back at once.
        let cart = [(TEA, 1.0, 1), (CUP, 1.0, 2), (POT, 1.0, STOCK + 1)];
        shop.world.fill_cart(&user, &cart);
        let order = order_in(client.call::<Rpc>(&create(&user)).await.ok());
        assert_eq!(order.reason, "there is not enough of Pot in stock");
        assert_eq!(
            shop.world.did(&order.id)[3..],
            ["release Tea 1", "release Cup 2"]
        );

        // And if it cannot, a later driver does it.
        shop.world.set(Spot::Release, Fault::Unavailable);
        let outcome = client.call::<Rpc>(&create(&user)).await;
        assert_unavailable(&outcome, wire);
        let id = &outcome.metadata["order_id"];
        assert_eq!(shop.order(id).await.step, "releasing");
        assert_eq!(shop.world.held(id), 3);
        shop.world.heal();
        until("it is undone", async || {
            shop.lapse().await;
            shop.recover_with(&[("BREAKER_OPEN_MS", "50")]).await;
            shop.order(id).await.step == "ended"
        })
        .await;
        let close = "DELETE FROM circuit_breakers";
        shop.sql.execute(close, &[]).await.unwrap();
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn the_last_unit_goes_to_one_of_many() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    let ring = new_id();
    shop.world.add_product(&ring, "Ring", 1);
    let buyers = (0..16).map(|n| {
        let user = new_id();
        shop.world
            .fill_cart(&user, &[(TEA, 1.0, 1), (&ring, 99.0, 1)]);
        let client = shop.customer(Wire::ALL[n % 4], &function, &user);
        let client = client.header("idempotency-key", "k");
        async move { answer::<Rpc>(&client, &create(&user)).await.ok() }
    });
    let answers = join_all(buyers).await;
    let paid = answers.iter().filter(|answer| answer.success).count();
    assert_eq!(paid, 1);
    for answer in answers.iter().filter(|answer| !answer.success) {
        assert_eq!(answer.message, "there is not enough of Ring in stock");
    }
    assert_eq!(shop.world.stock(&ring), 0);
    assert_eq!(shop.world.stock(TEA), STOCK - 1);
    assert_eq!(shop.world.count(Spot::Charge), 1);
    shop.assert_settled().await;
}

#[tokio::test]
async fn a_product_that_is_gone_is_told_by_its_name() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let user = new_id();
        let gone = format!("018f4e9a-7c1b-7def-8000-00000000010{n}");
        shop.world.add_product(&gone, "Mug", 5);
        shop.world
            .fill_cart(&user, &[(TEA, 1.0, 1), (&gone, 1.0, 1)]);
        shop.world.remove_product(&gone);
        let client = shop.customer(wire, &function, &user);
        let answer = client.call::<Rpc>(&create(&user)).await.ok();
        assert_eq!(
            (answer.success, &*answer.message),
            (false, "Mug is not sold any more"),
            "{wire:?}"
        );
        assert_eq!(order_in(answer).status(), OrderStatus::Failed);
    }
    assert_eq!(shop.world.count(Spot::Charge), 0);
    shop.assert_settled().await;
}

#[tokio::test]
async fn without_the_cart_nothing_is_written() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        let user = new_id();
        shop.world.fill_cart(&user, &[(TEA, 1.0, 1)]);
        shop.world.set(Spot::GetCart, Fault::Unavailable);
        let client = shop.customer(wire, &function, &user);
        let keyed = client.header("idempotency-key", "k");
        let outcome = keyed.call::<Rpc>(&create(&user)).await;
        assert_unavailable(&outcome, wire);
        assert!(outcome.metadata.is_empty(), "{outcome:?}");
        assert!(shop.orders().await.iter().all(|o| o.user_id != user));
        // That was no answer: under the same key it is tried anew.
        shop.world.heal();
        let order = order_in(keyed.call::<Rpc>(&create(&user)).await.ok());
        assert_eq!(order.status(), OrderStatus::Paid, "{wire:?}");
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn a_cart_that_makes_no_sense_is_a_fault_of_ours() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for (n, line) in [
        (TEA, 1.0, 0),
        (TEA, 1.0, -1),
        (TEA, 0.001, 1),
        ("tea", 1.0, 1),
    ]
    .iter()
    .enumerate()
    {
        shop.world.fill_cart(ME, &[(CUP, 1.0, 1), *line]);
        let wire = Wire::ALL[n];
        let client = shop.customer(wire, &function, ME);
        let outcome = client.call::<Rpc>(&create(ME)).await;
        assert_eq!(outcome.code, Code::Internal, "{line:?}");
        assert!(!wire.is_json() || outcome.http_status == 500);
    }
    assert!(shop.orders().await.is_empty());
}

/// The stock function cannot be used: nothing may be left reserved in the end.
#[tokio::test]
async fn without_the_stock_function_the_order_is_undone_later() {
    for wire in Wire::ALL {
        let shop = Shop::new().await;
        let quick = [("BREAKER_OPEN_MS", "50")];
        let function = shop.start_with::<CreateOrder>(&quick).await;
        shop.world.fill_cart(ME, &[(TEA, 1.0, 1), (CUP, 1.0, 2)]);
        // Reserved, and nobody knows.
        shop.world.set_for(Spot::Reserve, CUP, Fault::Lost);
        shop.world.set(Spot::Release, Fault::Unavailable);
        let client = shop.customer(wire, &function, ME);
        let outcome = client.call::<Rpc>(&create(ME)).await;
        assert_unavailable(&outcome, wire);
        let order = shop.only_order().await;
        assert_eq!(outcome.metadata["order_id"], order.id, "{wire:?}");
        assert_eq!((&*order.status, &*order.step), ("PENDING", "releasing"));
        assert_eq!(order.tries, 1);
        assert!(!order.lapsed, "it pauses");
        assert_eq!(shop.world.held(&order.id), 3);

        shop.world.heal();
        until("it is undone", async || {
            shop.lapse().await;
            shop.recover_with(&quick).await;
            shop.only_order().await.step == "ended"
        })
        .await;
        let order = shop.only_order().await;
        let reason = "the stock cannot be reserved at the moment";
        assert_eq!(order.end(), ("FAILED", Some("unavailable"), reason));
        assert_eq!(shop.world.count(Spot::Charge), 0);
        shop.assert_settled().await;
    }
}

#[tokio::test]
async fn more_than_can_be_paid_at_once_is_told() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    let products: Vec<_> = (0..10)
        .map(|n| format!("018f4e9a-7c1b-7def-8000-00000000020{n}"))
        .collect();
    for product in &products {
        shop.world.add_product(product, "Ring", 100_000);
    }
    // A million million, which is just not too much.
    let lines = products
        .iter()
        .map(|id| (id.as_str(), 10_000_000.0, 10_000));
    let most: Vec<_> = lines.collect();
    let mut more = most.clone();
    more.push((TEA, 0.01, 1));
    for wire in Wire::ALL {
        let client = shop.customer(wire, &function, ME);
        shop.world.fill_cart(ME, &more);
        let before = shop.orders().await.len();
        let outcome = client.call::<Rpc>(&create(ME)).await;
        assert_eq!(outcome.code, Code::FailedPrecondition, "{wire:?}");
        assert!(!wire.is_json() || outcome.http_status == 409);
        assert!(outcome.message.contains("more than"), "{}", outcome.message);
        assert_eq!(shop.orders().await.len(), before);

        shop.world.fill_cart(ME, &most);
        let order = order_in(client.call::<Rpc>(&create(ME)).await.ok());
        assert_eq!(order.total_amount, 1e12, "{wire:?}");
        assert_eq!(order.status(), OrderStatus::Paid);
    }
    shop.assert_settled().await;
}
