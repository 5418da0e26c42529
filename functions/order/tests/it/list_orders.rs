//! Paging through the orders of all users.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tonic::Code;
use uuid::Uuid;
use zerocart_order::{CreateOrder, ListOrders, ListUserOrders};
use zerocart_proto::{
    order::{
        ListOrdersRequest, ListUserOrdersRequest, OrderPageResponse, OrderStatus,
        OrderStatus::{Cancelled, Failed, Paid, Pending, Shipped},
    },
    rpc::{CreateOrder as Create, ListOrders as Rpc, ListUserOrders as ListOfUser},
};
use zerocart_test_support::{
    clients::Wire,
    functions::{PATIENCE, Running},
};

use crate::{
    CUP, ME, OTHER, STATUSES, Shop, TEA, connect, create, left::Left, new_id,
    update_order_status::of_status,
};

fn page(limit: i32) -> ListOrdersRequest {
    ListOrdersRequest {
        limit,
        ..Default::default()
    }
}

fn ids(page: &OrderPageResponse) -> Vec<&str> {
    page.orders.iter().map(|order| order.id.as_str()).collect()
}

/// An order in each state of each status, three times; their ids with what the filters look at, newest first.
async fn all_states(shop: &Shop) -> Vec<(String, OrderStatus, String, bool)> {
    let mut made = Vec::new();
    for n in 0..3 {
        for status in STATUSES {
            for left in of_status(status) {
                // A third of those that have not ended is driven.
                let left = if n == 1 { left.live() } else { left };
                // A user has one order at most that has not ended.
                let left = match left.step {
                    "ended" => left.of([ME, OTHER][made.len() % 2]),
                    _ => left,
                };
                shop.insert(&left).await;
                let stuck = left.lapsed && left.step != "ended";
                made.insert(0, (left.id, status, left.user_id, stuck));
            }
        }
    }
    made
}

#[tokio::test]
async fn orders_are_listed_as_their_users_see_them() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let (function, of_user) = (
        shop.start::<ListOrders>().await,
        shop.start::<ListUserOrders>().await,
    );
    for user in [ME, OTHER, ME] {
        shop.world.fill_cart(user, &[(CUP, 1.5, 2), (TEA, 0.29, 3)]);
        let client = shop.customer(Wire::Grpc, &maker, user);
        assert!(client.call::<Create>(&create(user)).await.ok().success);
    }
    for wire in Wire::ALL {
        let client = shop.admin(wire, &function);
        let all = client.call::<Rpc>(&page(0)).await;
        assert_eq!(all.http_status, 200);
        let all = all.ok();
        let users: Vec<_> = all.orders.iter().map(|order| &*order.user_id).collect();
        assert_eq!((users, &*all.next_page_token), (vec![ME, OTHER, ME], ""));
        for user in [ME, OTHER] {
            let asked = ListUserOrdersRequest {
                user_id: user.into(),
                ..Default::default()
            };
            let admin = shop.admin(wire, &of_user);
            let theirs = admin.call::<ListOfUser>(&asked).await.ok().orders;
            let asked = ListOrdersRequest {
                user_id: user.to_uppercase(),
                ..page(0)
            };
            let listed = client.call::<Rpc>(&asked).await.ok().orders;
            assert_eq!(listed, theirs, "{wire:?}");
            let mut of_all = all.orders.clone();
            of_all.retain(|order| order.user_id == user);
            assert_eq!(of_all, theirs, "{wire:?}");
        }
        let customer = shop.customer(wire, &function, ME);
        let refused = customer.call::<Rpc>(&page(0)).await;
        assert_eq!(refused.code, Code::PermissionDenied, "{wire:?}");
    }
}

/// Each filter alone and with the others, in pages of each length, gives what a look at all orders gives.
#[tokio::test]
async fn filters_and_page_tokens_lead_through_what_they_say() {
    let shop = Shop::new().await;
    let function = shop.start::<ListOrders>().await;
    let made = all_states(&shop).await;
    let statuses = [OrderStatus::Unspecified, Pending, Paid, Shipped, Cancelled];
    let stuck_user = made.iter().find(|(.., stuck)| *stuck).unwrap().2.clone();
    for (wire, limit) in Wire::ALL.into_iter().zip([100, 7, 5, 1]) {
        let client = shop.admin(wire, &function);
        for status in statuses {
            for (user, stuck) in [
                (None, false),
                (Some(ME), false),
                (None, true),
                (Some(stuck_user.as_str()), true),
            ] {
                let mut asked = ListOrdersRequest {
                    status: status.into(),
                    user_id: user.unwrap_or_default().into(),
                    stuck,
                    ..page(limit)
                };
                let expected = made.iter().filter(|(_, s, u, is_stuck)| {
                    (status == OrderStatus::Unspecified || *s == status)
                        && user.is_none_or(|user| *u == user)
                        && (!stuck || *is_stuck)
                });
                let expected: Vec<_> = expected.map(|(id, ..)| id.as_str()).collect();
                let mut seen = Vec::new();
                loop {
                    let answer = client.call::<Rpc>(&asked).await.ok();
                    let at = format!("{wire:?} {asked:?}");
                    assert!(answer.orders.len() <= limit as usize, "{at}");
                    seen.extend(ids(&answer).into_iter().map(str::to_owned));
                    if answer.next_page_token.is_empty() {
                        break;
                    }
                    assert_eq!(answer.orders.len(), limit as usize, "{at}");
                    asked.page_token = answer.next_page_token;
                }
                assert_eq!(seen, expected, "{wire:?} {asked:?}");
            }
        }
    }
    // A list drives nothing on.
    assert!(shop.world.callers().is_empty());
}

/// Newer orders do not move what the next page holds, nor does an order that has left the list.
#[tokio::test]
async fn a_page_token_is_a_place_and_no_order() {
    let shop = Shop::new().await;
    let function = shop.start::<ListOrders>().await;
    for wire in Wire::ALL {
        let paid = || Left::at("PAID", "ended", 0);
        let left = [paid(), paid(), paid()];
        for left in &left {
            shop.insert(left).await;
        }
        let client = shop.admin(wire, &function);
        let asked = ListOrdersRequest {
            status: Paid.into(),
            ..page(2)
        };
        let first = client.call::<Rpc>(&asked).await.ok();
        assert_eq!(ids(&first), [&left[2].id, &left[1].id], "{wire:?}");
        shop.insert(&paid()).await;
        let ship = "UPDATE orders SET status = 'SHIPPED' WHERE id = $1";
        let shipped = Uuid::try_parse(&left[1].id).unwrap();
        shop.sql.execute(ship, &[&shipped]).await.unwrap();
        let asked = ListOrdersRequest {
            page_token: first.next_page_token,
            ..asked
        };
        let second = client.call::<Rpc>(&asked).await.ok();
        assert_eq!(ids(&second)[0], left[0].id, "{wire:?}");
    }
}

/// An order that was put off is stuck, also while its next try waits.
#[tokio::test]
async fn an_order_that_is_put_off_is_stuck() {
    let shop = Shop::new().await;
    let function = shop.start::<ListOrders>().await;
    let (driven, put_off) = (
        Left::at("PAID", "refunding", 0).because("cancelled").live(),
        Left::at("PAID", "refunding", 0).because("cancelled").live(),
    );
    for left in [&driven, &put_off] {
        shop.insert(left).await;
    }
    let tried = "UPDATE orders SET tries = 3 WHERE id = $1";
    let id = Uuid::try_parse(&put_off.id).unwrap();
    shop.sql.execute(tried, &[&id]).await.unwrap();
    for wire in Wire::ALL {
        let client = shop.admin(wire, &function);
        let asked = ListOrdersRequest {
            stuck: true,
            ..page(0)
        };
        let answer = client.call::<Rpc>(&asked).await.ok();
        assert_eq!(ids(&answer), [&put_off.id], "{wire:?}");
        assert_eq!(answer.orders[0].reason, "as it was");
    }
}

#[tokio::test]
async fn bad_input_names_its_field() {
    let shop = Shop::new().await;
    let function = shop.start::<ListOrders>().await;
    let user_id = "nobody".to_owned();
    let page_token = new_id();
    for wire in Wire::ALL {
        let client = shop.admin(wire, &function);
        for (asked, field) in [
            (page(101), "limit"),
            (page(-1), "limit"),
            (
                ListOrdersRequest {
                    user_id: user_id.clone(),
                    ..page(0)
                },
                "user_id",
            ),
            (
                ListOrdersRequest {
                    page_token: page_token.clone(),
                    ..page(0)
                },
                "page_token",
            ),
        ] {
            let outcome = client.call::<Rpc>(&asked).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?} {asked:?}");
            assert_eq!(outcome.field_names(), [field], "{wire:?} {asked:?}");
        }
    }
}

/// A user with a fifth of all orders.
const BUSY: &str = "018f4e9a-7c1b-7def-8000-000000000005";

/// Adds orders: all PAID, of few users, and the oldest one FAILED. So a plan that looks for a rare status or user
/// among all orders would read all of them.
async fn add(sql: &tokio_postgres::Client, number: i32) {
    let tea = Uuid::try_parse(TEA).unwrap();
    sql.execute(
        "WITH made AS (
             INSERT INTO orders (id, user_id, payment_method, total, status, cause, step, lease_until, created_at)
             SELECT gen_random_uuid(),
                 CASE WHEN n = 1 THEN $2::uuid ELSE overlay($3 PLACING (5 + n % 5)::text FROM 36)::uuid END,
                 'credit_card', 0.29, CASE WHEN n = 1 THEN 'FAILED' ELSE 'PAID' END,
                 CASE WHEN n = 1 THEN 'declined' END, 'ended', now(),
                 timestamptz '2020-01-01' + n * interval '1 second'
             FROM generate_series(1, $1) n RETURNING id
         )
         INSERT INTO order_items (order_id, line, product_id, name, price, quantity)
         SELECT id, 0, $4, 'Tea', 0.29, 1 FROM made",
        &[
            &number,
            &Uuid::try_parse(OTHER).unwrap(),
            &BUSY,
            &tea,
        ],
    )
    .await
    .unwrap();
}

const CALLS: i64 = 20;

/// The blocks of tables and indexes that have been read so far. A session reports them when it ends, so `function`
/// ends first.
async fn read(shop: &Shop, function: Running) -> i64 {
    function.stopped().await;
    let sessions = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let ended = async {
        while shop
            .sql
            .query_one(sessions, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            > 0
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    let blocks = "SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint
                  FROM pg_statio_user_tables";
    shop.sql.query_one(blocks, &[]).await.unwrap().get(0)
}

/// The blocks that a page of each kind reads.
async fn blocks(shop: &Shop, number: i32) -> Vec<(&'static str, i64)> {
    // See the test of the catalogue: a session of its own, which ends.
    let prepare = "SET synchronous_commit = on; TRUNCATE orders CASCADE;
                   ALTER TABLE orders SET (autovacuum_enabled = off)";
    let preparing = connect(&shop.database).await;
    preparing.batch_execute(prepare).await.unwrap();
    add(&preparing, number).await;
    let vacuum = "VACUUM ANALYZE orders, order_items";
    preparing.batch_execute(vacuum).await.unwrap();
    drop(preparing);
    let of = |status: OrderStatus, user: &str, page_token: &str| ListOrdersRequest {
        status: status.into(),
        user_id: user.into(),
        page_token: page_token.into(),
        ..page(0)
    };
    let none = OrderStatus::Unspecified;
    // The middle of them.
    let micros = 1_577_836_800_000_000 + i64::from(number) / 2 * 1_000_000;
    let mut middle = [0; 24];
    middle[..8].copy_from_slice(&micros.to_be_bytes());
    let middle = URL_SAFE_NO_PAD.encode(middle);
    let stuck = ListOrdersRequest {
        stuck: true,
        ..page(0)
    };
    let mut found = Vec::new();
    for (what, asked, orders) in [
        ("all", of(none, "", ""), 20),
        ("all, in the middle", of(none, "", &middle), 20),
        ("a common status", of(Paid, "", ""), 20),
        ("a common status, in the middle", of(Paid, "", &middle), 20),
        ("a rare status", of(Failed, "", ""), 1),
        ("a status that none has", of(Shipped, "", ""), 0),
        ("a user with many", of(none, BUSY, ""), 20),
        (
            "a user with many, in the middle",
            of(none, BUSY, &middle),
            20,
        ),
        ("a user with one", of(none, OTHER, ""), 1),
        ("a user and a status", of(Failed, OTHER, ""), 1),
        ("stuck", stuck, 0),
    ] {
        // What the server reads to plan for the first time is not of a page.
        let before = read(shop, shop.start::<ListOrders>().await).await;
        let function = shop.start::<ListOrders>().await;
        let client = shop.admin(Wire::Http1, &function);
        // More than the five after which the server keeps one plan for all parameters.
        for _ in 0..CALLS {
            let answer = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(answer.orders.len(), orders, "{what}");
        }
        found.push((what, (read(shop, function).await - before) / CALLS));
    }
    found
}

/// A page is read from an index, from its place on. What is counted is what the server reads for it: for each of 20
/// orders, its entry, its row and its lines, each by an index of a few levels. To sort all orders, or to look
/// through them, it would read more than 2,000 blocks.
#[tokio::test]
async fn a_page_of_a_hundred_thousand_orders_reads_no_other_orders() {
    let shop = Shop::new().await;
    for (what, blocks) in blocks(&shop, 100_000).await {
        assert!(blocks < 200, "{what}: {blocks} blocks");
    }
}
