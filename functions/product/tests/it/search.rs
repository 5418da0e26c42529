//! The catalogue in other orders, and the search in it.

use uuid::Uuid;
use zerocart_product::{ListProducts, UpdateProduct};
use zerocart_proto::{
    product::{ListProductsRequest, ListProductsResponse, ProductSort, UpdateProductRequest},
    rpc::{ListProducts as Rpc, UpdateProduct as Update},
};
use zerocart_test_support::clients::{Client, Wire};

use crate::{Domain, list_products::read};

const SORTS: [ProductSort; 5] = [
    ProductSort::Unspecified,
    ProductSort::Newest,
    ProductSort::PriceAscending,
    ProductSort::PriceDescending,
    ProductSort::Name,
];

fn page(limit: i32, search: &str, sort: ProductSort) -> ListProductsRequest {
    ListProductsRequest {
        limit,
        search: search.into(),
        sort: sort.into(),
        ..Default::default()
    }
}

fn ids(page: &ListProductsResponse) -> Vec<String> {
    page.products
        .iter()
        .map(|product| product.id.clone())
        .collect()
}

async fn add(domain: &Domain, name: &str, description: &str, cents: i64) -> String {
    let id = Uuid::now_v7();
    let insert = "INSERT INTO products (id, name, description, price, inventory)
                  VALUES ($1, $2, $3, $4::bigint::numeric / 100, 1)";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&id, &name, &description, &cents];
    domain.sql.execute(insert, &params).await.unwrap();
    id.to_string()
}

/// So many products of three prices and, in the order of `n`, of names that come round: every second has the
/// word `often`, one of 32 has `sometimes`, the oldest 30 have `seldom`, and all have `always`.
async fn stocked(sql: &tokio_postgres::Client, number: i32) {
    let insert = "INSERT INTO products (id, name, description, price, inventory, created_at)
         SELECT gen_random_uuid(), 'P' || n * 7919 % $1, 'always'
                || CASE WHEN n % 2 = 0 THEN ' often' ELSE '' END
                || CASE WHEN n % 32 = 1 THEN ' sometimes' ELSE '' END
                || CASE WHEN n <= 30 THEN ' seldom' ELSE '' END,
                n % 3, 1, timestamptz '2020-01-01' + n / 3 * interval '1 microsecond'
         FROM generate_series(1, $1) n";
    sql.execute(insert, &[&number]).await.unwrap();
}

/// The ids of all products whose description matches a pattern, in an order.
async fn expected(domain: &Domain, pattern: &str, sort: ProductSort) -> Vec<String> {
    let order = match sort {
        ProductSort::Unspecified | ProductSort::Newest => "created_at DESC, id DESC",
        ProductSort::PriceAscending => "price, id",
        ProductSort::PriceDescending => "price DESC, id DESC",
        ProductSort::Name => "lower(name) COLLATE \"C\", id",
    };
    let select =
        format!("SELECT id::text FROM products WHERE description LIKE $1 ORDER BY {order}");
    let rows = domain.sql.query(&select, &[&pattern]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// All pages of a list, and what each says of the total.
async fn all_pages(client: &Client, mut asked: ListProductsRequest) -> (Vec<String>, (i32, bool)) {
    let (mut seen, mut totals) = (Vec::new(), Vec::new());
    loop {
        let answer = client.call::<Rpc>(&asked).await.ok();
        seen.extend(ids(&answer));
        totals.push((answer.total, answer.total_is_lower_bound));
        if answer.next_page_token.is_empty() {
            totals.dedup();
            assert_eq!(totals.len(), 1, "{asked:?} {totals:?}");
            return (seen, totals[0]);
        }
        assert_eq!(answer.products.len(), asked.limit as usize, "{asked:?}");
        asked.page_token = answer.next_page_token;
    }
}

/// All pages together have exactly these products, and this total.
async fn finds(client: &Client, asked: ListProductsRequest, all: &[String], total: (i32, bool)) {
    let (sort, search) = (asked.sort(), asked.search.clone());
    let (seen, told) = all_pages(client, asked).await;
    assert!(
        seen == all,
        "{sort:?} {search:?}: {} of {}",
        seen.len(),
        all.len()
    );
    assert_eq!(told, total, "{sort:?} {search:?}");
}

#[tokio::test]
async fn tokens_lead_through_every_list_once_and_into_no_other() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    stocked(&domain.sql, 2_400).await;
    let lists = [
        ("", "%", (2_400, false)),
        ("SELDOM", "%seldom%", (30, false)),
        ("often al", "%often%", (100, true)),
        ("never", "never", (0, false)),
    ];
    for (n, sort) in SORTS.into_iter().enumerate() {
        let client = Client::new(Wire::ALL[n % Wire::ALL.len()], function.address());
        for (search, pattern, total) in lists {
            let all = expected(&domain, pattern, sort).await;
            // In the middle of those of one price or moment, and one at a time.
            let limit = if search == "SELDOM" { 1 } else { 97 };
            finds(&client, page(limit, search, sort), &all, total).await;
        }
        let first = client.call::<Rpc>(&page(7, "often", sort)).await.ok();
        for (search, other) in [
            ("", sort),
            ("seldom", sort),
            ("often", SORTS[(n + 2) % SORTS.len()]),
        ] {
            let asked = ListProductsRequest {
                page_token: first.next_page_token.clone(),
                ..page(7, search, other)
            };
            let outcome = client.call::<Rpc>(&asked).await;
            let told: Vec<_> = outcome.fields.iter().map(ToString::to_string).collect();
            let says = "page_token is not a page token of this list";
            assert_eq!(told, [says], "{sort:?} {search:?} {other:?}");
        }
    }
}

/// Words that many products have, but few of the newest, and others that only the newest have. Whether the words are
/// looked for in their index or among the next products depends on two samples, and never changes what is found.
#[tokio::test]
async fn words_are_found_whatever_the_samples_say() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    let insert = "INSERT INTO products (id, name, description, price, inventory, created_at)
         SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'P' || n * 7919 % 12000,
                CASE WHEN n % 4 = 0 AND n <= 11000 THEN 'old' ELSE 'plain' END
                || CASE WHEN n % 16 = 0 AND n <= 11000 THEN ' sampled' ELSE '' END
                || CASE WHEN n % 16 = 1 THEN ' unsampled' ELSE '' END
                || CASE WHEN n > 11990 THEN ' new' ELSE '' END,
                n % 977, 1, timestamptz '2020-01-01' + n * interval '1 microsecond'
         FROM generate_series(1, 12000) n";
    assert_eq!(domain.sql.execute(insert, &[]).await.unwrap(), 12_000);
    for (sort, wire) in SORTS.into_iter().zip(Wire::ALL.into_iter().cycle()) {
        let client = Client::new(wire, function.address());
        for (search, pattern, total) in [
            ("old", "old%", (100, true)),
            ("sampled", "% sampled%", (100, true)),
            ("unsampled", "% unsampled%", (100, true)),
            ("new", "% new%", (10, false)),
            ("old unsampled", "old% unsampled%", (0, false)),
        ] {
            let all = expected(&domain, pattern, sort).await;
            finds(&client, page(97, search, sort), &all, total).await;
        }
    }
}

/// A frequent word whose products are far from where the page begins: only the index of words finds them.
#[tokio::test]
async fn a_frequent_word_is_found_however_far_away_it_is() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    stocked(&domain.sql, 3_000).await;
    let dear =
        "UPDATE products SET price = 100, description = 'luxury' WHERE description LIKE '%often%'
                AND created_at < timestamptz '2020-01-01' + interval '600 microseconds'";
    let luxury = domain.sql.execute(dear, &[]).await.unwrap();
    assert!(luxury > 800);
    for sort in SORTS {
        let all = expected(&domain, "luxury", sort).await;
        let client = Client::new(Wire::Grpc, function.address());
        let (seen, total) = all_pages(&client, page(100, "luxury", sort)).await;
        assert!(seen == all, "{sort:?}: {} of {}", seen.len(), all.len());
        assert_eq!(total, (100, true), "{sort:?}");
    }
}

/// As before the migrations that keep the words: a search works them out, and the last migration fills them.
#[tokio::test]
async fn products_without_kept_words_are_found_and_get_theirs() {
    const FILL: &str = include_str!("../../../../migrations/product/0012_fill_product_words.sql");
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    stocked(&domain.sql, 2_400).await;
    let without = "SELECT count(*) FROM products WHERE words IS NULL";
    let forget = "UPDATE products SET words = NULL";
    assert_eq!(domain.sql.execute(forget, &[]).await.unwrap(), 2_400);
    for (sort, wire) in SORTS.into_iter().zip(Wire::ALL.into_iter().cycle()) {
        let client = Client::new(wire, function.address());
        for (search, pattern) in [("seldom", "%seldom%"), ("often", "%often%")] {
            let (seen, _) = all_pages(&client, page(100, search, sort)).await;
            assert!(seen == expected(&domain, pattern, sort).await, "{sort:?}");
        }
    }
    // A row that a writer has is passed over, and nobody waits.
    let writer = domain.another().await;
    let writes = "BEGIN; UPDATE products SET inventory = 7 WHERE id = (SELECT min(id::text)::uuid FROM products)";
    writer.batch_execute(writes).await.unwrap();
    let filling = domain.another().await;
    filling
        .batch_execute("SET lock_timeout = '1ms'")
        .await
        .unwrap();
    filling.batch_execute(FILL).await.unwrap();
    let left: i64 = domain.sql.query_one(without, &[]).await.unwrap().get(0);
    assert_eq!(left, 1);
    writer.batch_execute("COMMIT").await.unwrap();
    filling.batch_execute(FILL).await.unwrap();
    let left: i64 = domain.sql.query_one(without, &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
    // As the trigger writes them.
    let other = "WITH filled AS (SELECT id, words FROM products),
                      written AS (UPDATE products SET name = name RETURNING id, words)
                 SELECT count(*) FROM filled JOIN written USING (id) WHERE filled.words <> written.words";
    let other: i64 = domain.sql.query_one(other, &[]).await.unwrap().get(0);
    assert_eq!(other, 0);
}

/// The kept words are those of now.
#[tokio::test]
async fn a_product_with_another_name_is_found_by_that() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    let update = domain.start::<UpdateProduct>().await;
    // So many that the words are looked for among the products, and not in their index: 20 are in the sample.
    let others = "INSERT INTO products (id, name, description, price, inventory)
                  SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n * 16), 12, '0'))::uuid,
                         'Tea', 'hot', 100, 1
                  FROM generate_series(1, 20) n";
    assert_eq!(domain.sql.execute(others, &[]).await.unwrap(), 20);
    let mut made = Vec::new();
    for n in 0..8 {
        made.push(add(&domain, &format!("Tea {n}"), "hot", n).await);
    }
    let client = Client::new(Wire::Grpc, function.address());
    let found = async |search: &str| {
        let asked = page(8, search, ProductSort::PriceAscending);
        let mut found = ids(&client.call::<Rpc>(&asked).await.ok());
        found.retain(|id| made.contains(id));
        found
    };
    assert_eq!(found("tea").await, made);
    let renamed = UpdateProductRequest {
        id: made[0].clone(),
        name: Some("Coffee".into()),
        description: Some("cold".into()),
        ..Default::default()
    };
    domain
        .admin(Wire::Http1, &update)
        .call::<Update>(&renamed)
        .await
        .ok();
    assert_eq!(found("tea").await, made[1..]);
    assert_eq!(found("hot").await, made[1..]);
    assert_eq!(found("coffee").await, made[..1]);
}

#[tokio::test]
async fn words_are_found_in_name_and_description_in_any_order_and_case() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    let cup = add(
        &domain,
        "Tea-cup",
        "Black/white, 4.5 dl; by A&B <b@example.com>",
        1,
    )
    .await;
    let pot = add(&domain, "KÄNNCHEN", "für Tee, 250g", 2).await;
    let archived = add(&domain, "Tea", "gone", 3).await;
    let archive = "UPDATE products SET archived_at = now() WHERE id = $1";
    let id = Uuid::try_parse(&archived).unwrap();
    domain.sql.execute(archive, &[&id]).await.unwrap();
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for (search, expected) in [
            ("tea", vec![&cup]),
            ("CUP tea", vec![&cup]),
            ("white  black", vec![&cup]),
            (" tea-cu ", vec![&cup]),
            ("4.5", vec![&cup]),
            ("b@exam", vec![&cup]),
            ("kännchen", vec![&pot]),
            ("Kän", vec![&pot]),
            ("250", vec![&pot]),
            ("te", vec![&pot, &cup]),
            // A word that is not the last is whole, and no word begins in the middle.
            ("te cup", vec![]),
            ("ack", vec![]),
            ("tea 'kännchen", vec![]),
            // No operators.
            ("tea | kännchen", vec![]),
            ("tea & !cup", vec![&cup]),
            ("tea:*", vec![&cup]),
            ("%e%", vec![&cup]),
            ("\\", vec![]),
        ] {
            let outcome = client
                .call::<Rpc>(&page(0, search, ProductSort::Newest))
                .await;
            if search == "\\" {
                let told: Vec<_> = outcome.fields.iter().map(ToString::to_string).collect();
                assert_eq!(told, ["search must have a letter or a digit"], "{wire:?}");
                continue;
            }
            let answer = outcome.ok();
            let found = ids(&answer);
            assert_eq!(
                found.iter().collect::<Vec<_>>(),
                expected,
                "{wire:?} {search:?}"
            );
            assert_eq!(answer.total as usize, expected.len(), "{search:?}");
        }
        // A digit that is no word of the parser finds nothing, and is no error.
        let answer = client
            .call::<Rpc>(&page(0, "\u{2460}", ProductSort::Name))
            .await;
        assert_eq!(answer.ok().total, 0);
    }
}

#[tokio::test]
async fn an_offset_is_for_all_products_newest_first() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    stocked(&domain.sql, 5).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for (search, sort) in [("tea", ProductSort::Newest), ("", ProductSort::Name)] {
            let asked = ListProductsRequest {
                offset: 1,
                ..page(0, search, sort)
            };
            let outcome = client.call::<Rpc>(&asked).await;
            let told: Vec<_> = outcome.fields.iter().map(ToString::to_string).collect();
            let says = "offset cannot be given with search or sort; use page_token instead";
            assert_eq!(told, [says], "{wire:?}");
        }
        let asked = ListProductsRequest {
            offset: 3,
            ..page(0, " ", ProductSort::Newest)
        };
        assert_eq!(client.call::<Rpc>(&asked).await.ok().products.len(), 2);
    }
}

/// The next page begins after the product of the token, also if that has another name or was archived meanwhile.
#[tokio::test]
async fn a_page_by_name_goes_on_where_its_product_is_now() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    let update = domain.start::<UpdateProduct>().await;
    let mut made = Vec::new();
    for name in ["a", "B", "c", "D"] {
        made.push(add(&domain, name, "", 1).await);
    }
    let client = Client::new(Wire::Http1, function.address());
    let first = client
        .call::<Rpc>(&page(2, "", ProductSort::Name))
        .await
        .ok();
    assert_eq!(ids(&first), made[..2]);
    let renamed = UpdateProductRequest {
        id: made[1].clone(),
        name: Some("C2".into()),
        ..Default::default()
    };
    domain
        .admin(Wire::Http1, &update)
        .call::<Update>(&renamed)
        .await
        .ok();
    let asked = ListProductsRequest {
        page_token: first.next_page_token,
        ..page(2, "", ProductSort::Name)
    };
    let next = client.call::<Rpc>(&asked).await.ok();
    assert_eq!(ids(&next), made[3..]);
    domain
        .sql
        .execute("DELETE FROM products", &[])
        .await
        .unwrap();
    let outcome = client.call::<Rpc>(&asked).await;
    assert_eq!(outcome.fields[0].field, "page_token");
}

const CALLS: i64 = 10;

/// The blocks of tables and indexes that a call of each kind reads.
async fn blocks(domain: &Domain, products: i32) -> Vec<(String, i64)> {
    // As in the test of pages: VACUUM needs the flush, and both the server's reports are those of sessions.
    let prepare = "SET synchronous_commit = on; TRUNCATE products CASCADE;
                   ALTER TABLE products SET (autovacuum_enabled = off)";
    let preparing = domain.another().await;
    preparing.batch_execute(prepare).await.unwrap();
    stocked(&preparing, products).await;
    preparing
        .batch_execute("VACUUM ANALYZE products")
        .await
        .unwrap();
    drop(preparing);
    let mut found = Vec::new();
    for sort in &SORTS[1..] {
        for search in ["", "often", "sometimes", "seldom", "never"] {
            for middle in [false, true] {
                let mut asked = page(20, search, *sort);
                let function = domain.start::<ListProducts>().await;
                if middle {
                    if search == "never" {
                        continue;
                    }
                    let client = Client::new(Wire::Http1, function.address());
                    for _ in 0..if matches!(search, "sometimes" | "seldom") {
                        1
                    } else {
                        5
                    } {
                        let answer = client.call::<Rpc>(&asked).await.ok();
                        asked.page_token = answer.next_page_token;
                    }
                }
                let before = read(domain, function).await;
                let function = domain.start::<ListProducts>().await;
                let client = Client::new(Wire::Http1, function.address());
                for _ in 0..CALLS {
                    client.call::<Rpc>(&asked).await.ok();
                }
                let what = format!(
                    "{sort:?}, {search:?}, {}",
                    if middle { "page token" } else { "first page" }
                );
                found.push((what, (read(domain, function).await - before) / CALLS));
            }
        }
    }
    found
}

/// A page of every list costs about the same however large the catalogue is.
#[tokio::test]
async fn a_large_catalogue_is_searched_and_sorted_as_a_small_one() {
    let domain = Domain::new().await;
    let small = blocks(&domain, 1_000).await;
    let large = blocks(&domain, 100_000).await;
    let mut wrong = Vec::new();
    for ((what, small), (_, large)) in small.into_iter().zip(large) {
        // Few products are read as a whole. Of many, each that is listed is looked up by its id: 4 blocks. A word that
        // one of 32 has is looked for among the next products, 20 × 32, and first in the sample. The index of words
        // would lead to all 3,000 products that have it.
        let among = if what.contains("sometimes") { 1_500 } else { 0 };
        if large > 2 * small + 4 * 20 + among {
            wrong.push(format!("{what}: {large} blocks, {small} of few products"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
