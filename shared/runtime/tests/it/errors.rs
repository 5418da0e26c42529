//! Every error, by every wire.

use std::time::Duration;

use tonic::Code;
use zerocart_core::{Error, Kind};
use zerocart_proto::{
    rpc::{CreateProduct, GetProduct},
    validate::{Violation, Violations},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{Authority, Running, Script},
};

use crate::{ME, create_tea, get_tea, serve};

#[tokio::test]
async fn every_kind_keeps_its_code_status_and_message() {
    for kind in Kind::ALL {
        let error = move || Error::new(kind, "what happened: ü, 100 %");
        let function = serve(Script::<GetProduct>::fails(error)).await;
        for wire in Wire::ALL {
            let outcome = Client::new(wire, function.address())
                .call::<GetProduct>(&get_tea())
                .await;
            assert_eq!(
                i32::from(outcome.code),
                kind.grpc_code(),
                "{kind:?} {wire:?}"
            );
            assert_eq!(outcome.message, "what happened: ü, 100 %", "{wire:?}");
            assert_eq!(outcome.retry_after, None, "{kind:?} {wire:?}");
            assert_eq!(outcome.fields, [], "{kind:?} {wire:?}");
            let status = if wire.is_json() {
                kind.http_status()
            } else {
                200
            };
            assert_eq!(outcome.http_status, status, "{kind:?} {wire:?}");
            // The id by which a user can ask about the error is that of the trace.
            let trace_id = outcome.trace_id.as_deref().unwrap();
            assert_eq!(trace_id.len(), 32, "{kind:?} {wire:?}");
            let traced = outcome.header("traceresponse").unwrap();
            assert_eq!(traced.split('-').nth(1), Some(trace_id), "{wire:?}");
            let challenge = outcome.header("www-authenticate");
            let challenged = wire.is_json() && kind == Kind::Unauthenticated;
            assert_eq!(challenge, challenged.then_some("Bearer"), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn details_reach_the_client() {
    let error = || {
        let mut violations = Violations::default();
        violations.add("items[2].quantity", "must be at least 1");
        violations.add("payment_method", "is required");
        Error::invalid(violations)
            .with_retry_after(Duration::from_millis(1500))
            .with_metadata("order_id", "o-1")
            .with_http_status(422)
    };
    let function = serve(Script::<GetProduct>::fails(error)).await;
    for wire in Wire::ALL {
        let outcome = Client::new(wire, function.address())
            .call::<GetProduct>(&get_tea())
            .await;
        assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?}");
        let violation = |field: &str, description: &str| Violation {
            field: field.into(),
            description: description.into(),
        };
        let expected = [
            violation("items[2].quantity", "must be at least 1"),
            violation("payment_method", "is required"),
        ];
        assert_eq!(outcome.fields, expected, "{wire:?}");
        assert_eq!(outcome.metadata["order_id"], "o-1", "{wire:?}");
        if wire.is_json() {
            assert_eq!(outcome.http_status, 422, "{wire:?}");
            // Whole seconds, rounded up, so that nobody comes too early.
            assert_eq!(outcome.retry_after, Some(Duration::from_secs(2)));
        } else {
            assert_eq!(outcome.retry_after, Some(Duration::from_millis(1500)));
        }
    }
}

#[tokio::test]
async fn a_cause_stays_inside() {
    let error = || Error::internal("relation \"products\" does not exist");
    let function = serve(Script::<GetProduct>::fails(error)).await;
    for wire in Wire::ALL {
        let outcome = Client::new(wire, function.address())
            .call::<GetProduct>(&get_tea())
            .await;
        assert_eq!(outcome.code, Code::Internal, "{wire:?}");
        assert!(!format!("{outcome:?}").contains("products\\\""), "{wire:?}");
        assert!(!format!("{outcome:?}").contains("relation"), "{wire:?}");
    }
}

#[tokio::test]
async fn all_bad_fields_are_told_at_once() {
    let authority = Authority::generate();
    let script = Script::<CreateProduct>::new(|_, request| async move {
        panic!("the handler got {request:?}");
    });
    let function = Running::scripted(authority.env(), script).await;
    let mut request = create_tea();
    request.name = " ".into();
    request.description = "ü".repeat(4001);
    request.price = 19.999;
    request.inventory = -1;
    for wire in Wire::ALL {
        let outcome = Client::new(wire, function.address())
            .bearer(&authority.admin(ME))
            .call::<CreateProduct>(&request)
            .await;
        assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?}");
        let fields = ["name", "description", "price", "inventory"];
        assert_eq!(outcome.field_names(), fields, "{wire:?}");
        for field in fields {
            assert!(outcome.message.contains(field), "{wire:?} {outcome:?}");
        }
    }
}

#[tokio::test]
async fn rules_of_fields_hold_by_every_wire() {
    let authority = Authority::generate();
    let script = Script::<CreateProduct>::new(|_, request| async move {
        panic!("the handler got {request:?}");
    });
    let function = Running::scripted(authority.env(), script).await;
    type Break = fn(&mut zerocart_proto::product::CreateProductRequest);
    let table: [(&str, Break); 8] = [
        ("name", |r| r.name.clear()),
        ("name", |r| r.name = "T\0a".into()),
        ("name", |r| r.name = "x".repeat(201)),
        ("description", |r| r.description = "\0".into()),
        ("price", |r| r.price = -0.01),
        ("price", |r| r.price = 10_000_000.01),
        ("inventory", |r| r.inventory = i32::MIN),
        ("inventory", |r| r.inventory = i32::MAX),
    ];
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address()).bearer(&authority.admin(ME));
        for (field, spoil) in table {
            let mut request = create_tea();
            spoil(&mut request);
            let outcome = client.call::<CreateProduct>(&request).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?} {request:?}");
            assert_eq!(outcome.field_names(), [field], "{wire:?} {request:?}");
        }
        for not_a_number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut request = create_tea();
            request.price = not_a_number;
            let outcome = client.call::<CreateProduct>(&request).await;
            assert_eq!(outcome.field_names(), ["price"], "{wire:?} {not_a_number}");
        }
    }
}
