//! Paging through the catalogue.

use std::time::Duration;

use zerocart_product::{CreateProduct, ListProducts};
use zerocart_proto::{
    product::{CreateProductRequest, ListProductsRequest, ListProductsResponse},
    rpc::{CreateProduct as Create, ListProducts as Rpc},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{PATIENCE, Running},
};

use crate::Domain;

/// Adds products, three of each moment, and gives the ids of all, newest first.
async fn stocked(sql: &tokio_postgres::Client, number: i32) -> Vec<String> {
    sql.execute(
        "INSERT INTO products (id, name, description, price, inventory, created_at)
         SELECT gen_random_uuid(), 'p' || n, '', 1, 1,
                timestamptz '2020-01-01' + n / 3 * interval '1 microsecond'
         FROM generate_series(1, $1) n",
        &[&number],
    )
    .await
    .unwrap();
    let newest = "SELECT id::text FROM products ORDER BY created_at DESC, id DESC";
    let rows = sql.query(newest, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn ids(page: &ListProductsResponse) -> Vec<&str> {
    page.products.iter().map(|p| p.id.as_str()).collect()
}

fn page(limit: i32, offset: i32) -> ListProductsRequest {
    ListProductsRequest {
        limit,
        offset,
        ..Default::default()
    }
}

#[tokio::test]
async fn an_empty_catalogue_is_an_empty_page() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for asked in [page(0, 0), page(5, 5)] {
            let answer = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(answer, ListProductsResponse::default(), "{wire:?}");
        }
    }
}

#[tokio::test]
async fn the_newest_come_first() {
    let domain = Domain::new().await;
    let create = domain.start::<CreateProduct>().await;
    let function = domain.start::<ListProducts>().await;
    let mut made = Vec::new();
    for wire in Wire::ALL {
        let request = CreateProductRequest {
            name: format!("{wire:?}"),
            description: "of its own".into(),
            price: 0.1,
            inventory: 3,
        };
        let answer = domain.admin(wire, &create).call::<Create>(&request).await;
        made.insert(0, answer.ok().product.unwrap());
    }
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let answer = client.call::<Rpc>(&page(0, 0)).await.ok();
        assert_eq!(answer.products, made, "{wire:?}");
        assert_eq!((answer.total, &*answer.next_page_token), (4, ""));
    }
}

#[tokio::test]
async fn limit_and_offset_cut_a_page_out_and_total_counts_all() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    let all = stocked(&domain.sql, 45).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for (asked, expected, more) in [
            (page(0, 0), 0..20, true),
            (page(1, 0), 0..1, true),
            (page(20, 20), 20..40, true),
            (page(0, 25), 25..45, false),
            (page(44, 0), 0..44, true),
            (page(45, 0), 0..45, false),
            (page(100, 0), 0..45, false),
            (page(100, 44), 44..45, false),
            (page(100, 45), 45..45, false),
            (page(0, 10_000), 45..45, false),
        ] {
            let answer = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(ids(&answer), all[expected], "{wire:?} {asked:?}");
            assert_eq!(answer.total, 45, "{wire:?} {asked:?}");
            assert_eq!(!answer.next_page_token.is_empty(), more, "{asked:?}");
        }
    }
}

#[tokio::test]
async fn tokens_lead_through_all_of_them_once_while_others_are_added() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    let mut all = stocked(&domain.sql, 45).await;
    // In the middle of the three of one moment, at its end, and one at a time.
    for (wire, limit) in Wire::ALL.into_iter().zip([7, 9, 1, 44]) {
        let client = Client::new(wire, function.address());
        let mut total = i32::try_from(all.len()).unwrap();
        let mut asked = page(limit, 0);
        let mut seen = Vec::new();
        let mut added = Vec::new();
        loop {
            let answer = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(answer.total, total, "{wire:?}");
            assert!(!answer.products.is_empty(), "{wire:?}");
            seen.extend(answer.products.into_iter().map(|product| product.id));
            if answer.next_page_token.is_empty() {
                break;
            }
            asked.page_token = answer.next_page_token;
            added.insert(0, domain.add_product(1).await);
            total += 1;
        }
        assert_eq!(seen, all, "{wire:?}");
        all.splice(..0, added);
    }
}

/// A page deep in the catalogue is answered from a place, not by counting up to it.
#[tokio::test]
async fn an_offset_ends_where_page_tokens_are_better() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let outcome = client.call::<Rpc>(&page(0, 10_001)).await;
        let told: Vec<_> = outcome.fields.iter().map(ToString::to_string).collect();
        let expected = "offset must be at most 10000; use page_token instead";
        assert_eq!(told, [expected], "{wire:?}");
    }
}

/// The blocks of tables and indexes that a call of each kind reads.
async fn blocks(domain: &Domain, products: i32) -> Vec<(&'static str, i64)> {
    // VACUUM marks a page as visible to all only when the commit of its rows is flushed, which a test server
    // does later than the commit. Autovacuum would read blocks too.
    let prepare = "SET synchronous_commit = on; TRUNCATE products CASCADE;
                   ALTER TABLE products SET (autovacuum_enabled = off)";
    // A session reports what it read up to seconds later, at the latest when it ends. So this one ends.
    let preparing = domain.another().await;
    preparing.batch_execute(prepare).await.unwrap();
    stocked(&preparing, products).await;
    let vacuum = "VACUUM ANALYZE products";
    preparing.batch_execute(vacuum).await.unwrap();
    drop(preparing);
    let middle = products.min(20_000) / 2;
    let mut found = Vec::new();
    for what in ["first page", "offset", "page token"] {
        let function = domain.start::<ListProducts>().await;
        let client = Client::new(Wire::Http1, function.address());
        let mut asked = page(0, if what == "first page" { 0 } else { middle - 20 });
        if what == "page token" {
            let before = client.call::<Rpc>(&asked).await.ok();
            asked = ListProductsRequest {
                page_token: before.next_page_token,
                ..page(0, 0)
            };
        }
        let before = read(domain, function).await;
        let function = domain.start::<ListProducts>().await;
        let client = Client::new(Wire::Http1, function.address());
        // More than the five after which the server keeps one plan for all parameters.
        for _ in 0..CALLS {
            let answer = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(
                (answer.products.len(), answer.total),
                (20, products),
                "{what}"
            );
        }
        found.push((what, (read(domain, function).await - before) / CALLS));
    }
    found
}

const CALLS: i64 = 20;

/// The blocks that have been read so far. A session reports them when it ends, so `function` ends first.
pub(crate) async fn read(domain: &Domain, function: Running) -> i64 {
    function.stopped().await;
    let sessions = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let ended = async {
        while domain
            .sql
            .query_one(sessions, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            > 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    let blocks = "SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint
                  FROM pg_statio_user_tables";
    domain.sql.query_one(blocks, &[]).await.unwrap().get(0)
}

/// A page costs the same however large the catalogue is. What is counted is what the server reads for it.
#[tokio::test]
async fn a_large_catalogue_costs_no_more_than_a_small_one() {
    let domain = Domain::new().await;
    let small = blocks(&domain, 1_000).await;
    let large = blocks(&domain, 100_000).await;
    for ((what, small), (_, large)) in small.into_iter().zip(large) {
        match what {
            // It is bounded, not constant: 10,000 entries of the index.
            "offset" => assert!(large <= 250, "{what}: {large} blocks"),
            _ => assert!(
                large <= 2 * small,
                "{what}: {large} blocks, {small} of few products"
            ),
        }
    }
}
