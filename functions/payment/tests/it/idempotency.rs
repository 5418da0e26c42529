//! The same idempotency key, the same answer.

use futures_util::future::join_all;
use tonic::Code;
use zerocart_payment::ProcessPayment;
use zerocart_proto::{payment::PaymentStatus::Success, rpc::ProcessPayment as Rpc};
use zerocart_test_support::{clients::Wire, functions::Running};

use crate::{DOWN, Domain, answer, assert_answer, charge, order};

fn keyed(
    domain: &Domain,
    wire: Wire,
    function: &Running,
    key: &str,
) -> zerocart_test_support::clients::Client {
    domain
        .service(wire, function)
        .header("idempotency-key", key)
}

#[tokio::test]
async fn a_failure_is_no_answer_and_is_tried_anew_under_the_same_key() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let order = order();
        let client = keyed(&domain, wire, &function, &order);
        domain.provider(1.0, DOWN, 0..=0).await;
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        assert_eq!(outcome.code, Code::Unavailable, "{wire:?}");
        domain.provider(0.0, DOWN, 0..=0).await;
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        assert_answer(outcome, Success, true, "the order is paid");
    }
}

#[tokio::test]
async fn many_at_once_under_one_key_make_one_charge_and_one_answer() {
    let domain = Domain::new().await;
    domain.provider(0.0, DOWN, 0..=30).await;
    let functions = [
        domain.start::<ProcessPayment>().await,
        domain.start::<ProcessPayment>().await,
    ];
    let order = order();
    let request = &charge(&order);
    let calls = (0..12).map(|n| {
        let client = keyed(&domain, Wire::ALL[n % 4], &functions[n % 2], "one");
        async move { answer::<Rpc>(&client, request).await.ok() }
    });
    let mut answers = join_all(calls).await;
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    domain
        .assert_attempts(&order, &[("CHARGE", "CHARGED")])
        .await;
    let kept = "SELECT count(*) FROM idempotency_keys";
    let kept = domain.sql.query_one(kept, &[]).await.unwrap();
    assert_eq!(kept.get::<_, i64>(0), 1);
}
