//! The number of products that ListProducts tells, which triggers keep.

use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::Domain;

const ADD: &str = "INSERT INTO products (id, name, description, price, inventory)
                   SELECT gen_random_uuid(), 'Tea', '', 1, 1 FROM generate_series(1, $1)";

/// The number that is kept, and the number that there is.
async fn numbers(domain: &Domain) -> (i64, i64) {
    let both = "SELECT (SELECT sum(products)::bigint FROM product_counts),
                       (SELECT count(*) FROM products WHERE archived_at IS NULL)";
    let row = domain.sql.query_one(both, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

/// Two transactions that add a product each: both commit, in any order.
#[tokio::test]
async fn writers_do_not_wait_for_each_other() {
    let domain = Domain::new().await;
    let (one, other) = (domain.another().await, domain.another().await);
    for writer in [&one, &other] {
        // A wait for a lock is an error. The count is written now, and not at the end, so that both
        // transactions have written it before one ends.
        let begin = "SET lock_timeout = '1ms'; BEGIN; SET CONSTRAINTS ALL IMMEDIATE";
        writer.batch_execute(begin).await.unwrap();
        writer.execute(ADD, &[&1]).await.unwrap();
        writer.execute(ADD, &[&1]).await.unwrap();
    }
    one.batch_execute("COMMIT").await.unwrap();
    assert_eq!(numbers(&domain).await, (2, 2));
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(numbers(&domain).await, (4, 4));
    let slots = "SELECT count(*) FROM product_counts";
    let slots: i64 = domain.sql.query_one(slots, &[]).await.unwrap().get(0);
    assert_eq!(slots, 2, "one for each transaction at once");
}

/// Everything that changes the number, from several sessions at once, with rollbacks and savepoints.
#[tokio::test]
async fn the_number_is_exact_after_anything() {
    const WRITERS: u64 = 4;
    let domain = Domain::new().await;
    let writers = join_all((0..WRITERS).map(|_| domain.another())).await;
    let writing = writers.iter().zip(0..).map(async |(sql, seed)| {
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..40 {
            sql.batch_execute("BEGIN").await.unwrap();
            for _ in 0..random.random_range(1..4) {
                let kept = random.random_bool(0.7);
                sql.batch_execute("SAVEPOINT here").await.unwrap();
                // Each writer has products of its own, so that no two wait for one row.
                let some = format!("name = '{seed}' AND random() < 0.3");
                let change = match random.random_range(0..6) {
                    0..3 => format!(
                        "INSERT INTO products (id, name, description, price, inventory, archived_at)
                         SELECT gen_random_uuid(), '{seed}', '', 1, 1, nullif(now(), now() - n % 3 * interval '1 s')
                         FROM generate_series(1, 5) n"
                    ),
                    3 => format!("UPDATE products SET archived_at = now() WHERE {some}"),
                    4 => format!("UPDATE products SET archived_at = NULL, inventory = 2 WHERE {some}"),
                    _ => format!("DELETE FROM products WHERE {some}"),
                };
                sql.batch_execute(&change).await.unwrap();
                if !kept {
                    sql.batch_execute("ROLLBACK TO here").await.unwrap();
                }
            }
            let end = if random.random_bool(0.8) { "COMMIT" } else { "ROLLBACK" };
            sql.batch_execute(end).await.unwrap();
        }
    });
    join_all(writing).await;
    let (kept, counted) = numbers(&domain).await;
    assert_eq!(kept, counted);
    assert!(counted > 0);
    let slots = "SELECT count(*) FROM product_counts";
    let slots: i64 = domain.sql.query_one(slots, &[]).await.unwrap().get(0);
    // A writer whose snapshot is older than a new row may add another.
    assert!(slots <= 2 * WRITERS as i64, "{slots} rows");

    domain
        .sql
        .batch_execute("TRUNCATE products CASCADE")
        .await
        .unwrap();
    assert_eq!(numbers(&domain).await, (0, 0));
    domain.sql.execute(ADD, &[&3]).await.unwrap();
    assert_eq!(numbers(&domain).await, (3, 3));
}
