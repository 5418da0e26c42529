//! A provider that fails, is slow, or loses its answers; and callers that do not wait.

use std::time::Duration;

use tonic::Code;
use zerocart_payment::ProcessPayment;
use zerocart_proto::{
    payment::{PaymentResponse, PaymentStatus::Success},
    rpc::ProcessPayment as Rpc,
};
use zerocart_test_support::clients::{Outcome, Wire};

use crate::{DOWN, Domain, NEARLY_ALWAYS, TIMEOUT, answer, assert_answer, charge, order, refund};

#[track_caller]
fn assert_unavailable(outcome: &Outcome<PaymentResponse>, says: &str, charged: &str) {
    assert_eq!(outcome.code, Code::Unavailable, "{outcome:?}");
    assert!([503, 200].contains(&outcome.http_status), "{outcome:?}");
    assert!(outcome.message.contains(says), "{}", outcome.message);
    assert_eq!(outcome.retry_after, Some(Duration::from_secs(1)));
    assert_eq!(outcome.metadata["charged"], charged, "{outcome:?}");
    let payment = &outcome.metadata["payment_id"];
    assert!(uuid::Uuid::try_parse(payment).is_ok(), "{payment}");
}

#[tokio::test]
async fn while_it_is_unavailable_nothing_is_charged_and_then_it_is() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let order = order();
        domain.provider(1.0, DOWN, 0..=0).await;
        for _ in 0..2 {
            let outcome = client.call::<Rpc>(&charge(&order)).await;
            assert_unavailable(&outcome, "temporarily unavailable", "no");
            assert!(!wire.is_json() || outcome.http_status == 503);
            assert_eq!(domain.status(&order).await.as_deref(), Some("PENDING"));
            assert_eq!(domain.on_record(&order).await, None);
        }
        domain.provider(0.0, DOWN, 0..=0).await;
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        assert_answer(outcome, Success, true, "the order is paid");
        let refused = ("CHARGE", "TEMPORARILY_UNAVAILABLE");
        domain
            .assert_attempts(&order, &[refused, refused, ("CHARGE", "CHARGED")])
            .await;
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_again_in_the_same_call() {
    let domain = Domain::new().await;
    domain.provider(NEARLY_ALWAYS, TIMEOUT, 0..=0).await;
    let seed = [("PAYMENT_SEED", "1")];
    let function = domain.start_with::<ProcessPayment>(&seed).await;
    let (mut found, mut unknown) = (0, Vec::new());
    for n in 0..16 {
        let client = domain.service(Wire::ALL[n % 4], &function);
        let order = order();
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        let lost = ("CHARGE", "GATEWAY_TIMEOUT");
        if outcome.code == Code::Ok {
            assert_answer(outcome, Success, true, "the order is paid");
            let found_again = [lost, ("FIND", "CHARGED")];
            domain.assert_attempts(&order, &found_again).await;
            found += 1;
        } else {
            assert_unavailable(&outcome, "gateway timeout", "unknown");
            let not_found = [lost, ("FIND", "NOT_FOUND")];
            domain.assert_attempts(&order, &not_found).await;
            assert_eq!(domain.status(&order).await.as_deref(), Some("PROCESSING"));
            assert_eq!(domain.on_record(&order).await, None);
            unknown.push(order);
        }
    }
    assert!(found > 0 && !unknown.is_empty(), "{found} of 16");
    domain.provider(0.0, TIMEOUT, 0..=0).await;
    for order in unknown {
        let client = domain.service(Wire::Grpc, &function);
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        assert_answer(outcome, Success, true, "the order is paid");
        let attempts = domain.attempts(&order).await;
        let kinds: Vec<_> = attempts.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["CHARGE", "FIND", "FIND", "CHARGE"]);
    }
    assert_eq!(domain.records().await, 16);
}

#[tokio::test]
async fn a_lost_answer_is_found_again_by_a_later_call_of_another_instance() {
    let domain = Domain::new().await;
    domain.provider(1.0, TIMEOUT, 0..=0).await;
    let seed = [("PAYMENT_SEED", "1")];
    let function = domain.start_with::<ProcessPayment>(&seed).await;
    let orders: Vec<_> = (0..16).map(|_| order()).collect();
    let mut charged = 0;
    for (n, order) in orders.iter().enumerate() {
        let client = domain.service(Wire::ALL[n % 4], &function);
        let outcome = client.call::<Rpc>(&charge(order)).await;
        assert_unavailable(&outcome, "gateway timeout", "unknown");
        // The provider is down: it does not say either what became of it.
        let timeout = "GATEWAY_TIMEOUT";
        domain
            .assert_attempts(order, &[("CHARGE", timeout), ("FIND", timeout)])
            .await;
        charged += i32::from(domain.on_record(order).await.is_some());
    }
    assert!(charged > 0 && charged < 16, "{charged}");
    domain.provider(0.0, TIMEOUT, 0..=0).await;
    let other = domain.start::<ProcessPayment>().await;
    for order in &orders {
        let known = domain.on_record(order).await.is_some();
        let client = domain.service(Wire::Grpc, &other);
        let outcome = client.call::<Rpc>(&charge(order)).await;
        assert_answer(outcome, Success, true, "the order is paid");
        let attempts = domain.attempts(order).await;
        assert_eq!(attempts.len(), if known { 3 } else { 4 }, "{attempts:?}");
        assert_eq!(domain.on_record(order).await.as_deref(), Some("CHARGED"));
    }
    assert_eq!(domain.records().await, 16);
}

#[tokio::test]
async fn a_provider_that_is_too_slow_is_a_timeout() {
    let domain = Domain::new().await;
    domain.provider(0.0, TIMEOUT, 60_000..=60_000).await;
    let limit = [("PAYMENT_PROVIDER_TIMEOUT_MS", "100")];
    let function = domain.start_with::<ProcessPayment>(&limit).await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let order = order();
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        if domain.on_record(&order).await.is_some() {
            // Once in 600 times the provider charges before the limit, and answers after it.
            assert_answer(outcome, Success, true, "the order is paid");
            continue;
        }
        assert_unavailable(&outcome, "gateway timeout", "unknown");
        let timeout = ("CHARGE", "GATEWAY_TIMEOUT");
        domain
            .assert_attempts(&order, &[timeout, ("FIND", "NOT_FOUND")])
            .await;
    }
}

#[tokio::test]
async fn a_short_deadline_ends_the_call_and_leaves_what_can_be_resolved() {
    let domain = Domain::new().await;
    let lease = [("PAYMENT_LEASE_MS", "500")];
    let function = domain.start_with::<ProcessPayment>(&lease).await;
    for wire in Wire::ALL {
        domain.provider(0.0, TIMEOUT, 60_000..=60_000).await;
        let order = order();
        let client = domain.service(wire, &function);
        let hasty = client.clone().header("grpc-timeout", "300m");
        let outcome = hasty.call::<Rpc>(&charge(&order)).await;
        let late = [Code::Unavailable, Code::DeadlineExceeded];
        assert!(late.contains(&outcome.code), "{outcome:?}");
        domain.provider(0.0, TIMEOUT, 0..=0).await;
        let outcome = answer::<Rpc>(&client, &charge(&order)).await;
        assert_answer(outcome, Success, true, "the order is paid");
        assert_eq!(domain.on_record(&order).await.as_deref(), Some("CHARGED"));
    }
}

/// On one connection: it is not held while the provider works.
#[tokio::test]
async fn a_second_call_is_told_that_the_first_is_under_way() {
    let domain = Domain::new().await;
    domain.provider(0.0, TIMEOUT, 60_000..=60_000).await;
    let settings = [
        ("DATABASE_POOL_SIZE", "1"),
        ("PAYMENT_PROVIDER_TIMEOUT_MS", "9000"),
        ("PAYMENT_LEASE_MS", "60000"),
    ];
    let function = domain.start_with::<ProcessPayment>(&settings).await;
    let order = order();
    let request = charge(&order);
    let client = domain.service(Wire::Grpc, &function);
    let first = tokio::spawn({
        let request = request.clone();
        async move { client.call::<Rpc>(&request).await }
    });
    domain.asked(&order, 1).await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let outcome = client.call::<Rpc>(&request).await;
        assert_eq!(outcome.code, Code::Aborted, "{wire:?} {outcome:?}");
        assert_eq!(outcome.retry_after, Some(Duration::from_secs(1)));
        assert!(!wire.is_json() || outcome.http_status == 409);
    }
    // Not a transaction stays open meanwhile.
    let open = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let open = domain.sql.query_one(open, &[]).await.unwrap();
    assert_eq!(open.get::<_, i64>(0), 0);
    assert!(!first.is_finished());
    // A caller that goes away leaves a request to the provider without an answer.
    first.abort();
    domain.provider(0.0, TIMEOUT, 0..=0).await;
    let lapse = "UPDATE payments SET attempt_until = now()";
    assert_eq!(domain.sql.execute(lapse, &[]).await.unwrap(), 1);
    let client = domain.service(Wire::Http1, &function);
    let outcome = client.call::<Rpc>(&request).await;
    assert_answer(outcome, Success, true, "the order is paid");
    let resolved = [("CHARGE", ""), ("FIND", "NOT_FOUND"), ("CHARGE", "CHARGED")];
    domain.assert_attempts(&order, &resolved).await;
}

#[tokio::test]
async fn a_refund_waits_until_the_provider_is_back() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        for (failures, says) in [
            (DOWN, "temporarily unavailable"),
            (TIMEOUT, "gateway timeout"),
        ] {
            domain.provider(0.0, failures, 0..=0).await;
            let order = order();
            assert_eq!(client.call::<Rpc>(&charge(&order)).await.code, Code::Ok);
            domain.provider(1.0, failures, 0..=0).await;
            let outcome = client.call::<Rpc>(&refund(&order)).await;
            assert_unavailable(&outcome, says, "unknown");
            // It may be refunded by now, and nothing is charged any more.
            assert_eq!(domain.status(&order).await.as_deref(), Some("PROCESSING"));
            let outcome = client.call::<Rpc>(&charge(&order)).await;
            assert_unavailable(&outcome, says, "unknown");
            domain.provider(NEARLY_ALWAYS, failures, 0..=0).await;
            let outcome = client.call::<Rpc>(&refund(&order)).await;
            assert!(outcome.ok().success, "{wire:?}");
            assert_eq!(domain.status(&order).await.as_deref(), Some("CANCELLED"));
            assert_eq!(domain.on_record(&order).await.as_deref(), Some("REFUNDED"));
        }
    }
}
