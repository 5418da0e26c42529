//! The same idempotency key, the same answer.

use futures_util::future::join_all;
use tonic::Code;
use zerocart_payment::ProcessPayment;
use zerocart_proto::{
    payment::PaymentStatus::{Cancelled, Success},
    rpc::ProcessPayment as Rpc,
};
use zerocart_test_support::{clients::Wire, functions::Running};

use crate::{DOWN, Domain, answer, assert_answer, charge, order, refund};

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
async fn the_same_key_gives_the_same_answer_whatever_happens_between() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    let order = order();
    let paid = keyed(&domain, Wire::Grpc, &function, "charge")
        .call::<Rpc>(&charge(&order))
        .await;
    let payment = assert_answer(paid, Success, true, "the order is paid");
    let undone = keyed(&domain, Wire::Grpc, &function, "undo")
        .call::<Rpc>(&refund(&order))
        .await;
    assert_answer(undone, Cancelled, true, "refunded");
    let refused = keyed(&domain, Wire::Grpc, &function, "again")
        .call::<Rpc>(&charge(&order))
        .await;
    assert_eq!(refused.code, Code::FailedPrecondition);
    for wire in Wire::ALL {
        let again = keyed(&domain, wire, &function, "charge")
            .call::<Rpc>(&charge(&order))
            .await;
        let same = assert_answer(again, Success, true, "the order is paid");
        assert_eq!(same, payment);
        let again = keyed(&domain, wire, &function, "again")
            .call::<Rpc>(&charge(&order))
            .await;
        assert_eq!(again.code, Code::FailedPrecondition);
        assert_eq!(again.message, refused.message);

        for request in [refund(&order), charge(&crate::order())] {
            let other = keyed(&domain, wire, &function, "charge")
                .call::<Rpc>(&request)
                .await;
            assert_eq!(other.code, Code::InvalidArgument, "{wire:?}");
            assert_eq!(other.field_names(), ["idempotency-key"], "{wire:?}");
            assert!(!wire.is_json() || other.http_status == 422);
        }
    }
    assert_eq!((domain.payments().await, domain.records().await), (1, 1));
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
