//! Undoing: no charge stands after it.

use tonic::Code;
use zerocart_payment::{GetPaymentStatus, ProcessPayment};
use zerocart_proto::{
    payment::{
        GetPaymentStatusRequest, PaymentResponse,
        PaymentStatus::{Cancelled, Failed, Success},
        ProcessPaymentRequest,
    },
    rpc::{self, ProcessPayment as Rpc},
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::Running,
};

use crate::{DECLINE, DOWN, Domain, GATED, TIMEOUT, assert_answer, charge, order, refund, until};

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
async fn what_was_never_asked_for_is_barred_without_the_provider() {
    let domain = Domain::new().await;
    domain.provider(1.0, DOWN, 0..=0).await;
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
    domain.provider(1.0, DECLINE, 0..=0).await;
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
async fn what_is_unknown_is_undone_at_the_provider() {
    let domain = Domain::new().await;
    let seed = [("PAYMENT_SEED", "1")];
    let function = domain.start_with::<ProcessPayment>(&seed).await;
    let mut charged = 0;
    for n in 0..16 {
        let client = domain.service(Wire::ALL[n % 4], &function);
        let order = order();
        domain.provider(1.0, TIMEOUT, 0..=0).await;
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        assert_eq!(outcome.metadata["charged"], "unknown");
        let was_charged = domain.on_record(&order).await.is_some();
        charged += i32::from(was_charged);
        domain.provider(0.0, TIMEOUT, 0..=0).await;
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

/// Asks for a charge that does not arrive at the provider until the gate is opened.
async fn charging(
    domain: &Domain,
    function: &Running,
    order: &str,
) -> tokio::task::JoinHandle<Outcome<PaymentResponse>> {
    domain.close_gate().await;
    let client = domain.service(Wire::Grpc, function);
    let request = charge(order);
    let charging = tokio::spawn(async move { client.call::<Rpc>(&request).await });
    until("the charge is on its way", async || {
        domain.is_at_gate().await
    })
    .await;
    charging
}

/// Expects that the payment of an order has this status, for every caller, and the provider's books
/// agree.
async fn assert_stands(domain: &Domain, order: &str, status: crate::PaymentStatus, state: &str) {
    let function = domain.start::<GetPaymentStatus>().await;
    let asked = GetPaymentStatusRequest {
        payment_id: order.into(),
    };
    for wire in Wire::ALL {
        let reader = domain.service(wire, &function);
        let seen = reader.call::<rpc::GetPaymentStatus>(&asked).await.ok();
        assert_eq!(seen.status(), status, "{wire:?}");
        assert_eq!(domain.on_record(order).await.as_deref(), Some(state));
    }
}

#[tokio::test]
async fn a_refund_does_not_wait_for_a_charge_on_its_way_which_is_then_refused() {
    let domain = Domain::new().await;
    let function = domain.start_with::<ProcessPayment>(&GATED).await;
    let order = order();
    let charging = charging(&domain, &function, &order).await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let outcome = client.call::<Rpc>(&refund(&order)).await;
        assert_answer(outcome, Failed, true, NEVER);
        assert_stands(&domain, &order, Failed, "VOIDED").await;
    }
    domain.open_gate().await;
    let outcome = charging.await.unwrap();
    assert_eq!(outcome.code, Code::FailedPrecondition, "{outcome:?}");
    assert!(outcome.message.contains("was undone"), "{outcome:?}");
    domain
        .assert_attempts(&order, &[("CHARGE", "VOIDED"), ("REFUND", "VOIDED")])
        .await;
    assert_stands(&domain, &order, Failed, "VOIDED").await;
    let client = domain.service(Wire::Http1, &function);
    assert_barred(&client, &order, (Failed, NEVER)).await;
}

/// The charge has taken effect at the provider, whose answer is still on its way.
#[tokio::test]
async fn a_refund_undoes_a_charge_that_is_not_answered_yet() {
    let domain = Domain::new().await;
    // With it, the charge takes effect after a fortieth of its time.
    let settings = [GATED.as_slice(), &[("PAYMENT_SEED", crate::crash::EARLY)]].concat();
    let function = domain.start_with::<ProcessPayment>(&settings).await;
    domain.provider(0.0, DOWN, 4000..=4000).await;
    let order = order();
    let (client, request) = (domain.service(Wire::Grpc, &function), charge(&order));
    let charging = tokio::spawn(async move { client.call::<Rpc>(&request).await });
    until("the provider has charged", async || {
        domain.on_record(&order).await.as_deref() == Some("CHARGED")
    })
    .await;
    domain.provider(0.0, DOWN, 0..=0).await;
    let client = domain.service(Wire::Http2, &function);
    let outcome = client.call::<Rpc>(&refund(&order)).await;
    assert_answer(outcome, Cancelled, true, "refunded");
    assert_stands(&domain, &order, Cancelled, "REFUNDED").await;
    let outcome = charging.await.unwrap();
    assert_eq!(outcome.code, Code::FailedPrecondition, "{outcome:?}");
    assert!(outcome.message.contains("was undone"), "{outcome:?}");
    domain
        .assert_attempts(&order, &[("CHARGE", "CHARGED"), ("REFUND", "REFUNDED")])
        .await;
    assert_stands(&domain, &order, Cancelled, "REFUNDED").await;
}

/// The refund's own caller is gone, or was sent away: the charge's caller brings it to its end.
#[tokio::test]
async fn a_charge_that_finds_itself_undone_is_refunded_before_its_caller_is_told() {
    let domain = Domain::new().await;
    let function = domain.start_with::<ProcessPayment>(&GATED).await;
    let order = order();
    let charging = charging(&domain, &function, &order).await;
    domain.provider(1.0, DOWN, 0..=0).await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let outcome = client.call::<Rpc>(&refund(&order)).await;
        assert_eq!(outcome.code, Code::Unavailable, "{wire:?} {outcome:?}");
        assert_eq!(outcome.metadata["charged"], "unknown", "{wire:?}");
    }
    assert_eq!(domain.status(&order).await.as_deref(), Some("PROCESSING"));
    domain.provider(0.0, DOWN, 0..=0).await;
    domain.open_gate().await;
    let outcome = charging.await.unwrap();
    assert_eq!(outcome.code, Code::FailedPrecondition, "{outcome:?}");
    let refused = ("REFUND", "TEMPORARILY_UNAVAILABLE");
    let attempts = [
        ("CHARGE", "CHARGED"),
        refused,
        refused,
        refused,
        refused,
        ("REFUND", "REFUNDED"),
    ];
    domain.assert_attempts(&order, &attempts).await;
    assert_stands(&domain, &order, Cancelled, "REFUNDED").await;
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
    // Who has been taken over from knows it, too.
    assert_answer(charging.await.unwrap(), Success, true, "the order is paid");
    assert_answer(other.await.unwrap(), Success, true, "the order is paid");
    let charged = ("CHARGE", "CHARGED");
    domain
        .assert_attempts(&order, &[charged, ("FIND", "NOT_FOUND"), charged])
        .await;
    assert_eq!(domain.records().await, 1);
}
