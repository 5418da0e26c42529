//! PostgreSQL is killed right after an order was answered. What nobody waited for is lost then: the record that
//! an order has ended which was recorded as PAID before. All that the answer says is kept.

use rand::{SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::{
    stage::{Provider, Shop},
    town::{Bought, Town},
};

/// How often, of each kind of order: the server may have written the record by chance.
const KILLS: usize = 3;

/// Status and step of an order of this user.
async fn order(shop: &Shop, user: Uuid) -> (String, String) {
    let query = "SELECT status, step FROM orders WHERE user_id = $1";
    let row = shop.sql("order").await.query_one(query, &[&user]).await;
    let row = row.expect("the order is there");
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_answered_outlives_a_server_that_is_killed() {
    let town = Town::open(Provider::WORKS).await;
    let sql = town.shop.sql("order").await;
    // Otherwise the server writes what nobody waits for within a fifth of a second.
    for setting in [
        "ALTER SYSTEM SET wal_writer_delay = '10s'",
        "SELECT pg_reload_conf()",
    ] {
        sql.batch_execute(setting).await.expect("the superuser may");
    }
    let product = town.shop.product(475, 100).await;
    let mut lost = 0;
    for number in 0..2 * KILLS {
        // A charge takes so long that the order is recorded as PAID before its end. Then the end is not waited for.
        let slow = number >= KILLS;
        let delay_ms = if slow {
            1_200
        } else {
            Provider::WORKS.delay_ms
        };
        let provider = Provider {
            delay_ms,
            ..Provider::WORKS
        };
        town.shop.provider(provider).await;
        let buyer = town.shop.buyer();
        assert!(town.add(&buyer, product, 2, &format!("add {number}")).await);
        let bought = town.order(&buyer, &format!("order {number}")).await;
        assert_eq!(bought, Bought::Answered);
        town.kill_postgres().await;
        let (status, step) = order(&town.shop, buyer.id).await;
        assert_eq!(status, "PAID");
        assert!(matches!(&*step, "clearing" | "ended"), "{step}");
        lost += usize::from(step == "clearing");
    }
    assert!(lost > 0, "each end was waited for");
    town.settle(&mut StdRng::seed_from_u64(1)).await;
    let books = town.shop.check("the kills").await;
    assert_eq!(books.orders.len(), 2 * KILLS);
    assert!(books.orders.values().all(super::books::Order::is_sold));
    town.close().await;
}
