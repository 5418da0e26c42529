//! Changing the stock.

use futures_util::future::join_all;
use tonic::Code;
use zerocart_product::UpdateInventory;
use zerocart_proto::{
    product::{InventoryResponse, UpdateInventoryRequest},
    rpc::UpdateInventory as Rpc,
};
use zerocart_test_support::clients::{Client, Outcome, Wire};

use crate::{Domain, UNKNOWN, answer};

pub(crate) fn change(product_id: &str, quantity_change: i32) -> UpdateInventoryRequest {
    UpdateInventoryRequest {
        product_id: product_id.into(),
        quantity_change,
        ..Default::default()
    }
}

#[tokio::test]
async fn stock_is_added_and_taken_down_to_nothing() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        let id = domain.add_product(5).await;
        for (by, left) in [(3, 8), (-8, 0), (1, 1), (1_000_000_000, 1_000_000_001)] {
            let outcome = client.call::<Rpc>(&change(&id, by)).await;
            assert_eq!(outcome.http_status, 200);
            let answer = outcome.ok();
            assert_eq!((answer.success, answer.new_inventory), (true, left));
            assert_eq!(domain.stock(&id).await, left, "{wire:?}");
        }
        let answer = client.call::<Rpc>(&change(&id.to_uppercase(), -1)).await;
        assert_eq!(answer.ok().new_inventory, 1_000_000_000);
    }
}

#[tokio::test]
async fn what_cannot_be_changes_nothing() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    let few = domain.add_product(5).await;
    let many = domain.add_product(i32::MAX - 5).await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        for (id, by, code, status) in [
            (&*few, -6, Code::FailedPrecondition, 409),
            (&few, -1_000_000_000, Code::FailedPrecondition, 409),
            (&many, 6, Code::FailedPrecondition, 409),
            (&many, 1_000_000_000, Code::FailedPrecondition, 409),
            (UNKNOWN, 1, Code::NotFound, 404),
            (UNKNOWN, -1, Code::NotFound, 404),
        ] {
            let outcome = client.call::<Rpc>(&change(id, by)).await;
            assert_eq!(outcome.code, code, "{wire:?} {by}");
            assert!(!wire.is_json() || outcome.http_status == status);
            assert!(outcome.fields.is_empty());
        }
    }
    assert_eq!(domain.stock(&few).await, 5);
    assert_eq!(domain.stock(&many).await, i32::MAX - 5);
}

/// Takes one unit, so many times at once, by every wire.
async fn take(
    domain: &Domain,
    id: &str,
    times: usize,
    keyed: bool,
) -> Vec<Outcome<InventoryResponse>> {
    let function = domain
        .start_with::<UpdateInventory>(&[
            ("MAX_IN_FLIGHT", "400"),
            ("DATABASE_POOL_SIZE", "8"),
            ("DATABASE_ACQUIRE_TIMEOUT_MS", "4500"),
        ])
        .await;
    let token = domain.authority.service("create-order");
    let clients = Wire::ALL.map(|wire| Client::new(wire, function.address()).bearer(&token));
    let asked = &change(id, -1);
    let calls = (0..times).map(|n| {
        let client = clients[n % clients.len()].clone();
        async move {
            if keyed {
                let client = client.header("idempotency-key", &n.to_string());
                answer::<Rpc>(&client, asked).await
            } else {
                client.call::<Rpc>(asked).await
            }
        }
    });
    join_all(calls).await
}

/// Expects that `stock` calls each took another unit, and that the others were refused.
fn assert_taken(outcomes: Vec<Outcome<InventoryResponse>>, stock: usize) {
    let times = outcomes.len();
    let mut left = Vec::new();
    for outcome in outcomes {
        match outcome.code {
            Code::Ok => left.push(outcome.ok().new_inventory),
            code => assert_eq!(code, Code::FailedPrecondition, "{}", outcome.message),
        }
    }
    assert_eq!(left.len(), stock, "of {times}");
    left.sort_unstable();
    let expected: Vec<i32> = (0..i32::try_from(stock).unwrap()).collect();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn two_hundred_at_once_take_a_hundred() {
    let domain = Domain::new().await;
    let id = domain.add_product(100).await;
    // Under a key each, so that a call that the machine was too slow for can be made again.
    let outcomes = take(&domain, &id, 200, true).await;
    assert_taken(outcomes, 100);
    assert_eq!(domain.stock(&id).await, 0);
}

#[tokio::test]
async fn without_keys_too_nothing_is_sold_twice() {
    let domain = Domain::new().await;
    let id = domain.add_product(20).await;
    let outcomes = take(&domain, &id, 40, false).await;
    assert_taken(outcomes, 20);
    assert_eq!(domain.stock(&id).await, 0);
}

#[tokio::test]
async fn under_one_key_it_is_done_once() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateInventory>().await;
    let id = domain.add_product(10).await;
    let keyed = |wire| domain.admin(wire, &function).header("idempotency-key", "k");
    let asked = &change(&id, -3);
    let calls = (0..8).map(|n| {
        let client = keyed(Wire::ALL[n % 4]);
        async move { answer::<Rpc>(&client, asked).await.ok() }
    });
    let mut answers = join_all(calls).await;
    // What others do meanwhile does not change the answer.
    let other = domain.admin(Wire::Grpc, &function);
    other.call::<Rpc>(&change(&id, 5)).await.ok();
    for wire in Wire::ALL {
        answers.push(keyed(wire).call::<Rpc>(asked).await.ok());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].new_inventory, 7);
    assert_eq!(domain.stock(&id).await, 12);

    for wire in Wire::ALL {
        let outcome = keyed(wire).call::<Rpc>(&change(&id, -4)).await;
        assert_eq!(outcome.code, Code::InvalidArgument);
        assert_eq!(outcome.field_names(), ["idempotency-key"]);
        assert!(!wire.is_json() || outcome.http_status == 422);
        // Another caller's keys are others.
        let token = domain.authority.service(&format!("{wire:?}"));
        let service = Client::new(wire, function.address()).bearer(&token);
        let service = service.header("idempotency-key", "k");
        service.call::<Rpc>(&change(&id, -1)).await.ok();
    }
    assert_eq!(domain.stock(&id).await, 8);
}
