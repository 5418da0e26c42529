//! The units of several products, held for an order together.

use futures_util::future::{join, join_all};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tonic::Code;
use zerocart_product::UpdateInventory;
use zerocart_proto::{
    product::{InventoryLine, InventoryResponse, UpdateInventoryRequest},
    rpc::UpdateInventory as Rpc,
};
use zerocart_test_support::clients::{Outcome, Wire};

use crate::{
    Domain, UNKNOWN, answer,
    reservations::{busy, held, reservation},
};

/// A change of products for a reservation.
fn lines(reservation_id: &str, lines: &[(&str, i32)]) -> UpdateInventoryRequest {
    let lines = lines.iter().map(|(product_id, change)| InventoryLine {
        product_id: (*product_id).into(),
        quantity_change: *change,
    });
    UpdateInventoryRequest {
        reservation_id: reservation_id.into(),
        lines: lines.collect(),
        ..Default::default()
    }
}

/// The stock of each product that an answer has.
fn stock(answer: InventoryResponse) -> Vec<(String, i32)> {
    assert!(answer.success);
    assert_eq!(answer.new_inventory, 0);
    let lines = answer.lines.into_iter();
    lines
        .map(|line| (line.product_id, line.new_inventory))
        .collect()
}

#[track_caller]
fn assert_refused(outcome: &Outcome<InventoryResponse>, code: Code, named: &[(&str, &str)]) {
    assert_eq!(outcome.code, code, "{outcome:?}");
    let names: Vec<_> = named.iter().map(|(name, _)| *name).collect();
    assert_eq!(outcome.field_names(), names, "{outcome:?}");
    for (_, says) in named {
        assert!(outcome.message.contains(says), "{}", outcome.message);
    }
}

#[tokio::test]
async fn all_are_taken_once_and_given_back_once() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    for wire in [Wire::Grpc, Wire::GrpcWeb] {
        let client = domain.admin(wire, &function);
        let (tea, cup) = (&domain.add_product(10).await, &domain.add_product(20).await);
        let order = reservation();
        let pair = |tea_left, cup_left| vec![(cup.clone(), cup_left), (tea.clone(), tea_left)];
        // In the order of the request; what others do meanwhile is in the answer to a repeated call.
        for (asked, left) in [
            (lines(&order, &[(cup, -5), (tea, -3)]), pair(7, 15)),
            (lines(&order, &[(cup, -5), (tea, -3)]), pair(7, 15)),
            (held(&reservation(), tea, -1), vec![]),
            (
                lines(&order, &[(&cup.to_uppercase(), -5), (tea, -3)]),
                pair(6, 15),
            ),
            (lines(&order, &[(cup, 5), (tea, 3)]), pair(9, 20)),
            (lines(&order, &[(cup, 5), (tea, 3)]), pair(9, 20)),
        ] {
            let answer = client.call::<Rpc>(&asked).await.ok();
            match left.is_empty() {
                true => assert_eq!(answer.lines, []),
                false => assert_eq!(stock(answer), left, "{wire:?}"),
            }
        }
        let again = client
            .call::<Rpc>(&lines(&order, &[(cup, -5), (tea, -3)]))
            .await;
        let released = [("lines[0]", "was released"), ("lines[1]", "was released")];
        assert_refused(&again, Code::FailedPrecondition, &released);
        assert_eq!((domain.stock(tea).await, domain.stock(cup).await), (9, 20));
        // One line is the same in both forms.
        let order = reservation();
        let one = client.call::<Rpc>(&lines(&order, &[(tea, -2)])).await.ok();
        assert_eq!(stock(one), [(tea.clone(), 7)]);
        let one = client.call::<Rpc>(&held(&order, tea, -2)).await.ok();
        assert_eq!((one.new_inventory, one.lines), (7, vec![]));
    }
}

#[tokio::test]
async fn a_refusal_names_its_lines_and_changes_nothing() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    let client = domain.admin(Wire::Grpc, &function);
    let (tea, cup) = (&domain.add_product(10).await, &domain.add_product(2).await);
    let full = &domain.add_product(i32::MAX).await;
    let order = &reservation();
    client.call::<Rpc>(&held(order, full, -5)).await.ok();
    client
        .call::<Rpc>(&held(&reservation(), tea, -1))
        .await
        .ok();
    let refill = "UPDATE products SET inventory = 2147483647 WHERE id = $1";
    let id = uuid::Uuid::try_parse(full).unwrap();
    domain.sql.execute(refill, &[&id]).await.unwrap();
    let short = ("lines[1]", "lines[1] is of more units than are in stock");
    let before = domain.reservations().await;
    for (asked, code, named) in [
        (
            vec![(&**tea, -1), (cup, -3)],
            Code::FailedPrecondition,
            vec![short],
        ),
        (
            vec![(&**tea, -10), (cup, -3)],
            Code::FailedPrecondition,
            vec![("lines[0]", "more units"), short],
        ),
        // What is not there comes first, alone.
        (
            vec![(&**tea, -1), (cup, -3), (UNKNOWN, -1)],
            Code::NotFound,
            vec![("lines[2]", "lines[2] is of a product that is not there")],
        ),
        (
            vec![(UNKNOWN, 1), (tea, 1)],
            Code::NotFound,
            vec![("lines[0]", "not there")],
        ),
        (
            vec![(&**tea, -1), (full, -4)],
            Code::FailedPrecondition,
            vec![("lines[1]", "which are 5")],
        ),
        (
            vec![(&**full, 4), (tea, 1)],
            Code::FailedPrecondition,
            vec![("lines[0]", "which are 5")],
        ),
        (
            vec![(&**full, 5), (tea, 1)],
            Code::FailedPrecondition,
            vec![("lines[0]", "too large to count")],
        ),
        // A single line says it alike.
        (
            vec![(&**cup, -3)],
            Code::FailedPrecondition,
            vec![("lines[0]", "more units")],
        ),
        (
            vec![(UNKNOWN, -3)],
            Code::NotFound,
            vec![("lines[0]", "not there")],
        ),
    ] {
        let outcome = client.call::<Rpc>(&lines(order, &asked)).await;
        assert_refused(&outcome, code, &named);
        assert_eq!((domain.stock(tea).await, domain.stock(cup).await), (9, 2));
        assert_eq!(domain.reservations().await, before, "{asked:?}");
    }
    // What there is not enough of may be reserved later.
    let later = lines(order, &[(tea, -9), (cup, -2)]);
    client.call::<Rpc>(&later).await.ok();
    assert_eq!((domain.stock(tea).await, domain.stock(cup).await), (0, 0));
}

#[tokio::test]
async fn a_request_has_one_form_and_lines_of_one_kind() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    let client = domain.admin(Wire::Grpc, &function);
    let (tea, cup) = (
        &*domain.add_product(10).await,
        &*domain.add_product(10).await,
    );
    let order = &reservation();
    let good = lines(order, &[(tea, -1), (cup, -1)]);
    let both = "must be empty with product_id or quantity_change";
    let twice = "is the product of an earlier line";
    for (asked, field, says) in [
        (
            UpdateInventoryRequest {
                product_id: tea.into(),
                ..good.clone()
            },
            "lines",
            both,
        ),
        (
            UpdateInventoryRequest {
                quantity_change: -1,
                ..good.clone()
            },
            "lines",
            both,
        ),
        (
            lines("", &[(tea, -1)]),
            "reservation_id",
            "is required with lines",
        ),
        (lines("7", &[(tea, -1)]), "reservation_id", "must be a UUID"),
        (
            lines(order, &[(tea, -1), (cup, 1)]),
            "lines[1].quantity_change",
            "all are added",
        ),
        (
            lines(order, &[(tea, -1), (cup, -1), (tea, -2)]),
            "lines[2].product_id",
            twice,
        ),
        (
            lines(order, &[(tea, -1), (&tea.to_uppercase(), -2)]),
            "lines[1].product_id",
            twice,
        ),
        (
            lines(order, &[(tea, -1), ("7", -2)]),
            "lines[1].product_id",
            "must be a UUID",
        ),
        (
            lines(order, &[(tea, 0)]),
            "lines[0].quantity_change",
            "must not be 0",
        ),
        (
            lines(order, &[("", -1)]),
            "lines[0].product_id",
            "is required",
        ),
        (lines(order, &[(tea, -1); 1001]), "lines", "at most 1000"),
        (
            UpdateInventoryRequest {
                quantity_change: -1,
                ..Default::default()
            },
            "product_id",
            "is required",
        ),
        (
            UpdateInventoryRequest {
                product_id: tea.into(),
                ..Default::default()
            },
            "quantity_change",
            "is required and must not be 0",
        ),
    ] {
        let outcome = client.call::<Rpc>(&asked).await;
        assert_refused(&outcome, Code::InvalidArgument, &[(field, says)]);
    }
    assert_eq!(domain.reservations().await, 0);
}

#[tokio::test]
async fn what_is_released_first_can_never_be_reserved() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    let client = domain.admin(Wire::Grpc, &function);
    let (tea, cup) = (&*domain.add_product(5).await, &*domain.add_product(5).await);
    let order = &reservation();
    // A driver of the version before has come to the first line.
    client.call::<Rpc>(&held(order, tea, -2)).await.ok();
    for _ in 0..2 {
        let outcome = client
            .call::<Rpc>(&lines(order, &[(tea, 2), (cup, 1)]))
            .await;
        let left = [(tea.to_owned(), 5), (cup.to_owned(), 5)];
        assert_eq!(stock(outcome.ok()), left);
    }
    for asked in [lines(order, &[(tea, -2), (cup, -1)]), held(order, cup, -1)] {
        let outcome = client.call::<Rpc>(&asked).await;
        assert_eq!(outcome.code, Code::FailedPrecondition, "{outcome:?}");
    }
    assert_eq!((domain.stock(tea).await, domain.stock(cup).await), (5, 5));
}

#[tokio::test]
async fn a_key_has_one_answer_for_all_lines() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    let (tea, cup) = (&*domain.add_product(5).await, &*domain.add_product(5).await);
    let keyed = |key: &str| {
        domain
            .admin(Wire::Grpc, &function)
            .header("idempotency-key", key)
    };
    let order = &reservation();
    let taken = lines(order, &[(tea, -2), (cup, -1)]);
    let first = keyed("k").call::<Rpc>(&taken).await.ok();
    keyed("back").call::<Rpc>(&held(order, tea, 2)).await.ok();
    assert_eq!(keyed("k").call::<Rpc>(&taken).await.ok(), first);
    let short = lines(&reservation(), &[(tea, -6), (cup, -1)]);
    for _ in 0..2 {
        let outcome = keyed("short").call::<Rpc>(&short).await;
        assert_refused(
            &outcome,
            Code::FailedPrecondition,
            &[("lines[0]", "more units")],
        );
        domain
            .sql
            .execute("UPDATE products SET inventory = 9", &[])
            .await
            .unwrap();
    }
}

/// The statement began while there was enough, and waits for the row behind one that takes it all.
#[tokio::test]
async fn what_is_sold_while_a_reserve_waits_is_not_reserved() {
    let domain = Domain::new().await;
    let (_function, client) = &busy(&domain).await;
    let (tea, cup) = (&*domain.add_product(5).await, &*domain.add_product(5).await);
    let order = &reservation();
    let other = domain.another().await;
    let take = format!("BEGIN; UPDATE products SET inventory = 1 WHERE id = '{cup}'");
    other.batch_execute(&take).await.unwrap();
    let asked = lines(order, &[(tea, -2), (cup, -2)]);
    let (outcome, ()) = join(client.call::<Rpc>(&asked), async {
        domain.until_one_waits().await;
        other.batch_execute("COMMIT").await.unwrap();
    })
    .await;
    assert_refused(
        &outcome,
        Code::FailedPrecondition,
        &[("lines[1]", "more units")],
    );
    assert_eq!(
        (domain.stock(tea).await, domain.reservations().await),
        (5, 0)
    );
}

/// The statement began before anything was recorded, and waits behind the one that records.
#[tokio::test]
async fn what_is_recorded_while_a_call_waits_is_seen() {
    let domain = Domain::new().await;
    let (_function, client) = &busy(&domain).await;
    let other = domain.another().await;
    for (by, quantity, sign, code, stocks) in [
        ("reserved_by", 2, -1, Code::Ok, (3, 4)),
        ("reserved_by", 2, 1, Code::Ok, (5, 5)),
        ("reserved_by", 3, -1, Code::FailedPrecondition, (2, 5)),
        ("reserved_by", 3, 1, Code::FailedPrecondition, (2, 5)),
        ("released_by", 0, -1, Code::FailedPrecondition, (5, 5)),
        ("released_by", 0, 1, Code::Ok, (5, 5)),
    ] {
        let (tea, cup) = (&*domain.add_product(5).await, &*domain.add_product(5).await);
        let order = &reservation();
        let record = format!(
            "BEGIN;
             INSERT INTO reservations (reservation_id, product_id, quantity, {by})
             VALUES ('{order}', '{tea}', {quantity}, '{order}');
             UPDATE products SET inventory = inventory - {quantity} WHERE id = '{tea}'"
        );
        other.batch_execute(&record).await.unwrap();
        let asked = lines(order, &[(tea, 2 * sign), (cup, sign)]);
        let (outcome, ()) = join(client.call::<Rpc>(&asked), async {
            domain.until_one_waits().await;
            other.batch_execute("COMMIT").await.unwrap();
        })
        .await;
        let at = format!("{by} {quantity} {sign}: {outcome:?}");
        assert_eq!(outcome.code, code, "{at}");
        assert_eq!(
            (domain.stock(tea).await, domain.stock(cup).await),
            stocks,
            "{at}"
        );
        if code == Code::Ok {
            let left = [(tea.to_owned(), stocks.0), (cup.to_owned(), stocks.1)];
            assert_eq!(stock(outcome.ok()), left, "{at}");
        } else {
            assert_eq!(outcome.field_names(), ["lines[0]"], "{at}");
        }
    }
}

/// Reservations of the same products in any order of lines, some of them by single calls: they wait
/// for each other, and nothing is lost or made.
#[tokio::test]
async fn reservations_of_the_same_products_never_wait_for_ever() {
    let domain = Domain::new().await;
    let (_function, client) = &busy(&domain).await;
    for seed in 0..16 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut products = Vec::new();
        for _ in 0..6 {
            products.push(domain.add_product(20).await);
        }
        let orders: Vec<_> = (0..12).map(|_| reservation()).collect();
        let mut asked = Vec::new();
        for order in &orders {
            let mut some = products.clone();
            some.shuffle(&mut rng);
            some.truncate(rng.random_range(2..=6));
            let units = rng.random_range(1..=4);
            for _ in 0..rng.random_range(1..=3) {
                some.shuffle(&mut rng);
                let sign = if rng.random_bool(0.3) { units } else { -units };
                let all: Vec<_> = some.iter().map(|id| (id.as_str(), sign)).collect();
                asked.push(lines(order, &all));
                if rng.random_bool(0.2) {
                    asked.push(held(order, &some[0], sign));
                }
            }
        }
        asked.shuffle(&mut rng);
        let calls = asked.iter().map(|asked| answer::<Rpc>(client, asked));
        for outcome in join_all(calls).await {
            let known = [Code::Ok, Code::FailedPrecondition].contains(&outcome.code);
            assert!(known, "seed {seed}: {outcome:?}");
        }
        for product in &products {
            let (stock, held) = (domain.stock(product).await, domain.held(product).await);
            assert!(stock >= 0, "seed {seed}");
            assert_eq!(i64::from(stock) + held, 20, "seed {seed}");
        }
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: i64 = domain.sql.query_one(deadlocks, &[]).await.unwrap().get(0);
    assert_eq!(deadlocks, 0);
}
