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

use crate::{Domain, JSON_WIRES, charge, order};

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

#[tokio::test]
async fn only_an_admin_may() {
    let domain = Domain::new().await;
    let function = domain.start::<SetFailureRate>().await;
    let may = [false, false, true, false];
    let request = set(0.1, (None, None), &[]);
    domain.assert_access::<Rpc>(&function, &request, may).await;
}

#[tokio::test]
async fn one_key_sets_once() {
    let domain = Domain::new().await;
    let function = domain.start::<SetFailureRate>().await;
    let client = domain.admin(Wire::Grpc, &function);
    let keyed = client.clone().header("idempotency-key", "k");
    let request = set(0.1, (Some(1), Some(2)), &[]);
    let first = keyed.call::<Rpc>(&request).await.ok();
    let other = set(0.9, (Some(3), Some(4)), &[]);
    assert_eq!(client.call::<Rpc>(&other).await.code, Code::Ok);
    assert_eq!(keyed.call::<Rpc>(&request).await.ok(), first);
    let rate = "SELECT failure_rate FROM simulator_settings";
    let rate = domain.sql.query_one(rate, &[]).await.unwrap();
    assert_eq!(rate.get::<_, f64>(0), 0.9);
    let outcome = keyed.call::<Rpc>(&other).await;
    assert_eq!(outcome.field_names(), ["idempotency-key"]);
}

#[tokio::test]
async fn a_bad_field_is_named_and_nothing_is_changed() {
    let domain = Domain::new().await;
    let function = domain.start::<SetFailureRate>().await;
    domain.provider(0.5, crate::ALL, 100..=200).await;
    let failing = |failures: &[i32]| SetFailureRateRequest {
        failures: failures.to_vec(),
        ..set(0.1, (None, None), &[])
    };
    let table: Vec<(SetFailureRateRequest, &[&str])> = vec![
        (set(-0.1, (None, None), &[]), &["failure_rate"]),
        (set(1.1, (None, None), &[]), &["failure_rate"]),
        (set(f64::NAN, (None, None), &[]), &["failure_rate"]),
        (set(f64::INFINITY, (None, None), &[]), &["failure_rate"]),
        (set(0.1, (Some(-1), None), &[]), &["min_delay_ms"]),
        (set(0.1, (Some(60_001), None), &[]), &["min_delay_ms"]),
        (set(0.1, (None, Some(-1)), &[]), &["max_delay_ms"]),
        (set(0.1, (None, Some(60_001)), &[]), &["max_delay_ms"]),
        // Out of order, also with what is in force.
        (set(0.1, (Some(2), Some(1)), &[]), &["min_delay_ms"]),
        (set(0.1, (Some(201), None), &[]), &["min_delay_ms"]),
        (set(0.1, (None, Some(99)), &[]), &["max_delay_ms"]),
        (failing(&[1, 0]), &["failures[1]"]),
    ];
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        for (request, fields) in &table {
            let outcome = client.call::<Rpc>(request).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?} {request:?}");
            assert_eq!(outcome.field_names(), *fields, "{wire:?} {request:?}");
            assert!(!wire.is_json() || outcome.http_status == 400);
        }
    }
    for (failures, field) in [(&[1, 9][..], "failures[1]"), (&[1, 1, 1, 1], "failures")] {
        let client = domain.admin(Wire::Grpc, &function);
        let outcome = client.call::<Rpc>(&failing(failures)).await;
        assert_eq!(outcome.field_names(), [field]);
    }
    for (body, field) in [
        (r#"{"failure_rate": "often"}"#, "failure_rate"),
        (r#"{"min_delay_ms": 1.5}"#, "min_delay_ms"),
        (r#"{"max_delay_ms": 3000000000}"#, "max_delay_ms"),
        (r#"{"rate": 0.1}"#, "rate"),
        (r#"{"failure_rate": 0.1"#, "body"),
    ] {
        for wire in JSON_WIRES {
            let client = domain.admin(wire, &function);
            let reply = client
                .send(request(Method::POST, "/admin/failure-rate", body))
                .await;
            let outcome = reply.outcome::<SetFailureRateResponse>();
            assert_eq!(outcome.http_status, 400, "{body}");
            assert_eq!(outcome.field_names(), [field], "{body}");
        }
    }
    let row = "SELECT failure_rate, min_delay_ms, max_delay_ms FROM simulator_settings";
    let row = domain.sql.query_one(row, &[]).await.unwrap();
    assert_eq!(row.get::<_, f64>(0), 0.5);
    assert_eq!((row.get(1), row.get(2)), (100, 200));
}
