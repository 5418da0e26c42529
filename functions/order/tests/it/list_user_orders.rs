//! Paging through a user's orders.

use uuid::Uuid;
use zerocart_order::{CreateOrder, ListUserOrders};
use zerocart_proto::{
    order::{ListOrdersResponse, ListUserOrdersRequest},
    rpc::{CreateOrder as Create, ListUserOrders as Rpc},
};
use zerocart_test_support::clients::Wire;

use crate::{
    CUP, ME, OTHER, STATUSES, Shop, TEA, create,
    left::Left,
    order_in,
    world::{Fault, Spot},
};

fn page(user_id: &str, limit: i32) -> ListUserOrdersRequest {
    ListUserOrdersRequest {
        user_id: user_id.into(),
        limit,
        page_token: String::new(),
    }
}

fn ids(page: &ListOrdersResponse) -> Vec<&str> {
    page.orders.iter().map(|order| order.id.as_str()).collect()
}

/// Adds paid orders of a user, three of each moment, and gives the ids of all, newest first.
async fn ordered(shop: &Shop, user: &str, number: i32) -> Vec<String> {
    let user = Uuid::try_parse(user).unwrap();
    let tea = Uuid::try_parse(TEA).unwrap();
    shop.sql
        .execute(
            "WITH made AS (
                 INSERT INTO orders (id, user_id, payment_method, total, status, step, payment_id,
                     paid_at, lease_until, created_at)
                 SELECT gen_random_uuid(), $1, 'credit_card', 0.29, 'PAID', 'ended',
                     gen_random_uuid(), now(), now(),
                     timestamptz '2020-01-01' + n / 3 * interval '1 microsecond'
                 FROM generate_series(1, $2) n RETURNING id
             )
             INSERT INTO order_items (order_id, line, product_id, name, price, quantity)
             SELECT id, 0, $3, 'Tea', 0.29, 1 FROM made",
            &[&user, &number, &tea],
        )
        .await
        .unwrap();
    let newest = "SELECT id::text FROM orders WHERE user_id = $1 ORDER BY created_at DESC, id DESC";
    let rows = shop.sql.query(newest, &[&user]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn who_has_no_orders_gets_an_empty_page() {
    let shop = Shop::new().await;
    let function = shop.start::<ListUserOrders>().await;
    ordered(&shop, OTHER, 3).await;
    for wire in Wire::ALL {
        let client = shop.customer(wire, &function, ME);
        let outcome = client.call::<Rpc>(&page(ME, 0)).await;
        assert_eq!(outcome.http_status, 200);
        assert_eq!(outcome.ok(), ListOrdersResponse::default(), "{wire:?}");
    }
}

#[tokio::test]
async fn the_newest_come_first_as_they_were_made() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let function = shop.start::<ListUserOrders>().await;
    let mut made = Vec::new();
    for wire in Wire::ALL {
        for declined in [false, true] {
            if declined {
                shop.world.set(Spot::Charge, Fault::Declined);
            }
            shop.world.fill_cart(ME, &[(CUP, 1.5, 2), (TEA, 0.29, 3)]);
            let client = shop.customer(wire, &maker, ME);
            let answer = client.call::<Create>(&create(ME)).await.ok();
            assert_eq!(answer.success, !declined);
            made.insert(0, order_in(answer));
            shop.world.heal();
        }
    }
    for wire in Wire::ALL {
        for client in [
            shop.customer(wire, &function, ME),
            shop.admin(wire, &function),
        ] {
            let answer = client.call::<Rpc>(&page(&ME.to_uppercase(), 0)).await.ok();
            assert_eq!(answer.orders, made, "{wire:?}");
            assert_eq!((answer.total, &*answer.next_page_token), (8, ""));
        }
    }
}

#[tokio::test]
async fn every_status_is_listed() {
    let shop = Shop::new().await;
    let function = shop.start::<ListUserOrders>().await;
    let mut expected = Vec::new();
    for status in STATUSES {
        let left = match status.as_str_name() {
            "PENDING" => Left::at("PENDING", "reserving", 0),
            "PROCESSING" => Left::at("PROCESSING", "refunding", 0).because("unavailable"),
            "CANCELLED" => Left::at("CANCELLED", "ended", 0).because("cancelled"),
            "FAILED" => Left::at("FAILED", "ended", 0).because("refused"),
            ended => Left::at(ended, "ended", 0),
        };
        shop.insert(&left.clone().of(ME)).await;
        let reason = left.cause.map_or("", |_| "as it was");
        expected.insert(0, (left.id, i32::from(status), reason.to_owned()));
    }
    for wire in Wire::ALL {
        let client = shop.customer(wire, &function, ME);
        let answer = client.call::<Rpc>(&page(ME, 0)).await.ok();
        let orders = answer.orders.into_iter();
        let found: Vec<_> = orders.map(|o| (o.id, o.status, o.reason)).collect();
        assert_eq!(found, expected, "{wire:?}");
    }
    // A list drives nothing on.
    assert!(shop.world.callers().is_empty());
}

#[tokio::test]
async fn the_limit_cuts_a_page_and_total_counts_all() {
    let shop = Shop::new().await;
    let function = shop.start::<ListUserOrders>().await;
    let all = ordered(&shop, ME, 45).await;
    ordered(&shop, OTHER, 5).await;
    for wire in Wire::ALL {
        let client = shop.customer(wire, &function, ME);
        for (limit, expected) in [(0, 20), (1, 1), (20, 20), (44, 44), (45, 45), (100, 45)] {
            let answer = client.call::<Rpc>(&page(ME, limit)).await.ok();
            assert_eq!(ids(&answer), all[..expected], "{wire:?} {limit}");
            assert_eq!(answer.total, 45, "{wire:?} {limit}");
            let more = !answer.next_page_token.is_empty();
            assert_eq!(more, expected < 45, "{wire:?} {limit}");
            for order in answer.orders {
                assert_eq!((&*order.user_id, order.items.len()), (ME, 1));
                assert_eq!(order.total_amount, 0.29);
            }
        }
    }
}

#[tokio::test]
async fn tokens_lead_through_all_of_them_once_while_others_are_made() {
    let shop = Shop::new().await;
    let function = shop.start::<ListUserOrders>().await;
    let mut all = ordered(&shop, ME, 45).await;
    // In the middle of the three of one moment, at its end, and one at a time.
    for (wire, limit) in Wire::ALL.into_iter().zip([7, 9, 1, 44]) {
        let client = shop.customer(wire, &function, ME);
        let mut total = i32::try_from(all.len()).unwrap();
        let mut asked = page(ME, limit);
        let mut seen = Vec::new();
        let mut added = Vec::new();
        loop {
            let answer = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(answer.total, total, "{wire:?}");
            assert!(!answer.orders.is_empty(), "{wire:?}");
            seen.extend(answer.orders.into_iter().map(|order| order.id));
            if answer.next_page_token.is_empty() {
                break;
            }
            asked.page_token = answer.next_page_token;
            let left = Left::at("DELIVERED", "ended", 0).of(ME);
            shop.insert(&left).await;
            added.insert(0, left.id);
            total += 1;
        }
        assert_eq!(seen, all, "{wire:?}");
        all.splice(..0, added);
    }
}

/// The token of the last page's last order leads to nothing more, which is no error.
#[tokio::test]
async fn after_the_oldest_there_is_an_empty_page() {
    let shop = Shop::new().await;
    let function = shop.start::<ListUserOrders>().await;
    let all = ordered(&shop, ME, 3).await;
    for wire in Wire::ALL {
        let client = shop.customer(wire, &function, ME);
        let asked = ListUserOrdersRequest {
            page_token: all[2].clone(),
            ..page(ME, 0)
        };
        let answer = client.call::<Rpc>(&asked).await.ok();
        assert!(answer.orders.is_empty(), "{wire:?}");
        assert_eq!((answer.total, &*answer.next_page_token), (3, ""));
    }
}
