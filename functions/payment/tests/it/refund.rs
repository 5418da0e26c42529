//! Undoing: no charge stands after it.

use tonic::Code;
use zerocart_payment::ProcessPayment;
use zerocart_proto::{
    payment::{
        PaymentResponse,
        PaymentStatus::{Cancelled, Failed, Success},
        ProcessPaymentRequest,
    },
    rpc::ProcessPayment as Rpc,
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::Running,
};

use crate::{DECLINE, DOWN, Domain, GATED, TIMEOUT, assert_answer, charge, order, refund};

const NEVER: &str = "nothing was charged, and nothing will be";

/// Expects that the order can never be charged any more, and that refunding again says the same.
async fn assert_barred(client: &Client, order: &str, undone: (crate::PaymentStatus, &str)) {
    for _ in 0..2 {
        let outcome = client.call::<Rpc>(&charge(order)).await;
        assert_eq!(outcome.code, Code::FailedPrecondition, "{outcome:?}");
        let again = client.call::<Rpc>(&refund(order)).await;
        assert_answer(again, undone.0, true, undone.1);
    }
}

#[tokio::test]
async fn what_was_charged_is_refunded_once() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let order = order();
        let paid = client.call::<Rpc>(&charge(&order)).await.ok().payment_id;
        // What is not looked at may be anything that is valid.
        let request = ProcessPaymentRequest {
            amount: 5.0,
            payment_method: "something else".into(),
            ..refund(&order)
        };
        let outcome = client.call::<Rpc>(&request).await;
        let refunded = assert_answer(outcome, Cancelled, true, "refunded");
        assert_eq!(refunded, paid);
        assert_barred(&client, &order, (Cancelled, "refunded")).await;
        domain
            .assert_attempts(&order, &[("CHARGE", "CHARGED"), ("REFUND", "REFUNDED")])
            .await;
        assert_eq!(domain.on_record(&order).await.as_deref(), Some("REFUNDED"));
    }
}

#[tokio::test]
async fn what_was_never_asked_for_is_barred_without_the_gateway() {
    let domain = Domain::new().await;
    domain.gateway(1.0, DOWN, 0..=0).await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let unknown = order();
        let outcome = client.call::<Rpc>(&refund(&unknown)).await;
        assert_answer(outcome, Failed, true, NEVER);
        assert_barred(&client, &unknown, (Failed, NEVER)).await;
        domain.assert_attempts(&unknown, &[]).await;

        let pending = order();
        let outcome = client.call::<Rpc>(&charge(&pending)).await;
        assert_eq!(outcome.metadata["charged"], "no");
        let outcome = client.call::<Rpc>(&refund(&pending)).await;
        assert_answer(outcome, Failed, true, NEVER);
        assert_barred(&client, &pending, (Failed, NEVER)).await;
        assert_eq!(domain.attempts(&pending).await.len(), 1);
    }
    let methods = "SELECT count(*) FROM payments WHERE payment_method LIKE '%1%'";
    let methods = domain.sql.query_one(methods, &[]).await.unwrap();
    assert_eq!(methods.get::<_, i64>(0), 0);
    assert_eq!(domain.records().await, 0);
}

#[tokio::test]
async fn what_was_declined_stays_so() {
    let domain = Domain::new().await;
    domain.gateway(1.0, DECLINE, 0..=0).await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let order = order();
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        assert_answer(outcome, Failed, false, "insufficient funds");
        let outcome = client.call::<Rpc>(&refund(&order)).await;
        assert_answer(outcome, Failed, true, NEVER);
        assert_barred(&client, &order, (Failed, NEVER)).await;
        assert_eq!(domain.attempts(&order).await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_unknown_is_undone_at_the_gateway() {
    let domain = Domain::new().await;
    let seed = [("PAYMENT_SEED", "1")];
    let function = domain.start_with::<ProcessPayment>(&seed).await;
    let mut charged = 0;
    for n in 0..16 {
        let client = domain.service(Wire::ALL[n % 4], &function);
        let order = order();
        domain.gateway(1.0, TIMEOUT, 0..=0).await;
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        assert_eq!(outcome.metadata["charged"], "unknown");
        let was_charged = domain.on_record(&order).await.is_some();
        charged += i32::from(was_charged);
        domain.gateway(0.0, TIMEOUT, 0..=0).await;
        let outcome = client.call::<Rpc>(&refund(&order)).await;
        let (undone, on_record) = match was_charged {
            true => ((Cancelled, "refunded"), "REFUNDED"),
            false => ((Failed, NEVER), "VOIDED"),
        };
        assert_answer(outcome, undone.0, true, undone.1);
        assert_eq!(domain.on_record(&order).await.as_deref(), Some(on_record));
        assert_barred(&client, &order, undone).await;
    }
    assert!(charged > 0 && charged < 16, "{charged}");
}

/// Asks for a charge that does not arrive at the gateway until the gate is opened.
async fn charging(
    domain: &Domain,
    function: &Running,
    order: &str,
) -> tokio::task::JoinHandle<Outcome<PaymentResponse>> {
    domain.close_gate().await;
    let client = domain.service(Wire::Grpc, function);
    let request = charge(order);
    let charging = tokio::spawn(async move { client.call::<Rpc>(&request).await });
    domain.asked(order, 1).await;
    charging
}

#[tokio::test]
async fn a_charge_under_way_is_barred_and_refunded_after_it() {
    let domain = Domain::new().await;
    let function = domain.start_with::<ProcessPayment>(&GATED).await;
    let order = order();
    let charging = charging(&domain, &function, &order).await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let outcome = client.call::<Rpc>(&refund(&order)).await;
        assert_eq!(outcome.code, Code::Aborted, "{wire:?} {outcome:?}");
        assert!(outcome.retry_after.is_some(), "{wire:?}");
    }
    domain.open_gate().await;
    // It was charged, and its caller is told nothing that will soon be untrue.
    let outcome = charging.await.unwrap();
    assert_eq!(outcome.code, Code::FailedPrecondition, "{outcome:?}");
    assert_eq!(domain.on_record(&order).await.as_deref(), Some("CHARGED"));
    assert_eq!(domain.status(&order).await.as_deref(), Some("SUCCESS"));
    let client = domain.service(Wire::Http2, &function);
    let outcome = client.call::<Rpc>(&refund(&order)).await;
    assert_answer(outcome, Cancelled, true, "refunded");
    assert_eq!(domain.on_record(&order).await.as_deref(), Some("REFUNDED"));
}

#[tokio::test]
async fn a_charge_that_arrives_after_the_refund_is_refused() {
    let domain = Domain::new().await;
    let function = domain.start_with::<ProcessPayment>(&GATED).await;
    let order = order();
    let charging = charging(&domain, &function, &order).await;
    // As after a process that stood still for longer than its lease.
    let lapse = "UPDATE payments SET attempt_until = now()";
    assert_eq!(domain.sql.execute(lapse, &[]).await.unwrap(), 1);
    let client = domain.service(Wire::Http1, &function);
    let outcome = client.call::<Rpc>(&refund(&order)).await;
    assert_answer(outcome, Failed, true, NEVER);
    domain.open_gate().await;
    let outcome = charging.await.unwrap();
    assert_eq!(outcome.code, Code::FailedPrecondition, "{outcome:?}");
    domain
        .assert_attempts(&order, &[("CHARGE", "VOIDED"), ("REFUND", "VOIDED")])
        .await;
    assert_eq!(domain.on_record(&order).await.as_deref(), Some("VOIDED"));
    assert_barred(&client, &order, (Failed, NEVER)).await;
}

#[tokio::test]
async fn two_charges_on_their_way_are_one() {
    let domain = Domain::new().await;
    let function = domain.start_with::<ProcessPayment>(&GATED).await;
    let order = order();
    let charging = charging(&domain, &function, &order).await;
    let lapse = "UPDATE payments SET attempt_until = now()";
    assert_eq!(domain.sql.execute(lapse, &[]).await.unwrap(), 1);
    let client = domain.service(Wire::Grpc, &function);
    let request = charge(&order);
    let other = tokio::spawn(async move { client.call::<Rpc>(&request).await });
    domain.asked(&order, 3).await;
    domain.open_gate().await;
    // Who has been taken over from may come too early to know, but never contradicts.
    let overtaken = charging.await.unwrap();
    let allowed = [Code::Ok, Code::Aborted];
    assert!(allowed.contains(&overtaken.code), "{overtaken:?}");
    assert_answer(other.await.unwrap(), Success, true, "the order is paid");
    let charged = ("CHARGE", "CHARGED");
    domain
        .assert_attempts(&order, &[charged, ("FIND", "NOT_FOUND"), charged])
        .await;
    assert_eq!(domain.records().await, 1);
}
