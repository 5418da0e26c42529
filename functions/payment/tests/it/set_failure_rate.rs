//! Setting how the simulated provider behaves.

use http::Method;
use tonic::Code;
use zerocart_payment::{ProcessPayment, SetFailureRate};
use zerocart_proto::{
    payment::{
        ProviderFailure::{self, GatewayTimeout, InsufficientFunds, TemporarilyUnavailable},
        SetFailureRateRequest, SetFailureRateResponse,
    },
    rpc::{ProcessPayment as Process, SetFailureRate as Rpc},
};
use zerocart_test_support::clients::{Wire, request};

use crate::{Domain, charge, order};

/// Every failure, in the order in which they are answered.
const EVERY: [ProviderFailure; 3] = [GatewayTimeout, InsufficientFunds, TemporarilyUnavailable];

fn set(
    failure_rate: f64,
    delays_ms: (Option<i32>, Option<i32>),
    failures: &[ProviderFailure],
) -> SetFailureRateRequest {
    SetFailureRateRequest {
        failure_rate,
        min_delay_ms: delays_ms.0,
        max_delay_ms: delays_ms.1,
        failures: failures.iter().map(|f| i32::from(*f)).collect(),
    }
}

#[track_caller]
fn assert_in_force(
    answer: &SetFailureRateResponse,
    failure_rate: f64,
    delays_ms: (i32, i32),
    failures: &[ProviderFailure],
) {
    assert_eq!(answer.failure_rate, failure_rate);
    assert_eq!((answer.min_delay_ms, answer.max_delay_ms), delays_ms);
    assert_eq!(answer.failures().collect::<Vec<_>>(), failures);
}

#[tokio::test]
async fn a_new_shop_has_the_provider_of_the_contract() {
    let domain = Domain::new().await;
    let row = domain
        .sql
        .query_one(
            "WITH gone AS (DELETE FROM simulator_settings) SELECT 1",
            &[],
        )
        .await;
    assert!(row.is_ok());
    let row = domain
        .sql
        .query_one(
            "INSERT INTO simulator_settings DEFAULT VALUES
             RETURNING failure_rate, min_delay_ms, max_delay_ms, cardinality(failures)",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, f64>(0), 0.3);
    assert_eq!((row.get(1), row.get(2)), (1000, 3000));
    assert_eq!(row.get::<_, i32>(3), 3);
}

#[tokio::test]
async fn what_is_given_is_changed_and_what_is_in_force_is_answered() {
    let domain = Domain::new().await;
    let function = domain.start::<SetFailureRate>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        let call = async |request| client.call::<Rpc>(&request).await.ok();
        let answer = call(set(0.25, (Some(10), Some(20)), &[])).await;
        assert_in_force(&answer, 0.25, (10, 20), &EVERY);
        let twice = [InsufficientFunds, GatewayTimeout, InsufficientFunds];
        let answer = call(set(1.0, (None, None), &twice)).await;
        assert_in_force(&answer, 1.0, (10, 20), &EVERY[..2]);
        let answer = call(set(0.0, (None, Some(60_000)), &[])).await;
        assert_in_force(&answer, 0.0, (10, 60_000), &EVERY);
        let answer = call(set(0.5, (Some(60_000), None), &[])).await;
        assert_in_force(&answer, 0.5, (60_000, 60_000), &EVERY);
        let answer = call(set(0.3, (Some(0), Some(0)), &[])).await;
        assert_in_force(&answer, 0.3, (0, 0), &EVERY);
    }
    // As the contract shows it.
    let client = domain.admin(Wire::Http1, &function);
    let body = r#"{"failure_rate": 0.3}"#;
    let reply = client
        .send(request(Method::POST, "/admin/failure-rate", body))
        .await;
    let answer = reply.outcome::<SetFailureRateResponse>().ok();
    assert_in_force(&answer, 0.3, (0, 0), &EVERY);
    let body = r#"{"failure_rate": 1, "failures": ["TEMPORARILY_UNAVAILABLE"]}"#;
    let reply = client
        .send(request(Method::POST, "/admin/failure-rate", body))
        .await;
    assert!(
        reply
            .text()
            .contains(r#""failures":["TEMPORARILY_UNAVAILABLE"]"#)
    );
}

#[tokio::test]
async fn every_instance_obeys_at_once() {
    let domain = Domain::new().await;
    let setting = domain.start::<SetFailureRate>().await;
    let processing = [
        domain.start::<ProcessPayment>().await,
        domain.start::<ProcessPayment>().await,
    ];
    let admin = domain.admin(Wire::Grpc, &setting);
    for _ in 0..3 {
        for (rate, failure, code) in [
            (1.0, TemporarilyUnavailable, Code::Unavailable),
            (0.0, TemporarilyUnavailable, Code::Ok),
        ] {
            let request = set(rate, (None, None), &[failure]);
            assert_eq!(admin.call::<Rpc>(&request).await.code, Code::Ok);
            for function in &processing {
                let client = domain.service(Wire::Grpc, function);
                let outcome = client.call::<Process>(&charge(&order())).await;
                assert_eq!(outcome.code, code);
            }
        }
    }
}
