//! Processes that are killed while the provider works.

use rustix::process::Signal;
use tonic::Code;
use zerocart_payment::ProcessPayment;
use zerocart_proto::{
    payment::{
        PaymentStatus::{Cancelled, Failed, Success},
        ProcessPaymentRequest,
    },
    rpc::ProcessPayment as Rpc,
};
use zerocart_test_support::{
    clients::{Client, Wire},
    process::Process,
};

use crate::{DOWN, Domain, GATED, answer, assert_answer, charge, order, refund, until};

const BINARY: &str = env!("CARGO_BIN_EXE_process-payment");

/// With it, the first request to the provider takes effect after a fortieth of its time.
pub(crate) const EARLY: &str = "45";

/// The time of a request to the provider of which an early moment is to be met.
pub(crate) const LONG_MS: i32 = 8000;

/// Calls a process of its own, and kills it once `moment` has come.
pub(crate) async fn killed(
    domain: &Domain,
    request: ProcessPaymentRequest,
    moment: impl AsyncFnOnce() -> (),
) {
    let settings = [("PAYMENT_LEASE_MS", "300"), ("PAYMENT_SEED", EARLY)];
    let settings = [GATED.as_slice(), &settings].concat();
    let (process, address) = Process::listening(BINARY, domain.env(&settings));
    let token = domain.authority.service("create-order");
    let client = Client::new(Wire::Grpc, address).bearer(&token);
    tokio::select! {
        outcome = client.call::<Rpc>(&request) => panic!("answered before: {outcome:?}"),
        () = async {
            moment().await;
            process.signal(Signal::KILL);
        } => {}
    }
    assert!(!process.ended().await.status.success());
}

/// Waits until the provider has this on record.
pub(crate) async fn recorded(domain: &Domain, order: &str, state: &str) {
    until("the provider has done it", async || {
        domain.on_record(order).await.as_deref() == Some(state)
    })
    .await;
}

#[tokio::test]
async fn killed_before_the_charge_took_effect_it_is_charged_later() {
    let domain = Domain::new().await;
    let other = domain.start::<ProcessPayment>().await;
    let order = order();
    domain.provider(0.0, DOWN, 10_000_000..=10_000_000).await;
    killed(&domain, charge(&order), async || {
        domain.asked(&order, 1).await;
    })
    .await;
    assert_eq!(domain.status(&order).await.as_deref(), Some("PROCESSING"));
    domain.provider(0.0, DOWN, 0..=0).await;
    let client = domain.service(Wire::Http1, &other);
    let outcome = answer::<Rpc>(&client, &charge(&order)).await;
    assert_answer(outcome, Success, true, "the order is paid");
    let resolved = [("CHARGE", ""), ("FIND", "NOT_FOUND"), ("CHARGE", "CHARGED")];
    domain.assert_attempts(&order, &resolved).await;
    assert_eq!(domain.records().await, 1);
}

#[tokio::test]
async fn killed_after_the_charge_took_effect_it_is_found_and_not_made_again() {
    let domain = Domain::new().await;
    let other = domain.start::<ProcessPayment>().await;
    let order = order();
    domain.provider(0.0, DOWN, LONG_MS..=LONG_MS).await;
    killed(&domain, charge(&order), async || {
        recorded(&domain, &order, "CHARGED").await;
    })
    .await;
    domain.provider(0.0, DOWN, 0..=0).await;
    let client = domain.service(Wire::Http2, &other);
    let outcome = answer::<Rpc>(&client, &charge(&order)).await;
    assert_answer(outcome, Success, true, "the order is paid");
    let found = [("CHARGE", ""), ("FIND", "CHARGED")];
    domain.assert_attempts(&order, &found).await;
    assert_eq!(domain.records().await, 1);
}

#[tokio::test]
async fn killed_after_the_charge_took_effect_it_is_undone_by_a_refund() {
    let domain = Domain::new().await;
    let other = domain.start::<ProcessPayment>().await;
    let order = order();
    domain.provider(0.0, DOWN, LONG_MS..=LONG_MS).await;
    killed(&domain, charge(&order), async || {
        recorded(&domain, &order, "CHARGED").await;
    })
    .await;
    domain.provider(0.0, DOWN, 0..=0).await;
    let client = domain.service(Wire::GrpcWeb, &other);
    let outcome = answer::<Rpc>(&client, &refund(&order)).await;
    assert_answer(outcome, Cancelled, true, "refunded");
    assert_eq!(domain.on_record(&order).await.as_deref(), Some("REFUNDED"));
}

#[tokio::test]
async fn a_charge_that_arrives_after_its_sender_was_killed_does_not_undo_a_refund() {
    let domain = Domain::new().await;
    let other = domain.start::<ProcessPayment>().await;
    let order = order();
    domain.close_gate().await;
    killed(&domain, charge(&order), async || {
        until("the charge is on its way", async || {
            domain.is_at_gate().await
        })
        .await;
    })
    .await;
    let client = domain.service(Wire::Grpc, &other);
    let outcome = answer::<Rpc>(&client, &refund(&order)).await;
    assert_eq!(outcome.ok().status(), Failed);
    domain.open_gate().await;
    until("the charge has arrived", async || {
        !domain.is_at_gate().await
    })
    .await;
    let busy = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state = 'active' AND query LIKE '%INTO simulator%'
                AND pid <> pg_backend_pid()";
    until("the charge is dealt with", async || {
        let busy = domain.sql.query_one(busy, &[]).await.unwrap();
        busy.get::<_, i64>(0) == 0
    })
    .await;
    assert_eq!(domain.on_record(&order).await.as_deref(), Some("VOIDED"));
}

#[tokio::test]
async fn killed_in_a_refund_it_is_refunded_later() {
    let domain = Domain::new().await;
    let other = domain.start::<ProcessPayment>().await;
    let client = domain.service(Wire::Grpc, &other);
    for refunded_before in [false, true] {
        let order = order();
        domain.provider(0.0, DOWN, 0..=0).await;
        assert_eq!(client.call::<Rpc>(&charge(&order)).await.code, Code::Ok);
        let delay_ms = if refunded_before { LONG_MS } else { 10_000_000 };
        domain.provider(0.0, DOWN, delay_ms..=delay_ms).await;
        killed(&domain, refund(&order), async || match refunded_before {
            false => domain.asked(&order, 2).await,
            true => recorded(&domain, &order, "REFUNDED").await,
        })
        .await;
        // It may be refunded at any moment.
        assert_eq!(domain.status(&order).await.as_deref(), Some("PROCESSING"));
        domain.provider(0.0, DOWN, 0..=0).await;
        // It is never charged again, also while it is not refunded yet.
        let outcome = answer::<Rpc>(&client, &charge(&order)).await;
        assert_eq!(outcome.code, Code::FailedPrecondition);
        let outcome = answer::<Rpc>(&client, &refund(&order)).await;
        assert_answer(outcome, Cancelled, true, "refunded");
        assert_eq!(domain.on_record(&order).await.as_deref(), Some("REFUNDED"));
    }
}
