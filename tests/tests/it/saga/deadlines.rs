//! A client that does not wait for long.

use std::{future::pending, time::Duration};

use tokio::{sync::mpsc, time::timeout};
use tonic::Code;
use zerocart_proto::{
    order::{CreateOrderRequest, OrderResponse},
    rpc,
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::{Running, Script},
};

use super::{
    forwarder::Addresses,
    stage::{Buyer, Provider, Stage, urls},
    until,
};

/// CreateOrder over gRPC by a client that waits 300 ms.
async fn order_within_300_ms(stage: &Stage, buyer: &Buyer) -> Outcome<OrderResponse> {
    let client = Client::new(Wire::Grpc, stage.address("create-order"))
        .bearer(&buyer.token)
        .header("grpc-timeout", "300m");
    let request = CreateOrderRequest {
        user_id: buyer.id.to_string(),
        payment_method: String::new(),
    };
    client.call::<rpc::CreateOrder>(&request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_the_whole_chain_before_there_is_an_order() {
    /// Says that the call is over.
    struct Over(mpsc::UnboundedSender<Duration>, Duration);

    impl Drop for Over {
        fn drop(&mut self) {
            let _ = self.0.send(self.1);
        }
    }

    let mut stage = Stage::new().await;
    let (over, mut overs) = mpsc::unbounded_channel();
    let hangs = Script::<rpc::GetCart>::new(move |cx, _| {
        let over = Over(over.clone(), cx.remaining());
        async move {
            let _over = over;
            pending().await
        }
    });
    let get_cart = Running::scripted(stage.shop.authority.env(), hangs).await;
    let mut addresses: Addresses = stage.addresses();
    addresses.insert("get-cart", get_cart.address());
    let urls = urls(&addresses);
    stage
        .restart("create-order", &[("FUNCTION_URLS", &urls)])
        .await;

    let buyer = stage.shop.buyer();
    // On a machine that is slow for a moment, the time may be over before get-cart is asked.
    let left = until("get-cart is cancelled", async || {
        let outcome = order_within_300_ms(&stage, &buyer).await;
        assert_eq!(outcome.code, Code::DeadlineExceeded, "{outcome:?}");
        timeout(Duration::from_secs(1), overs.recv()).await.ok()?
    })
    .await;
    // It knew how long it is waited for, and did not go on when nobody waited any more.
    assert!(left <= Duration::from_millis(300), "{left:?}");
    let books = stage.shop.check("a deadline before the order").await;
    assert!(books.orders.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_not_end_an_order_that_is_being_made() {
    let mut stage = Stage::new().await;
    stage.restart("create-order", &[]).await;
    let product = stage.shop.product(475, 20).await;
    let buyer = stage.shop.buyer();
    stage.add(&buyer, product, 2).await;
    stage
        .shop
        .provider(Provider {
            delay_ms: 2_000,
            ..Provider::WORKS
        })
        .await;

    // As above: the time may be over before there is an order.
    until("an order is placed", async || {
        let outcome = order_within_300_ms(&stage, &buyer).await;
        assert_eq!(outcome.code, Code::DeadlineExceeded, "{outcome:?}");
        let books = stage.shop.books().await;
        (!books.orders.is_empty()).then_some(())
    })
    .await;
    // Nobody takes it up: its driver goes on by itself.
    let order = until("the order is made", async || {
        let books = stage.shop.books().await;
        let order = books.orders.values().next().cloned();
        order.filter(|order| order.step == "ended")
    })
    .await;
    assert_eq!(order.status, "PAID");
    stage.shop.check("a deadline during the charge").await;
}
