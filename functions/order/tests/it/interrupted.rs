//! Orders whose customer does not wait, whose driver stops or is taken for dead, and that are in
//! each other's way.

use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::Code;
use zerocart_order::CreateOrder;
use zerocart_proto::{order::OrderStatus, rpc::CreateOrder as Rpc};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{PATIENCE, Running},
    postgres::TestServer,
    process::Process,
};

use crate::{
    CUP, INTERRUPTED, ME, POT, Shop, TEA, connect, counts, create,
    left::Left,
    new_id, order_in, until,
    world::{Fault, Gate, Spot, Standing},
};

/// Waits until the user's charge is asked for.
async fn until_charged(shop: &Shop, user: &str) {
    until("it is charged", async || {
        shop.world.count_of(Spot::Charge, user) == 1
    })
    .await;
}

/// Waits until the only order of the user has ended, and expects that it is paid.
async fn until_paid(shop: &Shop, user: &str) {
    until("it has ended", async || {
        shop.order_of(user).await.step == "ended"
    })
    .await;
    assert_eq!(shop.order_of(user).await.status, "PAID");
    assert_eq!(shop.world.cart(user), []);
}

/// How many calls the function counts whose client went away.
async fn cancelled(function: &Running) -> u32 {
    let client = Client::new(Wire::Http1, function.address());
    let text = client.get("/metrics").await.text();
    let calls = text
        .lines()
        .filter(|line| line.starts_with("zerocart_calls_total") && line.contains("CANCELLED"));
    calls
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap())
        .sum()
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_not_the_order() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        let gate = Gate::shut();
        shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
        let mut charged = None;
        // On a slow machine the time may run out before there is an order.
        for _ in 0..20 {
            let user = new_id();
            shop.world.fill_cart(&user, &[(TEA, 1.0, 2)]);
            let client = shop.customer(wire, &function, &user);
            let client = client.header("grpc-timeout", "300m");
            let outcome = client.call::<Rpc>(&create(&user)).await;
            assert_eq!(outcome.code, Code::DeadlineExceeded, "{wire:?} {outcome:?}");
            assert!(!wire.is_json() || outcome.http_status == 504);
            if shop.world.count_of(Spot::Charge, &user) == 1 {
                charged = Some(user);
                break;
            }
        }
        let user = charged.expect("300 ms are enough to get to the charge");
        let order = shop.order_of(&user).await;
        assert_eq!((&*order.status, &*order.step), ("PROCESSING", "charging"));
        gate.open();
        until_paid(&shop, &user).await;
    }
}

#[tokio::test]
async fn an_order_is_made_though_the_customer_has_gone() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for (n, wire) in (1..).zip(Wire::ALL) {
        let (user, gate) = (new_id(), Gate::shut());
        shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(TEA, 1.0, 2)]);
        let client = shop.customer(wire, &function, &user);
        let asked = create(&user);
        let call = tokio::spawn(async move { client.call::<Rpc>(&asked).await });
        until_charged(&shop, &user).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled(), "{wire:?}");
        // The function has seen it.
        until("the call is over", async || cancelled(&function).await == n).await;
        gate.open();
        until_paid(&shop, &user).await;
        assert_eq!(shop.world.count_of(Spot::Charge, &user), 1);
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn a_process_that_is_told_to_stop_finishes_the_order_that_it_drives() {
    let shop = Shop::new().await;
    for wire in Wire::ALL {
        let program = env!("CARGO_BIN_EXE_create-order");
        let (mut process, address) = Process::listening(program, shop.env(&[]));
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        let (user, gate) = (new_id(), Gate::shut());
        shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(TEA, 1.0, 2)]);
        let token = shop.authority.customer(&user);
        let client = Client::new(wire, address).bearer(&token);
        let asked = create(&user);
        let call = tokio::spawn(async move { client.call::<Rpc>(&asked).await });
        until_charged(&shop, &user).await;
        // Nobody waits for the answer, so only the order itself keeps the process.
        call.abort();
        process.log_until(|line| line["code"] == "CANCELLED").await;
        process.signal(Signal::TERM);
        // It hangs up on who waits for nothing: it has begun to stop.
        let mut rest = Vec::new();
        timeout(PATIENCE, idle.read_to_end(&mut rest))
            .await
            .expect("it stops")
            .unwrap();
        assert_eq!(shop.order_of(&user).await.step, "charging", "{wire:?}");
        gate.open();
        let ended = process.ended().await;
        assert!(ended.status.success(), "{wire:?} {ended:?}");
        let order = shop.order_of(&user).await;
        assert_eq!((&*order.status, &*order.step), ("PAID", "ended"));
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn one_that_is_answered_while_it_stops_is_answered() {
    let shop = Shop::new().await;
    for wire in Wire::ALL {
        let mut function = shop.start::<CreateOrder>().await;
        let (user, gate) = (new_id(), Gate::shut());
        shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(TEA, 1.0, 2)]);
        let client = shop.customer(wire, &function, &user);
        let asked = create(&user);
        let call = tokio::spawn(async move { client.call::<Rpc>(&asked).await });
        until_charged(&shop, &user).await;
        function.begin_stop();
        gate.open();
        let order = order_in(call.await.unwrap().ok());
        assert_eq!(order.status(), OrderStatus::Paid, "{wire:?}");
        function.stopped().await;
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn a_second_order_waits_until_the_first_has_left_the_cart() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        for spot in [Spot::Reserve, Spot::Charge, Spot::ClearCart] {
            let (user, gate) = (new_id(), Gate::shut());
            let before = shop.world.count(spot);
            shop.world.set(spot, Fault::Held(gate.clone()));
            shop.world.fill_cart(&user, &[(TEA, 1.0, 2)]);
            let client = shop.customer(wire, &function, &user);
            let (first, asked) = (client.clone(), create(&user));
            let first = tokio::spawn(async move { first.call::<Rpc>(&asked).await });
            until("it is under way", async || {
                shop.world.count(spot) == before + 1
            })
            .await;
            let second = client.clone().header("idempotency-key", "second");
            for client in [&client, &second] {
                let outcome = client.call::<Rpc>(&create(&user)).await;
                assert_eq!(outcome.code, Code::Aborted, "{wire:?} {spot:?}");
                assert!(!wire.is_json() || outcome.http_status == 409);
                assert!(outcome.retry_after.is_some());
            }
            gate.open();
            let order = order_in(first.await.unwrap().ok());
            assert_eq!(order.status(), OrderStatus::Paid, "{wire:?} {spot:?}");
            for client in [&client, &second] {
                let outcome = client.call::<Rpc>(&create(&user)).await;
                assert_eq!(outcome.message, "the cart is empty", "{wire:?} {spot:?}");
            }
            shop.order_of(&user).await;
        }
    }
    shop.assert_settled().await;
}

/// A new order of a cart that an abandoned one still has.
#[tokio::test]
async fn an_abandoned_order_is_finished_first() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        for (left, done) in [
            (Left::at("PENDING", "reserving", 0), false),
            (Left::at("PENDING", "reserving", 1), true),
            (Left::at("PROCESSING", "charging", 0), false),
        ] {
            left.play(&shop.world, done);
            shop.insert(&left).await;
            let client = shop.customer(wire, &function, &left.user_id);
            let answer = client.call::<Rpc>(&create(&left.user_id)).await.ok();
            assert!(answer.success, "{wire:?} {left:?} {answer:?}");
            assert_ne!(order_in(answer).id, left.id);
            let old = shop.order(&left.id).await;
            assert_eq!(old.end(), ("FAILED", Some("interrupted"), INTERRUPTED));
        }
        for (left, done) in [
            (Left::at("PROCESSING", "charging", 0).asked(), false),
            (Left::at("PROCESSING", "charging", 0).asked(), true),
            (Left::at("PAID", "clearing", 0), false),
            (Left::at("PAID", "clearing", 0), true),
        ] {
            left.play(&shop.world, done);
            shop.insert(&left).await;
            // It has bought what is in the cart.
            let client = shop.customer(wire, &function, &left.user_id);
            let outcome = client.call::<Rpc>(&create(&left.user_id)).await;
            assert_eq!(outcome.message, "the cart is empty", "{wire:?} {left:?}");
            assert_eq!(shop.order_of(&left.user_id).await.status, "PAID");
        }
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn an_abandoned_order_that_cannot_be_finished_stays_in_the_way() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    shop.world.set(Spot::ClearCart, Fault::Unavailable);
    for wire in Wire::ALL {
        let left = Left::at("PAID", "clearing", 0);
        left.play(&shop.world, false);
        shop.insert(&left).await;
        let client = shop.customer(wire, &function, &left.user_id);
        for _ in 0..2 {
            let outcome = client.call::<Rpc>(&create(&left.user_id)).await;
            assert_eq!(outcome.code, Code::Aborted, "{wire:?} {outcome:?}");
        }
        let stored = shop.order_of(&left.user_id).await;
        assert_eq!((stored.tries, &*stored.step), (1, "clearing"), "{wire:?}");
    }
}

/// While an order is undone, the cart is free.
#[tokio::test]
async fn an_order_that_is_being_undone_is_in_nobodys_way() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        for left in [
            Left::at("PROCESSING", "refunding", 0).because("unavailable"),
            Left::at("PENDING", "releasing", 2).because("interrupted"),
        ] {
            left.play(&shop.world, false);
            shop.insert(&left.clone().live()).await;
            let client = shop.customer(wire, &function, &left.user_id);
            let answer = client.call::<Rpc>(&create(&left.user_id)).await.ok();
            assert!(answer.success, "{wire:?} {answer:?}");
            assert_ne!(shop.order(&left.id).await.step, "ended");
        }
    }
}

/// It is silent for longer than its lease, but is alive: the new driver has the order.
#[tokio::test]
async fn a_driver_that_was_taken_for_dead_changes_nothing_any_more() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        let (user, gate) = (new_id(), Gate::shut());
        shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(TEA, 1.0, 2), (CUP, 1.0, 1)]);
        let client = shop.customer(wire, &function, &user);
        let (first, asked) = (client.clone(), create(&user));
        let first = tokio::spawn(async move { first.call::<Rpc>(&asked).await });
        until_charged(&shop, &user).await;
        // Another driver takes over, and the charge of the first one is on its way.
        shop.world.set(Spot::Charge, Fault::Declined);
        shop.lapse().await;
        assert_eq!(counts(&shop.recover().await), [1, 0, 0], "{wire:?}");
        let end = shop.order_of(&user).await;
        assert_eq!(end.cause.as_deref(), Some("declined"));
        gate.open();
        // The first driver answers with the outcome.
        let answer = first.await.unwrap().ok();
        assert!(!answer.success, "{wire:?}");
        assert_eq!(order_in(answer).status(), OrderStatus::Failed, "{wire:?}");
        let order = shop.order_of(&user).await;
        assert_eq!(order.end(), end.end(), "{wire:?}");
        assert_eq!(order.fence, 2);
        let payment = shop.world.payment(&order.id).unwrap();
        assert_eq!(payment.standing, Standing::Declined);
    }
    shop.assert_settled().await;
}

/// What is done is not forgotten: it is recorded when the database is back.
#[tokio::test]
async fn a_driver_waits_for_its_database() {
    let mut server = TestServer::private().await;
    let mut shop = Shop::of(&server).await;
    let function = shop.start::<CreateOrder>().await;
    for wire in Wire::ALL {
        let (user, gate) = (new_id(), Gate::shut());
        shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(TEA, 1.0, 2)]);
        let client = shop.customer(wire, &function, &user);
        let asked = create(&user);
        let call = tokio::spawn(async move { client.call::<Rpc>(&asked).await });
        until_charged(&shop, &user).await;
        server.stop().await;
        gate.open();
        server.start().await;
        shop.sql = connect(&shop.database).await;
        let order = order_in(call.await.unwrap().ok());
        assert_eq!(order.status(), OrderStatus::Paid, "{wire:?}");
        assert_eq!(shop.world.count_of(Spot::Charge, &user), 1);
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn a_driver_that_waits_says_that_it_lives() {
    let shop = Shop::new().await;
    let function = shop
        .start_with::<CreateOrder>(&[("ORDER_LEASE_MS", "6000")])
        .await;
    let gate = Gate::shut();
    shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
    shop.world.fill_cart(ME, &[(POT, 1.0, 2)]);
    let client = shop.customer(Wire::Grpc, &function, ME);
    let call = tokio::spawn(async move { client.call::<Rpc>(&create(ME)).await });
    until_charged(&shop, ME).await;
    let first = shop.only_order().await;
    assert_eq!(first.step, "charging");
    until("its lease is renewed", async || {
        let now = shop.only_order().await;
        assert!(!now.lapsed, "{now:?}");
        now.lease_until > first.lease_until
    })
    .await;
    assert_eq!(counts(&shop.recover().await), [0, 0, 0]);
    gate.open();
    assert!(call.await.unwrap().ok().success);
    assert_eq!(shop.only_order().await.fence, 1);
    shop.assert_settled().await;
}
