//! One unit, many who want it.

use futures_util::future::join_all;
use zerocart_proto::order::OrderResponse;

use super::{
    stage::{Stage, post_order, send},
    until,
};

const BUYERS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_buyers_one_gets_the_last_unit() {
    let stage = Stage::new().await;
    let product = stage.shop.product(1_999, 1).await;
    let buyers: Vec<_> = (0..BUYERS).map(|_| stage.shop.buyer()).collect();
    for buyer in &buyers {
        stage.add(buyer, product, 1).await;
    }
    // As many connections as its manifest gives it.
    let env = stage.order_env(&[("DATABASE_POOL_SIZE", "4")]);
    let (process, address) = stage.start("create-order", env).await;
    let orders = buyers.iter().map(async |buyer| {
        let mut key = 0;
        until("the buyer has an answer", async || {
            let request = post_order(buyer, &format!("order {key}"));
            let answer = send(address, request).await;
            let answer = answer.unwrap_or_else(|| panic!("no answer\n{}", process.log()));
            let answer = answer.outcome::<OrderResponse>();
            match answer.http_status {
                201 => return Some(answer.ok()),
                // The crowd was too much for something: this order has failed, and another may not.
                503 if answer.metadata.contains_key("order_id") => key += 1,
                409 | 429 | 503 | 504 => {}
                _ => panic!("{answer:?}\n{}", process.log()),
            }
            None
        })
        .await
    });
    let answers = join_all(orders).await;
    process.kill().await;

    let winners = answers.iter().filter(|answer| answer.success);
    assert_eq!(winners.count(), 1, "{answers:#?}");
    for answer in answers.iter().filter(|answer| !answer.success) {
        assert_eq!(answer.message, "there is not enough of Tea in stock");
    }
    let books = stage.shop.check("the rush").await;
    let paid = books.orders.values().filter(|order| order.status == "PAID");
    assert_eq!(paid.count(), 1);
    assert_eq!(books.stock(product), 0);
}
