//! Units held for an order: taken once and given back once, in any order of calls.

use futures_util::future::{join, join_all};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tonic::Code;
use uuid::Uuid;
use zerocart_product::UpdateInventory;
use zerocart_proto::{
    product::{InventoryResponse, UpdateInventoryRequest},
    rpc::UpdateInventory as Rpc,
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::Running,
};

use crate::{Domain, UNKNOWN, answer, breaker::until, update_inventory::change};

/// A change of stock for a reservation.
pub(crate) fn held(
    reservation_id: &str,
    product_id: &str,
    quantity_change: i32,
) -> UpdateInventoryRequest {
    UpdateInventoryRequest {
        reservation_id: reservation_id.into(),
        ..change(product_id, quantity_change)
    }
}

pub(crate) fn reservation() -> String {
    Uuid::now_v7().to_string()
}

/// A function that many may call at once, and a client of it as create-order.
pub(crate) async fn busy(domain: &Domain) -> (Running, Client) {
    let function = domain
        .start_with::<UpdateInventory>(&[
            ("MAX_IN_FLIGHT", "400"),
            ("DATABASE_POOL_SIZE", "8"),
            ("DATABASE_ACQUIRE_TIMEOUT_MS", "4500"),
        ])
        .await;
    let token = domain.authority.service("create-order");
    let client = Client::new(Wire::Grpc, function.address()).bearer(&token);
    (function, client)
}

impl Domain {
    /// Units of a product that are reserved and not released.
    pub(crate) async fn held(&self, product_id: &str) -> i64 {
        let query = "SELECT coalesce(sum(quantity), 0) FROM reservations
                     WHERE product_id = $1 AND released_by IS NULL";
        let id = Uuid::try_parse(product_id).unwrap();
        self.sql.query_one(query, &[&id]).await.unwrap().get(0)
    }

    pub(crate) async fn reservations(&self) -> i64 {
        let count = "SELECT count(*) FROM reservations";
        self.sql.query_one(count, &[]).await.unwrap().get(0)
    }

    /// Waits until a statement of a function waits for a lock.
    pub(crate) async fn until_one_waits(&self) {
        let query = "SELECT EXISTS (SELECT FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock')";
        until("a statement waits", async || {
            self.sql.query_one(query, &[]).await.unwrap().get(0)
        })
        .await;
    }
}

#[track_caller]
fn assert_refused(outcome: &Outcome<InventoryResponse>, says: &str) {
    assert_eq!(outcome.code, Code::FailedPrecondition, "{outcome:?}");
    assert!(outcome.message.contains(says), "{}", outcome.message);
}

#[tokio::test]
async fn units_are_taken_once_and_given_back_once() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        let (id, order) = (domain.add_product(10).await, reservation());
        // What others do meanwhile is in the answer to a repeated call.
        for (asked, left) in [
            (held(&order, &id, -3), 7),
            (held(&order, &id, -3), 7),
            (change(&id, -1), 6),
            (held(&order.to_uppercase(), &id.to_uppercase(), -3), 6),
            (held(&order, &id, 3), 9),
            (held(&order, &id, 3), 9),
            (change(&id, -9), 0),
            (held(&order, &id, 3), 0),
        ] {
            let outcome = client.call::<Rpc>(&asked).await;
            assert_eq!(outcome.http_status, 200);
            let answer = outcome.ok();
            assert_eq!((answer.success, answer.new_inventory), (true, left));
            assert_eq!(domain.stock(&id).await, left, "{wire:?}");
        }
        let outcome = client.call::<Rpc>(&held(&order, &id, -3)).await;
        assert_refused(&outcome, "was released");
        assert!(!wire.is_json() || outcome.http_status == 409);
        assert_eq!((domain.stock(&id).await, domain.held(&id).await), (0, 0));
    }
}

#[tokio::test]
async fn what_is_released_first_can_never_be_reserved() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        let (tea, cup) = (domain.add_product(5).await, domain.add_product(5).await);
        let order = reservation();
        for quantity in [2, 2, 1_000_000_000] {
            let outcome = client.call::<Rpc>(&held(&order, &tea, quantity)).await;
            assert_eq!(outcome.ok().new_inventory, 5, "{wire:?}");
        }
        for quantity in [-2, -1] {
            let outcome = client.call::<Rpc>(&held(&order, &tea, quantity)).await;
            assert_refused(&outcome, "was released");
        }
        // Each product of a reservation is its own.
        let outcome = client.call::<Rpc>(&held(&order, &cup, -2)).await;
        assert_eq!(outcome.ok().new_inventory, 3);
        assert_eq!(domain.stock(&tea).await, 5);
    }
}

#[tokio::test]
async fn another_quantity_changes_nothing() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        let (id, order) = (domain.add_product(10).await, reservation());
        client.call::<Rpc>(&held(&order, &id, -3)).await.ok();
        for quantity in [-4, -2, 2, 4, 1_000_000_000] {
            let outcome = client.call::<Rpc>(&held(&order, &id, quantity)).await;
            assert_refused(&outcome, "quantity_change");
            assert!(outcome.message.contains("3 units"), "{}", outcome.message);
        }
        assert_eq!((domain.stock(&id).await, domain.held(&id).await), (7, 3));
        client.call::<Rpc>(&held(&order, &id, 3)).await.ok();
        let outcome = client.call::<Rpc>(&held(&order, &id, 4)).await;
        assert_refused(&outcome, "quantity_change");
        assert_eq!(domain.stock(&id).await, 10);
    }
}

#[tokio::test]
async fn what_there_is_not_enough_of_may_be_reserved_later() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        let (id, order) = (domain.add_product(2).await, reservation());
        let asked = held(&order, &id, -3);
        assert_refused(&client.call::<Rpc>(&asked).await, "not enough");
        let more = held(&order, &id, -1_000_000_000);
        assert_refused(&client.call::<Rpc>(&more).await, "not enough");
        assert_eq!(
            (domain.stock(&id).await, domain.reservations().await),
            (2, 0)
        );
        client.call::<Rpc>(&change(&id, 1)).await.ok();
        // And once it is there, it is repeated with nothing left.
        for _ in 0..2 {
            assert_eq!(client.call::<Rpc>(&asked).await.ok().new_inventory, 0);
        }
        domain
            .sql
            .execute("DELETE FROM reservations", &[])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_unknown_product_is_told_and_nothing_is_recorded() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        for quantity in [-1, 1] {
            let asked = held(&reservation(), UNKNOWN, quantity);
            let outcome = client.call::<Rpc>(&asked).await;
            assert_eq!(outcome.code, Code::NotFound, "{wire:?}");
            assert!(!wire.is_json() || outcome.http_status == 404);
        }
    }
    assert_eq!(domain.reservations().await, 0);
}

#[tokio::test]
async fn a_release_waits_until_the_stock_can_be_counted() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        let (id, order) = (domain.add_product(i32::MAX).await, reservation());
        let release = held(&order, &id, 5);
        client.call::<Rpc>(&held(&order, &id, -5)).await.ok();
        client.call::<Rpc>(&change(&id, 1)).await.ok();
        assert_refused(&client.call::<Rpc>(&release).await, "too large");
        assert_eq!(domain.held(&id).await, 5, "{wire:?}");
        client.call::<Rpc>(&change(&id, -1)).await.ok();
        for _ in 0..2 {
            let answer = client.call::<Rpc>(&release).await.ok();
            assert_eq!(answer.new_inventory, i32::MAX);
        }
    }
}

#[tokio::test]
async fn a_key_and_a_reservation_go_together() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    let (id, order) = (domain.add_product(5).await, reservation());
    let keyed = |wire, key: &str| domain.admin(wire, &function).header("idempotency-key", key);
    let asked = held(&order, &id, -6);
    for wire in Wire::ALL {
        assert_refused(&keyed(wire, "six").call::<Rpc>(&asked).await, "not enough");
        let taken = keyed(wire, "five")
            .call::<Rpc>(&held(&order, &id, -5))
            .await;
        assert_eq!(taken.ok().new_inventory, 0, "{wire:?}");
        // Another reservation under the key is another request.
        let other = held(&reservation(), &id, -5);
        let outcome = keyed(wire, "five").call::<Rpc>(&other).await;
        assert_eq!(outcome.field_names(), ["idempotency-key"], "{wire:?}");
    }
    let back = keyed(Wire::Grpc, "back");
    let back = back.call::<Rpc>(&held(&order, &id, 5)).await;
    assert_eq!(back.ok().new_inventory, 5);
    assert_eq!(domain.reservations().await, 1);
}

#[tokio::test]
async fn a_reservation_that_comes_many_times_at_once_takes_the_last_units_once() {
    let domain = Domain::new().await;
    let (_function, client) = &busy(&domain).await;
    let (id, order) = (domain.add_product(3).await, reservation());
    for (asked, left) in [(held(&order, &id, -3), 0), (held(&order, &id, 3), 3)] {
        let calls = (0..24).map(|_| answer::<Rpc>(client, &asked));
        for outcome in join_all(calls).await {
            assert_eq!(outcome.ok().new_inventory, left);
        }
        assert_eq!(domain.stock(&id).await, left);
    }
    assert_eq!(domain.reservations().await, 1);
}

#[tokio::test]
async fn the_last_unit_goes_to_one_of_fifty() {
    let domain = Domain::new().await;
    let (_function, client) = &busy(&domain).await;
    let id = &domain.add_product(1).await;
    let calls = (0..50).map(|_| async move {
        let asked = held(&reservation(), id, -1);
        (answer::<Rpc>(client, &asked).await, asked)
    });
    let mut winners = Vec::new();
    for (outcome, asked) in join_all(calls).await {
        match outcome.code {
            Code::Ok => winners.push(asked),
            _ => assert_refused(&outcome, "not enough"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!((domain.stock(id).await, domain.held(id).await), (0, 1));
    assert_eq!(domain.reservations().await, 1, "the others left nothing");
}

#[tokio::test]
async fn a_reserve_and_its_release_end_released_whoever_is_first() {
    let domain = Domain::new().await;
    let (_function, client) = &busy(&domain).await;
    let id = &domain.add_product(5).await;
    for round in 0..40 {
        let order = reservation();
        let (reserve, release) = (held(&order, id, -2), held(&order, id, 2));
        let reserve = answer::<Rpc>(client, &reserve);
        let release = answer::<Rpc>(client, &release);
        let (reserved, released) = if round % 2 == 0 {
            join(reserve, release).await
        } else {
            let (released, reserved) = join(release, reserve).await;
            (reserved, released)
        };
        released.ok();
        if reserved.code != Code::Ok {
            assert_refused(&reserved, "was released");
        }
        assert_eq!((domain.stock(id).await, domain.held(id).await), (5, 0));
    }
}

/// The statement began while there was enough, and waits for the row behind one that takes it all.
#[tokio::test]
async fn what_is_sold_while_a_reserve_waits_is_not_reserved() {
    let domain = Domain::new().await;
    let (_function, client) = &busy(&domain).await;
    let (id, order) = (domain.add_product(5).await, reservation());
    let other = domain.another().await;
    let take = format!("BEGIN; UPDATE products SET inventory = 1 WHERE id = '{id}'");
    other.batch_execute(&take).await.unwrap();
    let asked = held(&order, &id, -2);
    let (outcome, ()) = join(client.call::<Rpc>(&asked), async {
        domain.until_one_waits().await;
        other.batch_execute("COMMIT").await.unwrap();
    })
    .await;
    assert_refused(&outcome, "not enough");
    assert_eq!(
        (domain.stock(&id).await, domain.reservations().await),
        (1, 0)
    );
}

/// The statement began before anything was recorded, and waits behind the one that records.
#[tokio::test]
async fn what_is_recorded_while_a_call_waits_is_seen() {
    let domain = Domain::new().await;
    let (_function, client) = &busy(&domain).await;
    let other = domain.another().await;
    for (by, quantity, asked_by, code, stock) in [
        // Reserved meanwhile: reserved once; released once, what it took goes back.
        ("reserved_by", 2, -2, Code::Ok, 3),
        ("reserved_by", 2, 2, Code::Ok, 5),
        // Barred meanwhile.
        ("released_by", 0, -2, Code::FailedPrecondition, 5),
        ("released_by", 0, 2, Code::Ok, 5),
    ] {
        let (id, order) = (domain.add_product(5).await, reservation());
        let record = format!(
            "BEGIN;
             INSERT INTO reservations (reservation_id, product_id, quantity, {by})
             VALUES ('{order}', '{id}', {quantity}, '{order}');
             UPDATE products SET inventory = inventory - {quantity} WHERE id = '{id}'"
        );
        other.batch_execute(&record).await.unwrap();
        let asked = held(&order, &id, asked_by);
        let (outcome, ()) = join(client.call::<Rpc>(&asked), async {
            domain.until_one_waits().await;
            other.batch_execute("COMMIT").await.unwrap();
        })
        .await;
        assert_eq!(outcome.code, code, "{by} {asked_by}: {}", outcome.message);
        if let Some(answer) = outcome.response {
            assert_eq!(answer.new_inventory, stock, "{by} {asked_by}");
        }
        assert_eq!(domain.stock(&id).await, stock, "{by} {asked_by}");
    }
}

/// What one reservation of the random test went through.
struct Order {
    id: String,
    quantity: i32,
    reserved: bool,
    released: bool,
}

#[tokio::test]
async fn nothing_is_lost_or_made_by_any_interleaving() {
    let domain = Domain::new().await;
    let (_function, client) = &busy(&domain).await;
    for seed in 0..6 {
        let mut rng = StdRng::seed_from_u64(seed);
        let product = &domain.add_product(12).await;
        let mut total = 12;
        let mut orders: Vec<Order> = (0..8)
            .map(|_| Order {
                id: reservation(),
                quantity: rng.random_range(1..=4),
                reserved: false,
                released: false,
            })
            .collect();
        for round in 0..6 {
            // Per order up to three calls at once, repeats and contradictions among them.
            let mut asked = Vec::new();
            for (n, order) in orders.iter().enumerate() {
                for _ in 0..rng.random_range(0..=3) {
                    let releases = rng.random_bool(0.3);
                    let sign = if releases { 1 } else { -1 };
                    let change = held(&order.id, product, sign * order.quantity);
                    asked.push((Some(n), change, String::new()));
                }
            }
            let plain = rng.random_range(-2..=2);
            if plain != 0 {
                let key = format!("{seed}-{round}");
                asked.push((None, change(product, plain), key));
            }
            let calls = asked.iter().map(|(_, change, key)| async move {
                let client = match key.as_str() {
                    "" => client.clone(),
                    key => client.clone().header("idempotency-key", key),
                };
                answer::<Rpc>(&client, change).await
            });
            let outcomes = join_all(calls).await;
            let before: Vec<bool> = orders.iter().map(|order| order.released).collect();
            for ((n, change, _), outcome) in asked.iter().zip(&outcomes) {
                let at = format!("seed {seed} round {round}: {change:?}");
                let done = outcome.code == Code::Ok;
                assert!(done || outcome.code == Code::FailedPrecondition, "{at}");
                match n.map(|n| (&mut orders[n], before[n])) {
                    None => total += i32::from(done) * change.quantity_change,
                    Some((order, _)) if change.quantity_change > 0 => {
                        assert!(done, "{at}: {}", outcome.message);
                        order.released = true;
                    }
                    Some((order, released)) => {
                        assert!(!(done && released), "{at}: came back");
                        order.reserved |= done;
                    }
                }
            }
            let expected: i32 = orders
                .iter()
                .filter(|order| order.reserved && !order.released)
                .map(|order| order.quantity)
                .sum();
            let (stock, held) = (domain.stock(product).await, domain.held(product).await);
            let at = format!("seed {seed} round {round}");
            assert_eq!(held, i64::from(expected), "{at}");
            assert_eq!(stock + expected, total, "{at}");
        }
    }
}
